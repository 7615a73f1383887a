"""The command line as its own process, as an operator meets it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

KODOMO = [sys.executable, "-W", "ignore", "-c", "from kodomo_platform.cli import main; main()"]


def kodomo(
    home: Path, *arguments: str, check: bool = True, limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    """What a command did in ``home``. It must succeed, unless ``check`` is off.

    With ``limit``, no file may grow beyond so many bytes (a full disk).
    """

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit or 0, limit or 0))

    done = subprocess.run(
        [*KODOMO, *arguments],
        env=os.environ | {"KODOMO_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        preexec_fn=small_disk if limit else None,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done
