"""The expectations that suites may use, and the SQL each one becomes.

Every expectation is a condition on rows: on which rows it applies (``scope``) and which of those break it
(``violated``). So many of them share one scan, none needs a value, and the same condition that counts also finds the
row numbers for the correction sheets. Where a condition needs other rows or tables (duplicates, orphans, clusters) the
``relation`` is a derived table with the answer as a column.

Which tables they are put on belongs to the suites; running them belongs to `engine`.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

BLANKS = "' 　' || chr(9) || chr(160)"
_WIDE = "０１２３４５６７８９ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺａｂｃｄｅｆｇｈｉｊｋｌｍｎｏｐｑｒｓｔｕｖｗｘｙｚ．，＋－−‐―–ー／ 　"
_NARROW = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.,+------/"


@dataclass(frozen=True)
class Check:
    """The SQL of one expectation. ``row_level``: whether the relation keeps ``_source_file_sha256, _row_number``.

    ``involved``: the row's other columns whose value may be the wrong one (an order of two dates does not tell which).
    ``found_in``: a relation with all rows that break it and few others, where looking for rows is cheaper than counting.
    """

    relation: str
    scope: str
    violated: str
    columns: frozenset[str]
    row_level: bool = True
    other_tables: tuple[str, ...] = ()
    involved: tuple[str, ...] = ()
    found_in: str | None = None


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
    # source → (text files looked at, files whose lines end in more than one way)
    line_ends: dict[str, tuple[int, int]] = field(default_factory=dict)
    # sources whose every extract is whole: the newest replaces the former ones, with their faults
    whole_extracts: frozenset[str] = frozenset()
    # raw table → (item, type) of the columns it has, so that what describes a column is asked for all in one scan
    items: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)


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
        """The table; raw rows cut at the as-of date, with places for what is read of their texts (`read_once`).

        Of a source that delivers whole extracts the newest counts: a fault that a later extract mended is mended.
        """
        if not self.is_raw:
            return self.table
        where = f" where _extract_date <= {literal(self.reading.as_of)}" if self.reading.as_of is not None else ""
        if self.source in self.reading.whole_extracts:
            where = f" where _extract_date = (select max(_extract_date) from {self.table}{where})"
        rows = f"{self.table}{where}"
        for parts in _LEVELS:
            rows = f"(select */*{parts[0]} {self.source}*/ from {rows})"
        return rows

    def given(self, column: str | None = None) -> str:
        """The text of a raw cell trimmed, NULL when blank or a null token; any other column as it is."""
        name = column or self.item or ""
        return quoted(name if not self.is_raw or name.startswith("_") else f"{name}__text")

    def plain(self, column: str | None = None) -> str:
        """The same in ASCII without blanks, as staging reads numbers and codes; any other column as it is."""
        name = column or self.item or ""
        return quoted(name if not self.is_raw or name.startswith("_") else f"{name}__plain")

    def number(self, column: str | None = None) -> str:
        """A raw cell as DOUBLE, NULL when it is no number; any other column as it is."""
        name = column or self.item or ""
        return quoted(name if not self.is_raw or name.startswith("_") else f"{name}__number")


# What can be read of a raw text, each level from the one before it: (first part, …)
_LEVELS = (("text",), ("plain", "day"), ("number",))
_READ = re.compile(r'"([a-z0-9_]+)__(text|plain|day|number)"')
_PLACE = re.compile(r"/\*(text|plain|number) ([a-z0-9_.]+)\*/")


def read_once(relation: str, conditions: Iterable[str], reading: Reading) -> str:
    """``relation`` with the texts, numbers and dates that it and ``conditions`` speak of, each read once per row.

    Repeated in every condition they make statements of a hundred kilobytes, which take longer to plan than to run.
    """
    if _PLACE.search(relation) is None:
        return relation
    used: dict[str, set[str]] = {}
    for sql in (relation, *conditions):
        for name, part in _READ.findall(sql):
            used.setdefault(part, set()).add(name)
    used["plain"] = used.get("plain", set()) | used.get("number", set())
    used["text"] = used.get("text", set()) | used["plain"] | used.get("day", set())

    def columns(place: re.Match[str]) -> str:
        first, source = place.groups()
        parts = next(parts for parts in _LEVELS if parts[0] == first)
        days = reading.days.get(source, {})
        answer = ""
        for part in parts:
            for name in sorted(used.get(part, ())):
                if part == "text":
                    sql = given_text(name, reading.tokens.get((source, name), ()))
                elif part == "plain":
                    sql = narrowed(quoted(f"{name}__text"))
                elif part == "number":
                    sql = numeral(quoted(f"{name}__plain"))
                elif name in days:
                    function, style, eras = days[name]
                    sql = f"{function}({quoted(name + '__text')}, {literal(style)}, {literal(eras)})"
                else:
                    continue
                answer += f", {sql} as {quoted(f'{name}__{part}')}"
        return answer

    return _PLACE.sub(columns, relation)


def given_text(name: str, tokens: Iterable[str]) -> str:
    """SQL of a raw column's text trimmed, NULL when blank or one of ``tokens``."""
    text = f"trim({quoted(name)}, {BLANKS})"
    return f"(case when not {among(text, ('', *(token for token in tokens if token is not None)))} then {text} end)"


