"""XLSX as it comes from somebody else's desk, read without trusting it: cells as the file holds them, row after row.

A workbook is a ZIP of XML. Its true size is measured before anything is parsed, XML goes through a parser piece by piece,
and nothing is ever allocated for what a file claims (a sheet's dimension, a count of strings, a cell at XFD1048576): only
cells that are there cost anything. What a cell means belongs to those who read it.
"""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal
from xml.parsers import expat

from kodomo_platform.errors import WorkbookError

MAX_UNPACKED_BYTES = 1 << 30
MAX_RATIO = 200
"""Sheets of real data shrink ten- to fortyfold; only repeated nothing shrinks two-hundredfold."""
RATIO_COUNTS_FROM_BYTES = 32 << 20
MAX_PARTS = 5000
MAX_TEXT = 1 << 20
"""Characters of one cell; Excel itself holds 32,767."""
MAX_DEPTH = 64
LAST_ROW, LAST_COLUMN = 1 << 20, 1 << 14

_BROKEN = (zipfile.BadZipFile, zlib.error, OSError, NotImplementedError, KeyError, EOFError, RuntimeError, ValueError)
_CHUNK = 1 << 16
_MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
_EPOCH = dt.datetime(1899, 12, 30)
_DAYS_1904 = 1462
# dates among the built-in formats: Western ones, and those of Japanese, Chinese and Korean Excel
_DATE_FORMATS = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_LITERALS = re.compile(r'"[^"]*"|\\.|_.|\*.')
_BRACKETS = re.compile(r"\[([^\]]*)\]")
_CONDITION = re.compile(r"\[(<=|>=|<>|<|>|=)(-?[0-9.]+)\]")

Value = str | float | int | bool | dt.datetime | dt.time | None
Kind = Literal["text", "number", "truth", "error", "date", "unvalued"]


@dataclass(frozen=True, slots=True)
class Cell:
    """``text``: what the file holds (a number in its digits); ``unvalued``: a formula that was never calculated."""

    kind: Kind
    text: str
    style: int = 0


@dataclass(frozen=True)
class Row:
    """One row with something in it; ``number`` as the sheet counts, from 1; ``cells`` by column, from 0."""

    number: int
    cells: Mapping[int, Cell]
    hidden: bool = False


@dataclass(frozen=True)
class SheetName:
    """A sheet and whether it is shown."""

    name: str
    visible: bool
    part: str


