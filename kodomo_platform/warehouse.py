"""How a municipality's working warehouse is opened. What stands in it belongs to the rooms.

One DuckDB file per municipality; dbt runs as its own process, so no room may keep the file open between steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from kodomo_platform.errors import KodomoError
from kodomo_platform.settings import get_settings

SCHEMAS = ("cfg", "raw", "ops", "staging", "linkage", "marts", "quality")


def connect(path: Path | str, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
    """Open the warehouse at ``path`` with the house's limits.

    Raises KodomoError when there is none to read, or while another process (a run) writes in it.
    """
    settings = get_settings()
    if not read_only and str(path) != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    try:
        con = duckdb.connect(
            str(path),
            read_only=read_only,
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "memory_limit": settings.memory_limit,
                "threads": settings.threads,
            },
        )
    except duckdb.IOException as error:
        if read_only and not Path(path).exists():
            raise KodomoError(
                "this municipality has no warehouse yet",
                where=str(path),
                action=f"`kodomo run --municipality {Path(path).stem}` first",
            ) from error
        if "could not set lock" in str(error).lower():
            raise KodomoError(
                "another process is working in this municipality's warehouse",
                where=str(path),
                action="wait until it has ended, then start this one again",
            ) from error
        raise
    con.execute("set enable_progress_bar = false")  # on standard output it would spoil what programs read
    return con


@contextmanager
def warehouse(code: str, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse of municipality ``code``, closed again at the end, its schemas in place."""
    con = connect(get_settings().warehouse(code), read_only=read_only)
    try:
        if not read_only:
            create_schemas(con)
        yield con
    finally:
        con.close()


def create_schemas(con: duckdb.DuckDBPyConnection) -> None:
    """Create the warehouse's schemas where they are missing."""
    for schema in SCHEMAS:
        con.execute(f"create schema if not exists {schema}")


def table_exists(con: duckdb.DuckDBPyConnection, table: str) -> bool:
    """Whether ``schema.table`` is there."""
    schema, name = table.split(".")
    found = con.execute(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?", [schema, name]
    ).fetchone()
    return found is not None
