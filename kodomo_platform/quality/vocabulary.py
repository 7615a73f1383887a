"""The expectations that suites may use, and the SQL each one becomes.

Every expectation is a condition on rows: on which rows it applies (``scope``) and which of those break it
(``violated``). So many of them share one scan, none needs a value, and the same condition that counts also finds the
row numbers for the correction sheets. Where a condition needs other rows or tables (duplicates, orphans, clusters) the
``relation`` is a derived table with the answer as a column.

Which tables they are put on belongs to the suites; running them belongs to `engine`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

BLANKS = "' 　' || chr(9) || chr(160)"
_WIDE = "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ．，＋－−‐―–ー／ 　"
_NARROW = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,+------/"


@dataclass(frozen=True)
class Check:
    """The SQL of one expectation. ``row_level``: whether the relation keeps ``_source_file_sha256, _row_number``."""

    relation: str
    scope: str
    violated: str
    columns: frozenset[str]
    row_level: bool = True
    other_tables: tuple[str, ...] = ()


@dataclass
class Reading:
    """How a municipality's raw texts are read (from ``cfg``). Empty where a table needs none."""

    as_of: dt.date | None = None
    sources_held: dict[str, bool] = field(default_factory=dict)
    items_held: dict[tuple[str, str], bool] = field(default_factory=dict)
    system_start: dict[str, dt.date | None] = field(default_factory=dict)
    tokens: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    codes: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    styles: dict[tuple[str, str], tuple[str | None, str | None]] = field(default_factory=dict)
    days: dict[str, dict[str, tuple[str, str | None, str | None]]] = field(default_factory=dict)


def literal(value: Any) -> str:
    """``value`` as an SQL literal."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, dt.date):
        return f"date '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Target:
    """Where an expectation is put: table, source key (raw and staging), item, its arguments, the reading rules."""

    table: str
    source: str | None
    item: str | None
    arguments: Mapping[str, Any]
    reading: Reading
    item_type: str | None = None
    uncertain: bool = False

    @property
    def is_raw(self) -> bool:
        return self.table.startswith("raw.raw_")

    @property
    def column(self) -> str:
        """The item's column as SQL."""
        return quoted(self.item or "")

    @property
    def base(self) -> str:
        """The table; raw rows cut at the as-of date, with every date read once (``<item>__day``), however many ask."""
        if not self.is_raw:
            return self.table
        days = "".join(
            f", {function}({self.given(name)}, {literal(style)}, {literal(eras)}) as {quoted(name + '__day')}"
            for name, (function, style, eras) in sorted(self.reading.days.get(self.source or "", {}).items())
        )
        where = f" where _extract_date <= {literal(self.reading.as_of)}" if self.reading.as_of is not None else ""
        return f"(select *{days} from {self.table}{where})"

    def given(self, column: str | None = None) -> str:
        """The text of a raw cell trimmed, NULL when blank or a null token; any other column as it is."""
        name = column or self.item or ""
        if not self.is_raw or name.startswith("_"):
            return quoted(name)
        text = f"trim({quoted(name)}, {BLANKS})"
        tokens = self.reading.tokens.get((self.source or "", name), ())
        if tokens:
            listed = ", ".join(literal(token) for token in tokens)
            return f"(case when {text} not in ({listed}) then nullif({text}, '') end)"
        return f"nullif({text}, '')"


def narrowed(sql: str) -> str:
    """Full-width digits and letters in ASCII, blanks removed (as staging reads numbers and codes)."""
    return f"translate({sql}, {literal(_WIDE)}, {literal(_NARROW)})"


def numeral(sql: str) -> str:
    """A raw text as DOUBLE, NULL when it is no number (ledgers' △ is a minus)."""
    plain = f"replace(replace(replace({narrowed(sql)}, ',', ''), '△', '-'), '▲', '-')"
    return f"(case when regexp_full_match({plain}, '[+-]?[0-9]{{1,15}}([.][0-9]*)?') then cast({plain} as double) end)"


