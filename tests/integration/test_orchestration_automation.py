"""What starts runs by itself: a hundred municipalities of which ten are broken, and every municipality's own cron."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from kodomo_platform.municipalities import load_each, load_municipality, municipality_file
from kodomo_platform.municipalities.checking import check_digit
from kodomo_platform.orchestration import automation
from kodomo_platform.orchestration.automation import due, linkage_training_yearly, new_extracts, scheduled_runs
from kodomo_platform.orchestration.build import build_definitions, platform_definitions
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.tags import LANDED
from kodomo_platform.settings import get_settings
from tests.integration.command_line import kodomo

TOWN = Path(__file__).with_name("invented_town.yaml")
NOON = dt.datetime(2026, 10, 6, 3, 0, tzinfo=dt.UTC)  # a Tuesday, noon in Japan


def codes(count: int) -> list[str]:
    bases = [f"{13_800 + number:05d}" for number in range(count)]
    return [base + check_digit(base) for base in bases]


def write_town(code: str, cron: str = "10 3 * * 2,4", more: str = "") -> Path:
    text = TOWN.read_text(encoding="utf-8")
    text = text.replace("139998", code).replace("10 3 * * 2,4", cron) + more
    file = get_settings().municipalities_dir / f"{code}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def land(code: str, day: str = "2026-10-01") -> Path:
    folder = get_settings().landing / code / day
    folder.mkdir(parents=True)
    (folder / "x.csv").write_bytes(b"x\n")
    (folder / ".done").touch()
    return folder


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        yield instance


def tick(
    instance: dg.DagsterInstance, evaluate: Callable[[dg.SensorEvaluationContext], object], cursor: str | None = None
) -> tuple[list[dg.RunRequest], list[str], str | None]:
    """The runs a tick asked for, why it asked for none, and its cursor."""
    with dg.build_sensor_context(instance, definitions=platform_definitions(), cursor=cursor) as context:
        said = list(evaluate(context))  # type: ignore[call-overload]
        return (
            [one for one in said if isinstance(one, dg.RunRequest)],
            [one.skip_message or "" for one in said if isinstance(one, dg.SkipReason)],
            context.cursor,
        )


def breakages() -> list[Callable[[str], object]]:
    """Ten ways in which one municipality's file or folder is wrong."""
    landing = get_settings().landing

    def rewrite(code: str, old: str, new: str) -> None:
        file = municipality_file(code)
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new, 1), encoding="utf-8")

    def folder_is_a_loop(code: str) -> None:
        for path in (landing / code / "2026-10-01").iterdir():
            path.unlink()
        (landing / code / "2026-10-01" / "x.csv").symlink_to("x.csv")
        (landing / code / "2026-10-01" / ".done").touch()

    return [
        lambda code: land(code, "2099-10-01"),  # dated in the future
        lambda code: land(code, "2026-02-30"),  # no such day
        lambda code: municipality_file(code).write_text("code: [", encoding="utf-8"),
        lambda code: municipality_file(code).write_bytes(b"\xff\xfe\x00"),
        lambda code: municipality_file(code).unlink(),
        lambda code: rewrite(code, "cron:", "corn:"),
        lambda code: rewrite(code, f"'{code}'", "'011002'"),  # another's code
        lambda code: rewrite(code, "sources:", "sorces:"),
        folder_is_a_loop,
    ]


