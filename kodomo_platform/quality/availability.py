"""Absence made visible: what of each item is there, by month and source, and whether blanks fall on some groups.

Statuses as everywhere: present, blank, not_applicable, not_held, before_start, unreadable (not_linked and no_consent join
in the marts, left_out where a municipality decided against an item). What a municipality decides from it stands in its file (`absence_decisions`).
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import duckdb

from kodomo_platform.catalog import Source, load_catalog
from kodomo_platform.quality.engine import table_columns

STATUSES = (
    "present", "blank", "not_applicable", "not_linked", "not_held", "before_start", "unreadable", "left_out", "no_consent",
)  # fmt: skip


@dataclass(frozen=True)
class Availability:
    """Cells of one item of one source in one month (None: rows without a month) by status."""

    source: str
    item: str
    month: dt.date | None
    rows: int
    counts: dict[str, int]

    @property
    def absent_percent(self) -> float:
        """Blank and unreadable among the cells that could hold a value."""
        could = sum(self.counts.get(status, 0) for status in ("present", "blank", "unreadable", "before_start"))
        lost = could - self.counts.get("present", 0)
        return 100.0 * lost / could if could else 0.0


@dataclass(frozen=True)
class Freshness:
    """The newest extract and event of one source, in days before the as-of date."""

    source: str
    held: bool
    last_extract: dt.date | None
    extract_age_days: int | None
    last_event: dt.date | None
    event_age_days: int | None


def _staged(con: duckdb.DuckDBPyConnection) -> list[tuple[Source, frozenset[str]]]:
    tables = table_columns(con)
    return [
        (source, tables[f"staging.{source.staging_table}"])
        for source in load_catalog().sources.values()
        if f"staging.{source.staging_table}" in tables
    ]


def status_columns(con: duckdb.DuckDBPyConnection, source: Source, columns: frozenset[str]) -> dict[str, str]:
    """Item → SQL of its status in the source's staging table.

    Names, addresses, telephones and numbers have no status column of their own in staging: what is absent of them is
    told from the value and from whether the municipality's file maps the item.
    """
    held: dict[str, bool] = {}
    if "cfg.item" in table_columns(con):
        held = {
            str(name).removeprefix(f"{source.key}."): bool(is_held)
            for name, is_held in con.execute(
                "select item, held from cfg.item where source = ?", [source.key]
            ).fetchall()
        }
    answer: dict[str, str] = {}
    for item in source.items:
        if f"{item.name}__status" in columns:
            answer[item.name] = f'"{item.name}__status"'
        elif held.get(item.name) is False:
            answer[item.name] = "'not_held'"
        elif item.name == source.record_key and item.name not in columns:
            # staging names a row without its number by the row
            answer[item.name] = "case when source_record_id like '~%' then 'blank' else 'present' end"
        elif item.name in columns:
            answer[item.name] = f"case when \"{item.name}\" is null then '{item.blank_means}' else 'present' end"
    return answer


def _linked(con: duckdb.DuckDBPyConnection, source: Source) -> str | None:
    """SQL that is true for staged rows that reach a child (or an adult of the register), None before linkage."""
    if "linkage.lnk_crosswalk" not in table_columns(con):
        return None
    reached = (
        f"select source_record_id from linkage.lnk_crosswalk where source = '{source.key}' and child_id is not null"
    )
    if source.id_system == "resident":
        # grown-ups of the register belong to no child, and nothing is lost by it
        reached += (
            " union all select source_record_id from staging.stg_resident__register "
            "where birth_date__latest <= _extract_date - interval 18 year"
        )
    return f"source_record_id in ({reached})"


def availability(con: duckdb.DuckDBPyConnection, *, by_month: bool = True) -> list[Availability]:
    """The matrix of every item of every source of the catalogue, one scan per source.

    A source or item that the municipality lacks has one cell of `not_held`; months before a system began have cells of
    `before_start` (with no rows: nothing was recorded then); a value whose row reaches no child is `not_linked`.
    """
    tables = table_columns(con)
    held, starts = _sources(con, tables)
    answer: list[Availability] = []
    first: dt.date | None = None
    for source, columns in _staged(con):
        if held.get(source.key) is False:
            answer += [Availability(source.key, item.name, None, 1, {"not_held": 1}) for item in source.items]
            continue
        statuses = status_columns(con, source, columns)
        if not statuses:
            continue
        linked = _linked(con, source)
        event = source.event_date if source.event_date in columns else None
        month = f"date_trunc('month', {event})::date" if by_month and event else "null::date"
        shown = {
            item: f"case when {sql} = 'present' and not _linked then 'not_linked' else {sql} end" if linked else sql
            for item, sql in statuses.items()
        }
        # grouping a column costs a tenth of comparing it with each status
        counts = " union all ".join(
            f"select {place} as place, m, {sql} as status, count(*) as n from seen group by 2, 3"
            for place, sql in enumerate(shown.values())
        )
        cells: dict[dt.date | None, dict[int, dict[str, int]]] = {}
        for place, when, status, number in con.execute(
            f"with seen as materialized (select *, {month} as m, {linked or 'true'} as _linked "
            f"from staging.{source.staging_table}) {counts} order by m, place"
        ).fetchall():
            cells.setdefault(when, {}).setdefault(place, {})[status] = number
        if event and cells and source.key != "resident.register":
            seen = [when for when in cells if when is not None]
            first = min([first, *seen]) if first and seen else first or (min(seen) if seen else None)
        for when, items in cells.items():
            for place, item in enumerate(statuses):
                known = {status: items[place][status] for status in STATUSES if status in items[place]}
                answer.append(Availability(source.key, item, when, sum(items[place].values()), known))
    if by_month and first is not None:
        answer += _before_start(answer, starts, first)
    return answer


def _sources(
    con: duckdb.DuckDBPyConnection, tables: dict[str, frozenset[str]]
) -> tuple[dict[str, bool], dict[str, dt.date]]:
    if "cfg.source" not in tables:
        return {}, {}
    rows = con.execute("select source, held, system_start from cfg.source").fetchall()
    return {key: bool(held) for key, held, _ in rows}, {key: start for key, _, start in rows if start is not None}


def _before_start(
    known: list[Availability], starts: dict[str, dt.date], first: dt.date, *, most: int = 36
) -> list[Availability]:
    """Months in which other sources already speak and a source's system had not begun."""
    cells = {(cell.source, cell.item, cell.month) for cell in known}
    dated = {(cell.source, cell.item) for cell in known if cell.month is not None}
    answer = []
    for source, item in sorted(dated):
        start = starts.get(source)
        if start is None:
            continue
        month = start.replace(day=1) if start.day == 1 else _next_month(start)
        for _ in range(most):
            month = (month - dt.timedelta(days=1)).replace(day=1)
            if month < first.replace(day=1):
                break
            if (source, item, month) not in cells:
                answer.append(Availability(source, item, month, 0, {"before_start": 0}))
    return answer


