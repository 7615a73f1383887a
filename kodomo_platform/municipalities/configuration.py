"""Put a municipality's file and the catalogue into the warehouse's ``cfg`` tables, so that SQL never names either.

The tables are rebuilt whole by every run. Nothing personal stands in them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import duckdb

from kodomo_platform.catalog import Catalog, Item
from kodomo_platform.municipalities.models import Municipality

_TABLES = {
    "run": "municipality varchar, as_of_date date",
    "as_of": "as_of_date date, purpose varchar",
    "source": "source varchar, domain varchar, name varchar, held boolean, system_start date, extract_kind varchar, "
    "id_system varchar, record_key varchar, is_identity boolean, event_date_item varchar, unknown_percent double, "
    "sees_from integer, sees_until integer",
    "item": "source varchar, item varchar, type varchar, held boolean, date_style varchar, era_codes varchar, "
    "blank_means varchar, identifier boolean, banned boolean, minimum double, maximum double, years_back integer, "
    "days_ahead integer",
    "null_token": "source varchar, item varchar, token varchar",
    "code_map": "source varchar, item varchar, local_code varchar, code varchar",
    "consent": "rule varchar, source varchar, covered varchar[], open_without varchar[]",
    "consent_scope": "scope varchar, domain varchar",
    "consent_name": "name varchar, item varchar",
}

# A folder's date may be somewhat before the day on which its files were made: later events do not count yet, but are
# no slips. Months may be written for the school year to come; an end lies ahead by years.
_DAYS_AHEAD = {"date": 31, "month": 400}
_END_DAYS_AHEAD = 20 * 366


def days_ahead(item: Item) -> int | None:
    """How many days after its extract a date of ``item`` is still possible; None where the item is no date."""
    return _END_DAYS_AHEAD if item.may_lie_ahead else _DAYS_AHEAD.get(item.type)


# One CP932 code each, decoded to either character by different decoders (JIS X 0208 against Microsoft's table).
_JIS, _MICROSOFT = "〜−‖—", "～－∥―"
_COLLIDING = (str.maketrans(_JIS, _MICROSOFT), str.maketrans(_MICROSOFT, _JIS))


def write_configuration(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    catalog: Catalog,
    as_of: dt.date,
    *,
    train_as_of: Sequence[dt.date] = (),
) -> None:
    """Rebuild ``cfg.*`` for one run.

    ``cfg.as_of`` gets ``as_of`` for 'score' and every date of ``train_as_of`` for 'train'. One row per catalogue
    source and item, held or not; tokens and local codes are trimmed, catalogue codes map to themselves, and the empty
    text is a null token of every item.
    """
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}
    rows["run"].append((municipality.code, as_of))
    rows["as_of"] += [(as_of, "score"), *((day, "train") for day in sorted(set(train_as_of)))]
    for source in catalog.sources.values():
        config = municipality.by_source.get(source.key)
        rows["source"].append(
            (
                source.key,
                source.domain,
                source.name,
                config is not None,
                None if config is None else config.system_start,
                source.extract_kind if config is None else config.extract_kind,
                source.id_system,
                source.record_key,
                source.is_identity,
                source.event_date,
                source.unknown_percent,
                *(source.sees_ages or (None, None)),
            )
        )
        for item in source.items:
            held = config is not None and item.name in config.by_item
            dated = item.type in ("date", "month")
            style = config.dates_of(item.name) if config is not None and dated else None
            rows["item"].append(
                (
                    source.key,
                    item.name,
                    item.type,
                    held,
                    None if style is None else style.style,
                    None if style is None else style.era_codes,
                    item.blank_means,
                    item.identifier,
                    item.banned_as_input,
                    item.minimum,
                    item.maximum,
                    source.years_back,
                    days_ahead(item),
                )
            )
            tokens = {""} if config is None else {"", *(token.strip() for token in config.null_tokens_of(item.name))}
            rows["null_token"] += [(source.key, item.name, token) for token in sorted(tokens)]
            codes = {code: code for code in item.codes or {}}
            if config is not None:
                given = {local.strip(): code for local, code in config.code_maps.get(item.name, {}).items()}
                # a local code is found however its extract's decoder writes the characters that collide in CP932
                for local, code in given.items():
                    codes |= {local.translate(table): code for table in _COLLIDING}
                codes |= given
            rows["code_map"] += [(source.key, item.name, local, code) for local, code in codes.items()]
    rows |= _consent_rows(municipality, catalog)
    con.execute("create schema if not exists cfg")
    con.execute("begin")
    try:
        for name, columns in _TABLES.items():
            con.execute(f"create or replace table cfg.{name} ({columns})")
            if rows[name]:
                # one statement per table: executemany costs seconds on a thousand rows
                marks = ", ".join("(" + ", ".join("?" * len(row)) + ")" for row in rows[name])
                con.execute(f"insert into cfg.{name} values {marks}", [cell for row in rows[name] for cell in row])
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise


def _consent_rows(municipality: Municipality, catalog: Catalog) -> dict[str, list[tuple[Any, ...]]]:
    """What the consent rule needs in SQL.

    ``covered``: domains where consent is the ground. ``open_without``: domains that are open to a child of whom the
    ledger holds no line. ``consent_scope``: what each scope opens, as the catalogue says. ``consent_name``: how a ledger
    may name items, by key or label, of an item or of a whole source.
    """
    rule = municipality.consent
    domains = list(dict.fromkeys(source.domain for source in catalog.sources.values() if source.domain != "consent"))
    covered = [
        domain for domain in domains if rule.rule != "none" and (not rule.applies_to or domain in rule.applies_to)
    ]
    held = {source.partition(".")[0] for source in municipality.by_source} - {"resident", "consent"}
    if rule.rule != "none" and "resident" not in covered and held <= set(covered):
        # all that the register could be linked to rests on consent: so does being in it
        covered.append("resident")
    open_without = [domain for domain in domains if rule.rule != "opt_in" or domain not in covered]
    names = {(item.key, item.key) for item in catalog.items.values()}
    for source in catalog.sources.values():
        for item in source.items:
            names |= {
                (source.key, item.key),
                (source.label_ja, item.key),
                (f"{source.label_ja}・{item.label_ja}", item.key),
            }
    ledger = catalog.sources.get(rule.source or "")
    scopes = (ledger.by_name["scope"].codes or {}) if ledger is not None and "scope" in ledger.by_name else {}
    return {
        "consent": [(rule.rule, rule.source, covered, open_without)],
        "consent_scope": [(scope, domain) for scope, label in scopes.items() for domain in label.covers],
        "consent_name": sorted(names) if rule.rule != "none" else [],
    }