def among(sql: str, values: Iterable[Any]) -> str:
    """Whether ``sql`` is one of ``values``. Of more than a few, `in` would become a join, which takes long to plan."""
    listed = ", ".join(literal(value) for value in dict.fromkeys(values))
    return f"list_contains([{listed}], {sql})" if listed else "false"


def narrowed(sql: str) -> str:
    """Full-width digits and letters in ASCII, blanks removed (as staging reads numbers and codes)."""
    # as many bytes as characters: ASCII, which has blanks to lose and nothing to narrow; nor has a text without wide
    # characters (令和8年4月); translate() takes 20 times as long as either look
    return (
        f"(case when strlen({sql}) = length({sql}) then replace({sql}, ' ', '') "
        f"when not regexp_matches({sql}, '[{_WIDE}]') then {sql} "
        f"else translate({sql}, {literal(_WIDE)}, {literal(_NARROW)}) end)"
    )


def numeral(sql: str) -> str:
    """A narrowed text as DOUBLE, NULL when it is no number (ledgers' △ is a minus)."""
    plain = f"replace(replace(replace({sql}, ',', ''), '△', '-'), '▲', '-')"
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
    source = target.arguments.get("unless_empty")
    scope = f"exists (select 1 from {source})" if source else "true"
    return Check(
        f"(select count(*) as n, {scope} as applies from {target.base})",
        "applies",
        f"n < {least}",
        frozenset(),
        row_level=False,
        other_tables=(str(source),) if source else (),
    )


def _columns_of(target: Target) -> tuple[tuple[str, str], ...]:
    """(item, type) of the columns that are described together with the target's."""
    own = (target.item or "", target.item_type or "")
    known = target.reading.items.get(target.table, ())
    return known if own in known else (*known, own)


def _profile(target: Target) -> str:
    """One row that describes every column of a table: rows, values, least and greatest value."""
    described = ", ".join(
        f"count({target.given(name)}) as {quoted(name + '__filled')}, "
        f"min({target.given(name)}) = max({target.given(name)}) as {quoted(name + '__alike')}"
        for name, _ in _columns_of(target)
    )
    return f"(select count(*) as n, {described} from {target.base})"


# The share of a column that has to be alike before the rest stands out
_NEARLY_ALL = 0.975


def _usual(target: Target) -> str:
    """The rows with what is usual of each column: a number's length where all but a few share one, whether numbers are
    digits alone, whether names have two parts, and the first and last percentile of what is counted."""
    parts = []
    for name, kind in _columns_of(target):
        if kind == "id":
            length = f"length({target.plain(name)})"
            parts.append(
                f"case when count({length}) >= 50 and quantile_disc({length}, 0.025) = quantile_disc({length}, 0.975) "
                f"then quantile_disc({length}, 0.5) end as {quoted(name + '__length')}"
            )
            digits = f"avg(regexp_full_match({target.plain(name)}, '[0-9]+')::int)"
            parts.append(f"count({length}) >= 50 and {digits} >= {_NEARLY_ALL} as {quoted(name + '__digits')}")
        elif kind == "name":
            text = target.given(name)
            parted = f"avg((regexp_matches({text}, '[ 　]'))::int)"
            parts.append(f"count({text}) >= 50 and {parted} >= {_NEARLY_ALL} as {quoted(name + '__parted')}")
        elif kind in ("int", "decimal"):
            value = target.number(name)
            parts.append(
                f"case when count({value}) >= 200 then greatest(quantile_cont({value}, 0.99), 1) end "
                f"as {quoted(name + '__high')}"
            )
            parts.append(
                f"case when count({value}) filter (where {value} > 0) >= 200 then quantile_cont({value}, 0.01) "
                f"filter (where {value} > 0) end as {quoted(name + '__low')}"
            )
    # some 50,000 rows tell what is usual as well as a million do; every so many-th, so that it is the same again
    some = f"_row_number % (select greatest(count(*) // 50000, 1) from {target.base}) = 0"
    return (
        f"(select t.*, u.* from {target.base} as t "
        f"cross join (select {', '.join(parts)} from {target.base} where {some}) as u)"
    )


def _column_is_filled(target: Target) -> Check:
    filled = quoted(f"{target.item}__filled")
    return Check(_profile(target), "n > 0", f"{filled} = 0", _columns(target), row_level=False)


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
        other = f"({reading}).earliest is null and ({reading}).note is distinct from 'unknown'"
        violated = f"case when {day} is null then {other} else false end"
    elif target.item_type in ("date", "month"):
        violated = f"{day} is null"
    elif target.item_type == "int":
        number = target.number()
        violated = f"{number} is null or {number} <> floor({number})"
    elif target.item_type == "decimal":
        violated = f"{target.number()} is null"
    elif target.item_type == "code":
        known = target.reading.codes.get(key, ())
        violated = f"not {among(text, known)} and not {among(target.plain(), known)}"
    else:
        violated = "false"
    return Check(target.base, f"{text} is not null", violated, _columns(target))


