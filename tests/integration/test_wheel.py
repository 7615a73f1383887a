"""The wheel is whole: it runs in an environment that has never seen the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sys.executable).with_name("uv")


def _run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KODOMO_", "PYTHON"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=inherited | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_built_wheel_takes_a_town_to_a_published_snapshot_without_the_checkout(tmp_path: Path) -> None:
    _run(UV, "build", "--wheel", "--no-build-isolation", "--out-dir", tmp_path / "dist", ".")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    locked = tmp_path / "requirements.txt"
    _run(UV, "export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--output-file", locked)
    python = tmp_path / "empty" / "bin" / "python"
    _run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "empty")
    _run(UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", locked)
    _run(UV, "pip", "install", "--quiet", "--python", python, "--no-deps", wheel)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    kodomo = python.with_name("kodomo")
    home = str(tmp_path / "home")
    _run(kodomo, "demo", "--municipality", "343021", "--children", "120", cwd=elsewhere, KODOMO_HOME=home)
    listed = json.loads(_run(kodomo, "snapshots", "list", "--json", cwd=elsewhere, KODOMO_HOME=home))

    assert [entry["municipality"] for entry in listed] == ["343021"]
    code = "from kodomo_platform.orchestration.versions import code_version; print(code_version())"
    installed = _run(python, "-c", code, cwd=elsewhere, KODOMO_HOME=home)
    assert installed == _run(sys.executable, "-c", code, KODOMO_HOME=home)
