"""One line per item for the people who decide about it: what is there, what is not and why, and on whom blanks fall.

The matrix by month belongs to `availability`, the decisions to `decisions`; the effect on models is scoring's to measure.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from kodomo_platform.quality.availability import STATUSES, availability, blank_patterns
from kodomo_platform.quality.decisions import effective

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import AbsenceDecision, Municipality


@dataclass(frozen=True)
class ItemSummary:
    """``item``: full key. ``shares``: percent of its cells by status, none left out that occurs. ``uneven``: the groups
    over which its blanks are not evenly spread, strongest first, with Cramér's V."""

    item: str
    cells: int
    shares: dict[str, float]
    uneven: tuple[str, ...]
    decisions: tuple[AbsenceDecision, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, for ``--json``."""
        return {
            "item": self.item, "cells": self.cells, "shares": self.shares, "uneven": list(self.uneven),
            "decisions": [decision.model_dump(mode="json") for decision in self.decisions],
        }  # fmt: skip


def item_summary(con: duckdb.DuckDBPyConnection, municipality: Municipality) -> list[ItemSummary]:
    """Every item of every source, in the catalogue's order."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for cell in availability(con, by_month=False):
        for status, number in cell.counts.items():
            counts[f"{cell.source}.{cell.item}"][status] += number
    uneven: dict[str, list[str]] = defaultdict(list)
    for pattern in sorted(blank_patterns(con), key=lambda p: -p.effect):
        if not pattern.random:
            uneven[f"{pattern.source}.{pattern.item}"].append(f"{pattern.group} (V {pattern.effect:.2f})")
    decided: dict[str, list[AbsenceDecision]] = defaultdict(list)
    for decision in effective(municipality):
        decided[decision.item].append(decision)
    answer = []
    for item, found in counts.items():
        cells = sum(found.values())
        shares = {s: round(100 * found[s] / cells, 3) for s in STATUSES if found.get(s)}
        answer.append(ItemSummary(item, cells, shares, tuple(uneven[item]), tuple(decided[item])))
    return answer
