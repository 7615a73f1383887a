"""Collects what is true about a twin and writes it beside the extracts. The pipeline never reads these files."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from kodomo_platform.catalog import Source
from kodomo_platform.synthetic.world import Frame, World

if TYPE_CHECKING:
    from kodomo_platform.synthetic.facts import Shared

Texts = npt.NDArray[np.object_]
_RECORDS = ("source", "source_record_id", "person_id", "tags")
_FAULTS = ("source", "extract_date", "row_number", "item", "kind")
_ABSENCE = ("source", "source_record_id", "item", "period", "kind")
_OUTCOMES = ("person_id", "theme", "outcome_date", "observed", "latent_need", "probability")


def _constant(value: str, size: int) -> Any:
    return pa.array([value], pa.string()).take(pa.array(np.zeros(size, dtype=np.int64)))


class Truth:
    """Grows while the extracts are written; `write` puts it down."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._records: list[Any] = []
        self._faults: list[Any] = []
        self._absence: list[Any] = []
        self._outcomes: list[Any] = []
        self._kinds: Counter[str] = Counter()
        self._outcome_counts: dict[str, int] = {}

    def person_tags(self) -> Texts:
        """Per person, the tags that hold wherever it appears."""
        world = self._world
        p, homes = world.people, world.homes
        size = homes.children[p.household]
        changed = ~np.isnat(p.surname_changed_on) & (p.surname_changed_on < world.end)
        marks = (
            ("twin", p.twin),
            ("sibling", p.child & (size > 1)),
            ("foreign", p.foreign),
            ("surname_changed", changed),
            ("not_in_register", ~p.in_register),
            ("adult", ~p.child),
            ("returning", p.returned),
            ("single_parent", homes.single[p.household]),
            ("joint_custody", homes.joint_custody[p.household]),
        )
        code = np.zeros(p.count, dtype=np.int64)
        for bit, (_name, mask) in enumerate(marks):
            code |= mask.astype(np.int64) << bit
        unique, inverse = np.unique(code, return_inverse=True)
        table = [
            "|".join(name for bit, (name, _m) in enumerate(marks) if value >> bit & 1) for value in unique.tolist()
        ]
        return np.array(table, dtype=object)[inverse]

    def add_records(self, source: Source, frame: Frame, world: World) -> None:
        """The person behind each record number of a source, with tags."""
        if not len(frame):
            return
        keys = frame.columns[source.record_key]
        _unique, first = np.unique(keys.astype(str), return_index=True)
        tags = self.person_tags()[frame.person[first]]
        rename = {"stale": "stale", "moved": "moved"}
        for name, mask in frame.tags.items():
            hit = np.flatnonzero(mask[first])
            label = rename.get(name, name)
            for index in hit.tolist():
                tags[index] = f"{tags[index]}|{label}" if tags[index] else label
        self.add_record_rows(source.key, keys[first], world.people.person_id[frame.person[first]], tags)

    def add_record_rows(self, source: str, keys: Texts, people: Texts, tags: Texts) -> None:
        """Plain rows of records.csv."""
        self._records.append(
            pa.table(
                [
                    _constant(source, len(keys)),
                    pa.array(keys, pa.string()),
                    pa.array(people, pa.string()),
                    pa.array(tags, pa.string()),
                ],
                names=list(_RECORDS),
            )
        )

    def add_faults(self, source: str, day: date, rows: npt.NDArray[Any], item: str, kind: str) -> None:
        """Faults of one kind at these 1-based row numbers."""
        size = len(rows)
        if not size:
            return
        self._kinds[kind] += size
        self._faults.append(
            pa.table(
                [
                    _constant(source, size),
                    _constant(f"{day:%Y-%m-%d}", size),
                    pa.array(np.asarray(rows, dtype=np.int64)),
                    _constant(item, size),
                    _constant(kind, size),
                ],
                names=list(_FAULTS),
            )
        )

    def add_absence(self, source: str, key: str, item: str, period: str, kind: str) -> None:
        """One aggregated row."""
        self._absence.append(pa.table([[source], [key], [item], [period], [kind]], names=list(_ABSENCE)))

    def add_absences(
        self, source: str, keys: Texts, item: str, period: Texts, mask: npt.NDArray[np.bool_], kind: str
    ) -> None:
        """Cells that hold nothing; a column without any value becomes one row for all."""
        hits = np.flatnonzero(mask)
        if not len(hits):
            return
        if len(hits) == len(mask):
            self.add_absence(source, "*", item, "*", kind)
            return
        size = len(hits)
        self._absence.append(
            pa.table(
                [
                    _constant(source, size),
                    pa.array(keys[hits], pa.string()),
                    _constant(item, size),
                    pa.array(period[hits], pa.string()),
                    _constant(kind, size),
                ],
                names=list(_ABSENCE),
            )
        )

    def add_outcomes(self, shared: Shared) -> None:
        """One row per child and theme, with or without an outcome; an unobserved need keeps its date."""
        world = self._world
        c = world.children
        for theme in world.needs.themes:
            day, observed = shared.outcomes[theme]
            shown = observed & (day < world.end)
            if theme not in ("school_refusal", "abuse"):
                shown = shown & world.people.in_register[:c]
            text = day.astype(str).astype(object)
            text[np.isnat(day)] = ""
            self._outcome_counts[theme] = int(shown.sum())
            self._outcomes.append(
                pa.table(
                    [
                        pa.array(world.people.person_id[:c], pa.string()),
                        _constant(theme, c),
                        pa.array(text, pa.string()),
                        pa.array(shown.astype(np.int64)),
                        pa.array(np.round(world.needs.latent[theme], 4)),
                        pa.array(np.round(world.needs.probability[theme], 5)),
                    ],
                    names=list(_OUTCOMES),
                )
            )

    def fault_counts(self) -> tuple[int, int]:
        """(faults, kinds)."""
        return sum(self._kinds.values()), len(self._kinds)

    def outcome_counts(self) -> dict[str, int]:
        """Observed outcomes per theme."""
        return dict(self._outcome_counts)

    def write(self, folder: Path) -> None:
        """records.csv, faults.csv, absence.csv, outcomes.csv."""
        folder.mkdir(parents=True, exist_ok=True)
        options = pacsv.WriteOptions(quoting_style="needed")
        for name, tables, header in (
            ("records.csv", self._records, _RECORDS),
            ("faults.csv", self._faults, _FAULTS),
            ("absence.csv", self._absence, _ABSENCE),
            ("outcomes.csv", self._outcomes, _OUTCOMES),
        ):
            table = (
                pa.concat_tables(tables)
                if tables
                else pa.table({column: pa.array([], pa.string()) for column in header})
            )
            if name == "records.csv" and len(table):
                table = _distinct(table)
            if name == "faults.csv" and len(table):
                table = table.sort_by(
                    [
                        ("source", "ascending"),
                        ("extract_date", "ascending"),
                        ("row_number", "ascending"),
                        ("item", "ascending"),
                        ("kind", "ascending"),
                    ]
                )
            pacsv.write_csv(table, folder / name, options)


def _distinct(table: Any) -> Any:
    """First row per record: delta sources and corrections add a record more than once."""
    key = np.array(table["source"].to_numpy(zero_copy_only=False).astype(str))
    joined = np.char.add(np.char.add(key, "|"), table["source_record_id"].to_numpy(zero_copy_only=False).astype(str))
    _values, first = np.unique(joined, return_index=True)
    return table.take(pa.array(np.sort(first)))
