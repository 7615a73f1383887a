"""Dates as Japanese offices write them, read into what they truly say. No table, no SQL: see `functions`.

A reading keeps what the text says and no more: "令和4年5月頃" is a month, not the first of it. Rules:

- The declared style decides what bare digits mean (7 digits: era code + yymmdd). Texts that carry their own meaning
  (kanji, an era letter, separators, 8 digits) are read whatever style is declared, because offices mix them inside one
  column. Five digits are an Excel serial of 1954 to 2064 under every style but ``wareki_code``: a cell whose format
  was lost.
- A time of day behind a day is dropped: the day stands. A zone other than Japan's moves it to the day that it was in
  Japan (UTC's 15:00 is the next day here).
- Words that say nothing of the day go: a weekday, 西暦, 生, 現在, 付け, an age, brackets around an era.
- A fiscal or school year (年度) runs from 1 April to 31 March (地方自治法208条, 学校教育法施行規則59条).
- A year of two digits between separators is read as Excel does (00-29: 2000 to 2029, 30-99: 1930 to 1999) under
  ``iso`` and ``slash``, where it can be no era's, and noted as ``two_digit_year``.
- A year of an era that runs past the era's end is read as the continued count for up to `OVERRUN_YEARS` (平成32年 stood
  on certificates issued before May 2019; 昭和64年1月8日 is the first day of 平成), and noted as ``era_overrun``; so is
  year 1 before the era's first day (令和元年4月1日). Anything further off is unreadable.
- 29 February of a common year, day 00 and month 00 or 99 are how registers write "day (month) not known": the reading
  keeps the month (year). 13月, 32日 or 令和99年 are unreadable. All zeros, Excel's day zero (1900/1/0, 1899/12/30,
  00:00:00) and a form's empty 年 月 日 are blanks.
- The 14 ways in which a register may leave a day uncertain (住民記録システム標準仕様書 1.1.8) keep their bounds: 頃 and
  推定 widen a day to its month; 上旬, 中旬, 下旬, a season and から…までの間 are what they say.

Source of the era boundaries: 太政官布告 of 1872 (明治), 元号 cabinet orders of 1926, 1989 and 2019. Code sets: JIS X 0301
(1-5) and the 1/3/5/7/9 set of older host systems.
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

Precision = Literal["day", "month", "year", "unknown"]

FIRST_YEAR = 1868
LAST_YEAR = 2099
"""Nobody in a register, and no event, lies outside of these years; 9999 and 令和99 are fillers."""

OVERRUN_YEARS = 10

TWO_DIGIT_PIVOT = 30
"""Excel's own: 29 is 2029, 30 is 1930."""

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
_UNDECLARED_SERIALS = (20_000, 60_000)  # October 1954 to April 2064
_JAPAN_MINUTES = 9 * 60

_DIGIT = str.maketrans("〇零一二三四五六七八九", "00123456789")
_DASHES = "-‐‑‒–—―−ー/.．・,、"
_SEPARATOR = str.maketrans(dict.fromkeys(_DASHES, "-"))
_OPEN, _CLOSE = "([{<〔【〈《「『〘〖", ")]}>〕】〉》」』〙〗"
_BRACKETS = str.maketrans(dict.fromkeys(_OPEN, "(") | dict.fromkeys(_CLOSE, ")"))
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe00-\ufe0f\ufeff]")
_GUARD = re.compile(r'^=?"(.*)"$|^[\'’‘](.*)$', re.DOTALL)