# What a spreadsheet makes of a number: an exponent, an error, a formula. The same stands in dbt_project/macros/values.sql
# (readable_number): such a number is nobody's there.
_DESTROYED = "[+-]?[0-9]+([.,][0-9]+[eE][+-]?|[eE][+])[0-9]+"


def _keys_readable(target: Target) -> Check:
    text = target.plain()
    fine = (
        f"regexp_matches({text}, '[0-9]') and not regexp_matches({text}, '[#=\"<>?�]') "
        f"and not regexp_full_match({text}, {literal(_DESTROYED)})"
    )
    return Check(target.base, f"{target.given()} is not null", f"not ({fine})", _columns(target))


def _keys_spread(target: Target) -> Check:
    text, share, least = target.plain(), float(target.arguments["share"]), int(target.arguments["least"])
    relation = (
        f"(select *, count(*) over (partition by {text}) as _same, count(*) over () as _keyed "
        f"from {target.base} where {text} is not null)"
    )
    return Check(relation, f"_keyed >= {least}", f"100 * _same >= {share!r} * _keyed", _columns(target))


def _facts_stay(target: Target) -> Check:
    source = literal(str(target.arguments["of"]))
    return Check(
        "quality.fact_change",
        f"source = {source}",
        "100 * lost > lost_limit * facts or 100 * changed > changed_limit * facts",
        frozenset(),
        row_level=False,
        other_tables=("quality.fact_change",),
    )


def _between(target: Target) -> Check:
    low, high = target.arguments.get("minimum"), target.arguments.get("maximum")
    value = target.number()
    limits = [f"{value} < {literal(low)}"] if low is not None else []
    limits += [f"{value} > {literal(high)}"] if high is not None else []
    return Check(
        target.base, f"{value} is not null and ({_where(target)})", " or ".join(limits) or "false", _columns(target)
    )


def _in_set(target: Target) -> Check:
    value = target.given()
    return Check(
        target.base,
        f"{value} is not null and ({_where(target)})",
        f"not {among(value, target.arguments['values'])}",
        _columns(target),
    )


def _matches(target: Target) -> Check:
    text = target.given()
    if target.arguments.get("narrow"):
        text = target.plain()
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
    keys = [target.plain(name) for name in names]
    extra = ["_extract_date"] if target.is_raw else []
    scope = " and ".join([*(f"{key} is not null" for key in keys), f"({_where(target)})"])
    # a latter row of the same key breaks it, not the first: the number of rows to take away is counted
    order = "_source_file_sha256, _row_number" if target.is_raw or target.table.startswith("staging.") else "1"
    every = bool(target.arguments.get("count_all"))
    window = f"partition by {', '.join([*keys, *extra])}"
    flag = f"count(*) over ({window}) > 1" if every else f"row_number() over ({window} order by {order}) > 1"
    relation = f"(select *, {flag} as _repeated from {target.base} where {scope})"
    listed = ", ".join([*keys, *extra])
    several = f"(select {listed} from {target.base} where {scope} group by all having count(*) > 1)"
    # hardly any key stands twice: sorting the rows of those alone takes a tenth of the time
    found_in = f"(select *, {flag} as _repeated from {target.base} where ({listed}) in {several})"
    return Check(relation, "true", "_repeated", _columns(target, *names), found_in=found_in)


def _one_value_per(target: Target) -> Check:
    by = [str(name) for name in target.arguments["by"]]
    keys = [target.plain(name) for name in by]
    value = target.plain()
    where = " and ".join([*(f"{key} is not null" for key in keys), f"{value} is not null", f"({_where(target)})"])
    window = f"partition by {', '.join(keys)}"
    flag = f"min({value}) over ({window}) is distinct from max({value}) over ({window})"
    agreed = "false"
    others: tuple[str, ...] = ()
    if "agreed_in" in target.arguments:
        # of two rows that differ, the one that a better source agrees with is not the wrong one
        table, there = str(target.arguments["agreed_in"]), str(target.arguments.get("there", "source_record_id"))
        match = f"r.{quoted(there)} = t.{quoted(by[0])} and r.{target.column} = t.{target.column}"
        agreed, others = f"exists (select 1 from {table} as r where {match})", (table,)
    relation = f"(select *, {flag} and not {agreed} as _several from {target.base} as t where {where})"
    return Check(relation, "true", "_several", _columns(target, *by), other_tables=others, involved=tuple(by))


def _ordered(target: Target) -> Check:
    first, second = _dated(target, target.item or ""), _dated(target, str(target.arguments["not_after"]))
    scope = f"{first} is not null and {second} is not null and ({_where(target)})"
    other = str(target.arguments["not_after"])
    return Check(target.base, scope, f"{first} > {second}", _columns(target, other), involved=(other,))


