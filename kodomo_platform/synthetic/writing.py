"""Write a source system's records in the format, encoding and date style that a municipality's file declares.

Vectorised: columns become Arrow text, records are joined by Arrow kernels and each file is encoded once. Bytes that no
encoder would write (faults) travel as control characters and are swapped in the encoded file. What the records say, and
which faults they carry, is decided elsewhere.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import date
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.catalog import Item, Source
from kodomo_platform.municipalities import DateStyle, SourceConfig

Bools = npt.NDArray[np.bool_]
Texts = Any  # a pyarrow string array: pyarrow ships no types

# Stand-ins for bytes that cannot be encoded. Control characters never occur in real cells.
BAD_BYTES = "\x01"
CUT_CHARACTER = "\x02"
NUL = "\x03"

_ERAS = (
    (date(2019, 5, 1), 2018, "令和", "R", 5, 9),
    (date(1989, 1, 8), 1988, "平成", "H", 4, 7),
    (date(1926, 12, 25), 1925, "昭和", "S", 3, 5),
    (date(1912, 7, 30), 1911, "大正", "T", 2, 3),
    (date(1868, 1, 25), 1867, "明治", "M", 1, 1),
)
_SERIAL_EPOCH = date(1899, 12, 30)


def _wareki(day: date) -> tuple[str, str, int, int, int]:
    for since, base, kanji, letter, jis, odd in _ERAS:
        if day >= since:
            return kanji, letter, jis, odd, day.year - base
    raise ValueError("a date before Meiji")


def write_date(day: date, style: DateStyle, month_only: bool = False) -> str:
    """``day`` in ``style``; months leave the day out (the Excel serial of a month is its first day's)."""
    if style.style == "iso":
        return f"{day:%Y-%m}" if month_only else f"{day:%Y-%m-%d}"
    if style.style == "slash":
        return f"{day:%Y/%m}" if month_only else f"{day:%Y/%m/%d}"
    if style.style == "compact":
        return f"{day:%Y%m}" if month_only else f"{day:%Y%m%d}"
    if style.style == "excel_serial":
        return str(((day.replace(day=1) if month_only else day) - _SERIAL_EPOCH).days)
    kanji, letter, jis, odd, year = _wareki(day)
    if style.style == "wareki_kanji":
        years = "元" if year == 1 else str(year)
        return f"{kanji}{years}年{day.month}月" + ("" if month_only else f"{day.day}日")
    if style.style == "wareki_dot":
        return f"{letter}{year}.{day.month}" + ("" if month_only else f".{day.day}")
    era = jis if style.era_codes == "jis" else odd
    return f"{era}{year:02d}{day.month:02d}" + ("" if month_only else f"{day.day:02d}")


def _by_unique(values: npt.NDArray[Any], form: Callable[[Any], str]) -> Texts:
    unique, inverse = np.unique(values, return_inverse=True)
    return pa.array([form(value) for value in unique.tolist()], pa.string()).take(pa.array(inverse))


def blank_mask(values: npt.NDArray[Any]) -> Bools:
    """Which cells of a typed column hold nothing."""
    if values.dtype.kind == "M":
        return np.asarray(np.isnat(values), dtype=bool)
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), dtype=bool)
    if values.dtype.kind == "O":
        return np.asarray(values == "", dtype=bool)
    return np.zeros(len(values), dtype=bool)


def write_column(values: npt.NDArray[Any], item: Item, config: SourceConfig, female: Bools) -> Texts:
    """Text of each cell as the source writes it; blanks are empty strings (see `fill_blanks`)."""
    if item.type in ("date", "month"):
        style = config.dates_of(item.name)
        days = values.astype("datetime64[D]")
        return _by_unique(days, lambda day: "" if day is None else write_date(day, style, item.type == "month"))
    if item.type == "int":
        return _by_unique(values, lambda number: "" if number != number else str(int(number)))
    if item.type == "decimal":
        return _by_unique(values, lambda number: "" if number != number else f"{number:.1f}")
    if item.type == "code":
        return _write_codes(values, item.name, config, female)
    return pa.array(values, pa.string())


