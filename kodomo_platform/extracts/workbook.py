"""XLSX: the rows of one sheet as text.

A workbook is a ZIP of XML from somebody else's desk, so its true size is measured before it is opened, and what it
may hide is asked for by name: which sheet, and what a cell with a formula last showed. calamine reads the values; the
sheet's XML is looked at only for what calamine keeps to itself (formulas never calculated, error values).
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.batches import Batch, Reason, Reject
from kodomo_platform.extracts.columns import ColumnPlan
from kodomo_platform.extracts.encoding import GETA, mark_gaiji

MAX_UNPACKED_BYTES = 1 << 30
MAX_RATIO = 200
"""Sheets of real data shrink ten- to fortyfold; only repeated nothing shrinks two-hundredfold."""
RATIO_COUNTS_FROM_BYTES = 32 << 20
MAX_PARTS = 5000

_ROWS_PER_BATCH = 50_000
_EXCEL_EPOCH = dt.datetime(1899, 12, 30)
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = re.compile(rb"<(?:\w+:)?c\b([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_REFERENCE = re.compile(rb'\br="([A-Z]{1,3})([0-9]+)"')
_TYPE = re.compile(rb'\bt="(\w+)"')
_FORMULA = re.compile(rb"<(?:\w+:)?f[\s/>]")
_VALUE = re.compile(rb"<(?:\w+:)?v(?:\s[^>]*)?>[^<]")

Cell = str | float | int | bool | dt.date | dt.datetime | dt.time | dt.timedelta
DateText = Callable[[dt.datetime], str]


@dataclass(frozen=True)
class Sheet:
    """The rows of a sheet from its first row on (row 1 of the file is index 0), and the cells that cannot be trusted.

    ``faults``: 1-based sheet row → 0-based column → why.
    """

    name: str
    rows: list[list[Cell]]
    faults: Mapping[int, Mapping[int, Reason]]


def open_sheet(path: Path, sheet: str | None, where: str) -> Sheet:
    """Read sheet ``sheet`` of a workbook; None stands for the only one there is.

    Raises ExtractError for what is no XLSX, for a ZIP that unpacks to more than any register, and where it is not
    clear which sheet is meant (several, or hidden ones).
    """
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum, XmlError, ZipError

    _refuse_bomb(path, where)
    try:
        with path.open("rb") as file:
            workbook = CalamineWorkbook.from_filelike(file)
            metadata = workbook.sheets_metadata
            hidden = {meta.name for meta in metadata if meta.visible != SheetVisibleEnum.Visible}
            name = _choose([meta.name for meta in metadata], hidden, sheet, where)
            content = workbook.get_sheet_by_name(name)
            rows: list[list[Cell]] = content.to_python(skip_empty_area=False)
            merged = list(content.merged_cell_ranges or [])
    except (CalamineError, PasswordError, XmlError, ZipError, OSError, ValueError) as error:
        raise _no_workbook(where, type(error).__name__) from error
    faults: dict[int, dict[int, Reason]] = {}
    for (top, left), (bottom, right) in merged:
        for row in range(top, min(bottom, len(rows)) + 1):
            faults.setdefault(row + 1, {}).update(dict.fromkeys(range(left, right + 1), "merged_cell"))
    for row, column, reason in _untrusted_cells(path, name, where):
        faults.setdefault(row, {})[column] = reason
    return Sheet(name, rows, faults)


def _choose(names: list[str], hidden: set[str], wanted: str | None, where: str) -> str:
    if wanted is not None:
        if wanted in names:
            return wanted
        raise ExtractError(
            f"the workbook has {len(names)} sheets and none of them is the one wanted",
            where=where,
            expected=f"a sheet named {wanted}",
            action="set `sheet` in the municipality's file to the sheet's name",
        )
    if len(names) == 1 and not hidden:
        return names[0]
    raise ExtractError(
        f"the workbook has {len(names)} sheets, {len(hidden)} of them hidden",
        where=where,
        expected="one visible sheet, or `sheet` in the municipality's file naming the one to read",
        action="ask the holder which sheet holds the extract, and why others are hidden",
    )


def _no_workbook(where: str, seen: str) -> ExtractError:
    return ExtractError(
        f"not a readable XLSX workbook ({seen})",
        where=where,
        expected="an .xlsx file without a password",
        action="save it again as XLSX, or change `format` in the municipality's file",
    )


def _refuse_bomb(path: Path, where: str) -> None:
    """Unpack every part without keeping it, and count: sizes written in a ZIP are only what its maker claims."""
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise _bomb(where, f"{len(parts)} parts")
            if sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
                raise _bomb(where, "more than 1 GiB unpacked")
            total = 0
            for part in parts:
                for size in _unpacked_sizes(file, part):
                    total += size
                    if total > MAX_UNPACKED_BYTES:
                        raise _bomb(where, "more than 1 GiB unpacked")
                    if total > RATIO_COUNTS_FROM_BYTES and total > MAX_RATIO * path.stat().st_size:
                        raise _bomb(where, f"unpacks to more than {MAX_RATIO} times its size")
    except (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, ValueError) as error:
        raise _no_workbook(where, type(error).__name__) from error


def _bomb(where: str, seen: str) -> ExtractError:
    return ExtractError(
        f"the workbook is refused unopened: {seen}",
        where=where,
        expected=f"at most 1 GiB unpacked and {MAX_RATIO} times the file's size",
        action="ask the holder for the extract as CSV",
    )


def _unpacked_sizes(file: BinaryIO, part: zipfile.ZipInfo) -> Iterator[int]:
    """Sizes of the pieces that a part truly unpacks to."""
    file.seek(part.header_offset)
    header = file.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("no local header")
    file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
    if part.compress_type == zipfile.ZIP_STORED:
        yield part.compress_size
        return
    if part.compress_type != zipfile.ZIP_DEFLATED:
        raise zipfile.BadZipFile("a compression that XLSX does not use")
    unpacker = zlib.decompressobj(-15)
    left = part.compress_size
    pending = b""
    while not unpacker.eof:
        if not pending:
            pending = file.read(min(left, 1 << 16))
            left -= len(pending)
            if not pending:
                return
        yield len(unpacker.decompress(pending, 1 << 20))
        pending = unpacker.unconsumed_tail


def _untrusted_cells(path: Path, sheet: str, where: str) -> Iterator[tuple[int, int, Reason]]:
    """(1-based row, 0-based column, reason) of formulas without a stored value and of error values."""
    with zipfile.ZipFile(path) as archive:
        xml = archive.read(_part_of(archive, sheet, where))
    if b"<!DOCTYPE" in xml[:4096]:
        raise _no_workbook(where, "document type declaration")
    if not _FORMULA.search(xml) and b't="e"' not in xml:
        return
    for match in _CELL.finditer(xml):
        attributes, inner = match.group(1), match.group(2) or b""
        reference = _REFERENCE.search(attributes)
        if reference is None:
            continue
        kind = _TYPE.search(attributes)
        reason: Reason
        if kind is not None and kind.group(1) == b"e":
            reason = "cell_error"
        elif _FORMULA.search(inner) and not _VALUE.search(inner) and not (kind and kind.group(1) == b"str"):
            reason = "formula_without_value"
        else:
            continue
        yield int(reference.group(2)), _column_index(reference.group(1)), reason


def _column_index(letters: bytes) -> int:
    index = 0
    for letter in letters:
        index = index * 26 + letter - 64
    return index - 1


def _part_of(archive: zipfile.ZipFile, sheet: str, where: str) -> str:
    """The name of the part that holds a sheet, by way of the workbook's relations."""
    workbook, relations = archive.read("xl/workbook.xml"), archive.read("xl/_rels/workbook.xml.rels")
    if b"<!DOCTYPE" in workbook or b"<!DOCTYPE" in relations:
        raise _no_workbook(where, "document type declaration")
    for element in ElementTree.fromstring(workbook).iter(f"{_MAIN}sheet"):
        if element.get("name") == sheet:
            wanted = element.get(_RELATION)
            for relation in ElementTree.fromstring(relations):
                if relation.get("Id") == wanted:
                    target = relation.get("Target", "")
                    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise _no_workbook(where, "the sheet has no part")