def _not_before_date(target: Target) -> Check:
    day = _dated(target, target.item or "")
    limits = []
    if "date" in target.arguments:
        limits.append(f"{day} < {literal(dt.date.fromisoformat(str(target.arguments['date'])))}")
    if "years" in target.arguments:
        limits.append(f"{day} < _extract_date - interval {int(target.arguments['years'])} year")
    return Check(target.base, f"{day} is not null", " or ".join(limits) or "false", _columns(target))


def _not_far_ahead(target: Target) -> Check:
    day = _dated(target, target.item or "")
    far = f"_extract_date + interval {int(target.arguments['years'])} year"
    return Check(target.base, f"{day} is not null", f"{day} > {far}", _columns(target))


def _varies(target: Target) -> Check:
    filled, alike = quoted(f"{target.item}__filled"), quoted(f"{target.item}__alike")
    least = int(target.arguments.get("among", 200))
    return Check(_profile(target), f"{filled} >= {least}", alike, _columns(target), row_level=False)


def _lengths_agree(target: Target) -> Check:
    text = target.plain()
    usual = quoted(f"{target.item}__length")
    # the usual length counts only where nearly every number has it: systems with free numbers have none
    return Check(
        _usual(target), f"{usual} is not null and {text} is not null", f"length({text}) <> {usual}", _columns(target)
    )


def _no_outliers(target: Target) -> Check:
    value = target.number()
    high, low = quoted(f"{target.item}__high"), quoted(f"{target.item}__low")
    times = float(target.arguments.get("times", 10))
    return Check(
        _usual(target),
        f"{value} is not null and {high} is not null",
        f"{value} > {times!r} * {high} or coalesce({value} > 0 and {value} * {times!r} < {low}, false)",
        _columns(target),
    )


def _digits_alone(target: Target) -> Check:
    text = target.plain()
    return Check(
        _usual(target),
        f"{quoted(f'{target.item}__digits')} and {text} is not null",
        f"not regexp_full_match({text}, '[0-9]+')",
        _columns(target),
    )


def _two_parts(target: Target) -> Check:
    text = target.given()
    return Check(
        _usual(target),
        f"{quoted(f'{target.item}__parted')} and {text} is not null",
        f"not regexp_matches({text}, '[ 　]')",
        _columns(target),
    )


def _not_rare(target: Target) -> Check:
    first, most = int(target.arguments.get("first", 0)), int(target.arguments.get("most", 5))
    value = target.plain()
    value = f"left({value}, {first})" if first else value
    relation = (
        f"(with v as (select {value} as _value, count(*) as _same from {target.base} where {value} is not null group by 1), "
        f"u as (select sum(_same) as n, sum(_same) filter (where _same > {most}) as shared from v) "
        f"select t.*, v._same, u.n >= 200 and u.shared >= {_NEARLY_ALL} * u.n as _usually_shared "
        f"from {target.base} as t inner join v on v._value = {value.replace(chr(34), 't.' + chr(34), 1)} cross join u)"
    )
    return Check(relation, "_usually_shared", f"_same <= {most}", _columns(target))


def _unsorted(target: Target) -> Check:
    names = [name for name, kind in _columns_of(target) if kind in ("int", "decimal")]
    values = ", ".join(f"{target.number(name)} as {quoted('v_' + name)}" for name in names)
    steps = ", ".join(
        f"{quoted('v_' + name)}, {quoted('v_' + name)} < lag({quoted('v_' + name)}) over w as {quoted('f_' + name)}"
        for name in names
    )
    told = ", ".join(
        f"count({quoted('v_' + name)}) as {quoted('n_' + name)}, count(distinct {quoted('v_' + name)}) as "
        f"{quoted('d_' + name)}, count(*) filter (where {quoted('f_' + name)}) as {quoted('falls_' + name)}"
        for name in names
    )
    relation = (
        f"(select {told} from (select {steps} from (select _source_file_sha256, _row_number, {values} from {target.base}) "
        "window w as (partition by _source_file_sha256 order by _row_number)))"
    )
    own = str(target.item)
    return Check(
        relation,
        f"{quoted('n_' + own)} >= 200 and {quoted('d_' + own)} >= 3",
        f"{quoted('falls_' + own)} = 0",
        _columns(target),
        row_level=False,
    )


def _as_group(target: Target) -> Check:
    table, group = str(target.arguments["table"]), str(target.arguments["group"])
    by = str(target.arguments["by"])
    relation = (
        f"(select s.*, count(*) over (partition by f._group, s.{quoted(by)}) as _many, "
        f"count(*) over (partition by f._group, s.{quoted(by)}, s.{target.column}) as _same from {target.base} as s "
        f"inner join (select source_record_id as _key, min({quoted(group)}) as _group from {table} "
        f"group by 1 having count(*) = 1) as f on f._key = s.source_record_id "
        f"where s.{target.column} is not null and s.{quoted(by)} is not null)"
    )
    return Check(relation, "_many >= 20", "_same * 20 < _many", _columns(target, by), other_tables=(table,))


