"""What no run could make again outlives the warehouse."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.errors import OperationsError
from kodomo_platform.linkage import watch
from kodomo_platform.operations import Act
from kodomo_platform.quality import memory, returned, sheets
from kodomo_platform.quality.results import ExpectationResult, read_results, write_results

CODE = "112241"
DAY = dt.date(2026, 10, 1)


@pytest.fixture(autouse=True)
def closed(home: Path) -> Iterator[None]:
    yield
    operations.close()


def result(run_id: str) -> ExpectationResult:
    return ExpectationResult(
        run_id, DAY, "raw.t", None, "blank", "completeness", "warning", 10, 1, 10.0, 5.0, "failed", False,
        "空欄", "blank", DAY, "raw.t:x.blank", municipality=CODE,
    )  # fmt: skip


def test_results_metrics_and_answers_come_back_into_an_empty_warehouse() -> None:
    with duckdb.connect(":memory:") as con:
        con.execute(
            "create schema linkage; create table linkage.lnk_metric (metric varchar, source varchar, value double)"
        )
        con.execute(
            "insert into linkage.lnk_metric values ('children', '', 12), ('share_linked', 'medical.flag', 0.25)"
        )
        for run_id in ("r1", "r2"):
            write_results(con, [result(run_id)])
            memory.keep_results(con, CODE, run_id)
            watch.keep_history(con, run_id, DAY)
            watch.save_history(con, CODE, run_id)
        con.execute(sheets.ENTRY_DDL)
        con.execute(
            "insert into quality.correction_entry values ('E1', 's', 'x', 'h', ?, ?, null, 'right', ?)", [DAY] * 3
        )
        returned.issue(con, "sheet1", DAY, {"s": [["E1", "s", "f", "d", 1, "i", "r", "e", "w"]]})
        memory.keep_sheets(con, CODE, operations.by_pipeline("a test"))
        before = [con.execute(f"from {table} order by all").fetchall() for table in TABLES]
    with duckdb.connect(":memory:") as con:
        con.execute("create schema linkage")
        assert memory.put_back(con, CODE) == 4
        assert watch.put_back_history(con, CODE) == 4
        assert [con.execute(f"from {table} order by all").fetchall() for table in TABLES] == before
        assert len(read_results(con, "r1")) == 1
        assert memory.put_back(con, CODE) == 0  # what is there is not doubled


TABLES = ("quality.results", "quality.correction_entry", "quality.correction_issued", "linkage.lnk_metric_history")


def test_a_governance_record_has_a_state_at_any_date() -> None:
    act = Act("office", "form of 1 April", "consent")
    operations.open_record(CODE, "consent", "1", "given", act, effective_on=dt.date(2026, 4, 1), person="c1")
    operations.change_record(
        CODE, "consent", "1", "withdrawn", act, effective_on=dt.date(2026, 9, 1), seen=["given"], body={"route": "post"}
    )
    record = operations.governance_record(CODE, "consent", "1")
    days = (dt.date(2026, 3, 31), dt.date(2026, 4, 1), dt.date(2026, 8, 31), dt.date(2026, 9, 1))
    assert [record.state_on(day) for day in days] == ["", "given", "given", "withdrawn"]
    assert record.body == {"route": "post"}
    with pytest.raises(OperationsError, match="this step cannot be taken"):
        operations.change_record(CODE, "consent", "1", "given", act, effective_on=DAY, seen=["given"])
    with pytest.raises(OperationsError, match="such a record already"):
        operations.open_record(CODE, "consent", "1", "given", act, effective_on=DAY)
    with pytest.raises(OperationsError, match="ends before it begins"):
        operations.open_record(
            CODE, "ground", "g", "draft", act, effective_on=DAY, valid_from=DAY, valid_until=DAY - dt.timedelta(1)
        )
    assert operations.audit_verify().sound


def test_a_database_of_a_newer_version_is_left_alone(home: Path) -> None:
    import sqlite3

    operations.migrate()
    operations.close()
    with sqlite3.connect(home / "operations.sqlite3") as connection:
        connection.execute(
            "insert into django_migrations (app, name, applied) values ('operations', '9999_later', '2030-01-01')"
        )
    with pytest.raises(OperationsError, match="newer version"):
        operations.migrate()
