"""Fixed-width files: records of a fixed number of *bytes*, a line each, cut into fields by byte position.

Widths count bytes, as host systems mean them (a kanji of CP932 is two), so a record is cut before it is decoded: a
block becomes a matrix of bytes, a field a slice of it, and a whole column is decoded at once. Padding behind a value
(spaces, narrow or wide) is part of the format and is removed; zeros before a number are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.batches import MAX_RECORD_BYTES, Batch, Reject
from kodomo_platform.extracts.encoding import GETA, UNREADABLE, Encoding, decode
from kodomo_platform.extracts.lines import Kind, NotARecord, says

_PADDING = " \u3000"


@dataclass(frozen=True)
class FixedLayout:
    """``record_bytes`` in each line, and per wanted item its 0-based first byte and width."""

    record_bytes: int
    wanted: Mapping[str, tuple[int, int]]


def record_bytes_of(sample: bytes, needed: int, where: str) -> int:
    """The length of the records of a file that begins with ``sample``: that of most lines.

    Raises ExtractError if it is less than ``needed``, the end of the last mapped field, or if there are no lines at
    all.
    """
    lines = [line.rstrip(b"\r") for line in sample.split(b"\n")]
    whole = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line]
    lengths = np.bincount([min(len(line), MAX_RECORD_BYTES) for line in whole] or [0])
    length = int(lengths.argmax())
    if length < needed:
        raise ExtractError(
            f"most records are {length} bytes long",
            where=where,
            expected=f"at least {needed} bytes, the end of the last mapped field",
            action="compare the file with `start` and `width` in the municipality's file",
        )
    return length


class FixedWidthReader:
    """Turns the bytes of a fixed-width file into batches of the wanted columns."""

    def __init__(
        self,
        layout: FixedLayout,
        encoding: Encoding,
        *,
        no_record: Callable[[Sequence[str]], Kind | None] | None = None,
    ) -> None:
        if encoding.is_utf16:
            raise ExtractError(
                "a fixed-width file in UTF-16 cannot be cut by bytes", expected="cp932, utf-8 or utf-8-sig"
            )
        self.layout = layout
        self.encoding = encoding
        self._no_record = no_record or (lambda fields: None if any(text.strip() for text in fields) else "blank_line")
        self._next_row = 1

    def batches(self, chunks: Iterable[bytes]) -> Iterator[Batch]:
        """The records of a stream of bytes; title lines are already behind."""
        held = b""
        skipping = False
        for chunk in chunks:
            if skipping:
                end = chunk.find(b"\n") + 1
                if not end:
                    continue
                chunk, skipping = chunk[end:], False
            block = held + chunk
            used = block.rfind(b"\n") + 1
            held = block[used:]
            if used:
                yield self._batch(block[:used])
            if len(held) > MAX_RECORD_BYTES:
                yield self._over_long()
                held, skipping = b"", True
        if held:
            yield self._batch(held, is_last=True)

    def _over_long(self) -> Batch:
        row = self._next_row
        self._next_row += 1
        return Batch({}, np.empty(0, np.int64), 1, [Reject(row, "over_long")])

    def _batch(self, block: bytes, *, is_last: bool = False) -> Batch:
        lines = [line.removesuffix(b"\r") for line in block.split(b"\n")]
        lines = [line for line in lines if line and line != b"\x1a"]
        first = self._next_row
        self._next_row += len(lines)
        rejects: dict[int, Reject] = {}
        not_records: dict[int, NotARecord] = {}
        for row, line in enumerate(lines, first):
            reject = self._fault(row, line)
            if reject is None and line.strip():
                continue
            if (kind := self._kind_of(line)) is not None:
                not_records[row] = NotARecord(row, *kind)
            elif reject is not None:
                is_cut = is_last and row == self._next_row - 1 and len(line) < self.layout.record_bytes
                rejects[row] = Reject(row, "cut_off") if is_cut else reject
        good = [line for row, line in enumerate(lines, first) if row not in rejects and row not in not_records]
        rows = np.array(
            [row for row in range(first, self._next_row) if row not in rejects and row not in not_records],
            dtype=np.int64,
        )
        texts = {item: self._column(good, *span) for item, span in self.layout.wanted.items()}
        unreadable: set[int] = set()
        for item, column in texts.items():
            # finding the mark in the whole column first keeps the usual case fast
            if UNREADABLE in "".join(column):
                for at, text in enumerate(column):
                    if UNREADABLE in text and at not in unreadable:
                        unreadable.add(at)
                        rejects[int(rows[at])] = Reject(int(rows[at]), "undecodable", item)
        keep = np.array([at not in unreadable for at in range(len(good))], dtype=bool)
        columns = {item: pa.array(column, pa.string()).filter(pa.array(keep)) for item, column in texts.items()}
        has_gaiji = any(GETA + "{" in text for column in texts.values() for text in column)
        return Batch(
            columns,
            rows[keep],
            len(lines),
            [rejects[row] for row in sorted(rejects)],
            has_gaiji,
            [not_records[row] for row in sorted(not_records)],
        )

    def _kind_of(self, line: bytes) -> tuple[Kind, int | None] | None:
        """Whether a line of another length is no record, and how many records it says there are."""
        if len(line) > MAX_RECORD_BYTES or b"\0" in line:
            return None
        text = [decode(line, self.encoding.codec)]
        kind = self._no_record(text)
        return None if kind is None else (kind, says(kind, text))

    def _fault(self, row: int, line: bytes) -> Reject | None:
        if len(line) != self.layout.record_bytes:
            return Reject(row, "over_long" if len(line) > MAX_RECORD_BYTES else "wrong_length")
        if b"\0" in line:
            return Reject(row, "nul_byte")
        return None

    def _column(self, lines: list[bytes], start: int, width: int) -> list[str]:
        """One field of every line, decoded; a line end between them keeps a cut character from reaching its
        neighbour.
        """
        if not lines:
            return []
        matrix = np.frombuffer(b"".join(lines), np.uint8).reshape(len(lines), self.layout.record_bytes)
        field = np.full((len(lines), width + 1), 0x0A, np.uint8)
        field[:, :width] = matrix[:, start : start + width]
        text = decode(field.tobytes(), self.encoding.codec)
        return [value.rstrip(_PADDING) for value in text.split("\n")[:-1]]