def _periods_apart(target: Target) -> Check:
    by, until = [str(name) for name in target.arguments["by"]], str(target.arguments["until"])
    keys = ", ".join(quoted(name) for name in by)
    filled = " and ".join(f"{quoted(name)} is not null" for name in by)
    # a period without an end goes on; one whose end cannot be read says nothing
    open_end = f"{quoted(until)} is null and {quoted(until + '__status')} in ('blank', 'not_applicable')"
    relation = (
        f"(select *, max(_end) over (partition by {keys} order by {target.column}, _row_number "
        f"rows between unbounded preceding and 1 preceding) as _before from (select *, case when {open_end} "
        f"then date '9999-12-31' else {quoted(until)} end as _end from {target.base} "
        f"where {target.column} is not null and {filled}))"
    )
    return Check(
        relation,
        "_before is not null",
        f"{target.column} < _before",
        _columns(target, until, *by),
        involved=(until, *by),
    )


_STYLE_SHAPES = {
    "iso": r"[0-9]{4}-[0-9]{1,2}(-[0-9]{1,2})?",
    "slash": r"[0-9]{4}/[0-9]{1,2}(/[0-9]{1,2})?",
    "compact": r"[0-9]{6}|[0-9]{8}",
    "wareki_kanji": r"(明治|大正|昭和|平成|令和)(元|[0-9]{1,2})年[0-9]{1,2}月([0-9]{1,2}日)?",
    "wareki_dot": r"[MTSHR][0-9]{1,2}[.][0-9]{1,2}([.][0-9]{1,2})?",
    "wareki_code": r"[1-9][0-9]{4}([0-9]{2})?",
    "excel_serial": r"[0-9]{1,6}",
}


def _in_style(target: Target) -> Check:
    style, _ = target.reading.styles.get((target.source or "", target.item or ""), (None, None))
    shape = _STYLE_SHAPES.get(style or "")
    if shape is None:
        return Check(target.base, "false", "false", _columns(target))
    # with its blanks, which a shape has not: a time of day behind the date is another style as well
    text, day = target.given(), quoted(f"{target.item}__day")
    narrow = f"translate({text}, {literal(_WIDE)}, {literal(_NARROW)})"
    plain = f"(case when strlen({text}) = length({text}) then {text} else {narrow} end)"
    return Check(
        target.base, f"{day} is not null", f"not regexp_full_match({plain}, {literal(shape)})", _columns(target)
    )


def _steps(target: Target) -> Check:
    by, order = str(target.arguments["by"]), str(target.arguments["order"])
    window = f"(partition by {quoted(by)} order by {quoted(order)})"
    relation = (
        f"(select *, {target.column} - lag({target.column}) over {window} as _step, "
        f"lead({target.column}) over {window} - {target.column} as _next "
        f"from {target.base} where {target.column} is not null and {quoted(order)} is not null)"
    )
    fall, rise = float(target.arguments["fall"]), float(target.arguments["rise"])

    def out(step: str) -> str:
        return f"coalesce({step} < -{fall!r} or {step} > {rise!r}, false)"

    # a single slip makes two odd steps, to and fro: the row between them is the one to look at
    alone = "(_step is null or _next is null)"
    return Check(
        relation, "_step is not null or _next is not null",
        f"({out('_step')} and {out('_next')}) or ({alone} and ({out('_step')} or {out('_next')}))",
        _columns(target, by, order), involved=(order,),
    )  # fmt: skip


def _birth_spacing(target: Target) -> Check:
    by = str(target.arguments["by"])
    window = f"(partition by {quoted(by)} order by {target.column}, source_record_id)"
    relation = (
        f"(select *, date_diff('day', lag({target.column}) over {window}, {target.column}) as _apart "
        f"from {target.base} where {quoted(by)} is not null and {target.column} is not null and ({_where(target)}))"
    )
    # twins may be born on two days; between them and seven months nobody has a second child
    return Check(relation, "_apart is not null", "_apart between 3 and 210", _columns(target, by), involved=(by,))


def _parent_older(target: Target) -> Check:
    by, years = str(target.arguments["by"]), int(target.arguments.get("years", 12))
    relation = (
        f"(select c.*, date_diff('year', p._parent, c.{target.column}) as _gap from {target.base} as c inner join "
        f"(select {quoted(by)} as _home, min({target.column}) as _parent from {target.base} "
        f"where relationship in ('head', 'spouse') group by 1) as p on p._home = c.{quoted(by)} "
        f"where c.relationship = 'child' and c.{target.column} is not null)"
    )
    return Check(relation, "_gap is not null", f"_gap < {years}", _columns(target, by, "relationship"))


