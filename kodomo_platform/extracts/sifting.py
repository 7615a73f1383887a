"""What every format's records go through: lines that are none are taken out, spreadsheets' guards and losses mended.

A spreadsheet keeps its hands off ``="0012"`` and ``'0012``: the guard goes, the number stays. What it has rounded
(``2.026E+11``) is nobody's number any more and is rejected. Zeros that it ate are put back where the municipality's file
says how many digits a number has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.extracts.batches import Batch, Reject
from kodomo_platform.extracts.lines import Kind, Lines, NotARecord, says

_GUARD = re.compile(r"""^[\s\u3000]*(?:=T?\(?"(.*)"\)?|'(.*?)'?)[\s\u3000]*$""", re.DOTALL)
_MAY_BE_GUARDED = r"""^[\s\x{3000}]*[='＝]"""
_EXPONENT = re.compile(r"[+-]?\d(?:\.\d+)?E[+-]?\d{1,3}")
_MAY_BE_EXPONENT = r"[0-9０-９][EeＥｅ][+＋-]"
_PLAIN_KEY = r"^[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*$"
_IDENTIFYING = ("id", "phone", "postal")


@dataclass(frozen=True)
class Sieve:
    """How one file's records are sifted. ``types``: item → type in the catalogue; ``digits``: item → how many digits its
    numbers have; ``key``: the item that numbers a record; ``extra``: column kept beside the items → position."""

    lines: Lines
    wanted: Mapping[str, int]
    types: Mapping[str, str]
    key: str
    digits: Mapping[str, int]

    def sift(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches without lines that are no records and without destroyed numbers."""
        for batch in batches:
            yield self._sifted(batch) if len(batch.row_numbers) else batch

    def _sifted(self, batch: Batch) -> Batch:
        columns: dict[str, Any] = dict(batch.columns)
        guarded: dict[str, int] = {}
        for item, column in columns.items():
            unwrapped, cells = _without_guards(column)
            if cells:
                columns[item], guarded[item] = unwrapped, cells
        not_records = self._no_records(columns, batch.row_numbers)
        rejects = self._destroyed(columns, batch.row_numbers, {line.row_number for line in not_records})
        gone = [line.row_number for line in not_records] + [reject.row_number for reject in rejects]
        rows = batch.row_numbers
        if gone:
            keep = ~np.isin(rows, gone)
            mask = pa.array(keep)
            columns = {item: column.filter(mask) for item, column in columns.items()}
            rows = rows[keep]
        for item, width in self.digits.items():
            if item in columns:
                columns[item] = _widened(columns[item], width)
        return replace(
            batch,
            columns=columns,
            row_numbers=rows,
            rejects=sorted([*batch.rejects, *rejects], key=lambda reject: reject.row_number),
            not_records=sorted([*batch.not_records, *not_records], key=lambda line: line.row_number),
            guarded=guarded,
        )

    def _no_records(self, columns: Mapping[str, Any], rows: np.ndarray) -> list[NotARecord]:
        """Only records whose key looks like none are looked at one by one."""
        key = columns.get(self.key)
        if key is None:
            some = np.ones(len(rows), dtype=bool)
        else:
            odd = pc.invert(pc.match_substring_regex(key, _PLAIN_KEY))
            some = pc.fill_null(odd, True).to_numpy(zero_copy_only=False)
        if not some.any():
            return []
        found = []
        at = np.flatnonzero(some)
        picked = {self.wanted[item]: column.take(pa.array(at)).to_pylist() for item, column in columns.items()}
        memory: dict[tuple[str, ...], Kind | None] = {}
        for place, row in enumerate(at):
            cells = {position: values[place] or "" for position, values in picked.items()}
            texts = tuple(cells.values())
            if texts not in memory:
                memory[texts] = self.lines.kind_of_wanted(cells)
            kind = memory[texts]
            if kind is not None:
                found.append(NotARecord(int(rows[row]), kind, says(kind, texts)))
        return found

    def _destroyed(self, columns: Mapping[str, Any], rows: np.ndarray, gone: set[int]) -> list[Reject]:
        rejects: dict[int, Reject] = {}
        for item, column in columns.items():
            if self.types.get(item) not in _IDENTIFYING:
                continue
            suspect = pc.match_substring_regex(column, _MAY_BE_EXPONENT).to_numpy(zero_copy_only=False)
            for at in np.flatnonzero(suspect):
                row = int(rows[at])
                if row not in gone and row not in rejects and is_rounded(column[int(at)].as_py()):
                    rejects[row] = Reject(row, "destroyed_number", item)
        return list(rejects.values())


def is_rounded(text: str) -> bool:
    """Whether a number stands there as a spreadsheet rounds it (``2.026E+11``): its last digits are lost."""
    return _EXPONENT.fullmatch(normalize("NFKC", text).strip().upper()) is not None


def _without_guards(column: Any) -> tuple[Any, int]:
    suspect = pc.match_substring_regex(column, _MAY_BE_GUARDED)
    if not pc.any(suspect).as_py():
        return column, 0
    texts = column.to_pylist()
    cells = 0
    for at in np.flatnonzero(suspect.to_numpy(zero_copy_only=False)):
        text = unguarded(texts[at])
        cells += text != texts[at]
        texts[at] = text
    return pa.array(texts, pa.string()), cells


def unguarded(text: str) -> str:
    """A cell without what keeps a spreadsheet from changing it: ``="0012"`` and ``'0012`` are 0012."""
    match = _GUARD.match(text.replace("＝", "=", 1))
    if match is None:
        return text
    return match[1].replace('""', '"') if match[1] is not None else match[2]


def _widened(column: Any, width: int) -> Any:
    """Zeros in front of whole numbers of fewer digits; everything else as it is."""
    short = pc.match_substring_regex(column, f"^\\s*[0-9]{{1,{width - 1}}}(\\.0+)?\\s*$") if width > 1 else None
    if short is None or not pc.any(short).as_py():
        return column
    bare = pc.replace_substring_regex(pc.utf8_trim_whitespace(column), "\\.0+$", "")
    return pc.if_else(short, pc.utf8_lpad(bare, width, "0"), column)
