"""How a run's process is started and known again: a process of its own, child of the daemon, written down on the run.

Dagster's default launcher asks the code server, and cannot tell afterwards whether the process lives (run monitoring
then does nothing). The process ends with the daemon.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData, serialize_value

from kodomo_platform.installation.processes import is_alive, parse, worker
from kodomo_platform.orchestration.lost_runs import LOST, is_lost
from kodomo_platform.orchestration.tags import WORKER


class ProcessLauncher(RunLauncher[DagsterInstance], ConfigurableClass):
    """One process a run, on this machine."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        origin = run.job_code_origin
        if origin is None:
            raise ValueError("the run does not say which code it is of")
        arguments = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref(), set_exit_code_on_failure=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "kodomo_platform.orchestration.processes", "run-worker"],
            # not on the command line: every local user reads that
            env=os.environ | {"DAGSTER_EXECUTE_RUN_ARGS": serialize_value(arguments)},
            stdin=subprocess.DEVNULL,
        )
        self._reap()
        self._started[run.run_id] = process
        self._instance.add_run_tags(run.run_id, {WORKER: str(worker(process.pid))})

    def _reap(self) -> None:
        """Take note of the processes that have ended: a zombie would look alive to others."""
        for run_id in [run_id for run_id, process in self._started.items() if process.poll() is not None]:
            del self._started[run_id]

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        written = parse(run.tags.get(WORKER, ""))
        if written is None or is_alive(written) is None:
            return False
        if not is_alive(written):
            self._instance.report_run_canceled(run, LOST)
            return True
        os.kill(written.pid, signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        self._reap()
        current = self._instance.get_run_record_by_id(run.run_id)
        if current is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND)
        if current.dagster_run.status not in (DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING):
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        if is_lost(current.dagster_run, current.update_timestamp.timestamp()):
            return CheckRunHealthResult(WorkerStatus.FAILED, LOST)
        return CheckRunHealthResult(WorkerStatus.RUNNING)
