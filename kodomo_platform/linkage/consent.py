"""Consent before linking: which pairs of records may be compared at all, and which clusters may become a child.

Where consent is the ground (rule ``opt_in``), a record without a number may meet an open child of the register and
nobody else: two offices' records of a child without consent are never joined. What the ledger says of a number stands
in ``linkage.lnk_consent``; what is then dropped from a linked child's records is the crosswalk's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kodomo_platform.linkage.preparation import REGISTER

if TYPE_CHECKING:
    import duckdb


def asks_consent(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether the register itself is open only by consent. A warehouse without ``cfg.consent`` (made by hand) has no rule."""
    there = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'cfg' and table_name = 'consent'"
    ).fetchone()
    if there == (0,):
        return False
    row = con.execute("select rule = 'opt_in' and list_contains(covered, 'resident') from cfg.consent").fetchone()
    return row is not None and bool(row[0])


def drop_closed_pairs(con: duckdb.DuckDBPyConnection) -> int:
    """Delete from ``lnk_pair`` what consent does not open: pairs without a record of the register, and an office's record
    with a child whose consent leaves that office's domain out. Returns how many went. Nothing to do without ``opt_in``.
    """
    if not asks_consent(con):
        return 0
    before = con.execute("select count(*) from lnk_pair").fetchone()
    con.execute(
        f"""
        delete from lnk_pair using lnk_prepared as l, lnk_prepared as r
        where l.rid = lnk_pair.a and r.rid = lnk_pair.b and not exists (
            select 1
            from (
                select
                    case when l.source = '{REGISTER}' then l.source_record_id else r.source_record_id end as number,
                    split_part(case when l.source = '{REGISTER}' then r.source else l.source end, '.', 1) as domain
                where l.source = '{REGISTER}' or r.source = '{REGISTER}'
            ) as asked
            inner join linkage.lnk_consent as c on c.source_record_id = asked.number
            where list_contains(c.open_domains, asked.domain)
                or len(list_filter(c.open_items, lambda item: starts_with(item, asked.domain || '.'))) > 0
        )
        """
    )
    after = con.execute("select count(*) from lnk_pair").fetchone()
    assert before is not None
    assert after is not None
    return int(before[0]) - int(after[0])