def _dated(target: Target, column: str) -> str:
    """A column as DATE: raw text is read by the municipality's style, other layers hold dates already."""
    if not target.is_raw or column.startswith("_"):
        return quoted(column)
    return quoted(f"{column}__day")


def _columns(target: Target, *more: str) -> frozenset[str]:
    return frozenset(name for name in (target.item, *more) if name)


def _where(target: Target) -> str:
    return str(target.arguments.get("where") or "true")


def _table_has_rows(target: Target) -> Check:
    least = int(target.arguments.get("at_least", 1))
    return Check(f"(select count(*) as n from {target.base})", "true", f"n < {least}", frozenset(), row_level=False)


def _column_is_filled(target: Target) -> Check:
    relation = f"(select count(*) as n, count({target.given()}) as filled from {target.base})"
    return Check(relation, "n > 0", "filled = 0", _columns(target), row_level=False)


def _present(target: Target) -> Check:
    if target.table.startswith("staging.") and target.arguments.get("by_status", True):
        status = quoted(f"{target.item}__status")
        scope = f"{status} in ('present', 'blank', 'unreadable')"
        return Check(
            target.base,
            f"({_where(target)}) and {scope}",
            f"{status} = 'blank'",
            _columns(target, f"{target.item}__status"),
        )
    return Check(target.base, _where(target), f"{target.given()} is null", _columns(target))


def _readable(target: Target) -> Check:
    if not target.is_raw:
        status = quoted(f"{target.item}__status")
        scope = f"{status} in ('present', 'unreadable')"
        return Check(target.base, scope, f"{status} = 'unreadable'", frozenset({f"{target.item}__status"}))
    text, key = target.given(), (target.source or "", target.item or "")
    day = quoted(f"{target.item}__day")
    if target.uncertain:
        style, eras = target.reading.styles.get(key, (None, None))
        reading = f"kodomo_uncertain_date({text}, {literal(style)}, {literal(eras)})"
        # only texts that are no full day are read a second time
        violated = f"{day} is null and {reading}.earliest is null and {reading}.note is distinct from 'unknown'"
    elif target.item_type in ("date", "month"):
        violated = f"{day} is null"
    elif target.item_type == "int":
        number = numeral(text)
        violated = f"{number} is null or {number} <> floor({number})"
    elif target.item_type == "decimal":
        violated = f"{numeral(text)} is null"
    elif target.item_type == "code":
        known = ", ".join(literal(code) for code in target.reading.codes.get(key, ())) or "''"
        violated = f"{text} not in ({known}) and {narrowed(text)} not in ({known})"
    else:
        violated = "false"
    return Check(target.base, f"{text} is not null", violated, _columns(target))


def _between(target: Target) -> Check:
    low, high = target.arguments.get("minimum"), target.arguments.get("maximum")
    value = numeral(target.given()) if target.is_raw else target.column
    limits = [f"{value} < {literal(low)}"] if low is not None else []
    limits += [f"{value} > {literal(high)}"] if high is not None else []
    return Check(
        target.base, f"{value} is not null and ({_where(target)})", " or ".join(limits) or "false", _columns(target)
    )


def _in_set(target: Target) -> Check:
    listed = ", ".join(literal(value) for value in target.arguments["values"])
    value = target.given()
    return Check(
        target.base, f"{value} is not null and ({_where(target)})", f"{value} not in ({listed})", _columns(target)
    )


def _matches(target: Target) -> Check:
    text = target.given()
    if target.arguments.get("narrow"):
        text = narrowed(text)
    pattern = literal(target.arguments["pattern"])
    return Check(
        target.base,
        f"{text} is not null and ({_where(target)})",
        f"not regexp_full_match({text}, {pattern})",
        _columns(target),
    )


