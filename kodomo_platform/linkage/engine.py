"""The passes over one municipality's identity records: number, exact keys, Splink; then assignment.

Runs on any DuckDB connection that holds ``linkage.lnk_identity``, ``cfg.run``, ``ops.child_id`` and
``ops.review_decision``; dbt is not needed. What an id is called is `identifiers`' business.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.assignment import APART, LINK, Node, Pair, assign
from kodomo_platform.linkage.evidence import Comparison, comparisons, dotted
from kodomo_platform.linkage.likeness import likeness_pairs
from kodomo_platform.linkage.model import LinkageModel, load_model, parse_model
from kodomo_platform.linkage.preparation import DUPLICATE_FREE, REGISTER, cap_blocks, prepare, young

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

IDENTITY = "linkage.lnk_identity"
_LEVELS = ("given_name", "birth_date", "sex", "household")


def _level_columns() -> str:
    return ", ".join(f"{comparison.case_sql()} as {comparison.name}" for comparison in comparisons(dotted))


def link_records(
    con: duckdb.DuckDBPyConnection, model: LinkageModel | None = None, identity: str = IDENTITY
) -> pa.Table:
    """Every pair that was linked or needs a person, one row each.

    Columns: pair_id, left_source, left_record, right_source, right_record, kind (number, exact, probabilistic, review,
    conflict, register_duplicate, register_return), probability, weight (bits), given_name, birth_date, sex, household
    (levels), outcome (link, review), why, evidence (JSON: level names, no values), touches (records the answer moves).
    """
    model = standing_model(con) if model is None else model
    counts = prepare(con, identity)
    nodes, keys = _nodes(con)
    pairs = _number_pairs(con)
    distrusted = {pair.left for pair in pairs if pair.kind == "conflict"}
    pairs += _register_pairs(con)
    pairs += _exact_pairs(con, {pair.left for pair in pairs if pair.kind == "number"})
    linked = {pair.left for pair in pairs if pair.kind in {"number", "exact"}}
    scored, compared = _splink_pairs(con, linked, nodes, model, remember=identity == IDENTITY)
    already = {frozenset((pair.left, pair.right)) for pair in pairs}
    pairs += [pair for pair in scored if frozenset((pair.left, pair.right)) not in already]
    nodes = [
        node if place not in distrusted else Node(node.register, node.source, None, node.given, node.given_kana)
        for place, node in enumerate(nodes)
    ]
    decided = _decisions(con, keys)
    state = assign(
        nodes,
        pairs,
        decided=decided,
        duplicate_free=DUPLICATE_FREE,
        match=model.match,
        review=model.review,
        margin_bits=model.margin_bits,
    )
    standing = {frozenset((pair.left, pair.right)) for pair in pairs if pair.outcome == LINK}
    for left, right, decision in decided:
        if decision == "same" and frozenset((left, right)) not in standing and state.find(left) == state.find(right):
            pairs.append(Pair(left, right, "review", 1.0, 0.0, outcome=LINK, why="decided_same"))
    kept = [pair for pair in pairs if pair.outcome != APART]
    table = _edge_table(con, kept, keys, [state.size(p.left) + state.size(p.right) for p in kept])
    con.execute("create schema if not exists linkage")
    counts |= compared | {"records_compared_by_likeness": sum(not n.register for n in nodes) - len(linked)}
    con.execute("create or replace table linkage.lnk_run_count (metric varchar, value bigint)")
    con.executemany("insert into linkage.lnk_run_count values (?, ?)", [list(row) for row in sorted(counts.items())])
    con.execute("create or replace table linkage.lnk_model (version varchar, sha256 varchar)")
    con.execute("insert into linkage.lnk_model values (?, ?)", [model.version, model.sha256])
    con.execute("drop table if exists lnk_prepared")
    return table


def standing_model(con: duckdb.DuckDBPyConnection) -> LinkageModel:
    """The model that this warehouse is to be linked with: the approved one as `load_known_ids` put it there (its hash
    is checked again), the shipped one while none is approved."""
    there = con.execute(
        "select 1 from information_schema.tables where table_schema = 'ops' and table_name = 'linkage_model'"
    ).fetchone()
    row = con.execute("select text, sha256 from ops.linkage_model").fetchone() if there else None
    if row is None:
        return load_model()
    model = parse_model(str(row[0]), "ops.linkage_model")
    if model.sha256 != row[1]:
        raise LinkageError(
            "the linkage model in the warehouse is not the approved one",
            where="ops.linkage_model",
            expected=f"SHA-256 {row[1]}",
            action="start the run again: the approved model is read in anew",
        )
    return model


def _nodes(con: duckdb.DuckDBPyConnection) -> tuple[list[Node], dict[tuple[str, str], int]]:
    rows = con.execute(
        # a number that the register does not know is mistyped or outdated: it proves nothing against a link
        "select p.is_register, p.source, case when p.is_register then p.source_record_id "
        "when r.source_record_id is not null then p.resident_number end, "
        "p.given_match, p.given_kana_match, p.source_record_id from lnk_prepared as p "
        "left join lnk_prepared as r on r.is_register and r.source_record_id = p.resident_number order by p.rid"
    ).fetchall()
    nodes = [Node(*row[:5]) for row in rows]
    return nodes, {(row[1], row[5]): place for place, row in enumerate(rows)}


def _decisions(con: duckdb.DuckDBPyConnection, keys: dict[tuple[str, str], int]) -> list[tuple[int, int, str]]:
    rows = con.execute(
        "select left_source, left_record, right_source, right_record, decision from ops.review_decision "
        "order by 1, 2, 3, 4"
    ).fetchall()
    found = []
    for left_source, left_record, right_source, right_record, decision in rows:
        left, right = keys.get((left_source, left_record)), keys.get((right_source, right_record))
        if left is not None and right is not None:
            found.append((left, right, str(decision)))
    return found


def _number_pairs(con: duckdb.DuckDBPyConnection) -> list[Pair]:
    """Records that bear a number, each with the register's record of it (or the first record that bears it).

    The same number on two people is a conflict, not a link: given name or birth date must agree, and nothing may
    contradict (a twin's number on a twin's record has the right birth date and the wrong given name).
    """
    rows = con.execute(
        f"""
        with anchors as (
            select case when is_register then source_record_id else resident_number end as number, min(rid) as rid
            from lnk_prepared where is_register or resident_number is not null group by 1
        ),
        levels as (
            select l.rid as left_rid, r.rid as right_rid, {_level_columns()}
            from lnk_prepared as l
            join anchors as a on a.number = l.resident_number
            join lnk_prepared as r on r.rid = a.rid
            where not l.is_register and l.rid <> r.rid
        )
        select left_rid - 1, right_rid - 1, given_name,
            case
                when given_name >= 2 then birth_date <> 0 or (given_name >= 3 and household >= 6)
                when given_name = 1 then birth_date in (2, 3) and sex <> 0 and household >= 4
                when given_name = -1 then birth_date >= 1 and sex <> 0
                else false
            end as agrees
        from levels order by 1, 2
        """
    ).fetchall()
    return [
        Pair(left, right, "number" if agrees else "conflict", 1.0 if agrees else 0.5, 99.0 if agrees else 0.0, level)
        for left, right, level, agrees in rows
    ]


def _register_pairs(con: duckdb.DuckDBPyConnection) -> list[Pair]:
    """The same child twice in the register: who left and came back under a new number; anything less is asked."""
    rows = con.execute(
        f"""
        with children as (select * from lnk_prepared as p where is_register and birth_exact and {young("p")}),
        levels as (
            select l.rid as left_rid, r.rid as right_rid,
                coalesce(l.left_on <= r.became_resident_on or r.left_on <= l.became_resident_on, false) as in_turn,
                {_level_columns()}
            from children as l
            join children as r on l.birth_date = r.birth_date and l.rid < r.rid
                and (l.name_match = r.name_match or l.kana_match = r.kana_match)
            union
            -- one name twice in a household, a birth date unknown: likely one child, but siblings of one name exist: ask
            select l.rid, r.rid, false, {_level_columns()}
            from lnk_prepared as l
            join lnk_prepared as r on l.household_number = r.household_number and l.name_match = r.name_match
                and l.kana_match = r.kana_match and l.rid < r.rid
                and l.relationship in ('child', 'grandchild') and r.relationship in ('child', 'grandchild')
            where l.is_register and r.is_register and (not l.birth_exact or not r.birth_exact)
        )
        select left_rid - 1, right_rid - 1, max(given_name),
            bool_or(given_name >= 4 and sex <> 0 and birth_date = 3 and (household >= 6 or (in_turn and household >= 3)))
        from levels
        where given_name >= 3 and sex <> 0 and (in_turn or household >= 6) group by 1, 2 order by 1, 2
        """
    ).fetchall()
    return [
        Pair(left, right, "register_return" if sure else "register_duplicate", 0.999 if sure else 0.5, 0.0, level)
        for left, right, level, sure in rows
    ]


def _exact_pairs(con: duckdb.DuckDBPyConnection, linked: set[int]) -> list[Pair]:
    """Name, birth date and sex equal, something of the household equal too, and nobody else fits on either side."""
    _mark(con, linked)
    rows = con.execute(
        f"""
        with rest as (
            select p.* from lnk_prepared as p anti join lnk_linked as k on k.rid = p.rid
            where not p.is_register and p.birth_exact
        ),
        children as (select * from lnk_prepared as p where is_register and birth_exact and {young("p")}),
        candidates as (
            select l.rid as left_rid, r.rid as right_rid
            from rest as l join children as r on l.birth_date = r.birth_date and l.name_match = r.name_match
            union
            select l.rid, r.rid
            from rest as l join children as r on l.birth_date = r.birth_date and l.kana_match = r.kana_match
        ),
        levels as (
            select l.rid as left_rid, r.rid as right_rid, l.source, l.resident_number as number,
                r.source_record_id as register_number, {_level_columns()}
            from candidates as c join rest as l on l.rid = c.left_rid join children as r on r.rid = c.right_rid
        ),
        counted as (
            select *, count(*) over (partition by left_rid) as register_candidates,
                count(*) over (partition by right_rid, source) as source_candidates
            from levels
        )
        select left_rid - 1, right_rid - 1, given_name from counted
        where given_name in (3, 4, 5) and sex <> 0 and household >= 5 and register_candidates = 1
            and (source_candidates = 1 or source not in {DUPLICATE_FREE!r})
            and (number is null or number = register_number or number not in (
                select source_record_id from lnk_prepared where is_register))
        order by 1, 2
        """
    ).fetchall()
    return [Pair(left, right, "exact", 0.9999, 50.0, level) for left, right, level in rows]


def _mark(con: duckdb.DuckDBPyConnection, linked: set[int]) -> None:
    import pyarrow as pa

    con.register("lnk_linked_rows", pa.table({"rid": pa.array(sorted(rid + 1 for rid in linked), pa.int32())}))
    con.execute("create or replace temp table lnk_linked as select rid from lnk_linked_rows")
    con.unregister("lnk_linked_rows")


def _splink_pairs(
    con: duckdb.DuckDBPyConnection,
    linked: set[int],
    nodes: list[Node] | None,
    model: LinkageModel,
    threshold: float | None = None,
    *,
    remember: bool = False,
) -> tuple[list[Pair], dict[str, int]]:
    """Splink's opinion about every record that is still alone, against all children and all other records."""
    counts = {"blocks_over_cap": 0, "records_compared_anew": 0, "records_compared_before": 0}
    if nodes is not None and sum(not node.register for node in nodes) == len(linked):
        return [], counts  # nothing is left to link: Splink need not even be imported
    _mark(con, linked)
    con.execute(
        f"""
        create or replace temp table lnk_compared as
        with named as (
            select p.*, k.rid is null and not p.is_register as is_left,
                coalesce(p.surname_match, p.surname_kana_match) as surname_key
            from lnk_prepared as p left join lnk_linked as k on k.rid = p.rid
            where {young("p")}
        )
        select * from named order by rid
        """
    )
    dropped = cap_blocks(con, "lnk_compared")
    if dropped:
        logging.getLogger(__name__).warning(
            "%d blocks of records share a value that says nothing about a person and were not compared", dropped
        )
    (people,) = con.execute(
        "select greatest(count(*) filter (is_register), count(*) / 2) from lnk_compared"
    ).fetchone() or (0,)
    try:
        rows, compared = likeness_pairs(
            con, model, int(people), min(model.review, 0.05) if threshold is None else threshold, remember=remember
        )
    finally:
        con.execute("drop table if exists lnk_compared")
    return rows, counts | compared | {"blocks_over_cap": dropped}


