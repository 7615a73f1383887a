"""Every date style reads back to the day it was written from; nothing else becomes a day."""

from __future__ import annotations

import calendar
import datetime as dt
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.cleansing.dates import ERA_CODES, ERAS, read_date, read_month, says_nothing

days = st.dates(dt.date(1868, 1, 25), dt.date(2050, 12, 31))
_FULL_WIDTH = str.maketrans("0123456789./-", "０１２３４５６７８９．／－")


def era_of(day: dt.date) -> tuple[str, int]:
    name = next(era for era, (first, last) in ERAS.items() if first <= day <= last)
    return name, day.year - ERAS[name][0].year + 1


def written(day: dt.date) -> list[tuple[str, str, str]]:
    """(text, style, era codes) of one day in every style."""
    era, year = era_of(day)
    letter = dict(zip(ERAS, "MTSHR", strict=True))[era]
    name = "元" if year == 1 else str(year)
    codes = {kind: {era: code for code, era in table.items()}[era] for kind, table in ERA_CODES.items()}
    return [
        (day.isoformat(), "iso", "jis"),
        (f"{day.year}/{day.month}/{day.day}", "slash", "jis"),
        (f"{day:%Y%m%d}", "compact", "jis"),
        (f"{era}{name}年{day.month}月{day.day}日", "wareki_kanji", "jis"),
        (f"{letter}{year}.{day.month}.{day.day}", "wareki_dot", "jis"),
        (f"{letter.lower()}{year:02}/{day.month:02}/{day.day:02}", "wareki_dot", "jis"),
        (f"{codes['jis']}{year:02}{day:%m%d}", "wareki_code", "jis"),
        (f"{codes['odd']}{year:02}{day:%m%d}", "wareki_code", "odd"),
    ]


@settings(deadline=None)
@given(days)
def test_every_style_reads_back(day: dt.date) -> None:
    for text, style, codes in written(day):
        for spelling in (text, text.translate(_FULL_WIDTH), f" {text}　"):
            reading = read_date(spelling, style, codes)
            assert reading.value == reading.earliest == reading.latest == day, spelling
            assert read_month(spelling, style, codes) == day.replace(day=1)


@settings(deadline=None)
@given(st.dates(dt.date(1900, 3, 1), dt.date(2099, 12, 31)))
def test_excel_serials(day: dt.date) -> None:
    serial = (day - dt.date(1899, 12, 30)).days
    assert read_date(str(serial), "excel_serial").value == day
    assert read_date(f"{serial}.0", "excel_serial").value == day
    if 20_000 <= serial <= 60_000:  # a cell whose format was lost, among dates of another style
        assert read_date(str(serial), "wareki_kanji").value == day
        assert read_date(f"{serial}.395833", "slash").value == day
    assert read_date(str(serial), "wareki_code", "odd").value is None
    assert read_date(f"{serial}.395833", "excel_serial").value == day


@settings(deadline=None)
@given(st.text(max_size=20), st.sampled_from([None, "iso", "wareki_code", "excel_serial", "wareki_kanji"]))
def test_never_raises_and_never_contradicts_itself(text: str, style: str | None) -> None:
    reading = read_date(text, style)
    assert (reading.value is not None) == (reading.precision == "day")
    assert (reading.earliest is None) == (reading.latest is None) == (reading.precision == "unknown")
    if reading.earliest and reading.latest:
        assert reading.earliest <= reading.latest


@settings(deadline=None)
@given(st.integers(1, 8), st.integers(1, 12))
def test_uncertain_texts_keep_what_they_say(year: int, month: int) -> None:
    western = 2018 + year
    if (year, month) < (1, 5):
        return
    whole = read_date(f"令和{year}年頃")
    assert (whole.precision, whole.value) == ("year", None)
    assert whole.earliest == max(dt.date(western, 1, 1), dt.date(2019, 5, 1))
    for text in (f"令和{year}年{month}月頃", f"令和{year}年{month}月日不詳", f"令和{year}年{month}月00日"):
        part = read_date(text)
        assert (part.precision, part.value) == ("month", None)
        assert part.earliest == dt.date(western, month, 1)
        assert part.latest == dt.date(western, month, calendar.monthrange(western, month)[1])


