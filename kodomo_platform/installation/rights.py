"""Who may read an installation's files: their owner alone. Register, warehouse, secrets and logs lie in one home."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

UMASK = 0o077
_OTHERS = 0o077


def keep_private(home: Path) -> None:
    """Make what this process writes its owner's alone, and close the home to others. Called by every entry point."""
    os.umask(UMASK)
    try:
        status = home.stat()
        if stat.S_IMODE(status.st_mode) & _OTHERS and status.st_uid == os.geteuid():
            home.chmod(0o700)
    except OSError:
        return  # not there yet, or not ours to change: `kodomo doctor` tells


def open_to_others(home: Path) -> Iterator[Path]:
    """Everything below ``home`` (itself first) that others than its owner may read, write or enter; links are not followed."""
    for path in (home, *_below(home)):
        try:
            status = path.lstat()
        except OSError:
            continue
        if not stat.S_ISLNK(status.st_mode) and stat.S_IMODE(status.st_mode) & _OTHERS:
            yield path


def close_to_others(home: Path) -> list[Path]:
    """Take the rights of group and others from everything below ``home``; returns what could not be changed."""
    failed = []
    for path in open_to_others(home):
        try:
            path.chmod(stat.S_IMODE(path.lstat().st_mode) & ~_OTHERS)
        except OSError:
            failed.append(path)
    return failed


def _below(home: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            yield Path(folder) / name
