"""The engine on a small warehouse made by hand. Great Expectations and plain SQL must count the same."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from kodomo_platform.errors import QualityError
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.municipalities.models import QualityOverride
from kodomo_platform.quality import compare, group_results, read_results, rethreshold, validate
from kodomo_platform.quality.results import ExpectationResult

from .conftest import AS_OF, CODE, fill

TABLE = "raw.raw_education__attendance"


def attendance(n: int = 60) -> list[dict[str, str | None]]:
    return [
        {
            "student_number": f"{i + 1:08d}", "month": f"2026/{1 + i % 9:02d}", "school_days": "20", "absent_days": "1",
            "late_days": "0", "early_leave_days": "0",
        }
        for i in range(n)
    ]  # fmt: skip


def by_id(results: list[ExpectationResult]) -> dict[str, ExpectationResult]:
    return {result.expectation_id.split(":", 1)[1]: result for result in results}


def run(con: duckdb.DuckDBPyConnection, run_id: str = "r1", **more: object) -> list[ExpectationResult]:
    return validate(con, CODE, [TABLE], run_id, AS_OF, engine="sql", **more)  # type: ignore[arg-type]


def test_faults_are_counted_where_they_are(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = attendance()
    rows[3]["month"] = "令和99年13月"
    rows[4]["absent_days"] = "3.5"
    rows[5]["absent_days"] = "25"
    rows[6]["student_number"] = rows[7]["student_number"]
    rows[6]["month"] = rows[7]["month"]
    fill(warehouse, "education.attendance", rows)
    found = by_id(run(warehouse))
    assert {name for name, r in found.items() if r.status == "failed"} == {
        "month.readable", "absent_days.readable", "absent_days.within_school_days", "duplicates", "duplicates.all",
    }  # fmt: skip
    assert found["month.readable"].unexpected == 1
    assert found["duplicates"].unexpected == 1
    assert found["duplicates.all"].unexpected == 2


def test_empty_table_fails_for_its_rows_alone(warehouse: duckdb.DuckDBPyConnection) -> None:
    found = by_id(run(warehouse))
    assert found["rows"].status == "failed"
    assert found["rows"].severity == "critical"
    assert {r.status for name, r in found.items() if name != "rows"} == {"not_applicable"}


def test_one_row_passes(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", attendance(1))
    assert all(result.passed for result in run(warehouse))


def test_column_all_blank_is_told(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", [{**row, "late_days": " 　"} for row in attendance()])
    assert by_id(run(warehouse))["late_days.column"].status == "failed"


def test_source_not_held_is_not_applicable(warehouse: duckdb.DuckDBPyConnection) -> None:
    results = validate(warehouse, CODE, ["raw_medical__flag"], "r1", AS_OF, engine="sql")
    assert {result.status for result in results} == {"not_applicable"}
    assert {result.reason for result in results} == {"source not held"}


def test_missing_table_and_column_are_errors_of_their_own(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", attendance())
    warehouse.execute(f"alter table {TABLE} drop column late_days")
    found = by_id(run(warehouse))
    assert found["late_days.range"].status == "error"
    assert found["absent_days.range"].status == "passed"
    warehouse.execute(f"drop table {TABLE}")
    assert {result.status for result in run(warehouse)} == {"error"}


def test_history_is_kept_and_a_run_is_not_doubled(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = attendance()
    rows[3]["month"] = "13月"
    fill(warehouse, "education.attendance", rows)
    first = run(warehouse, "r1")
    run(warehouse, "r1")
    warehouse.execute(f"delete from {TABLE} where _row_number = 4")
    run(warehouse, "r2")
    assert warehouse.execute("select count(*) from quality.results").fetchone() == (2 * len(first),)
    difference = compare(read_results(warehouse, "r1"), read_results(warehouse, "r2"))
    assert [result.expectation_id for result in difference.resolved] == [f"{TABLE}:month.readable"]
    assert difference.new == []
    with pytest.raises(QualityError):
        read_results(warehouse, "r3")


def test_rethreshold_judges_without_running(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = attendance()
    rows[3]["month"] = "13月"
    fill(warehouse, "education.attendance", rows)
    results = rethreshold(run(warehouse), {f"{TABLE}:month.readable": 5.0})
    assert by_id(results)["month.readable"].passed


def test_municipality_overrides_a_threshold_with_its_reason(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = attendance()
    rows[3]["month"] = "13月"
    fill(warehouse, "education.attendance", rows)
    override = QualityOverride(
        table="raw_education__attendance", item="month", expectation="expect_values_to_be_readable", threshold=5,
        reason="old forms until 2027",
    )  # fmt: skip
    town = load_municipality(CODE).model_copy(update={"quality_overrides": [override]})
    assert by_id(validate(warehouse, town, [TABLE], "r1", AS_OF, engine="sql"))["month.readable"].passed
    wrong = town.model_copy(
        update={"quality_overrides": [override.model_copy(update={"expectation": "expect_nothing"})]}
    )
    with pytest.raises(QualityError, match="no suite has"):
        validate(warehouse, wrong, [TABLE], "r1", AS_OF, engine="sql")


def test_groups_hold_counts_only(warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = attendance()
    rows[3]["month"] = "13月"
    fill(warehouse, "education.attendance", rows)
    groups = {group.group: group for group in group_results(run(warehouse))}
    assert groups["critical"].passed
    assert groups["critical"].severity == "ERROR"
    assert not groups["conformance"].passed
    assert groups["conformance"].metadata["failed"] == 1


def test_rows_after_the_as_of_date_do_not_count(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, "education.attendance", attendance())
    results = validate(warehouse, CODE, [TABLE], "r1", AS_OF - dt.timedelta(days=1), engine="sql")
    assert by_id(results)["rows"].status == "failed"


@pytest.mark.parametrize(
    ("rows", "known", "status"), [(60, 60, "passed"), (60, 15, "passed"), (60, 5, "failed"), (40, 0, "not_applicable")]
)
def test_a_delivery_whose_numbers_nobody_knows_is_another_towns(
    warehouse: duckdb.DuckDBPyConnection, rows: int, known: int, status: str
) -> None:
    # attendance names no municipality and no address: its numbers alone tell whose children these are
    for table, first, last in (("enrolment", 0, 200), ("attendance", 200 - known, 200 - known + rows)):
        warehouse.execute(
            f"create table staging.stg_education__{table} as select 'n' || i as source_record_id "
            f"from range({first}, {last}) as r(i)"
        )
    found = by_id(
        validate(warehouse, CODE, ["staging.stg_education__attendance"], "r1", AS_OF, engine="sql", record=False)
    )
    assert found["strangers"].severity == "critical"
    assert found["strangers"].status == status


def test_a_run_that_looks_at_little_does_not_call_the_rest_sound(warehouse: duckdb.DuckDBPyConnection) -> None:
    # Regression: the report of a run that only scored and published said that there was nothing to be noticed
    rows = attendance()
    rows[4]["absent_days"] = "3.5"
    fill(warehouse, "education.attendance", rows)
    run(warehouse)
    validate(warehouse, CODE, ["raw_education__fees"], "r2", AS_OF, engine="sql")
    validate(warehouse, CODE, ["raw_education__fees"], "r3", dt.date(2026, 11, 1), engine="sql")
    found = read_results(warehouse, "r2", standing=True)
    assert {(r.run_id, r.table_name) for r in found} == {("r1", TABLE), ("r2", "raw.raw_education__fees")}
    assert not by_id([r for r in found if r.table_name == TABLE])["absent_days.readable"].passed
    assert {r.run_id for r in read_results(warehouse, "r1", standing=True)} == {"r1"}
    assert {r.run_id for r in read_results(warehouse, "r3", standing=True)} == {"r3"}, "another date's say nothing"