# ------------------------------------------------------------------ times of day
_HOUR, _SIXTY = r"(?:[01]?\d|2\d|99)", r"(?:[0-5]?\d|60|99)"  # 25:30 is the night of the day; 99 a filler
_ZONE = r"(?:\s*(?P<zone>Z|UTC|GMT|JST|[+\-−]\d{2}(?::?\d{2})?)(?:\[[A-Z/_]+\])?)?"
_HALF = r"(?:午前|午後|[AP]\.?M\.?)"
_CLOCK = (
    rf"(?P<half>{_HALF})?\s*(?P<hour>{_HOUR})"
    rf"(?:\s*:\s*(?P<minute>{_SIXTY})(?:\s*:\s*{_SIXTY}(?:[.,:]\d+)?)?"
    rf"|時(?:(?P<kanji_minute>{_SIXTY})分(?:{_SIXTY}秒)?|半)?(?:頃|ごろ)?)\s*(?P<half_behind>[AP]\.?M\.?)?"
)
_TIME = re.compile(rf"(?P<date>.*?[\d日年月末曜元)])(?:T|[\s_:\-]+|(?<=[日曜)]))\s*\(?{_CLOCK}\)?{_ZONE}$", re.DOTALL)
_WHOLE = r"(?:\d{7,8}|[^\s:]*\d[年\-/.]\d{1,2}[月\-/.]\d{1,2}日?)"
_PLAIN_TIME = re.compile(
    rf"(?P<date>{_WHOLE})(?:[T\s_\-]\s*(?P<hour>[012]?\d|99)\.?(?P<minute>[0-5]\d|99)(?:\.?(?:[0-5]\d|60|99)(?:\.?\d+)?)?){_ZONE}$"
)
_DIGITS_AND_TIME = re.compile(
    rf"(?P<date>\d{{7,8}})(?P<hour>[012]\d|99)(?P<minute>[0-5]\d|99)(?:(?:[0-5]\d|60|99)(?:\.\d+|\d{{3}}|\d{{6}})?)?{_ZONE}$"
)
_ZONE_ALONE = re.compile(r"(?<=\d\d-\d\d)(?:Z|[+]\d{2}:?\d{2})$")
_BARE_MIDNIGHT = re.compile(r"0{1,2}:00(?::00(?:\.0+)?)?")

# ----------------------------------------------------------- words that are dropped
_WEEKDAY = re.compile(
    r"\((?:[月火水木金土日](?:曜日?)?)?(?:[・,]?(?:祝日?|休日?|振替?休?日?))?\)|[月火水木金土日]曜日?"
    r"|\(?\b(?:MON|TUE|WED|THU|FRI|SAT|SUN)(?:[A-Z]{0,6}DAY|S|RS|NES|UR)?\b[.,]?\)?"
)
_AGE = re.compile(r"\(?(?:満|当時|現在)?\d{1,3}[歳才](?:\d{1,2}[かカヶヵケ]月)?\)?$")
_BEFORE = re.compile(r"^(?:(?:生年月日|生年|出生日|日付|西暦|AD|A\.D\.|C\.?E\.?)[::=]?)+")
_BEHIND = re.compile(
    r"(?:\(生\)|\(現在\)|生まれ|生れ|うまれ|生|出生|誕生|現在|時点|付け?|づけ|以来|より|から|まで|迄|限り?|分|号|[.。、,~〜])+$"
)
_ABOUT_BEFORE = re.compile(r"^(?:\(推定\)|推定|推|約|およそ|おおよそ|おおむね|概ね|凡そ)+")
_ABOUT_BEHIND = re.compile(r"(?:頃|ころ|ごろ|くらい|ぐらい|前後|推定|\(推定\)|\(頃\))+$")
_WITHIN = re.compile(r"(?<=[年月度])中$")
_ONE_SIDED = re.compile(r"(?:以降|以後|以前|以上|より前|より後|[年月日]前|[年月日]後)$")
_UNSURE = "不詳|不明|未詳|不祥|未確認"
_UNKNOWN = re.compile(rf"^(?:生?年月日|生年|出生日|日付|年月|月日|年|日)?\(?(?:{_UNSURE})\)?$")
_NOTHING = re.compile(
    rf"^[\s{re.escape(_DASHES)}:~〜_*＿()0]*$|^\(?(?:明治|大正|昭和|平成|令和|西暦|[MTSHR・/.,])*年(?:月(?:日)?)?\)?$"
)
_ZERO_DAY = re.compile(
    r"^(?:1900年?-?0?1[月\-]?0{1,2}日?|(?:明治|明|M)-?33[年\-]0?1[月\-]0{1,2}日?|1899[年\-]12[月\-]3[01]日?)$"
)

