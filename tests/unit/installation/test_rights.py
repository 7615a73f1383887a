"""An installation's files are their owner's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from kodomo_platform.installation.rights import close_to_others, keep_private, open_to_others


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_afterwards_is_the_owners_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    before = os.umask(0o022)
    try:
        keep_private(tmp_path)
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").touch()
        keep_private(tmp_path / "not there yet")
    finally:
        os.umask(before)
    assert [mode(path) for path in (tmp_path, tmp_path / "folder", tmp_path / "folder" / "file")] == [
        0o700,
        0o700,
        0o600,
    ]
    assert list(open_to_others(tmp_path)) == []


def test_what_an_earlier_release_left_open_is_found_and_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "a" / "b").mkdir(parents=True)
    file = home / "a" / "b" / "register.parquet"
    file.touch()
    outside = tmp_path / "outside"
    outside.touch()
    (home / "link").symlink_to(outside)
    for path in (home, home / "a", home / "a" / "b", outside):
        path.chmod(0o755)
    file.chmod(0o640)
    assert set(open_to_others(home)) == {home, home / "a", home / "a" / "b", file}
    assert close_to_others(home) == []
    assert list(open_to_others(home)) == []
    assert mode(file) == 0o600
    assert mode(outside) == 0o755, "a link's target is somebody else's"