@pytest.mark.parametrize(
    ("text", "precision", "earliest", "latest"),
    [
        ("平成31年2月29日", "month", dt.date(2019, 2, 1), dt.date(2019, 2, 28)),
        ("2022-12-00", "month", dt.date(2022, 12, 1), dt.date(2022, 12, 31)),
        ("20220000", "year", dt.date(2022, 1, 1), dt.date(2022, 12, 31)),
        ("令和4年12月20日頃", "month", dt.date(2022, 12, 1), dt.date(2022, 12, 31)),
        ("昭和25年月日不詳", "year", dt.date(1950, 1, 1), dt.date(1950, 12, 31)),
        ("昭和64年頃", "year", dt.date(1989, 1, 1), dt.date(1989, 1, 7)),
        ("平成三十年十二月五日", "day", dt.date(2018, 12, 5), dt.date(2018, 12, 5)),
        ("㋿4年1月2日", "day", dt.date(2022, 1, 2), dt.date(2022, 1, 2)),
        ("2022-12-20 00:00:00", "day", dt.date(2022, 12, 20), dt.date(2022, 12, 20)),
    ],
)
def test_precision(text: str, precision: str, earliest: dt.date, latest: dt.date) -> None:
    reading = read_date(text)
    assert (reading.precision, reading.earliest, reading.latest) == (precision, earliest, latest)


@pytest.mark.parametrize("text", ["年月日不詳", "不詳", "不明", "生年月日不詳", "昭和不詳"])
def test_unknown_is_no_error(text: str) -> None:
    assert read_date(text).note == "unknown"


@pytest.mark.parametrize(
    "text",
    ["令和99年1月1日", "令和4年13月1日", "2022-04-31", "99999999", "昭和99年1月1日", "abc", "令和0年1月1日", "4/1"],
)
def test_nonsense_is_unreadable(text: str) -> None:
    assert read_date(text).note == "unreadable"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("昭和64年1月8日", dt.date(1989, 1, 8)),
        ("平成32年3月31日", dt.date(2020, 3, 31)),
        ("令和元年4月1日", dt.date(2019, 4, 1)),
    ],
)
def test_a_year_past_its_era_is_read_and_noted(text: str, day: dt.date) -> None:
    reading = read_date(text)
    assert (reading.value, reading.note) == (day, "era_overrun")


def test_unknown_era_code_is_unreadable() -> None:
    assert read_date("4041220", "wareki_code", "odd").note == "unreadable"
    assert read_date("4041220", "wareki_code", "jis").value == dt.date(1992, 12, 20)


@pytest.mark.parametrize(
    ("text", "style"),
    [
        ("2026-04", None),
        ("令和8年4月", None),
        ("R8.4", None),
        ("50804", "wareki_code"),
        ("202604", None),
        ("2026/4", "slash"),
    ],
)
def test_months(text: str, style: str | None) -> None:
    assert read_month(text, style, "jis") == dt.date(2026, 4, 1)
    assert read_month(unicodedata.normalize("NFKC", text), style, "jis") == dt.date(2026, 4, 1)


def test_a_year_is_no_month() -> None:
    assert read_month("令和8年") is None
    assert read_month("令和8年13月") is None


# --------------------------------------------------------------------- times, words, brackets, zeros, ranges

TIMES = (
    " 09:35:00", " 9:35", "T09:35:00", "T09:35:00.123+09:00", "　9:35", " 午後2:05", " 9:35 PM", " AM 9:35", " 24:00", " 0:00:00",
    " 25:30", " 99:99", "T00:00:00Z", "T14:59:59Z", "_09:35", " (9:35)", " 9時35分", " 9:35:00 JST", "\t9:35",
)  # fmt: skip
COMPACT_TIMES = ("093500", "0935", " 0935", "T093500+0900", "_093500", "093500123", "T093500Z")
WORDS = (
    ("", "（{weekday}）"), ("", "({weekday}曜日)"), ("", "{weekday}曜日"), ("", " ({weekday}・祝)"), ("({weekday})", ""),
    ("", "生"), ("", "生まれ"), ("", "（生）"), ("", "生（7歳）"), ("", " 現在"), ("", "付け"), ("", "まで"), ("西暦", ""),
    ("生年月日:", ""), ("（", "）"), ("【", "】"), ('="', '"'), ("'", ""), ('\t"', '"'), ("\ufeff", "\u200b"), ("", " "),
)  # fmt: skip


