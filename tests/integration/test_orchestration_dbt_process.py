"""dbt inside the run's process: whatever the warehouse, nothing left open, stopped when nobody listens."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.errors import KodomoError
from kodomo_platform.orchestration import dbt_process
from kodomo_platform.orchestration.dbt import PARSED, PROJECT_DIR, manifest
from tests.integration.test_staging_models import make_warehouse

MODELS = ("cleansing_rules", "stg_education__enrolment", "stg_education__attendance")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("in-process") / "town.duckdb"
    make_warehouse(path)
    return path


def _build(warehouse: Path, target: Path, *models: str) -> Iterator[dict[str, Any]]:
    manifest()  # makes the parsed project where it is missing
    variables = json.dumps({"warehouse": str(warehouse)})
    return dbt_process.events(
        ["run", "--vars", variables, "--select", " ".join(models)], project=PROJECT_DIR, parsed=PARSED, target=target
    )


def _built(events: Iterator[dict[str, Any]]) -> set[str]:
    return {
        event["data"]["node_info"]["node_name"]
        for event in events
        if event["info"]["name"] == "LogModelResult" and event["data"]["node_info"]["node_status"] == "success"
    }


def test_two_towns_in_one_process_each_in_its_own_file(warehouse: Path, tmp_path: Path) -> None:
    other = tmp_path / "another.town.duckdb"
    shutil.copy(warehouse, other)
    with duckdb.connect(str(other)) as con:
        con.execute("delete from raw.raw_education__enrolment where student_number = '1'")
    before = Path.cwd()
    counts = {}
    for town in (warehouse, other, warehouse):
        assert _built(_build(town, tmp_path / "target", *MODELS)) == set(MODELS)
        # closed again: it opens with other settings, and is whole without its write-ahead log
        with duckdb.connect(str(town), config={"threads": 1}) as con:
            counts[town] = con.execute("select count(*) from staging.stg_education__enrolment").fetchall()[0][0]
        assert not town.with_name(town.name + ".wal").exists()
    assert counts == {warehouse: 3, other: 2}
    assert Path.cwd() == before
    assert (tmp_path / "target" / "dbt.log").is_file()


def test_what_fails_is_named_and_no_cell_is_quoted(warehouse: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.duckdb"
    shutil.copy(warehouse, broken)
    with duckdb.connect(str(broken)) as con:
        con.execute("drop table raw.raw_education__enrolment")
        con.execute("create table raw.raw_education__enrolment as select '山田 花子' as student_number")
    events: list[dict[str, Any]] = []
    with pytest.raises(KodomoError) as said:
        events.extend(_build(broken, tmp_path / "target", *MODELS))
    assert "stg_education__enrolment (error)" in str(said.value)
    assert "what to do" in str(said.value)
    assert "stg_education__attendance" not in str(said.value)
    assert "山田" not in str(said.value)
    with duckdb.connect(str(broken), config={"threads": 1}) as con:
        assert con.execute("select count(*) from staging.stg_education__attendance").fetchall()


def test_who_stops_listening_stops_dbt(warehouse: Path, tmp_path: Path) -> None:
    endless = tmp_path / "endless.duckdb"
    shutil.copy(warehouse, endless)
    with duckdb.connect(str(endless)) as con:
        con.execute("drop table if exists staging.stg_education__attendance")
        con.execute("alter table raw.raw_education__attendance rename to kept")
        # a billion of billions of rows: nothing would end this but an interruption
        con.execute(
            "create view raw.raw_education__attendance as select kept.* from kept, range(1000000000), range(1000000000)"
        )
    events = _build(endless, tmp_path / "target", "cleansing_rules", "stg_education__attendance")
    for event in events:
        if event["info"]["name"] == "LogStartLine" and event["data"]["node_info"]["node_name"] != "cleansing_rules":
            break
    events.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "dbt"]
    with duckdb.connect(str(endless), config={"threads": 1}) as con:
        built = con.execute("select 1 from duckdb_tables() where table_name = 'stg_education__attendance'").fetchall()
        assert built == []
