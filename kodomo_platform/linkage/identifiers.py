"""Which id a linked child bears: the one it had, or a new one that says nothing about it.

How records are linked is `engine`'s business; what was given out is kept by `kodomo_platform.operations`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.consent import asks_consent
from kodomo_platform.linkage.preparation import ADULT_AGE, REGISTER, SOURCE_ORDER

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from kodomo_platform.operations import SaveReport

_ID_BYTES = 10
_ID_CHARACTERS = _ID_BYTES * 8 // 5


def opaque(key: str, purpose: str, text: str) -> str:
    """A keyed hash of ``text`` in 16 letters and digits: without the installation's secret nothing follows from it."""
    return _opaque_all(key, purpose, [text])[0]


def _opaque_all(key: str, purpose: str, texts: Iterable[str]) -> list[str]:
    """`opaque` of each text: the key is taken in once, and all hashes are spelled in one go."""
    start = hashlib.blake2b(f"{purpose}\x1f".encode(), key=bytes.fromhex(key), digest_size=20)
    digests = []
    for text in texts:
        one = start.copy()
        one.update(text.encode())
        digests.append(one.digest()[:_ID_BYTES])
    # ten bytes are sixteen letters without padding, so the letters of all stand in one row
    letters = base64.b32encode(b"".join(digests)).decode().lower()
    return [letters[at : at + _ID_CHARACTERS] for at in range(0, len(letters), _ID_CHARACTERS)]


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
    key, next_number = con.execute("select key, next_number from ops.id_state").fetchone() or ("00", 1)
    _place_records(con, identity)
    _join_links(con, edges)
    if asks_consent(con):
        # whom no open record of the register stands for is nobody's child here: no id, neither kept nor new
        con.execute(
            "update lnk_place set is_young = false, held_id = null, held_number = null, former_id = null, "
            "former_number = null where place in (select j.place from lnk_joined as j join lnk_place as r "
            f"on r.place = j.root where r.source <> '{REGISTER}')"
        )
    _own_ids(con, str(key), int(next_number))
    _name_households(con, str(key))
    table = con.execute(
        f"""
        with best as (
            -- of a record's links the likeliest tells how it was found
            select place, probability, kind
            from lnk_link
            qualify row_number() over (partition by place order by probability desc, pair_id) = 1
        )
        select p.source, p.source_record_id, r.source as cluster_source, r.source_record_id as cluster_record,
            o.child_id, o.number as child_number,
            case
                -- the record that lends the cluster its place: known by its own number, or new
                when p.place = c.root then if(p.source = '{REGISTER}', 'number', 'new')
                when b.kind = 'register_return' then 'exact'
                else coalesce(b.kind, 'new')
            end as match_method,
            cast(if(p.place = c.root, 1.0, coalesce(b.probability, 1.0)) as double) as match_probability,
            h.household_id, cast(p.relationship as varchar) as relationship,
            cast(p._extract_date as date) as source_extract_date, p._source_file_sha256 as source_file_sha256,
            cast(p._row_number as bigint) as source_row_number
        from lnk_place as p
        join lnk_joined as c on c.place = p.place
        join lnk_place as r on r.place = c.root
        join lnk_home as h on h.root = c.root
        left join lnk_owner as o on o.root = c.root
        left join best as b on b.place = p.place
        order by p.source, p.source_record_id
        """
    ).to_arrow_table()
    for name in ("lnk_place", "lnk_link", "lnk_joined", "lnk_owner", "lnk_home"):
        con.execute(f"drop table {name}")
    return table