def _fits(local: str, is_female: bool) -> bool:
    word = local.split("(")[0].split("（")[0]
    last = word[-1:] if word else ""
    if last in "夫父男兄弟":
        return not is_female
    if last in "妻母女姉妹":
        return is_female
    return True


def _write_codes(values: npt.NDArray[Any], item: str, config: SourceConfig, female: Bools) -> Texts:
    mapping = config.code_maps.get(item, {})
    locals_of: dict[str, list[str]] = {}
    for local, code in mapping.items():
        locals_of.setdefault(code, []).append(local)
    unique, inverse = np.unique(values.astype(str), return_inverse=True)
    sexed = item == "relationship"
    table: list[str] = []
    offsets = []
    lengths = []
    for value in unique.tolist():
        for is_female in (False, True):
            choices = [c for c in locals_of.get(value, []) if c and (not sexed or _fits(c, is_female))]
            choices = choices or locals_of.get(value) or [value]
            offsets.append(len(table))
            lengths.append(len(choices))
            table.extend(choices)
    slot = inverse * 2 + female.astype(np.int64)
    if not len(values):
        return pa.array([], pa.string())
    turn = (np.arange(len(values)) * 7919) % np.array(lengths)[slot]
    return pa.array(table, pa.string()).take(pa.array(np.array(offsets)[slot] + turn))


def null_choices(item: Item, config: SourceConfig) -> list[str]:
    """What the source may write where it knows nothing: nothing, or one of its null tokens."""
    column = config.by_item[item.name]
    tokens = config.null_tokens_of(item.name)
    if column.null_tokens is None and item.type not in ("date", "id"):
        tokens = [token for token in tokens if not token.strip().isdigit()]
    return ["", *(token for token in tokens if token != "")]


def fill_blanks(text: Texts, blank: Bools, choices: Sequence[str], rng: np.random.Generator) -> Texts:
    """Put the source's ways of saying "nothing" where ``blank``."""
    if len(choices) == 1 or not blank.any():
        return text
    # half of the blanks are empty, the others one of the tokens
    picked = np.where(rng.random(len(blank)) < 0.5, 0, rng.integers(1, len(choices), len(blank)))
    return pc.if_else(pa.array(blank), pa.array(list(choices), pa.string()).take(pa.array(picked)), text)


def file_name(config: SourceConfig, day: date) -> str:
    """A file name that the pattern finds."""
    return config.file.pattern.replace("*", f"{day:%Y%m%d}").replace("?", "0")


def line_end(config: SourceConfig) -> str:
    """CRLF from the Windows systems, LF from the others."""
    return "\n" if config.file.encoding in ("utf-8",) else "\r\n"


def quotes_everything(config: SourceConfig) -> bool:
    """Some systems quote every field."""
    return config.file.quote is not None and zlib.crc32(config.source.encode()) % 3 == 0


def layout(config: SourceConfig, extra: Sequence[str] = ()) -> list[tuple[str, str]]:
    """The file's columns in order, (item or ignored column's mark, header text); gaps are ("", "")."""
    places: list[tuple[int, str, str]] = []
    for order, column in enumerate(config.columns):
        places.append((column.position or order + 1, column.item, column.column or ""))
    for order, ignored in enumerate(config.ignored_columns):
        position = ignored.position or len(config.columns) + order + 1
        places.append((position, f"ignored:{ignored.column or ''}", ignored.column or ""))
    size = max(place[0] for place in places)
    if config.field_count is not None:
        size = max(size, config.field_count)
    columns = [("", "")] * size
    for position, item, header in places:
        columns[position - 1] = (item, header)
    return columns + [(f"extra:{header}", header) for header in extra]


def join_lines(columns: list[Texts], config: SourceConfig, quote_all: bool) -> Texts:
    """Delimited records, one text per row."""
    quote = config.file.quote
    ready = []
    for text in columns:
        if quote is not None:
            if quote_all:
                inner = pc.replace_substring(text, quote, quote * 2)
                text = pc.binary_join_element_wise(pa.scalar(quote), inner, pa.scalar(quote), "")
            else:
                needs = pc.match_substring_regex(
                    text, f"[{quote}\r\n" + ("\\t" if config.delimiter == "\t" else config.delimiter) + "]"
                )
                if pc.any(needs).as_py():
                    inner = pc.replace_substring(text, quote, quote * 2)
                    text = pc.if_else(
                        needs, pc.binary_join_element_wise(pa.scalar(quote), inner, pa.scalar(quote), ""), text
                    )
        ready.append(text)
    return pc.binary_join_element_wise(*ready, config.delimiter) if len(ready) > 1 else ready[0]


