"""A small warehouse made by hand: one municipality's configuration and a few raw and staging tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, write_configuration

AS_OF = dt.date(2026, 10, 1)
CODE = "112241"


def fill(con: duckdb.DuckDBPyConnection, source_key: str, rows: list[dict[str, str | None]]) -> None:
    """Put raw rows into a source's raw table."""
    source = load_catalog().sources[source_key]
    names = [item.name for item in source.items]
    for number, row in enumerate(rows, start=1):
        values = [row.get(name) for name in names]
        con.execute(
            f"insert into raw.{source.raw_table} values ({', '.join('?' * (len(names) + 4))})",
            [*values, CODE, AS_OF, "f" * 64, number],
        )


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect(":memory:")
    for schema in ("cfg", "raw", "ops", "staging", "linkage", "marts", "quality"):
        con.execute(f"create schema {schema}")
    catalog = load_catalog()
    write_configuration(con, load_municipality(CODE), catalog, AS_OF)
    for source in catalog.sources.values():
        items = ", ".join(f'"{item.name}" varchar' for item in source.items)
        con.execute(
            f"create table raw.{source.raw_table} ({items}, _municipality varchar, _extract_date date, "
            "_source_file_sha256 varchar, _row_number bigint)"
        )
    con.execute(
        "create table raw.files (source varchar, extract_date date, file_name varchar, sha256 varchar, rows_in bigint, "
        "rows_loaded bigint, rows_rejected bigint, encoding varchar, loaded_at timestamp, active boolean)"
    )
    yield con
    con.close()
