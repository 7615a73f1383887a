"""Change from extract to extract: rows, blanks, categories, distributions, links and freshness, with limits that learn from history.

A limit learns from the former extracts but is held between fixed bounds, so that a slow slide can neither widen it
without end nor go unseen: the newest extract is also compared with the first one kept.
"""

from __future__ import annotations

import datetime as dt
import itertools
import statistics
from dataclasses import dataclass
from typing import Literal

import duckdb

from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.quality.availability import population_stability
from kodomo_platform.quality.engine import read_configuration, table_columns
from kodomo_platform.quality.results import has_results
from kodomo_platform.quality.vocabulary import given_text, literal, narrowed, numeral

PSI_LIMIT = 0.25
# A category counts as come or gone from this share (percent) of the values on.
CATEGORY_SHARE = 1.0
# No source may be silent longer than two monthly deliveries, whatever its history.
OLDEST_DAYS = 62

Measure = Literal["rows", "blank_percent", "psi", "categories", "unlinked_percent", "age_days"]


@dataclass(frozen=True)
class Alarm:
    """One measure of one source that left its limits. ``value`` and limits: rows, percent, PSI, categories that came or
    went, or days, by ``measure``."""

    source: str
    item: str | None
    measure: Measure
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
        alarms += _silent(source.key, [day for day, _ in counts], as_of)
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
            histograms = _histograms(con, table, item, given, counts[-2][0], last)
            if histograms is None:
                continue
            before, after = histograms
            if min(sum(before.values()), sum(after.values())) < 100:
                continue
            psi = population_stability(before, after)
            if psi > PSI_LIMIT:
                alarms.append(Alarm(source.key, item.name, "psi", last, round(psi, 4), 0.0, PSI_LIMIT))
            if item.type == "code":
                moved = _come_or_gone(before, after)
                if moved:
                    alarms.append(Alarm(source.key, item.name, "categories", last, moved, 0.0, 0.0))
    return alarms + _unlinked(con, as_of)


def _histograms(
    con: duckdb.DuckDBPyConnection, table: str, item: Item, given: str, before: dt.date, after: dt.date
) -> tuple[dict[str, int], dict[str, int]] | None:
    """Values of two extracts by class: a code's values, a number's tenths of the former extract. None for other items."""
    if item.type == "code":
        classes, edges = given, ""
    elif item.type in ("int", "decimal"):
        classes = f"len(list_filter(_edges, e -> e < {numeral(narrowed(given))}))::varchar"
        tenths = "[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]"
        edges = (
            f" cross join (select list_distinct(quantile_disc({numeral(narrowed(given))}, {tenths})) as _edges "
            f"from {table} where _extract_date = {literal(before)})"
        )
    else:
        return None
    found: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for day, value, number in con.execute(
        f"select _extract_date, _class, count(*) from (select _extract_date, {classes} as _class from {table}{edges} "
        "where _extract_date in (?, ?)) where _class is not null group by 1, 2",
        [before, after],
    ).fetchall():
        found[day == after][value] = number
    return found


def _come_or_gone(before: dict[str, int], after: dict[str, int]) -> int:
    """Categories with a notable share in one extract and none in the other."""

    def notable(here: dict[str, int], there: dict[str, int]) -> int:
        return sum(
            100 * number >= CATEGORY_SHARE * sum(here.values()) for key, number in here.items() if key not in there
        )

    return notable(before, after) + notable(after, before)


def _silent(source: str, days: list[dt.date], as_of: dt.date) -> list[Alarm]:
    """This municipality's source is overdue by its own rhythm: twice its usual gap, at least ten days."""
    gaps = [(later - earlier).days for earlier, later in itertools.pairwise(days)]
    limit = min(max(2 * statistics.median(gaps), 10), OLDEST_DAYS)
    age = (as_of - days[-1]).days
    return [Alarm(source, None, "age_days", days[-1], age, 0.0, limit)] if age > limit else []


def _unlinked(con: duckdb.DuckDBPyConnection, as_of: dt.date) -> list[Alarm]:
    """Rows of each source whose number its home source does not know, against the former runs' shares."""
    if not has_results(con):
        return []
    history: dict[str, list[tuple[dt.date, float]]] = {}
    for source, day, percent in con.execute(
        "select source, max(as_of_date), arg_max(percent, recorded_at) from quality.results where as_of_date <= ? "
        "and expectation_id like 'staging.%:orphans' and status in ('passed', 'failed') group by source, as_of_date "
        "order by source, as_of_date",
        [as_of],
    ).fetchall():
        history.setdefault(source, []).append((day, float(percent)))
    alarms = []
    for source, shares in history.items():
        (last, now), past = shares[-1], [share for _, share in shares[:-1]]
        if past:
            limit = min(statistics.median(past) + 2, past[0] + 5)
            if now > limit:
                alarms.append(Alarm(source, None, "unlinked_percent", last, round(now, 3), 0.0, limit))
    return alarms
