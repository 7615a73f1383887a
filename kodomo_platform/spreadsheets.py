"""Every CSV and XLSX that people open is written here, so that no cell can run.

A spreadsheet treats a text that begins with ``= + - @``, a tab or a carriage return as a formula; a name or a note from
a source system could then run on the desk of whoever opens the file (CWE-1236, OWASP "CSV Injection"). Such texts get a
leading apostrophe. Numbers and dates are written as what they are.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

Cell = str | int | float | bool | dt.date | dt.datetime | None

_STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_ILLEGAL_IN_XML = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\ufffd")


def neutralise(value: Cell) -> Cell:
    """``value``, with an apostrophe before it if a spreadsheet would take the text for a formula."""
    if isinstance(value, str) and value.startswith(_STARTS_A_FORMULA):
        return "'" + value
    return value


def restore(value: str) -> str:
    """Undo `neutralise` on a cell that came back from a spreadsheet."""
    if value.startswith("'") and value[1:].startswith(_STARTS_A_FORMULA):
        return value[1:]
    return value


def _text(value: Cell) -> str:
    value = neutralise(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.date):
        return value.isoformat()
    return str(value)


def write_csv_to(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Write ``header`` and ``rows`` to ``stream`` as CSV with CRLF line ends (RFC 4180)."""
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_text(cell) for cell in header])
    writer.writerows([_text(cell) for cell in row] for row in rows)


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, encoding: str = "utf-8-sig"
) -> Path:
    """Write a CSV file, by default with the BOM by which Excel knows UTF-8. Returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as stream:
        write_csv_to(stream, header, rows)
    return path


def write_xlsx(path: Path, sheets: Mapping[str, tuple[Sequence[str], Iterable[Sequence[Cell]]]]) -> Path:
    """Write ``{sheet name: (header, rows)}`` as XLSX: header frozen, no formulas, no links. Returns ``path``."""
    import xlsxwriter

    path.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        bold = book.add_format({"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, (header, rows) in sheets.items():
            sheet = book.add_worksheet(name[:31])
            sheet.freeze_panes(1, 0)
            for column, title in enumerate(header):
                sheet.write_string(0, column, _text(title).translate(_ILLEGAL_IN_XML), bold)
                sheet.set_column(column, column, min(40, max(10, 2 * len(title))))
            for row_number, row in enumerate(rows, start=1):
                for column, cell in enumerate(row):
                    if cell is None:
                        continue
                    if isinstance(cell, bool):
                        sheet.write_boolean(row_number, column, cell)
                    elif isinstance(cell, int | float):
                        sheet.write_number(row_number, column, cell)
                    elif isinstance(cell, dt.datetime):
                        sheet.write_string(row_number, column, cell.isoformat(sep=" "))
                    elif isinstance(cell, dt.date):
                        sheet.write_datetime(row_number, column, dt.datetime(cell.year, cell.month, cell.day), day)
                    else:
                        sheet.write_string(row_number, column, _text(cell).translate(_ILLEGAL_IN_XML)[:32767])
    return path