# ------------------------------------------------------------------------ the date
_PLAIN = re.compile(
    r"^(?:(?P<era>明治|大正|昭和|平成|令和|[MTSHR])(?=[0-9]{1,2}[年./])|(?=[0-9]{4}))"
    r"(?P<y>[0-9]{1,4})[年./-](?P<m>[0-9]{1,2})[月./-](?P<d>[0-9]{1,2})日?\Z"
)
_ERA = re.compile(r"^\(?(明治|大正|昭和|平成|令和|[明大昭平令MTSHR])\)?(?=[\d元(\-/.・,]|不|未|年|$)")
_KANJI_NUMBER = re.compile(r"[〇零一二三四五六七八九十]+")
_KANJI_TAIL = re.compile(rf"\(?(?:月日|月|日)?\(?(?:{_UNSURE})\)?$")
_SPANS = "上旬|初旬|中旬|下旬|前半|後半|月初|初め|はじめ|初頭|半ば|なかば|月末|末日|末|春|夏|秋|冬"
_KANJI_PARTS = re.compile(
    rf"^(?P<y>\d{{1,4}}|{_UNSURE})年(?:(?P<m>\d{{1,2}}|{_UNSURE})(?:月|$)(?:度$)?)?(?:(?<=月)の?(?P<d>\d{{1,2}}|{_UNSURE})(?:日|$))?"
    rf"(?:の?(?P<span>{_SPANS}))?$"
)
_FISCAL = re.compile(
    rf"^(?P<y>\d{{1,4}})年度(?:の?(?P<m>\d{{1,2}})月(?:(?P<d>\d{{1,2}})日)?)?(?:の?(?P<span>{_SPANS}|上半期|下半期|上期|下期))?$"
)
_MONTH_IN_KANJI = re.compile(rf"^(\d{{1,4}})[{re.escape(_DASHES)}](\d{{1,2}}月.*|[春夏秋冬].?)$")
_DASHED = re.compile(r"^(?P<y>\d{1,4})(?:-(?P<m>\d{1,2}))?(?:-(?P<d>\d{1,2}))?$")
_TWO_YEARS = re.compile(
    r"^(?P<one>(?:明治|大正|昭和|平成|令和|[明大昭平令MTSHR])?\d{1,4})(?P<unit>年度?)?\((?P<other>(?:明治|大正|昭和|平成|令和|[明大昭平令MTSHR])?\d{1,4})(?:年度?)?\)(?P<rest>.*)$"
)
_YEAR = re.compile(r"^(明治|大正|昭和|平成|令和|[明大昭平令MTSHR])?(\d{1,4})$")
_RANGE = re.compile(r"^(?P<one>.+?)(?:から|より|~|〜|→)(?P<other>.+?)(?:までの間|迄の間|までの|まで|迄|の間|間)?$")
_PART_OF = (  # what the second day of a range may leave out, and up to where the first one says it
    (re.compile(r"^(?:\d{1,2}日?|[上中下]旬)$"), re.compile(r"^.*月|^.*\d{4}-\d{1,2}-|^.*[\-]\d{1,2}-(?=\d)")),
    (re.compile(r"^\d{1,2}月"), re.compile(r"^.*?年度?")),
    (re.compile(r"^\d{1,2}-\d{1,2}$"), re.compile(r"^[^\-]*-")),
    (re.compile(r"^\d{1,2}年"), re.compile(r"^(?:明治|大正|昭和|平成|令和|[明大昭平令MTSHR])")),
)
_MONTH_NAMES = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_ENGLISH = "|".join(_MONTH_NAMES)
_DAY_FIRST = re.compile(rf"^(?P<d>\d{{1,2}})-?(?P<m>{_ENGLISH})[A-Z]*-*(?P<y>\d{{4}}|\d{{2}})$")
_MONTH_FIRST = re.compile(rf"^(?P<m>{_ENGLISH})[A-Z]*-*(?P<d>\d{{1,2}})-+(?P<y>\d{{4}})$")


