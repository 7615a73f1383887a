"""What every reader of a file format hands on: blocks of records and the records it could not take.

Reading belongs to `delimited`, `fixed_width` and `workbook`; writing to the warehouse to `loading`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from kodomo_platform.extracts.lines import NotARecord

Reason = Literal[
    "wrong_field_count",  # more or fewer fields than the header
    "wrong_length",  # a fixed-width record of another length
    "undecodable",  # bytes that are no text in the declared encoding
    "nul_byte",
    "over_long",  # longer than MAX_RECORD_BYTES
    "unclosed_quote",  # a quoted field that does not end where a field can end
    "cut_off",  # the last line, which ends in the middle: the transfer was cut
    "destroyed_number",  # an identifier as a spreadsheet rounds it: 2.026E+11
    "formula_without_value",  # XLSX: a formula that was never calculated
    "cell_error",  # XLSX: #N/A, #REF! and their like
    "merged_cell",  # XLSX: a record that shares a cell with another
]

MAX_RECORD_BYTES = 1 << 20
"""Records longer than this are rejected unread: no register holds a megabyte about one event."""


@dataclass(frozen=True)
class Reject:
    """One record that could not be taken; never its contents."""

    row_number: int
    reason: Reason
    item: str | None = None


@dataclass(frozen=True)
class Batch:
    """Some consecutive records of a file.

    ``columns``: item name → text column; ``row_numbers``: 1-based ordinal of each record in its file, same length.
    ``records``: how many records were met, rejected ones and lines that are none (``not_records``) included.
    ``has_gaiji``: whether 〓{code} can be among the text. ``padded``: numbers of the records whose last fields were left out.
    ``guarded``: cells from which a spreadsheet's guard (="0012") was taken, by item.
    """

    columns: Mapping[str, pa.Array | pa.ChunkedArray]
    row_numbers: np.ndarray
    records: int
    rejects: list[Reject] = field(default_factory=list)
    has_gaiji: bool = False
    not_records: list[NotARecord] = field(default_factory=list)
    padded: list[int] = field(default_factory=list)
    guarded: Mapping[str, int] = field(default_factory=dict)