def _next_month(day: dt.date) -> dt.date:
    return (day.replace(day=28) + dt.timedelta(days=4)).replace(day=1)


@dataclass(frozen=True)
class FeatureAvailability:
    """Children by the status of one feature at the newest as-of date (`not_linked` is told here for children)."""

    feature: str
    children: int
    counts: dict[str, int]


def feature_availability(con: duckdb.DuckDBPyConnection) -> list[FeatureAvailability]:
    """How many children have each feature, and why the others have not; empty before the marts are built."""
    columns = table_columns(con).get("marts.mart_child_features", frozenset())
    features = sorted(name.removesuffix("__status") for name in columns if name.endswith("__status"))
    if not features:
        return []
    # grouping a column costs a tenth of comparing it with each status
    counts = " union all ".join(
        f'select {place} as place, "{feature}__status" as status, count(*) as n from newest group by 2'
        for place, feature in enumerate(features)
    )
    found: list[dict[str, int]] = [{} for _ in features]
    for place, status, number in con.execute(
        "with newest as (select * from marts.mart_child_features "
        f"where as_of_date = (select max(as_of_date) from marts.mart_child_features)) {counts}"
    ).fetchall():
        found[place][status] = number
    return [
        FeatureAvailability(feature, sum(known.values()), {s: known[s] for s in STATUSES if s in known})
        for feature, known in zip(features, found, strict=True)
        if known
    ]


def freshness(con: duckdb.DuckDBPyConnection, as_of: dt.date) -> list[Freshness]:
    """Per source of this municipality, how old its newest extract and its newest event are."""
    tables = table_columns(con)
    held = dict(con.execute("select source, held from cfg.source").fetchall()) if "cfg.source" in tables else {}
    answer = []
    for source in load_catalog().sources.values():
        extract: dt.date | None = None
        event: dt.date | None = None
        if f"raw.{source.raw_table}" in tables:
            row = con.execute(
                f"select max(_extract_date) from raw.{source.raw_table} where _extract_date <= ?", [as_of]
            ).fetchone()
            extract = row[0] if row else None
        columns = tables.get(f"staging.{source.staging_table}", frozenset())
        if source.event_date and source.event_date in columns:
            row = con.execute(
                f"select max({source.event_date}) from staging.{source.staging_table} where {source.event_date} <= ?",
                [as_of],
            ).fetchone()
            event = row[0] if row else None
        answer.append(
            Freshness(
                source.key,
                bool(held.get(source.key, extract is not None)),
                extract,
                (as_of - extract).days if extract else None,
                event,
                (as_of - event).days if event else None,
            )
        )
    return answer


