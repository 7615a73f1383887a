"""The tables of the warehouse's ``raw`` schema: one per source of the catalogue, and the books about files and rejects.

All text, no types: reading a value is staging's work.
"""

from __future__ import annotations

import duckdb

from kodomo_platform.catalog import Catalog, Source, load_catalog

_BOOKS = {
    "files": "source varchar, extract_date date, file_name varchar, sha256 varchar, rows_in bigint, "
    "rows_loaded bigint, rows_rejected bigint, encoding varchar, loaded_at timestamp, active boolean, "
    "rows_not_records bigint, rows_padded bigint",
    "not_records": "source varchar, extract_date date, source_file_sha256 varchar, row_number bigint, kind varchar",
    "rejects": "source varchar, extract_date date, source_file varchar, source_file_sha256 varchar, row_number bigint, "
    "reason varchar, item varchar",
    "gaiji": "source varchar, code varchar, glyph_count bigint, first_row_number bigint, source_file_sha256 varchar",
    "dropped_columns": "source varchar, source_file_sha256 varchar, column_ordinal bigint, reason varchar, "
    "header varchar",
}
PROVENANCE = {
    "_municipality": "varchar",
    "_extract_date": "date",
    "_source_file_sha256": "varchar",
    "_row_number": "bigint",
}


def create_raw_tables(con: duckdb.DuckDBPyConnection, catalog: Catalog | None = None) -> None:
    """Create what is missing of ``raw.*``: every source of the catalogue has its table, held by the municipality or
    not.

    A table from an older catalogue gets the columns it lacks.
    """
    con.execute("create schema if not exists raw")
    for name, columns in _BOOKS.items():
        con.execute(f"create table if not exists raw.{name} ({columns})")
        for column in columns.split(", "):  # a book of an older warehouse
            con.execute(f"alter table raw.{name} add column if not exists {column}")
    existing: dict[str, set[str]] = {}
    for table, column in con.execute(
        "select table_name, column_name from duckdb_columns() where schema_name = 'raw' and not internal"
    ).fetchall():
        existing.setdefault(table, set()).add(column)
    for source in (catalog or load_catalog()).sources.values():
        wanted = raw_columns(source)
        have = existing.get(source.raw_table)
        if have is None:
            columns = ", ".join(f'"{name}" {kind}' for name, kind in wanted.items())
            con.execute(f"create table raw.{source.raw_table} ({columns})")
            continue
        for name, kind in wanted.items():
            if name not in have:
                con.execute(f'alter table raw.{source.raw_table} add column "{name}" {kind}')


def raw_columns(source: Source) -> dict[str, str]:
    """Column → DuckDB type of a source's raw table: every item as text, then where the row came from."""
    return {item.name: "varchar" for item in source.items} | PROVENANCE
