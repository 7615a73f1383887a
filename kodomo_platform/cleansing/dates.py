"""Dates as Japanese offices write them, read into what they truly say. No table, no SQL: see `functions`.

A reading keeps what the text says and no more: "令和4年5月頃" is a month, not the first of it. Rules:

- The declared style decides what bare digits mean (7 digits: era code + yymmdd, 5 digits: Excel serial). Texts that
  carry their own meaning (kanji, an era letter, separators, 8 digits) are read whatever style is declared, because
  offices mix them inside one column.
- A year of an era that runs past the era's end is read as the continued count for up to `OVERRUN_YEARS` (平成32年 stood
  on certificates issued before May 2019; 昭和64年1月8日 is the first day of 平成), and noted as ``era_overrun``; so is
  year 1 before the era's first day (令和元年4月1日). Anything further off is unreadable.
- 29 February of a common year, day 00 and month 00 or 99 are how registers write "day (month) not known": the reading
  keeps the month (year). 13月, 32日 or 令和99年 are unreadable.

Source of the era boundaries: 太政官布告 of 1872 (明治), 元号 cabinet orders of 1926, 1989 and 2019. Code sets: JIS X 0301
(1-5) and the 1/3/5/7/9 set of older host systems.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Precision = Literal["day", "month", "year", "unknown"]

FIRST_YEAR = 1868
LAST_YEAR = 2099
"""Nobody in a register, and no event, lies outside of these years; 9999 and 令和99 are fillers."""

OVERRUN_YEARS = 10

ERAS: dict[str, tuple[dt.date, dt.date]] = {
    "明治": (dt.date(1868, 1, 25), dt.date(1912, 7, 29)),
    "大正": (dt.date(1912, 7, 30), dt.date(1926, 12, 24)),
    "昭和": (dt.date(1926, 12, 25), dt.date(1989, 1, 7)),
    "平成": (dt.date(1989, 1, 8), dt.date(2019, 4, 30)),
    "令和": (dt.date(2019, 5, 1), dt.date(LAST_YEAR, 12, 31)),
}
_NAMES = {
    **{name: name for name in ERAS},
    **{name[0]: name for name in ERAS},
    **dict(zip("MTSHR", ERAS, strict=True)),
}
ERA_CODES: dict[str, dict[str, str]] = {
    "jis": dict(zip("12345", ERAS, strict=True)),
    "odd": dict(zip("13579", ERAS, strict=True)),
}
_EXCEL_EPOCH = dt.date(1899, 12, 30)
_EXCEL_LIMITS = (61, 73050)  # 1 March 1900 (before it Excel counts a day that never was) to the end of 2099

_DIGIT = str.maketrans("〇零一二三四五六七八九", "00123456789")
_SEPARATOR = str.maketrans(dict.fromkeys("-‐‑‒–—―−ー/.．・,、", "-"))
_TIME = re.compile(r"[T ]0{1,2}:00(?::00(?:\.0+)?)?$")
_ABOUT = re.compile(r"(?:頃|ごろ|ころ|以降|以前|推定|\(推定\)|中)$")
_UNKNOWN = re.compile(r"^(?:生?年月日|出生日|日付|年月)?(?:不詳|不明|未詳)$")
_ERA = re.compile(r"^(明治|大正|昭和|平成|令和|[明大昭平令MTSHR])")
_KANJI_NUMBER = re.compile(r"[〇零一二三四五六七八九十]+")
_KANJI_PARTS = re.compile(
    r"^(?P<y>\d{1,4}|不詳|不明)年(?:度)?(?:(?P<m>\d{1,2}|不詳|不明)月?)?(?:(?<=月)(?P<d>\d{1,2}|不詳|不明)日?)?$"
)
_KANJI_TAIL = re.compile(r"(?:月日|月|日)?(?:不詳|不明|未詳)$")
_DASHED = re.compile(r"^(?P<y>\d{1,4})(?:-(?P<m>\d{1,2}))?(?:-(?P<d>\d{1,2}))?$")
_EXCEL = re.compile(r"^(\d{2,5})(?:-0+)?$")


@dataclass(frozen=True, slots=True)
class DateReading:
    """What a text says of a date. ``value`` only if the day is known; ``earliest``/``latest`` inclusive."""

    value: dt.date | None
    precision: Precision
    earliest: dt.date | None
    latest: dt.date | None
    note: str | None = None

    @property
    def readable(self) -> bool:
        """Whether the text says anything at all of the date ("不詳" does not, but is no error either)."""
        return self.earliest is not None


UNKNOWN = DateReading(None, "unknown", None, None, "unknown")
UNREADABLE = DateReading(None, "unknown", None, None, "unreadable")


@lru_cache(maxsize=200_000)
def read_date(text: str, style: str | None = None, era_codes: str | None = None) -> DateReading:
    """Read one date. ``style`` and ``era_codes`` as the municipality's file declares them (see the module)."""
    tidy = _tidy(text)
    if not tidy:
        return UNREADABLE
    if _UNKNOWN.match(tidy):
        return UNKNOWN
    return _read_digits(tidy, style, era_codes, month_only=False) or _read_written(tidy)


@lru_cache(maxsize=20_000)
def read_month(text: str, style: str | None = None, era_codes: str | None = None) -> dt.date | None:
    """The first day of the month that the text names, or None. A full date names its month."""
    tidy = _tidy(text)
    if not tidy or _UNKNOWN.match(tidy):
        return None
    reading = _read_digits(tidy, style, era_codes, month_only=True) or _read_written(tidy)
    if reading.precision not in ("day", "month") or reading.earliest is None:
        return None
    return reading.earliest.replace(day=1)


