"""Look for planted names, addresses, phones and numbers wherever a home keeps what is not the identity zone.

House rule 8, names stop at the door: features, scores, manifests, quality results, MLflow, Dagster, logs and reports
carry a child id alone. `find_personal_values` opens what it meets (Parquet, SQLite, DuckDB, ZIP and XLSX, gzip) and
searches the rest as bytes in the encodings a Japanese system writes. It knows nothing of municipalities; tests give it
the values.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import sqlite3
import unicodedata
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: where names may stand, as patterns of paths under the home; everything else is searched
IDENTITY_ZONE = (
    "landing/*",
    "archive/*",
    "truth/*",
    "warehouse/*",
    "operations.sqlite3*",
    "published/*/child_register.parquet",
    "published/*/crosswalk.parquet",
    "published/*/source_rows.parquet",
    "published/*/protected_addresses.parquet",
)
_SQLITE = b"SQLite format 3\x00"
_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_PARQUET = b"PAR1"
_DEPTH = 4
_BLOCK = 1 << 23
_BEGINNING, _HASH_BITS = 6, 22
# Shorter texts turn up by chance: 「森」 in a label, "101" in a count
_SHORTEST_TEXT, _SHORTEST_NUMBER = 2, 6


@dataclass(frozen=True, order=True)
class Found:
    """One value found: ``where`` is the path under the home (and the member or table in it); ``which`` is the position
    of the value in the list that was given, so that a failing test's log does not repeat it."""

    where: str
    which: int


def find_personal_values(home: Path, values: Iterable[str], allowed: Collection[str] = IDENTITY_ZONE) -> list[Found]:
    """Every place under ``home``, outside ``allowed``, where one of ``values`` stands.

    Args:
        values: names, kana, addresses, phones, numbers. Each is also sought without blanks and hyphens, NFKC-folded, as
            JSON, HTML-entity and URL escapes; in UTF-8, CP932 and UTF-16. Texts under 2 characters and numbers under 6
            digits are refused: they turn up by chance.
        allowed: patterns (`fnmatch`) of paths under the home that may hold them.
    """
    listed = list(values)
    for value in listed:
        digits = value.isascii() and value.replace("-", "").isdigit()
        if len(value.replace("-", "")) < (_SHORTEST_NUMBER if digits else _SHORTEST_TEXT):
            raise ValueError("a value is too short to be told from chance")
    needles = _Needles(listed)
    found: set[Found] = set()
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_symlink() or any(fnmatch(name, pattern) for pattern in allowed):
            continue
        found.update(Found(f"{name} (its name)", which) for which in needles.in_bytes(path.name.encode()))
        if path.is_file():
            found.update(_in_file(path, name, needles))
    return sorted(found)


class _Needles:
    """All spellings of all values, sought together: a file is read once however many values there are.

    The first bytes of every position are hashed into a table that knows the beginnings of the spellings; only where it
    says yes is a spelling compared. Thousands of values cost little more than one (Rabin and Karp's way).
    """

    def __init__(self, values: list[str]) -> None:
        import numpy as np

        self._which: dict[bytes, set[int]] = {}
        for which, value in enumerate(values):
            for spelling in _spellings(value):
                self._which.setdefault(spelling, set()).add(which)
        self.longest = max(map(len, self._which), default=0)
        # by length of the hashed beginning: the table, and the lengths of the spellings that it stands for
        self._classes: dict[int, tuple[Any, list[int]]] = {}
        for size in {min(len(spelling), _BEGINNING) for spelling in self._which}:
            spellings = [one for one in self._which if min(len(one), _BEGINNING) == size]
            table = np.zeros(1 << _HASH_BITS, dtype=bool)
            for spelling in spellings:
                table[_hashes(np.frombuffer(spelling[:size], dtype=np.uint8), size)] = True
            self._classes[size] = (table, sorted({len(spelling) for spelling in spellings}))

    def in_bytes(self, data: bytes) -> set[int]:
        """Positions of the values that stand in ``data``."""
        import numpy as np

        found: set[int] = set()
        array = np.frombuffer(data, dtype=np.uint8)
        for size, (table, lengths) in self._classes.items():
            if len(data) < size:
                continue
            for start in np.flatnonzero(table[_hashes(array, size)]).tolist():
                for length in lengths:
                    which = self._which.get(data[start : start + length])
                    if which and not which <= found and _stands_alone(data, start, start + length):
                        found |= which
        return found

    def in_stream(self, stream: io.BufferedIOBase | gzip.GzipFile) -> set[int]:
        """As `in_bytes`, block by block: a file may be larger than memory."""
        found: set[int] = set()
        tail = b""
        while block := stream.read(_BLOCK):
            found |= self.in_bytes(tail + block)
            tail = (tail + block)[-(self.longest + 1) :]
        return found


