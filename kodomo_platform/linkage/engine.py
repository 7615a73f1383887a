"""The passes over one municipality's identity records: number, exact keys, Splink; then assignment.

Runs on any DuckDB connection that holds ``linkage.lnk_identity``, ``cfg.run``, ``ops.child_id`` and
``ops.review_decision``; dbt is not needed. What an id is called is `identifiers`' business.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.assignment import APART, LINK, Node, Pair, assign, link_threshold
from kodomo_platform.linkage.consent import drop_closed_pairs
from kodomo_platform.linkage.estimate import write_estimate, write_symptoms
from kodomo_platform.linkage.evidence import (
    BIRTH_EQUAL,
    GIVEN_AGREES,
    GIVEN_NEAR,
    GIVEN_SURE,
    OTHER_SURNAME_TWO,
    SAME_HOUSEHOLD,
    SAME_TOWN,
    SURNAME_ALONE,
    SURNAME_AT_MOST,
    Comparison,
    comparisons,
    dotted,
)
from kodomo_platform.linkage.isolation import isolate
from kodomo_platform.linkage.likeness import likeness_pairs
from kodomo_platform.linkage.model import SHIPPED, LinkageModel, load_model, parse_model
from kodomo_platform.linkage.preparation import DUPLICATE_FREE, REGISTER, cap_blocks, prepare
from kodomo_platform.linkage.probability import GlassBox, calibrate

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

IDENTITY = "linkage.lnk_identity"
_LEVELS = ("given_name", "birth_date", "sex", "household")
# below this by weight alone a pair is not looked at: rivals so weak change nothing
LEAST_LIKELY = 0.002
# two records that agree so in name, birth date and home are one record twice, whatever else is mistyped in one of them
_SAYS_THE_SAME = f"given_name >= {GIVEN_SURE} and birth_date = {BIRTH_EQUAL} and household >= {SAME_HOUSEHOLD}"


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
    _empty_pairs(con)
    _number_pairs(con)
    _register_pairs(con)
    _exact_pairs(con)
    counts |= _splink_pairs(con, model, remember=identity == IDENTITY)
    drop_closed_pairs(con)
    calibrate(con, model.glass_box or _shipped_glass_box(), _level_columns())
    _decisions(con)
    _settle(con, model)
    counts |= isolate(con, _level_columns(), _SAYS_THE_SAME)
    write_estimate(con)
    write_symptoms(con, identity)
    settled = _edge_table(con)
    con.execute("create schema if not exists linkage")
    con.register("settled", settled)
    con.execute(f"create or replace table linkage.lnk_apart as select * from settled where outcome = '{APART}'")
    table = con.execute(f"select * from settled where outcome <> '{APART}' order by pair_id").to_arrow_table()
    con.unregister("settled")
    con.execute("create or replace table linkage.lnk_run_count (metric varchar, value bigint)")
    con.executemany("insert into linkage.lnk_run_count values (?, ?)", [list(row) for row in sorted(counts.items())])
    con.execute("create or replace table linkage.lnk_model (version varchar, sha256 varchar)")
    con.execute("insert into linkage.lnk_model values (?, ?)", [model.version, model.sha256])
    for name in ("lnk_prepared", "lnk_pair", "lnk_decided", "lnk_settled", "lnk_group", "lnk_twin"):
        con.execute(f"drop table if exists {name}")
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


@lru_cache(maxsize=1)
def _shipped_glass_box() -> GlassBox:
    """The shipped probabilities, for a model of a town's own that holds weights alone."""
    shipped = load_model().glass_box
    if shipped is None:
        raise LinkageError(
            "the shipped linkage model holds no probabilities", where=str(SHIPPED), action="restore the file"
        )
    return shipped


def _empty_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """Temp table ``lnk_pair``: pairs of ``lnk_prepared.rid`` as the passes find them."""
    con.execute(
        "create or replace temp table lnk_pair (a integer, b integer, kind varchar, probability double, "
        "weight double, given tinyint)"
    )


def _decisions(con: duckdb.DuckDBPyConnection) -> None:
    """Temp table ``lnk_decided``: what people said about pairs of records that are still there."""
    con.execute(
        "create or replace temp table lnk_decided as select l.rid as a, r.rid as b, d.decision "
        "from ops.review_decision as d "
        "join lnk_prepared as l on l.source = d.left_source and l.source_record_id = d.left_record "
        "join lnk_prepared as r on r.source = d.right_source and r.source_record_id = d.right_record"
    )


