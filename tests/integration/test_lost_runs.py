"""Runs whose process was killed are ended, and a killed command leaves no process behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
from dagster._core.launcher import WorkerStatus

from kodomo_platform.installation.processes import worker
from kodomo_platform.orchestration import lost_runs
from kodomo_platform.orchestration.build import platform_definitions
from kodomo_platform.orchestration.installation import dagster_instance_home
from kodomo_platform.orchestration.launcher import ProcessLauncher
from kodomo_platform.orchestration.resources import municipality_lock
from kodomo_platform.orchestration.tags import WORKER
from tests.integration.command_line import KODOMO

CODE = "343021"
STARTED = dg.DagsterRunStatus.STARTED


@pytest.fixture
def instance(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))
    dagster_instance_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


def record(instance: dg.DagsterInstance, status: dg.DagsterRunStatus = STARTED, **tags: str) -> dg.DagsterRun:
    job = platform_definitions().resolve_job_def("municipality_run")
    return instance.create_run_for_job(job, status=status, tags={"dagster/partition": CODE, **tags})


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    current = instance.get_run_by_id(run.run_id)
    assert current is not None
    return current.status.value


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def test_a_run_whose_process_was_killed_is_ended_and_one_that_works_is_not(instance: dg.DagsterInstance) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    run = record(instance, **{WORKER: str(worker(process.pid))})
    canceling = record(instance, dg.DagsterRunStatus.CANCELING, **{WORKER: str(worker(process.pid))})
    mine = record(instance, **{WORKER: str(worker())})
    assert lost_runs.end_lost_runs(instance) == []
    process.send_signal(signal.SIGKILL)
    process.wait()
    launcher = instance.run_launcher
    assert isinstance(launcher, ProcessLauncher), "Dagster's run monitoring asks this launcher"
    assert launcher.check_run_worker_health(run).status == WorkerStatus.FAILED
    assert launcher.check_run_worker_health(mine).status == WorkerStatus.RUNNING
    assert set(lost_runs.end_lost_runs(instance)) == {run.run_id, canceling.run_id}
    assert [status_of(instance, one) for one in (run, canceling, mine)] == ["FAILURE", "CANCELED", "STARTED"]
    said = [event.message for event in instance.all_logs(run.run_id)]
    assert any("プロセスがなくなりました" in message and "is gone" in message for message in said)


def test_where_the_process_tells_nothing_the_lock_does(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = str(worker()).replace(worker().host, "another-host", 1)
    runs = [record(instance), record(instance, **{WORKER: elsewhere})]
    assert lost_runs.end_lost_runs(instance) == [], "it may still load its code"
    monkeypatch.setattr(lost_runs, "SECONDS_WITHOUT_LOCK", 0.0)
    with municipality_lock(CODE, "somebody"):
        assert lost_runs.end_lost_runs(instance) == []
    assert set(lost_runs.end_lost_runs(instance)) == {run.run_id for run in runs}


def answer(port: int, path: str = "/", **headers: str) -> int:
    """The status with which the pages answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def descendants(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def land(home: Path, *codes: str) -> None:
    for code in codes:
        out = ("--out", str(home / "landing"), "--truth", str(home / "truth" / code))
        arguments = ["synth", "-m", code, "--children", "60", "--months", "14", *out]
        subprocess.run(
            [*KODOMO, *arguments], env=os.environ | {"KODOMO_HOME": str(home)}, check=True, capture_output=True
        )


@pytest.mark.slow
def test_a_killed_demonstration_leaves_no_process_and_no_run_under_way(
    instance: dg.DagsterInstance, home: Path
) -> None:
    arguments = ["demo", "-m", CODE, "-m", "172065", "--children", "60", "--months", "14"]
    demo = subprocess.Popen(
        [*KODOMO, *arguments],
        env=os.environ | {"KODOMO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )

    def under_way() -> list[dg.DagsterRun]:
        return list(instance.get_runs(dg.RunsFilter(statuses=[STARTED])))

    assert wait_until(lambda: len(under_way()) == 2, 120)
    runs = under_way()
    processes = descendants(psutil.Process(demo.pid))
    assert len(processes) >= 3
    demo.kill()
    demo.wait()
    _, alive = psutil.wait_procs(processes[1:], timeout=20)
    assert alive == []
    assert set(lost_runs.end_lost_runs(instance)) == {run.run_id for run in runs}
    for run in runs:
        assert run.remote_job_origin is not None, "Dagster's pages list it under its job"
        assert run.remote_job_origin.repository_origin.get_label() == "__repository__@kodomo_platform"


def test_a_killed_run_of_the_daemon_is_ended_within_a_minute_and_a_killed_ui_leaves_nothing(
    instance: dg.DagsterInstance, home: Path
) -> None:
    land(home, CODE)
    lost = record(instance, **{WORKER: str(worker()).replace(f"|{os.getpid()}|", "|999999999|")})
    (home / "landing" / CODE / "2026-10-01" / ".done").touch()
    instance.add_dynamic_partitions("municipality", [CODE])
    ui = subprocess.Popen(
        [*KODOMO, "ui", "--port", "3931", "--mlflow-port", "3932"],
        env=os.environ | {"KODOMO_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert wait_until(lambda: status_of(instance, lost) == "FAILURE", 60), "at the start of `kodomo ui`"

        def worker_tag() -> str | None:
            for run in instance.get_runs(dg.RunsFilter(statuses=[STARTED])):
                return run.tags.get(WORKER)
            return None

        # the sensor runs by default: it asks for the run of what landed
        assert wait_until(lambda: worker_tag() is not None, 180), (home / "logs" / "dagster-daemon.log").read_text()[
            -3000:
        ]
        for port in (3931, 3932):
            assert answer(port) == 200
            assert answer(port, Host="rebound.example") == 421
        assert answer(3931, "/graphql?query=%7Bversion%7D") == 405
        assert home.stat().st_mode & 0o077 == 0, "the home is closed to others"
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[STARTED]))
        pid = int(run.tags[WORKER].split("|")[3])
        assert pid in {process.pid for process in psutil.Process(ui.pid).children(recursive=True)}
        os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: status_of(instance, run) == "FAILURE", 60)
    finally:
        processes = descendants(psutil.Process(ui.pid))
        ui.kill()
        ui.wait()
        _, alive = psutil.wait_procs(processes[1:], timeout=30)
        for process in alive:
            process.kill()
    assert [process.cmdline() for process in alive] == []
