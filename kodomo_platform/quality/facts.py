"""Facts that vanish: each feature beside the last published snapshot.

A column that suddenly reads as nothing, numbers that all became one, a join by a wrong key: every row may be well formed
and the town's facts are gone or somebody else's. So per feature is counted how many children had a fact in the last snapshot
and have none now, and how many have quite another. What is *said* to be absent (unreadable, left out, without consent, not
held) has not vanished. The suite of ``marts.mart_child_features`` judges ``quality.fact_change`` source by source.
"""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Mapping
from pathlib import Path

import duckdb

from kodomo_platform.quality.engine import table_columns
from kodomo_platform.quality.vocabulary import quoted

# Fewer children with a fact say nothing about a share.
ENOUGH = 20
# Shorter windows empty by themselves: nobody is absent in August.
SHORTEST_WINDOW = 12
# Features that start anew or are differences of others, and those that change with the calendar.
_BY_CALENDAR = frozenset(
    {"age_years", "grade", "days_since_seen", "absent_days_ytd", "absent_trend", "late_trend", "assessment_change",
     "survey_mood_change", "consultation_months_since", "single_adult", "household_adults", "school_aid"}
)  # fmt: skip
# Held for all on one day of the year: when the next one is late, all have none at once, and it is told as blank.
_ONCE_A_YEAR = frozenset({"survey.wellbeing", "education.assessment", "education.school_checkup"})
# Percent of the children with a fact who may lose it within a month, beside the share of the window that went by in the
# meantime: of a year's events a twelfth leaves the window each month, and benefits end at a year's end.
LOST, CHANGED = 40.0, 70.0
# The limits learn: beyond the usual of this municipality by so many points, once so many comparisons are known.
POINTS, KNOWN = 25.0, 3
CAP = 97.0
# What is told as absent is not gone in silence.
_TOLD = ("unreadable", "left_out", "no_consent", "not_held", "before_start")

_DDL = """
create schema if not exists quality;
create table if not exists quality.fact_change_history (
    as_of_date date, former_as_of_date date, feature varchar, lost_percent double, changed_percent double
);
create or replace table quality.fact_change (
    as_of_date date, former_as_of_date date, feature varchar, source varchar, facts bigint, lost bigint, changed bigint,
    lost_limit double, changed_limit double
)
"""


def record_changes(
    con: duckdb.DuckDBPyConnection,
    as_of: dt.date,
    former: Path | None,
    former_as_of: dt.date | None,
    features: Mapping[str, tuple[str, int]],
) -> int:
    """Rebuild ``quality.fact_change``: one row per feature that can be compared; their number.

    ``former``: child_features.parquet of the last snapshot, of ``former_as_of`` (None: there is none, nothing is compared).
    ``features``: name → (source, months it looks back; 0: a state).
    """
    con.execute(_DDL)
    if former is None or former_as_of is None or not former.is_file():
        return 0
    now = table_columns(con).get("marts.mart_child_features", frozenset())
    before = {str(row[0]) for row in con.execute("describe select * from read_parquet(?)", [str(former)]).fetchall()}
    months = max(1.0, (as_of - former_as_of).days / 30.4)
    watched = {
        name: (source, window)
        for name, (source, window) in features.items()
        if name not in _BY_CALENDAR
        and (window == 0 or window >= SHORTEST_WINDOW)
        and {name, f"{name}__status"} <= now & before
    }
    if not watched:
        return 0
    counts = ", ".join(_counts(name, source) for name, (source, _) in watched.items())
    row = con.execute(
        f"select {counts} from read_parquet(?) as b inner join marts.mart_child_features as n on b.child_id = n.child_id "
        "where n.as_of_date = ?",
        [str(former), as_of],
    ).fetchone()
    assert row is not None
    usual = _usual(con, as_of)
    compared = []
    for place, (name, (source, window)) in enumerate(watched.items()):
        facts, lost, changed = (int(row[3 * place + part]) for part in range(3))
        if facts < ENOUGH:
            continue
        gone_by = 100 * months / window if window else 5 * months
        lost_usual, changed_usual = usual.get(name, (0.0, 0.0))
        compared.append(
            (
                *(as_of, former_as_of, name, source, facts, lost, changed),
                min(CAP, max(LOST + gone_by, lost_usual + POINTS)),
                min(CAP, max(CHANGED + gone_by, changed_usual + POINTS)),
            )
        )
    if compared:
        con.executemany("insert into quality.fact_change values (?, ?, ?, ?, ?, ?, ?, ?, ?)", compared)
        con.execute("delete from quality.fact_change_history where as_of_date = ?", [as_of])
        con.execute(
            "insert into quality.fact_change_history select as_of_date, former_as_of_date, feature, 100 * lost / facts, "
            "100 * changed / facts from quality.fact_change"
        )
    return len(compared)


def _counts(name: str, source: str) -> str:
    """SQL of (children with a fact before, those who have lost it, those who have quite another value)."""
    told = [*_TOLD, *(["blank"] if source in _ONCE_A_YEAR else [])]
    before, now = f"b.{quoted(name)}", f"coalesce(n.{quoted(name)}, 0)"
    asked = f"{before} <> 0 and not list_contains({told!r}, n.{quoted(name + '__status')})"
    return (
        f"count(*) filter (where {asked}), count(*) filter (where {asked} and {now} = 0), "
        f"count(*) filter (where {asked} and abs({now} - {before}) > 0.5 * greatest(abs({now}), abs({before})))"
    )


def _usual(con: duckdb.DuckDBPyConnection, as_of: dt.date) -> dict[str, tuple[float, float]]:
    """Feature → the median shares lost and changed of former comparisons, where enough are known."""
    known: dict[str, list[tuple[float, float]]] = {}
    for feature, lost, changed in con.execute(
        "select feature, lost_percent, changed_percent from quality.fact_change_history where as_of_date < ?", [as_of]
    ).fetchall():
        known.setdefault(str(feature), []).append((float(lost), float(changed)))
    return {
        feature: (statistics.median(x for x, _ in shares), statistics.median(y for _, y in shares))
        for feature, shares in known.items()
        if len(shares) >= KNOWN
    }