def test_of_a_hundred_municipalities_ten_broken_ones_stop_none_of_the_ninety(
    instance: dg.DagsterInstance, capfd: pytest.CaptureFixture[str]
) -> None:
    known = codes(99)
    for code in known:
        write_town(code)
        land(code)
    ways = breakages()
    broken = known[3:95:10][: len(ways)]
    for code, breaks in zip(broken, ways, strict=True):
        breaks(code)
    partitions = sorted([*known, "999999"])
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), partitions)
    good = set(known) - set(broken)
    assert len(partitions) == 100
    assert len(good) == 90

    asked: dict[str, dg.RunRequest] = {}
    cursor = None
    for _ in range(10):  # a tick asks for a bounded number
        requests, _, cursor = tick(instance, new_extracts, cursor)
        assert len(requests) <= automation.REQUESTS_A_TICK
        asked |= {str(request.partition_key): request for request in requests}
    assert set(asked) == good
    named = capfd.readouterr().err
    for code in [*broken, "999999"]:
        assert f"自治体 {code} を飛ばしました / municipality {code} is skipped" in named, code
    assert "2099-10-01" in named, "why is told"
    assert tick(instance, new_extracts, cursor)[0] == [], "each extract is asked for once"

    # the same for the crons and for the yearly training
    moment = dt.datetime(2026, 10, 5, 18, 10, tzinfo=dt.UTC)  # 03:10 on Tuesday in Japan
    before, after = moment - dt.timedelta(minutes=5), moment + dt.timedelta(seconds=20)
    _, _, cursor = tick(instance, lambda context: scheduled_runs(context, before))
    scheduled: set[str] = set()
    for second in range(4):
        now = after + dt.timedelta(seconds=30 * second)
        requests, _, cursor = tick(instance, lambda context, now=now: scheduled_runs(context, now), cursor)
        scheduled |= {str(request.partition_key) for request in requests}
    assert good <= scheduled
    assert not scheduled & {code for code, breaks in zip(broken[2:8], ways[2:8], strict=True)}
    with dg.build_schedule_context(
        instance, scheduled_execution_time=NOON, repository_def=platform_definitions().get_repository_def()
    ) as context:
        requests = linkage_training_yearly.evaluate_tick(context).run_requests or []
    assert good <= {str(request.partition_key) for request in requests}
    assert "999999" not in {str(request.partition_key) for request in requests}


def test_one_wrong_file_stops_no_list_and_no_definitions(home: Path) -> None:
    bad, good = codes(2)
    write_town(bad, more="\nnonsense: 1\n")
    write_town(good)
    write_town("343021").write_text("code: '343021'\n  x: [", encoding="utf-8")  # wins over the shipped one
    usable, broken = load_each()
    assert set(broken) == {bad, "343021"}
    assert good in usable
    assert build_definitions().resolve_job_def("municipality_run")
    listed = kodomo(home, "municipality", "list", "--json")
    rows = {row["code"]: row for row in json.loads(listed.stdout)}
    assert rows[good]["name_ja"]
    assert "nonsense" in rows[bad]["error"]
    assert "nonsense" in listed.stderr
    assert good in kodomo(home, "municipality", "list").stdout


# --- what was taken in is not asked for again


def test_what_somebody_ran_by_hand_is_not_run_again(instance: dg.DagsterInstance) -> None:
    """The demonstration and `kodomo run` publish what landed: the sensor has nothing to add."""
    (code,) = codes(1)
    write_town(code)
    folder = land(code)
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [code])
    state = f"2026-10-01:{automation.landed(code).partition(':')[2]}"  # type: ignore[union-attr]

    def record(job: str, status: dg.DagsterRunStatus) -> None:
        definition = platform_definitions().resolve_job_def(job)
        instance.create_run_for_job(definition, status=status, tags={"dagster/partition": code, LANDED: state})

    assert len(tick(instance, new_extracts)[0]) == 1
    record("training", dg.DagsterRunStatus.SUCCESS)
    assert len(tick(instance, new_extracts)[0]) == 1, "loaded, but nothing was published"
    record("scoring_and_publishing", dg.DagsterRunStatus.SUCCESS)
    assert tick(instance, new_extracts)[0] == []
    time.sleep(0.01)
    (folder / "x.csv").write_bytes(b"corrected\n")
    assert len(tick(instance, new_extracts)[0]) == 1