def _place_records(con: duckdb.DuckDBPyConnection, identity: str) -> None:
    """Temporary table ``lnk_place``: every record with its place in the order of sources, what its household is told by,
    whether it may be a child's, and the id it bears or bore."""
    order = " ".join(f"when '{source}' then {place}" for place, source in enumerate(SOURCE_ORDER))
    con.execute(
        f"""
        create or replace temp table lnk_place as
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
            -- a condition on one side alone would make this a nested loop over every home
            left join homes as h on h.name_match = case when i.source <> '{REGISTER}' then i.guardian_match end
                and h.address_town is not distinct from i.address_town and h.address_block = i.address_block
        )
        select cast(row_number() over (order by case p.source {order} else 99 end, p.source, p.source_record_id) - 1
                as integer) as place,
            p.source, p.source_record_id, nullif(p.household_number, '') as household_number, p.household_text,
            p.source <> '{REGISTER}' or case
                when coalesce(p.birth_date__latest, p.birth_date) is null
                    then coalesce(p.relationship in ('child', 'grandchild'), false)
                else coalesce(p.birth_date__latest, p.birth_date) > run.as_of - interval {ADULT_AGE} year
            end as is_young,
            p.relationship, k.child_id as held_id, k.number as held_number, f.child_id as former_id,
            f.number as former_number, p._extract_date, p._source_file_sha256, p._row_number
        from phoned as p cross join run
        left join ops.child_id as k on k.source = p.source and k.source_record_id = p.source_record_id
        left join ops.former_child_id as f on f.source = p.source and f.source_record_id = p.source_record_id
        order by place
        """
    )


def _join_links(con: duckdb.DuckDBPyConnection, edges: str) -> None:
    """Temporary tables ``lnk_link`` (every link from both its ends) and ``lnk_joined``: each record's cluster, told by the
    first place in it."""
    con.execute(
        f"""
        create or replace temp table lnk_link as
        with placed as (
            select l.place as one, r.place as two, e.kind, e.probability, e.pair_id
            from {edges} as e
            join lnk_place as l on l.source = e.left_source and l.source_record_id = e.left_record
            join lnk_place as r on r.source = e.right_source and r.source_record_id = e.right_record
            where e.outcome = 'link'
        )
        select one as place, two as other, kind, probability, pair_id from placed
        union all
        select two, one, kind, probability, pair_id from placed
        """
    )
    con.execute("create or replace temp table lnk_joined as select place, place as root from lnk_place")
    moved = 1
    while moved:
        # the first place among the neighbours' roots, then that one's own: the way to the root halves with every round
        con.execute(
            """
            create or replace temp table lnk_nearer as
            with near as (
                select k.place, min(o.root) as root
                from lnk_link as k join lnk_joined as o on o.place = k.other
                group by k.place
            )
            select j.place, least(j.root, n.root) as root from lnk_joined as j left join near as n on n.place = j.place
            """
        )
        con.execute(
            "create or replace temp table lnk_nearest as "
            "select n.place, up.root from lnk_nearer as n join lnk_nearer as up on up.place = n.root"
        )
        (moved,) = con.execute(
            "select count(*) from lnk_nearest as n join lnk_joined as j on j.place = n.place where n.root <> j.root"
        ).fetchone() or (0,)
        con.execute("create or replace temp table lnk_joined as from lnk_nearest")
    con.execute("drop table lnk_nearer; drop table lnk_nearest")


def _own_ids(con: duckdb.DuckDBPyConnection, key: str, next_number: int) -> None:
    """Temporary table ``lnk_owner``: cluster root → child id and number. Clusters of adults alone have none.

    An id that stood on several clusters stays where the register's record is, else where most of its records are. A
    cluster that holds several ids keeps the oldest. A part that was merged before gets its former id back.
    """
    con.execute(
        f"""
        create or replace temp table lnk_owner as
        with wanted as (
            select c.root from lnk_joined as c join lnk_place as p on p.place = c.place
            group by c.root having bool_or(p.is_young)
        ),
        held as (
            select p.held_number as number, p.held_id as child_id, c.root,
                sum(if(p.source = '{REGISTER}', 1000, 1)) as weight
            from lnk_place as p join lnk_joined as c on c.place = p.place
            where p.held_id is not null
            group by all
        ),
        kept as (
            select h.* from held as h semi join wanted as w on w.root = h.root
            qualify row_number() over (partition by h.number, h.child_id order by h.weight desc, h.root) = 1
        )
        select root, child_id, number from kept
        qualify row_number() over (partition by root order by number, child_id) = 1
        """
    )
    _give_back(con)
    new = con.execute(
        """
        select c.root from lnk_joined as c join lnk_place as p on p.place = c.place
        anti join lnk_owner as o on o.root = c.root
        group by c.root having bool_or(p.is_young)
        order by c.root
        """
    ).to_arrow_table()
    numbers = range(next_number, next_number + new.num_rows)
    ids = _opaque_all(key, "child", map(str, numbers))
    _insert(con, "lnk_owner", {"root": new["root"], "child_id": ["c" + text for text in ids], "number": numbers})


