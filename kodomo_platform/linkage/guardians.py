"""Guardians (保護者) as persons: who stands behind which child, and in which household.

Two kinds of evidence, kept apart. The register says who lives with a child as head or spouse of the household whose child
it is (and, for a grandchild of the head, which adult child of the head does). A source names a guardian beside a child.
Neither proves parental authority (親権): separated parents share it, a step-parent has none; so several guardians per
child, in one household or two, are the normal case and nobody is left out.

A named guardian is taken for a person of the register only when it is surely one: the name in the child's own household
(a surname the child or the adult bore before counts), or at the address that the naming record tells, or the only adult
of that name where the child bears, or bore, the surname. Everybody else is a person of their own. The id of a person of
the register hangs on the record number there, that of another on household and name: neither changes with a rerun, and
neither can be turned back.

Guardians are not asked about in `review`, by design. A decision there says whether two records are one child, and moves the
child's records; a guardian's link moves nothing: no feature, score or child id reads it, it is shown beside the child with
what it rests on (``match``), and what is not sure is left apart (two adults of one name in a household). Whoever sees a
wrong one has the source's or the register's line corrected, and the next run follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kodomo_platform.linkage.identifiers import opaque
from kodomo_platform.linkage.preparation import REGISTER

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# nobody younger than this at a child's birth is taken for its parent
LEAST_YEARS_OLDER = 14


def link_guardians(
    con: duckdb.DuckDBPyConnection,
    clusters: str = "linkage.lnk_cluster",
    identity: str = "linkage.lnk_identity",
) -> pa.Table:
    """One row per child and guardian.

    Columns: child_id, guardian_id, basis (register, named, register_and_named), match (household, former_surname,
    address, only_one, none: how a named guardian was found in the register), in_register, register_record, relationship
    (to the head of their own household), household_id (NULL where unknown), lives_with_child (NULL where unknown),
    named_by (records of the child that name them), sources (of those records).
    """
    import pyarrow as pa

    state = con.execute("select key from ops.id_state").fetchone() or ("00",)
    rows = con.execute(_sql(clusters, identity)).fetchall()
    names = (
        "child_id", "person_key", "basis", "match", "in_register", "register_record", "relationship", "household_id",
        "lives_with_child", "named_by", "sources",
    )  # fmt: skip
    columns = dict(zip(names, zip(*rows, strict=True) if rows else ((),) * len(names), strict=True))
    ids = {key: "g" + opaque(str(state[0]), "guardian", key) for key in set(columns["person_key"])}
    types = {
        "child_id": pa.string(),
        "guardian_id": pa.string(),
        "basis": pa.string(),
        "match": pa.string(),
        "in_register": pa.bool_(),
        "register_record": pa.string(),
        "relationship": pa.string(),
        "household_id": pa.string(),
        "lives_with_child": pa.bool_(),
        "named_by": pa.int32(),
        "sources": pa.string(),
    }
    columns["guardian_id"] = tuple(ids[key] for key in columns.pop("person_key"))
    return pa.table({name: pa.array(columns[name], kind) for name, kind in types.items()}).sort_by(
        [("child_id", "ascending"), ("guardian_id", "ascending")]
    )


def of_child(con: duckdb.DuckDBPyConnection, child_id: str) -> tuple[str, list[dict[str, Any]]] | None:
    """Household id and guardians (rows of `link_guardians`) of a child of the last run; None: no such child."""
    household = con.execute("select household_id from linkage.lnk_household where child_id = ?", [child_id]).fetchone()
    if household is None:
        return None
    found = con.execute("select * from linkage.lnk_guardian where child_id = ? order by guardian_id", [child_id])
    names = [column[0] for column in found.description or []]
    return str(household[0]), [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def _sql(clusters: str, identity: str) -> str:
    older = f"(a.birth_date is null or h.birth_date is null or a.birth_date <= h.birth_date - interval {LEAST_YEARS_OLDER} year)"
    return f"""
    with people as (
        select i.*, c.child_id, c.household_id
        from {identity} as i join {clusters} as c using (source, source_record_id)
    ),
    register as (select * from people where source = '{REGISTER}'),
    -- where a child lives: of several register records the one that still holds
    homes as (
        select child_id, household_number, household_id, relationship, birth_date, source_record_id
        from register where child_id is not null
        qualify row_number() over (
            partition by child_id order by left_on is not null, became_resident_on desc nulls last, source_record_id
        ) = 1
    ),
    surnames as (
        select child_id, surname_match as surname from people where child_id is not null and surname_match is not null
        union
        select child_id, former_surname_match from people where child_id is not null and former_surname_match is not null
    ),
    children as (
        select p.child_id, h.household_number, h.relationship, h.source_record_id,
            coalesce(h.birth_date, min(p.birth_date)) as birth_date,
            coalesce(h.household_id, min_by(p.household_id, (p.source, p.source_record_id))) as household_id
        from people as p left join homes as h using (child_id)
        where p.child_id is not null
        group by p.child_id, h.household_number, h.relationship, h.source_record_id, h.birth_date, h.household_id
    ),
    living_with as (
        select h.child_id, a.source_record_id as adult
        from children as h
        join register as a on a.household_number = h.household_number and a.source_record_id <> h.source_record_id
        where a.left_on is null and {older}
            and ((h.relationship = 'child' and a.relationship in ('head', 'spouse'))
                or (h.relationship = 'grandchild' and a.relationship = 'child'))
    ),
    named as (
        select p.child_id, p.source, p.source_record_id, p.guardian_match, p.guardian_kana_match,
            p.address_town, p.address_block, coalesce(p.guardian_match, p.guardian_kana_match) as guardian
        from people as p
        where p.child_id is not null and coalesce(p.guardian_match, p.guardian_kana_match) is not null
    ),
    wanted as (select distinct child_id, guardian_match, guardian_kana_match, guardian from named),
    -- candidates of the register, the surest kind of finding first
    by_household as (
        select w.child_id, w.guardian, a.source_record_id as adult,
            case when a.name_match = w.guardian_match or a.kana_match = w.guardian_kana_match
                then 1 else 2 end as rung
        from wanted as w
        join children as h using (child_id)
        join register as a on a.household_number = h.household_number and a.source_record_id <> h.source_record_id
        where {older} and (
            a.name_match = w.guardian_match or a.kana_match = w.guardian_kana_match
            or a.former_surname_match || a.given_match = w.guardian_match
            or exists (
                select 1 from surnames as s
                where s.child_id = w.child_id and s.surname || a.given_match = w.guardian_match
            )
        )
    ),
    by_address as (
        select n.child_id, n.guardian, a.source_record_id as adult, 3 as rung
        from named as n
        join children as h using (child_id)
        join register as a on a.name_match = n.guardian_match
            and a.address_town is not distinct from n.address_town and a.address_block = n.address_block
        where {older} and a.left_on is null
    ),
    namesakes as (
        select name_match, count(*) as n from register where left_on is null and name_match is not null group by name_match
    ),
    by_name as (
        select w.child_id, w.guardian, a.source_record_id as adult, 4 as rung
        from wanted as w
        join children as h using (child_id)
        join register as a on a.name_match = w.guardian_match
        join namesakes as k on k.name_match = a.name_match and k.n = 1
        join surnames as s on s.child_id = w.child_id and s.surname = a.surname_match
        where {older} and a.left_on is null
    ),
    found as (
        select child_id, guardian, adult, min(rung) as rung
        from (from by_household union all from by_address union all from by_name) group by all
    ),
    -- two of one name on the surest rung: nobody knows which
    sure as (
        select child_id, guardian, any_value(adult) as adult, min(rung) as rung
        from (select * from found qualify rung = min(rung) over (partition by child_id, guardian))
        group by child_id, guardian having count(distinct adult) = 1
    ),
    evidence as (
        select child_id, 'r|' || adult as person_key, adult, 0 as rung, cast(null as varchar) as source,
            cast(null as varchar) as record
        from living_with
        union all
        select n.child_id, coalesce('r|' || s.adult, 'n|' || h.household_id || '|' || n.guardian),
            s.adult, coalesce(s.rung, 9), n.source, n.source_record_id
        from named as n
        join children as h using (child_id)
        left join sure as s on s.child_id = n.child_id and s.guardian = n.guardian
    ),
    final as (
        select e.child_id, e.person_key,
            case
                when bool_or(e.rung = 0) and bool_or(e.rung > 0) then 'register_and_named'
                when bool_or(e.rung = 0) then 'register' else 'named'
            end as basis,
            case min(nullif(e.rung, 0))
                when 1 then 'household' when 2 then 'former_surname' when 3 then 'address' when 4 then 'only_one'
                when 9 then 'none' else 'household'
            end as match,
            any_value(e.adult) as adult,
            count(distinct e.source || '|' || e.record) as named_by,
            string_agg(distinct e.source, '|' order by e.source) as sources
        from evidence as e group by e.child_id, e.person_key
    )
    select f.child_id, f.person_key, f.basis, f.match, f.adult is not null, f.adult, a.relationship, a.household_id,
        case when f.adult is not null and h.household_number is not null
            then coalesce(a.household_number = h.household_number and a.left_on is null, false) end,
        f.named_by::integer, coalesce(f.sources, '')
    from final as f
    join children as h using (child_id)
    left join register as a on a.source_record_id = f.adult
    order by f.child_id, f.person_key
    """
