"""Which items are open on a day for a municipality, and why the others are closed.

An item without a lawful ground that lives on the day of the run does not enter: its column is left at the door, what is
held of it is dropped, and scores say which input is gone. What is decided here rests on the catalogue, the town's file
and the grounds recorded in the operations database; nothing is assumed where they are silent.

Sources: Act on the Protection of Personal Information, arts. 61 (purpose), 69(1) (law), 69(2) i-iv (temporary use beyond
the purpose); guideline of 2022-12-20, chapters 3.3 and 5.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from kodomo_platform.catalog import Item, load_catalog
from kodomo_platform.policy.purposes import covered

if TYPE_CHECKING:
    import duckdb

    from kodomo_platform.municipalities.models import Municipality, SourceConfig
    from kodomo_platform.operations import GovernanceRecord

WARN_DAYS = (60, 14)
_NONE = frozenset({"", "なし", "無し", "無", "ない", "-", "―", "不明", "none", "n/a"})
_ERA_START = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_DAY = re.compile(
    r"(?:(?P<year>\d{4})|(?P<era>明治|大正|昭和|平成|令和)(?P<era_year>\d{1,2}|元))\s*[年/\-.]\s*(?P<month>\d{1,2})"
    r"\s*[月/\-.]\s*(?P<day>\d{1,2})日?"
)


class Why(StrEnum):
    """Why an item is closed."""

    NO_BASIS = "no_basis"
    PURPOSE = "purpose_not_registered"
    ENDED = "period_ended"
    NOT_BEGUN = "period_not_begun"
    WITHDRAWN = "ground_withdrawn"
    NOT_APPROVED = "ground_not_approved"
    RETENTION = "retention_zero"
    CONSENT = "consent_needed_not_asked"


WHY_JA = {
    Why.NO_BASIS: "法的根拠の記載がない",
    Why.PURPOSE: "利用目的が登録されていない",
    Why.ENDED: "利用の期間が終わった",
    Why.NOT_BEGUN: "利用の期間が始まっていない",
    Why.WITHDRAWN: "根拠が撤回された",
    Why.NOT_APPROVED: "根拠が承認されていない",
    Why.RETENTION: "保存期間が0年",
    Why.CONSENT: "同意が必要だが、同意を得る仕組みがない",
}


@dataclass(frozen=True)
class Closed:
    """One item that may not be held or used, since when, and where that was said (catalogue, town, record key)."""

    item: str
    why: Why
    since: dt.date | None = None
    told_by: str = "catalogue"


@dataclass(frozen=True)
class Ending:
    """A ground that ends soon: ``days`` from now."""

    item: str
    ends_on: dt.date
    days: int
    told_by: str


def end_of_period(text: str) -> dt.date | None:
    """The last day that a period in words names (2020年3月31日, 令和8年3月31日, 2020-03-31); None where it names none."""
    days = []
    for match in _DAY.finditer(unicodedata.normalize("NFKC", text)):
        era_year = match["era_year"]
        year = (
            int(match["year"])
            if match["year"]
            else _ERA_START[match["era"]] + (1 if era_year == "元" else int(era_year))
        )
        try:
            days.append(dt.date(year, int(match["month"]), int(match["day"])))
        except ValueError:
            continue
    return max(days, default=None)


def _period(item: Item, municipality: Municipality) -> tuple[dt.date | None, dt.date | None, str]:
    """First day, last day, and who says so: the town before the catalogue."""
    own = municipality.governance.of(item.key) if municipality.governance is not None else None
    if own is not None and (own.period_from or own.period_until):
        return own.period_from, own.period_until, "municipality"
    if item.beyond_purpose is None:
        return None, None, "catalogue"
    return None, end_of_period(item.beyond_purpose.period), "catalogue"


def _by_record(item: Item, records: Mapping[str, list[GovernanceRecord]], on: dt.date) -> Closed | None:
    """Several sheets may be on file for an item; one that lives is enough."""
    sheets = [*records.get(item.key, []), *records.get(item.source, [])]
    if not sheets:
        return None
    worst: Closed | None = None
    for sheet in sheets:
        state = sheet.state_on(on)
        if state == "approved":
            if sheet.valid_from is not None and on < sheet.valid_from:
                worst = Closed(item.key, Why.NOT_BEGUN, None, sheet.key)
            elif sheet.valid_until is not None and on > sheet.valid_until:
                worst = Closed(item.key, Why.ENDED, sheet.valid_until, sheet.key)
            else:
                return None
        elif state in ("withdrawn", "expired"):
            worst = Closed(item.key, Why.WITHDRAWN if state == "withdrawn" else Why.ENDED, None, sheet.key)
        else:
            worst = worst or Closed(item.key, Why.NOT_APPROVED, None, sheet.key)
    return worst


def closures(municipality: Municipality, on: dt.date, items: Iterable[Item] | None = None) -> dict[str, Closed]:
    """The items of the municipality's sources that are closed on a day, by full key.

    Args:
        items: catalogue entries to judge (default: the shipped catalogue's).
    """
    from kodomo_platform import operations

    records: dict[str, list[GovernanceRecord]] = {}
    for record in operations.governance_records(municipality.code, "ground"):
        for key in record.body.get("items", []):
            records.setdefault(str(key), []).append(record)
    governance = municipality.governance
    shut: dict[str, Closed] = {}
    for item in load_catalog().items.values() if items is None else items:
        if item.source not in municipality.by_source:
            continue
        own = governance.of(item.key) if governance is not None else None
        basis = own.legal_basis if own is not None and own.legal_basis is not None else item.legal_basis
        years = own.retention_years if own is not None and own.retention_years is not None else item.retention.years
        needed = own.consent_needed if own is not None and own.consent_needed is not None else item.consent_needed
        first, last, told_by = _period(item, municipality)
        named = "municipality" if own is not None and own.legal_basis is not None else "catalogue"
        if unicodedata.normalize("NFKC", basis).strip().lower() in _NONE:
            shut[item.key] = Closed(item.key, Why.NO_BASIS, None, named)
        elif not covered(item, municipality):
            shut[item.key] = Closed(item.key, Why.PURPOSE)
        elif last is not None and on > last:
            shut[item.key] = Closed(item.key, Why.ENDED, last, told_by)
        elif first is not None and on < first:
            shut[item.key] = Closed(item.key, Why.NOT_BEGUN, None, told_by)
        elif years == 0:
            shut[item.key] = Closed(item.key, Why.RETENTION)
        elif needed and municipality.consent.rule == "none":
            shut[item.key] = Closed(item.key, Why.CONSENT)
        elif by_record := _by_record(item, records, on):
            shut[item.key] = by_record
        elif (
            governance is not None
            and governance.require_grounds
            and not (item.key in records or item.source in records)
        ):
            shut[item.key] = Closed(item.key, Why.NOT_APPROVED, None, "municipality")
    return shut


def endings(municipality: Municipality, on: dt.date) -> list[Ending]:
    """Grounds that end within 60 days of ``on``, the soonest first: the overseer is warned 60 and 14 days before."""
    from kodomo_platform import operations

    soon: list[Ending] = []
    for record in operations.governance_records(municipality.code, "ground"):
        if record.state_on(on) == "approved" and record.valid_until is not None:
            soon += [
                Ending(str(key), record.valid_until, (record.valid_until - on).days, record.key)
                for key in record.body.get("items", [])
            ]
    for item in load_catalog().items.values():
        if item.source in municipality.by_source:
            _, last, told_by = _period(item, municipality)
            if last is not None:
                soon.append(Ending(item.key, last, (last - on).days, told_by))
    return sorted((e for e in soon if 0 <= e.days <= WARN_DAYS[0]), key=lambda e: (e.days, e.item))


def governed(municipality: Municipality, on: dt.date, shut: Mapping[str, Closed] | None = None) -> Municipality:
    """The municipality as far as it may be read on a day: columns of closed items are ignored columns with their reason.

    A source whose record key, natural key or event date is closed is not held at all: its rows could not be told apart.
    """
    from kodomo_platform.municipalities.models import IgnoredColumn

    shut = closures(municipality, on) if shut is None else shut
    if not shut:
        return municipality
    catalog = load_catalog()
    sources: list[SourceConfig] = []
    for config in municipality.sources:
        source = catalog.sources[config.source]
        closed_here = {name for name in source.by_name if f"{source.key}.{name}" in shut}
        needed = {source.record_key, *source.natural_key, *([source.event_date] if source.event_date else [])}
        kept = [column for column in config.columns if column.item not in closed_here]
        if not closed_here:
            sources.append(config)
        elif kept and not needed & closed_here:
            ignored = [
                IgnoredColumn(
                    column=column.column, position=column.position, start=column.start, width=column.width,
                    reason=WHY_JA[shut[f"{source.key}.{column.item}"].why],
                )
                for column in config.columns
                if column.item in closed_here
            ]  # fmt: skip
            sources.append(
                config.model_copy(update={"columns": kept, "ignored_columns": [*config.ignored_columns, *ignored]})
            )
    # copies keep no cached properties of the original
    return type(municipality).model_construct(**{**dict(municipality), "sources": [_fresh(s) for s in sources]})


def _fresh(config: SourceConfig) -> SourceConfig:
    return type(config).model_construct(**{name: getattr(config, name) for name in type(config).model_fields})


def drop_held(con: duckdb.DuckDBPyConnection, municipality: Municipality, shut: Mapping[str, Closed]) -> dict[str, int]:
    """Drop from the warehouse's raw tables what is held of closed items; item → rows that held a value.

    ``cfg.closed_item`` says what is closed and why, for whoever reads a score.
    """
    con.execute("create schema if not exists cfg")
    con.execute(
        "create or replace table cfg.closed_item (item varchar, why varchar, why_ja varchar, since date, told_by varchar)"
    )
    for closed in shut.values():
        con.execute(
            "insert into cfg.closed_item values (?, ?, ?, ?, ?)",
            [closed.item, closed.why.value, WHY_JA[closed.why], closed.since, closed.told_by],
        )
    there = {
        (table, column)
        for table, column in con.execute(
            "select table_name, column_name from information_schema.columns where table_schema = 'raw'"
        ).fetchall()
    }
    dropped: dict[str, int] = {}
    for key in shut:
        item = load_catalog().items[key]
        table = load_catalog().sources[item.source].raw_table
        if (table, item.name) not in there:
            continue
        (count,) = con.execute(f'select count("{item.name}") from raw.{table}').fetchone() or (0,)
        if count:
            con.execute(f'update raw.{table} set "{item.name}" = null where "{item.name}" is not null')
            dropped[key] = int(count)
    return dropped


def beyond_lookback(
    lookbacks: Mapping[str, int], items_of: Mapping[str, Iterable[str]], municipality: Municipality
) -> set[str]:
    """Features that look further back than an item of theirs allows. Both mappings are by feature name.

    Args:
        lookbacks: months that the feature looks back.
        items_of: full keys of the items it is made of.
    """
    catalog, governance = load_catalog().items, municipality.governance
    wrong = set()
    for name, months in lookbacks.items():
        for key in items_of[name]:
            own = governance.of(key).lookback_months if governance is not None else None
            limit = own if own is not None else catalog[key].lookback_months
            if limit is not None and months > limit:
                wrong.add(name)
    return wrong
