"""Jobs, the schedule of each municipality, and the sensor that sees a new extract."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from kodomo_platform.municipalities import load_municipality, municipality_codes
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.settings import get_settings

# In one process: dbt runs as a subprocess, the rest shares one DuckDB file that only one process may write.
IN_PROCESS = dg.in_process_executor

_LINKAGE_MODEL = dg.AssetSelection.assets("linkage_model")
_TRAINING_ONLY = dg.AssetSelection.assets("risk_model") | _LINKAGE_MODEL
_EVERYTHING = dg.AssetSelection.all()

MUNICIPALITY_RUN = dg.define_asset_job(
    "municipality_run",
    selection=_EVERYTHING - _TRAINING_ONLY,
    executor_def=IN_PROCESS,
    description="届いたファイルから公開までの一連の処理（学習を除く）。\n\nLanding files to published snapshot, training apart.",
)
TRAINING = dg.define_asset_job(
    "training",
    selection=_EVERYTHING
    - _LINKAGE_MODEL
    - dg.AssetSelection.assets("risk_scores", "published_snapshot")
    - dg.AssetSelection.checks_for_assets("risk_scores", "published_snapshot"),
    executor_def=IN_PROCESS,
    config={"resources": {"run_settings": {"config": {"training": True}}}},
    description="判定モデルの候補の学習（年に一度、または求めに応じて）。\n\nTrain candidates: yearly, or when asked.",
)
SCORING = dg.define_asset_job(
    "scoring_and_publishing",
    selection=dg.AssetSelection.assets("risk_scores", "published_snapshot")
    | dg.AssetSelection.checks_for_assets("risk_scores", "published_snapshot"),
    executor_def=IN_PROCESS,
    description="モデルの承認後に、判定と公開だけをやり直します。\n\nScore and publish again, after an approval.",
)

LINKAGE_TRAINING = dg.define_asset_job(
    "linkage_training",
    selection=_LINKAGE_MODEL,
    executor_def=IN_PROCESS,
    description="名寄せモデルの候補の学習（年に一度、または求めに応じて）。定期実行は承認済みのモデルで予測するだけです。\n\n"
    "Train a candidate for the linkage model: yearly, or when asked. Scheduled runs only predict with the approved one.",
)


def municipality_schedule(code: str) -> dg.ScheduleDefinition:
    """The schedule that the municipality's own file asks for."""
    municipality = load_municipality(code)

    @dg.schedule(
        name=f"schedule_{code}",
        cron_schedule=municipality.schedule.cron,
        execution_timezone=municipality.schedule.timezone,
        job=MUNICIPALITY_RUN,
        description=f"{municipality.name_ja}の定期実行 / scheduled run of {municipality.name_en}",
    )
    def run(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not context.instance.has_dynamic_partition(str(MUNICIPALITIES.name), code):
            return dg.SkipReason(
                f"自治体 {code} は追加されていません。`kodomo onboard` で追加してください / "
                f"municipality {code} is not onboarded: run `kodomo onboard`"
            )
        return dg.RunRequest(run_key=f"{code}:{context.scheduled_execution_time.isoformat()}", partition_key=code)

    return run


@dg.schedule(
    name="linkage_training_yearly",
    cron_schedule="0 3 10 4 *",
    execution_timezone="Asia/Tokyo",
    job=LINKAGE_TRAINING,
    description="名寄せモデルの候補を年に一度（年度初めの異動が落ち着く4月）学習します。承認は人が行います。\n\n"
    "A candidate for each municipality's linkage model once a year, when the moves of the new school year are in; a person "
    "approves.",
)
def linkage_training_yearly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    codes = context.instance.get_dynamic_partitions(str(MUNICIPALITIES.name))
    if not codes:
        yield dg.SkipReason(
            "追加された自治体がありません。`kodomo onboard` で追加してください / "
            "no municipality is onboarded: run `kodomo onboard`"
        )
    for code in codes:
        yield dg.RunRequest(run_key=f"{code}:{context.scheduled_execution_time.isoformat()}", partition_key=code)


def fingerprint(folder: Path) -> str:
    """16 hex digits that change when a file in ``folder`` is added, replaced or touched (names never leave it)."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        status = path.stat()
        digest.update(f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


@dg.sensor(
    name="new_extracts",
    job=MUNICIPALITY_RUN,
    minimum_interval_seconds=60,
    description="新しい抽出データがそろったら実行を求めます。書きかけのファイルは拾いません。\n\n"
    "Requests a run when a complete new extract has landed; half-written files are left alone.",
)
def new_extracts(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    from kodomo_platform.extracts import complete_extract_dates

    landing = get_settings().landing
    requested = False
    for code in context.instance.get_dynamic_partitions(str(MUNICIPALITIES.name)):
        municipality = load_municipality(code)
        dates = complete_extract_dates(municipality, landing)
        if dates:
            # the run key holds the files' names, sizes and times: a corrected file for the same date asks for a new run
            latest = max(dates)
            requested = True
            yield dg.RunRequest(
                run_key=f"{code}:{latest.isoformat()}:{fingerprint(landing / code / latest.isoformat())}",
                partition_key=code,
            )
    if not requested:
        yield dg.SkipReason("そろった抽出データは届いていません / no complete extract has landed")


def schedules() -> list[dg.ScheduleDefinition]:
    """One schedule per municipality that is known when the code location loads, and the linkage model's yearly one."""
    return [*(municipality_schedule(code) for code in municipality_codes()), linkage_training_yearly]