def excel_serial(moment: dt.datetime) -> str:
    """Days since 1899-12-30, as Excel counts (whole days without a fraction)."""
    days = (moment - _EXCEL_EPOCH) / dt.timedelta(days=1)
    return str(int(days)) if days == int(days) else repr(days)


def cell_text(cell: Cell, date_text: DateText = excel_serial) -> str:
    """A cell as text: whole numbers without ``.0``; dates by ``date_text``; truth as TRUE/FALSE as Excel writes CSV."""
    if isinstance(cell, str):
        return mark_gaiji(cell, "utf-8")
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, dt.datetime):
        return date_text(cell)
    if isinstance(cell, dt.date):
        return date_text(dt.datetime(cell.year, cell.month, cell.day))
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return str(cell)


def header_of(sheet: Sheet, skip_rows: int) -> list[str]:
    """The header row after ``skip_rows`` title rows; empty cells at its right end do not count."""
    header = [cell_text(cell).strip() for cell in sheet.rows[skip_rows]] if skip_rows < len(sheet.rows) else []
    while header and not header[-1]:
        header.pop()
    return header


def sheet_batches(
    sheet: Sheet, first_row: int, plan: ColumnPlan, date_texts: Mapping[str, DateText]
) -> Iterator[Batch]:
    """The records of a sheet from 0-based row ``first_row`` on. Wholly empty rows are no records (Excel leaves them
    behind).
    """
    row_number = 0
    records = ((at, row) for at, row in enumerate(sheet.rows) if at >= first_row and any(cell != "" for cell in row))
    while chunk := list(islice(records, _ROWS_PER_BATCH)):
        kept: dict[str, list[str]] = {item: [] for item in plan.wanted}
        numbers: list[int] = []
        rejects: list[Reject] = []
        for at, row in chunk:
            row_number += 1
            faults = sheet.faults.get(at + 1, {})
            bad = next(((item, faults[column]) for item, column in plan.wanted.items() if column in faults), None)
            texts = {
                item: cell_text(row[column], date_texts.get(item, excel_serial)) if column < len(row) else ""
                for item, column in plan.wanted.items()
            }
            if bad is not None:
                rejects.append(Reject(row_number, bad[1], bad[0]))
            elif any("\0" in text for text in texts.values()):
                rejects.append(Reject(row_number, "nul_byte"))
            elif not any(text.strip() for text in texts.values()):
                rejects.append(Reject(row_number, "blank_record"))
            else:
                for item, text in texts.items():
                    kept[item].append(text)
                numbers.append(row_number)
        has_gaiji = any(GETA + "{" in text for column in kept.values() for text in column)
        columns = {item: pa.array(column, pa.string()) for item, column in kept.items()}
        yield Batch(columns, np.array(numbers, dtype=np.int64), len(chunk), rejects, has_gaiji)