def _lacks_pattern(target: Target) -> Check:
    text = target.given()
    pattern = literal(target.arguments["pattern"])
    return Check(target.base, f"{text} is not null", f"regexp_matches({text}, {pattern})", _columns(target))


def _unique(target: Target) -> Check:
    names = [str(name) for name in target.arguments["columns"]]
    keys = [narrowed(target.given(name)) if target.is_raw else quoted(name) for name in names]
    extra = ["_extract_date"] if target.is_raw else []
    scope = " and ".join(f"{key} is not null" for key in keys)
    # a latter row of the same key breaks it, not the first: the number of rows to take away is counted
    order = "_source_file_sha256, _row_number" if target.is_raw or target.table.startswith("staging.") else "1"
    every = bool(target.arguments.get("count_all"))
    window = f"partition by {', '.join([*keys, *extra])}"
    flag = f"count(*) over ({window}) > 1" if every else f"row_number() over ({window} order by {order}) > 1"
    relation = f"(select *, {flag} as _repeated from {target.base} where {scope})"
    return Check(relation, "true", "_repeated", _columns(target, *names))


def _one_value_per(target: Target) -> Check:
    by = [str(name) for name in target.arguments["by"]]
    keys = [narrowed(target.given(name)) if target.is_raw else quoted(name) for name in by]
    value = narrowed(target.given()) if target.is_raw else target.column
    where = " and ".join([*(f"{key} is not null" for key in keys), f"{value} is not null", f"({_where(target)})"])
    window = f"partition by {', '.join(keys)}"
    flag = f"min({value}) over ({window}) is distinct from max({value}) over ({window})"
    relation = f"(select *, {flag} as _several from {target.base} where {where})"
    return Check(relation, "true", "_several", _columns(target, *by))


def _ordered(target: Target) -> Check:
    first, second = _dated(target, target.item or ""), _dated(target, str(target.arguments["not_after"]))
    scope = f"{first} is not null and {second} is not null and ({_where(target)})"
    return Check(target.base, scope, f"{first} > {second}", _columns(target, str(target.arguments["not_after"])))


def _not_before_date(target: Target) -> Check:
    day, least = _dated(target, target.item or ""), dt.date.fromisoformat(str(target.arguments["date"]))
    return Check(target.base, f"{day} is not null", f"{day} < {literal(least)}", _columns(target))


def _not_above(target: Target) -> Check:
    other = str(target.arguments["not_above"])
    a, b = (numeral(target.given()), numeral(target.given(other))) if target.is_raw else (target.column, quoted(other))
    return Check(target.base, f"{a} is not null and {b} is not null", f"{a} > {b}", _columns(target, other))


def _check_digit(target: Target) -> Check:
    number = target.given()
    # only numbers of full length carry a digit; the function answers NULL for what cannot
    return Check(
        target.base,
        f"{number} is not null and kodomo_check_digit({number}) is not null",
        f"not kodomo_check_digit({number})",
        _columns(target),
    )


def _age_fits_grade(target: Target) -> Check:
    birth = quoted(str(target.arguments["birth_date"]))
    on = quoted(str(target.arguments.get("on", "_extract_date")))
    # a school year begins on 1 April; a child born on 1 April belongs to the year before (School Education Act, art. 17)
    due = f"(year({on} - interval 3 month) - year({birth} - interval 1 day - interval 3 month) - 6)"
    years = int(target.arguments.get("tolerance", 1))
    scope = f"{birth} is not null and {target.column} is not null and ({_where(target)})"
    return Check(
        target.base,
        scope,
        f"abs({target.column} - {due}) > {years}",
        _columns(target, str(target.arguments["birth_date"])),
    )


