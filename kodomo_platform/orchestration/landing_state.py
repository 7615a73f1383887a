"""What has landed for a municipality, as a short text that changes when a file does."""

import hashlib
from pathlib import Path

from kodomo_platform.extracts import latest_complete_extract_date
from kodomo_platform.settings import get_settings


def fingerprint(folder: Path) -> str:
    """16 hex digits that change when a file in ``folder`` is added, replaced or touched (names never leave it)."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def landed(code: str) -> str | None:
    """The latest complete extract as ``YYYY-MM-DD:fingerprint``; None when nothing complete has landed."""
    landing = get_settings().landing
    day = latest_complete_extract_date(landing, code)
    return None if day is None else f"{day.isoformat()}:{fingerprint(landing / code / day.isoformat())}"
