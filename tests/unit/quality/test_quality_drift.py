"""Change from extract to extract: alarms of each measure, and limits that cannot slide away."""

from __future__ import annotations

import datetime as dt

import duckdb

from kodomo_platform.quality import validate
from kodomo_platform.quality.drift import Alarm, drift_alarms, learnt_limits

from .conftest import AS_OF, CODE

TABLE = "raw.raw_education__health_room"
REASONS = ("けが", "病気", "心の相談")


def visits(con: duckdb.DuckDBPyConnection, day: dt.date, n: int, reasons: tuple[str, ...], minutes: int = 0) -> None:
    """``n`` rows of one extract."""
    con.execute(
        f"insert into {TABLE} (student_number, visited_on, visit_seq, reason, rested_minutes, _municipality, _extract_date, "
        "_source_file_sha256, _row_number) select i::varchar, '2026/05/01', '1', ?[1 + i % len(?)], (i % 40 + ?)::varchar, "
        "?, ?, ?, i + 1 from range(?) as r(i)",
        [list(reasons), list(reasons), minutes, CODE, day, day.isoformat(), n],
    )


def measures(alarms: list[Alarm]) -> set[tuple[str, str | None]]:
    return {(alarm.measure, alarm.item) for alarm in alarms if alarm.source == "education.health_room"}


def test_steady_extracts_raise_nothing_and_each_change_its_own(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute("update cfg.item set held = true where source = 'education.health_room'")
    for month in (7, 8, 9):
        visits(warehouse, dt.date(2026, month, 1), 400, REASONS)
    visits(warehouse, AS_OF, 410, REASONS)
    assert measures(drift_alarms(warehouse, AS_OF)) == set()
    warehouse.execute(f"delete from {TABLE} where _extract_date = ?", [AS_OF])
    visits(warehouse, AS_OF, 900, (*REASONS[:2], "疲れ"), minutes=35)
    warehouse.execute(f"update {TABLE} set visited_on = '' where _extract_date = ? and _row_number % 2 = 0", [AS_OF])
    assert measures(drift_alarms(warehouse, AS_OF)) == {
        ("rows", None), ("blank_percent", "visited_on"), ("psi", "reason"), ("categories", "reason"),
        ("psi", "rested_minutes"),
    }  # fmt: skip


def test_a_source_that_falls_silent_is_told_by_its_own_rhythm(warehouse: duckdb.DuckDBPyConnection) -> None:
    for day in (1, 8, 15):
        visits(warehouse, dt.date(2026, 8, day), 400, REASONS)
    assert measures(drift_alarms(warehouse, dt.date(2026, 8, 25))) == set()
    assert measures(drift_alarms(warehouse, dt.date(2026, 9, 5))) == {("age_days", None)}


def test_numbers_that_nobody_knows_any_more(warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(
        "create table staging.stg_education__enrolment as select i::varchar as source_record_id, "
        "date '2026-08-01' as _extract_date, 'f' as _source_file_sha256, i as _row_number from range(100) as r(i)"
    )
    for day, stranger in ((dt.date(2026, 8, 1), 0), (dt.date(2026, 9, 1), 1), (AS_OF, 30)):
        warehouse.execute(
            "create or replace table staging.stg_education__health_room as select (i + 100 * (i < ?)::int)::varchar as "
            "source_record_id, date '2026-08-01' as _extract_date, 'f' as _source_file_sha256, i as _row_number "
            "from range(100) as r(i)",
            [stranger],
        )
        validate(warehouse, CODE, ["staging.stg_education__health_room"], str(day), day, engine="sql")
        expected = {("unlinked_percent", None)} if stranger == 30 else set()
        assert measures(drift_alarms(warehouse, day)) == expected


def test_limits_learn_but_never_beyond_their_bounds() -> None:
    assert learnt_limits([100, 101, 99], narrowest=0.2, widest=0.5) == (80, 120)
    wild = learnt_limits([10, 500, 90, 1000, 100], narrowest=0.2, widest=0.5)
    assert wild == (50, 150)
