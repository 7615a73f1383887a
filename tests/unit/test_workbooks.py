"""Workbooks are read for what is in them, whatever they claim; nothing they claim costs memory or time."""

from __future__ import annotations

import datetime as dt
import resource
import zipfile
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.errors import WorkbookError
from kodomo_platform.workbooks import Cell, Workbook, opened, plain

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = f'<worksheet xmlns="{_MAIN}">{{before}}<sheetData>{{rows}}</sheetData>{{behind}}</worksheet>'


def made(path: Path, rows: str, *, before: str = "", behind: str = "", strings: str | None = None, sheet: str | None = None,
         styles: str = "", book: str = "") -> Path:  # fmt: skip
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}">{book}<sheets><sheet name="名簿" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        archive.writestr("xl/_rels/workbook.xml.rels", '<R><Relationship Id="r1" Target="worksheets/sheet1.xml"/></R>')
        if strings is not None:
            archive.writestr("xl/sharedStrings.xml", strings)
        if styles:
            archive.writestr("xl/styles.xml", f'<styleSheet xmlns="{_MAIN}">{styles}</styleSheet>')
        archive.writestr("xl/worksheets/sheet1.xml", sheet or _SHEET.format(before=before, rows=rows, behind=behind))
    return path


def read(path: Path) -> list[tuple[int, dict[int, str]]]:
    with opened(path) as book:
        return [(row.number, {at: cell.text for at, cell in row.cells.items()}) for row in book.rows(book.sheets[0])]


ROW = '<row r="1"><c r="A1"><v>1</v></c></row>'


def test_a_cell_in_the_last_corner_and_a_claimed_dimension_cost_nothing(tmp_path: Path) -> None:
    path = made(
        tmp_path / "x.xlsx",
        ROW + '<row r="1048576"><c r="XFD1048576"><v>2</v></c></row>',
        before='<dimension ref="A1:XFD1048576"/>',
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read(path) == [(1, {0: "1"}), (1048576, {16383: "2"})]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


def test_a_count_of_four_billion_strings_is_not_believed(tmp_path: Path) -> None:
    strings = f'<sst xmlns="{_MAIN}" count="4000000000" uniqueCount="4000000000"><si><t>あ</t></si></sst>'
    path = made(
        tmp_path / "x.xlsx",
        '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>7</v></c></row>',
        strings=strings,
    )
    assert read(path) == [(1, {0: "あ"})]


def test_a_hundred_thousand_cells_in_a_comment_are_no_cells(tmp_path: Path) -> None:
    path = made(tmp_path / "x.xlsx", ROW + "<!-- " + "<c " * 100_000 + " --><!-- <f> -->")
    assert read(path) == [(1, {0: "1"})]


def test_merges_are_ranges_and_are_not_spread_out(tmp_path: Path) -> None:
    merges = "<mergeCells>" + '<mergeCell ref="A1:XFD1048576"/>' * 20_000 + "</mergeCells>"
    with opened(made(tmp_path / "x.xlsx", ROW, behind=merges)) as book:
        assert len(book.merged(book.sheets[0])) == 20_000


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("<x>" * 100 + "</x>" * 100, "levels of XML"),
        (f'<row><c t="inlineStr"><is><t>{"x" * 2_000_000}</t></is></c></row>', "more than 1 MiB"),
        (f'<row><c r="{"A" * 9_000_000}"/></row>', "no spreadsheet writes"),
        ("<row><c>", "broken XML"),
    ],
)
def test_xml_that_no_spreadsheet_writes(tmp_path: Path, rows: str, why: str) -> None:
    with pytest.raises(WorkbookError, match=why):
        read(made(tmp_path / "x.xlsx", rows))


def test_entities_that_grow_are_refused(tmp_path: Path) -> None:
    sheet = f'<!DOCTYPE w [<!ENTITY a "aaaa">]><worksheet xmlns="{_MAIN}"><sheetData>{ROW}&a;</sheetData></worksheet>'
    with pytest.raises(WorkbookError, match="document type"):
        read(made(tmp_path / "x.xlsx", "", sheet=sheet))


