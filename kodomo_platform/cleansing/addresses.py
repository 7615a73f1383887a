"""Addresses parsed into postal town, block, building and room. Codes and coordinates of places do not belong here.

The list of towns (`towns`) is asked before a number is looked for, because numbers are parts of towns (一ノ宮, 八丁堀,
14号北): the longest town that the text begins with, the own municipality's first. What stands between that and the lot is
a small area (字) or a town nobody listed. The matching form is town and block without prefecture and city: inside one
municipality's systems the one writes them and the other does not. Hyphens are read as such only in the lot, so ー in a
building's name is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kodomo_platform.cleansing.characters import HYPHENS, in_one_width
from kodomo_platform.cleansing.kana import fold_kana
from kodomo_platform.cleansing.towns import (
    KANJI_NUMERALS,
    Towns,
    counted,
    place_key,
    prefectures,
    read_numeral,
    towns,
    without_aza,
)

_K = f"[{KANJI_NUMERALS}]"
_HYPHEN = f"[{HYPHENS}]"
_STEM = "甲乙丙丁戊己庚辛壬癸"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソ"
_IROHA_OF = str.maketrans("いろはにほへとちりぬるをわかよたれそ", _IROHA)

_POSTAL = re.compile(r"^〒?\s*\d{3}-?\d{4}(?!\d)\s*(?=\D)|^〒\s*")
_PREFECTURE = re.compile("|".join(prefectures()))
# the name of a municipality that the postal data do not know (any more)
_CITY_GUESS = re.compile(r"(?:\D{1,5}?郡)\D{1,6}?[町村]|\D{1,6}?市(?:\D{1,4}?区)?|\D{1,5}?[区町村]")
_COUNTY = re.compile(r"^\D{1,4}?郡(?=\D{1,6}[町村])")
_BRACKETED = re.compile(r"[(\[【〔〈《「『][^)\]】〕〉》」』]*[)\]】〕〉》」』]")
_BRACKETS = re.compile(r"[()\[\]【】〔〕〈〉《》「」『』]")
_NOISE = re.compile(r"[\s・,.、。()「」'\"_-]+")
_BLANKS = re.compile(r"\s+")
_DIGIT = re.compile("[0-9]")
_KANJI_HYPHEN = re.compile(r"(?<=\d)一(?=\d)")

# Kyoto: the street stands before the town (寺町通石薬師下る染殿町)
_STREET = re.compile(
    r"^.*(?:[上下](?:ル|る|がる|がル|り)|[東西]入(?:ル|る|り)?|[東西]側)(?:\d+丁目|[一二三四五六七八九十]+丁目)?"
)
_STREET_MARK = re.compile(r"[上下](?:ル|る|がる|がル)|[東西]入(?:ル|る)?")

_UNIT = r"丁目|丁(?![目町])|番地|番(?![町丁館街])|号(?![室棟館線車])|地割|線(?=\d)|月(?=\d)|日(?![一-鿿])"
_NUMBER = rf"(?:\d{{1,5}}(?!\d)|{_K}{{1,9}}(?!{_K}))"
_LETTER = rf"[{_STEM}]|[{_IROHA}](?![ァ-ヶー])|[A-Z](?![A-Z])"
# the first number of a lot, with its letter: 3丁目, 第35地割, 甲402番地, ハの74, A-12
_FIRST = re.compile(
    rf"(?P<letter>(?:{_LETTER})(?=[のノ\s]?{_HYPHEN}?番?\d|[のノ]?{_K}+(?:番|号)))?(?P<join>(?:[のノ]|{_HYPHEN}|番(?!地))?)"
    rf"第?(?P<number>{_NUMBER})(?P<unit>{_UNIT})?"
)
_PLAIN = re.compile(
    rf"(\d{{1,5}})(?:(?:丁目|番地?[のノ]?|{_HYPHEN}|[のノ])(\d{{1,5}}))?(?:(?:番地?[のノ]?|{_HYPHEN}|[のノ])(\d{{1,5}}))?"
    rf"(?:番地?|号)?(?:\s+([^\d\s{HYPHENS}].*))?$"
)
# behind a number: the next one (with or without a hyphen), or a letter of the lot (6番地ロ)
_NEXT = re.compile(
    rf"(?P<join>\s*(?:{_HYPHEN}|[のノ之]|番地の?|[/.](?=\d))\s*|\s*)(?:(?P<number>{_NUMBER})(?P<unit>{_UNIT})?"
    rf"|(?P<letter>[{_STEM}{_IROHA}いろはにほへとちりぬるをわ](?![一-鿿ぁ-ゖァ-ヺA-Zー])|[A-Z](?![一-鿿ぁ-ゖァ-ヺA-Zー\d])))"
)
_NO_LOT = re.compile(r"[室棟館階F]|号室|番館|[東西南北]?棟")
# 8号の3
_BRANCH = re.compile(rf"(?:{_HYPHEN}|[のノ])(\d{{1,5}})(?!\d|[室棟館階F]|号室)")
_SPACED = re.compile(rf"[\s,.、]*(?:{_HYPHEN}[\s]*)?")
# a kanji numeral counts only if something says so
_KANJI_ENDS = re.compile(rf"$|\s|{_UNIT}|{_HYPHEN}|[のノ之](?=\d|{_K}|[{_IROHA}])")

_LOT_BEGINS = re.compile(rf"\d|{_K}+(?:丁目|番|号)")
_SHORT_JO = re.compile(rf"(\D*?\d{{1,2}})(?={_HYPHEN}\d)")
_NUMBERED_AREA = re.compile(rf"[号区部](?=\D{{0,6}}(?:\d|{_K}+[番号丁]))")

# what follows a number that belongs to a town or a small area, not to the lot
_AREA_NUMBER = re.compile(
    rf"条|地割(?=[、,])|号?線(?!\d)|番[町丁]|番(?=[東西南北](?:\d|{_K}|町))|(?:丁目|号|区|部|番)?[東西南北](?=\d|{_K}+(?:丁目|番|号)|第|町)"
    rf"|[区部組班](?=\s*(?:第?\d|{_K}+(?:丁目|番|号)))|号(?=(?:\d|{_K})+(?:番|{_HYPHEN}\d|$))|丁目[^\s\d{HYPHENS}]{{1,4}}(?=\d)"
)
_DIRECTION_ALONE = re.compile(r"(\d)(?=[東西南北](?:\d|$))")
# 6軒町12番地: kanji behind the number, and a lot behind them
_NAME_BEHIND = re.compile(rf"[ノツケ]?[一-鿿][^\d\s]{{0,9}}?(?=\d|{_K}+(?:丁目|番|号))")
_BUILDING = re.compile(
    r"ビル|館|荘|棟|室|階|寮|団地|住宅|ハイツ|コーポ|マンション|アパート|メゾン|ハウス|病院|学校|園|センタ|タワ|[ァ-ヺー]{3}|[A-Z]{2}"
)
_LOT_UNIT_BEHIND = re.compile(r"丁目|丁|番|号|地割|月")

_ROOM = re.compile(r"(?:第)?([A-Z]?-?\d{1,4}[A-Z]?)(?:号室|号|室)?$")
_FLOOR = re.compile(r"(\d{1,2})(?:F|階)$")


@dataclass(frozen=True, slots=True)
class AddressForm:
    """``block`` as ``3-2-1`` (丁目-番-号); ``match`` is town and block. None where the text has no such part."""

    match: str | None
    town: str | None
    block: str | None
    building: str | None
    room: str | None


_NOTHING = AddressForm(None, None, None, None, None)


def match_address(text: str, municipality: str | None = None) -> AddressForm:
    """Parse one address as written. What cannot be parsed still gets a ``match`` of its folded text.

    ``municipality``: official code (five or six digits; a prefecture's means all of it) of whose records it is. A text
    that names no municipality is first read with the towns of that one.
    """
    tidy = place_key(_KANJI_HYPHEN.sub("-", in_one_width(text)))
    if not tidy:
        return _NOTHING
    tidy = _POSTAL.sub("", _without_brackets(tidy) if _BRACKETS.search(tidy) else tidy)
    town, with_chome, start = _place(tidy, municipality)
    rest = tidy[start:]
    if plain := _PLAIN.match(rest):
        # most addresses: nothing between town and lot, up to three numbers, a building behind a blank
        block = "-".join([str(int(number)) for number in plain.group(1, 2, 3) if number])
        building, room = _split_building(plain[4]) if plain[4] else (None, None)
        return AddressForm((town or "") + block, town, block, building, room)
    area, at = _area(rest)
    lot = _lot(rest, at, with_chome) if at is not None else None
    if lot is None:
        whole = (town or "") + _NOISE.sub("", counted(rest))
        return AddressForm(whole or None, town, None, None, None)
    area = counted(_NOISE.sub("", without_aza(area)))
    area = _DIRECTION_ALONE.sub(r"\1丁目", area) if area[:1].isdigit() else area
    # 本町二丁目3丁目5番: only a town that its 丁目 belongs to explains the second
    town = f"{town or ''}{area}{lot.chome}" or None
    building, room = _split_building(lot.tail) if lot.tail else (None, None)
    numbers = lot.numbers
    most = 4 if with_chome else 3
    if len(numbers) > most and not room:
        room, numbers = numbers[most], numbers[:most]
    block = lot.letter + "-".join(numbers)
    return AddressForm((town or "") + block, town, block, building, room)


def _without_brackets(tidy: str) -> str:
    """Without what stands in brackets before the lot: by-names, former parts, ranges of the postal list. Behind it a
    bracket holds a building."""
    digit = _DIGIT.search(_BRACKETED.sub("", tidy))
    kept = []
    end = 0
    outside = 0
    for match in _BRACKETED.finditer(tidy):
        kept.append(tidy[end : match.start()])
        outside += match.start() - end
        end = match.end()
        inside = match[0][1:-1]
        if digit is None and _DIGIT.search(inside) and not tidy[end:].strip():
            kept.append(f" {inside}")
        elif digit is not None and outside > digit.start():
            kept.append(f" {inside} ")
    kept.append(tidy[end:])
    return _BRACKETS.sub(" ", "".join(kept)).strip()


def _place(tidy: str, municipality: str | None) -> tuple[str | None, bool, int]:
    """Town, whether the postal data list its 丁目 as towns, and where the text behind it begins.

    What stands before the first digit is the same in many addresses and is remembered; few towns go on behind a digit.
    """
    digit = _DIGIT.search(tidy)
    head = tidy[: digit.start()] if digit else tidy
    town, with_chome, start, goes_on = _place_of_head(head, municipality)
    if not goes_on or digit is None:
        return town, with_chome, start
    squeezed = _BLANKS.sub("", head)
    town, with_chome, start, _ = _town(squeezed + tidy[len(head) :], municipality)
    return town, with_chome, _where(tidy, start) if len(squeezed) != len(head) else start


@lru_cache(maxsize=200_000)
def _place_of_head(head: str, municipality: str | None) -> tuple[str | None, bool, int, bool]:
    # blanks between city, ward and town say nothing
    squeezed = _BLANKS.sub("", head)
    town, with_chome, start, goes_on = _town(squeezed, municipality)
    return town, with_chome, _where(head, start) if len(squeezed) != len(head) else start, goes_on


def _where(text: str, start: int) -> int:
    """The position in ``text`` behind ``start`` characters that are no blanks."""
    seen = place = 0
    while seen < start and place < len(text):
        seen += not text[place].isspace()
        place += 1
    return place


def _town(tidy: str, municipality: str | None) -> tuple[str | None, bool, int, bool]:
    """As `_place`, and whether a town may go on behind the end of the text."""
    known = towns()
    own = known.of_code(municipality)
    prefecture = _PREFECTURE.match(tidy)
    start = prefecture.end() if prefecture else 0
    text = tidy[start:].lstrip(" -,、・")
    start = len(tidy) - len(text)
    city, length = _city(known, text)
    inside = _longest_town(known, text[length:], city) if city is not None else None
    goes_on = (
        known.goes_on(text) or (city is not None and known.goes_on(text[length:])) or bool(_STREET_MARK.search(text))
    )
    bare = None
    if not prefecture:
        # a bare town may begin like another city's name: 小川町西小川 is in いわき市
        bare = _longest_town(known, text, own) if own else None
        if bare is None and not (city is not None and own & city):
            bare = _longest_town(known, text, None)
    guess = _former_city(known, text, own, prefecture is not None) if city is None else 0
    former = None
    if guess:
        goes_on = goes_on or known.goes_on(text[guess:])
        former = _longest_town(known, text[guess:], own or None) or _longest_town(known, text[guess:], None)
    if bare and former and guess + former[0] > bare[0] and not (own and _longest_town(known, text, own)):
        # 浦和 is a town somewhere, 浦和市高砂 was one in a city that is no more
        bare = None
    with_city = length + (inside[0] if inside else 0)
    # 栄町 is a town of many cities and a city of its own, 下田市 is first a city
    same = inside is None and not text[:length].endswith("市")
    if (
        bare
        and bare[0] > 1
        and not (bare[1].isdigit() or text[: bare[0]].isdigit())
        and (city is None or bare[0] > with_city or (bare[0] == with_city and same))
    ):
        return bare[1], bool(own) and _lists_chome(known, own, bare[1]), start + bare[0], goes_on
    if city is not None:
        if inside is None:
            return None, _lists_chome(known, city, ""), start + length + _aza(text[length:]), goes_on
        return inside[1], _lists_chome(known, city, inside[1]), start + length + inside[0], goes_on
    if guess:
        if former is not None:
            return former[1], False, start + guess + former[0], goes_on
        return None, False, start + guess, goes_on
    return None, bool(own) and _lists_chome(known, own, ""), start + _aza(text), goes_on


def _aza(text: str) -> int:
    return len(text) - len(text.removeprefix("大字").removeprefix("字")) if "字" in text[:2] else 0


def _lists_chome(known: Towns, within: frozenset[str], town: str) -> bool:
    return any(town in known.chome[code] for code in within)


def _city(known: Towns, text: str) -> tuple[frozenset[str] | None, int]:
    """The municipalities that the text begins with the name of, and that name's length."""
    name = known.longest_municipality(text)
    if name is None:
        county = _COUNTY.match(text)
        # 黒川郡富谷町 became 富谷市
        if county and (town := re.match(r"(\D{1,6}?)[町村]", text[county.end() :])):
            promoted = known.municipalities.get(town[1] + "市")
            if promoted:
                return promoted, county.end() + town.end()
        return None, 0
    length = len(name)
    codes = known.municipalities[name]
    # a ward that is no more (浜松市中区), of a city that still has some
    if name.endswith("市") and len(codes) > 1 and (ward := re.match(r"\D{1,4}?区", text[length:])):
        within = known.longest(text[length:], codes)
        if within is None or within[0] < ward.end():
            length += ward.end()
    return codes, length


def _former_city(known: Towns, text: str, own: frozenset[str], sure: bool) -> int:
    """Length of a municipality's name that the postal data do not know; 0 if the text begins with none."""
    match = _CITY_GUESS.match(text)
    if match is None:
        return 0
    behind = text[match.end() :]
    if sure or "郡" in match[0] or (match[0].endswith(("市", "区")) and _longest_town(known, behind, own or None)):
        return match.end()
    return 0


def _longest_town(known: Towns, text: str, within: frozenset[str] | None) -> tuple[int, str] | None:
    """How much of ``text`` the longest town takes, and its spelling. In Kyoto behind the street."""
    skipped = _aza(text)
    if skipped:
        text = text[skipped:]
    if _STREET_MARK.search(text) and (within is None or any(code.startswith("261") for code in within)):
        street = _STREET.match(text)
        if street:
            inside = known.longest(text[street.end() :], within)
            if inside:
                return skipped + street.end() + inside[0], inside[1]
    best = known.longest(text, within)
    if within is not None and any(code.startswith("261") for code in within):
        best = _behind_a_street(known, text, within, best)
    if best is None or len(text) > best[0]:
        by_jo = _without_jo(known, text, within, best)
        best = by_jo or best
    return (skipped + best[0], best[1]) if best else None


def _behind_a_street(
    known: Towns, text: str, within: frozenset[str], best: tuple[int, str] | None
) -> tuple[int, str] | None:
    """仏光寺通東洞院仏光寺西町: a listed town that ends where the numbers begin."""
    digit = _LOT_BEGINS.search(text)
    end = digit.start() if digit else len(text)
    if best is not None and (best[0] >= end or "通" not in text[:end]):
        return best
    for start in range(1, end - 1):
        inside = known.longest(text[start:end], within)
        if inside and start + inside[0] == end and inside[0] > 1:
            return end, inside[1]
    return best


def _without_jo(
    known: Towns, text: str, within: frozenset[str] | None, best: tuple[int, str] | None
) -> tuple[int, str] | None:
    """東光5-3-2 for 東光5条3丁目2, where no town of that name has lots of its own."""
    match = _SHORT_JO.match(text, 0, 12)
    if match is None or (best is not None and best[0] >= match.end()):
        return None
    cities = known.by_jo.get(match[1])
    if cities is None:
        return None
    keys = {key for code, key in cities.items() if within is None or code in within}
    if len(keys) != 1 or (within is None and best is not None):
        return None
    return match.end(), known.towns[keys.pop()]


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


_ANY_NUMBER = re.compile(rf"\d+|{_K}+")


def _area(rest: str) -> tuple[str, int | None]:
    """What stands between the town and the lot, and where the lot begins (None: there is none)."""
    at = 0
    while match := _ANY_NUMBER.search(rest, at):
        start, end = match.span()
        behind = rest[end:]
        if behind.startswith("年"):
            # a spreadsheet made a date of the lot 1-3-4: no lot is better than one that it was not
            return rest, None
        if not match[0].isascii() and not _KANJI_ENDS.match(behind):
            at = end
            continue
        if part := _AREA_NUMBER.match(behind):
            at = end + part.end()
            if _ANY_NUMBER.search(rest, at) or part[0] in ("条", "線", "番町", "番丁"):
                continue
            at = start
        elif rest[start - 1 : start] == "第" and _NUMBERED_AREA.match(behind):
            at = end + 1
            continue
        elif (
            match[0].isascii()
            and (name := _NAME_BEHIND.match(behind))
            and not _LOT_UNIT_BEHIND.match(behind)
            and not _BUILDING.search(name[0])
        ):
            at = end + name.end()
            continue
        return _with_letter(rest, start)
    return rest, None


_LETTER_BEFORE = re.compile(
    rf"(?:(?<![ァ-ヶー])[{_IROHA}]|[甲乙丙戊己庚辛壬癸]|^丁|(?<![A-Z])[A-Z])(?:[のノ\s]?{_HYPHEN}?|番)$|第$"
)


def _with_letter(rest: str, start: int) -> tuple[str, int]:
    """The lot begins at its letter: 甲402, ハの74, A-12, A番12."""
    if start and (letter := _LETTER_BEFORE.search(rest, 0, start)):
        start = letter.start()
    return rest[:start], start


@dataclass(slots=True)
class _Lot:
    letter: str
    numbers: list[str]
    tail: str
    chome: str = ""


def _lot(rest: str, at: int, with_chome: bool) -> _Lot | None:
    """The lot that begins at ``at``: its numbers, and what stands behind."""
    first = _FIRST.match(rest, at)
    if first is None:
        return None
    letter = first["letter"] or ""
    if letter and letter not in _STEM:
        letter += "-"
    numbers = [_plain(first["number"])]
    unit = first["unit"]
    end = first.end()
    chome = ""
    while unit != "号" and unit != "日" and len(numbers) < 6:
        match = _NEXT.match(rest, end)
        if match is None:
            break
        number = match["number"]
        join = match["join"].strip()
        if number is None:
            if not (unit in ("番地", "番") or join or len(numbers) == 1) or (
                match["letter"].isascii() and len(numbers) > 1
            ):
                break
            numbers.append(match["letter"].translate(_IROHA_OF))
            unit, end = None, match.end()
            continue
        if not join and not unit and numbers[-1:] and numbers[-1].isdecimal():
            break
        if _NO_LOT.match(rest, match.end()) and not match["unit"]:
            break
        if not number.isascii() and not _KANJI_ENDS.match(rest, match.start("number") + len(number)):
            break
        if not number.isascii() and not join and not unit:
            # 15番5十五番館: right behind a digit a kanji numeral is a building's
            break
        if unit == "丁目" and match["unit"] == "丁目" and len(numbers) == 1:
            chome, numbers = f"{numbers[0]}丁目", []
        numbers.append(_plain(number))
        unit, end = match["unit"], match.end()
    if unit == "号" and (more := _BRANCH.match(rest, end)):
        numbers.append(_plain(more[1]))
        end = more.end()
    tail = rest[end:]
    tail = tail[_SPACED.match(tail).end() :] if tail else ""  # type: ignore[union-attr]
    return _Lot(letter, numbers, tail.removeprefix("号 ").strip(), chome)


def _plain(number: str) -> str:
    return str(int(number)) if number.isascii() else str(read_numeral(number))
