"""Change from extract to extract: row counts, shares of blanks and distributions, with limits that learn from history.

A limit learns from the former extracts but is held between fixed bounds, so that a slow slide can neither widen it
without end nor go unseen: the newest extract is also compared with the first one kept.
"""

from __future__ import annotations

import datetime as dt
import statistics
from dataclasses import dataclass
from typing import Literal

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.quality.availability import population_stability
from kodomo_platform.quality.engine import read_configuration, table_columns
from kodomo_platform.quality.vocabulary import given_text

PSI_LIMIT = 0.25


@dataclass(frozen=True)
class Alarm:
    """One measure of one source that left its limits. ``value`` and limits: rows, percent or PSI by ``measure``."""

    source: str
    item: str | None
    measure: Literal["rows", "blank_percent", "psi"]
    extract_date: dt.date
    value: float
    low: float
    high: float


def learnt_limits(history: list[float], *, narrowest: float, widest: float) -> tuple[float, float]:
    """Limits around the median of ``history``: four robust deviations, never closer than ``narrowest`` (share of the
    median) nor wider than ``widest``."""
    middle = statistics.median(history)
    spread = 1.4826 * statistics.median(abs(value - middle) for value in history) * 4
    reach = min(max(spread, narrowest * abs(middle)), widest * abs(middle))
    return middle - reach, middle + reach


def drift_alarms(con: duckdb.DuckDBPyConnection, as_of: dt.date) -> list[Alarm]:
    """What the newest extract of every source changed against the former ones (none for a single extract)."""
    tables = table_columns(con)
    reading = read_configuration(con, as_of)
    alarms: list[Alarm] = []
    for source in load_catalog().sources.values():
        table = f"raw.{source.raw_table}"
        if table not in tables or reading.sources_held.get(source.key) is False:
            continue
        counts = con.execute(
            f"select _extract_date, count(*) from {table} where _extract_date <= ? group by 1 order by 1", [as_of]
        ).fetchall()
        if len(counts) < 2:
            continue
        last, rows = counts[-1]
        history = [float(count) for _, count in counts[:-1]]
        low, high = learnt_limits(history, narrowest=0.2, widest=0.5)
        first = history[0]
        if rows > 20 and not (low <= rows <= high and 0.4 * first <= rows <= 3 * first):
            alarms.append(Alarm(source.key, None, "rows", last, rows, low, high))
        for item in source.items:
            if reading.items_held.get((source.key, item.name)) is False:
                continue
            given = given_text(item.name, reading.tokens.get((source.key, item.name), ()))
            shares = con.execute(
                f"select _extract_date, 100.0 * count(*) filter (where {given} is null) / count(*) "
                f"from {table} where _extract_date <= ? group by 1 order by 1",
                [as_of],
            ).fetchall()
            past = [float(share) for _, share in shares[:-1]]
            limit = min(max(max(past) * 1.5, statistics.median(past) + 5), statistics.median(past) + 20, past[0] + 20)
            if shares[-1][1] > limit:
                alarms.append(Alarm(source.key, item.name, "blank_percent", last, round(shares[-1][1], 3), 0.0, limit))
            if item.type == "code":
                before, after = (
                    dict(
                        con.execute(
                            f"select {given}, count(*) from {table} where _extract_date = ? and {given} is not null group by 1",
                            [day],
                        ).fetchall()
                    )
                    for day in (counts[-2][0], last)
                )
                psi = population_stability(before, after)
                if min(sum(before.values()), sum(after.values())) >= 100 and psi > PSI_LIMIT:
                    alarms.append(Alarm(source.key, item.name, "psi", last, round(psi, 4), 0.0, PSI_LIMIT))
    return alarms