def _eraless(text: str) -> bool:
    return text[0].isascii() and text[0].isdecimal()


@settings(deadline=None)
@given(days, st.sampled_from(TIMES), st.sampled_from(COMPACT_TIMES))
def test_a_time_of_day_is_dropped_and_the_day_stands(day: dt.date, time: str, compact: str) -> None:
    for text, style, codes in written(day):
        for spelling in (text + time, (text + time).translate(_FULL_WIDTH)):
            assert read_date(spelling, style, codes).value == day, spelling
            assert read_month(spelling, style, codes) == day.replace(day=1)
        if style in ("compact", "wareki_code"):
            assert read_date(text + compact, style, codes).value == day, text + compact


@settings(deadline=None)
@given(days, st.sampled_from(WORDS), st.sampled_from(["", *TIMES]))
def test_words_around_a_date_are_dropped(day: dt.date, words: tuple[str, str], time: str) -> None:
    before, behind = (word.format(weekday="月火水木金土日"[day.weekday()]) for word in words)
    for text, style, codes in written(day):
        if before == "西暦" and not _eraless(text):
            continue
        assert read_date(before + text + behind, style, codes).value == day, before + text + behind
        if "日" in behind and not behind.startswith(("生", "（生")):
            assert read_date(before + text + behind + time, style, codes).value == day, before + text + behind + time


@settings(deadline=None)
@given(days)
def test_an_era_may_stand_in_brackets_or_beside_the_western_year(day: dt.date) -> None:
    era, year = era_of(day)
    letter = dict(zip(ERAS, "MTSHR", strict=True))[era]
    for text in (
        f"（{era}）{year}年{day.month}月{day.day}日", f"[{letter}]{year}.{day.month}.{day.day}", f"{letter}.{year}.{day.month}.{day.day}",
        f"{day.year}（{era}{year}）年{day.month}月{day.day}日", f"{era}{year}年（{day.year}年）{day.month}月{day.day}日",
        f"{day.year}({letter}{year})/{day.month}/{day.day}", f"{era[0]}{year}.{day.month}.{day.day}",
    ):  # fmt: skip
        assert read_date(text).value == day, text
    assert read_date(f"{day.year}({era}{year + 1})年{day.month}月{day.day}日").note == "unreadable"


@settings(deadline=None)
@given(st.dates(dt.date(1930, 1, 1), dt.date(2029, 12, 31)))
def test_two_digit_years_are_read_where_no_era_can_be_meant(day: dt.date) -> None:
    for text, style in ((f"{day:%y/%m/%d}", "slash"), (f"{day:%y-%m-%d} 9:35", "iso")):
        assert (read_date(text, style).value, read_date(text, style).note) == (day, "two_digit_year")
        for other in ("wareki_dot", "wareki_kanji", "wareki_code", None):
            assert read_date(text, other).note == "unreadable"


@settings(deadline=None)
@given(st.integers(1990, 2050), st.integers(1, 12))
def test_a_fiscal_year_is_no_calendar_year(year: int, month: int) -> None:
    whole = read_date(f"{year}年度")
    assert (whole.value, whole.earliest, whole.latest) == (None, dt.date(year, 4, 1), dt.date(year + 1, 3, 31))
    assert read_month(f"{year}年度{month}月") == dt.date(year + (month < 4), month, 1)
    if year >= 2019:
        assert read_date(f"令和{year - 2018}年度") == read_date(f"R{year - 2018}年度") == whole


