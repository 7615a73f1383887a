"""Correction sheets: entries keep their number and age, only a corrected extract closes them, returned sheets are suspect."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import duckdb
import openpyxl
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import QualityError
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality import sheets, validate
from kodomo_platform.quality.returned import read_returned
from kodomo_platform.quality.sheets import age_said, open_entries, write_sheets

from .conftest import AS_OF, CODE, fill

SOURCE = "education.fees"
EARLIER = dt.date(2026, 6, 1)


def deliver(
    con: duckdb.DuckDBPyConnection, day: dt.date, rows: list[tuple[str, str, str]], source_key: str = SOURCE
) -> None:
    """(number, month, yen) as one extract."""
    source = load_catalog().sources[source_key]
    names = [item.name for item in source.items]
    for number, (key, month, yen) in enumerate(rows, start=1):
        given = {"student_number": key, "month": month, "unpaid_yen": yen, "unpaid_months": "1"}
        con.execute(
            f"insert into raw.{source.raw_table} values ({', '.join('?' * (len(names) + 4))})",
            [*(given.get(name) for name in names), CODE, day, day.isoformat().ljust(64, "f"), number],
        )


def good(n: int) -> list[tuple[str, str, str]]:
    return [(f"{i + 1:08d}", "令和8年4月", "500") for i in range(n)]


@pytest.fixture
def faulty(warehouse: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    warehouse.execute("update cfg.source set extract_kind = 'full', held = true")
    warehouse.execute("update cfg.item set held = true, date_style = 'wareki_kanji' where source = 'education.fees'")
    rows = good(20)
    rows[3] = ("00000004", "令和8年13月", "500")
    rows[5] = ("00000006", "令和8年4月", "五百")
    deliver(warehouse, EARLIER, rows)
    return warehouse


def test_an_entry_keeps_number_and_age_when_its_row_moves(faulty: duckdb.DuckDBPyConnection) -> None:
    first = {e.row.expectation.id: e for e in open_entries(faulty, EARLIER)}
    assert {"month.readable", "unpaid_yen.readable"} <= set(first)
    # the next extract mends the yen, leaves the month, and stands in another order
    rows = [*good(20)[::-1], ("00000004", "令和8年13月", "500")]
    rows = [row for row in rows if row != ("00000004", "令和8年4月", "500")]
    deliver(faulty, AS_OF, rows)
    later = {e.row.expectation.id: e for e in open_entries(faulty, AS_OF)}
    assert "unpaid_yen.readable" not in later
    assert later["month.readable"].number == first["month.readable"].number
    assert later["month.readable"].first_seen == EARLIER
    assert later["month.readable"].row.row_number != first["month.readable"].row.row_number
    closed = faulty.execute(
        "select closed_on from quality.correction_entry where entry = ?", [first["unpaid_yen.readable"].number]
    ).fetchone()
    assert closed == (AS_OF,)


def test_age_shows() -> None:
    assert age_said(0).startswith("新規")
    assert age_said(30).startswith("対応中")
    assert "late" in age_said(40)
    assert "overdue" in age_said(120)


def sent(con: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    paths = write_sheets(con, load_municipality(CODE), EARLIER, folder)
    assert len(paths) == 1
    return paths[0]


def test_a_sheet_that_comes_back_as_it_went_is_sound(faulty: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    found = read_returned(faulty, sent(faulty, tmp_path), AS_OF)
    assert found.sound
    assert not found.accepted
    assert len(found.unanswered) >= 2


def test_added_removed_repeated_altered_and_reordered_rows_are_told(
    faulty: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = sent(faulty, tmp_path)
    book = openpyxl.load_workbook(path)
    sheet = book[SOURCE]
    rows = [list(row) for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert len(rows) >= 2
    sheet.delete_rows(2, len(rows))
    kept, removed = rows[0], rows[1]
    changed = list(kept)
    kept[12] = "修正済"
    changed[4] = 9999  # another row number under the same entry
    sheet.append(["ffffffffffff", "x", "y", "z", 1, "=cmd()", "<script>", "", "", "", "", "", "修正済"])
    sheet.append(kept)
    sheet.append(changed)
    book.save(path)
    found = read_returned(faulty, path, AS_OF)
    assert not found.sound
    assert found.removed == sorted(str(row[0]) for row in rows[1:])
    assert removed[0] in found.removed
    assert found.added_rows == [f"{SOURCE}!2"]
    assert found.repeated == [kept[0]]
    assert found.accepted == {}  # of an entry that stands twice, neither answer counts
    assert all(entry.number for entry in open_entries(faulty, AS_OF))


def test_an_altered_row_is_told_and_another_order_is_fine(faulty: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = sent(faulty, tmp_path)
    book = openpyxl.load_workbook(path)
    sheet = book[SOURCE]
    rows = [list(row) for row in sheet.iter_rows(min_row=2, values_only=True)]
    sheet.delete_rows(2, len(rows))
    rows[0][12] = "誤りではない"
    rows[1][5] = "another item"
    for row in rows[::-1]:
        sheet.append(row)
    book.save(path)
    found = read_returned(faulty, path, AS_OF)
    assert found.reordered
    assert found.altered == [rows[1][0]]
    assert found.accepted == {rows[0][0]: "right"}
    # an answer closes nothing
    entries = {entry.number: entry for entry in open_entries(faulty, EARLIER)}
    assert entries[str(rows[0][0])].answer == "right"


def test_what_is_no_sheet_of_ours_is_refused(faulty: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = sent(faulty, tmp_path)
    with pytest.raises(QualityError, match="no sheet of this name"):
        read_returned(faulty, tmp_path / "other.xlsx", AS_OF)
    path.write_bytes(b"no workbook")
    with pytest.raises(QualityError, match="not a workbook that can be read"):
        read_returned(faulty, path, AS_OF)


def _many(con: duckdb.DuckDBPyConnection, day: dt.date, n: int) -> None:
    deliver(con, day, [(f"{i + 1:08d}", "令和8年13月", "500") for i in range(n)])


def test_what_a_sheet_has_no_room_for_stands_in_a_csv_beside_it(
    faulty: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "ROWS_PER_SHEET", 5)
    _many(faulty, AS_OF, 12)
    faulty.execute(
        "insert into raw.files select 'education.fees', date '2026-10-01', '=cmd()|A1.csv', _source_file_sha256, "
        "12, 12, 0, 'cp932', now(), true from raw.raw_education__fees where _extract_date = date '2026-10-01' limit 1"
    )
    entries = open_entries(faulty, AS_OF)
    assert len(entries) >= 12
    beside, book = write_sheets(faulty, load_municipality(CODE), AS_OF, tmp_path)
    assert (beside.suffix, book.suffix) == (".csv", ".xlsx")
    workbook = openpyxl.load_workbook(book)
    on_sheet = [str(row[0]) for row in workbook[SOURCE].iter_rows(min_row=2, values_only=True)]
    with beside.open(encoding="utf-8-sig", newline="") as stream:
        header, *rest = csv.reader(stream)
    assert header[0].endswith("entry")
    # every open entry stands in one of the two, once, and the two are in the order of the rows
    assert len(on_sheet) == 5
    assert sorted([*on_sheet, *(row[0] for row in rest)]) == sorted(entry.number for entry in entries)
    assert [int(row[4]) for row in rest] == sorted(int(row[4]) for row in rest)
    assert {row[2] for row in rest} == {"'=cmd()|A1.csv"}, "a file's name cannot run as a formula"
    (summary,) = list(workbook["概要 summary"].iter_rows(min_row=2, values_only=True))
    assert summary[2] == len(entries)
    assert beside.name in str(summary[6])
    assert f"{len(rest)} more" in str(summary[6])


def test_what_is_needed_no_more_goes_away(
    faulty: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "ROWS_PER_SHEET", 5)
    _many(faulty, AS_OF, 12)
    former = tmp_path / "correction_112241_2026-09-01_01_education.fees.csv"
    stale = tmp_path / "correction_112241_2026-10-01_02.xlsx"
    for path in (former, stale):
        path.write_text("", encoding="utf-8")
    town = load_municipality(CODE)
    assert len(write_sheets(faulty, town, AS_OF, tmp_path)) == 2
    faulty.execute("delete from raw.raw_education__fees where _extract_date = date '2026-10-01' and _row_number > 3")
    (left,) = write_sheets(faulty, town, AS_OF, tmp_path)
    # nor does a sheet stay for a holder that has nothing open any more; what was sent for another day is kept
    assert set(tmp_path.iterdir()) == {left, former}


def test_a_returned_sheet_is_judged_by_what_stood_on_it_alone(
    faulty: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "ROWS_PER_SHEET", 5)
    _many(faulty, AS_OF, 12)
    beside, path = write_sheets(faulty, load_municipality(CODE), AS_OF, tmp_path)
    found = read_returned(faulty, path, AS_OF)
    assert found.sound, "what stands in the CSV is not missing from the sheet"
    with beside.open(encoding="utf-8-sig", newline="") as stream:
        pasted = list(csv.reader(stream))[1]
    book = openpyxl.load_workbook(path)
    book[SOURCE].append([*pasted[:12], "修正済"])
    book.save(path)
    found = read_returned(faulty, path, AS_OF)
    assert found.added_rows == [f"{SOURCE}!7"]
    assert found.accepted == {}


def test_blanks_within_what_is_allowed_are_no_request(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows: list[dict[str, str | None]] = [
        {"student_number": f"{i:08d}", "answered_on": f"2026-05-{1 + i % 28:02d}", "mood": str(1 + i % 5), "sleep": "3"}
        for i in range(100)
    ]
    rows[3]["mood"] = ""
    for row in rows[:10]:
        row["sleep"] = ""
    fill(warehouse, "survey.wellbeing", rows)
    validate(warehouse, CODE, ["raw.raw_survey__wellbeing"], "r1", AS_OF, engine="sql")
    asked = {entry.row.expectation.id for entry in open_entries(warehouse, AS_OF, run_id="r1")}
    # one answer of a hundred is missing as anywhere; a tenth is not
    assert "sleep.present" in asked
    assert "mood.present" not in asked