def _stands_alone(data: bytes, start: int, end: int) -> bool:
    """False for a number inside a longer number or a hash: that is another number."""
    if not data[start:end].isalnum():
        return True
    before, after = data[max(start - 1, 0) : start], data[end : end + 1]
    return not (before.isalnum() or before == b"." or after.isalnum())


def _hashes(array: Any, size: int) -> Any:
    """Hash of the ``size`` bytes that begin at each position of a byte array."""
    import numpy as np

    count = len(array) - size + 1
    word = np.zeros(count, dtype=np.uint64)
    for offset in range(size):
        word = (word << np.uint64(8)) | array[offset : offset + count]
    # Knuth's multiplicative hash: the golden ratio of 2^64
    return (word * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _HASH_BITS)


def _spellings(value: str) -> set[bytes]:
    texts = {value, unicodedata.normalize("NFKC", value)}
    texts |= {re.sub(r"[\s\u3000]", "", text) for text in texts}
    if re.fullmatch(r"[0-9\-]+", value):
        texts.add(value.replace("-", ""))
    spellings: set[bytes] = set()
    for text in texts:
        for encoding in ("utf-8", "cp932", "utf-16-le"):
            try:
                spellings.add(text.encode(encoding))
            except UnicodeEncodeError:
                continue
        if not text.isascii():
            escaped = json.dumps(text)[1:-1]
            spellings |= {escaped.encode(), escaped.upper().replace("\\U", "\\u").encode()}
            spellings |= {
                "".join(f"&#{ord(c)};" for c in text).encode(),
                "".join(f"&#x{ord(c):x};" for c in text).encode(),
            }
            spellings |= {quote(text).encode(), quote(text).lower().encode()}
    return {spelling for spelling in spellings if spelling}


def _in_file(path: Path, name: str, needles: _Needles) -> Iterator[Found]:
    with path.open("rb") as stream:
        head = stream.read(16)
    if head.startswith(_PARQUET):
        yield from _in_parquet(path, name, needles)
        return
    if head == _SQLITE:
        yield from _in_sqlite(path, name, needles)
    elif head[8:12] == b"DUCK":
        yield from _in_duckdb(path, name, needles)
    elif head.startswith((_GZIP, _ZIP)):
        yield from _in_packed(path.read_bytes(), name, needles, 0)
    # the bytes too: a database keeps deleted rows in its free pages
    with path.open("rb") as stream:
        for which in needles.in_stream(stream):
            yield Found(name, which)


def _in_packed(data: bytes, name: str, needles: _Needles, depth: int) -> Iterator[Found]:
    """Contents of a gzip or ZIP file (XLSX, a model's artifact), also packed inside each other."""
    if depth >= _DEPTH:
        raise ValueError(f"{name}: packed more than {_DEPTH} times")
    try:
        if data.startswith(_GZIP):
            members = {name: gzip.decompress(data)}
        elif data.startswith(_ZIP):
            with zipfile.ZipFile(io.BytesIO(data)) as packed:
                members = {f"{name}!{member}": packed.read(member) for member in packed.namelist()}
        else:
            members = {}
    except (OSError, EOFError, zipfile.BadZipFile):
        members = {}  # cut off or not what it claims: its bytes are searched all the same
    for member, content in members.items():
        yield from _in_packed(content, member, needles, depth + 1)
        for which in needles.in_bytes(content):
            yield Found(member, which)