@dataclass(frozen=True, slots=True)
class DateReading:
    """What a text says of a date. ``value`` only if the day is known; ``earliest``/``latest`` inclusive.

    ``note``: ``unknown`` (the text says that it is not known), ``blank`` (a zero or an empty form: nothing was said),
    ``unreadable``, or how it was read (``era_overrun``, ``two_digit_year``, ``excel_serial``, ``time_zone``).
    """

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
BLANK = DateReading(None, "unknown", None, None, "blank")
UNREADABLE = DateReading(None, "unknown", None, None, "unreadable")


@lru_cache(maxsize=200_000)
def read_date(text: str, style: str | None = None, era_codes: str | None = None) -> DateReading:
    """Read one date. ``style`` and ``era_codes`` as the municipality's file declares them (see the module)."""
    return _read(text, style, era_codes, month_only=False)


@lru_cache(maxsize=20_000)
def read_month(text: str, style: str | None = None, era_codes: str | None = None) -> dt.date | None:
    """The first day of the month that the text names, or None. A full date names its month."""
    reading = _read(text, style, era_codes, month_only=True)
    if reading.precision not in ("day", "month") or reading.earliest is None:
        return None
    return reading.earliest.replace(day=1)


def says_nothing(text: str) -> bool:
    """Whether a date's text is a blank in disguise (Excel's zero, 0000-00-00, an empty form) and no unreadable one."""
    return read_date(text).note == "blank"


def _read(text: str, style: str | None, era_codes: str | None, *, month_only: bool) -> DateReading:
    if plain := _PLAIN.match(text):
        # nearly every date: no word and no time around it
        year, month, day = int(plain["y"]), int(plain["m"]), int(plain["d"])
        if month and day and year != 1899:
            return _in_era(_NAMES[plain["era"]], year, month, day) if plain["era"] else _western(year, month, day)
    if len(text) in (7, 8) and text.isascii() and text.isdecimal() and text.strip("0"):
        return _read_digits(text, style, era_codes, month_only=month_only) or UNREADABLE
    tidy = _unwrapped(text)
    if not tidy:
        return UNREADABLE
    if _BARE_MIDNIGHT.fullmatch(tidy):
        return BLANK
    tidy, moment = _without_time(tidy)
    tidy = _squeezed(tidy)
    if _NOTHING.match(tidy) or _ZERO_DAY.match(tidy.translate(_SEPARATOR)):
        return BLANK
    if _UNKNOWN.match(tidy):
        return UNKNOWN
    reading = _read_digits(tidy, style, era_codes, month_only=month_only)
    if reading is None:
        bare = _BEHIND.sub("", _BEFORE.sub("", _AGE.sub("", tidy)))
        reading = _read_digits(bare, style, era_codes, month_only=month_only)
    if reading is None:
        reading = _read_written(tidy, two_digits=style in ("iso", "slash"), month_only=month_only)
    return reading if moment is None else _in_japan(reading, *moment)


# ------------------------------------------------------------------- around the date


def _unwrapped(text: str) -> str:
    """One width, upper case, without marks nobody sees and without what keeps a spreadsheet's hands off (="…", ')."""
    tidy = text
    if not text.isascii():
        tidy = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).translate(_BRACKETS)
    elif not text.isprintable():
        tidy = _INVISIBLE.sub("", text)
    tidy = tidy.strip()
    while guard := _GUARD.match(tidy):
        tidy = (guard[1] if guard[1] is not None else guard[2]).strip()
    return tidy.translate(_BRACKETS).upper()


def _without_time(tidy: str) -> tuple[str, tuple[int, int, int] | None]:
    """The text without its time of day, and (hour, minute, zone's minutes) where a zone other than Japan's stands."""
    match = _DIGITS_AND_TIME.match(tidy) or _PLAIN_TIME.match(tidy) or _TIME.match(tidy)
    if match is None:
        return _ZONE_ALONE.sub("", tidy), None
    groups = match.groupdict()
    zone = groups.get("zone")
    if zone is None or zone == "JST":
        return match["date"], None
    hour, minute = int(groups["hour"]), int(groups.get("minute") or groups.get("kanji_minute") or 0)
    half = (groups.get("half") or groups.get("half_behind") or "").replace(".", "")
    if half in ("午後", "PM") and hour < 12:
        hour += 12
    if hour > 24 or minute > 59:
        return match["date"], None
    return match["date"], (hour, minute, _offset(zone))


