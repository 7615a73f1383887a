"""An order of children that is the same in every installation that linked the same records.

Child ids are made from an installation's secret. Ordered or split by them, the same extracts would give other folds, other
models and other scores in another home. The number in which a child was first linked is no secret and stays with them.
"""

from __future__ import annotations

import duckdb

from kodomo_platform.warehouse import table_exists

VIEW = "stable_child"


def make_stable_order(con: duckdb.DuckDBPyConnection) -> None:
    """Make the view ``stable_child`` (stable_id, position): one row a child that was linked here, none where none was.

    A child without a row (marts made by hand) is ordered by their id.
    """
    source = (
        "select child_id as stable_id, min(child_number) as position from linkage.lnk_cluster where child_id is not null group by child_id"
        if table_exists(con, "linkage.lnk_cluster")
        else "select null::varchar as stable_id, null::bigint as position where false"
    )
    con.execute(f"create or replace temp view {VIEW} as {source}")
