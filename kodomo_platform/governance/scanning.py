"""Look for given values in every file of a home, also inside Parquet, databases, workbooks and archives.

It proves what deletion claims. Each store is a folder of the home; a hit is counted, never shown.
"""

from __future__ import annotations

import gzip
import sqlite3
import zipfile
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import duckdb

_BLOCK = 1 << 20
_PARQUET, _DUCKDB, _SQLITE = b"PAR1", b"DUCK", b"SQLite format 3\x00"
_ENCODINGS = ("utf-8", "cp932", "utf-16-le")


def needles(values: Collection[str]) -> list[bytes]:
    """The bytes that the values have in the encodings that sources use; values of fewer than four bytes say nothing."""
    forms = set()
    for value in values:
        for encoding in _ENCODINGS:
            try:
                forms.add(value.encode(encoding))
            except UnicodeEncodeError:
                continue
    return sorted(form for form in forms if len(form) >= 4)


def scan(home: Path, values: Collection[str]) -> Counter[str]:
    """Store → files in which any of ``values`` is found.

    A twin's known truth (``truth``) is left out: it is the experiment's, and no home of a real town has one.
    """
    hits: Counter[str] = Counter()
    for path in sorted(home.rglob("*")):
        if path.is_file() and store_of(home, path) != "truth" and not path.is_symlink() and holds(path, values):
            hits[store_of(home, path)] += 1
    return hits


def store_of(home: Path, path: Path) -> str:
    """The store that a file belongs to: the first part of its path below the home."""
    parts = path.relative_to(home).parts
    return parts[0] if len(parts) > 1 else parts[0].partition("-")[0]


def holds(path: Path, values: Collection[str]) -> bool:
    """Whether the file holds any of ``values``, as bytes or as a value of its tables."""
    wanted = needles(values)
    if not wanted:
        return False
    with path.open("rb") as stream:
        head = stream.read(16)
    # bytes first: a database keeps deleted rows in its free pages
    if _in_bytes(path, wanted):
        return True
    if head.startswith(_PARQUET):
        return _in_parquet(path, values)
    if head[8:12] == _DUCKDB:
        return _in_duckdb(path, values)
    if head.startswith(_SQLITE):
        return False
    return _in_container(path, wanted)


def _in_bytes(path: Path, wanted: list[bytes]) -> bool:
    overlap = max(map(len, wanted)) - 1
    tail = b""
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            window = tail + block
            if any(needle in window for needle in wanted):
                return True
            tail = window[-overlap:]
    return False


def _in_container(path: Path, wanted: list[bytes]) -> bool:
    return any(any(needle in content for needle in wanted) for content in _contents(path))


def _contents(path: Path) -> Iterator[bytes]:
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield archive.read(name)
        elif path.suffix == ".gz":
            yield gzip.decompress(path.read_bytes())
    except (OSError, zipfile.BadZipFile, EOFError):
        return


def _condition(columns: list[str], count: int) -> str:
    texts = " || chr(31) || ".join(f"coalesce(\"{column}\"::varchar, '')" for column in columns)
    return " or ".join([f"contains({texts}, ?)"] * count)


def _in_parquet(path: Path, values: Collection[str]) -> bool:
    with duckdb.connect(":memory:") as con:
        columns = [row[0] for row in con.execute("describe select * from read_parquet(?)", [str(path)]).fetchall()]
        query = f"select 1 from read_parquet(?) where {_condition(columns, len(values))} limit 1"
        return con.execute(query, [str(path), *values]).fetchone() is not None


def _in_duckdb(path: Path, values: Collection[str]) -> bool:
    with duckdb.connect(str(path), read_only=True) as con:
        tables = con.execute(
            "select schema_name, table_name, list(column_name) from duckdb_columns() "
            "where database_name = current_database() and not internal "
            "and table_name in (select table_name from duckdb_tables()) group by all"
        ).fetchall()
        for schema, table, columns in tables:
            query = f'select 1 from "{schema}"."{table}" where {_condition(columns, len(values))} limit 1'
            if con.execute(query, list(values)).fetchone() is not None:
                return True
    return False


def sqlite_vacuum(path: Path) -> None:
    """Write a SQLite file afresh, so that deleted rows leave no bytes in free pages or in its write-ahead log."""
    with sqlite3.connect(path, isolation_level=None, timeout=30) as connection:
        connection.execute("vacuum")
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