def _offset(zone: str) -> int:
    """Minutes that a zone is ahead of UTC."""
    digits = re.sub(r"\D", "", zone)
    if not digits:
        return 0
    minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
    return -minutes if zone[0] in "-−" else minutes


def _in_japan(reading: DateReading, hour: int, minute: int, zone: int) -> DateReading:
    """The day in Japan of a moment somewhere else."""
    if reading.value is None:
        return reading
    moved = (hour * 60 + minute - zone + _JAPAN_MINUTES) // (24 * 60)
    if not moved:
        return reading
    day = reading.value + dt.timedelta(days=moved)
    return DateReading(day, "day", day, day, "time_zone")


def _squeezed(tidy: str) -> str:
    """Without blanks; one between two digits parts them, so that "2022 1 12" is never taken for seven digits."""
    tidy = _WEEKDAY.sub("", tidy) if not tidy[:1].isdecimal() or not tidy.replace("-", "").isdecimal() else tidy
    tidy = re.sub(r"(?<=[0-9])\s+(?=[0-9])", "-", tidy.strip())
    tidy = re.sub(r"\s+", "", tidy)
    while len(tidy) > 2 and tidy[0] == "(" and tidy.find(")") == len(tidy) - 1:
        tidy = tidy[1:-1]
    return tidy


# ----------------------------------------------------------------------- bare digits


