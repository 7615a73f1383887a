"""The same candidates, folds and measures on any early-warning table (`kodomo model bench`).

Numbers stay numbers, dates become days, text becomes indicators of its values; what cannot be read in a column of numbers
is absent. A constant column, or one that names the row, says nothing and is left out and reported. What is learned from
the platform's own marts belongs to `training`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ScoringError, UsageError
from kodomo_platform.scoring.additive import Floats, sigmoid
from kodomo_platform.scoring.candidates import FITTERS, Ints, Table, calibration_error, folds_by_group, masked, measures

_NULLS = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "?", "-"})
_MAX_LEVELS = 20
# A column is one of numbers (or dates) when this share of its values reads as such; the rest are slips and count as absent.
_READABLE = 0.95
# Above this many measured rows another repeat says nothing new, and costs minutes.
_ROWS_MEASURED = 25_000
# More rows than this do not make a fold's model better; whole groups are left out of training, never of measuring.
_ROWS_LEARNED = 60_000
MEASURES = ("auc", "average_precision", "brier", "ece")
# candidates whose reasons add up; boosting stands beside them as a yardstick
_EXPLAINABLE = ("ebm", "blend", "logistic")


@dataclass(frozen=True)
class BenchReport:
    """Means over all folds: per candidate the measures, and under ``masked`` the same per block.

    ``left_out``: columns that say nothing, and why. ``notes``: where less was done than asked, and why.
    """

    rows: int
    outcomes: int
    folds: str
    candidates: dict[str, dict[str, Any]]
    chosen: str
    features: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


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
    if target in {name for names in blocks.values() for name in names} or target in exclude or target in (group, time):
        raise UsageError(
            f"the target {target} cannot also be excluded, in a block, the group or the time", where=file.name
        )
    notes: list[str] = []
    y, kept = _target(columns[target], positive, file.name, target)
    if len(kept) < len(columns[target]):
        notes.append(f"{len(columns[target]) - len(kept)} rows without a target were left out")
    moments: npt.NDArray[Any] | None = None
    if time is not None:
        moments = _moments([columns[time][i] for i in kept])
        dated = ~np.isnan(moments)
        if not dated.all():
            notes.append(f"{int((~dated).sum())} rows without a time were left out")
            kept = [row for row, there in zip(kept, dated.tolist(), strict=True) if there]
            y, moments = y[dated], moments[dated]
        if len(np.unique(moments)) < 2:
            raise ScoringError(
                f"column {time} holds one moment: nothing is earlier than anything else",
                where=file.name,
                action="leave --time out, or name another column",
            )
    setting = {target, *exclude, *([group] if group else []), *([time] if time else [])}
    x, names, origin, left_out = _matrix(
        {name: [column[i] for i in kept] for name, column in columns.items() if name not in setting}
    )
    if not names:
        raise ScoringError("no column is left to learn from", where=file.name)
    place = {
        block: tuple(n for n, name in enumerate(origin) if name in set(members)) for block, members in blocks.items()
    }
    notes += [f"block {block} holds no column that says anything" for block, members in place.items() if not members]
    households = np.array([f"row {n:09d}" for n in range(len(y))], dtype=object)
    if group:
        # a row without a group is a group of its own
        named = [columns[group][i] for i in kept]
        households = np.array(
            [value if value.lower() not in _NULLS else households[n] for n, value in enumerate(named)], dtype=object
        )
        if len(set(households)) < 2:
            raise ScoringError(f"column {group} holds one group: it cannot be split", where=file.name)
    table = Table(x, y, tuple(names), place, households.astype(str))
    if moments is None:
        useful = max(1, min(repeats, _ROWS_MEASURED // max(len(y), 1)))
        if useful < repeats:
            notes.append(f"{useful} repeat(s) instead of {repeats}: with {len(y)} rows more would say nothing new")
            repeats = useful
        held = min(len(np.unique(table.group)), int(min(y.sum(), len(y) - y.sum())))
        if held < parts:
            notes.append(f"{max(held, 2)} folds instead of {parts}: no more have both kinds of outcome")
            parts = max(held, 2)
    return replace(_run(table, moments, repeats, parts, seed, file.name, notes), left_out=left_out)


def _run(
    table: Table,
    moments: npt.NDArray[Any] | None,
    repeats: int,
    parts: int,
    seed: int,
    where: str,
    notes: list[str],
) -> BenchReport:
    sums: dict[str, dict[str, list[dict[str, float]]]] = {}
    done = 0
    for repeat in range(1 if moments is not None else repeats):
        seen: dict[str, dict[str, list[Floats]]] = {}
        truth: list[Ints] = []
        for learn, aside in _splits(table, moments, parts, seed + repeat):
            rows = _at_most(table.rows(learn), _ROWS_LEARNED, seed)
            if not 0 < rows.y.sum() < len(rows.y) or not 0 < table.y[aside].sum() < len(aside):
                continue
            done += 1
            truth.append(table.y[aside])
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
                    seen.setdefault(name, {}).setdefault(block, []).append(sigmoid(values))
        # bins of one fold's few rows would show chance: calibration is read from all folds of a repeat together
        for name, by_block_seen in seen.items():
            for block, pieces in by_block_seen.items():
                error = calibration_error(np.concatenate(truth), np.concatenate(pieces))
                for row in sums[name][block][-len(pieces) :]:
                    row["ece"] = error
    if not sums:
        raise ScoringError(
            "no fold has both kinds of outcome", where=where, action="use fewer folds, or a table with more outcomes"
        )
    if moments is not None and done < parts:
        notes = [*notes, f"{done} of {parts} later parts could be measured: the others have one kind of outcome"]
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
        len(table.names),
        {},
        notes,
    )


def _at_most(table: Table, rows: int, seed: int) -> Table:
    """Whole groups, in an order drawn once, until there are enough rows."""
    if len(table.y) <= rows:
        return table
    names, index = np.unique(table.group, return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names))[index]
    sizes = np.bincount(place)
    kept = np.cumsum(sizes)[place] <= rows
    return table.rows(np.flatnonzero(kept)) if kept.any() else table


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
        data = file.read_bytes()
    except OSError as error:
        raise UsageError("the table cannot be read", where=str(file), expected="a CSV file") from error
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    encodings = ("utf-16",) if marked else ("utf-8-sig", "cp932", "latin-1")
    text = None
    for encoding in encodings:
        try:
            text = data.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    if text is None or "\0" in text:
        raise UsageError("the table is no text", where=file.name, expected="a CSV file (UTF-8, UTF-16 or CP932)")
    header = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max((",", ";", "\t", "|"), key=header.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise UsageError("the table cannot be read", where=file.name, expected="a CSV file with a header") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if len(rows) < 2:
        raise ScoringError("the table has no rows", where=file.name)
    # a column without a header is what spreadsheets and data frames leave of their row numbers
    names = [name.strip() or f"column_{n}" for n, name in enumerate(rows[0], start=1)]
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
    shown = ", ".join(levels[:10]) if len(levels) <= 10 else f"one of {len(levels)} values"
    if positive is None:
        truths = {"1", "1.0", "true", "yes", "y", "t", "はい", "有"}
        found = [level for level in levels if level.lower() in truths]
        if len(levels) > 2 or len(found) != 1:
            raise UsageError(
                f"which value of {name} is the outcome?",
                where=where,
                expected=f"--positive VALUE, unless it is 0/1 or yes/no; it holds {shown}",
            )
        wanted = {found[0]}
    else:
        wanted = {level for level in levels if _same(level, positive)}
        if not wanted:
            raise UsageError(f"no row of {name} has the value of --positive", where=where, expected=shown)
    y = np.array([int(values[n] in wanted) for n in kept], dtype=np.int64)
    if y.sum() < 2 or y.sum() > len(y) - 2:
        raise ScoringError(
            f"{int(y.sum())} of {len(y)} rows have the outcome: nothing can be learned",
            where=where,
            expected="some rows with the outcome and some without",
        )
    return y, kept


def _same(level: str, positive: str) -> bool:
    """Equal as text without regard to case, or as numbers (1 and 1.0)."""
    if level.casefold() == positive.strip().casefold():
        return True
    try:
        return float(level) == float(positive)
    except ValueError:
        return False


def _matrix(columns: Mapping[str, list[str]]) -> tuple[Floats, list[str], list[str], dict[str, str]]:
    """Numbers as they are, dates as days, text as indicators.

    Returns (matrix, column names, the table's column behind each, columns left out and why).
    """
    parts: list[Floats] = []
    names: list[str] = []
    origin: list[str] = []
    left_out: dict[str, str] = {}
    for name, column in columns.items():
        absent = np.array([value.lower() in _NULLS for value in column])
        distinct = {value for value, gone in zip(column, absent.tolist(), strict=True) if not gone}
        if not distinct:
            left_out[name] = "no value"
            continue
        if len(distinct) == 1 and not absent.any():
            left_out[name] = "constant"
            continue
        numbers = _numbers(column, absent)
        if numbers is None:
            numbers = _days(column, absent)
        if numbers is not None:
            parts.append(numbers)
            names.append(name)
            origin.append(name)
            continue
        levels, counts = np.unique(np.array(column)[~absent], return_counts=True)
        if len(levels) > _MAX_LEVELS and len(levels) > len(column) / 2:
            left_out[name] = "names the row: nearly every value is another"
            continue
        shown = levels[np.argsort(-counts, kind="stable")][:_MAX_LEVELS]
        if len(levels) == 2:
            shown = shown[1:]  # two values: one indicator says both
        for level in shown:
            indicator = np.array([float(value == level) for value in column])
            indicator[absent] = np.nan
            parts.append(indicator)
            names.append(f"{name}={level}")
            origin.append(name)
    return (np.column_stack(parts) if parts else np.empty((0, 0))), names, origin, left_out


def _numbers(column: list[str], absent: npt.NDArray[np.bool_]) -> Floats | None:
    """The column as numbers, or None when it is not one of numbers."""
    return _readable(column, absent, _number)


def _days(column: list[str], absent: npt.NDArray[np.bool_]) -> Floats | None:
    """The column as days since 1970, or None when it is not one of dates."""
    return _readable(column, absent, _day)


def _readable(column: list[str], absent: npt.NDArray[np.bool_], read: Callable[[str], float | None]) -> Floats | None:
    out = np.full(len(column), np.nan)
    unread = 0
    allowed = (1 - _READABLE) * float((~absent).sum())
    for n, value in enumerate(column):
        if absent[n]:
            continue
        number = read(value)
        if number is None:
            unread += 1
            if unread > allowed:
                return None
            continue
        out[n] = number
    return out


def _number(value: str) -> float | None:
    try:
        number = float(value[:-1] if value.endswith("%") else value)
    except ValueError:
        grouped = value.replace(",", "")
        try:
            number = float(grouped) if grouped != value and value.count(",") <= len(grouped) // 3 else float("nan")
        except ValueError:
            return None
        if np.isnan(number):
            return None
    # infinity, or a code so large that its square overflows, is no measurement
    return number if abs(number) < 1e100 else float("nan")


def _day(value: str) -> float | None:
    text = value.replace("/", "-").replace("Z", "+00:00")
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        pieces = text.split("-")
        try:
            moment = dt.datetime(int(pieces[0]), int(pieces[1]), int(pieces[2]) if len(pieces) == 3 else 1)
        except (ValueError, IndexError, OverflowError):
            return None
        if len(pieces) > 3:
            return None
    return (moment.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds() / 86400


def _moments(column: list[str]) -> Floats:
    """A number per row that grows with time: of numbers and dates themselves, of other text its place in the order."""
    absent = np.array([value.lower() in _NULLS for value in column])
    found = _numbers(column, absent)
    if found is None:
        found = _days(column, absent)
    if found is not None:
        return found
    order = {value: float(n) for n, value in enumerate(sorted(set(column)))}
    return np.array([np.nan if gone else order[value] for value, gone in zip(column, absent.tolist(), strict=True)])