def _number_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """Records that bear a number, each with the register's record of it (or the first record that bears it).

    The same number on two people is a conflict, not a link: given name or birth date must agree, and nothing may
    contradict (a twin's number on a twin's record has the right birth date and the wrong given name).
    """
    con.execute(
        f"""
        insert into lnk_pair
        with anchors as (
            select case when is_register then source_record_id else resident_number end as number, min(rid) as rid
            from lnk_prepared where is_register or resident_number is not null group by 1
        ),
        levels as (
            select l.rid as left_rid, r.rid as right_rid, l.given_match is null or r.given_match is null as kanji_lack,
                {_level_columns()}
            from lnk_prepared as l
            join anchors as a on a.number = l.resident_number
            join lnk_prepared as r on r.rid = a.rid
            where not l.is_register and l.rid <> r.rid
        ),
        judged as (
            select *,
                case
                    when given_name >= {GIVEN_AGREES}
                        then birth_date <> 0 or (given_name > {GIVEN_AGREES} and household >= {SAME_HOUSEHOLD})
                    -- like readings of unlike kanji are how twins are named
                    when given_name = {GIVEN_NEAR} then kanji_lack and birth_date >= 2 and sex <> 0
                        and household >= {SURNAME_ALONE}
                    when given_name = -1 then birth_date >= 1 and sex <> 0
                    else false
                end as agrees
            from levels
        )
        select left_rid, right_rid, case when agrees then 'number' else 'conflict' end,
            -- not even birth date or household agree: a slip of the pen, not two people to be told apart
            case when agrees then 1.0 when given_name <= 0 and birth_date <= 0
                and household <= {SURNAME_AT_MOST} then 0.0 else 0.5 end,
            case when agrees then 99.0 else 0.0 end, given_name
        from judged
        """
    )


def _register_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """The same child twice in the register: who left and came back under a new number; anything less is asked.

    Two who live there now and came on one day (or both on days unknown) are asked about, however alike: twins of one name exist
    in writing. Two days of coming are a return whose leaving was not delivered.
    """
    # two joins by equality: one join by either name is a nested loop over all who share a birth date
    con.execute(
        f"""
        insert into lnk_pair
        with children as (
            select rid, birth_date, name_match, kana_match from lnk_prepared as p
            where is_register and birth_exact and p.is_young
        ),
        candidates as (
            select l.rid as left_rid, r.rid as right_rid, true as may_return
            from children as l join children as r on l.birth_date = r.birth_date and l.name_match = r.name_match
            where l.rid < r.rid
            union
            select l.rid, r.rid, true
            from children as l join children as r on l.birth_date = r.birth_date and l.kana_match = r.kana_match
            where l.rid < r.rid
            union
            -- one name twice in a household, a birth date unknown: likely one child, but siblings of one name exist: ask
            select l.rid, r.rid, false
            from lnk_prepared as l
            join lnk_prepared as r on l.household_number = r.household_number and l.name_match = r.name_match
                and l.kana_match = r.kana_match
            where l.rid < r.rid and l.is_register and r.is_register and (not l.birth_exact or not r.birth_exact)
                and l.relationship in ('child', 'grandchild') and r.relationship in ('child', 'grandchild')
        ),
        levels as (
            select l.rid as left_rid, r.rid as right_rid, c.may_return
                    and coalesce(l.left_on <= r.became_resident_on or r.left_on <= l.became_resident_on, false) as in_turn,
                c.may_return and l.became_resident_on is distinct from r.became_resident_on as came_twice,
                {_level_columns()}
            from candidates as c join lnk_prepared as l on l.rid = c.left_rid join lnk_prepared as r on r.rid = c.right_rid
        ),
        found as (
            select left_rid, right_rid, max(given_name) as given,
                bool_or(given_name > {GIVEN_SURE} and sex <> 0 and birth_date = {BIRTH_EQUAL} and (
                    (in_turn and household >= {OTHER_SURNAME_TWO}) or (came_twice and household >= {SAME_HOUSEHOLD})
                )) as sure
            from levels
            where given_name >= {GIVEN_SURE} and sex <> 0 and (in_turn or household >= {SAME_HOUSEHOLD})
            group by 1, 2
        )
        select left_rid, right_rid, case when sure then 'register_return' else 'register_duplicate' end,
            case when sure then 0.999 else 0.5 end, 0.0, given
        from found
        """
    )