def byte_widths(text: Texts) -> npt.NDArray[np.int64]:
    """Bytes of each cell in CP932: one for ASCII and half-width kana, two for the rest."""
    characters = pc.utf8_length(text).to_numpy(zero_copy_only=False)
    wide = pc.count_substring_regex(text, "[^\x00-\x7f｡-ﾟ]").to_numpy(zero_copy_only=False)
    return np.asarray(characters + wide, dtype=np.int64)


def _cut(text: str, width: int) -> str:
    kept, used = [], 0
    for character in text:
        size = 1 if ord(character) < 0x80 or "｡" <= character <= "ﾟ" else 2
        if used + size > width:
            break
        kept.append(character)
        used += size
    return "".join(kept)


def fixed_lines(columns: dict[str, Texts], config: SourceConfig, rows: int) -> Texts:
    """Fixed-width records padded with spaces by CP932 byte length; over-long cells are cut at a character."""
    size = config.record_bytes or 0
    places = sorted(
        [(c.start or 1, c.width or 1, c.item) for c in config.columns]
        + [(c.start or 1, c.width or 1, f"ignored:{c.column or ''}") for c in config.ignored_columns]
    )
    parts: list[Texts] = []
    at = 1
    for start, width, item in places:
        if start > at:
            parts.append(pa.array([" " * (start - at)]).take(pa.array(np.zeros(rows, dtype=np.int64))))
        text = columns.get(item)
        if text is None:
            text = pa.array([""]).take(pa.array(np.zeros(rows, dtype=np.int64)))
        have = byte_widths(text)
        if (have > width).any():
            cells = text.to_numpy(zero_copy_only=False)
            for index in np.flatnonzero(have > width):
                cells[index] = _cut(cells[index], width)
            text = pa.array(cells, pa.string())
            have = byte_widths(text)
        spaces = pa.array([" " * n for n in range(width + 1)], pa.string())
        parts.extend([text, spaces.take(pa.array(width - have))])
        at = start + width
    if size >= at:
        parts.append(pa.array([" " * (size - at + 1)]).take(pa.array(np.zeros(rows, dtype=np.int64))))
    return pc.binary_join_element_wise(*parts, "")


def encode_text(lines: Texts, head: Sequence[str], config: SourceConfig, mixed_ends: bool) -> bytes:
    """The whole file: title rows, header, records, encoded once; stand-ins become the bytes they stand for."""
    end = line_end(config)
    if mixed_ends and len(lines) > 3:
        other = "\n" if end == "\r\n" else "\r\n"
        ends = np.full(len(lines), end, dtype=object)
        ends[len(lines) // 2 :: 3] = other
        lines = pc.binary_join_element_wise(lines, pa.array(ends, pa.string()), "")
        body = _joined(lines, "")
    else:
        body = _joined(lines, end) + (end if len(lines) else "")
    text = "".join(row + end for row in head) + body
    encoding = config.file.encoding or "utf-8"
    # UTF-16 as Windows writes it: little endian with its mark
    data = b"\xff\xfe" + text.encode("utf-16-le") if encoding == "utf-16" else text.encode(encoding)
    wide = encoding == "utf-16"
    bad = b"\x00\xdc" if wide else (b"\x85\xff" if encoding == "cp932" else b"\xff\xfe")
    cut = b"\x42\xd8" if wide else (b"\x8a" if encoding == "cp932" else b"\xe5\xa4")
    for mark, raw in ((BAD_BYTES, bad), (CUT_CHARACTER, cut), (NUL, b"\x00\x00" if wide else b"\x00")):
        if mark in text:
            data = data.replace(mark.encode("utf-16-le") if wide else mark.encode(), raw)
    return data


def _joined(lines: Texts, separator: str) -> str:
    pieces = []
    if isinstance(lines, pa.ChunkedArray):
        lines = lines.combine_chunks()
    for low in range(0, len(lines), 200_000):  # a list element must stay below 2 GB
        part = lines.slice(low, 200_000)
        one = pa.LargeListArray.from_arrays(pa.array([0, len(part)], pa.int64()), part.cast(pa.string()))
        pieces.append(str(pc.binary_join(one.cast(pa.list_(pa.string())), separator)[0].as_py()))
    return separator.join(pieces)


_SHEET_HEAD = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
)
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def _letters(index: int) -> str:
    text = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        text = chr(65 + rest) + text
    return text