def _exists_in(target: Target) -> Check:
    table, columns = str(target.arguments["table"]), [str(name) for name in target.arguments["columns"]]
    own = [str(name) for name in target.arguments.get("own", columns)]
    fixed = dict(target.arguments.get("fixed", {}))
    where = " and ".join(f"f.{quoted(str(k))} = {literal(v)}" for k, v in fixed.items()) or "true"
    pairs = " and ".join(f"f.{quoted(there)} = t.{quoted(here)}" for here, there in zip(own, columns, strict=True))
    filled = " and ".join(f"t.{quoted(name)} is not null" for name in own)
    relation = (
        f"(select t.*, not exists (select 1 from {table} as f where {where} and {pairs}) as _orphan "
        f"from {target.base} as t where {filled} and ({_where(target)}))"
    )
    return Check(relation, "true", "_orphan", _columns(target, *own), other_tables=(table,))


def _trimmed(target: Target) -> Check:
    text = target.column
    return Check(target.base, f"{target.given()} is not null", f"{text} <> trim({text}, {BLANKS})", _columns(target))


def _certain(target: Target) -> Check:
    day = _dated(target, target.item or "")
    return Check(target.base, f"{target.given()} is not null", f"{day} is null", _columns(target))


def _same_in(target: Target) -> Check:
    table = str(target.arguments["table"])
    own, there = str(target.arguments["own"]), str(target.arguments["there"])
    compared = [str(name) for name in target.arguments["compared"]]
    same = [str(name) for name in target.arguments.get("where_same", [])]
    fields = ", ".join(f"any_value({quoted(name)}) as {quoted('_t_' + name)}" for name in [*compared, *same])
    # a number that stands on several rows there says nothing about which is meant
    known = f"select {quoted(there)} as _key, {fields} from {table} where {quoted(there)} is not null group by 1 having count(*) = 1"
    differ = " or ".join(f"s.{quoted(name)} <> f.{quoted('_t_' + name)}" for name in compared)
    alike = " and ".join(f"s.{quoted(name)} = f.{quoted('_t_' + name)}" for name in same) or "true"
    relation = (
        f"(select s.*, coalesce({differ}, false) as _differs from {target.base} as s "
        f"inner join ({known}) as f on f._key = s.{quoted(own)} where {alike})"
    )
    return Check(relation, "true", "_differs", _columns(target, own, *compared, *same), other_tables=(table,))


def _not_before_birth(target: Target) -> Check:
    table = str(target.arguments["table"])
    relation = (
        f"(select s.*, s.{target.column} < f._born as _before_birth from {target.base} as s inner join "
        f"(select source_record_id as _key, min(birth_date__earliest) as _born from {table} group by 1) as f "
        f"on f._key = s.source_record_id where s.{target.column} is not null and f._born is not null)"
    )
    return Check(relation, "true", "_before_birth", _columns(target, "source_record_id"), other_tables=(table,))


def _satisfied(target: Target) -> Check:
    names = [str(name) for name in target.arguments.get("columns", [])]
    return Check(
        target.base, _where(target), f"not coalesce(({target.arguments['condition']}), true)", _columns(target, *names)
    )


def _rejects_below(target: Target) -> Check:
    source = literal(target.source)
    as_of = f" and extract_date <= {literal(target.reading.as_of)}" if target.reading.as_of else ""
    relation = (
        "(select case when i.k <= r.rejected then 1 else 0 end as rejected from "
        f"(select coalesce(sum(rows_in), 0)::bigint as n, coalesce(sum(rows_rejected), 0)::bigint as rejected "
        f"from raw.files where source = {source} and active{as_of}) as r, lateral (select unnest(range(1, r.n + 1)) as k) as i)"
    )
    return Check(relation, "true", "rejected = 1", frozenset(), row_level=False, other_tables=("raw.files",))


def _volume_steady(target: Target) -> Check:
    source = literal(target.source)
    as_of = f" and extract_date <= {literal(target.reading.as_of)}" if target.reading.as_of else ""
    least, most = float(target.arguments.get("least", 0.5)), float(target.arguments.get("most", 2.0))
    relation = (
        "(select n, lag(n) over (order by extract_date) as before, row_number() over (order by extract_date desc) as place "
        f"from (select extract_date, sum(rows_in) as n from raw.files where source = {source} and active{as_of} "
        "group by extract_date))"
    )
    return Check(
        relation,
        "place = 1 and before > 20",
        f"n < before * {least} or n > before * {most}",
        frozenset(),
        row_level=False,
        other_tables=("raw.files",),
    )


