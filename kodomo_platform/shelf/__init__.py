"""What is published, for whoever reads it: the contract, the order of snapshots, their verification, their reading.

Nothing here writes; `publishing` does. What a snapshot holds comes from the marts; who may read it belongs to
governance.
"""

from __future__ import annotations

from kodomo_platform.shelf.contract import CONTRACT_VERSION
from kodomo_platform.shelf.snapshots import (
    Snapshot,
    current_snapshot,
    open_snapshot,
    published_files,
    published_tables,
    snapshot_as_of,
    snapshots,
)
from kodomo_platform.shelf.verification import verify
from kodomo_platform.shelf.withholding import Withheld, require_open, withheld

__all__ = [
    "CONTRACT_VERSION",
    "Snapshot",
    "Withheld",
    "current_snapshot",
    "open_snapshot",
    "published_files",
    "published_tables",
    "require_open",
    "snapshot_as_of",
    "snapshots",
    "verify",
    "withheld",
]
