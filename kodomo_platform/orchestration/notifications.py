"""A run that failed, or that a check stopped, is told to the people who must act. How it is told: `installation.notices`."""

import hashlib

import dagster as dg

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import KodomoError
from kodomo_platform.installation.notices import Notice, all_well, tell
from kodomo_platform.messages import error_text
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.orchestration.automation_status import SENSOR_STATUS
from kodomo_platform.orchestration.runs import own_cause, stated

_PUBLISHING_JOBS = {"municipality_run", "scoring_and_publishing"}
_MOST_LINES = 40


def notice_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Notice:
    """What to tell of a failed run: where it stopped, the platform's own reasons, the offices of the sources concerned."""
    code = run.tags.get("dagster/partition", "")
    name, holders = code, {}
    try:
        municipality = load_municipality(code)
        name = f"{municipality.name_ja}（{code}）"
        catalog = load_catalog()
        holders = {
            table: source.holder
            for source in municipality.sources
            if (known := catalog.sources.get(source.source)) is not None
            for table in (known.raw_table, known.staging_table)
        }
    except KodomoError:
        pass  # its file is broken: that is what is told below
    steps: dict[str, str] = {}
    blocked: list[str] = []
    tables: list[str] = []
    for record in instance.all_logs(run.run_id):
        event = record.dagster_event
        if event is None:
            continue
        if event.is_step_failure and event.step_key is not None:
            steps[event.step_key] = own_cause(event.step_failure_data.error)
            tables.append(event.step_key)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
                table = check.asset_key.to_user_string()
                tables.append(table)
                blocked.append(f"{table}: {check.check_name}")
                blocked += [
                    f"  {error_text(line)}"
                    for line in (stated(check, "stopped_by") or stated(check, "blocked_by")).splitlines()
                ]
    reasons = list(dict.fromkeys(line for cause in steps.values() for line in error_text(cause).splitlines() if line))
    cause = hashlib.sha256("\n".join([run.job_name, *sorted(steps), *sorted(blocked), *reasons]).encode()).hexdigest()[
        :16
    ]
    offices = tuple(dict.fromkeys(holders[table] for table in tables if table in holders))
    return Notice(
        code,
        cause,
        f"【こどもデータ連携】{name}: {'検査で止まりました' if blocked else '処理が失敗しました'}",
        (
            "何も公開していません。直前の正しいスナップショットを引き続き使っています。",
            f"処理: {run.job_name}（実行 {run.run_id}）",
            *([f"止まったところ: {', '.join(sorted(steps))}"] if steps else []),
            *([f"対応をお願いする課: {', '.join(offices)}"] if offices else []),
            *(["止めた検査:", *blocked[:_MOST_LINES]] if blocked else []),
            *(["理由:", *reasons[:_MOST_LINES]] if reasons else []),
            "同じ原因は、解消するまで一度だけお知らせします。",
        ),
        offices,
    )


@dg.run_failure_sensor(
    name="failed_runs",
    minimum_interval_seconds=30,
    default_status=SENSOR_STATUS,
    description="失敗した実行と検査で止まった実行を、自治体ごとの宛先（notifications.yaml）へ、原因ごとに一度知らせます。\n\n"
    "Tells the people named in notifications.yaml of a failed run or a blocking check, once for each cause.",
)
def failed_runs(context: dg.RunFailureSensorContext) -> None:
    tell(notice_of(context.instance, context.dagster_run))


@dg.run_status_sensor(
    name="published_runs",
    run_status=dg.DagsterRunStatus.SUCCESS,
    minimum_interval_seconds=30,
    default_status=SENSOR_STATUS,
    description="公開まで成功した自治体について、知らせ済みの原因を解消とします。\n\n"
    "A municipality that was published has none of its former faults: the next one is told again.",
)
def published_runs(context: dg.RunStatusSensorContext) -> None:
    code = context.dagster_run.tags.get("dagster/partition")
    if code is not None and context.dagster_run.job_name in _PUBLISHING_JOBS:
        all_well(code)