def _extract_is_fresh(target: Target) -> Check:
    days = int(target.arguments["days"])
    relation = f"(select max(_extract_date) as last from {target.base})"
    as_of = literal(target.reading.as_of) if target.reading.as_of else "current_date"
    return Check(
        relation, "last is not null", f"date_diff('day', last, {as_of}) > {days}", frozenset(), row_level=False
    )


@dataclass(frozen=True)
class Word:
    """One expectation name: its compiler and the arguments it knows (True: it must be given)."""

    compile: Callable[[Target], Check]
    needs_item: bool
    arguments: Mapping[str, bool]


VOCABULARY: dict[str, Word] = {
    "expect_table_to_have_rows": Word(_table_has_rows, False, {"at_least": False}),
    "expect_extract_to_be_fresh": Word(_extract_is_fresh, False, {"days": True}),
    "expect_rejects_to_be_few": Word(_rejects_below, False, {}),
    "expect_volume_to_be_steady": Word(_volume_steady, False, {"least": False, "most": False}),
    "expect_column_to_be_filled": Word(_column_is_filled, True, {}),
    "expect_values_to_be_present": Word(_present, True, {"where": False, "by_status": False}),
    "expect_values_to_be_readable": Word(_readable, True, {}),
    "expect_values_to_be_between": Word(_between, True, {"minimum": False, "maximum": False, "where": False}),
    "expect_values_to_be_in_set": Word(_in_set, True, {"values": True, "where": False}),
    "expect_values_to_match": Word(_matches, True, {"pattern": True, "narrow": False, "where": False}),
    "expect_values_to_lack_pattern": Word(_lacks_pattern, True, {"pattern": True}),
    "expect_rows_to_be_unique": Word(_unique, False, {"columns": True, "count_all": False}),
    "expect_one_value_per": Word(_one_value_per, True, {"by": True, "where": False}),
    "expect_dates_in_order": Word(_ordered, True, {"not_after": True, "where": False}),
    "expect_dates_not_before": Word(_not_before_date, True, {"date": True}),
    "expect_value_not_above": Word(_not_above, True, {"not_above": True}),
    "expect_check_digit": Word(_check_digit, True, {}),
    "expect_age_to_fit_grade": Word(
        _age_fits_grade, True, {"birth_date": True, "on": False, "tolerance": False, "where": False}
    ),
    "expect_rows_to_exist_in": Word(
        _exists_in, False, {"table": True, "columns": True, "own": False, "fixed": False, "where": False}
    ),
    "expect_values_to_be_trimmed": Word(_trimmed, True, {}),
    "expect_dates_to_be_certain": Word(_certain, True, {}),
    "expect_same_as_in": Word(
        _same_in, True, {"table": True, "own": True, "there": True, "compared": True, "where_same": False}
    ),
    "expect_event_not_before_birth": Word(_not_before_birth, True, {"table": True}),
    "expect_rows_to_satisfy": Word(_satisfied, False, {"condition": True, "columns": False, "where": False}),
}


def argument_columns(expectation: str, arguments: Mapping[str, Any]) -> Iterable[str]:
    """The columns of the expectation's own table that its arguments name (checked when a suite is loaded)."""
    for name in ("columns", "by", "own", "compared", "where_same"):
        if expectation == "expect_rows_to_exist_in" and name == "columns" and "own" in arguments:
            continue
        values = arguments.get(name)
        if isinstance(values, list):
            yield from (str(value) for value in values)
    for name in ("not_after", "not_above", "birth_date", "on"):
        if isinstance(arguments.get(name), str):
            yield str(arguments[name])
