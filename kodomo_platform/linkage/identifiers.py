"""Which id a linked child bears: the one it had, or a new one that says nothing about it.

How records are linked is `engine`'s business; what was given out is kept by `kodomo_platform.operations`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.preparation import ADULT_AGE, REGISTER, SOURCE_ORDER

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from kodomo_platform.operations import SaveReport

_ID_CHARACTERS = 16  # 80 bits


def opaque(key: str, purpose: str, text: str) -> str:
    """A keyed hash of ``text`` in 16 letters and digits: without the installation's secret nothing follows from it."""
    digest = hashlib.blake2b(f"{purpose}\x1f{text}".encode(), key=bytes.fromhex(key), digest_size=20).digest()
    return base64.b32encode(digest).decode().lower()[:_ID_CHARACTERS]


def child_id_of(key: str, number: int) -> str:
    """The id with place ``number`` in this municipality's counter."""
    return "c" + opaque(key, "child", str(number))


def load_known_ids(con: duckdb.DuckDBPyConnection, code: str) -> int:
    """Copy ids, former ids, decisions, the id counter and the approved linkage model of ``code`` into schema ``ops``;
    call before dbt.

    Returns:
        How many records bear an id already.
    """
    from kodomo_platform import operations

    con.execute("create schema if not exists ops")
    known = operations.known_child_ids(code)
    con.register("known_ids", known)
    con.execute("create or replace table ops.child_id as select * from known_ids")
    con.unregister("known_ids")
    con.execute(
        "create or replace table ops.former_child_id "
        "(source varchar, source_record_id varchar, child_id varchar, number bigint)"
    )
    former = operations.former_child_ids(code)
    if former:
        con.executemany("insert into ops.former_child_id values (?, ?, ?, ?)", [list(row) for row in former])
    con.execute(
        "create or replace table ops.review_decision (pair_id varchar, left_source varchar, left_record varchar, "
        "right_source varchar, right_record varchar, decision varchar, decided_by varchar)"
    )
    decisions = [[d.pair_id, *d.left, *d.right, d.decision, d.by] for d in operations.review_decisions(code)]
    if decisions:
        con.executemany("insert into ops.review_decision values (?, ?, ?, ?, ?, ?, ?)", decisions)
    state = operations.id_state(code)
    con.execute("create or replace table ops.id_state (municipality varchar, key varchar, next_number bigint)")
    con.execute("insert into ops.id_state values (?, ?, ?)", [code, state.key, state.next_number])
    _load_model(con, code)
    return int(known.num_rows)


def _load_model(con: duckdb.DuckDBPyConnection, code: str) -> None:
    """Put the approved linkage model where the linking step (another process, without the operations database) finds
    it; an empty table says that none is approved and the shipped model links."""
    from kodomo_platform.linkage.registry import approved_model

    con.execute("create or replace table ops.linkage_model (version varchar, sha256 varchar, text varchar)")
    model = approved_model(code)
    if model is not None:
        con.execute("insert into ops.linkage_model values (?, ?, ?)", [model.version, model.sha256, model.text])


