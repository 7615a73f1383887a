"""Rows and values set apart: which, why, and whom to ask. One odd record is isolated here and the town goes on.

What is set apart stands in ``quality.quarantine`` (file, row, item, reason, office; never a value) and, published, in
``quarantine.parquet``. Setting apart happens where rows are cleansed and linked (dbt's staging, the crosswalk): a row without
a readable number reaches no child, a value that cannot be read is none. Here it is collected and told. The critical checks
on *shares*, beyond which a delivery is stopped, stand in the suites.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import duckdb

from kodomo_platform.catalog import Source, load_catalog
from kodomo_platform.quality.engine import register_functions, table_columns
from kodomo_platform.quality.vocabulary import literal

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

Extent = Literal["row", "value"]


@dataclass(frozen=True)
class Reason:
    """Why something is set apart. ``extent``: the whole row, or the value alone. ``asked``: what the office is asked."""

    extent: Extent
    ja: str
    en: str
    asked_ja: str
    asked_en: str


REASONS: dict[str, Reason] = {
    "no_number": Reason(
        "row", "番号がなく、誰の記録か分からない", "has no number: nobody knows whose record it is",
        "番号を補って再抽出してください", "fill in the number and extract again",
    ),
    "unreadable_number": Reason(
        "row", "番号が読み取れず、誰の記録か分からない", "its number cannot be read: nobody knows whose record it is",
        "番号の列を文字列のまま書き出してください（Excelで開いて保存すると指数表示や数式になります）",
        "export the number as text (a spreadsheet makes exponents and formulas of it)",
    ),
    "unknown_number": Reason(
        "row", "番号が台帳になく、どのこどもにも結べない", "its number stands in no register: it belongs to no child",
        "番号が正しいか、台帳の側にその人の行があるかを確認してください",
        "see whether the number is right and whether the register holds the person",
    ),
    "shared_number": Reason(
        "row", "一つの番号が二人に付いている", "its number stands on two people",
        "どちらの人の番号かを確認してください", "find out whose number it is",
    ),
    "repeated_key": Reason(
        "row", "同じ鍵の行が同じ抽出にもう一つある（後の行を使う）", "another row of the extract has its key (the later one is used)",
        "どちらの行が正しいかを確認してください", "find out which of the rows is right",
    ),
    "unreadable_day": Reason(
        "row", "いつの出来事かを示す日付が読み取れないか、あり得ない日である", "the day of the event cannot be read or cannot be",
        "日付を確認し、正しい日付で再抽出してください", "check the date and extract again",
    ),
    "unreadable_value": Reason(
        "value", "値が読み取れないか、あり得る範囲にない、またはコード表にない", "the value cannot be read, is out of bounds or on no code list",
        "値を確認してください。コードならコード対応表に加えてください", "check the value; add a code to the map of codes",
    ),
    "impossible_age": Reason(
        "value", "生年月日によれば19歳を超えている", "by the date of birth the person is older than 19",
        "生年月日と、こどもの記録かどうかを確認してください", "check the date of birth, and whether the record is a child's",
    ),
    "part_above_whole": Reason(
        "value", "日数がその月の日数を超えている", "more days than the month has", "日数を確認してください", "check the days",
    ),
}  # fmt: skip

_DDL = """
create or replace table quality.quarantine (
    municipality varchar, as_of_date date, source varchar, extract_date date, source_file_sha256 varchar,
    row_number bigint, reason varchar, item varchar, extent varchar, asked_of varchar
)
"""
# Days that are parts of others, as features compare them.
_PARTS = {
    "education.attendance": ("school_days", ("absent_days", "late_days", "early_leave_days")),
    "childcare.attendance": ("open_days", ("absent_days", "late_pickup_days")),
}  # fmt: skip


def collect(con: duckdb.DuckDBPyConnection, municipality: Municipality, as_of: dt.date) -> int:
    """Rebuild ``quality.quarantine`` from the cleansed tables and, where it stands, the crosswalk; its number of rows."""
    register_functions(con)
    tables = table_columns(con)
    parts: list[str] = []
    for source in load_catalog().sources.values():
        columns = tables.get(f"staging.{source.staging_table}")
        config = municipality.by_source.get(source.key)
        if columns is None or config is None:
            continue
        asked_of = literal(getattr(config, "holder", None) or source.by_name[source.record_key].holder)
        parts += [
            f"select {literal(source.key)} as source, _extract_date, _source_file_sha256, _row_number, reason, item, "
            f"{asked_of} as asked_of from ({part})"
            for part in _parts(source, columns, tables)
        ]
    con.execute("create schema if not exists quality")
    con.execute(_DDL)
    if parts:
        extents = ", ".join(f"{literal(name)}: {literal(reason.extent)}" for name, reason in REASONS.items())
        con.execute(
            "insert into quality.quarantine select ?, ?, source, _extract_date, _source_file_sha256, _row_number, reason, "
            f"item, map {{{extents}}}[reason], asked_of from ({' union all by name '.join(parts)}) "
            "order by source, _extract_date, _source_file_sha256, _row_number, reason, item",
            [municipality.code, as_of],
        )
    row = con.execute("select count(*) from quality.quarantine").fetchone()
    return int(row[0]) if row else 0


def _parts(source: Source, columns: frozenset[str], tables: dict[str, frozenset[str]]) -> list[str]:
    """Queries of (_extract_date, _source_file_sha256, _row_number, reason, item) for one source."""
    staged, raw = f"staging.{source.staging_table}", f"raw.{source.raw_table}"
    key, place = source.record_key, "_extract_date, _source_file_sha256, _row_number"
    event = source.event_date
    parts = []
    if not source.is_identity:
        # a record that names a person is linked by that; one of facts alone is nobody's without its number
        parts.append(
            f"select {', '.join('s.' + name.strip() for name in place.split(','))}, "
            f"case when coalesce(trim(r.\"{key}\"), '') = '' then 'no_number' else 'unreadable_number' end as reason, "
            f"{literal(key)} as item from {staged} as s inner join {raw} as r using (_source_file_sha256, _row_number, "
            "_extract_date) where s.source_record_id like '~%'"
        )
        if "linkage.lnk_crosswalk" in tables:
            adults = (
                "union all select source_record_id from staging.stg_resident__register"
                if source.id_system == "resident"
                else ""
            )
            parts.append(
                f"select {place}, 'unknown_number' as reason, {literal(key)} as item from {staged} as s "
                "where source_record_id not like '~%' and source_record_id not in (select source_record_id from "
                f"linkage.lnk_crosswalk where source = {literal(source.key)} and child_id is not null {adults}) "
                "qualify row_number() over (partition by source_record_id order by _extract_date desc, _row_number desc) = 1"
            )
    else:
        parts.append(
            f"select {place}, 'shared_number' as reason, {literal(key)} as item from {staged} as s "
            "where regexp_full_match(source_record_id, '~.*-[0-9a-f]{8}')"
            " and source_record_id not like '~' || left(_source_file_sha256, 12) || '-%'"
        )
    if source.is_identity and {"linkage.lnk_crosswalk", "marts.mart_child"} <= tables.keys():
        parts.append(
            f"select {', '.join('s.' + name.strip() for name in place.split(','))}, 'impossible_age' as reason, "
            f"'birth_date' as item from {staged} as s inner join linkage.lnk_crosswalk as x on x.source = "
            f"{literal(source.key)} and x.source_record_id = s.source_record_id inner join marts.mart_child as c "
            "on c.child_id = x.child_id where not c.age_years between 0 and 19 and s.birth_date is not null"
        )
    dated = [event] if event and f"{event}__status" in columns else []
    dated += [] if dated or "birth_date__status" not in columns else ["birth_date"]
    parts += [
        f"select {place}, {literal('unreadable_day' if name == event else 'unreadable_value')} as reason, "
        f"{literal(name)} as item from {staged} as s where {name}__status = 'unreadable'"
        for name in dated
    ]
    values = [item.name for item in source.items if f"{item.name}__status" in columns and item.name not in dated]
    if values:
        odd = ", ".join(f"case when {name}__status = 'unreadable' then {literal(name)} end" for name in values)
        any_odd = " or ".join(f"{name}__status = 'unreadable'" for name in values)
        parts.append(
            f"select * from (select {place}, 'unreadable_value' as reason, unnest([{odd}]) as item from {staged} as s "
            f"where {any_odd}) where item is not null"
        )
    if source.key in _PARTS:
        whole, days = _PARTS[source.key]
        parts += [
            f"select {place}, 'part_above_whole' as reason, {literal(name)} as item from {staged} as s where {name} > {whole}"
            for name in days
        ]
    if raw in tables:
        # rows of the newest extract that cleansing left to another of the same key
        newest = f"(select max(_extract_date) from {staged})"
        parts.append(
            f"select {', '.join('r.' + name.strip() for name in place.split(','))}, 'repeated_key' as reason, "
            f"{literal(key)} as item from {raw} as r anti join {staged} as s using (_source_file_sha256, _row_number, "
            f"_extract_date) where r._extract_date = {newest}"
        )
    return parts


@dataclass(frozen=True)
class SetApart:
    """What is set apart of one source for one reason: how many rows, and whom to ask."""

    source: str
    reason: str
    item: str
    rows: int
    asked_of: str


def summary(con: duckdb.DuckDBPyConnection) -> list[SetApart]:
    """The quarantine by source, reason and item; empty before one was collected."""
    if "quality.quarantine" not in table_columns(con):
        return []
    return [
        SetApart(*row)
        for row in con.execute(
            "select source, reason, item, count(*), any_value(asked_of) from quality.quarantine group by all "
            "order by source, reason, item"
        ).fetchall()
    ]
