"""What starts runs by itself: new extracts, each municipality's own cron, and the linkage model once a year.

One sensor evaluates all municipalities' crons, so that the definitions hold none of them: a municipality onboarded while
the daemon runs is run at its time, and 1,741 cost no more to load than seven. A tick asks for a bounded number of runs
and keeps the rest for the next.
"""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from kodomo_platform.municipalities import load_municipality, municipality_file
from kodomo_platform.orchestration.automation_status import SCHEDULE_STATUS, SENSOR_STATUS
from kodomo_platform.orchestration.jobs import LINKAGE_TRAINING, MUNICIPALITY_RUN
from kodomo_platform.orchestration.landing_state import landed
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.tags import ASKED_BY, LANDED
from kodomo_platform.orchestration.towns import Examined, examine_each, name_skipped, skip_message

REQUESTS_A_TICK = 50
SECONDS_A_TICK = 4.0
# a daemon that was down makes up for what it missed, once per municipality, as far back as this
CATCH_UP = timedelta(days=1)
_LOADING_JOBS = ("municipality_run", "training")
_PUBLISHING_JOBS = ("municipality_run", "scoring_and_publishing")
_UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED,
]  # fmt: skip

Tick = Iterator[dg.RunRequest | dg.SkipReason]


def onboarded(instance: dg.DagsterInstance) -> list[str]:
    """Codes of the partitions, sorted. Anybody can add one in Dagster's pages: a code is not yet a municipality."""
    return sorted(instance.get_dynamic_partitions(str(MUNICIPALITIES.name)))


# --- new extracts


def _is_taken_in(instance: dg.DagsterInstance, code: str, state: str) -> bool:
    """Whether what has landed was loaded and published since (by whoever asked for it), or a run of it is under way."""
    runs = instance.get_runs(dg.RunsFilter(tags={"dagster/partition": code, LANDED: state}))
    if any(run.status in _UNDER_WAY for run in runs):
        return True
    done = {run.job_name for run in runs if run.status == dg.DagsterRunStatus.SUCCESS}
    return bool(done & set(_LOADING_JOBS)) and bool(done & set(_PUBLISHING_JOBS))


def _new_extract(instance: dg.DagsterInstance, code: str, seen: str | None) -> str | None:
    """What has landed and nobody took in; a `KodomoError` for a municipality that cannot be run."""
    municipality_file(code)  # a partition that somebody made up is named, whatever has landed
    state = landed(code)
    if state is None or state == seen:
        return None
    load_municipality(code)
    return None if _is_taken_in(instance, code, state) else state


@dg.sensor(
    name="new_extracts",
    job=MUNICIPALITY_RUN,
    minimum_interval_seconds=60,
    default_status=SENSOR_STATUS,
    description="新しい抽出データがそろったら実行を求めます。書きかけのファイルは拾いません。読めない自治体は名前を挙げて飛ばします。\n\n"
    "Requests a run when a complete new extract has landed; half-written files are left alone. A municipality that "
    "cannot be examined is named and skipped.",
)
def new_extracts(context: dg.SensorEvaluationContext) -> Tick:
    cursor = _cursor(context.cursor)
    seen: dict[str, str] = {code: str(state) for code, state in dict(cursor.get("landed", {})).items()}
    codes = onboarded(context.instance)
    # a tick that ran out of time goes on where it stopped, so that the last town is not for ever the last
    start = int(cursor.get("next", 0)) % max(1, len(codes))
    ordered = codes[start:] + codes[:start]
    began = time.monotonic()
    examined: Examined[str | None] = Examined()
    asked = looked_at = 0
    for code in ordered:
        if asked >= REQUESTS_A_TICK or time.monotonic() - began > SECONDS_A_TICK:
            break
        looked_at += 1
        one = examine_each([code], lambda code: _new_extract(context.instance, code, seen.get(code)))
        examined.skipped += one.skipped
        if state := one.results.get(code):
            asked += 1
            # the key holds the files' names, sizes and times: a corrected file for the same date asks for a new run
            yield dg.RunRequest(
                run_key=f"{code}:{state}", partition_key=code, tags={LANDED: state, ASKED_BY: "new_extracts"}
            )
            seen[code] = state
    name_skipped(context.log, examined.skipped)
    going_on = (start + looked_at) % max(1, len(codes)) if looked_at < len(codes) else 0
    context.update_cursor(
        json.dumps({"landed": {code: seen[code] for code in codes if code in seen}, "next": going_on})
    )
    if not asked:
        yield dg.SkipReason(
            skip_message(
                "そろった新しい抽出データは届いていません", "no complete new extract has landed", examined.skipped
            )
        )


# --- each municipality's own cron

_SCHEDULE = re.compile(r"^schedule:[^\n]*\n?(?:(?:[ \t][^\n]*)?(?:\n|$))*", re.MULTILINE)
_CRON = re.compile(r"""\bcron:\s*(?:'([^']*)'|"([^"\\]*)")""")
_ZONE = re.compile(r"""\btimezone:\s*['"]?([A-Za-z_]+(?:/[A-Za-z_+\-0-9]+)*)['"]?\s*(?:[,}#\n]|$)""")