def name_clusters(
    con: duckdb.DuckDBPyConnection, edges: str = "linkage.lnk_edge", identity: str = "linkage.lnk_identity"
) -> pa.Table:
    """One row per identity record: its cluster, child id (NULL for adults), method, household, provenance."""
    import pyarrow as pa

    order = " ".join(f"when '{source}' then {place}" for place, source in enumerate(SOURCE_ORDER))
    rows = con.execute(
        f"""
        with run as (select max(as_of_date) as as_of from cfg.run),
        -- who is not in the register but lives, by guardian and address, with one household of it, belongs there
        homes as (
            select name_match, address_town, address_block, any_value(household_number) as household_number
            from {identity}
            where source = '{REGISTER}' and household_number <> '' and left_on is null
                and name_match is not null and address_block is not null
            group by all having count(distinct household_number) = 1
        ),
        phoned as (
            -- a household outside the register: guardian and address, else phone, else surname and address
            select i.* replace (coalesce(nullif(i.household_number, ''), h.household_number) as household_number),
                case
                    when i.guardian_match is not null and i.address_block is not null
                        then 'g' || i.guardian_match || '|' || coalesce(i.address_town, '') || '|' || i.address_block
                    when i.phone_match is not null then 'p' || i.phone_match
                    when i.surname_match is not null and i.address_block is not null
                        then 's' || i.surname_match || '|' || coalesce(i.address_town, '') || '|' || i.address_block
                end as household_text
            from {identity} as i
            left join homes as h on i.source <> '{REGISTER}' and h.name_match = i.guardian_match
                and h.address_town is not distinct from i.address_town and h.address_block = i.address_block
        )
        select p.source, p.source_record_id, nullif(p.household_number, '') as household_number, p.household_text,
            p.source <> '{REGISTER}' or case
                when coalesce(p.birth_date__latest, p.birth_date) is null
                    then coalesce(p.relationship in ('child', 'grandchild'), false)
                else coalesce(p.birth_date__latest, p.birth_date) > run.as_of - interval {ADULT_AGE} year
            end as is_young,
            p.relationship, k.child_id, k.number, f.child_id, f.number,
            p._extract_date, p._source_file_sha256, p._row_number
        from phoned as p cross join run
        left join ops.child_id as k on k.source = p.source and k.source_record_id = p.source_record_id
        left join ops.former_child_id as f on f.source = p.source and f.source_record_id = p.source_record_id
        order by case p.source {order} else 99 end, p.source, p.source_record_id
        """
    ).fetchall()
    place_of = {(row[0], row[1]): place for place, row in enumerate(rows)}
    parent = list(range(len(rows)))

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    best: dict[int, tuple[float, str]] = {}
    for left_source, left_record, right_source, right_record, kind, probability in con.execute(
        f"select left_source, left_record, right_source, right_record, kind, probability from {edges} "
        "where outcome = 'link' order by probability desc, pair_id"
    ).fetchall():
        left, right = place_of[(left_source, left_record)], place_of[(right_source, right_record)]
        one, two = sorted((find(left), find(right)))
        parent[two] = one
        for node in (left, right):
            best.setdefault(node, (float(probability), "exact" if kind == "register_return" else str(kind)))

    members: dict[int, list[int]] = defaultdict(list)
    for place in range(len(rows)):
        members[find(place)].append(place)
    key, next_number = con.execute("select key, next_number from ops.id_state").fetchone() or ("00", 1)
    ids = _ids(rows, members, str(key), int(next_number))

    output: dict[str, list[Any]] = defaultdict(list)
    for root, places in members.items():
        child = ids.get(root)
        household = next((("n" + rows[p][2]) for p in places if rows[p][2]), None)
        household = household or next((rows[p][3] for p in places if rows[p][3]), None)
        household = household or f"r{rows[root][0]}|{rows[root][1]}"
        household_id = "h" + opaque(str(key), "household", household)
        for place in places:
            row = rows[place]
            if place == root:
                # the record that lends the cluster its place: known by its own number, or new
                method, probability = ("number", 1.0) if row[0] == REGISTER else ("new", 1.0)
            else:
                probability, method = best.get(place, (1.0, "new"))
            output["source"].append(row[0])
            output["source_record_id"].append(row[1])
            output["cluster_source"].append(rows[root][0])
            output["cluster_record"].append(rows[root][1])
            output["child_id"].append(None if child is None else child[0])
            output["child_number"].append(None if child is None else child[1])
            output["match_method"].append(method)
            output["match_probability"].append(probability)
            output["household_id"].append(household_id)
            output["relationship"].append(row[5])
            output["source_extract_date"].append(row[10])
            output["source_file_sha256"].append(row[11])
            output["source_row_number"].append(row[12])
    types = {
        "source": pa.string(),
        "source_record_id": pa.string(),
        "cluster_source": pa.string(),
        "cluster_record": pa.string(),
        "child_id": pa.string(),
        "child_number": pa.int64(),
        "match_method": pa.string(),
        "match_probability": pa.float64(),
        "household_id": pa.string(),
        "relationship": pa.string(),
        "source_extract_date": pa.date32(),
        "source_file_sha256": pa.string(),
        "source_row_number": pa.int64(),
    }
    return pa.table({name: pa.array(output[name], kind) for name, kind in types.items()}).sort_by(
        [("source", "ascending"), ("source_record_id", "ascending")]
    )