@dataclass
class Workbook:
    """An opened workbook: its sheets, and how its cells are shown."""

    archive: zipfile.ZipFile
    sheets: list[SheetName] = field(default_factory=list)
    strings: list[str] = field(default_factory=list)
    formats: list[str | int] = field(default_factory=list)
    """Per style: a format's text, or the number of a built-in one."""
    counts_from_1904: bool = False
    _dates: dict[int, bool] = field(default_factory=dict)

    def rows(self, sheet: SheetName) -> Iterator[Row]:
        """The rows of a sheet that hold a cell with something in it, in the file's order. Can be called again."""
        reader = _Rows(self.strings)
        for _ in _parsed(self.archive, sheet.part, reader.starts, reader.ends, reader.text):
            yield from reader.taken()
        yield from reader.taken()

    def table(self, sheet: SheetName, width: int, most_rows: int) -> Iterator[tuple[int, list[Value]]]:
        """(row number, the first ``width`` values) of the rows up to ``most_rows``; None where nothing is."""
        for row in self.rows(sheet):
            if row.number > most_rows:
                return
            yield row.number, [self.value(row.cells[at]) if at in row.cells else None for at in range(width)]

    def value(self, cell: Cell) -> Value:
        """What a cell holds: a text, a number, a truth, a day and time; None for what has no value."""
        if cell.kind == "number":
            if self.is_date(cell):
                return self.moment(cell)
            number = _number(cell.text)
            return int(number) if number is not None and number.is_integer() else number
        if cell.kind == "date":
            try:
                return dt.datetime.fromisoformat(cell.text)
            except ValueError:
                return cell.text
        if cell.kind == "truth":
            return cell.text == "TRUE"
        return cell.text or None

    def merged(self, sheet: SheetName) -> list[tuple[int, int, int, int]]:
        """(first row, first column, last row, last column), rows from 1, columns from 0, of cells that are one."""
        if not _contains(self.archive, sheet.part, b"mergeCell"):
            return []
        found: list[tuple[int, int, int, int]] = []

        def starts(name: str, attributes: dict[str, str]) -> None:
            if name == "mergeCell":
                first, _, last = attributes.get("ref", "").partition(":")
                corners = _reference(first), _reference(last or first)
                if corners[0] is not None and corners[1] is not None:
                    found.append((*corners[0], *corners[1]))

        for _ in _parsed(self.archive, sheet.part, starts):
            pass
        return found

    def is_date(self, cell: Cell) -> bool:
        """Whether a number is shown as a date or a time."""
        if cell.kind != "number":
            return False
        if cell.style not in self._dates:
            code = self.formats[cell.style] if cell.style < len(self.formats) else 0
            self._dates[cell.style] = code in _DATE_FORMATS if isinstance(code, int) else _shows_a_date(code)
        return self._dates[cell.style]

    def moment(self, cell: Cell) -> dt.datetime | dt.time | None:
        """The day and time that a number stands for; a bare time, or None for zero (an empty date) and what is none."""
        days = _number(cell.text)
        if days is None or days <= 0 or days > 2_958_466:
            return None
        if days < 1:
            seconds = min(round(days * 86_400), 86_399)
            return dt.time(seconds // 3600, seconds // 60 % 60, seconds % 60)
        if self.counts_from_1904:
            days += _DAYS_1904
        elif days < 60:
            days += 1  # before 1 March 1900 Excel counts a day that never was
        return _EPOCH + dt.timedelta(seconds=round(days * 86_400))

    def serial(self, cell: Cell) -> str:
        """A number as the days that Excel counts from 1900 on, whatever the workbook counts from."""
        days = _number(cell.text)
        if days is None or not self.counts_from_1904:
            return plain(cell.text)
        return plain(repr(days + _DAYS_1904))

    def shown(self, cell: Cell) -> str:
        """A whole number with the zeros and hyphens that its format shows (``00000000``, ``000-0000``), else plain."""
        code = self.formats[cell.style] if cell.style < len(self.formats) else 0
        number = _number(cell.text)
        if isinstance(code, int) or number is None or number < 0 or not number.is_integer() or number >= 1e15:
            return plain(cell.text)
        pattern = _LITERALS.sub(lambda found: "-" if found[0] in ("\\-", '"-"') else "", _section(code, number))
        pattern = _BRACKETS.sub("", pattern).strip()
        zeros = pattern.count("0")
        if zeros < 2 or set(pattern) - {"0", "-"}:
            return plain(cell.text)
        digits = str(int(number)).zfill(zeros)
        lead, rest = digits[: len(digits) - zeros], iter(digits[len(digits) - zeros :])
        return lead + "".join(next(rest) if sign == "0" else "-" for sign in pattern)


def plain(text: str) -> str:
    """A number's digits without ``.0`` and exponent; one with more digits than a spreadsheet keeps stays as it rounds."""
    number = _number(text)
    if number is None:
        return text
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number and abs(number) != float("inf") else None


def _section(code: str, number: float) -> str:
    """The part of a format that a number is shown by."""
    sections = [part.replace("\0", ";") for part in _LITERALS.sub(lambda f: f[0].replace(";", "\0"), code).split(";")]
    for part in sections:
        condition = _CONDITION.search(part)
        if condition is None:
            continue
        limit = _number(condition[2])
        if limit is not None and _COMPARE[condition[1]](number, limit):
            return part
    if any(_CONDITION.search(part) for part in sections):
        return next((part for part in sections if not _CONDITION.search(part)), "")
    return sections[2] if number == 0 and len(sections) > 2 and sections[2] else sections[0]


_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "=": lambda one, other: one == other,
}


def _shows_a_date(code: str) -> bool:
    """Whether a format of somebody's own has a year, month, day, weekday, era or time of day in it."""
    bare = _LITERALS.sub("", code.split(";")[0])
    if any(re.fullmatch(r"[hms]+", inner.lower()) for inner in _BRACKETS.findall(bare)):
        return True
    bare = _BRACKETS.sub("", bare).lower()
    if "general" in bare or "標準" in bare or "#" in bare or "?" in bare:
        return False
    return bool(re.search(r"[ymdhsgea]", re.sub(r"e[+-]", "", bare)))


# ------------------------------------------------------------------------------------------------ opening