def _exact_pairs(con: duckdb.DuckDBPyConnection) -> None:
    """Name, birth date and sex equal, something of the household equal too, and nobody else fits on either side."""
    con.execute(
        f"""
        insert into lnk_pair
        with rest as (
            select p.* from lnk_prepared as p
            anti join (select a from lnk_pair where kind = 'number') as k on k.a = p.rid
            where not p.is_register and p.birth_exact
        ),
        children as (select * from lnk_prepared as p where is_register and birth_exact and p.is_young),
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
        select left_rid, right_rid, 'exact', 0.9999, 50.0, given_name from counted
        where given_name >= {GIVEN_SURE} and sex <> 0 and household >= {SAME_TOWN} and register_candidates = 1
            and (source_candidates = 1 or source not in {DUPLICATE_FREE!r})
            and (number is null or number = register_number or number not in (
                select source_record_id from lnk_prepared where is_register))
        """
    )


def _splink_pairs(
    con: duckdb.DuckDBPyConnection, model: LinkageModel, threshold: float | None = None, *, remember: bool = False
) -> dict[str, int]:
    """Splink's opinion about every record that is still alone, against all children and all other records.

    Returns:
        Counts: crowded blocks left out, records compared by likeness, anew and as before.
    """
    (left,) = con.execute(
        "select count(*) from lnk_prepared as p anti join (select a from lnk_pair where kind in ('number', 'exact')) "
        "as k on k.a = p.rid where not p.is_register"
    ).fetchone() or (0,)
    counts = {
        "blocks_over_cap": 0,
        "records_compared_by_likeness": int(left),
        "records_compared_anew": 0,
        "records_compared_before": 0,
    }
    if not left:
        return counts  # nothing is left to link: Splink need not even be imported
    con.execute(
        """
        create or replace temp table lnk_compared as
        with linked as (select distinct a as rid from lnk_pair where kind in ('number', 'exact'))
        select p.*, k.rid is null and not p.is_register as is_left,
            coalesce(p.surname_match, p.surname_kana_match) as surname_key
        from lnk_prepared as p left join linked as k on k.rid = p.rid
        where p.is_young order by p.rid
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
        compared = likeness_pairs(
            con, model, int(people), LEAST_LIKELY if threshold is None else threshold, remember=remember
        )
    finally:
        con.execute("drop table if exists lnk_compared")
    return counts | compared | {"blocks_over_cap": dropped}


def score_everyone(
    con: duckdb.DuckDBPyConnection, model: LinkageModel, identity: str, *, calibrated: bool = True
) -> list[Pair]:
    """Every pair that shares a block and is not hopeless, with its probability; nothing is assigned. For blind tests.

    ``calibrated``: false leaves Splink's own weight and probability.

    Positions in a pair are those of ``lnk_prepared`` (rid - 1), which is left behind.
    """
    prepare(con, identity)
    _empty_pairs(con)
    _splink_pairs(con, model, threshold=0.001)
    if calibrated:
        calibrate(con, model.glass_box or _shipped_glass_box(), _level_columns())
    rows = con.execute("select a - 1, b - 1, kind, probability, weight, given from lnk_pair order by a, b").fetchall()
    con.execute("drop table lnk_pair")
    return [Pair(*row) for row in rows]


def _comparison(name: str) -> Comparison:
    return next(comparison for comparison in comparisons() if comparison.name == name)


def _settle(con: duckdb.DuckDBPyConnection, model: LinkageModel) -> None:
    """Temp table ``lnk_settled``: pairs that are linked or asked about, with what each answer moves, and likely pairs that
    stay apart.

    A record that a number or an exact key joined to its anchor is a settled question unless a doubtful pair or a
    person's decision touches it or a record of the same anchor. Most records are settled so, in SQL; `assign` sees
    the rest.
    """
    import pyarrow as pa

    con.execute(
        """
        create or replace temp table lnk_star as
        with sure as (select a, min(b) as b from lnk_pair where kind in ('number', 'exact') group by a)
        -- an anchor that is itself joined to the register: two steps, never more
        select p.rid, coalesce(up.b, one.b, p.rid) as root
        from lnk_prepared as p left join sure as one on one.a = p.rid left join sure as up on up.a = one.b
        """
    )
    con.execute(
        """
        create or replace temp table lnk_restless as
        with touched as (
            select unnest([a, b]) as rid from lnk_pair where kind not in ('number', 'exact')
            union select unnest([a, b]) from lnk_decided
        ),
        roots as (
            select root from lnk_star semi join touched using (rid)
            -- two anchors for one record: not a star
            union select s.root from lnk_star as s join (
                select a from lnk_pair where kind in ('number', 'exact') group by a having count(*) > 1
            ) as twice on twice.a = s.rid
        )
        select rid, row_number() over (order by rid) - 1 as place from lnk_star semi join roots using (root)
        """
    )
    _twins(con)
    nodes = [
        Node(register, source, number, given, kana, tuple(sorted(foreign)), whole, birth, twins, tuple(readings))
        for register, source, number, given, kana, foreign, whole, birth, twins, readings in con.execute(
            # a number that the register does not know is mistyped or outdated: it proves nothing against a link,
            # nor does one that another person bears
            "select p.is_register, p.source, case when p.is_register then p.source_record_id "
            "when r.source_record_id is not null and c.a is null then p.resident_number end, "
            "case when not p.is_foreign then coalesce(p.given_near, p.given_match) end, p.given_kana_match, "
            "case when p.is_foreign then list_distinct([p.kana_form, p.name_form]) else [] end, "
            "case when not p.is_foreign then coalesce(p.name_near, p.name_match) end, "
            "case when p.birth_exact then p.birth_date end, t.twins, coalesce(p.given_readings, []) "
            "from lnk_restless as q join lnk_prepared as p on p.rid = q.rid "
            "left join lnk_prepared as r on r.is_register and r.source_record_id = p.resident_number "
            "left join (select distinct a from lnk_pair where kind = 'conflict') as c on c.a = p.rid "
            "left join lnk_twin as t on t.rid = p.rid order by q.place"
        ).fetchall()
    ]
    pairs = [
        Pair(*row)
        for row in con.execute(
            "select l.place, r.place, kind, probability, weight, given from lnk_pair as p "
            "join lnk_restless as l on l.rid = p.a join lnk_restless as r on r.rid = p.b order by kind, p.a, p.b"
        ).fetchall()
    ]
    decided = con.execute(
        "select l.place, r.place, decision from lnk_decided join lnk_restless as l on l.rid = a "
        "join lnk_restless as r on r.rid = b order by 1, 2"
    ).fetchall()
    state = assign(
        nodes,
        pairs,
        decided=decided,
        duplicate_free=DUPLICATE_FREE,
        match=_threshold(con, model),
        review=model.review,
        margin_bits=model.margin_bits,
    )
    standing = {frozenset((pair.left, pair.right)) for pair in pairs if pair.outcome == LINK}
    for left, right, decision in decided:
        if decision == "same" and frozenset((left, right)) not in standing and state.find(left) == state.find(right):
            pairs.append(Pair(left, right, "review", 1.0, 0.0, outcome=LINK, why="decided_same"))
    # likely pairs of two children: nobody is asked about them, but a sample of them tells what is missed
    asked = {frozenset((left, right)) for left, right, _ in decided}
    kept = [
        pair
        for pair in pairs
        if pair.outcome != APART
        or (state.find(pair.left) != state.find(pair.right) and frozenset((pair.left, pair.right)) not in asked)
    ]
    con.register(
        "lnk_kept",
        pa.table(
            {
                "left_place": pa.array([pair.left for pair in kept], pa.int32()),
                "right_place": pa.array([pair.right for pair in kept], pa.int32()),
                "kind": pa.array([pair.kind for pair in kept], pa.string()),
                "probability": pa.array([pair.probability for pair in kept], pa.float64()),
                "weight": pa.array([pair.weight for pair in kept], pa.float64()),
                "outcome": pa.array([pair.outcome for pair in kept], pa.string()),
                "why": pa.array([pair.why for pair in kept], pa.string()),
                "touches": pa.array([state.size(pair.left) + state.size(pair.right) for pair in kept], pa.int32()),
            }
        ),
    )
    con.execute(
        f"""
        create or replace temp table lnk_settled as
        with sizes as (select root, count(*) as size from lnk_star group by root)
        select p.a, p.b, p.kind, p.probability, p.weight, '{LINK}' as outcome, '' as why,
            cast(2 * z.size as integer) as touches
        from lnk_pair as p join lnk_star as s on s.rid = p.a join sizes as z on z.root = s.root
        anti join lnk_restless as q on q.rid = p.a
        union all
        select l.rid, r.rid, k.kind, k.probability, k.weight, k.outcome, k.why, k.touches
        from lnk_kept as k join lnk_restless as l on l.place = k.left_place
        join lnk_restless as r on r.place = k.right_place
        """
    )
    con.unregister("lnk_kept")
    _groups(con, [state.find(place) for place in range(len(nodes))])
    con.execute("drop table lnk_star; drop table lnk_restless")


def _threshold(con: duckdb.DuckDBPyConnection, model: LinkageModel) -> float:
    """The probability from which this town's pairs are linked, at least the model's own."""
    from kodomo_platform.settings import get_settings

    settings = get_settings()
    likely = [
        float(p) for (p,) in con.execute("select probability from lnk_pair where kind = 'probabilistic'").fetchall()
    ]
    (sure,) = con.execute("select count(*) from lnk_pair where kind in ('number', 'exact')").fetchone() or (0,)
    threshold = link_threshold(
        likely,
        int(sure),
        false_merge_cost=settings.linkage_false_merge_cost,
        precision=settings.linkage_precision,
    )
    return max(model.match, threshold)


def _groups(con: duckdb.DuckDBPyConnection, roots: list[int]) -> None:
    """Temp table ``lnk_group``: each record and its cluster as it was settled, told by one record in it."""
    import pyarrow as pa

    con.register(
        "lnk_incoming", pa.table({"place": pa.array(range(len(roots)), pa.int32()), "up": pa.array(roots, pa.int32())})
    )
    con.execute("create or replace temp table lnk_roots as from lnk_incoming")
    con.unregister("lnk_incoming")
    con.execute(
        """
        create or replace temp table lnk_group as
        select s.rid, s.root from lnk_star as s anti join lnk_restless as q using (rid)
        union all
        select q.rid, u.rid from lnk_roots as r join lnk_restless as q on q.place = r.place
        join lnk_restless as u on u.place = r.up
        """
    )
    con.execute("drop table lnk_roots")


def _twins(con: duckdb.DuckDBPyConnection) -> None:
    """Temp table ``lnk_twin``: the register's children who have a twin there."""
    con.execute(
        """
        create or replace temp table lnk_twin as
        select rid, concat_ws('|', household_number, birth_date) as twins from lnk_prepared
        where is_register and birth_exact
        qualify count(*) over (partition by household_number, birth_date) > 1
        """
    )


def _edge_table(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """``lnk_settled`` as `link_records` gives it, with levels, words and each pair's name (`operations.pair_id`)."""

    def word(comparison: str) -> str:
        whens = " ".join(f"when {level.number} then '{level.name}'" for level in _comparison(comparison).levels)
        return f"case {comparison} {whens} end"

    evidence = " || ', ' || ".join(
        f"""'"{name}": "' || {value} || '"'"""
        for name, value in (*((name, word(name)) for name in _LEVELS), ("why", "why"))
    )
    first = "(l.source, l.source_record_id) < (r.source, r.source_record_id)"
    return con.execute(
        f"""
        with named as (
            select q.*, {_level_columns()},
                case when {first} then l.source else r.source end as left_source,
                case when {first} then l.source_record_id else r.source_record_id end as left_record,
                case when {first} then r.source else l.source end as right_source,
                case when {first} then r.source_record_id else l.source_record_id end as right_record
            from lnk_settled as q join lnk_prepared as l on l.rid = q.a join lnk_prepared as r on r.rid = q.b
        )
        select 'p' || left(sha256(concat_ws(chr(31), left_source, left_record, right_source, right_record)), 20)
                as pair_id,
            left_source, left_record, right_source, right_record, kind, probability, weight,
            {", ".join(f"cast({name} as tinyint) as {name}" for name in _LEVELS)}, outcome, why,
            '{{' || {evidence} || '}}' as evidence, touches
        from named order by pair_id
        """
    ).to_arrow_table()


EDGE_COLUMNS = (
    "pair_id", "left_source", "left_record", "right_source", "right_record", "kind", "probability", "weight",
    *_LEVELS, "outcome", "why", "evidence", "touches",
)  # fmt: skip


__all__ = ["DUPLICATE_FREE", "EDGE_COLUMNS", "IDENTITY", "REGISTER", "link_records", "score_everyone", "standing_model"]
