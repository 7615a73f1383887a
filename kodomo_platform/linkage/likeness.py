"""Splink's opinion about pairs of records, remembered between runs.

What Splink says about a pair depends on two things. The two records and the model say which levels of evidence agree:
that is asked once per pair and kept in the warehouse. How common a name is, and how many people could be meant, changes
with every extract: that is added anew, to old and new pairs alike, by one statement. So a run compares only pairs that
touch a new or changed record, and its result is that of comparing everything; a test holds the two together.

A record counts as unchanged only while everything that blocking and comparing read of it is: its forms, its keys after
crowded ones were taken away, and whether it is still to be linked. What is remembered is thrown away whole when the
model, the comparisons or the libraries change.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
from typing import TYPE_CHECKING

from kodomo_platform.linkage.evidence import LIST_COLUMNS, PAIR_COLUMNS, comparisons, dotted
from kodomo_platform.linkage.model import (
    SPLINK_COLUMNS,
    TERM_COLUMNS,
    TERM_FREQUENCIES,
    TERM_FREQUENCY_FLOOR,
    LinkageModel,
    splink_settings,
)
from kodomo_platform.linkage.preparation import BLOCKS

if TYPE_CHECKING:
    import duckdb

# a prior of "one in so many" in the smallest towns too: few records must not make namesakes likelier matches
LEAST_PEOPLE = 10_000
# of so many records one is new: then it pays to look up what is near it before Splink reads everything
_FEW = 5
_MEMORY = "linkage.lnk_pair_memory"
_RECORDS = "linkage.lnk_record_memory"
_STAMP = "linkage.lnk_memory_stamp"
_LEVELS = tuple(comparison.name for comparison in comparisons())


def likeness_pairs(
    con: duckdb.DuckDBPyConnection, model: LinkageModel, people: int, threshold: float, *, remember: bool
) -> dict[str, int]:
    """Add pairs of ``lnk_compared`` with a probability of at least ``threshold`` to ``lnk_pair``, without those that are
    there already.

    Args:
        people: how many people could be meant; at least `LEAST_PEOPLE` are assumed.
        remember: use and keep what former runs on this warehouse compared.

    Returns:
        How many records were compared anew and how many as before.
    """
    columns = ", ".join(
        f"list_sort({column}) as {column}" if column in LIST_COLUMNS else column
        for column in dict.fromkeys(SPLINK_COLUMNS)
    )
    con.execute(f"create or replace temp table lnk_splink_right as select {columns} from lnk_compared order by rid")
    stamp = _fingerprint(model, threshold)
    _take_fingerprints(con)
    if remember and _remembered(con, stamp):
        con.execute(
            f"create or replace temp table lnk_seen as select c.rid, m.seq from lnk_content as c join {_RECORDS} as m "
            "on m.source = c.source and m.source_record_id = c.source_record_id and m.one = c.one and m.two = c.two"
        )
    else:
        con.execute("create or replace temp table lnk_seen (rid integer, seq bigint)")
        remember = remember and _start_memory(con, stamp)
    counts = _compare(con, model, threshold)
    if remember:
        con.execute(
            f"insert into lnk_candidate select l.rid, r.rid, m.most, {', '.join('m.' + name for name in _LEVELS)} "
            f"from {_MEMORY} as m join lnk_seen as l on l.seq = m.left_seq join lnk_seen as r on r.seq = m.right_seq"
        )
        _keep(con)
    _weigh(con, model, max(people, LEAST_PEOPLE), threshold)
    for table in ("lnk_splink_right", "lnk_content", "lnk_seen", "lnk_candidate"):
        con.execute(f"drop table if exists {table}")
    return counts


def _take_fingerprints(con: duckdb.DuckDBPyConnection) -> None:
    """Temporary table ``lnk_content``: every record and two 64-bit hashes of all that blocking and comparing read of it.

    The second is taken of other texts than the first, so that what collides in one does not in the other.
    """
    kinds = {str(row[0]): str(row[1]) for row in con.execute("describe lnk_splink_right").fetchall() if row[0] != "rid"}
    one = ", ".join(f"s.{name}" for name in kinds)
    two = ", ".join(f"'|' || s.{name}" if kind == "VARCHAR" else f"s.{name}" for name, kind in kinds.items())
    con.execute(
        "create or replace temp table lnk_content as select s.rid, p.source, p.source_record_id, "
        f"hash({one}) as one, hash({two}) as two from lnk_splink_right as s join lnk_prepared as p using (rid)"
    )


def _fingerprint(model: LinkageModel, threshold: float) -> str:
    """Everything but the records that what is remembered depends on."""
    from importlib.metadata import version

    content = [
        model.sha256,
        threshold,
        LEAST_PEOPLE,
        TERM_FREQUENCY_FLOOR,
        sorted((*key, column) for key, column in TERM_FREQUENCIES.items()),
        sorted(BLOCKS.items()),
        PAIR_COLUMNS,
        [(comparison.name, comparison.case_sql()) for comparison in comparisons()],
        version("splink"),
        version("duckdb"),
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _remembered(con: duckdb.DuckDBPyConnection, stamp: str) -> bool:
    (there,) = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'linkage' and table_name in "
        "('lnk_pair_memory', 'lnk_record_memory', 'lnk_memory_stamp')"
    ).fetchone() or (0,)
    return there == 3 and con.execute(f"select stamp from {_STAMP}").fetchone() == (stamp,)


def _start_memory(con: duckdb.DuckDBPyConnection, stamp: str) -> bool:
    levels = ", ".join(f"{name} tinyint" for name in _LEVELS)
    con.execute("create schema if not exists linkage")
    con.execute(f"create or replace table {_MEMORY} (left_seq bigint, right_seq bigint, most double, {levels})")
    con.execute(
        f"create or replace table {_RECORDS} (seq bigint, source varchar, source_record_id varchar, one ubigint, two ubigint)"
    )
    con.execute(f"create or replace table {_STAMP} as select '{stamp}' as stamp")
    return True


def _compare(con: duckdb.DuckDBPyConnection, model: LinkageModel, threshold: float) -> dict[str, int]:
    """Temporary table ``lnk_candidate``: pairs that touch a record not seen before, with the most they can weigh."""
    con.execute(
        "create or replace temp table lnk_fresh as select * from lnk_splink_right anti join lnk_seen using (rid)"
    )
    (fresh, total) = con.execute(
        "select (select count(*) from lnk_fresh), (select count(*) from lnk_splink_right)"
    ).fetchone() or (0, 0)
    levels = ", ".join(f"{name} tinyint" for name in _LEVELS)
    con.execute(f"create or replace temp table lnk_candidate (rid_l integer, rid_r integer, most double, {levels})")
    con.execute("create or replace temp table lnk_left_fresh as select * from lnk_fresh where is_left")
    con.execute(
        "create or replace temp table lnk_left_seen as select s.* from lnk_splink_right as s "
        "semi join lnk_seen using (rid) where s.is_left"
    )
    # a pair's left side is a record still to be linked; of two such, the first: every pair is met in exactly one way
    for left, right in (("lnk_left_fresh", "lnk_splink_right"), ("lnk_left_seen", "lnk_fresh")):
        near_left = _near(con, "lnk_near_left", left, right)
        near_right = _near(con, "lnk_near_right", right, near_left)
        if _has_candidates(con, near_left, near_right):
            _ask_splink(con, model, threshold, near_left, near_right)
        con.execute("drop table if exists lnk_near_left; drop table if exists lnk_near_right")
    for table in ("lnk_fresh", "lnk_left_fresh", "lnk_left_seen"):
        con.execute(f"drop table {table}")
    return {"records_compared_anew": int(fresh), "records_compared_before": int(total) - int(fresh)}


def _near(con: duckdb.DuckDBPyConnection, name: str, table: str, few: str) -> str:
    """The rows of ``table`` that share a block with one of the ``few``, as temporary table ``name``, where that is worth
    the looking; else ``table`` itself: Splink reads all it is given."""
    (rows, others) = con.execute(f"select (select count(*) from {table}), (select count(*) from {few})").fetchone() or (
        0,
        0,
    )
    if others * _FEW > rows:
        return table
    near = " union ".join(
        f"select t.rid from {table} as t semi join {few} as f on f.{block} = t.{block}" for block in BLOCKS
    )
    con.execute(f"create or replace temp table {name} as select * from {table} semi join ({near}) using (rid)")
    return name


def _has_candidates(con: duckdb.DuckDBPyConnection, left: str, right: str) -> bool:
    """Whether any record of the one table shares a block with another record of the other: Splink need not even be
    imported when none does."""
    shared = " or ".join(
        f"exists (select 1 from {left} as l join {right} as r on l.{block} = r.{block} and l.rid <> r.rid)"
        for block in BLOCKS
    )
    (found,) = con.execute(f"select {shared}").fetchone() or (False,)
    return bool(found)


def _ask_splink(con: duckdb.DuckDBPyConnection, model: LinkageModel, threshold: float, left: str, right: str) -> None:
    """Add the pairs between two tables that could reach ``threshold`` in some run: every value as rare as the floor
    allows, as few people as are ever assumed."""
    from splink import DuckDBAPI, Linker

    logging.getLogger("splink").setLevel(logging.ERROR)
    api = DuckDBAPI(con)
    one = api.register(left, dataset_display_name="left")
    two = api.register(right, dataset_display_name="right")
    linker = Linker(two, splink_settings(model, LEAST_PEOPLE), log_level=None, validate_settings=False)
    for column in TERM_COLUMNS:
        con.execute(
            f"create or replace temp table lnk_tf_{column} as "
            f"select {column}, 0.0 as tf_{column} from (select {column} from {left} union select {column} from {right}) "
            f"where {column} is not null"
        )
        linker.table_management.register_term_frequency_lookup(api.register(f"lnk_tf_{column}"), column)
    scored = linker.inference.predict_between(one, two, threshold_match_probability=threshold, warning_mode="never")
    levels = ", ".join(f"{comparison.case_sql()} as {comparison.name}" for comparison in comparisons(dotted))
    con.execute(
        f"insert into lnk_candidate select s.rid_l, s.rid_r, s.match_weight, {levels} from {scored.physical_name} as s "
        "join lnk_splink_right as l on l.rid = s.rid_l join lnk_splink_right as r on r.rid = s.rid_r"
    )
    api.delete_tables_created_by_splink_from_db()
    for column in TERM_COLUMNS:
        con.execute(f"drop table if exists lnk_tf_{column}")


def _keep(con: duckdb.DuckDBPyConnection) -> None:
    """Remember this run's records and candidates, and nothing of records that are gone or changed."""
    con.execute(
        f"""
        create or replace temp table lnk_numbered as
        select c.*, coalesce(s.seq, (select coalesce(max(seq), 0) from {_RECORDS})
            + row_number() over (partition by s.seq is null order by c.rid)) as seq
        from lnk_content as c left join lnk_seen as s using (rid)
        """
    )
    # the stamp goes first and comes last: a run that is killed in between leaves nothing that would be believed
    stamp = con.execute(f"select stamp from {_STAMP}").fetchone()
    con.execute(f"delete from {_STAMP}")
    con.execute(
        f"create or replace table {_MEMORY} as select l.seq as left_seq, r.seq as right_seq, c.most, "
        f"{', '.join('c.' + name for name in _LEVELS)} from lnk_candidate as c "
        "join lnk_numbered as l on l.rid = c.rid_l join lnk_numbered as r on r.rid = c.rid_r"
    )
    con.execute(
        f"create or replace table {_RECORDS} as select seq, source, source_record_id, one, two from lnk_numbered"
    )
    con.execute(f"insert into {_STAMP} values (?)", list(stamp or ("",)))
    con.execute("drop table lnk_numbered")


