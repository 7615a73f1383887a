"""What a model finds when the numbers are hidden: an estimate of its quality where nobody knows the truth.

Records that a number linked are known to be one person's without any likeness. Here their numbers are taken away, the
whole municipality is linked again by likeness alone, and the links are compared with what the numbers had said. Only
people whose half was not used for training are counted. The number pass itself asks that given name or birth date agree,
so the estimate is somewhat too kind to records that differ in both; `evaluation` with a truth or a clerical sample is not.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.assignment import LINK, REVIEW
from kodomo_platform.linkage.engine import link_records, score_everyone
from kodomo_platform.linkage.evidence import comparisons, dotted
from kodomo_platform.linkage.model import LinkageModel
from kodomo_platform.linkage.preparation import REGISTER

if TYPE_CHECKING:
    import duckdb

# two halves of the people: one is counted for the weights, the other tests them
TRAINING_HALF, TEST_HALF = 0, 1
_BITS = range(-8, 31)
_TABLES = ("cfg.run", "linkage.lnk_identity", "linkage.lnk_edge")


@dataclass(frozen=True)
class Threshold:
    """Pairs of the test half at or above a weight (bits), before assignment."""

    weight: int
    probability: float
    tp: int
    fp: int
    fn: int


@dataclass(frozen=True)
class BlindTest:
    """Counts of pairs after assignment, the curve before it, and how often each pattern of levels was seen.

    ``patterns``: (levels of the four comparisons by name) → pairs that are and are not one person's.
    """

    people: int
    tp: int
    fp: int
    fn: int
    queued: int
    curve: tuple[Threshold, ...]
    patterns: tuple[tuple[tuple[str, ...], int, int], ...]

    def as_dict(self) -> dict[str, Any]:
        from kodomo_platform.linkage.evaluation import scores

        return {
            "people": self.people,
            "after_assignment": scores(self.tp, self.fp, self.fn),
            "queued": self.queued,
            "curve": [asdict(point) for point in self.curve],
        }


def label_by_number(con: duckdb.DuckDBPyConnection) -> int:
    """Create temp table ``labels(rid, person, half)`` over ``lnk_prepared``: the register's children and every record
    that a number linked to one; returns how many records are labelled."""
    con.execute(
        f"""
        create or replace temp table labels as
        with numbered as (
            select left_source, left_record, right_source, right_record
            from linkage.lnk_edge where kind = 'number' and outcome = '{LINK}'
        ),
        confirmed as (
            select left_source as source, left_record as source_record_id, right_record as person
            from numbered where right_source = '{REGISTER}'
            union
            select right_source, right_record, left_record from numbered where left_source = '{REGISTER}'
        ),
        known as (
            from confirmed
            union
            select '{REGISTER}', person, person from confirmed
        )
        select p.rid, min(k.person) as person, any_value(hash(k.person) % 2) as half
        from known as k join lnk_prepared as p on p.source = k.source and p.source_record_id = k.source_record_id
        group by p.rid
        """
    )
    (count,) = con.execute("select count(*) from labels").fetchone() or (0,)
    return int(count)


def hidden_numbers(warehouse: Path) -> duckdb.DuckDBPyConnection:
    """A copy in memory of what linking needs, its numbers hidden in ``linkage.blind_identity``; no ids, no decisions."""
    from kodomo_platform.warehouse import connect

    con = connect(":memory:")
    try:
        con.execute(f"attach '{str(warehouse).replace(chr(39), chr(39) * 2)}' as home (read_only)")
        con.execute("create schema cfg; create schema linkage; create schema ops")
        for table in _TABLES:
            con.execute(f"create table {table} as from home.{table}")
    except Exception as error:
        con.close()
        raise LinkageError(
            "this warehouse was not linked yet", where=str(warehouse), action="run the municipality first"
        ) from error
    con.execute("detach home")
    con.execute(
        "create table linkage.blind_identity as select * replace "
        f"(case when source = '{REGISTER}' then resident_number end as resident_number) from linkage.lnk_identity"
    )
    con.execute("create table ops.child_id (source varchar, source_record_id varchar, child_id varchar, number bigint)")
    con.execute(
        "create table ops.review_decision (pair_id varchar, left_source varchar, left_record varchar, "
        "right_source varchar, right_record varchar, decision varchar, decided_by varchar)"
    )
    return con


def blind_test(warehouse: Path, model: LinkageModel) -> BlindTest:
    """Link ``warehouse`` again without numbers and compare with what the numbers said.

    Raises:
        LinkageError: the warehouse was not linked yet.
    """
    con = hidden_numbers(warehouse)
    try:
        edges = link_records(con, model, "linkage.blind_identity").to_pylist()
        pairs = score_everyone(con, model, "linkage.blind_identity")
        label_by_number(con)
        labelled = {
            (source, record): (rid, person, int(half))
            for source, record, rid, person, half in con.execute(
                "select p.source, p.source_record_id, l.rid, l.person, l.half from labels as l "
                "join lnk_prepared as p using (rid)"
            ).fetchall()
        }
        person_of = {rid: (person, half) for rid, person, half in labelled.values()}
        tp, fp, fn = _after_assignment(edges, labelled)
        true_pairs = _pairs_inside(Counter(person for person, half in person_of.values() if half == TEST_HALF))
        scored = []
        for pair in pairs:
            left, right = person_of.get(pair.left + 1), person_of.get(pair.right + 1)
            if left is not None and right is not None and TEST_HALF in (left[1], right[1]):
                scored.append((pair.left + 1, pair.right + 1, pair.weight, left[0] == right[0]))
        patterns = _patterns(con, scored)
    finally:
        con.close()
    return BlindTest(
        people=len({person for person, half in person_of.values() if half == TEST_HALF}),
        tp=tp,
        fp=fp,
        fn=fn,
        queued=sum(edge["outcome"] == REVIEW for edge in edges),
        curve=tuple(_curve([(weight, same) for _, _, weight, same in scored], true_pairs)),
        patterns=patterns,
    )


def _pairs_inside(sizes: Counter[Any]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())


def _after_assignment(
    edges: list[dict[str, Any]], labelled: dict[tuple[str, str], tuple[int, str, int]]
) -> tuple[int, int, int]:
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def find(record: tuple[str, str]) -> tuple[str, str]:
        while (above := parent.get(record, record)) != record:
            record = above
        return record

    for edge in edges:
        if edge["outcome"] == LINK:
            one = find((edge["left_source"], edge["left_record"]))
            two = find((edge["right_source"], edge["right_record"]))
            parent[max(one, two)] = min(one, two)
    clusters: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for record, (_, person, half) in labelled.items():
        clusters[find(record)].append((person, half))
    together, made = Counter[Any](), 0
    for root, members in clusters.items():
        for person, half in members:
            if half == TEST_HALF:
                together[(person, root)] += 1
        # a false pair counts when either of its people is in the test half
        others = sum(half != TEST_HALF for _, half in members)
        made += len(members) * (len(members) - 1) // 2 - others * (others - 1) // 2
    people = Counter(person for _, person, half in labelled.values() if half == TEST_HALF)
    tp = _pairs_inside(together)
    return tp, made - tp, _pairs_inside(people) - tp


def _curve(scored: list[tuple[float, bool]], true_pairs: int) -> list[Threshold]:
    points = []
    for bits in _BITS:
        kept = [same for weight, same in scored if weight >= bits]
        tp = sum(kept)
        points.append(Threshold(bits, 2**bits / (1 + 2**bits), tp, len(kept) - tp, true_pairs - tp))
    return points


def _patterns(
    con: duckdb.DuckDBPyConnection, scored: list[tuple[int, int, float, bool]]
) -> tuple[tuple[tuple[str, ...], int, int], ...]:
    """How often each pattern of evidence was seen, most frequent first: level names alone, no values."""
    import pyarrow as pa

    con.register(
        "blind_pairs",
        pa.table(
            {
                "a": pa.array([row[0] for row in scored], pa.int32()),
                "b": pa.array([row[1] for row in scored], pa.int32()),
                "same": pa.array([row[3] for row in scored], pa.bool_()),
            }
        ),
    )
    read = comparisons(dotted)
    cases = ", ".join(f"{comparison.case_sql()} as {comparison.name}" for comparison in read)
    rows = con.execute(
        f"select {cases}, count(*) filter (where same), count(*) filter (where not same) from blind_pairs as q "
        "join lnk_prepared as l on l.rid = q.a join lnk_prepared as r on r.rid = q.b group by all order by all"
    ).fetchall()
    con.unregister("blind_pairs")
    found = [
        (
            tuple(comparison.level(number).name for comparison, number in zip(read, row, strict=False)),
            int(row[-2]),
            int(row[-1]),
        )
        for row in rows
    ]
    return tuple(sorted(found, key=lambda row: (-(row[1] + row[2]), row[0])))