def _births(table: str) -> str:
    """SQL of (_key, _born): persons whose birth date can be relied on. One that is not known to the day, stands for
    'unknown', or is another one in the register under the same number, says nothing about anybody's events."""
    if table.endswith("stg_resident__register"):
        contradicted = "false"
    else:
        contradicted = (
            "exists (select 1 from staging.stg_resident__register as r where r.source_record_id = h.resident_number "
            "and r.birth_date <> h.birth_date)"
        )
    return (
        f"select h.source_record_id as _key, min(h.birth_date) as _born from {table} as h "
        f"where h.birth_date > date '1900-01-01' and h.birth_date <= h._extract_date and not {contradicted} "
        "group by 1 having min(h.birth_date) = max(h.birth_date)"
    )


def _at_age(target: Target) -> Check:
    table = str(target.arguments["table"])
    low, high = int(target.arguments["from_months"]), int(target.arguments["to_months"])
    relation = (
        f"(select s.*, s.{target.column} < f._born + interval ({low}) month "
        f"or s.{target.column} > f._born + interval ({high}) month as _odd from {target.base} as s "
        f"inner join ({_births(table)}) as f on f._key = s.source_record_id "
        f"where s.{target.column} is not null and ({_where(target)}))"
    )
    others = (table, "staging.stg_resident__register")
    named = tuple(str(name) for name in target.arguments.get("columns", []))
    return Check(
        relation, "true", "_odd", _columns(target, "source_record_id", *named), other_tables=others, involved=named
    )


def _within_stay(target: Target) -> Check:
    table, days = str(target.arguments["table"]), int(target.arguments.get("days", 31))
    since = target.arguments.get("since")
    begun = f"min({quoted(str(since))})" if since else "null::date"
    relation = (
        f"(select s.*, coalesce(s.{target.column} < f._since - interval ({days}) day, false) "
        f"or coalesce(s.{target.column} > f._until + interval ({days}) day, false) as _outside "
        f"from {target.base} as s inner join (select source_record_id as _key, {begun} as _since, "
        f"case when count(left_on__latest) = count(*) then max(left_on__latest) end as _until from {table} group by 1) as f "
        f"on f._key = s.source_record_id where s.{target.column} is not null)"
    )
    return Check(relation, "true", "_outside", _columns(target, "source_record_id"), other_tables=(table,))


def _recent(target: Target) -> Check:
    days = int(target.arguments["days"])
    relation = (
        f"(select max(_extract_date) as _day, max({_dated(target, target.item or '')}) as _last, "
        f"count(*) as _rows from {target.base})"
    )
    return Check(
        relation,
        "_last is not null and _rows >= 20",
        f"date_diff('day', _last, _day) > {days}",
        _columns(target),
        row_level=False,
    )


def _months_complete(target: Target) -> Check:
    month, least = _dated(target, target.item or ""), float(target.arguments.get("least", 0.2))
    relation = (
        f"(with n as (select date_trunc('month', {month})::date as m, count(*) as n from {target.base} "
        f"where {month} is not null and {month} <= _extract_date group by 1), "
        # a single misread month does not stretch the series: it begins and ends with months that hold a tenth of the usual
        "u as (select median(n) as usual from n), k as (select m, n from n, u where n >= usual * 0.1), "
        "e as (select unnest(generate_series((select min(m) from k), (select max(m) from k), interval 1 month))::date as m) "
        "select coalesce(n.n, 0) as rows, u.usual from e left join n on n.m = e.m cross join u)"
    )
    return Check(relation, "usual >= 20", f"rows < usual * {least!r}", _columns(target), row_level=False)


def _lines_end_alike(target: Target) -> Check:
    files, mixed = target.reading.line_ends.get(target.source or "", (0, 0))
    return Check(f"(select unnest(range({files})) as k)", "true", f"k < {mixed}", frozenset(), row_level=False)


def _not_above(target: Target) -> Check:
    other = str(target.arguments["not_above"])
    a, b = target.number(), target.number(other)
    return Check(
        target.base, f"{a} is not null and {b} is not null", f"{a} > {b}", _columns(target, other), involved=(other,)
    )


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
        involved=(str(target.arguments["birth_date"]),),
    )


def _exists_in(target: Target) -> Check:
    table, columns = str(target.arguments["table"]), [str(name) for name in target.arguments["columns"]]
    own = [str(name) for name in target.arguments.get("own", columns)]
    fixed = dict(target.arguments.get("fixed", {}))
    where = " and ".join(f"f.{quoted(str(k))} = {literal(v)}" for k, v in fixed.items()) or "true"
    pairs = " and ".join(f"f.{quoted(there)} = t.{quoted(here)}" for here, there in zip(own, columns, strict=True))
    filled = " and ".join(f"t.{quoted(name)} is not null" for name in own)
    relation = (
        f"(select t.*, not exists (select 1 from {table} as f where {where} and {pairs}) as _orphan, "
        f"count(*) over () as _keyed from {target.base} as t where {filled} and ({_where(target)}))"
    )
    least = int(target.arguments.get("least", 1))
    return Check(relation, f"_keyed >= {least}", "_orphan", _columns(target, *own), other_tables=(table,))


def _trimmed(target: Target) -> Check:
    text = target.column
    return Check(target.base, f"{target.given()} is not null", f"{text} <> trim({text}, {BLANKS})", _columns(target))


