"""Every date style reads back to the day it was written from; nothing else becomes a day."""

from __future__ import annotations

import calendar
import datetime as dt
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.cleansing.dates import ERA_CODES, ERAS, read_date, read_month

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
    assert read_date(str(serial), "wareki_kanji").value is None


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