def _tidy(text: str) -> str:
    tidy = unicodedata.normalize("NFKC", text).strip().upper()
    tidy = _TIME.sub("", tidy)
    return re.sub(r"\s+", "", tidy)


def _read_digits(tidy: str, style: str | None, era_codes: str | None, *, month_only: bool) -> DateReading | None:
    """Texts whose meaning depends on the declared style: nothing but digits."""
    if style == "excel_serial" and (match := re.fullmatch(r"(\d{2,5})(?:\.0+)?", tidy)):
        serial = int(match[1])
        if _EXCEL_LIMITS[0] <= serial <= _EXCEL_LIMITS[1]:
            return _known(_EXCEL_EPOCH + dt.timedelta(days=serial))
        return UNREADABLE
    if not tidy.isdecimal() or not tidy.isascii():
        return None
    if len(tidy) == 8:
        return _western(int(tidy[:4]), int(tidy[4:6]), int(tidy[6:]))
    if style == "wareki_code" and len(tidy) in (7, 5):
        era = ERA_CODES.get(era_codes or "jis", {}).get(tidy[0])
        if era is None:
            return UNREADABLE
        if len(tidy) == 7:
            return _in_era(era, int(tidy[1:3]), int(tidy[3:5]), int(tidy[5:]))
        return _in_era(era, int(tidy[1:3]), int(tidy[3:5]), None) if month_only else UNREADABLE
    if len(tidy) == 6 and month_only:
        return _western(int(tidy[:4]), int(tidy[4:]), None)
    if len(tidy) == 4 and style in ("iso", "slash", "compact"):
        return _western(int(tidy), None, None)
    return UNREADABLE


def _read_written(tidy: str) -> DateReading:
    """Texts that carry their meaning: an era name or letter, kanji units, separators."""
    text = _ABOUT.sub("", tidy)
    reading = _read_exact(text)
    if text != tidy and reading.value is not None:
        # "about the 20th": the day is a guess, its month is what can be relied on
        return _western(reading.value.year, reading.value.month, None)
    return reading


def _read_exact(text: str) -> DateReading:
    era_match = _ERA.match(text)
    era = _NAMES[era_match[1]] if era_match else None
    rest = text[era_match.end() :] if era_match else text
    if era and _UNKNOWN.match(rest):
        # the era alone bounds a life too loosely to be of use
        return UNKNOWN
    if rest.startswith("元"):
        rest = "1" + rest[1:]
    rest = _KANJI_NUMBER.sub(lambda found: str(_kanji_number(found[0])), rest)
    if "年" in rest:
        parts = _kanji_parts(rest)
    elif era and rest.isdecimal() and len(rest) in (6, 4):
        # R041220, R0412
        parts = (int(rest[:2]), int(rest[2:4]), int(rest[4:]) if len(rest) == 6 else None)
    else:
        match = _DASHED.match(rest.translate(_SEPARATOR))
        parts = None if match is None else _numbers(match)
        if parts is not None and not era and len(match["y"]) != 4:  # type: ignore[index]
            parts = None
    if parts is None:
        return UNREADABLE
    if era:
        return _in_era(era, *parts)
    return _western(*parts)


def _kanji_parts(rest: str) -> tuple[int, int | None, int | None] | None:
    trimmed = _KANJI_TAIL.sub("", rest)
    # "4年5月不詳" and "4年5月日不詳" both leave the month known; "4年不詳" the year
    if rest != trimmed and re.search(r"年\d{1,2}$", trimmed):
        trimmed += "月"
    match = _KANJI_PARTS.match(trimmed)
    return None if match is None else _numbers(match)


def _numbers(match: re.Match[str]) -> tuple[int, int | None, int | None] | None:
    year, month, day = (int(part) if part and part.isdecimal() else None for part in match.group("y", "m", "d"))
    return None if year is None else (year, month, day)


def _kanji_number(text: str) -> int:
    """十二 → 12, 二十 → 20, 二〇二二 → 2022."""
    if "十" not in text:
        return int(text.translate(_DIGIT))
    tens, _, units = text.partition("十")
    units = units.replace("十", "")
    return (int(tens.translate(_DIGIT)) if tens else 1) * 10 + (int(units.translate(_DIGIT)) if units else 0)


def _in_era(era: str, year: int, month: int | None, day: int | None) -> DateReading:
    first, last = ERAS[era]
    if year < 1 or year > last.year - first.year + 1 + OVERRUN_YEARS:
        return UNREADABLE
    reading = _western(first.year + year - 1, month, day)
    if reading.earliest is None or reading.latest is None:
        return reading
    if reading.latest < first or reading.earliest > last:
        return DateReading(reading.value, reading.precision, reading.earliest, reading.latest, "era_overrun")
    if reading.precision == "day":
        return reading
    return DateReading(None, reading.precision, max(reading.earliest, first), min(reading.latest, last), reading.note)


def _western(year: int, month: int | None, day: int | None) -> DateReading:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return UNREADABLE
    if month is None or (month in (0, 99) and day in (None, 0, 99)):
        return DateReading(None, "year", dt.date(year, 1, 1), dt.date(year, 12, 31))
    if not 1 <= month <= 12:
        return UNREADABLE
    length = calendar.monthrange(year, month)[1]
    if day is None or day in (0, 99) or (month == 2 and day == 29 and length == 28):
        return DateReading(None, "month", dt.date(year, month, 1), dt.date(year, month, length))
    if day > length:
        return UNREADABLE
    return _known(dt.date(year, month, day))


def _known(day: dt.date) -> DateReading:
    return DateReading(day, "day", day, day)
