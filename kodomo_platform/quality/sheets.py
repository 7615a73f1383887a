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
from kodomo_platform.quality.results import read_results, runs
from kodomo_platform.quality.returned import issue
from kodomo_platform.spreadsheets import Cell, write_csv, write_xlsx

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import Municipality

# Nobody works through a longer sheet by hand: further rows stand in a CSV beside it, and the sheet says so.
ROWS_PER_SHEET = 4_000

_HEADER = (
    "番号 / entry", "出典 / source", "ファイル / file", "抽出日 / extract", "行番号 / row", "項目 / item", "理由 / reason",
    "あるべき形 / expected", "重大度 / severity", "初回検出日 / open since", "経過日数 / days open", "状況 / age",
    "回答 / answer (修正済 corrected・誤りではない right・確認中 checking)",
)  # fmt: skip
_SEVERITY_JA = {"critical": "重大", "warning": "注意", "info": "参考"}
# Days after which an open entry is called late, and overdue: one and three monthly deliveries.
LATE, OVERDUE = 31, 92


@dataclass(frozen=True)
class OpenEntry:
    """One thing to correct, with the day on which it was first seen. The number stays when the row moves."""

    number: str
    row: FaultyRow
    first_seen: dt.date
    answer: str | None = None


def entry_number(row: FaultyRow) -> str:
    """A number for a row of an extract and an expectation, the same whatever the order of a sheet."""
    text = f"{row.source}|{row.extract_date}|{row.row_number}|{row.expectation.key}"
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def age_said(days: int) -> str:
    """How long an entry stands open, in words that show."""
    if days > OVERDUE:
        return f"長期未対応 overdue (> {OVERDUE} d)"
    if days > LATE:
        return f"遅延 late (> {LATE} d)"
    return "新規 new" if days == 0 else "対応中 open"


def _persons(con: duckdb.DuckDBPyConnection, rows: list[FaultyRow], salt: str) -> dict[tuple[str, int], str]:
    """(file, row) → a salted hash of the row's natural key, by which the same row is known in a later extract.

    A later full extract numbers its rows anew: without this, every entry would look new each month. Key and salt stay
    in the warehouse; only the hash is compared, and it is written nowhere else.
    """
    import pyarrow as pa

    answer: dict[tuple[str, int], str] = {}
    by_source: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for row in rows:
        by_source[row.source].add((row.source_file_sha256, row.row_number))
    for key, places in by_source.items():
        source = load_catalog().sources[key]
        names = [*dict.fromkeys([source.record_key, *source.natural_key])]
        given = ", ".join(f"coalesce(trim(r.\"{name}\"), '')" for name in names)
        wanted = pa.table({"sha": [sha for sha, _ in sorted(places)], "n": [number for _, number in sorted(places)]})
        con.register("kodomo_wanted_rows", wanted)
        try:
            for sha, number, hashed in con.execute(
                f"select w.sha, w.n, case when coalesce(trim(r.\"{source.record_key}\"), '') <> '' "
                f"then sha256(concat_ws('|', ?, {given})) end from kodomo_wanted_rows as w inner join "
                f"raw.{source.raw_table} as r on r._source_file_sha256 = w.sha and r._row_number = w.n",
                [salt],
            ).fetchall():
                if hashed:
                    answer[(sha, number)] = hashed
        finally:
            con.unregister("kodomo_wanted_rows")
    return answer


def _salt(con: duckdb.DuckDBPyConnection, record: bool) -> str:
    if record:
        con.execute("create schema if not exists quality")
        con.execute(SALT_DDL)
        con.execute(
            "insert into quality.correction_salt select uuid()::varchar "
            "where not exists (select 1 from quality.correction_salt)"
        )
    if not _has_table(con, "quality", "correction_salt"):
        return ""
    row = con.execute("select salt from quality.correction_salt").fetchone()
    return str(row[0]) if row else ""


SALT_DDL = "create table if not exists quality.correction_salt (salt varchar)"

ENTRY_DDL = """
create table if not exists quality.correction_entry (
    entry varchar primary key, source varchar, expectation varchar, identity varchar, first_seen date, last_seen date,
    closed_on date, answer varchar, answered_on date
)
"""