def _weigh(con: duckdb.DuckDBPyConnection, model: LinkageModel, people: int, threshold: float) -> None:
    """Weights as they are today: from the most a pair can weigh, what today's frequencies and people take away.

    Splink adds log2(u) - log2(frequency) where a level has a term frequency (its ``tf_minimum_u_value`` the least that
    is believed); `_ask_splink` had it add log2(u) - log2(floor). A small town's few records say little about how common
    a name is: the usual frequency counts as `LEAST_PEOPLE` records more.
    """
    joins, taken = [], []
    for column in TERM_COLUMNS:
        usual = model.usual_frequency(column) * LEAST_PEOPLE
        con.execute(
            f"create or replace temp table lnk_tf_{column} as select {column} as term, log2(greatest("
            f"(count(*) + {usual!r}) / (sum(count(*)) over () + {LEAST_PEOPLE}), {TERM_FREQUENCY_FLOOR})) as bits "
            f"from lnk_splink_right where {column} is not null group by {column}"
        )
        for side in ("l", "r"):
            joins.append(f"left join lnk_tf_{column} as {side}_{column} on {side}_{column}.term = {side}.{column}")
    floor = math.log2(TERM_FREQUENCY_FLOOR)
    for comparison in _LEVELS:
        whens = " ".join(
            # greatest() passes over a side that has no value, as Splink's coalesce does; no value at all: no adjustment
            f"when c.{comparison} = {level} then coalesce(greatest(l_{column}.bits, r_{column}.bits) - ({floor!r}), 0)"
            for (name, level), column in TERM_FREQUENCIES.items()
            if name == comparison
        )
        if whens:
            taken.append(f"(case {whens} else 0 end)")
    prior = math.log2(1 / (people - 1)) - math.log2(1 / (LEAST_PEOPLE - 1))
    con.execute(
        f"""
        insert into lnk_pair
        with weighed as (
            select c.rid_l, c.rid_r, c.given_name, c.most + ({prior!r}){"".join(f" - {term}" for term in taken)} as weight
            from lnk_candidate as c
            join lnk_splink_right as l on l.rid = c.rid_l
            join lnk_splink_right as r on r.rid = c.rid_r
            {" ".join(joins)}
        )
        select rid_l, rid_r, 'probabilistic', 1 / (1 + pow(2, -weight)), weight, given_name from weighed as w
        anti join (select a, b from lnk_pair union all select b, a from lnk_pair) as k
            on k.a = w.rid_l and k.b = w.rid_r
        where weight >= {math.log2(threshold / (1 - threshold))!r}
        """
    )
    for column in TERM_COLUMNS:
        con.execute(f"drop table if exists lnk_tf_{column}")