def _ids(
    rows: Sequence[tuple[Any, ...]], members: dict[int, list[int]], key: str, next_number: int
) -> dict[int, tuple[str, int]]:
    """Cluster root → (child id, number). Clusters of adults alone have none.

    An id that stood on several clusters stays where the register's record is, else where most of its records are. A
    cluster that holds several ids keeps the oldest. A part that was merged before gets its former id back.
    """
    held: dict[tuple[int, str], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    former: dict[tuple[int, str], set[int]] = defaultdict(set)
    wanted = []
    for root, places in members.items():
        if not any(rows[place][4] for place in places):
            continue
        wanted.append(root)
        for place in places:
            if rows[place][6] is not None:
                weight = 1_000 if rows[place][0] == REGISTER else 1
                held[(int(rows[place][7]), rows[place][6])][root] += weight
            if rows[place][8] is not None:
                former[(int(rows[place][9]), rows[place][8])].add(root)
    owner: dict[int, tuple[str, int]] = {}
    for (number, child), roots in sorted(held.items()):
        root = min(roots, key=lambda r: (-roots[r], r))
        owner.setdefault(root, (child, number))
    used = {child for child, _ in owner.values()}
    for (number, child), candidates in sorted(former.items()):
        free = sorted(root for root in candidates if root not in owner)
        if free and child not in used:
            owner[free[0]] = (child, number)
            used.add(child)
    for root in sorted(wanted):
        if root not in owner:
            owner[root] = (child_id_of(key, next_number), next_number)
            next_number += 1
    return owner


def save_ids(con: duckdb.DuckDBPyConnection, code: str, as_of: date, run_id: str) -> SaveReport:
    """Write ids that are new, records that moved, and merges, splits and corrections; call after dbt.

    Idempotent: a second call with the same warehouse changes nothing.
    """
    from kodomo_platform import operations
    from kodomo_platform.operations import NewChild, NewEvent

    state = con.execute("select municipality, next_number from ops.id_state").fetchone()
    if state is None or state[0] != code:
        raise LinkageError(
            "the warehouse was not linked for this municipality",
            where=f"municipality {code}",
            action="run the linkage (load_known_ids, then dbt) before saving its ids",
        )
    children = [
        NewChild(child, int(number))
        for child, number in con.execute(
            "select distinct child_id, child_number from linkage.lnk_cluster "
            "where child_number >= ? order by child_number",
            [state[1]],
        ).fetchall()
    ]
    records = con.execute(
        """
        select c.source, c.source_record_id, c.child_id
        from linkage.lnk_cluster as c
        left join ops.child_id as k on k.source = c.source and k.source_record_id = c.source_record_id
        where c.child_id is not null and c.child_id is distinct from k.child_id
        order by c.source, c.source_record_id
        """
    ).fetchall()
    moved = con.execute(
        """
        select k.child_id, c.child_id, c.source, c.source_record_id, c.match_method,
            k.child_id in (select child_id from linkage.lnk_cluster where child_id is not null),
            c.child_id in (select child_id from ops.child_id)
        from linkage.lnk_cluster as c
        join ops.child_id as k on k.source = c.source and k.source_record_id = c.source_record_id
        where c.child_id is not null and c.child_id <> k.child_id
        order by k.child_id, c.child_id, c.source, c.source_record_id
        """
    ).fetchall()
    grouped: dict[tuple[str, str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for before, after, source, record, method, before_lives, after_was_known in moved:
        kind = "corrected" if before_lives and after_was_known else "split" if before_lives else "merged"
        grouped[(kind, before, after)].append((source, record, method))
    deciders = _deciders(con)
    events = []
    for (kind, before, after), entries in grouped.items():
        people = sorted({who for source, record, _ in entries for who in deciders.get((source, record), ())})
        methods = ", ".join(sorted({method for _, _, method in entries}))
        events.append(
            NewEvent(
                kind=kind,
                # a merge is told from the id that stays, a split and a correction from the id that loses records
                child_id=after if kind == "merged" else before,
                other_child_id=before if kind == "merged" else after,
                reason="decided in review" if people else f"records linked anew ({methods})",
                records=[(source, record) for source, record, _ in entries],
                actor=", ".join(people) or "linkage",
            )
        )
    return operations.save_child_ids(code, as_of, run_id, children, records, events)


def _deciders(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for left_source, left_record, right_source, right_record, who in con.execute(
        "select left_source, left_record, right_source, right_record, decided_by from ops.review_decision"
    ).fetchall():
        found[(left_source, left_record)].add(who)
        found[(right_source, right_record)].add(who)
    return found
