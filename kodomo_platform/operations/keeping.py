"""Rows of warehouse tables that no run could make again: kept here, and put back into a warehouse that lost them.

The warehouse table stays what rooms read and write; after a change it is kept, before a use it is put back where it is
missing. So a warehouse may be thrown away at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append

if TYPE_CHECKING:
    import duckdb


def _there(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    schema, _, name = table.partition(".")
    (count,) = con.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?", [schema, name]
    ).fetchone() or (0,)
    return bool(count)


def keep_rows(
    con: duckdb.DuckDBPyConnection, code: str, table: str, act: Act, *, by: str | None = None, key: str = ""
) -> int:
    """Keep the rows of ``table`` (those whose column ``by`` is ``key``; all without ``by``) in place of those kept before.

    Returns:
        How many; 0 also where the warehouse has no such table.
    """
    if not _there(con, table):
        return 0
    condition, given = (f" where {by} = ?", [key]) if by else ("", [])
    read = con.execute(f"select columns(*)::varchar from {table}{condition} order by all", given)
    columns = [column[0] for column in read.description or ()]
    rows = [list(row) for row in read.fetchall()]
    with database.transaction():
        from kodomo_platform.operations import models

        database.municipality_row(code)
        row = models.KeptRows.objects.filter(municipality_id=code, table=table, key=key).first()
        if row is not None and (row.columns, row.rows) == (columns, rows):
            return len(rows)
        models.KeptRows.objects.update_or_create(
            municipality_id=code, table=table, key=key, defaults={"columns": columns, "rows": rows}
        )
        append(act, "rows kept", f"{table} {key}".strip(), municipality=code, detail=f"rows {len(rows)}")
    return len(rows)


def put_back(con: duckdb.DuckDBPyConnection, code: str, table: str, ddl: str) -> int:
    """Make ``table`` by ``ddl`` where the warehouse lacks it, and fill it with what was kept; how many rows."""
    if _there(con, table) or not database.exists():
        return 0
    database.ready()
    from kodomo_platform.operations import models

    kept = list(models.KeptRows.objects.filter(municipality_id=code, table=table).order_by("kept_at", "pk"))
    if not kept:
        return 0
    import pyarrow as pa

    con.execute(f"create schema if not exists {table.partition('.')[0]}")
    con.execute(ddl)
    count = 0
    for part in kept:
        if not part.rows:
            continue
        columns = list(zip(*part.rows, strict=True))
        arrow = pa.table([pa.array(column, pa.string()) for column in columns], names=part.columns)
        con.register("kodomo_kept", arrow)
        try:
            con.execute(f"insert into {table} ({', '.join(part.columns)}) select * from kodomo_kept")
        finally:
            con.unregister("kodomo_kept")
        count += arrow.num_rows
    return count