@lru_cache(maxsize=4096)
def _cron_of(file: Path, _modified: int, _size: int) -> tuple[str, str] | None:
    """Cron and time zone as the file has them, without checking the rest of it; None: read it whole."""
    block = _SCHEDULE.search(file.read_text(encoding="utf-8"))
    if block is None:
        return None
    cron, zone = _CRON.search(block[0]), _ZONE.search(block[0])
    if cron is None or ("timezone" in block[0] and zone is None):
        return None
    return cron[1] or cron[2], zone[1] if zone else "Asia/Tokyo"


@lru_cache(maxsize=4096)
def _fires(cron: str, timezone: str, minute: int) -> datetime | None:
    """The last time up to ``minute`` (minutes since 1970) at which ``cron`` fires, within the last day; else None."""
    from dagster._utils.schedules import reverse_cron_string_iterator

    until = datetime.fromtimestamp(minute * 60, UTC)
    # the iterator begins before its start: one second later includes the minute itself
    last = next(reverse_cron_string_iterator((until + timedelta(seconds=1)).timestamp(), cron, timezone))
    return last if last > until - CATCH_UP else None


def due(code: str, since: datetime, now: datetime) -> datetime | None:
    """When, after ``since`` and up to ``now``, the municipality's cron fired last; None if it did not."""
    file = municipality_file(code)
    status = file.stat()
    quick = _cron_of(file, status.st_mtime_ns, status.st_size)
    if quick is not None and not _after(_last_fire(*quick, now), since):
        return None
    # the whole file is checked only when its time has come: a municipality with a fault in it is not run
    schedule = load_municipality(code).schedule
    moment = _last_fire(schedule.cron, schedule.timezone, now)
    return moment if _after(moment, since) else None


def _last_fire(cron: str, timezone: str, now: datetime) -> datetime | None:
    ZoneInfo(timezone)
    return _fires(cron, timezone, int(now.timestamp() // 60))


def _after(moment: datetime | None, since: datetime) -> bool:
    return moment is not None and moment > since


@dg.sensor(
    name="municipality_schedules",
    job=MUNICIPALITY_RUN,
    minimum_interval_seconds=30,
    default_status=SENSOR_STATUS,
    description="すべての自治体の定期実行（各自治体の設定ファイルの cron）。後から追加した自治体も、再読み込みなしでその時刻に実行します。\n\n"
    "Every municipality's scheduled run, by the cron in its own file. One onboarded meanwhile needs no reload.",
)
def municipality_schedules(context: dg.SensorEvaluationContext) -> Tick:
    yield from scheduled_runs(context, datetime.now(UTC))


def scheduled_runs(context: dg.SensorEvaluationContext, now: datetime) -> Tick:
    """The runs whose time came since the last tick, at most `REQUESTS_A_TICK`; the rest waits in the cursor."""
    cursor = _cursor(context.cursor)
    since = max(datetime.fromisoformat(str(cursor.get("until", now.isoformat()))), now - CATCH_UP)
    waiting: dict[str, str] = dict(cursor.get("waiting", {}))
    codes = onboarded(context.instance)
    examined = examine_each(codes, lambda code: due(code, since, now))
    waiting |= {code: moment.isoformat() for code, moment in examined.results.items() if moment is not None}
    for code in sorted(waiting, key=lambda code: (waiting[code], code))[:REQUESTS_A_TICK]:
        moment = waiting.pop(code)
        if code in codes:  # taken out meanwhile
            yield dg.RunRequest(
                run_key=f"{code}:{moment}", partition_key=code, tags={ASKED_BY: "municipality_schedules"}
            )
    name_skipped(context.log, examined.skipped)
    context.update_cursor(json.dumps({"until": now.isoformat(), "waiting": waiting}))
    if not any(examined.results.values()) and not cursor.get("waiting"):
        yield dg.SkipReason(
            skip_message("いま実行する自治体はありません", "no municipality's time has come", examined.skipped)
        )


def _cursor(text: str | None) -> dict[str, Any]:
    """What the last tick left; nothing when it left nothing that can be read (then everything is looked at again)."""
    try:
        kept = json.loads(text or "{}")
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


# --- once a year


@dg.schedule(
    name="linkage_training_yearly",
    cron_schedule="0 3 10 4 *",
    execution_timezone="Asia/Tokyo",
    job=LINKAGE_TRAINING,
    default_status=SCHEDULE_STATUS,
    description="名寄せモデルの候補を年に一度（年度初めの異動が落ち着く4月）学習します。承認は人が行います。\n\n"
    "A candidate for each municipality's linkage model once a year, when the moves of the new school year are in; a person "
    "approves.",
)
def linkage_training_yearly(context: dg.ScheduleEvaluationContext) -> Tick:
    codes = onboarded(context.instance)
    examined = examine_each(codes, load_municipality)
    name_skipped(context.log, examined.skipped)
    if not examined.results:
        yield dg.SkipReason(
            skip_message(
                "追加された自治体がありません。`kodomo onboard` で追加してください",
                "no municipality is onboarded: run `kodomo onboard`",
                examined.skipped,
            )
        )
    for code in examined.results:
        yield dg.RunRequest(
            run_key=f"{code}:{context.scheduled_execution_time.isoformat()}",
            partition_key=code,
            tags={ASKED_BY: "linkage_training_yearly"},
        )
