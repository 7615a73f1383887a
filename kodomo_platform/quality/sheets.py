"""Correction sheets: for the office that holds a source, which rows to look at, why, and what is expected.

Row numbers, items and reasons only; the office finds the value in its own system. Entries are numbered by what they
point at, so a sheet that comes back reordered or with rows added is still read, and an entry is closed by the corrected
extract, never by the sheet: `open_entries` compares with what is faulty now.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.quality.locating import FaultyRow, faulty_rows, row_expectations
from kodomo_platform.spreadsheets import Cell, write_xlsx

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

# A sheet longer than this is a broken export, to be told as one; the total is still given.
ROWS_PER_EXPECTATION = 2_000

_HEADER = (
    "番号 / entry", "出典 / source", "ファイル / file", "抽出日 / extract", "行番号 / row", "項目 / item", "理由 / reason",
    "あるべき形 / expected", "重大度 / severity", "初回検出日 / open since", "経過日数 / days open",
)  # fmt: skip
_SEVERITY_JA = {"critical": "重大", "warning": "注意", "info": "参考"}


@dataclass(frozen=True)
class OpenEntry:
    """One thing to correct, with the day on which it was first seen."""

    number: str
    row: FaultyRow
    first_seen: dt.date


def entry_number(row: FaultyRow) -> str:
    """The same for the same row of the same extract and expectation, whatever the order of a sheet."""
    text = f"{row.source}|{row.extract_date}|{row.row_number}|{row.expectation.key}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def open_entries(con: duckdb.DuckDBPyConnection, as_of: dt.date, *, record: bool = True) -> list[OpenEntry]:
    """Entries that stand open now; those of a corrected extract are gone, the others keep their first day.

    ``record`` keeps the state in ``quality.correction_entry`` (entry number, first and last seen, closed on).
    """
    expectations = [e for e in row_expectations(layers=("raw",)) if e.severity != "info"]
    rows = list(faulty_rows(con, as_of, expectations, limit=ROWS_PER_EXPECTATION))
    numbers = {entry_number(row): row for row in rows}
    known: dict[str, dt.date] = {}
    if record:
        con.execute("create schema if not exists quality")
        con.execute(
            "create table if not exists quality.correction_entry "
            "(entry varchar primary key, source varchar, first_seen date, last_seen date, closed_on date)"
        )
    exists = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'quality' and table_name = 'correction_entry'"
    ).fetchone()
    if exists and exists[0]:
        known = dict(
            con.execute("select entry, first_seen from quality.correction_entry where closed_on is null").fetchall()
        )
    entries = [OpenEntry(number, row, min(known.get(number, as_of), as_of)) for number, row in numbers.items()]
    if record:
        _keep(con, entries, as_of)
    return entries


def _keep(con: duckdb.DuckDBPyConnection, entries: list[OpenEntry], as_of: dt.date) -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "entry": pa.array([entry.number for entry in entries], pa.string()),
            "source": pa.array([entry.row.source for entry in entries], pa.string()),
            "first_seen": pa.array([entry.first_seen for entry in entries], pa.date32()),
        }
    )
    con.register("kodomo_open_entries", table)
    con.execute("begin")
    try:
        con.execute(
            "update quality.correction_entry set closed_on = ? "
            "where closed_on is null and entry not in (select entry from kodomo_open_entries)",
            [as_of],
        )
        con.execute(
            "insert into quality.correction_entry select entry, source, first_seen, ?, null from kodomo_open_entries "
            "on conflict (entry) do update set last_seen = excluded.last_seen, closed_on = null",
            [as_of],
        )
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    finally:
        con.unregister("kodomo_open_entries")


def write_sheets(
    con: duckdb.DuckDBPyConnection, municipality: Municipality, as_of: dt.date, out: Path, *, record: bool = True
) -> list[Path]:
    """One XLSX per holder with open entries in ``out``; the files written."""
    catalog = load_catalog()
    entries = open_entries(con, as_of, record=record)
    names: dict[str, str] = {}
    if _has_table(con, "raw", "files"):
        names = dict(con.execute("select sha256, min(file_name) from raw.files group by sha256").fetchall())
    by_holder: dict[str, list[OpenEntry]] = defaultdict(list)
    for entry in entries:
        config = municipality.by_source.get(entry.row.source)
        by_holder[config.holder if config else "unknown"].append(entry)
    written = []
    for place, (holder, members) in enumerate(sorted(by_holder.items()), start=1):
        by_source: dict[str, list[list[Cell]]] = defaultdict(list)
        for entry in sorted(members, key=lambda e: (e.row.source, e.row.extract_date, e.row.row_number, e.number)):
            row, source = entry.row, catalog.sources[entry.row.source]
            item = source.by_name.get(row.item or "")
            by_source[source.key].append(
                [
                    entry.number,
                    f"{source.label_ja} / {source.label_en}",
                    names.get(row.source_file_sha256, row.source_file_sha256[:12]),
                    row.extract_date,
                    row.row_number,
                    f"{item.label_ja} / {item.label_en}" if item else "(行全体 / whole row)",
                    f"{row.expectation.ja}、を満たしていません / not met: {row.expectation.en}",
                    _expected(row, item.type if item else None),
                    _SEVERITY_JA[row.expectation.severity],
                    entry.first_seen,
                    (as_of - entry.first_seen).days,
                ]
            )
        summary: list[list[Cell]] = [[holder, key, len(rows)] for key, rows in by_source.items()]
        sheets: dict[str, tuple[tuple[str, ...], list[list[Cell]]]] = {
            "概要 summary": (("保有部署 / holder", "出典 / source", "件数 / entries"), summary)
        }
        for key, rows in by_source.items():
            sheets[key] = (_HEADER, rows)
        written.append(write_xlsx(out / f"correction_{municipality.code}_{as_of}_{place:02d}.xlsx", sheets))
    return written


_EXPECTED_BY_TYPE = {
    "date": "実在する日付(例 令和8年4月1日、2026-04-01) / a real day",
    "month": "実在する年月(例 2026-04) / a real month",
    "int": "整数 / a whole number",
    "decimal": "数値 / a number",
    "code": "コード表の値 / a code of the list",
    "id": "番号(英数字) / a number of the system",
    "postal": "7桁の郵便番号 / seven digits",
    "phone": "電話番号 / a telephone number",
}


def _expected(row: FaultyRow, item_type: str | None) -> str:
    if row.expectation.expect == "expect_values_to_be_readable":
        return _EXPECTED_BY_TYPE.get(item_type or "", row.expectation.ja)
    return f"{row.expectation.ja} / {row.expectation.en}"


def _has_table(con: duckdb.DuckDBPyConnection, schema: str, table: str) -> bool:
    found = con.execute(
        "select count(*) from information_schema.tables where table_schema = ? and table_name = ?", [schema, table]
    ).fetchone()
    return bool(found and found[0])
