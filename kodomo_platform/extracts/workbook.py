"""XLSX: the records of one sheet as text.

How a workbook is read without trusting it stands in `kodomo_platform.workbooks`; here is which sheet is meant, which cells
cannot be taken (formulas never calculated, error values, merged cells), and how a cell is written as text for an item.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa

from kodomo_platform.errors import ExtractError, WorkbookError
from kodomo_platform.extracts.batches import Batch, Reason, Reject
from kodomo_platform.extracts.columns import ColumnPlan
from kodomo_platform.extracts.encoding import GETA, mark_gaiji
from kodomo_platform.extracts.lines import NotARecord, says
from kodomo_platform.extracts.sifting import Sieve
from kodomo_platform.workbooks import MAX_RATIO, Cell, Row, SheetName, Workbook, opened

_ROWS_PER_BATCH = 20_000
_EXCEL_EPOCH = dt.datetime(1899, 12, 30)
_BOMBS = ("it unpacks to more", "it has ")
_SHOWN_AS = ("id", "postal", "phone", "code", "text")
"""Types whose numbers are written with the zeros that the office sees on its screen."""

DateText = Callable[[dt.datetime], str]
_TALL, _MOST_TALL, _MOST_MERGED_ROWS = 100, 200, 1_000_000


@contextmanager
def open_workbook(path: Path, where: str) -> Iterator[Workbook]:
    """`workbooks.opened` in the words of an extract."""
    with in_an_extracts_words(where), opened(path) as book:
        yield book


@contextmanager
def in_an_extracts_words(where: str) -> Iterator[None]:
    """What cannot be read of a workbook is refused as an extract."""
    try:
        yield
    except WorkbookError as error:
        seen = error.what
        if seen.startswith(_BOMBS):
            raise ExtractError(
                f"the workbook is refused unopened: {seen}",
                where=where,
                expected=f"at most 1 GiB unpacked and {MAX_RATIO} times the file's size",
                action="ask the holder for the extract as CSV",
            ) from error
        raise ExtractError(
            f"not a readable XLSX workbook ({seen})",
            where=where,
            expected="an .xlsx file without a password",
            action="save it again as XLSX, or change `format` in the municipality's file",
        ) from error


def choose_sheet(book: Workbook, wanted: str | None, where: str) -> SheetName:
    """The sheet called ``wanted``; None stands for the only one there is.

    Raises ExtractError where it is not clear which sheet is meant (several, or hidden ones).
    """
    sheets = book.sheets
    if wanted is not None:
        if (match := next((sheet for sheet in sheets if sheet.name == wanted), None)) is not None:
            return match
        raise ExtractError(
            f"the workbook has {len(sheets)} sheets and none of them is the one wanted",
            where=where,
            expected=f"a sheet named {wanted}",
            action="set `sheet` in the municipality's file to the sheet's name",
        )
    hidden = sum(not sheet.visible for sheet in sheets)
    if len(sheets) == 1 and not hidden:
        return sheets[0]
    raise ExtractError(
        f"the workbook has {len(sheets)} sheets, {hidden} of them hidden",
        where=where,
        expected="one visible sheet, or `sheet` in the municipality's file naming the one to read",
        action="ask the holder which sheet holds the extract, and why others are hidden",
    )


class MergedCells:
    """Which columns of a row belong to cells that were merged. Cells merged over many rows are kept as what they are."""

    def __init__(self, ranges: Sequence[tuple[int, int, int, int]], where: str) -> None:
        self._by_row: dict[int, list[tuple[int, int]]] = {}
        self._tall = [found for found in ranges if found[2] - found[0] >= _TALL]
        if (
            len(self._tall) > _MOST_TALL
            or sum(min(bottom - top, _TALL) for top, _, bottom, _ in ranges) > _MOST_MERGED_ROWS
        ):
            raise ExtractError(
                f"the sheet has {len(ranges)} merged cells",
                where=where,
                expected="a table without merged cells",
                action="ask the holder for the extract as CSV",
            )
        for top, left, bottom, right in ranges:
            if bottom - top < _TALL:
                for row in range(top, bottom + 1):
                    self._by_row.setdefault(row, []).append((left, right))

    def in_row(self, row: int) -> list[tuple[int, int]]:
        """(first column, last column) of the merged cells that reach into a row."""
        tall = [(left, right) for top, left, bottom, right in self._tall if top <= row <= bottom]
        return self._by_row.get(row, []) + tall


def excel_serial(moment: dt.datetime) -> str:
    """Days since 1899-12-30, as Excel counts; a time of day is dropped."""
    return str((moment - _EXCEL_EPOCH).days)


def cell_text(book: Workbook, cell: Cell, kind: str | None, date_text: DateText = excel_serial) -> str:
    """A cell as text for an item of type ``kind``: dates by ``date_text`` (Excel's empty date is empty), whole numbers
    without ``.0``, numbers that identify with the zeros that are shown, truth as TRUE/FALSE.
    """
    if cell.kind == "text":
        return mark_gaiji(cell.text, "utf-8")
    if cell.kind == "date":
        try:
            return date_text(dt.datetime.fromisoformat(cell.text))
        except ValueError:
            return cell.text
    if cell.kind != "number":
        return cell.text
    if book.is_date(cell):
        moment = book.moment(cell)
        if moment is None:
            return ""
        return date_text(moment) if isinstance(moment, dt.datetime) else moment.isoformat()
    if kind in ("date", "month"):
        return book.serial(cell)
    return book.shown(cell)


def header_of(book: Workbook, rows: Iterator[Row], skip_rows: int) -> list[str]:
    """The header row after ``skip_rows`` title rows (empty cells at its right end do not count); empty if there is none."""
    row = next((row for row in rows if row.number > skip_rows), None)
    if row is None or row.number != skip_rows + 1:
        return []
    width = max(row.cells) + 1
    header = [cell_text(book, row.cells[at], None).strip() if at in row.cells else "" for at in range(width)]
    while header and not header[-1]:
        header.pop()
    return header


def sheet_batches(
    book: Workbook,
    rows: Iterator[Row],
    plan: ColumnPlan,
    sieve: Sieve,
    merged: MergedCells,
    date_texts: Mapping[str, DateText],
    hidden: list[int],
    where: str,
) -> Iterator[Batch]:
    """The records of a sheet. Wholly empty rows are not there at all (Excel leaves them behind); the ordinals of rows that
    nobody sees are added to ``hidden``.
    """
    row_number = 0
    types = sieve.types
    shown = (row for row in rows if any(cell.text.strip() or cell.kind == "unvalued" for cell in row.cells.values()))
    while True:
        with in_an_extracts_words(where):
            chunk = list(islice(shown, _ROWS_PER_BATCH))
        if not chunk:
            return
        kept: dict[str, list[str]] = {item: [] for item in plan.wanted}
        numbers: list[int] = []
        rejects: list[Reject] = []
        not_records: list[NotARecord] = []
        for row in chunk:
            row_number += 1
            if row.hidden:
                hidden.append(row_number)
            texts = {
                item: cell_text(book, row.cells[column], types.get(item), date_texts.get(item, excel_serial))
                if column in row.cells
                else ""
                for item, column in plan.wanted.items()
            }
            by_column = {column: texts[item] for item, column in plan.wanted.items()}
            for column, cell in row.cells.items():
                if column not in by_column and column < plan.fields:
                    by_column[column] = cell.text
            kind = sieve.lines.kind_of_wanted(by_column)
            if kind is not None:
                not_records.append(NotARecord(row_number, kind, says(kind, list(by_column.values()))))
                continue
            bad = _fault(row, plan, merged.in_row(row.number))
            if bad is not None:
                rejects.append(Reject(row_number, bad[0], bad[1]))
            elif any("\0" in text for text in texts.values()):
                rejects.append(Reject(row_number, "nul_byte"))
            elif not any(text.strip() for text in texts.values()):
                not_records.append(NotARecord(row_number, "blank_line"))
            else:
                for item, text in texts.items():
                    kept[item].append(text)
                numbers.append(row_number)
        has_gaiji = any(GETA + "{" in text for column in kept.values() for text in column)
        columns = {item: pa.array(column, pa.string()) for item, column in kept.items()}
        yield Batch(columns, np.array(numbers, dtype=np.int64), len(chunk), rejects, has_gaiji, not_records)


def _fault(row: Row, plan: ColumnPlan, merged: list[tuple[int, int]]) -> tuple[Reason, str] | None:
    for item, column in plan.wanted.items():
        cell = row.cells.get(column)
        if cell is not None and cell.kind == "error":
            return "cell_error", item
        if cell is not None and cell.kind == "unvalued":
            return "formula_without_value", item
        if any(left <= column <= right for left, right in merged):
            return "merged_cell", item
    return None