def test_while_a_run_is_under_way_it_is_not_asked_for_again_and_after_its_failure_it_is(
    instance: dg.DagsterInstance,
) -> None:
    (code,) = codes(1)
    write_town(code)
    land(code)
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [code])
    state = automation.landed(code)
    assert state is not None
    run = instance.create_run_for_job(
        platform_definitions().resolve_job_def("municipality_run"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": code, LANDED: state},
    )
    requests, _, cursor = tick(instance, new_extracts)
    assert requests == []
    instance.report_run_failed(run)
    assert len(tick(instance, new_extracts, cursor)[0]) == 1


# --- crons


def test_a_municipality_onboarded_while_the_daemon_runs_is_run_at_its_time(instance: dg.DagsterInstance) -> None:
    first, second = codes(2)
    write_town(first, "0 12 * * *")
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [first])
    requests, skipped, cursor = tick(instance, lambda context: scheduled_runs(context, NOON - dt.timedelta(minutes=2)))
    assert (requests, len(skipped)) == ([], 1)
    write_town(second, "1 12 * * *")
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [second])
    keys = []
    for seconds in (0, 30, 60, 90, 120):
        now = NOON + dt.timedelta(seconds=seconds)
        requests, _, cursor = tick(instance, lambda context, now=now: scheduled_runs(context, now), cursor)
        keys += [(request.partition_key, request.run_key) for request in requests]
    assert keys == [
        (first, f"{first}:2026-10-06T12:00:00+09:00"),
        (second, f"{second}:2026-10-06T12:01:00+09:00"),
    ]


def test_a_daemon_that_was_down_makes_up_once_for_what_it_missed(instance: dg.DagsterInstance) -> None:
    (code,) = codes(1)
    write_town(code, "*/30 * * * *")
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [code])
    _, _, cursor = tick(instance, lambda context: scheduled_runs(context, NOON))
    requests, _, cursor = tick(instance, lambda context: scheduled_runs(context, NOON + dt.timedelta(hours=5)), cursor)
    assert [request.run_key for request in requests] == [f"{code}:2026-10-06T17:00:00+09:00"]
    later = NOON + dt.timedelta(hours=5, minutes=1)
    assert tick(instance, lambda context: scheduled_runs(context, later), cursor)[0] == []


def test_more_than_a_tick_may_ask_for_waits_for_the_next(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(automation, "REQUESTS_A_TICK", 2)
    known = codes(5)
    for code in known:
        write_town(code, "0 12 * * *")
    instance.add_dynamic_partitions(str(MUNICIPALITIES.name), known)
    _, _, cursor = tick(instance, lambda context: scheduled_runs(context, NOON - dt.timedelta(minutes=1)))
    asked = []
    for seconds in (0, 30, 60, 90):
        now = NOON + dt.timedelta(seconds=seconds)
        requests, _, cursor = tick(instance, lambda context, now=now: scheduled_runs(context, now), cursor)
        asked.append([request.partition_key for request in requests])
    assert asked == [known[:2], known[2:4], known[4:], []]


@pytest.mark.parametrize(
    "block",
    [
        "schedule:\n  cron: '0 12 * * *'\n  timezone: Asia/Tokyo",
        'schedule:\n  timezone: Asia/Tokyo\n  cron: "0 12 * * *"  # noon',
        "schedule: {cron: '0 12 * * *', timezone: Asia/Tokyo}",
        "schedule: {cron: '0 12 * * *'}",
        "schedule:\n\n  # noon\n  cron: 0 12 * * *\n  timezone: 'Asia/Tokyo'",
    ],
)
def test_a_cron_is_read_however_it_is_written(home: Path, block: str) -> None:
    (code,) = codes(1)
    file = write_town(code, "5 5 5 5 *")
    lines = file.read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith("schedule:"))
    end = start + 1
    while lines[end].startswith(" "):
        end += 1
    file.write_text("\n".join([*lines[:start], block, *lines[end:]]), encoding="utf-8")
    assert load_municipality(code).schedule.cron == "0 12 * * *"
    assert due(code, NOON - dt.timedelta(minutes=1), NOON) == NOON
    assert due(code, NOON, NOON + dt.timedelta(hours=1)) is None
