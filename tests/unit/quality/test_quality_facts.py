"""What was known of most children cannot be gone or another thing from one snapshot to the next."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.quality.engine import validate
from kodomo_platform.quality.facts import record_changes
from kodomo_platform.quality.results import grew_beyond_chance, judge
from kodomo_platform.scoring import load_features

BEFORE, NOW = dt.date(2026, 9, 1), dt.date(2026, 10, 1)
FEATURES = {
    "health_room_12m": ("education.health_room", 12), "health_room_3m": ("education.health_room", 3),
    "single_parent": ("welfare.child_benefit", 0),
}  # fmt: skip


@pytest.fixture
def con() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("create schema marts; create schema cfg")
    return con


def town(con: duckdb.DuckDBPyConnection, visits: str, status: str = "'present'") -> None:
    con.execute(
        f"create or replace table marts.mart_child_features as select 'c' || n as child_id, date '{NOW}' as as_of_date, "
        f"null::varchar as household_id, ({visits})::double as health_room_12m, {status} as health_room_12m__status, "
        "0.0 as health_room_3m, 'present' as health_room_3m__status, (n % 4 = 0)::double as single_parent, "
        "'present' as single_parent__status from range(200) as t(n)"
    )


def published(con: duckdb.DuckDBPyConnection, folder: Path) -> Path:
    town(con, "n % 3")
    file = folder / "child_features.parquet"
    con.execute(f"copy marts.mart_child_features to '{file}' (format parquet)")
    return file


def verdict(con: duckdb.DuckDBPyConnection, former: Path, source: str = "education.health_room") -> str:
    record_changes(con, NOW, former, BEFORE, FEATURES)
    results = validate(con, "112241", ["marts.mart_child_features"], "r1", NOW, engine="sql", record=False)
    return next(r.status for r in results if r.expectation_id.endswith(f":facts_stay.{source}"))


@pytest.mark.parametrize(
    ("visits", "outcome"),
    [
        ("n % 3", "passed"),
        ("case when n % 10 = 1 then 0 else n % 3 end", "passed"),  # a month's worth leaves the window
        ("0", "failed"),  # the source reads as nothing
        ("case when n = 0 then 222 else 0 end", "failed"),  # one child carries everybody's facts
        ("(n + 1) % 3 * 5", "failed"),  # facts are other children's
    ],
)
def test_facts_of_most_children_do_not_vanish(
    con: duckdb.DuckDBPyConnection, tmp_path: Path, visits: str, outcome: str
) -> None:
    former = published(con, tmp_path)
    town(con, visits)
    assert verdict(con, former) == outcome
    assert verdict(con, former, "welfare.child_benefit") == "passed"


@pytest.mark.parametrize("kind", ["unreadable", "left_out", "no_consent", "not_held"])
def test_what_is_told_as_absent_has_not_vanished(con: duckdb.DuckDBPyConnection, tmp_path: Path, kind: str) -> None:
    former = published(con, tmp_path)
    town(con, "null", f"'{kind}'")
    assert verdict(con, former) != "failed"


def test_children_whose_number_met_nobody_any_more_have_lost_their_facts(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    former = published(con, tmp_path)
    town(con, "null", "'not_linked'")
    assert verdict(con, former) == "failed"


def test_the_limit_learns_and_a_first_publication_has_nothing_to_compare(
    con: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert record_changes(con, NOW, None, None, FEATURES) == 0
    former = published(con, tmp_path)
    town(con, "case when n % 3 > 0 and n % 4 > 0 then 0 else n % 3 end")
    assert verdict(con, former) == "failed"
    con.execute(
        "insert into quality.fact_change_history select date '2026-09-01' - to_months(m::int), date '2026-08-01', "
        "'health_room_12m', 74.0, 74.0 from range(3) as t(m)"
    )
    assert verdict(con, former) == "passed"


def test_every_source_of_a_feature_is_watched() -> None:
    from kodomo_platform.quality.suites import load_suites

    told = {e.arguments["of"] for e in load_suites()["marts.mart_child_features"].expectations if "of" in e.arguments}
    assert told == {feature.group for feature in load_features().values()}


@pytest.mark.parametrize(
    ("evaluated", "unexpected", "status"),
    [(8, 1, "passed"), (8, 2, "passed"), (8, 3, "failed"), (100, 5, "passed"), (100, 6, "failed"), (3, 3, "failed")],
)
def test_one_odd_row_is_no_share(evaluated: int, unexpected: int, status: str) -> None:
    assert judge(evaluated, unexpected, 5, spare=2)[1] == status


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        ((10, 1000), (10, 500), False),  # the denominator shrank
        ((10, 1000), (12, 1000), False),  # chance
        ((10, 1000), (40, 1000), True),
        ((0, 0), (5, 10), False),
        ((5, 5), (6, 6), False),
    ],
)
def test_worse_is_beyond_chance(before: tuple[int, int], after: tuple[int, int], worse: bool) -> None:
    assert grew_beyond_chance(before, after) is worse