def _cells(text: Texts, letter: str, numbers: Texts, numeric: bool) -> Texts:
    """XML of one column's cells; empty cells are left out."""
    reference = pc.binary_join_element_wise(pa.scalar(f'<c r="{letter}'), numbers, "")
    safe = text
    for raw, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        safe = pc.replace_substring(safe, raw, entity)
    inline = pc.binary_join_element_wise(
        reference, pa.scalar('" t="inlineStr"><is><t xml:space="preserve">'), safe, pa.scalar("</t></is></c>"), ""
    )
    if numeric:
        number = pc.binary_join_element_wise(reference, pa.scalar('"><v>'), safe, pa.scalar("</v></c>"), "")
        inline = pc.if_else(pc.match_substring_regex(text, r"^-?[0-9]{1,12}(\.[0-9]+)?$"), number, inline)
    return pc.if_else(pc.equal(text, ""), pa.scalar(""), inline)


def write_xlsx(columns: list[tuple[str, Texts, bool]], titles: Sequence[str], config: SourceConfig, rows: int) -> bytes:
    """A workbook with merged title rows, header and records; (header, cells, numeric) per column. Same bytes every time."""
    first = len(titles) + (2 if config.file.header else 1)
    numbers = pa.array(np.arange(first, first + rows)).cast(pa.string())
    row_open = pc.binary_join_element_wise(pa.scalar('<row r="'), numbers, pa.scalar('">'), "")
    parts = [row_open]
    parts += [_cells(text, _letters(i), numbers, numeric) for i, (_h, text, numeric) in enumerate(columns)]
    parts.append(pa.array(["</row>"]).take(pa.array(np.zeros(rows, dtype=np.int64))))
    body = _joined(pc.binary_join_element_wise(*parts, ""), "") if rows else ""
    head = []
    for number, title in enumerate(titles, 1):
        head.append(f'<row r="{number}"><c r="A{number}" t="inlineStr"><is><t>{escape(title)}</t></is></c></row>')
    if config.file.header:
        number = len(titles) + 1
        cells = "".join(
            f'<c r="{_letters(i)}{number}" t="inlineStr"><is><t>{escape(h)}</t></is></c>'
            for i, (h, _t, _n) in enumerate(columns)
        )
        head.append(f'<row r="{number}">{cells}</row>')
    last = _letters(max(len(columns) - 1, 1))
    merges = "".join(f'<mergeCell ref="A{n}:{last}{n}"/>' for n in range(1, len(titles) + 1))
    merged = f'<mergeCells count="{len(titles)}">{merges}</mergeCells>' if titles else ""
    sheet = _SHEET_HEAD + "".join(head) + body + "</sheetData>" + merged + "</worksheet>"
    name = escape(config.file.sheet or "Sheet1", {'"': "&quot;"})
    declaration = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    files = {
        "[Content_Types].xml": declaration + f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Override PartName="/xl/workbook.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": declaration + f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": declaration + '<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" '
        f'xmlns:r="{_RELATIONS}"><sheets><sheet name="{name}" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": declaration
        + f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
    }
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in files.items():
            info = zipfile.ZipInfo(path, date_time=(2026, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, text.encode("utf-8"), compresslevel=1)
    return out.getvalue()


def is_numeric(source: Source, config: SourceConfig, item: str) -> bool:
    """Whether a workbook holds the item as numbers rather than text."""
    spec = source.by_name.get(item)
    if spec is None:
        return False
    if spec.type in ("date", "month"):
        return config.dates_of(item).style == "excel_serial"
    return spec.type in ("int", "decimal")
