"""What the suites find in columns, months and files, and what a municipality decides about absence."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.errors import QualityError
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality import engine, validate
from kodomo_platform.quality.availability import availability
from kodomo_platform.quality.decisions import (
    accept,
    decide,
    decisions_file,
    effective,
    excluded_items,
    keep,
    recorded,
    thresholds,
)
from kodomo_platform.quality.results import ExpectationResult
from kodomo_platform.quality.suites import load_suites, with_overrides

from .conftest import AS_OF, CODE, fill

TABLE = "raw.raw_education__attendance"


def rows(n: int = 300) -> list[dict[str, str | None]]:
    return [
        {
            "student_number": f"{10_000_000 + i % 30}", "month": f"2026/{1 + i // 30:02d}", "school_days": "20",
            "absent_days": str(i % 3), "late_days": str(i % 2), "early_leave_days": str(i % 4 // 3),
        }
        for i in range(n)
    ]  # fmt: skip


def found(con: duckdb.DuckDBPyConnection) -> dict[str, ExpectationResult]:
    results = validate(con, CODE, [TABLE], "r1", AS_OF, engine="sql")
    return {result.expectation_id.split(":", 1)[1]: result for result in results}


def test_a_good_table_raises_no_alarm(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", rows(270))
    assert [key for key, result in found(warehouse).items() if not result.passed] == []


def test_a_lost_digit_a_leap_and_a_constant_column(warehouse: duckdb.DuckDBPyConnection) -> None:
    given = rows(270)
    given[7]["student_number"] = "1000000"
    given[8]["absent_days"] = "200"
    for row in given:
        row["late_days"] = "1"
    fill(warehouse, "education.attendance", given)
    results = found(warehouse)
    assert results["student_number.length"].unexpected == 1
    assert results["absent_days.outliers"].unexpected == 1
    assert results["late_days.varies"].status == "failed"


def test_a_missing_month_and_an_old_export(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", [row for row in rows(180) if row["month"] != "2026/03"])
    results = found(warehouse)
    assert results["months"].unexpected == 1
    assert results["recent"].status == "failed"


def test_lines_that_end_in_two_ways(tmp_path: Path) -> None:
    mixed, alike, wide, book = (tmp_path / name for name in ("mixed", "alike", "wide", "book"))
    mixed.write_bytes(b"a\r\nb\nc\r\n")
    alike.write_bytes(b"a\r\nb\r\n")
    wide.write_bytes("a\r\nb\n".encode("utf-16-le"))
    book.write_bytes(b"PK\x03\x04\r\n\n")
    assert engine._ends_mixed(mixed, "cp932") is True
    assert engine._ends_mixed(alike, "cp932") is False
    assert engine._ends_mixed(wide, "utf-16-le") is True
    assert engine._ends_mixed(book, "") is None
    assert engine._ends_mixed(tmp_path / "none", "") is None


def test_months_before_a_system_began_are_told(warehouse: duckdb.DuckDBPyConnection) -> None:
    for source, months in (("education__attendance", range(1, 7)), ("education__fees", range(4, 7))):
        warehouse.execute(
            f"create table staging.stg_{source} as select '1' as source_record_id, m as month, "
            "'present' as month__status, date '2026-10-01' as _extract_date, 1 as _row_number "
            f"from (select unnest([{', '.join(f'''date '2026-{m:02d}-01' ''' for m in months)}]) as m)"
        )
    warehouse.execute(
        "update cfg.source set held = true, system_start = case when source = 'education.fees' then date '2026-04-01' end"
    )
    warehouse.execute("update cfg.item set held = true")
    early = {
        (cell.source, cell.month)
        for cell in availability(warehouse)
        if set(cell.counts) == {"before_start"} and cell.item == "month"
    }
    assert early == {("education.fees", dt.date(2026, month, 1)) for month in (1, 2, 3)}


def test_a_decision_holds_with_its_reason(home: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    town = load_municipality(CODE)
    theme, item = next(iter(town.by_theme)), "education.fees.unpaid_yen"
    decide(town, item, theme, False, "blank for a third of the schools", "board", dt.date(2026, 9, 1))
    assert excluded_items(town, theme) == {item}
    decide(town, item, theme, True, "the schools deliver now", "board", dt.date(2026, 9, 2))
    assert excluded_items(town, theme) == frozenset()
    assert len(recorded(CODE)) == 2, "earlier decisions stay on record"
    assert keep(warehouse, town) == len(effective(town))
    row = warehouse.execute("select include, reason from quality.absence_decision where item = ?", [item]).fetchone()
    assert row == (True, "the schools deliver now")


def test_a_threshold_decided_by_command_is_on_record_and_counts(home: Path) -> None:
    expectation = next(e for suite in load_suites().values() for e in suite.expectations if e.item)
    identifier = f"{expectation.table}:{expectation.id}"
    accept(CODE, identifier, 12.5, "the schools type it by hand", "board")
    accept(CODE, identifier, 20, "until the new form", "board")
    (override,) = thresholds(CODE)
    assert (override.threshold, "new form" in override.reason) == (20, True)
    (changed,) = with_overrides([expectation], [override])
    assert changed.threshold == 20
    with pytest.raises(QualityError, match="no suite has"):
        accept(CODE, "raw.nothing:x", 5, "why", "board")
    with pytest.raises(QualityError, match="percent"):
        accept(CODE, identifier, 100, "why", "board")


def test_a_decision_without_sense_is_refused(home: Path) -> None:
    town = load_municipality(CODE)
    theme = next(iter(town.by_theme))
    with pytest.raises(QualityError, match="no such item"):
        decide(town, "education.fees.unpaid", theme, False, "why", "board")
    with pytest.raises(QualityError, match="not a theme"):
        decide(town, "education.fees.unpaid_yen", "nothing", False, "why", "board")
    with pytest.raises(QualityError, match="reason"):
        decide(town, "education.fees.unpaid_yen", theme, False, "  ", "board")
    decisions_file(CODE).parent.mkdir(parents=True, exist_ok=True)
    decisions_file(CODE).write_text("- item: [", encoding="utf-8")
    with pytest.raises(QualityError, match="cannot be read"):
        recorded(CODE)
