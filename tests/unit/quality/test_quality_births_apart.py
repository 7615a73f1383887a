"""Two births of one mother: twins may be born on two days, and between them and seven months nobody has a second child."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from kodomo_platform.quality.vocabulary import VOCABULARY, Reading, Target


@pytest.mark.parametrize(
    ("days", "odd"), [(0, 0), (1, 0), (2, 0), (3, 1), (4, 1), (120, 1), (209, 1), (210, 1), (211, 0), (400, 0)]
)
def test_births_of_one_home_are_odd_from_three_days_to_seven_months(days: int, odd: int) -> None:
    con = duckdb.connect()
    first = dt.date(2020, 4, 1)
    con.execute("create table t (household_number varchar, birth_date date, source_record_id varchar)")
    con.executemany(
        "insert into t values (?, ?, ?)",
        [("h1", first, "1"), ("h1", first + dt.timedelta(days), "2"), ("h2", first, "3")],
    )
    target = Target("t", None, "birth_date", {"by": "household_number"}, Reading())
    check = VOCABULARY["expect_births_apart"].compile(target)
    scope, violated = con.execute(
        f"select count(*) filter (where {check.scope}), count(*) filter (where {check.scope} and {check.violated}) "
        f"from {check.relation}"
    ).fetchone() or (0, 0)
    assert (scope, violated) == (1, odd)