def score_everyone(con: duckdb.DuckDBPyConnection, model: LinkageModel, identity: str) -> list[Pair]:
    """Every pair that shares a block and is not hopeless, with its weight; nothing is assigned. For blind tests.

    Positions in a pair are those of ``lnk_prepared`` (rid - 1), which is left behind.
    """
    prepare(con, identity)
    pairs, _ = _splink_pairs(con, set(), None, model, threshold=0.001)
    return pairs


def _comparison(name: str) -> Comparison:
    return next(comparison for comparison in comparisons() if comparison.name == name)


def _edge_table(
    con: duckdb.DuckDBPyConnection, pairs: list[Pair], keys: dict[tuple[str, str], int], touches: list[int]
) -> pa.Table:
    import pyarrow as pa

    from kodomo_platform.operations import pair_id

    record = {place: key for key, place in keys.items()}
    con.register(
        "lnk_pair_rows",
        pa.table(
            {
                "place": pa.array(range(len(pairs)), pa.int32()),
                "a": pa.array([p.left + 1 for p in pairs], pa.int32()),
                "b": pa.array([p.right + 1 for p in pairs], pa.int32()),
            }
        ),
    )
    levels = con.execute(
        f"select {_level_columns()} from lnk_pair_rows as q join lnk_prepared as l on l.rid = q.a "
        "join lnk_prepared as r on r.rid = q.b order by q.place"
    ).fetchall()
    con.unregister("lnk_pair_rows")
    words = {name: {level.number: level.name for level in _comparison(name).levels} for name in _LEVELS}
    columns: dict[str, list[Any]] = {name: [] for name in EDGE_COLUMNS}
    for pair, found, touched in zip(pairs, levels, touches, strict=True):
        first, second = sorted((record[pair.left], record[pair.right]))
        evidence = {name: words[name][value] for name, value in zip(_LEVELS, found, strict=True)}
        for name, value in (
            ("pair_id", pair_id(first, second)),
            ("left_source", first[0]),
            ("left_record", first[1]),
            ("right_source", second[0]),
            ("right_record", second[1]),
            ("kind", pair.kind),
            ("probability", pair.probability),
            ("weight", pair.weight),
            *zip(_LEVELS, found, strict=True),
            ("outcome", pair.outcome),
            ("why", pair.why),
            ("evidence", json.dumps(evidence | {"why": pair.why}, ensure_ascii=False)),
            ("touches", touched),
        ):
            columns[name].append(value)
    table = pa.table({name: pa.array(columns[name], kind) for name, kind in _edge_types().items()})
    return table.sort_by([("pair_id", "ascending")])


EDGE_COLUMNS = (
    "pair_id", "left_source", "left_record", "right_source", "right_record", "kind", "probability", "weight",
    *_LEVELS, "outcome", "why", "evidence", "touches",
)  # fmt: skip


def _edge_types() -> dict[str, Any]:
    import pyarrow as pa

    numbers = {"probability": pa.float64(), "weight": pa.float64(), "touches": pa.int32()}
    return {name: numbers.get(name, pa.int8() if name in _LEVELS else pa.string()) for name in EDGE_COLUMNS}


__all__ = ["DUPLICATE_FREE", "EDGE_COLUMNS", "IDENTITY", "REGISTER", "link_records", "score_everyone", "standing_model"]
