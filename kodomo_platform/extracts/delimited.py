"""CSV and TSV: a stream of text to records.

Two paths that must agree. The *fast* path proves by counting that a block holds nothing unusual (no NUL, no
unreadable byte, no lone carriage return, quotes only where a field begins or ends) and gives it to Arrow's parser.
The *careful* path reads record by record and rejects what cannot be read. A block with a bad record is narrowed down by
halves, so that only some kilobytes around it go the careful way. Memory is bounded by the block, whatever the length of
a line.

DuckDB's own reader is not used here. With its `encodings` extension 1.5.5, ``windows-932-2000`` reads the digits 1, 2
and 3 as the superscripts ¹, ² and ³, and loses bytes in files of more than 32 MB where two of its buffers meet (a
test keeps watch, so that a mended version is noticed). Nor can it give the ordinal of a record once it has skipped one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from kodomo_platform.extracts.batches import MAX_RECORD_BYTES, Batch, Reject
from kodomo_platform.extracts.encoding import GETA, UNREADABLE
from kodomo_platform.extracts.lines import Kind, NotARecord, says

_UNREADABLE_BYTES = UNREADABLE.encode()
_GETA_BYTES = (GETA + "{").encode()
_END_OF_FILE_MARK = "\x1a"  # MS-DOS's Ctrl-Z, still written by some host systems


@dataclass(frozen=True)
class Dialect:
    """How fields are told apart: one ASCII character each; ``quote`` None means that quotes are ordinary characters."""

    delimiter: str
    quote: str | None


@dataclass(frozen=True)
class Layout:
    """What to keep of each record: ``fields`` it has in all, and ``wanted``: item name → 0-based position.

    ``needs``: how many fields a record must have at least; those after them are blank where they are left out (programs
    that write tables leave out empty cells at a row's end). None: all. ``key_at``: position of the record's number.
    """

    fields: int
    wanted: Mapping[str, int]
    needs: int | None = None
    key_at: int | None = None

    def item_at(self, position: int) -> str | None:
        """The item at a position, None where the column is not wanted."""
        return next((item for item, at in self.wanted.items() if at == position), None)


class RecordScanner:
    """Splits text into records, one after another, under RFC 4180 and the license that real files take.

    A record is accepted over several lines only if its quotes are well formed to the end; otherwise its first line
    alone is called unclosed and reading goes on with the next line, so that one forgotten quote cannot swallow its
    neighbours.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        delimiter = re.escape(dialect.delimiter)
        self._line = re.compile(r"([^\r\n]*)(\r\n|\n|\r|\Z)")
        quote = re.escape(dialect.quote) if dialect.quote else None
        if quote:
            # blanks around a quoted field are padding
            blank = "[ \u3000]*+" if dialect.delimiter == "\t" else "[ \t\u3000]*+"
            quoted = f"{blank}{quote}(?P<quoted>[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+){quote}{blank}"
            plain = f"(?!{blank}{quote})(?P<plain>[^{delimiter}\r\n]*+)"
            self._field = re.compile(f"(?:{quoted}|{plain})(?P<end>{delimiter}|\r\n|\n|\r|\\Z)")

    def record_at(self, text: str, position: int, *, final: bool) -> tuple[list[str] | None, int] | None:
        """The record that begins at ``position``: its fields (None: quotes not closed) and where the next one begins.

        None if the text ends too early to say (``final``: there is no more text).
        """
        line = self._line.match(text, position)
        assert line is not None
        ends_early = line.end() == len(text) and line.group(2) in ("", "\r") and not final
        quote = self.dialect.quote
        if quote is None or quote not in line.group(1):
            return None if ends_early else (line.group(1).split(self.dialect.delimiter), line.end())
        limit = min(len(text), position + MAX_RECORD_BYTES)
        fields: list[str] = []
        at = position
        while True:
            match = self._field.match(text, at, limit)
            if match is None or (match.group("end") == "" and limit < len(text)):
                # malformed; or a quote that may close in text still to come
                if not final and limit == len(text) and (ends_early or self._may_close(text, at)):
                    return None
                return None, line.end()
            quoted = match.group("quoted")
            fields.append(match.group("plain") if quoted is None else quoted.replace(quote * 2, quote))
            at = match.end()
            end = match.group("end")
            if end == self.dialect.delimiter:
                continue
            if at == len(text) and end in ("", "\r") and not final:
                return None
            return fields, at

    def _may_close(self, text: str, at: int) -> bool:
        """Whether the field at ``at`` opened a quote that has no closing one in the text so far."""
        quote = self.dialect.quote
        while text[at : at + 1] in (" ", "\t", "\u3000") and text[at] != self.dialect.delimiter:
            at += 1
        if not text.startswith(quote or "\0", at):
            return False
        rest = text[at + 1 :]
        return not re.search(f"(?<!{quote}){quote}(?!{quote})", rest.replace((quote or "") * 2, "  "))

    def first_line_end(self, text: str, position: int) -> int:
        """Where the physical line at ``position`` ends, its line end included."""
        line = self._line.match(text, position)
        assert line is not None
        return line.end()


class DelimitedReader:
    """Turns decoded text into batches of the wanted columns."""

    def __init__(
        self,
        dialect: Dialect,
        layout: Layout,
        *,
        no_record: Callable[[Sequence[str]], Kind | None] | None = None,
        block_bytes: int = 8 << 20,
        careful_bytes: int = 1 << 16,
    ) -> None:
        """``no_record`` says which lines are no records (see `lines`); a line of blanks alone never is one."""
        self.dialect = dialect
        self.layout = layout
        self._no_record = no_record or (lambda fields: None if any(text.strip() for text in fields) else "blank_line")
        self._fewest = layout.fields
        self.block_bytes = block_bytes
        self.careful_bytes = careful_bytes
        self._scanner = RecordScanner(dialect)
        self._next_row = 1
        self._delimiter = dialect.delimiter.encode()
        quote = dialect.quote or ""
        blank = b"[" + re.escape(self._delimiter + quote.encode() + b" ") + b"]"
        # a record of marks alone, or an empty line: both for the careful path
        self._blank_line = re.compile(b"\n(?:" + blank + b"++|\xe3\x80\x80)*+\r?\n")

    def batches(self, texts: Iterable[str]) -> Iterator[Batch]:
        """The records of a text that comes in pieces; the header is already behind."""
        held = b""
        parts: list[bytes] = []
        size = 0
        skipping = False
        for text in texts:
            piece = text.encode("utf-8")
            if skipping:
                end = _first_line_end(piece)
                if end is None:
                    continue
                piece, skipping = piece[end:], False
            parts.append(piece)
            size += len(piece)
            if size < self.block_bytes:
                continue
            block = held + b"".join(parts)
            parts, size = [], 0
            held = yield from self._drain(block, final=False)
            if len(held) > MAX_RECORD_BYTES and _first_line_end(held) is None:
                yield self._over_long()
                held, skipping = b"", True
        yield from self._drain(held + b"".join(parts), final=True)

    def _drain(self, block: bytes, *, final: bool) -> Generator[Batch, None, bytes]:
        """Every record that can be taken from ``block``; returns what is left of it (an unfinished record).

        The fast path is tried on all of it, then on ever smaller parts from its start, and on larger ones again once it
        has succeeded.
        """
        reach = len(block)
        while block:
            whole = reach >= len(block)
            end = len(block) if whole else block.rfind(b"\n", 0, reach) + 1
            taken = self._fast(block[:end], final=final and whole) if end else None
            if taken is None and end > self.careful_bytes:
                reach = end // 2
                continue
            used, batch = taken or self._carefully(block, final=final)
            if batch is not None:
                yield batch
            if not used:
                break
            block = block[used:]
            reach = 2 * max(reach, self.careful_bytes)
        return block

    def _carefully(self, block: bytes, *, final: bool) -> tuple[int, Batch | None]:
        """The careful path on the records that begin in the first ``careful_bytes``, with as much text behind them as the
        longest record and the look at the one after it can need."""
        window = self.careful_bytes + 2 * MAX_RECORD_BYTES
        end = len(block) if len(block) <= window else block.rfind(b"\n", 0, window) + 1
        used, batch = self._careful(block[:end], final=final and end == len(block), until=self.careful_bytes)
        return (used, batch) if used else self._careful(block, final=final)

    def _over_long(self) -> Batch:
        row = self._next_row
        self._next_row += 1
        return Batch({}, np.empty(0, np.int64), 1, [Reject(row, "over_long")])

    # ------------------------------------------------------------------ fast

    def _fast(self, block: bytes, *, final: bool) -> tuple[int, Batch | None] | None:
        """Bytes used and their batch, or None if anything about the block is unusual."""
        if final and block and not block.endswith(b"\n"):
            block += b"\n"
        if b"\0" in block or b"\x1a" in block or _UNREADABLE_BYTES in block:
            return None
        if block.count(b"\r") != block.count(b"\r\n"):
            return None
        if self._blank_line.search(block) or self._blank_line.match(b"\n" + block[: block.find(b"\n") + 1]):
            return None
        view = np.frombuffer(block, np.uint8)
        newlines = np.flatnonzero(view == 0x0A)
        quoted = self.dialect.quote is not None and self.dialect.quote.encode() in block
        if quoted:
            ends = self._ends_outside_quotes(block, view, newlines)
            if ends is None:
                return None
            newlines = ends
        if not len(newlines):
            return None
        if np.diff(newlines, prepend=-1).max() > MAX_RECORD_BYTES:
            return None
        used = int(newlines[-1]) + 1
        try:
            table = self._parse(block[:used], quoted=quoted)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(newlines):
            return None
        first = self._next_row
        self._next_row += table.num_rows
        rows = np.arange(first, self._next_row, dtype=np.int64)
        columns = {item: table.column(f"f{at}") for item, at in self.layout.wanted.items()}
        return used, Batch(columns, rows, table.num_rows, has_gaiji=_GETA_BYTES in block)

    def _ends_outside_quotes(self, block: bytes, view: np.ndarray, newlines: np.ndarray) -> np.ndarray | None:
        """Positions of the newlines that end records, or None if quotes stand where none may.

        Counting from the block's start (which is a record's start), every quote with an even index opens and must
        follow a field's start or the quote it doubles; every odd one closes and must precede a field's end or the
        quote it doubles.
        """
        assert self.dialect.quote is not None
        mark = ord(self.dialect.quote)
        quotes = np.flatnonzero(view == mark)
        before = np.searchsorted(quotes, newlines)
        newlines = newlines[before % 2 == 0]
        if not len(newlines):
            return None
        quotes = quotes[quotes < newlines[-1]]
        opening, closing = quotes[0::2], quotes[1::2]
        ahead = view[opening - 1]  # of position 0 this is the last byte, a record's end or replaced just below
        if len(opening) and opening[0] == 0:
            ahead = ahead.copy()
            ahead[0] = 0x0A
        behind = view[closing + 1]
        starts = (ahead == self._delimiter[0]) | (ahead == 0x0A) | (ahead == mark)
        ends = (behind == self._delimiter[0]) | (behind == 0x0A) | (behind == 0x0D) | (behind == mark)
        return newlines if starts.all() and ends.all() else None

    def _parse(self, data: bytes, *, quoted: bool) -> pa.Table:
        names = [f"f{i}" for i in range(self.layout.fields)]
        wanted = [f"f{i}" for i in sorted(set(self.layout.wanted.values()))]
        return pa_csv.read_csv(
            pa.BufferReader(data),
            pa_csv.ReadOptions(column_names=names, block_size=2 * MAX_RECORD_BYTES),
            pa_csv.ParseOptions(
                delimiter=self.dialect.delimiter,
                quote_char=self.dialect.quote if quoted else False,
                double_quote=True,
                escape_char=False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            pa_csv.ConvertOptions(
                include_columns=wanted,
                column_types=dict.fromkeys(wanted, pa.string()),
                strings_can_be_null=False,
            ),
        )

    # --------------------------------------------------------------- careful

    def _careful(self, block: bytes, *, final: bool, until: int | None = None) -> tuple[int, Batch | None]:
        text = block.decode("utf-8")
        until = len(text) if until is None else until
        positions = list(self.layout.wanted.values())
        kept: list[list[str]] = []
        rows: list[int] = []
        rejects: list[Reject] = []
        not_records: list[NotARecord] = []
        padded: list[int] = []
        first = self._next_row
        at = 0
        while at < min(until, len(text)):
            found = self._scanner.record_at(text, at, final=final)
            if found is None:
                break
            fields, end = found
            if fields is None or len(fields) != self.layout.fields:
                fields, end = self._second_look(text, at, fields, end, final=final)
            if text[at:end].rstrip("\r\n") in ("", _END_OF_FILE_MARK):
                at = end  # an empty line is no record, nor is the mark alone: it says nothing of anyone
                continue
            is_short = fields is not None and self._may_be_padded(fields)
            if is_short and not final and self._scanner.record_at(text, end, final=False) is None:
                break  # the line behind it decides, and it is still to come
            row = self._next_row
            self._next_row += 1
            raw = text[at:end]
            kind = None if fields is None or "\0" in raw or UNREADABLE in raw else self._no_record(fields)
            if kind is not None and fields is not None and len(raw) <= MAX_RECORD_BYTES // 4:
                not_records.append(NotARecord(row, kind, says(kind, fields)))
                at = end
                continue
            is_last = final and end == len(text)
            if fields is not None and len(fields) != self.layout.fields:
                whole = self._completed(text, end, fields, final=final, is_cut=is_last and raw[-1:] not in "\r\n")
                is_short = len(fields) < self.layout.fields
                fields = whole or fields
            reject = self._fault(row, raw, fields, is_cut=is_last and raw[-1:] not in "\r\n\x1a")
            if reject is None:
                assert fields is not None
                kept.append([fields[i] for i in positions])
                rows.append(row)
                if is_short:
                    padded.append(row)
            else:
                rejects.append(reject)
            at = end
        if self._next_row == first:
            return len(text[:at].encode("utf-8")), None
        columns = {
            item: pa.array([record[i] for record in kept], pa.string()) for i, item in enumerate(self.layout.wanted)
        }
        batch = Batch(
            columns,
            np.array(rows, dtype=np.int64),
            self._next_row - first,
            rejects,
            has_gaiji=text.find(GETA + "{", 0, at) >= 0,
            not_records=not_records,
            padded=padded,
        )
        return len(text[:at].encode("utf-8")), batch

    def _may_be_padded(self, fields: Sequence[str]) -> bool:
        return self.layout.needs is not None and self.layout.needs <= len(fields) < self.layout.fields

    def _completed(self, text: str, end: int, fields: list[str], *, final: bool, is_cut: bool) -> list[str] | None:
        """The fields of a record that has more or fewer than the header, if what is missing or too much is empty cells at
        its end; else None.

        Not so for a record that a line break inside a field tore in two (the line behind it begins with no number like its
        own and makes up the missing fields), nor for a last line that just ends.
        """
        layout = self.layout
        if len(fields) > layout.fields:
            return None if any(text.strip() for text in fields[layout.fields :]) else fields[: layout.fields]
        if not self._may_be_padded(fields):
            return None
        if is_cut and len(fields) < self._fewest:
            return None
        key = fields[layout.key_at].strip() if layout.key_at is not None else ""
        if layout.key_at is not None and not _shape(key)[1]:
            return None  # no number of anybody's
        following = self._scanner.record_at(text, end, final=final)
        behind = following[0] if following is not None else None
        if (
            behind
            and len(fields) + len(behind) - 1 == layout.fields
            and layout.key_at is not None
            and (layout.key_at >= len(behind) or _shape(behind[layout.key_at]) != _shape(key))
        ):
            return None
        if not is_cut:
            self._fewest = min(self._fewest, len(fields))
        return fields + [""] * (layout.fields - len(fields))

    def _second_look(
        self, text: str, at: int, fields: list[str] | None, end: int, *, final: bool
    ) -> tuple[list[str] | None, int]:
        """A record of several lines and the wrong number of fields: if the line after its first is a good record by
        itself, the first line's quote was never closed, and what followed is not part of it."""
        line_end = self._scanner.first_line_end(text, at)
        if fields is None or end == line_end:
            return fields, end
        following = self._scanner.record_at(text, line_end, final=final)
        if following is not None and following[0] is not None and len(following[0]) == self.layout.fields:
            return None, line_end
        return fields, end

    def _fault(self, row: int, raw: str, fields: list[str] | None, *, is_cut: bool = False) -> Reject | None:
        if len(raw) > MAX_RECORD_BYTES // 4 and len(raw.encode("utf-8")) > MAX_RECORD_BYTES:
            return Reject(row, "over_long")
        if "\0" in raw:
            return Reject(row, "nul_byte")
        if is_cut and (fields is None or len(fields) < self.layout.fields) and self.layout.needs is not None:
            return Reject(row, "cut_off")
        if fields is None:
            return Reject(row, "undecodable" if UNREADABLE in raw else "unclosed_quote")
        if len(fields) != self.layout.fields:
            return Reject(row, "undecodable" if UNREADABLE in raw else "wrong_field_count")
        if UNREADABLE in raw:
            for item, position in self.layout.wanted.items():
                if UNREADABLE in fields[position]:
                    return Reject(row, "undecodable", item)
        return None


def _shape(key: str) -> tuple[bool, bool]:
    """What kind of number a key is: of digits alone or not, and whether it has any."""
    key = key.strip()
    return key.isdecimal(), any(letter.isdecimal() for letter in key)


def _first_line_end(piece: bytes) -> int | None:
    """Where the first line of ``piece`` ends, or None if it does not."""
    ends = [at for at in (piece.find(b"\n"), piece.find(b"\r")) if at >= 0]
    if not ends:
        return None
    at = min(ends)
    return at + 2 if piece[at : at + 2] == b"\r\n" else at + 1