@dataclass(frozen=True)
class BlankPattern:
    """Whether an item's blanks fall evenly over a group. ``effect``: Cramér's V (0-1); ``random``: no sign against."""

    source: str
    item: str
    group: str
    rows: int
    blank: int
    chi2: float
    degrees: int
    p_value: float
    effect: float

    @property
    def random(self) -> bool:
        """No notable dependence: the effect is below 0.1 (Cohen's 'small') or the test does not see one at 1 %."""
        return self.effect < 0.1 or self.p_value >= 0.01


def contingency(table: list[tuple[int, int]]) -> tuple[float, int, float, float]:
    """(chi², degrees, p, Cramér's V) of rows (blank, present); groups without cells are left out.

    p is exact for one degree, else by Wilson and Hilferty's cube-root approximation (1931), good to some thousandths:
    SciPy costs a second of start-up for this one number.
    """
    rows = [row for row in table if sum(row)]
    total = sum(map(sum, rows))
    blank, present = sum(row[0] for row in rows), sum(row[1] for row in rows)
    degrees = len(rows) - 1
    if degrees < 1 or not blank or not present:
        return 0.0, max(degrees, 0), 1.0, 0.0
    chi2 = 0.0
    for row in rows:
        size = sum(row)
        for observed, column in zip(row, (blank, present), strict=True):
            expected = size * column / total
            chi2 += (observed - expected) ** 2 / expected
    if degrees == 1:
        return chi2, 1, math.erfc(math.sqrt(chi2 / 2)), math.sqrt(chi2 / total)
    z = ((chi2 / degrees) ** (1 / 3) - (1 - 2 / (9 * degrees))) / math.sqrt(2 / (9 * degrees))
    return chi2, degrees, 0.5 * math.erfc(z / math.sqrt(2)), math.sqrt(chi2 / total)


_GROUPS = ("school_code", "grade", "sex", "address_town", "facility_code", "relationship")


def blank_patterns(con: duckdb.DuckDBPyConnection) -> list[BlankPattern]:
    """For items with blanks, whether they depend on school, grade, sex or area (where the row or its pupil has one)."""
    answer: list[BlankPattern] = []
    staged = _staged(con)
    homes = {source.id_system: (source, columns) for source, columns in staged if source.is_identity}
    for source, columns in staged:
        home, home_columns = (source, columns) if source.is_identity else homes.get(source.id_system, (source, columns))
        groups = [group for group in _GROUPS if group in home_columns]
        found: list[BlankPattern] = []
        items = [i.name for i in source.items if f"{i.name}__status" in columns]
        if not items or not groups:
            continue
        counts = ", ".join(
            f"count(*) filter (where s.\"{item}__status\" = '{status}')"
            for item in items
            for status in ("blank", "present")
        )
        for group in groups:
            # all items of a source in one scan
            rows = con.execute(
                f"select count(*), {counts} from staging.{source.staging_table} as s "
                f"inner join (select source_record_id, {group} from staging.{home.staging_table}) as h "
                f"on h.source_record_id = s.source_record_id where h.{group} is not null "
                f"group by h.{group} having count(*) >= 5 order by h.{group}"
            ).fetchall()
            for place, item in enumerate(items):
                cells = [(row[1 + 2 * place], row[2 + 2 * place]) for row in rows]
                blank = sum(cell[0] for cell in cells)
                if item == group or blank < 5:
                    continue
                chi2, degrees, p, effect = contingency(cells)
                found.append(
                    BlankPattern(source.key, item, group, sum(map(sum, cells)), blank, chi2, degrees, p, effect)
                )
        answer += sorted(found, key=lambda pattern: (items.index(pattern.item), groups.index(pattern.group)))
    return answer


def population_stability(before: dict[str, int], after: dict[str, int]) -> float:
    """PSI of two histograms: below 0.1 steady, above 0.25 shifted (Siddiqi, Credit Risk Scorecards, 2006)."""
    totals = sum(before.values()), sum(after.values())
    if not all(totals):
        return 0.0
    value = 0.0
    for key in {*before, *after}:
        # half a row for an empty class, so that a new class counts without being infinite
        share_before = max(before.get(key, 0), 0.5) / totals[0]
        share_after = max(after.get(key, 0), 0.5) / totals[1]
        value += (share_after - share_before) * math.log(share_after / share_before)
    return value
