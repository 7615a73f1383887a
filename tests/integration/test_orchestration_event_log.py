"""Dagster's event log with connections kept open: what several processes and threads write is all there, read by any."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from kodomo_platform.orchestration.event_log import EventLog
from kodomo_platform.orchestration.installation import dagster_instance_home

ASSET = dg.AssetKey("written_by_many")
WRITER = """
import sys
import dagster as dg
with dg.DagsterInstance.get() as instance:
    for number in range(int(sys.argv[2])):
        instance.report_runless_asset_event(
            dg.AssetMaterialization("written_by_many", metadata={"writer": sys.argv[1], "number": number})
        )
        instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=dg.AssetKey("written_by_many"), check_name=f"{sys.argv[1]}_{number}", passed=True)
        )
"""
JOB = """
import dagster as dg

@dg.op
def one(context):
    context.log.info("said by another process")

@dg.job
def of_another_process():
    one()

with dg.DagsterInstance.get() as instance:
    print(of_another_process.execute_in_process(instance=instance).run_id)
"""


@pytest.fixture
def dagster_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", "set by the installation, undone with the test")
    return dagster_instance_home()


def _start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", code, *arguments]
    return subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _written(instance: dg.DagsterInstance) -> list[tuple[object, object]]:
    records = instance.fetch_materializations(ASSET, limit=1000).records
    found = [record.asset_materialization for record in records]
    return sorted((one.metadata["writer"].value, one.metadata["number"].value) for one in found if one)


def test_what_it_replaces_is_still_there() -> None:
    assert {"_connect", "has_table"} <= set(vars(SqliteEventLogStorage))


def test_events_of_concurrent_processes_all_land_and_an_open_reader_sees_them(dagster_home: Path) -> None:
    # the reader stands for the webserver: it has looked before anything was written, and keeps its connections
    with dg.DagsterInstance.get() as reader:
        assert isinstance(reader.event_log_storage, EventLog)
        assert _written(reader) == []
        writers = [_start(WRITER, name, "20") for name in ("first", "second")]
        for writer in writers:
            _, said = writer.communicate(timeout=120)
            assert writer.returncode == 0, said
        assert _written(reader) == sorted((name, number) for name in ("first", "second") for number in range(20))
        checks = reader.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(ASSET, "second_19"), limit=5
        )
        assert len(checks) == 1


def test_an_open_reader_follows_the_run_of_another_process(dagster_home: Path) -> None:
    with dg.DagsterInstance.get() as reader:
        assert reader.get_runs() == []
        run = _start(JOB)
        said, trouble = run.communicate(timeout=120)
        assert run.returncode == 0, trouble
        run_id = said.split()[-1]
        messages = [entry.user_message for entry in reader.all_logs(run_id)]
        assert "said by another process" in messages
        assert reader.get_run_by_id(run_id).is_success  # type: ignore[union-attr]


def test_threads_share_the_log(dagster_home: Path) -> None:
    with dg.DagsterInstance.get() as instance:

        def write(name: str) -> None:
            for number in range(10):
                instance.report_runless_asset_event(
                    dg.AssetMaterialization(ASSET, metadata={"writer": name, "number": number})
                )

        threads = [threading.Thread(target=write, args=(name,)) for name in ("first", "second", "third")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(_written(instance)) == 30


def test_few_files_stay_open_whatever_was_looked_at(dagster_home: Path) -> None:
    with dg.DagsterInstance.get() as instance:
        log = instance.event_log_storage
        assert isinstance(log, EventLog)
        for number in range(20):
            assert list(log.get_logs_for_run(f"run-{number}")) == []
        open_files = {file.path for file in psutil.Process().open_files() if str(dagster_home) in file.path}
        assert len([path for path in open_files if path.endswith(".db")]) < 15
        log.wipe()
        assert list(log.get_logs_for_run("run-1")) == []


def test_a_dagster_yaml_of_before_keeps_working_and_its_events_are_found_by_the_new_one(home: Path) -> None:
    folder = home / "dagster"
    folder.mkdir()
    before = "telemetry:\n  enabled: false\n"
    (folder / "dagster.yaml").write_text(before, encoding="utf-8")
    dagster_instance_home()
    assert (folder / "dagster.yaml").read_text(encoding="utf-8") == before, "what an operator wrote stays"
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert not isinstance(instance.event_log_storage, EventLog)
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, metadata={"writer": "old", "number": 1}))
    (folder / "dagster.yaml").unlink()
    dagster_instance_home()
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        assert isinstance(instance.event_log_storage, EventLog)
        assert _written(instance) == [("old", 1)]