@settings(deadline=None)
@given(st.dates(dt.date(2019, 5, 1), dt.date(2050, 12, 1)), st.integers(1, 40))
def test_the_uncertain_forms_of_a_register_keep_their_bounds(day: dt.date, days_after: int) -> None:
    """住民記録システム標準仕様書 1.1.8: all 14 forms, with and without blanks, in any width."""
    other = day + dt.timedelta(days=days_after)
    era, year = era_of(day)
    other_year = era_of(other)[1]
    last = calendar.monthrange(day.year, day.month)[1]
    months = (day.replace(day=1), day.replace(day=last))
    whole = (max(dt.date(day.year, 1, 1), ERAS[era][0]), dt.date(day.year, 12, 31))
    y, ym = f"{era}{year}年", f"{era}{year}年{day.month}月"
    forms = {
        f"{y}頃": whole,
        f"{ym}頃": months,
        f"{ym}{day.day}日頃": months,
        f"推定{ym}{day.day}日": months,
        f"推定{ym}": months,
        f"{ym}上旬": (months[0], day.replace(day=10)),
        f"{ym}中旬頃": (day.replace(day=11), day.replace(day=20)),
        f"{ym}下旬": (day.replace(day=21), months[1]),
        "年月日不詳": None,
        f"{y} 月日不詳": whole,
        f"{ym} 日不詳": months,
        f"{ym}{day.day}日から{other_year and ''}{other.month}月{other.day}日頃までの間": (day, other)
        if other.year == day.year
        else ...,
        f"{ym}{day.day}日から{era}{other_year}年{other.month}月{other.day}日頃までの間": (day, other),
        f"{ym}推定{day.day}日から{other.day}日までの間": (day, other) if other.month == day.month else ...,
        f"{ym}{day.day}日頃から{other.day}日頃までの間": (day, other) if other.month == day.month else ...,
    }
    if year > 1:
        forms[f"{y}春"] = (dt.date(day.year, 3, 1), dt.date(day.year, 5, 31))
    for text, bounds in forms.items():
        if bounds is ...:
            continue
        for spelling in (text, text.translate(_FULL_WIDTH), text.replace("年", "年　").replace("月", "月 ")):
            reading = read_date(spelling)
            assert reading.value is None
            assert reading.note == (None if bounds else "unknown"), spelling
            assert (reading.earliest, reading.latest) == (bounds or (None, None)), spelling


@pytest.mark.parametrize(
    "text",
    [
        "1900/1/0", "1900/01/00", "1900-01-00 00:00:00", "1900年1月0日", "M33.1.0", "1899/12/30", "1899-12-31 0:00", "00:00:00",
        "0:00", "0", "0000-00-00", "00000000", "０", "/  /", "--", "年　月　日", "令和　年　月　日", "昭和・平成・令和　年　月　日",
    ],
)  # fmt: skip
def test_zeros_and_empty_forms_are_blanks(text: str) -> None:
    assert read_date(text, "slash").note == "blank"
    assert read_month(text, "slash") is None
    assert says_nothing(text)


@pytest.mark.parametrize(
    ("text", "style", "day"),
    [
        ("2026-09-01T15:00:00.000Z", "iso", dt.date(2026, 9, 2)),  # midnight in Japan, as programs write it
        ("2026-09-01T20:00:00-05:00", "iso", dt.date(2026, 9, 2)),
        ("2026-09-01-09.35.00.000000", "iso", dt.date(2026, 9, 1)),
        ("2026-09-01+09:00", "iso", dt.date(2026, 9, 1)),
        ("20221220.0", "compact", dt.date(2022, 12, 20)),
        ("01-SEP-26", "iso", dt.date(2026, 9, 1)),
        ("R 4. 1. 5", "wareki_dot", dt.date(2022, 1, 5)),
        ("2022 1 12", "wareki_code", dt.date(2022, 1, 12)),
        ("2022年12月末日", "slash", dt.date(2022, 12, 31)),
        ("令和4年度3月31日", "wareki_kanji", dt.date(2023, 3, 31)),
    ],
)
def test_days_in_other_words(text: str, style: str, day: dt.date) -> None:
    assert read_date(text, style).value == day


@pytest.mark.parametrize(
    "text",
    [
        "令和4年3月9日から3日までの間",
        "2026/9/1 35:00",
        "202609011",
        "令和5年5月10日以降中",
        "42114.5.1",
        "9:35",
        "2026/9/1 x",
    ],
)
def test_what_is_near_a_date_is_none(text: str) -> None:
    assert read_date(text, "slash").note == "unreadable"


@pytest.mark.parametrize("text", ["令和4年3月5日以降", "令和4年以前", "2022/4/1以後"])
def test_one_bound_alone_is_unknown(text: str) -> None:
    # Regression: "before 2022" was read as 2022
    assert read_date(text).note == "unknown"