def _certain(target: Target) -> Check:
    day = _dated(target, target.item or "")
    return Check(target.base, f"{target.given()} is not null", f"{day} is null", _columns(target))


def _same_in(target: Target) -> Check:
    table = str(target.arguments["table"])
    own, there = target.arguments.get("own"), str(target.arguments["there"])
    compared = [str(name) for name in target.arguments["compared"]]
    same = [str(name) for name in target.arguments.get("where_same", [])]
    # one way of telling a person apart, or several in the order in which they are tried
    listed = list(target.arguments.get("otherwise", []))
    ways = [[str(name) for name in way] for way in listed] if listed and isinstance(listed[0], list) else [listed]
    otherwise = sorted({str(name) for way in ways for name in way})
    fields = [f"any_value({quoted(name)}) as {quoted('_t_' + name)}" for name in [*compared, *same]]
    joins, found, values = [], [], {name: [] for name in [*compared, *same]}  # type: ignore[var-annotated]

    def known(alias: str, keys: list[tuple[str, str]], more: str = "true") -> None:
        # what stands on several rows there says nothing about which of them is meant, unless they agree
        agree = " and ".join(
            f"count({quoted(name)}) = count(*) and min({quoted(name)}) = max({quoted(name)})"
            for name in [*compared, *same]
        )
        columns = ", ".join(f"{quoted(name)} as _k{place}" for place, (name, _) in enumerate(keys))
        filled = " and ".join(f"{quoted(name)} is not null" for name, _ in keys)
        grouped = ", ".join(str(place + 1) for place in range(len(keys)))
        # the condition stands inside a key: beside the keys it would cost a comparison of every row with every other
        mine = [f"case when {more} then {keys[0][1]} end", *(theirs for _, theirs in keys[1:])]
        on = " and ".join(f"{alias}._k{place} = {one}" for place, one in enumerate(mine))
        joins.append(
            f"left join (select {columns}, {', '.join(fields)} from {table} where {filled} group by {grouped} "
            f"having count(*) = 1 or ({agree})) as {alias} on {on}"
        )
        found.append(f"{alias}._k0 is not null")
        for name in values:
            values[name].append(f"{alias}.{quoted('_t_' + name)}")

    if own:
        known("f", [(there, f"s.{quoted(str(own))}")])
    for place, way in enumerate(way for way in ways if way):
        # a row without its number is met by what else tells a person apart
        numberless = f"s.{quoted(str(own))} is null" if own else "true"
        known(f"o{place}", [(name, f"s.{quoted(name)}") for name in way], numberless)
    theirs = {name: f"coalesce({', '.join(given)})" for name, given in values.items()}
    differ = " or ".join(f"s.{quoted(name)} <> {theirs[name]}" for name in compared)
    alike = " and ".join(f"s.{quoted(name)} = {theirs[name]}" for name in same) or "true"
    relation = (
        f"(select s.*, coalesce({differ}, false) as _differs from {target.base} as s {' '.join(joins)} "
        f"where ({' or '.join(found)}) and {alike} and ({_where(target)}))"
    )
    columns = _columns(target, *([str(own)] if own else []), *compared, *same, *otherwise)
    # the number that led there may be the wrong one
    return Check(relation, "true", "_differs", columns, other_tables=(table,), involved=(str(own),) if own else ())


def _not_before_birth(target: Target) -> Check:
    table = str(target.arguments["table"])
    relation = (
        f"(select s.*, s.{target.column} < f._born as _before_birth from {target.base} as s "
        f"inner join ({_births(table)}) as f on f._key = s.source_record_id where s.{target.column} is not null)"
    )
    others = (table, "staging.stg_resident__register")
    return Check(relation, "true", "_before_birth", _columns(target, "source_record_id"), other_tables=others)


def _satisfied(target: Target) -> Check:
    names = [str(name) for name in target.arguments.get("columns", [])]
    return Check(
        target.base, _where(target), f"not coalesce(({target.arguments['condition']}), true)",
        _columns(target, *names), involved=tuple(names),
    )  # fmt: skip


