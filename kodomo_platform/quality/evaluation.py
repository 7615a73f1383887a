"""How well the suites find the faults that a digital twin put in: the only code here that reads a truth folder.

``faults.csv`` (source, extract_date, row_number, item, kind) is compared with the rows that the expectations point at.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kodomo_platform.errors import UsageError
from kodomo_platform.quality.engine import table_columns, validate
from kodomo_platform.quality.locating import faulty_rows, row_expectations
from kodomo_platform.warehouse import connect

Place = tuple[str, str, int]


@dataclass
class Evaluation:
    """Detection figures. Shares are 0-1; ``row_precision`` counts alarms above info alone."""

    municipality: str
    kinds_found: int
    kinds_total: int
    row_recall: float
    row_precision: float
    false_alarms: int
    faults: int
    located: int
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    unexplained: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for ``--json``."""
        return asdict(self)


def read_faults(truth: Path) -> list[tuple[Place, str, str]]:
    """((source, extract date, row number), item, kind) of every fault in ``truth``; row number 0: of the file."""
    file = truth / "faults.csv"
    if not file.exists():
        raise UsageError(
            "no faults.csv in the truth folder", where=str(truth), action="give the DIR of `kodomo synth --truth`"
        )
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return [
            (
                (row["source"], row["extract_date"], int(row["row_number"] or 0)),
                "" if row["item"] == "*" else row["item"] or "",
                row["kind"],
            )
            for row in csv.DictReader(stream)
        ]


def evaluate_quality(municipality: str, truth: Path, *, warehouse: Path | None = None) -> Evaluation:
    """Compare what the suites find in a twin's loaded extracts with the faults its truth lists.

    A fault is found when an expectation of any severity, or the door's rejects, points at its row (and at its item
    when the pointer names one of that row's faulty items). A false alarm is a failed expectation above info none of
    whose rows carries a fault.
    """
    from kodomo_platform.settings import get_settings

    path = warehouse or get_settings().warehouse(municipality)
    if not path.exists():
        raise UsageError("this municipality has no warehouse yet", where=municipality, action="run `kodomo run` first")
    faults = read_faults(truth)
    by_row: dict[Place, set[str]] = defaultdict(set)
    by_file: set[tuple[str, str]] = set()
    for place, item, _ in faults:
        by_row[place].add(item)
        by_file.add(place[:2])
    con = connect(path, read_only=True)
    try:
        present = table_columns(con)
        row = con.execute("select max(as_of_date) from cfg.run").fetchone() if "cfg.run" in present else None
        as_of = row[0] if row and row[0] else dt.date.today()
        results = validate(con, municipality, None, "evaluation", as_of, record=False, engine="sql")
        # an alarm is an expectation that failed: rows within a threshold are counted, but nobody is called
        failing = {result.expectation_id for result in results if not result.passed}
        pointers: dict[Place, set[str]] = defaultdict(set)
        alarmed: dict[Place, set[str]] = defaultdict(set)
        explained: Counter[str] = Counter()
        unexplained: Counter[str] = Counter()
        for found in faulty_rows(con, as_of, row_expectations()):
            place = (found.source, found.extract_date.isoformat(), found.row_number)
            pointers[place].add(found.item or "")
            # a true blank is no fault of the twin (its truth lists blanks as absences): found, not claimed
            blank = found.expectation.expect == "expect_values_to_be_present"
            if (
                found.expectation.severity != "info"
                and found.expectation.key in failing
                and not (blank and place not in by_row)
            ):
                alarmed[place].add(found.item or "")
            (explained if place in by_row else unexplained)[found.expectation.key] += 1
        door: set[tuple[str, str]] = set()
        if "raw.rejects" in present:
            for source, day, number, item in con.execute(
                "select source, extract_date, row_number, item from raw.rejects"
            ).fetchall():
                pointers[(source, day.isoformat(), number)].add(item or "")
                alarmed[(source, day.isoformat(), number)].add(item or "")
        for table in ("raw.dropped_columns", "raw.gaiji"):
            if table in present and "raw.files" in present:
                door.update(
                    (source, day.isoformat())
                    for source, day in con.execute(
                        f"select distinct t.source, f.extract_date from {table} as t "
                        "inner join raw.files as f on f.source = t.source and f.sha256 = t.source_file_sha256"
                    ).fetchall()
                )
    finally:
        con.close()
    by_kind: dict[str, dict[str, int]] = {}
    hits = 0
    for place, item, kind in faults:
        items = pointers.get(place, set())
        hit = bool(items) and (not item or item in items or "" in items)
        if place[2] == 0:
            hit = hit or place[:2] in door
        counts = by_kind.setdefault(kind, {"total": 0, "found": 0})
        counts["total"] += 1
        counts["found"] += hit
        hits += hit
    pairs = [(place, item) for place, items in alarmed.items() for item in items]
    right = sum(place in by_row for place, _ in pairs)
    faulty_sources = {source for source, _ in by_file}
    false_alarms = 0
    for result in results:
        if result.passed or result.severity == "info":
            continue
        if explained[result.expectation_id]:
            continue
        # an alarm about a whole table or file is explained by any fault of its source
        rows_point_elsewhere = unexplained[result.expectation_id] > 0
        false_alarms += rows_point_elsewhere or result.source not in faulty_sources
    return Evaluation(
        municipality=municipality,
        kinds_found=sum(counts["found"] > 0 for counts in by_kind.values()),
        kinds_total=len(by_kind),
        row_recall=hits / len(faults) if faults else 1.0,
        row_precision=right / len(pairs) if pairs else 1.0,
        false_alarms=false_alarms,
        faults=len(faults),
        located=len(pairs),
        by_kind=dict(sorted(by_kind.items())),
        unexplained=dict(unexplained.most_common(20)),
    )