def _read_digits(tidy: str, style: str | None, era_codes: str | None, *, month_only: bool) -> DateReading | None:
    """Texts whose meaning depends on the declared style: nothing but digits."""
    match = re.fullmatch(r"([0-9]+)(?:\.([0-9]+))?", tidy)
    if match is None:
        return None
    digits, fraction = match[1], (match[2] or "").strip("0")
    if style == "excel_serial" and 2 <= len(digits) <= 5:
        return _serial(int(digits), *_EXCEL_LIMITS)
    if len(digits) == 5 and (style != "wareki_code" or fraction):
        reading = _serial(int(digits), *_UNDECLARED_SERIALS)
        return replace(reading, note="excel_serial") if reading.readable and style != "excel_serial" else reading
    if fraction or (match[2] is not None and len(digits) < 6):
        return None  # 2022.12 is a month
    if len(digits) == 8:
        return _western(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    if style == "wareki_code" and len(digits) in (7, 5):
        era = ERA_CODES.get(era_codes or "jis", {}).get(digits[0])
        if era is None:
            return UNREADABLE
        if len(digits) == 7:
            return _in_era(era, int(digits[1:3]), int(digits[3:5]), int(digits[5:]))
        return _in_era(era, int(digits[1:3]), int(digits[3:5]), None) if month_only else UNREADABLE
    if len(digits) == 6 and month_only:
        return _western(int(digits[:4]), int(digits[4:]), None)
    if len(digits) == 4 and style in ("iso", "slash", "compact"):
        return _western(int(digits), None, None)
    return UNREADABLE


def _serial(days: int, first: int, last: int) -> DateReading:
    return _known(_EXCEL_EPOCH + dt.timedelta(days=days)) if first <= days <= last else UNREADABLE


# --------------------------------------------------------------------- written dates


def _read_written(tidy: str, *, two_digits: bool, month_only: bool) -> DateReading:
    """Texts that carry their meaning: an era name or letter, kanji units, separators."""
    text = (
        tidy.replace("元", "1") if re.search(r"(?:明治|大正|昭和|平成|令和|[明大昭平令MTSHR])[()]?元", tidy) else tidy
    )
    text = _KANJI_NUMBER.sub(lambda found: str(_kanji_number(found[0])), text)
    text = _BEFORE.sub("", _AGE.sub("", text))
    if (span := _range(text)) is not None:
        return span
    if _ONE_SIDED.search(text):
        # "before", "from … on": one bound says too little to be of use, and the other one must not be made up
        return UNKNOWN if _read_exact(_ONE_SIDED.sub("", text)).readable else UNREADABLE
    text = _BEHIND.sub("", text)
    plain = _ABOUT_BEHIND.sub("", _ABOUT_BEFORE.sub("", text))
    about = plain != text
    # behind 頃 or between 推定 and the date the words that are dropped may stand again
    plain = _WITHIN.sub("", _BEHIND.sub("", _BEFORE.sub("", plain)))
    reading = _read_exact(plain, two_digits=two_digits, month_only=month_only)
    if about and reading.value is not None:
        # "about the 20th": the day is a guess, its month is what can be relied on
        return replace(_western(reading.value.year, reading.value.month, None), note=reading.note)
    return reading


def _range(text: str) -> DateReading | None:
    """から…までの間: the bounds that stand there. None if the text is no range."""
    match = _RANGE.match(text)
    if match is None:
        return None
    one, other = (_ABOUT_BEHIND.sub("", match[name]) for name in ("one", "other"))
    one = _ABOUT_BEFORE.sub("", one)
    one, other = (re.sub(r"推定|約", "", part) for part in (one, other))
    if not re.search(r"\d|旬$", other):
        return None
    dashed = other.translate(_SEPARATOR)
    for left_out, said in _PART_OF:
        if left_out.match(dashed):
            first = one if "月" in one or "年" in one else one.translate(_SEPARATOR)
            head = said.match(first)
            other = head[0] + (other if first == one else dashed) if head else other
            break
    begin, end = _read_exact(one), _read_exact(other)
    if begin.earliest is None or end.latest is None or begin.earliest > end.latest:
        return UNREADABLE
    return _between(begin.earliest, end.latest)


def _between(earliest: dt.date, latest: dt.date) -> DateReading:
    if earliest == latest:
        return _known(earliest)
    same = (earliest.year, earliest.month) == (latest.year, latest.month)
    return DateReading(None, "month" if same else "year", earliest, latest)


def _read_exact(text: str, *, two_digits: bool = False, month_only: bool = False) -> DateReading:
    both = _TWO_YEARS.match(text)
    if both is not None:
        # 2022(令和4)年: two names of one year; if they are two years, nobody knows which is meant
        if _calendar_year(both["one"]) != _calendar_year(both["other"]):
            return UNREADABLE
        rest = (both["unit"] or "") + both["rest"]
        text = both["one"] + ("" if rest.startswith("年") or (rest and rest[0] in _DASHES) else "年") + rest
    era_match = _ERA.match(text)
    era = _NAMES[era_match[1]] if era_match else None
    rest = text[era_match.end() :].lstrip(_DASHES) if era_match else text
    if era and _UNKNOWN.match(rest):
        # the era alone bounds a life too loosely to be of use
        return UNKNOWN
    if match := _FISCAL.match(rest):
        return _fiscal(era, match)
    if "年" not in rest and (match := _MONTH_IN_KANJI.match(rest)):
        rest = f"{match[1]}年{match[2]}"
    if "年" in rest:
        return _in_kanji(era, rest)
    if era and rest.isdecimal() and len(rest) in (6, 4):
        # R041220, R0412
        return _in_era(era, int(rest[:2]), int(rest[2:4]), int(rest[4:]) if len(rest) == 6 else None)
    dashed = rest.translate(_SEPARATOR).rstrip("-")
    if not era and (match := _DAY_FIRST.match(dashed) or _MONTH_FIRST.match(dashed)):
        year = int(match["y"])
        reading = _western(_century(year) if year < 100 else year, _MONTH_NAMES[match["m"]], int(match["d"]))
        return replace(reading, note="two_digit_year") if year < 100 and reading.readable else reading
    match = _DASHED.match(dashed)
    if match is None:
        return UNREADABLE
    year = int(match["y"])
    month, day = (int(part) if part else None for part in match.group("m", "d"))
    if era:
        return _in_era(era, year, month, day)
    if len(match["y"]) == 4:
        return _western(year, month, day)
    if len(match["y"]) == 2 and two_digits and month and (day if not month_only else True):
        reading = _western(_century(year), month, day)
        return replace(reading, note="two_digit_year") if reading.readable else reading
    return UNREADABLE


def _century(year: int) -> int:
    return year + (2000 if year < TWO_DIGIT_PIVOT else 1900)


def _calendar_year(text: str) -> int | None:
    match = _YEAR.match(text)
    if match is None:
        return None
    year = int(match[2])
    return ERAS[_NAMES[match[1]]][0].year + year - 1 if match[1] else year


def _in_kanji(era: str | None, rest: str) -> DateReading:
    """年, 月 and 日 as far as they are there; blanks of a form (令和4年 月 日) are parts that are not known."""
    trimmed = _KANJI_TAIL.sub("", rest)
    trimmed = re.sub(r"(?<=年)月?日?$|(?<=月)日$", "", re.sub(r"[○◯_?*]+(?=[月日])", "", trimmed))
    # "4年5月不詳" and "4年5月日不詳" both leave the month known; "4年不詳" the year
    if rest != trimmed and re.search(r"年\d{1,2}$", trimmed):
        trimmed += "月"
    match = _KANJI_PARTS.match(trimmed)
    if match is None:
        return UNREADABLE
    year, month, day = (int(part) if part and part.isdecimal() else None for part in match.group("y", "m", "d"))
    if year is None:
        return UNREADABLE
    reading = _in_era(era, year, month, day) if era else _western(year, month, day)
    return _narrowed(reading, match["span"]) if match["span"] else reading


_THIRDS = {"上旬": (1, 10), "初旬": (1, 10), "中旬": (11, 20), "下旬": (21, 31), "前半": (1, 15), "後半": (16, 31)}
_SEASONS = {"春": (3, 5), "夏": (6, 8), "秋": (9, 11)}  # winter lies at both ends of a year: the year stands


def _narrowed(reading: DateReading, span: str) -> DateReading:
    """A month's third or half, a year's season. What is not exact ("初め", "末") leaves the month or the year."""
    if reading.value is not None or reading.earliest is None or reading.latest is None:
        return UNREADABLE
    if span == "末日" and reading.precision == "month":
        return _known(reading.latest)
    earliest, latest = reading.earliest, reading.latest
    if reading.precision == "month" and span in _THIRDS:
        first, last = _THIRDS[span]
        earliest, latest = earliest.replace(day=max(first, earliest.day)), latest.replace(day=min(last, latest.day))
    elif reading.precision == "year" and span in _SEASONS:
        first, last = _SEASONS[span]
        year = earliest.year
        earliest = max(earliest, dt.date(year, first, 1))
        latest = min(latest, dt.date(year, last, calendar.monthrange(year, last)[1]))
    elif span in _SEASONS or span in _THIRDS:
        return UNREADABLE if reading.precision == "month" else reading
    return UNREADABLE if earliest > latest else replace(reading, earliest=earliest, latest=latest)


def _fiscal(era: str | None, match: re.Match[str]) -> DateReading:
    """A year from 1 April to 31 March, or a month or a day in it: 令和4年度3月 is March 2023."""
    year = int(match["y"])
    month, day = (int(part) if part else None for part in match.group("m", "d"))
    if era:
        first, last = ERAS[era]
        if year < 1 or year > last.year - first.year + 1 + OVERRUN_YEARS:
            return UNREADABLE
        year += first.year - 1
    if not FIRST_YEAR <= year < LAST_YEAR:
        return UNREADABLE
    if month is not None:
        reading = _western(year + (month < 4), month, day)
        return _narrowed(reading, match["span"]) if match["span"] else reading
    begin, end = dt.date(year, 4, 1), dt.date(year + 1, 3, 31)
    if match["span"] in ("上半期", "上期"):
        end = dt.date(year, 9, 30)
    elif match["span"] in ("下半期", "下期"):
        begin = dt.date(year, 10, 1)
    return DateReading(None, "year", begin, end)


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
