"""Which snapshot is the newest is said by its version."""

from __future__ import annotations

import os
from pathlib import Path

from kodomo_platform.shelf import published_tables


def test_a_restored_file_time_changes_no_order(home: Path) -> None:
    # Regression: after a restore the oldest snapshot had the newest file time and was taken for the last published
    files = []
    for version in ("v0001-aaaaaaaaaaaa", "v0002-bbbbbbbbbbbb", "v0010-cccccccccccc"):
        folder = home / "published" / "112241" / "2026-10-01" / version
        folder.mkdir(parents=True)
        files.append(folder / "risk_scores.parquet")
        files[-1].write_bytes(b"")
    for age, file in enumerate(files):
        os.utime(file, ns=(10**18 - age * 10**12, 10**18 - age * 10**12))
    assert published_tables("112241", "risk_scores") == files


def test_folders_that_are_no_snapshots_are_passed_over(home: Path) -> None:
    for name in ("2026-10-01/.tmp-x", "2026-10-01/other", "notes/v0001-aaaaaaaaaaaa"):
        folder = home / "published" / "112241" / name
        folder.mkdir(parents=True)
        (folder / "risk_scores.parquet").write_bytes(b"")
    assert published_tables("112241", "risk_scores") == []