def _give_back(con: duckdb.DuckDBPyConnection) -> None:
    """Former ids that nobody bears go, the oldest first, to the first cluster without an id that holds a record of theirs.

    One by one, for each gift takes a cluster from the next; there are only as many as merges came undone.
    """
    candidates = con.execute(
        """
        select distinct p.former_number, p.former_id, c.root
        from lnk_place as p join lnk_joined as c on c.place = p.place
        anti join lnk_owner as o on o.root = c.root
        anti join lnk_owner as used on used.child_id = p.former_id
        where p.former_id is not null
            and c.root in (
                select j.root from lnk_joined as j join lnk_place as y on y.place = j.place group by j.root
                having bool_or(y.is_young)
            )
        order by 1, 2, 3
        """
    ).fetchall()
    given: dict[int, tuple[str, int]] = {}
    used: set[str] = set()
    for number, child, root in candidates:
        if root not in given and child not in used:
            given[root] = (child, number)
            used.add(child)
    if given:
        children, numbers = zip(*given.values(), strict=True)
        _insert(con, "lnk_owner", {"root": list(given), "child_id": children, "number": numbers})


def _name_households(con: duckdb.DuckDBPyConnection, key: str) -> None:
    """Temporary table ``lnk_home``: cluster root → household id, from the first record that tells its household."""
    con.execute(
        """
        create or replace temp table lnk_home as
        with told as (
            select c.root,
                arg_min(p.household_number, p.place) filter (where p.household_number is not null) as number,
                arg_min(p.household_text, p.place) filter (where p.household_text is not null) as text
            from lnk_joined as c join lnk_place as p on p.place = c.place
            group by c.root
        )
        select t.root, coalesce('n' || t.number, t.text, 'r' || r.source || '|' || r.source_record_id) as household
        from told as t join lnk_place as r on r.place = t.root
        """
    )
    texts = con.execute("select distinct household from lnk_home").to_arrow_table()["household"]
    ids = ["h" + text for text in _opaque_all(key, "household", texts.to_pylist())]
    con.execute("create or replace temp table lnk_household_name (household varchar, household_id varchar)")
    _insert(con, "lnk_household_name", {"household": texts, "household_id": ids})
    con.execute(
        "create or replace temp table lnk_home as "
        "select h.root, n.household_id from lnk_home as h join lnk_household_name as n using (household)"
    )
    con.execute("drop table lnk_household_name")


def _insert(con: duckdb.DuckDBPyConnection, table: str, columns: dict[str, Any]) -> None:
    import pyarrow as pa

    con.register("lnk_incoming", pa.table(columns))
    con.execute(f"insert into {table} by name from lnk_incoming")
    con.unregister("lnk_incoming")


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
    act = operations.by_pipeline("records linked", run_id, purpose="linkage")
    return operations.save_child_ids(code, as_of, act, children, records, events)


def _deciders(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for left_source, left_record, right_source, right_record, who in con.execute(
        "select left_source, left_record, right_source, right_record, decided_by from ops.review_decision"
    ).fetchall():
        found[(left_source, left_record)].add(who)
        found[(right_source, right_record)].add(who)
    return found