def _in_table(rows: Iterable[tuple[object, ...]], name: str, needles: _Needles, depth: int = 0) -> Iterator[Found]:
    texts: list[bytes] = []
    for row in rows:
        for cell in row:
            if isinstance(cell, bytes):
                if cell.startswith((_GZIP, _ZIP)):
                    yield from _in_packed(cell, name, needles, depth)
                texts.append(cell)
            elif cell is not None:
                texts.append(str(cell).encode("utf-8", "surrogatepass"))
        if len(texts) > 100_000:
            yield from (Found(name, which) for which in needles.in_bytes(b"\n".join(texts)))
            texts.clear()
    yield from (Found(name, which) for which in needles.in_bytes(b"\n".join(texts)))


def _in_sqlite(path: Path, name: str, needles: _Needles) -> Iterator[Found]:
    con = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
    try:
        con.text_factory = bytes
        for (table,) in con.execute("select name from sqlite_master where type = 'table'").fetchall():
            label = table.decode("utf-8", "replace")
            quoted = label.replace('"', '""')
            yield from _in_table(con.execute(f'select * from "{quoted}"'), f"{name}:{label}", needles)
    finally:
        con.close()


def _in_parquet(path: Path, name: str, needles: _Needles) -> Iterator[Found]:
    import duckdb

    with duckdb.connect(":memory:") as con:
        file = str(path)
        columns = con.execute("describe select * from read_parquet(?)", [file]).fetchall()
        headings = [(column[0],) for column in columns]
        yield from _in_table(headings, f"{name} (column names)", needles)
        cursor = con.execute("select columns(*)::varchar from read_parquet(?)", [file])
        while rows := cursor.fetchmany(10_000):
            yield from _in_table(rows, name, needles)
        yield from _in_table(
            con.execute("select key, value from parquet_kv_metadata(?)", [file]).fetchall(),
            f"{name} (metadata)",
            needles,
        )


def _in_duckdb(path: Path, name: str, needles: _Needles) -> Iterator[Found]:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as con:
        for schema, table in con.execute("select schema_name, table_name from duckdb_tables()").fetchall():
            quoted = ".".join('"' + part.replace('"', '""') + '"' for part in (schema, table))
            cursor = con.execute(f"select columns(*)::varchar from {quoted}")
            while rows := cursor.fetchmany(10_000):
                yield from _in_table(rows, f"{name}:{schema}.{table}", needles)


def values_of_snapshot(path: Path, children: int = 200) -> list[str]:
    """Names, kana, addresses, phones and numbers of the first ``children`` of a published register, to be sought."""
    import duckdb

    columns = ("name", "name_kana", "address", "resident_number", "guardian_name", "guardian_phone")
    with duckdb.connect(":memory:") as con:
        rows = con.execute(
            f"select {', '.join(columns)} from read_parquet(?) order by child_id limit ?",
            [str(path / "child_register.parquet"), children],
        ).fetchall()
    return sorted({value for row in rows for cell in row if cell is not None and _telling(value := str(cell))})


def values_of_csv(path: Path, columns: Collection[str], encoding: str, rows: int = 200) -> list[str]:
    """The same from a landed CSV file with a header."""
    with path.open(encoding=encoding, newline="") as stream:
        found = set()
        for _, row in zip(range(rows), csv.DictReader(stream), strict=False):
            found |= {row[column].strip() for column in columns if row.get(column)}
    return sorted(value for value in found if _telling(value))


def _telling(value: str) -> bool:
    """Long enough that it cannot stand somewhere by chance."""
    digits = re.sub(r"[\-\s]", "", value)
    if digits.isascii() and digits.isdigit():
        return len(digits) >= _SHORTEST_NUMBER
    return len(value) >= 4
