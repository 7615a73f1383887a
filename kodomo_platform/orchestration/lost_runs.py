"""Runs whose process is gone: found by process id and start time, and ended, so that they block nobody.

Dagster's own launchers cannot tell (a killed run stays "started", and those of the same municipality wait behind it for
ever). Every run bears the process that works on it as a tag; where that says nothing (another host, a run of an older
release), the municipality's lock does: a run holds it as long as it works.
"""

import time
from contextlib import suppress

import dagster as dg

from kodomo_platform.errors import KodomoError
from kodomo_platform.installation.processes import is_alive, parse
from kodomo_platform.orchestration.automation_status import SENSOR_STATUS
from kodomo_platform.orchestration.resources import municipality_lock
from kodomo_platform.orchestration.tags import WORKER

# between its start and its lock a run loads its code
SECONDS_WITHOUT_LOCK = 120.0
_UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]  # fmt: skip
LOST = (
    "この実行を処理していたプロセスがなくなりました（強制終了、電源断など）。公開済みのスナップショットはそのままです。もう一度実行してください / "
    "the process that worked on this run is gone (killed, or the power failed); what was published is untouched: run again"
)


def is_lost(run: dg.DagsterRun, since: float | None) -> bool:
    """Whether nobody works on ``run`` any more; ``since``: when it was last heard of (seconds since 1970)."""
    written = parse(run.tags.get(WORKER, ""))
    alive = is_alive(written) if written else None
    if alive is not None:
        return not alive
    code = run.tags.get("dagster/partition")
    if code is None or since is None or time.time() - since < SECONDS_WITHOUT_LOCK:
        return False
    try:
        with municipality_lock(code, "looking for lost runs"):
            return True
    except (KodomoError, OSError):
        return False


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """End every run that nobody works on any more; returns their ids."""
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY)):
        run = record.dagster_run
        if not is_lost(run, record.update_timestamp.timestamp()):
            continue
        with suppress(Exception):  # its event log may be damaged too: the others are still ended
            current = instance.get_run_by_id(run.run_id)
            if current is None or current.is_finished:
                continue
            if current.status == dg.DagsterRunStatus.CANCELING:
                instance.report_run_canceled(current, LOST)
            else:
                instance.report_run_failed(current, LOST)
            ended.append(run.run_id)
    return ended


@dg.sensor(
    name="lost_runs",
    minimum_interval_seconds=30,
    default_status=SENSOR_STATUS,
    description="処理していたプロセスがなくなった実行を見つけて終わらせ、後の実行が待ち続けないようにします。\n\n"
    "Finds runs whose process is gone and ends them, so that those behind them do not wait for ever.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    ended = end_lost_runs(context.instance)
    return dg.SkipReason(
        f"終わらせた実行: {', '.join(ended)} / ended: {', '.join(ended)}"
        if ended
        else "処理の途切れた実行はありません / no run has lost its process"
    )
