"""A correction sheet that came back: read with suspicion, compared with what was sent.

Offices sort, filter, cut and paste. An entry is known by its number, and its other cells must be those that were sent:
a row that was added, removed, repeated or altered is told and changes nothing; a new order does not matter. Of the
sheet only the answer is taken, as one of three words; free text is not kept, it may name people. No answer closes an
entry: the corrected extract does (`sheets.open_entries`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from kodomo_platform.errors import QualityError, WorkbookError
from kodomo_platform.spreadsheets import Cell, neutralise, restore
from kodomo_platform.workbooks import SheetName, Workbook, opened

MOST_BYTES = 20 << 20
MOST_ROWS, MOST_COLUMNS = 500_000, 100

# The cells of a row that must come back as they went: entry, source, file, extract, row, item, reason, expected, severity.
_FIXED = 9
_ANSWER = 12
_ANSWERS = {"corrected": ("修正済", "修正済み", "corrected", "fixed"), "right": ("誤りではない", "正しい", "right", "correct"),
            "checking": ("確認中", "調査中", "checking")}  # fmt: skip

ISSUED_DDL = """
create table if not exists quality.correction_issued (
    sheet varchar, source varchar, place bigint, entry varchar, fingerprint varchar, issued_on date
)
"""


@dataclass
class Returned:
    """What came back. Lists hold entry numbers alone (of added rows: the sheet's row numbers)."""

    sheet: str
    accepted: dict[str, str] = field(default_factory=dict)
    unanswered: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    added_rows: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    closed_meanwhile: list[str] = field(default_factory=list)
    reordered: bool = False

    @property
    def sound(self) -> bool:
        """Nothing was added, removed, repeated or altered."""
        return not (self.altered or self.repeated or self.added_rows or self.removed)


def _said(cell: object) -> str:
    """A cell as text, the same whether it was just written or read back from a spreadsheet program."""
    if cell is None:
        return ""
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(sep=" ")
    if isinstance(cell, dt.date):
        return cell.isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    text = str(cell).strip().replace("\r\n", "\n")
    if len(text) == 19 and text.endswith(" 00:00:00"):
        return text[:10]
    return restore(text)


def fingerprint(cells: Sequence[object]) -> str:
    """A hash of the cells that must not change."""
    return hashlib.sha256("\0".join(_said(cell) for cell in cells[:_FIXED]).encode()).hexdigest()


def issue(
    con: duckdb.DuckDBPyConnection, sheet: str, on: dt.date, rows: Mapping[str, Sequence[Sequence[Cell]]]
) -> None:
    """Remember what a sheet said when it was sent (hashes and entry numbers alone)."""
    import pyarrow as pa

    con.execute(ISSUED_DDL)
    listed = [
        (source, place, str(row[0]), fingerprint([neutralise(cell) for cell in row]))
        for source, members in rows.items()
        for place, row in enumerate(members)
    ]
    table = pa.table(
        {
            "source": pa.array([row[0] for row in listed], pa.string()),
            "place": pa.array([row[1] for row in listed], pa.int64()),
            "entry": pa.array([row[2] for row in listed], pa.string()),
            "fingerprint": pa.array([row[3] for row in listed], pa.string()),
        }
    )
    con.register("kodomo_issued", table)
    con.execute("begin")
    try:
        con.execute("delete from quality.correction_issued where sheet = ?", [sheet])
        con.execute(
            "insert into quality.correction_issued select ?, source, place, entry, fingerprint, ? from kodomo_issued",
            [sheet, on],
        )
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    finally:
        con.unregister("kodomo_issued")


def _sheets(file: Path) -> dict[str, list[list[object]]]:
    """Every sheet's rows below its header. Refuses what is no workbook, too large, or unpacks to too much."""
    if not file.is_file():
        raise QualityError("no such file", where=str(file))
    if file.stat().st_size > MOST_BYTES:
        raise QualityError("the sheet is too large", where=file.name, expected=f"at most {MOST_BYTES >> 20} MB")
    try:
        with opened(file) as book:
            return {sheet.name: _rows(book, sheet) for sheet in book.sheets if not sheet.name.startswith("概要")}
    except WorkbookError as error:
        raise QualityError(
            f"not a workbook that can be read ({error.what})",
            where=file.name,
            expected="the XLSX file that was sent",
            action="save it as XLSX again",
        ) from error


def _rows(book: Workbook, sheet: SheetName) -> list[list[object]]:
    """The rows below the header, each in its place."""
    rows: list[list[object]] = []
    for number, values in book.table(sheet, MOST_COLUMNS, MOST_ROWS + 1):
        rows += [[] for _ in range(number - 2 - len(rows))]
        if number > 1:
            rows.append(list(values))
    return rows


def _answer(cell: object) -> str | None:
    said = _said(cell).lower()
    if not said:
        return ""
    return next((answer for answer, words in _ANSWERS.items() if said.split(" ")[0] in words), None)


def read_returned(con: duckdb.DuckDBPyConnection, file: Path, on: dt.date, *, sheet: str | None = None) -> Returned:
    """Compare a returned sheet with the one sent and keep its answers. ``sheet``: its name when sent (the file's stem).

    Raises `QualityError` for what is no workbook or was never sent from here.
    """
    name = sheet or file.stem
    issued: dict[str, tuple[str, str, int]] = {}
    known = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'quality' and table_name = 'correction_issued'"
    ).fetchone()
    if known and known[0]:
        issued = {
            entry: (mark, source, place)
            for entry, mark, source, place in con.execute(
                "select entry, fingerprint, source, place from quality.correction_issued where sheet = ?", [name]
            ).fetchall()
        }
    if not issued:
        raise QualityError(
            "no sheet of this name was sent from this warehouse",
            where=file.name,
            expected="the name of the file that `kodomo quality sheets` wrote",
            action="give its former name with --sheet",
        )
    found = Returned(name)
    seen: set[str] = set()
    for title, rows in _sheets(file).items():
        last = -1
        for number, cells in enumerate(rows, start=2):
            if not any(_said(cell) for cell in cells):
                continue
            entry = _said(cells[0]) if cells else ""
            if entry not in issued:
                found.added_rows.append(f"{title[:31]}!{number}")
                continue
            mark, source, place = issued[entry]
            if entry in seen:
                found.repeated.append(entry)
                continue
            seen.add(entry)
            found.reordered |= place < last or source[:31] != title[:31]
            last = max(last, place)
            if fingerprint(cells) != mark:
                found.altered.append(entry)
                continue
            answer = _answer(cells[_ANSWER]) if len(cells) > _ANSWER else ""
            if answer is None:
                found.unclear.append(entry)
            elif answer:
                found.accepted[entry] = answer
            else:
                found.unanswered.append(entry)
    found.removed = sorted(issued.keys() - seen)
    # of an entry that stands twice, neither answer counts
    for entry in found.repeated:
        found.accepted.pop(entry, None)
    _record(con, found, on)
    return found


def _record(con: duckdb.DuckDBPyConnection, found: Returned, on: dt.date) -> None:
    if not found.accepted:
        return
    closed = {
        entry
        for (entry,) in con.execute("select entry from quality.correction_entry where closed_on is not null").fetchall()
    }
    found.closed_meanwhile = sorted(found.accepted.keys() & closed)
    con.executemany(
        "update quality.correction_entry set answer = ?, answered_on = ? where entry = ?",
        [[answer, on, entry] for entry, answer in found.accepted.items()],
    )
