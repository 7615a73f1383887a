"""One landed file, by its municipality's description of it, to batches of records: chooses the reader and feeds it.

What is then done with the batches belongs to `loading`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kodomo_platform.catalog import Source
from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import workbook
from kodomo_platform.extracts.batches import MAX_RECORD_BYTES, Batch
from kodomo_platform.extracts.columns import ColumnPlan, plan_by_header, plan_by_position
from kodomo_platform.extracts.delimited import DelimitedReader, Dialect, Layout, RecordScanner
from kodomo_platform.extracts.encoding import (
    SAMPLE_BYTES,
    UNREADABLE,
    Encoding,
    decode_stream,
    looks_like,
    resolve,
    wrong_encoding,
)
from kodomo_platform.extracts.fixed_width import FixedLayout, FixedWidthReader, record_bytes_of
from kodomo_platform.extracts.landing import read_chunks
from kodomo_platform.extracts.lines import Lines
from kodomo_platform.extracts.sifting import Sieve
from kodomo_platform.municipalities import SourceConfig

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DATE_TEXTS: dict[str, Callable[[dt.datetime], str]] = {
    "excel_serial": workbook.excel_serial,
    "slash": lambda moment: moment.strftime("%Y/%m/%d"),
    "compact": lambda moment: moment.strftime("%Y%m%d"),
}


MUNICIPALITY_COLUMN, FIRST_COLUMN = "_municipality_in_file", "_first_in_file"
"""Columns kept beside the items while a file is read (the first with a number behind it): whose data a row is, and the
first cell of a row, in which printed lists say what a line is."""


@dataclass(frozen=True)
class OpenedFile:
    """A file whose columns are understood. ``encoding`` is what was found; ``batches`` can be read once, until `close`.

    ``hidden_rows`` is filled while the batches pass: rows of a sheet that nobody sees.
    """

    plan: ColumnPlan
    encoding: str
    batches: Iterator[Batch]
    looks_like: str | None
    resources: ExitStack
    hidden_rows: list[int]

    def close(self) -> None:
        """Let go of the file."""
        self.resources.close()


def _kept(plan: ColumnPlan) -> dict[str, int]:
    """Item or column kept beside them → position."""
    beside = {f"{MUNICIPALITY_COLUMN}{number}": at for number, at in enumerate(plan.municipality_at)}
    if plan.fields > 1 and 0 not in plan.wanted.values():
        beside[FIRST_COLUMN] = 0
    return plan.wanted | beside


def _sieve(plan: ColumnPlan, wanted: Mapping[str, int], config: SourceConfig, source: Source) -> Sieve:
    lines = Lines(plan.header, wanted, source.record_key)
    types = {item.name: item.type for item in source.items}
    digits = {column.item: column.digits for column in config.columns if column.digits}
    return Sieve(lines, wanted, types, source.record_key, digits)


def open_file(path: Path, config: SourceConfig, source: Source, where: str) -> OpenedFile:
    """Open a file as its ``config`` says. Raises ExtractError where it is plainly something else."""
    sample = next(read_chunks(path, chunk_bytes=SAMPLE_BYTES), b"")
    if not sample.strip(b"\0 \t\r\n\x1a\xef\xbb\xbf\xff\xfe"):
        raise ExtractError(
            "the file is empty",
            where=where,
            expected="records" + (" under a header" if config.file.header else ""),
            action="ask the holder to extract again; the last good state is untouched",
        )
    if config.file.format == "xlsx":
        return _open_workbook(path, config, source, where)
    if sample.startswith((_ZIP, _OLE)):
        raise ExtractError(
            "the file is an Excel workbook or a ZIP archive",
            where=where,
            expected=f"a text file ({config.file.format})",
            action="change `format` in the municipality's file, or ask the holder for the agreed format",
        )
    encoding = resolve(config.file.encoding or "utf-8", sample, where)
    if config.file.format == "fixed":
        return _open_fixed(path, config, source, encoding, sample, where)
    return _open_delimited(path, config, source, encoding, sample, where)


def _plan_by_header(header: list[str], config: SourceConfig, where: str) -> ColumnPlan:
    explained = [ignored.column for ignored in config.ignored_columns if ignored.column]
    return plan_by_header(header, {c.item: c.column or "" for c in config.columns}, where, explained)


# ----------------------------------------------------------------- delimited


def _open_delimited(
    path: Path, config: SourceConfig, source: Source, encoding: Encoding, sample: bytes, where: str
) -> OpenedFile:
    dialect = Dialect(config.delimiter, config.file.quote)
    texts = decode_stream(read_chunks(path, skip=encoding.bom_bytes), encoding)
    scanner = RecordScanner(dialect)
    texts = _after_lines(texts, scanner, config.file.skip_rows, where)
    seen = looks_like(sample)
    if config.file.header:
        header, texts = _header(texts, scanner, where)
        if any(UNREADABLE in name or "\0" in name for name in header):
            raise wrong_encoding(encoding.declared, seen if seen != encoding.codec else None, where)
        plan = _plan_by_header(header, config, where)
    else:
        fields = config.field_count or 0
        plan = plan_by_position(fields, {c.item: c.position or 0 for c in config.columns}, where)
    wanted = _kept(plan)
    sieve = _sieve(plan, wanted, config, source)
    layout = Layout(plan.fields, wanted, _fewest_fields(plan, source), plan.wanted.get(source.record_key))
    reader = DelimitedReader(dialect, layout, no_record=sieve.lines.kind_of)
    return OpenedFile(plan, encoding.codec, sieve.sift(reader.batches(texts)), seen, ExitStack(), [])


def _fewest_fields(plan: ColumnPlan, source: Source) -> int:
    """How many fields a record must have: its natural key, and at least half of all."""
    keys = [at + 1 for item, at in plan.wanted.items() if item == source.record_key or item in source.natural_key]
    return min(plan.fields, max([*keys, (plan.fields + 1) // 2, 2]))


def _more(texts: Iterator[str], held: str, where: str) -> tuple[str, bool]:
    """``held`` with the next piece of text, and whether the text has ended."""
    if len(held) > MAX_RECORD_BYTES:
        raise ExtractError(
            "the header does not end within 1 MiB",
            where=where,
            expected="title lines and a header",
            action="check `encoding`, `quote` and `header` in the municipality's file",
        )
    piece = next(texts, None)
    return (held, True) if piece is None else (held + piece, False)


def _after_lines(texts: Iterator[str], scanner: RecordScanner, lines: int, where: str) -> Iterator[str]:
    """The text after its first ``lines`` physical lines."""
    held, final = "", False
    for _ in range(lines):
        while True:
            end = scanner.first_line_end(held, 0)
            if final or end < len(held):
                held = held[end:]
                break
            held, final = _more(texts, held, where)
    if held:
        yield held
    yield from texts


def _header(texts: Iterator[str], scanner: RecordScanner, where: str) -> tuple[list[str], Iterator[str]]:
    """The first record that is no empty line, and the text after it."""
    held, final = "", False
    while True:
        stripped = held.lstrip("\r\n")
        found = scanner.record_at(stripped, 0, final=final) if stripped else None
        if found is not None:
            fields, end = found
            if fields is None:
                raise ExtractError(
                    "a quote in the header is not closed",
                    where=where,
                    expected="a header in which every quoted name ends with a quote",
                    action="ask the holder to extract again, or set `quote` in the municipality's file",
                )
            return fields, _chain(stripped[end:], texts)
        if final:
            raise ExtractError("the file has no header", where=where, expected="a header row", action=None)
        held, final = _more(texts, stripped, where)


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from rest


# --------------------------------------------------------------- fixed width


def _open_fixed(
    path: Path, config: SourceConfig, source: Source, encoding: Encoding, sample: bytes, where: str
) -> OpenedFile:
    spans = {c.item: (c.byte_slice.start, c.byte_slice.stop - c.byte_slice.start) for c in config.columns}
    needed = max(start + width for start, width in spans.values())
    body = b"\n".join(sample[encoding.bom_bytes :].split(b"\n")[config.file.skip_rows :])
    found = record_bytes_of(body, needed, where)
    declared = config.file.record_bytes
    if declared is not None and declared != found:
        raise ExtractError(
            f"most records are {found} bytes long",
            where=where,
            expected=f"{declared} bytes, as `record_bytes` says",
            action="compare the file with the municipality's file: a field was widened, or the encoding is another",
        )
    chunks = _after_byte_lines(read_chunks(path, skip=encoding.bom_bytes), config.file.skip_rows)
    # fields in the order of their bytes stand for positions
    order = {item: at for at, item in enumerate(sorted(spans, key=lambda item: spans[item]))}
    plan = ColumnPlan(len(spans), dict.fromkeys(spans, 0), [])
    sieve = _sieve(plan, order, config, source)
    reader = FixedWidthReader(FixedLayout(found, spans), encoding, no_record=sieve.lines.kind_of)
    return OpenedFile(plan, encoding.codec, sieve.sift(reader.batches(chunks)), looks_like(sample), ExitStack(), [])


def _after_byte_lines(chunks: Iterator[bytes], lines: int) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        held += chunk
        while lines and (end := held.find(b"\n") + 1):
            held, lines = held[end:], lines - 1
        if not lines:
            yield held
            held = b""
    if held and not lines:
        yield held


# ---------------------------------------------------------------------- XLSX


def _open_workbook(path: Path, config: SourceConfig, source: Source, where: str) -> OpenedFile:
    resources = ExitStack()
    try:
        return _opened_workbook(path, config, source, where, resources)
    except BaseException:
        resources.close()
        raise


def _opened_workbook(path: Path, config: SourceConfig, source: Source, where: str, resources: ExitStack) -> OpenedFile:
    book = resources.enter_context(workbook.open_workbook(path, where))
    sheet = workbook.choose_sheet(book, config.file.sheet, where)
    first = config.file.skip_rows + 1
    with workbook.in_an_extracts_words(where):
        merged = workbook.MergedCells(book.merged(sheet), where)
        header = workbook.header_of(book, book.rows(sheet), config.file.skip_rows) if config.file.header else []
        width = 0
        if not config.file.header:
            width = max((max(row.cells) + 1 for row in book.rows(sheet) if row.number >= first), default=0)
    if config.file.header:
        if not header:
            raise ExtractError(
                f"row {first} of the sheet is empty",
                where=where,
                expected=f"the header, after {config.file.skip_rows} title rows",
                action="set `skip_rows` in the municipality's file to the number of rows above the header",
            )
        if merged.in_row(first):
            raise ExtractError(
                f"the header row ({first}) has merged cells",
                where=where,
                expected="one cell per column",
                action="ask the holder for a sheet without merged cells in its header, or correct `skip_rows`",
            )
        plan = _plan_by_header(header, config, where)
        first += 1
    else:
        plan = plan_by_position(width, {c.item: c.position or 0 for c in config.columns}, where)
    wanted = _kept(plan)
    sieve = _sieve(plan, wanted, config, source)
    date_texts = {
        c.item: _DATE_TEXTS.get(config.dates_of(c.item).style, lambda moment: moment.strftime("%Y-%m-%d"))
        for c in config.columns
    }
    rows = (row for row in book.rows(sheet) if row.number >= first)
    kept = ColumnPlan(plan.fields, wanted, plan.dropped, plan.municipality_at, plan.header)
    hidden: list[int] = []
    batches = workbook.sheet_batches(book, rows, kept, sieve, merged, date_texts, hidden, where)
    return OpenedFile(plan, "xlsx", sieve.sift(batches), None, resources, hidden)