def _rejects_below(target: Target) -> Check:
    source = literal(target.source)
    as_of = f" and extract_date <= {literal(target.reading.as_of)}" if target.reading.as_of else ""
    # of the newest extract: what an earlier one lacked was mended, or is asked about already
    newest = f"(select max(extract_date) from raw.files where source = {source} and active{as_of})"
    relation = (
        "(select case when i.k <= r.rejected then 1 else 0 end as rejected from "
        f"(select coalesce(sum(rows_in), 0)::bigint as n, coalesce(sum(rows_rejected), 0)::bigint as rejected "
        f"from raw.files where source = {source} and active and extract_date = {newest}) as r, lateral (select unnest(range(1, r.n + 1)) as k) as i)"
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
    "expect_table_to_have_rows": Word(_table_has_rows, False, {"at_least": False, "unless_empty": False}),
    "expect_extract_to_be_fresh": Word(_extract_is_fresh, False, {"days": True}),
    "expect_rejects_to_be_few": Word(_rejects_below, False, {}),
    "expect_volume_to_be_steady": Word(_volume_steady, False, {"least": False, "most": False}),
    "expect_column_to_be_filled": Word(_column_is_filled, True, {}),
    "expect_values_to_be_present": Word(_present, True, {"where": False, "by_status": False}),
    "expect_values_to_be_readable": Word(_readable, True, {}),
    "expect_facts_to_stay": Word(_facts_stay, False, {"of": True}),
    "expect_keys_to_be_readable": Word(_keys_readable, True, {}),
    "expect_keys_to_be_spread": Word(_keys_spread, True, {"share": True, "least": True}),
    "expect_values_to_be_between": Word(_between, True, {"minimum": False, "maximum": False, "where": False}),
    "expect_values_to_be_in_set": Word(_in_set, True, {"values": True, "where": False}),
    "expect_values_to_match": Word(_matches, True, {"pattern": True, "narrow": False, "where": False}),
    "expect_values_to_lack_pattern": Word(_lacks_pattern, True, {"pattern": True}),
    "expect_rows_to_be_unique": Word(_unique, False, {"columns": True, "count_all": False, "where": False}),
    "expect_one_value_per": Word(
        _one_value_per, True, {"by": True, "where": False, "agreed_in": False, "there": False}
    ),
    "expect_dates_in_order": Word(_ordered, True, {"not_after": True, "where": False}),
    "expect_dates_not_before": Word(_not_before_date, True, {"date": False, "years": False}),
    "expect_dates_not_far_ahead": Word(_not_far_ahead, True, {"years": True}),
    "expect_column_to_vary": Word(_varies, True, {"among": False}),
    "expect_lengths_to_agree": Word(_lengths_agree, True, {}),
    "expect_no_outliers": Word(_no_outliers, True, {"times": False}),
    "expect_steps_to_be_small": Word(_steps, True, {"by": True, "order": True, "fall": True, "rise": True}),
    "expect_births_apart": Word(_birth_spacing, True, {"by": True, "where": False}),
    "expect_parents_to_be_older": Word(_parent_older, True, {"by": True, "years": False}),
    "expect_event_at_age": Word(
        _at_age, True, {"table": True, "from_months": True, "to_months": True, "where": False, "columns": False}
    ),
    "expect_digits_alone": Word(_digits_alone, True, {}),
    "expect_names_in_parts": Word(_two_parts, True, {}),
    "expect_values_to_be_shared": Word(_not_rare, True, {"first": False, "most": False}),
    "expect_column_to_be_unsorted": Word(_unsorted, True, {}),
    "expect_value_as_in_group": Word(_as_group, True, {"table": True, "group": True, "by": True}),
    "expect_periods_apart": Word(_periods_apart, True, {"by": True, "until": True}),
    "expect_dates_in_style": Word(_in_style, True, {}),
    "expect_event_within_stay": Word(_within_stay, True, {"table": True, "since": False, "days": False}),
    "expect_events_to_be_recent": Word(_recent, True, {"days": True}),
    "expect_months_to_be_complete": Word(_months_complete, True, {"least": False}),
    "expect_lines_to_end_alike": Word(_lines_end_alike, False, {}),
    "expect_value_not_above": Word(_not_above, True, {"not_above": True}),
    "expect_check_digit": Word(_check_digit, True, {}),
    "expect_age_to_fit_grade": Word(
        _age_fits_grade, True, {"birth_date": True, "on": False, "tolerance": False, "where": False}
    ),
    "expect_rows_to_exist_in": Word(
        _exists_in,
        False,
        {"table": True, "columns": True, "own": False, "fixed": False, "where": False, "least": False},
    ),
    "expect_values_to_be_trimmed": Word(_trimmed, True, {}),
    "expect_dates_to_be_certain": Word(_certain, True, {}),
    "expect_same_as_in": Word(
        _same_in,
        True,
        {
            "table": True,
            "own": False,
            "there": True,
            "compared": True,
            "where_same": False,
            "otherwise": False,
            "where": False,
        },
    ),
    "expect_event_not_before_birth": Word(_not_before_birth, True, {"table": True}),
    "expect_rows_to_satisfy": Word(_satisfied, False, {"condition": True, "columns": False, "where": False}),
}


def argument_columns(expectation: str, arguments: Mapping[str, Any]) -> Iterable[str]:
    """The columns of the expectation's own table that its arguments name (checked when a suite is loaded)."""
    for name in ("columns", "by", "own", "compared", "where_same", "otherwise"):
        if expectation == "expect_rows_to_exist_in" and name == "columns" and "own" in arguments:
            continue
        values = arguments.get(name)
        if isinstance(values, list):
            for value in values:
                yield from (str(one) for one in value) if isinstance(value, list) else (str(value),)
    for name in ("not_after", "not_above", "birth_date", "on", "by", "order", "own", "until"):
        if isinstance(arguments.get(name), str):
            yield str(arguments[name])
