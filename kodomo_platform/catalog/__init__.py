"""The catalogue: what may be held about a child, by whom, why, by which law, how long.

It is the spine of the platform: an item without an entry cannot be loaded. What a municipality's file looks like
belongs to `kodomo_platform.municipalities`; what is computed from items belongs to `kodomo_platform.scoring`.
"""

from __future__ import annotations

from kodomo_platform.catalog.loading import load_catalog, load_catalog_from
from kodomo_platform.catalog.models import (
    BeyondPurpose,
    Catalog,
    CodeLabel,
    Evidence,
    Item,
    Retention,
    Source,
)

__all__ = [
    "BeyondPurpose",
    "Catalog",
    "CodeLabel",
    "Evidence",
    "Item",
    "Retention",
    "Source",
    "load_catalog",
    "load_catalog_from",
]