@contextmanager
def opened(path: Path) -> Iterator[Workbook]:
    """A workbook for reading. Raises WorkbookError for what is none, and for what unpacks to more than any register."""
    try:
        refuse_bomb(path)
        archive = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise WorkbookError(f"{type(error).__name__}") from error
    with archive:
        book = Workbook(archive)
        _read_sheets(book)
        _read_strings(book)
        _read_styles(book)
        yield book


def refuse_bomb(path: Path) -> None:
    """Unpack every part without keeping it, and count: sizes written in a ZIP are only what its maker claims."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as file:
        parts = archive.infolist()
        if len(parts) > MAX_PARTS:
            raise WorkbookError(f"it has {len(parts)} parts")
        if sum(part.file_size for part in parts) > MAX_UNPACKED_BYTES:
            raise WorkbookError("it unpacks to more than 1 GiB")
        total = 0
        for part in parts:
            for size in _unpacked_sizes(file, part):
                total += size
                if total > MAX_UNPACKED_BYTES:
                    raise WorkbookError("it unpacks to more than 1 GiB")
                if total > RATIO_COUNTS_FROM_BYTES and total > MAX_RATIO * path.stat().st_size:
                    raise WorkbookError(f"it unpacks to more than {MAX_RATIO} times its size")


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


def _read_sheets(book: Workbook) -> None:
    targets: dict[str, str] = {}

    def relation(name: str, attributes: dict[str, str]) -> None:
        target = attributes.get("Target")
        if target is not None and "Id" in attributes:
            targets[attributes["Id"]] = target.lstrip("/") if target.startswith("/") else f"xl/{target}"

    for _ in _parsed(book.archive, "xl/_rels/workbook.xml.rels", relation, any_namespace=True):
        pass

    def starts(name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr" and attributes.get("date1904", "").lower() in ("1", "true", "on"):
            book.counts_from_1904 = True
        elif name == "sheet":
            relation_id = next((value for key, value in attributes.items() if key.endswith("relationships id")), "")
            visible = attributes.get("state", "visible") == "visible"
            book.sheets.append(SheetName(attributes.get("name", ""), visible, targets.get(relation_id, "")))

    for _ in _parsed(book.archive, "xl/workbook.xml", starts):
        pass


def _read_strings(book: Workbook) -> None:
    """Shared strings; readings (furigana) in small print above a word are no part of it."""
    if "xl/sharedStrings.xml" not in book.archive.namelist():
        return
    pieces: list[str] = []
    inside = {"t": False, "rPh": False}

    def starts(name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            pieces.clear()
        elif name in inside:
            inside[name] = True

    def ends(name: str) -> None:
        if name == "si":
            book.strings.append("".join(pieces))
        elif name in inside:
            inside[name] = False

    def text(data: str) -> None:
        if inside["t"] and not inside["rPh"]:
            pieces.append(data)

    for _ in _parsed(book.archive, "xl/sharedStrings.xml", starts, ends, text):
        pass


def _read_styles(book: Workbook) -> None:
    if "xl/styles.xml" not in book.archive.namelist():
        return
    own: dict[int, str] = {}
    inside = [False]

    def starts(name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            number = attributes.get("numFmtId", "")
            if number.isdecimal():
                own[int(number)] = attributes.get("formatCode", "")
        elif name == "cellXfs":
            inside[0] = True
        elif name == "xf" and inside[0]:
            number = attributes.get("numFmtId", "0")
            code = int(number) if number.isdecimal() else 0
            book.formats.append(own.get(code, code))

    def ends(name: str) -> None:
        if name == "cellXfs":
            inside[0] = False

    for _ in _parsed(book.archive, "xl/styles.xml", starts, ends):
        pass


# ------------------------------------------------------------------------------------------------ parsing


class _Rows:
    """Collects rows while a sheet's XML passes."""

    def __init__(self, strings: list[str]) -> None:
        self._strings = strings
        self._done: list[Row] = []
        self._row = 0
        self._hidden = False
        self._cells: dict[int, Cell] = {}
        self._column = -1
        self._kind = "n"
        self._style = 0
        self._value: list[str] = []
        self._length = 0
        self._collecting = 0
        self._in_reading = False
        self._has_formula = self._has_value = False

    def taken(self) -> list[Row]:
        """The rows that have ended since the last call."""
        done, self._done = self._done, []
        return done

    def starts(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            place = _reference(attributes.get("r", ""))
            self._column = place[1] if place is not None else self._column + 1
            self._kind = attributes.get("t", "n")
            style = attributes.get("s", "0")
            self._style = int(style) if style.isdecimal() and len(style) < 7 else 0
            self._value, self._length = [], 0
            self._has_formula = self._has_value = False
        elif name in ("v", "t"):
            self._collecting += not self._in_reading
            self._has_value = True
        elif name == "f":
            self._has_formula = True
        elif name == "rPh":
            self._in_reading = True
        elif name == "row":
            number = attributes.get("r", "")
            self._row = int(number) if number.isdecimal() and len(number) < 9 else self._row + 1
            self._hidden = attributes.get("hidden", "").lower() in ("1", "true")
            self._cells, self._column = {}, -1

    def ends(self, name: str) -> None:
        if name == "c":
            cell = self._cell()
            if cell is not None and 0 <= self._column < LAST_COLUMN:
                self._cells[self._column] = cell
        elif name in ("v", "t"):
            self._collecting = max(0, self._collecting - 1)
        elif name == "rPh":
            self._in_reading = False
        elif name == "row" and self._cells and self._row <= LAST_ROW:
            self._done.append(Row(self._row, self._cells, self._hidden))

    def text(self, data: str) -> None:
        if self._collecting and not self._in_reading:
            self._length += len(data)
            if self._length > MAX_TEXT:
                raise WorkbookError("a cell holds more than 1 MiB")
            self._value.append(data)

    def _cell(self) -> Cell | None:
        value = "".join(self._value)
        if self._kind == "e":
            return Cell("error", value, self._style)
        if self._has_formula and not value and self._kind != "str":
            return Cell("unvalued", "", self._style)
        if self._kind == "s":
            index = value.strip()
            at = int(index) if index.isdecimal() and len(index) < 10 else -1
            value = self._strings[at] if 0 <= at < len(self._strings) else ""
        if not value:
            return None
        if self._kind == "b":
            return Cell("truth", "TRUE" if value.strip() in ("1", "true") else "FALSE", self._style)
        if self._kind == "d":
            return Cell("date", value, self._style)
        return Cell("number" if self._kind == "n" else "text", value, self._style)


def _parsed(
    archive: zipfile.ZipFile,
    part: str,
    starts: Callable[[str, dict[str, str]], None],
    ends: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
    *,
    any_namespace: bool = False,
) -> Iterator[None]:
    """Parse a part piece by piece, yielding after each. Elements of other namespaces are passed over.

    Raises WorkbookError for a document type (entities that grow), for nesting and for names beyond any workbook's.
    """
    if part not in archive.NameToInfo:
        raise WorkbookError("the sheet has no part" if part.startswith("xl/work") else "a part is missing")
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    depth = 0

    def local(name: str) -> str | None:
        namespace, _, tail = name.rpartition(" ")
        return tail if any_namespace or namespace in _MAIN or not namespace else None

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise WorkbookError(f"more than {MAX_DEPTH} levels of XML")
        if (tail := local(name)) is not None:
            starts(tail, attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        if ends is not None and (tail := local(name)) is not None:
            ends(tail)

    def doctype(*_: object) -> None:
        raise WorkbookError("document type declaration")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    if text is not None:
        parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    fed = 0
    try:
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                parser.Parse(chunk, False)
                fed += len(chunk)
                if fed - parser.CurrentByteIndex > 4 * MAX_TEXT:
                    raise WorkbookError("XML that no spreadsheet writes")
                yield
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise WorkbookError("broken XML") from error
    except _BROKEN as error:
        raise WorkbookError(f"{type(error).__name__}") from error
    yield


def _contains(archive: zipfile.ZipFile, part: str, words: bytes) -> bool:
    if part not in archive.NameToInfo:
        return False
    held = b""
    try:
        with archive.open(part) as stream:
            while chunk := stream.read(_CHUNK):
                if words in held + chunk:
                    return True
                held = chunk[-len(words) :]
    except _BROKEN as error:
        raise WorkbookError(f"{type(error).__name__}") from error
    return False


def _reference(reference: str) -> tuple[int, int] | None:
    """(row from 1, column from 0) of ``B12``."""
    letters = reference.rstrip("0123456789")
    digits = reference[len(letters) :]
    if (
        not letters
        or not digits
        or len(letters) > 3
        or len(digits) > 7
        or not letters.isascii()
        or not letters.isalpha()
    ):
        return None
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - 64
    return int(digits), column - 1