def test_what_openpyxl_writes_is_read_back(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(
        ["あ", 12, 1.5, True, dt.datetime(2026, 9, 1, 9, 30), dt.date(2026, 9, 2), dt.time(9, 30), None, "=1+1", "#N/A"]
    )
    book.save(tmp_path / "x.xlsx")
    with opened(tmp_path / "x.xlsx") as read_book:
        (row,) = read_book.rows(read_book.sheets[0])
        cells = row.cells
        assert [cells[at].text for at in (0, 1, 2, 3)] == ["あ", "12", "1.5", "TRUE"]
        assert [read_book.moment(cells[at]) for at in (4, 5, 6)] == [
            dt.datetime(2026, 9, 1, 9, 30), dt.datetime(2026, 9, 2), dt.time(9, 30),
        ]  # fmt: skip
        assert all(read_book.is_date(cells[at]) for at in (4, 5, 6))
        assert (7 in cells, cells[8].kind, cells[9].kind) == (False, "unvalued", "error")


def style(code: str) -> str:
    return f'<numFmts><numFmt numFmtId="164" formatCode="{code}"/></numFmts><cellXfs><xf numFmtId="164"/></cellXfs>'


@pytest.mark.parametrize(
    ("code", "is_date"),
    [
        ("[$-411]ge\\.m\\.d;@", True), ("[$-411]ggge&quot;年&quot;m&quot;月&quot;d&quot;日&quot;;@", True), ("aaa", True), ("e/m/d", True),
        ("[$-411]ggge", True), ("[h]:mm", True), ("yyyy/m/d\\ (aaa)", True), ("00000000", False), ("0.00E+00", False), ("#,##0", False),
        ("General", False), ("G/標準", False), ("&quot;day&quot;0", False), ("[Red]0", False), ("000\\-0000", False),
    ],
)  # fmt: skip
def test_formats_that_show_a_date(tmp_path: Path, code: str, is_date: bool) -> None:
    with opened(made(tmp_path / "x.xlsx", ROW, styles=style(code))) as book:
        assert book.is_date(Cell("number", "42114", 0)) is is_date


@pytest.mark.parametrize(
    ("code", "number", "shown"),
    [
        ("00000000", "1001", "00001001"), ("000\\-0000", "600042", "060-0042"), ("[&lt;=999]000;[&lt;=9999]000\\-00;000\\-0000", "3350022", "335-0022"),
        ("[&lt;=999]000;[&lt;=9999]000\\-00;000\\-0000", "12", "012"), ("0000", "12345", "12345"), ("0", "12", "12"), ("0.00", "12", "12"),
        ("00000000", "1.5", "1.5"), ("000&quot;-&quot;0000", "3350022", "335-0022"), ("#,##0", "1234567", "1234567"),
    ],
)  # fmt: skip
def test_zeros_are_written_as_they_are_shown(tmp_path: Path, code: str, number: str, shown: str) -> None:
    with opened(made(tmp_path / "x.xlsx", ROW, styles=style(code))) as book:
        assert book.shown(Cell("number", number, 0)) == shown


@given(st.integers(-(10**14), 10**14))
def test_whole_numbers_keep_their_digits(number: int) -> None:
    assert plain(str(number)) == plain(f"{number}.0") == str(number)


def test_numbers_with_more_digits_than_a_spreadsheet_keeps_stay_as_it_rounds() -> None:
    assert plain("12345678901234500") == "1.23456789012345e+16"
    assert plain("2.02601000001E+11") == "202601000001"


@given(st.dates(dt.date(1904, 1, 2), dt.date(2099, 12, 31)))
def test_both_ways_of_counting_days(day: dt.date) -> None:
    serial = (day - dt.date(1899, 12, 30)).days
    for book, days in ((Workbook(None), serial), (Workbook(None, counts_from_1904=True), serial - 1462)):  # type: ignore[arg-type]
        moment = book.moment(Cell("number", str(days)))
        assert isinstance(moment, dt.datetime)
        assert moment.date() == day
        assert book.serial(Cell("number", str(days))) == str(serial)
    assert Workbook(None).moment(Cell("number", "0")) is None  # type: ignore[arg-type]
