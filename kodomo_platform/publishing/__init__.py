"""Marts become immutable snapshots that people, dashboards and the portal read; nobody opens the working warehouse.

`publish` writes one, `lineage` walks one published score back to the source rows, the law and the model; `shelf` lists,
reads and verifies them. What is computed belongs to the rooms above in the data's way; who may see what
belongs to governance.
"""

from __future__ import annotations

from kodomo_platform.publishing.lineage import LineageTree, lineage
from kodomo_platform.publishing.snapshot import publish

__all__ = [
    "LineageTree",
    "lineage",
    "publish",
]
