"""Marts become immutable snapshots that people, dashboards and the portal read; nobody opens the working warehouse.

`publish` writes one, `snapshots` lists them, `verify` re-hashes one, `lineage` walks one published score back to the
source rows, the law and the model. What is computed belongs to the rooms above in the data's way; who may see what
belongs to governance.
"""

from __future__ import annotations

from kodomo_platform.publishing.contract import CONTRACT_VERSION
from kodomo_platform.publishing.lineage import LineageTree, lineage
from kodomo_platform.publishing.shelf import Snapshot, current_snapshot, published_files, snapshots, verify
from kodomo_platform.publishing.snapshot import publish

__all__ = [
    "CONTRACT_VERSION",
    "LineageTree",
    "Snapshot",
    "current_snapshot",
    "lineage",
    "publish",
    "published_files",
    "snapshots",
    "verify",
]
