"""Which rows broke an expectation: file, row number, item and reason, never a value.

For correction sheets and for the evaluation against a twin's truth. Counting belongs to `engine`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.quality.engine import (
    compile_check,
    not_held,
    read_configuration,
    register_functions,
    table_columns,
)
from kodomo_platform.quality.suites import Expectation, load_suites
from kodomo_platform.quality.vocabulary import Check, read_once


@dataclass(frozen=True)
class FaultyRow:
    """One row that broke one expectation. ``row_number`` counts the data records of the file from 1.
    ``involved``: further items of the row of which one may be the wrong one."""

    source: str
    extract_date: dt.date
    source_file_sha256: str
    row_number: int
    item: str | None
    expectation: Expectation
    involved: tuple[str, ...] = ()


def faulty_rows(
    con: duckdb.DuckDBPyConnection,
    as_of: dt.date,
    expectations: Iterable[Expectation],
    *,
    limit: int = 1_000_000,
    counted: Mapping[str, int] | None = None,
) -> Iterator[FaultyRow]:
    """Every row that breaks one of ``expectations`` (raw and staging ones), at most ``limit`` for each.

    ``counted``: unexpected rows by expectation key, where a validation of the same tables has counted them: those
    without any are not looked for.
    """
    catalog = load_catalog()
    register_functions(con)
    reading = read_configuration(con, as_of)
    tables = table_columns(con)
    bundles: dict[str, list[tuple[Expectation, Check]]] = {}
    for expectation in expectations:
        if expectation.source is None or not_held(expectation, reading) or expectation.table not in tables:
            continue
        if counted is not None and counted.get(expectation.key) == 0:
            continue
        check = compile_check(expectation, reading, catalog)
        if (
            check.row_level
            and check.columns <= tables[expectation.table]
            and all(table in tables for table in check.other_tables)
        ):
            bundles.setdefault(check.found_in or check.relation, []).append((expectation, check))
    for unread, members in bundles.items():
        relation = read_once(unread, (sql for _, check in members for sql in (check.scope, check.violated)), reading)
        # one scan for all of them: reading the texts costs more than trying conditions that no row breaks;
        # `case` reads the second condition only where the first holds; `and` outside of a filter reads both everywhere
        broken = [f"coalesce(case when {check.scope} then {check.violated} end, false)" for _, check in members]
        found = con.execute(
            f"select * from (select _extract_date, _source_file_sha256, _row_number, [{', '.join(broken)}] as _broken "
            f"from {relation} as checked) where list_contains(_broken, true) order by 1, 2, 3"
        ).fetchall()
        for place, (expectation, check) in enumerate(members):
            rows = (row for row in found if row[3][place])
            for extract_date, sha256, row_number, _ in islice(rows, limit):
                yield FaultyRow(
                    expectation.source or "", extract_date, sha256, row_number, expectation.item, expectation,
                    check.involved,
                )  # fmt: skip


def row_expectations(*, layers: tuple[str, ...] = ("raw", "staging")) -> list[Expectation]:
    """The expectations of raw and staging tables, in suite order."""
    return [
        expectation
        for table, suite in load_suites().items()
        if table.split(".", 1)[0] in layers
        for expectation in suite.expectations
    ]


def table_level_expectations(con: duckdb.DuckDBPyConnection, as_of: dt.date) -> set[str]:
    """Keys of the raw and staging expectations that judge a file, a column or a table and point at no row."""
    catalog, reading = load_catalog(), read_configuration(con, as_of)
    return {e.key for e in row_expectations() if not compile_check(e, reading, catalog).row_level}