def _prepare(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("create schema if not exists quality")
    columns = {
        name
        for (name,) in con.execute(
            "select column_name from information_schema.columns "
            "where table_schema = 'quality' and table_name = 'correction_entry'"
        ).fetchall()
    }
    if columns and "identity" not in columns:
        con.execute("drop table quality.correction_entry")  # written before entries were known across extracts
    con.execute(ENTRY_DDL)


def open_entries(
    con: duckdb.DuckDBPyConnection, as_of: dt.date, *, record: bool = True, run_id: str | None = None
) -> list[OpenEntry]:
    """Entries that stand open now; those of a corrected extract are gone, the others keep their number and first day.

    ``record`` keeps the state in ``quality.correction_entry`` (entry number, first and last seen, closed on). ``run_id``:
    the validation that has just counted these very tables, so that only what it found is looked for.
    """
    results = read_results(con, run_id, standing=True) if run_id is not None else []
    counted = {result.expectation_id: result.unexpected for result in results if result.status != "error"}
    passed = {result.expectation_id for result in results if result.status == "passed"}
    # blanks within what is allowed for an item are answers that nobody gave: no office can correct them
    allowed = {
        e.key
        for e in row_expectations(layers=("raw",))
        if e.expect == "expect_values_to_be_present" and e.severity != "critical" and e.key in passed
    }
    expectations = [
        e
        for e in row_expectations(layers=("raw",))
        # the share of unreadable days points at the rows that stand on the sheet for being unreadable already
        if e.severity != "info" and e.key not in allowed and not e.id.endswith((".day_readable", ".spread"))
    ]
    # a number that no register knows: its row is set apart, whatever the share is
    expectations += [e for e in row_expectations(layers=("staging",)) if e.id == "orphans"]
    rows = list(faulty_rows(con, as_of, expectations, counted=counted or None))
    if record:
        _prepare(con)
    identities = _persons(con, rows, _salt(con, record))
    known: dict[str, tuple[str, dt.date, str | None]] = {}
    by_identity: dict[tuple[str, str], list[str]] = defaultdict(list)
    if _has_table(con, "quality", "correction_entry"):
        for number, expectation, identity, first, answer in con.execute(
            "select entry, expectation, identity, first_seen, answer from quality.correction_entry "
            "where closed_on is null order by entry"
        ).fetchall():
            known[number] = (number, first, answer)
            if identity:
                by_identity[(expectation, identity)].append(number)
    entries: dict[str, OpenEntry] = {}
    kept: dict[str, str] = {}
    own = {entry_number(row) for row in rows}
    for row in rows:
        identity = identities.get((row.source_file_sha256, row.row_number), "")
        number = entry_number(row)
        if number not in known:
            # the same person's same fault, seen in a former extract at another row
            former = [
                n for n in by_identity.get((row.expectation.key, identity), []) if n not in own and n not in entries
            ]
            number = former[0] if former else number
        _, first, answer = known.get(number, (number, as_of, None))
        entries[number] = OpenEntry(number, row, min(first, as_of), answer)
        kept[number] = identity
    if record:
        _keep(con, list(entries.values()), kept, as_of)
    return list(entries.values())


def _keep(con: duckdb.DuckDBPyConnection, entries: list[OpenEntry], identities: dict[str, str], as_of: dt.date) -> None:
    import pyarrow as pa

    table = pa.table(
        {
            "entry": pa.array([entry.number for entry in entries], pa.string()),
            "source": pa.array([entry.row.source for entry in entries], pa.string()),
            "expectation": pa.array([entry.row.expectation.key for entry in entries], pa.string()),
            "identity": pa.array([identities[entry.number] for entry in entries], pa.string()),
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
            "insert into quality.correction_entry "
            "select entry, source, expectation, identity, first_seen, ?, null, null, null from kodomo_open_entries "
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
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    as_of: dt.date,
    out: Path,
    *,
    record: bool = True,
    run_id: str | None = None,
) -> list[Path]:
    """One XLSX per holder with open entries in ``out``; the files written. ``run_id``: see `open_entries`.

    A source has at most ``ROWS_PER_SHEET`` rows there; the other entries are as open, and stand in a CSV beside it.
    """
    catalog = load_catalog()
    entries = open_entries(con, as_of, record=record, run_id=run_id)
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
                    age_said((as_of - entry.first_seen).days),
                    entry.answer,
                ]
            )
        stem = f"correction_{municipality.code}_{as_of}_{place:02d}"
        beside = {key: f"{stem}_{key}.csv" for key, rows in by_source.items() if len(rows) > ROWS_PER_SHEET}
        summary: list[list[Cell]] = []
        for key, rows in by_source.items():
            rest = rows[ROWS_PER_SHEET:]
            said = f"ほか{len(rest)}件はCSV / {len(rest)} more in the CSV: {beside[key]}" if rest else None
            ages = _ages([e for e in members if e.row.source == key], as_of)
            summary.append([holder, key, len(rows), *ages, said])
            if rest:
                written.append(write_csv(out / beside[key], _HEADER, rest))
            by_source[key] = rows[:ROWS_PER_SHEET]
        sheets: dict[str, tuple[tuple[str, ...], list[list[Cell]]]] = {
            "概要 summary": (
                (
                    "保有部署 / holder", "出典 / source", "件数 / entries", f"{LATE}日超 / over {LATE} d",
                    f"{OVERDUE}日超 / over {OVERDUE} d", "最長 / oldest (d)", "このシートにない分 / not on this sheet",
                ),
                summary,
            )
        }  # fmt: skip
        for key, rows in by_source.items():
            sheets[key] = (_HEADER, rows)
        path = write_xlsx(out / f"{stem}.xlsx", sheets)
        if record:
            issue(con, path.stem, as_of, by_source)
        written.append(path)
    # a sheet that stays behind would ask a holder for what is mended
    for former in out.glob(f"correction_{municipality.code}_{as_of}_*"):
        if former not in written:
            former.unlink()
    return written


def counted_since_load(con: duckdb.DuckDBPyConnection) -> str | None:
    """The newest run, if its validation came after the last file was loaded: what it counted still holds."""
    known = runs(con)
    if not known or not _has_table(con, "raw", "files"):
        return None
    row = con.execute(
        "select max(loaded_at), (select max(recorded_at) from quality.results where table_name like 'raw.%') from raw.files"
    ).fetchone()
    loaded, checked = row or (None, None)
    return known[-1][0] if loaded is not None and checked is not None and loaded < checked else None


def _ages(entries: list[OpenEntry], as_of: dt.date) -> tuple[int, int, int]:
    days = [(as_of - entry.first_seen).days for entry in entries]
    return sum(d > LATE for d in days), sum(d > OVERDUE for d in days), max(days, default=0)


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
