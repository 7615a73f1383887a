"""The same candidates, folds and measures on any early-warning table (`kodomo model bench`).

Text columns become indicators of their values as the training rows know them; an unknown value is none of them. What is
learned from the platform's own marts belongs to `training`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ScoringError, UsageError
from kodomo_platform.scoring.additive import Floats, sigmoid
from kodomo_platform.scoring.candidates import FITTERS, Ints, Table, folds_by_group, masked, measures

_NULLS = frozenset({"", "na", "nan", "null", "none", "?"})
_MAX_LEVELS = 20
MEASURES = ("auc", "average_precision", "brier", "ece")
# candidates whose reasons add up; boosting stands beside them as a yardstick
_EXPLAINABLE = ("ebm", "blend", "logistic")


@dataclass(frozen=True)
class BenchReport:
    """Means over all folds: per candidate the measures, and under ``masked`` the same per block."""

    rows: int
    outcomes: int
    folds: str
    candidates: dict[str, dict[str, Any]]
    chosen: str


def bench(
    file: Path,
    target: str,
    *,
    positive: str | None = None,
    exclude: Sequence[str] = (),
    blocks: Mapping[str, Sequence[str]] | None = None,
    group: str | None = None,
    time: str | None = None,
    folds: str = "5x5",
    seed: int = 20221220,
) -> BenchReport:
    """Fit and measure all candidates on the table in ``file``.

    ``folds`` is repeats × folds ("5x5"); a group is never split. With ``time`` each fold trains on earlier rows and is
    measured on later ones. Raises UsageError for a column that is not there, ScoringError when nothing can be learned.
    """
    repeats, parts = _folds(folds)
    columns = _read(file)
    blocks = dict(blocks or {})
    wanted = [target, *exclude, *(name for names in blocks.values() for name in names)]
    wanted += [name for name in (group, time) if name]
    missing = sorted({name for name in wanted if name not in columns})
    if missing:
        raise UsageError(
            f"no column named {', '.join(missing)}", where=file.name, expected=f"one of {', '.join(columns)}"
        )
    y, kept = _target(columns[target], positive, file.name, target)
    left_out = {target, *exclude, *([group] if group else []), *([time] if time else [])}
    x, names, origin = _matrix(
        {name: [column[i] for i in kept] for name, column in columns.items() if name not in left_out}
    )
    if not names:
        raise ScoringError("no column is left to learn from", where=file.name)
    place = {
        block: tuple(n for n, name in enumerate(origin) if name in set(members)) for block, members in blocks.items()
    }
    households = np.array([columns[group][i] for i in kept]) if group else np.array([f"{n:09d}" for n in range(len(y))])
    table = Table(x, y, tuple(names), place, households)
    moments = np.array([columns[time][i] for i in kept]) if time else None
    return _run(table, moments, repeats, parts, seed, file.name)


def _run(
    table: Table, moments: npt.NDArray[Any] | None, repeats: int, parts: int, seed: int, where: str
) -> BenchReport:
    sums: dict[str, dict[str, list[dict[str, float]]]] = {}
    for repeat in range(1 if moments is not None else repeats):
        for learn, aside in _splits(table, moments, parts, seed + repeat):
            rows = table.rows(learn)
            if not 0 < rows.y.sum() < len(rows.y) or not 0 < table.y[aside].sum() < len(aside):
                continue
            logits: dict[str, dict[str, Floats]] = {}
            for name, fitter in FITTERS.items():
                fitted = fitter(rows, "bench", seed=seed + repeat)
                views = {"": table.x[aside]}
                views |= {block: masked(table.x[aside], columns) for block, columns in table.blocks.items()}
                logits[name] = {block: fitted.predict(view) for block, view in views.items()}
            logits["blend"] = {block: (logits["logistic"][block] + logits["ebm"][block]) / 2 for block in logits["ebm"]}
            for name, by_block in logits.items():
                for block, values in by_block.items():
                    sums.setdefault(name, {}).setdefault(block, []).append(measures(table.y[aside], sigmoid(values)))
    if not sums:
        raise ScoringError(
            "no fold has both kinds of outcome", where=where, action="use fewer folds, or a table with more outcomes"
        )
    candidates: dict[str, dict[str, Any]] = {}
    for name, folds_of in sums.items():
        means = {
            block: {key: float(np.nanmean([row[key] for row in measured])) for key in MEASURES}
            for block, measured in folds_of.items()
        }
        candidates[name] = {**means.pop(""), "masked": means}
    return BenchReport(
        len(table.y),
        int(table.y.sum()),
        f"{repeats}x{parts}" if moments is None else f"{parts} by time",
        candidates,
        _choose(candidates),
    )


def _choose(candidates: dict[str, dict[str, Any]]) -> str:
    """Among the candidates with reasons: the lowest Brier, complete and with the worst block gone counted alike."""

    def cost(name: str) -> float:
        entry = candidates[name]
        worst = max((block["brier"] for block in entry["masked"].values()), default=entry["brier"])
        return float(entry["brier"] + worst) / 2 - 0.1 * float(entry["auc"])

    return min(_EXPLAINABLE, key=cost)


def _splits(
    table: Table, moments: npt.NDArray[Any] | None, parts: int, seed: int
) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    if moments is None:
        fold = folds_by_group(table.group, table.y, parts, seed)
        return [(np.flatnonzero(fold != part), np.flatnonzero(fold == part)) for part in range(parts)]
    order = np.array_split(np.unique(moments), parts + 1)
    out = []
    for later in range(1, len(order)):
        if not len(order[later]):
            continue
        aside = np.flatnonzero(np.isin(moments, order[later]))
        earlier = np.isin(moments, np.concatenate(order[:later]))
        learn = np.flatnonzero(earlier & ~np.isin(table.group, np.unique(table.group[aside])))
        # where nearly everybody comes back, leaving them out would leave nobody: then time alone parts the rows
        out.append((learn if len(learn) > earlier.sum() / 2 else np.flatnonzero(earlier), aside))
    return out


def _folds(text: str) -> tuple[int, int]:
    first, _, second = text.lower().partition("x")
    if not (first.isdigit() and second.isdigit() and 1 <= int(first) <= 50 and 2 <= int(second) <= 50):
        raise UsageError(f"folds cannot be {text!r}", expected="repeats x folds, e.g. 5x5")
    return int(first), int(second)


def _read(file: Path) -> dict[str, list[str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            sample = handle.read(8192)
            handle.seek(0)
            header = sample.partition("\n")[0]
            delimiter = max((",", ";", "\t"), key=header.count)
            rows = list(csv.reader(handle, delimiter=delimiter))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError("the table cannot be read", where=str(file), expected="a CSV file in UTF-8") from error
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise ScoringError("the table has no rows", where=file.name)
    names = [name.strip() for name in rows[0]]
    if len(set(names)) != len(names):
        raise ScoringError("a column name stands twice", where=file.name, expected="a name of its own for every column")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(names):
            raise ScoringError(
                f"record {number} has {len(row)} fields",
                where=file.name,
                expected=f"{len(names)} fields, like the header",
            )
    return {name: [row[n].strip() for row in rows[1:]] for n, name in enumerate(names)}


def _target(values: list[str], positive: str | None, where: str, name: str) -> tuple[Ints, list[int]]:
    """0/1 per row that has a target at all, and which rows those are."""
    kept = [n for n, value in enumerate(values) if value.lower() not in _NULLS]
    levels = sorted({values[n] for n in kept})
    if positive is None:
        truths = {"1", "1.0", "true", "yes", "y", "t"}
        found = [level for level in levels if level.lower() in truths]
        if len(levels) > 2 or len(found) != 1:
            raise UsageError(
                f"which value of {name} is the outcome?",
                where=where,
                expected="--positive VALUE, unless it is 0/1 or yes/no",
            )
        positive = found[0]
    y = np.array([int(values[n] == positive) for n in kept], dtype=np.int64)
    if y.sum() < 2 or y.sum() > len(y) - 2:
        raise ScoringError(
            f"{int(y.sum())} of {len(y)} rows have the outcome: nothing can be learned",
            where=where,
            expected="some rows with the outcome and some without",
        )
    return y, kept


def _matrix(columns: Mapping[str, list[str]]) -> tuple[Floats, list[str], list[str]]:
    """Numbers as they are, text as indicators; (matrix, column names, the table's column behind each)."""
    parts: list[Floats] = []
    names: list[str] = []
    origin: list[str] = []
    for name, column in columns.items():
        absent = np.array([value.lower() in _NULLS for value in column])
        numbers = _numbers(column, absent)
        if numbers is not None:
            parts.append(numbers)
            names.append(name)
            origin.append(name)
            continue
        levels, counts = np.unique(np.array(column)[~absent], return_counts=True)
        shown = levels[np.argsort(-counts, kind="stable")][:_MAX_LEVELS]
        if len(levels) == 2:
            shown = shown[1:]  # two values: one indicator says both
        if len(levels) > _MAX_LEVELS and len(levels) > len(column) / 2:
            continue  # a name or number of the row itself
        for level in shown:
            indicator = np.array([float(value == level) for value in column])
            indicator[absent] = np.nan
            parts.append(indicator)
            names.append(f"{name}={level}")
            origin.append(name)
    return (np.column_stack(parts) if parts else np.empty((0, 0))), names, origin


def _numbers(column: list[str], absent: npt.NDArray[np.bool_]) -> Floats | None:
    out = np.full(len(column), np.nan)
    for n, value in enumerate(column):
        if absent[n]:
            continue
        try:
            number = float(value)
        except ValueError:
            return None
        out[n] = number if np.isfinite(number) else np.nan
    return out
