"""The same candidates, folds and measures on any early-warning table (`kodomo model bench`).

Numbers stay numbers, dates become days (as they are written here or abroad), text becomes indicators of its values; what cannot be read in a column of numbers
is absent. A constant column, or one that names the row, says nothing and is left out and reported. What is learned from
the platform's own marts belongs to `training`.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ScoringError, UsageError
from kodomo_platform.scoring.additive import Floats, sigmoid
from kodomo_platform.scoring.candidates import (
    FITTERS,
    Ints,
    Table,
    blend_share,
    calibration_error,
    fit_ebm,
    fit_logistic,
    folds_by_group,
    masked,
    measures,
)

# How exports write that there is no value, besides what the caller names.
_NULLS = frozenset(
    {"", "na", "n/a", "n.a.", "<na>", "#n/a", "nan", "nat", "null", "(null)", "none", "missing", "?", "-", ".", "欠損"}
)
_MAX_LEVELS = 20
# A text of many values: those of at least this many rows get an indicator of their own, up to the second number.
_ROWS_OF_A_LEVEL, _MANY_LEVELS = 30, 60
# A column is one of numbers (or dates) when this share of its values reads as such; the rest are slips and count as absent.
_READABLE = 0.95
# Above this many measured rows another repeat says nothing new, and costs minutes.
_ROWS_MEASURED = 25_000
# More rows than this do not make a fold's model better; whole groups are left out of training, never of measuring.
_ROWS_LEARNED = 60_000
MEASURES = ("auc", "average_precision", "brier", "ece")
# Below so many rows with (or without) the outcome the figures say more about chance than about the candidates.
_OUTCOMES_TO_COMPARE = 20
# A single column that ranks the rows this well was most likely written after the outcome.
_LEAK = 0.98
# The chosen candidate ranks no worse than this below the best whose reasons add up.
_AUC_GIVEN_UP = 0.01
# Inside the rows learned from, parts held aside in turn to weigh the two halves of the blend.
_INNER_FOLDS = 3
# Brier with a source gone against Brier with all of them: what a candidate may lose before another is looked for.
_MASKED_RATIO = 1.15
# Records with another number of fields than the header: up to this share they are slips of the export and left out.
_BROKEN_RECORDS = 0.01
_TRUE = frozenset({"1", "1.0", "true", "yes", "y", "t", "はい", "有", "あり", "有り", "該当", "○"})
_FALSE = frozenset({"0", "0.0", "false", "no", "n", "f", "いいえ", "無", "なし", "無し", "非該当", "×"})
_TROUBLE = frozenset(
    {"fail", "failed", "dropout", "dropped out", "withdrawn", "bad", "at risk", "不合格", "退学", "中退", "不登校"}
)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")
_YEAR_FIRST = re.compile(r"\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?(?!\d)")
_YEAR_LAST = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)")
_ERA_MARKS = ("令和", "平成", "昭和", "年")
_IDENTITY = re.compile(r"(^|[ _.-])(id|uuid|guid)$|番号$|[a-z]ID$|Id$")
# candidates whose reasons add up; boosting stands beside them as a yardstick
_EXPLAINABLE = ("ebm", "blend", "logistic")


@dataclass(frozen=True)
class BenchReport:
    """Means over all folds: per candidate the measures, and under ``masked`` the same per block.

    ``left_out``: columns that say nothing, and why. ``notes``: where less was done than asked, and why. ``warnings``:
    what makes the figures doubtful (a column that must have seen the outcome, children on both sides of a split).
    """

    rows: int
    outcomes: int
    folds: str
    candidates: dict[str, dict[str, Any]]
    chosen: str
    features: int = 0
    left_out: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def bench(
    file: Path,
    target: str,
    *,
    positive: str | Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    missing: Sequence[str] = (),
    blocks: Mapping[str, Sequence[str]] | None = None,
    group: str | None = None,
    time: str | None = None,
    folds: str = "5x5",
    seed: int = 20221220,
) -> BenchReport:
    """Fit and measure all candidates on the table in ``file``.

    ``positive``: the target's value, or values, that are the outcome. ``missing``: what stands for no value in this table
    beside the usual NA, ? and empty, e.g. -9. ``folds`` is repeats × folds ("5x5"); a group is never split. With ``time``
    each fold trains on earlier rows and is measured on later ones. Raises UsageError for a column that is not there, ScoringError when nothing can be learned.
    """
    repeats, parts = _folds(folds)
    notes: list[str] = []
    columns = _without(_read(file, notes), missing)
    target = _meant(target, columns)
    group, time = (_meant(name, columns) if name else None for name in (group, time))
    exclude = [_meant(name, columns) for name in exclude]
    blocks = {block: [_meant(name, columns) for name in members] for block, members in (blocks or {}).items()}
    wanted = [target, *exclude, *(name for names in blocks.values() for name in names)]
    wanted += [name for name in (group, time) if name]
    unknown = sorted({name for name in wanted if name not in columns})
    if unknown:
        raise UsageError(
            f"no column named {', '.join(unknown)}", where=file.name, expected=f"one of {', '.join(columns)}"
        )
    if twice := [name for name in (target, group, time) if name and f"{name} (2)" in columns]:
        raise UsageError(f"column {twice[0]} stands twice: which one is meant?", where=file.name)
    if target in {name for names in blocks.values() for name in names} or target in exclude or target in (group, time):
        raise UsageError(
            f"the target {target} cannot also be excluded, in a block, the group or the time", where=file.name
        )
    y, kept = _target(columns[target], positive, file.name, target, notes)
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
    inputs = {name: [column[i] for i in kept] for name, column in columns.items() if name not in setting}
    identities = _identities(inputs)
    warned = [] if group else [why for _, why in identities.values() if why]
    x, names, origin, left_out = _matrix({name: values for name, values in inputs.items() if name not in identities})
    left_out |= {name: why for name, (why, _) in identities.items()}
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
    rarer = int(min(y.sum(), len(y) - y.sum()))
    if rarer < _OUTCOMES_TO_COMPARE:
        warned.append(
            f"{rarer} rows of the rarer kind are too few to tell candidates apart: the figures are mostly chance"
        )
    warned += _leaks(table)
    report = _run(table, moments, repeats, parts, seed, file.name, notes)
    worst, ratio = _worst_block(report.candidates[report.chosen])
    if ratio > _MASKED_RATIO:
        warned.append(
            f"without block {worst} the Brier of {report.chosen} is {ratio - 1:.0%} above that on complete rows: "
            "what the block says is nowhere else in the table"
        )
    return replace(report, left_out=left_out, warnings=warned)


def _meant(name: str, columns: Mapping[str, list[str]]) -> str:
    """The column that ``name`` means: itself, or the only one equal but for case and spaces at the ends."""
    if name in columns:
        return name
    alike = [column for column in columns if column.casefold() == name.strip().casefold()]
    return alike[0] if len(alike) == 1 else name


def _identities(columns: Mapping[str, list[str]]) -> dict[str, tuple[str, str | None]]:
    """Columns of whole numbers that number the rows or the people: why each is left out, and a warning or None.

    Taken as numbers, they would teach a model the order of the file.
    """
    out: dict[str, tuple[str, str | None]] = {}
    for name, column in columns.items():
        filled = [value for value in column if value.lower() not in _NULLS]
        if len(filled) < 20 or not all(value.isascii() and value.isdigit() for value in filled):
            continue
        numbers = {int(value) for value in filled}
        different = len(numbers) / len(filled)
        one_after_another = len(numbers) == len(filled) and max(numbers) - min(numbers) < 1.01 * len(filled)
        named = _IDENTITY.search(name) is not None
        if one_after_another or (named and different > 0.9):
            out[name] = ("numbers the rows", None)
        elif named and different > 0.1:
            out[name] = (
                "names whom the row is about",
                f"column {name} stands for {len(numbers)} in {len(filled)} rows: without --group {name} the same one is "
                "learned from and measured on",
            )
    return out


def _leaks(table: Table) -> list[str]:
    """A warning per column that alone, by its value or by its absence, tells the outcome almost perfectly."""
    from sklearn.metrics import roc_auc_score

    y = table.y
    out: list[str] = []
    if min(y.sum(), len(y) - y.sum()) < 10:
        return out
    for n, name in enumerate(table.names):
        absent = np.isnan(table.x[:, n])
        for values, there, by_absence in (
            (absent.astype(float), np.ones(len(y), dtype=bool), True),
            (table.x[:, n], ~absent, False),
        ):
            if not 10 <= y[there].sum() <= there.sum() - 10 or there.sum() < len(y) / 10:
                continue
            auc = float(roc_auc_score(y[there], values[there]))
            if max(auc, 1 - auc) > _LEAK:
                how = "being absent" if by_absence else "its value"
                out.append(
                    f"LEAK? column {name} alone tells the outcome by {how} (AUC {max(auc, 1 - auc):.3f}): if it is written "
                    "after the outcome, the figures are worthless; leave it out (--exclude)"
                )
    return out


def _worst_block(entry: Mapping[str, Any]) -> tuple[str, float]:
    """(block whose absence costs most, Brier without it over Brier with everything); ("", 1.0) without blocks."""
    ratios = {block: values["brier"] / max(entry["brier"], 1e-12) for block, values in entry["masked"].items()}
    worst = max(ratios, key=lambda block: ratios[block], default="")
    return worst, float(ratios.get(worst, 1.0))


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
            share = _share(rows, seed + repeat)
            logits["blend"] = {
                block: share * logits["logistic"][block] + (1 - share) * np.clip(logits["ebm"][block], -30.0, 30.0)
                for block in logits["ebm"]
            }
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


def _share(rows: Table, seed: int) -> float:
    """What logistic regression counts in the blend: measured inside the rows learned from, on groups held aside in turn."""
    fold = folds_by_group(rows.group, rows.y, _INNER_FOLDS, seed)
    seen: list[tuple[Floats, Floats, Ints]] = []
    # of many rows one part says enough
    for part in range(_INNER_FOLDS if len(rows.y) <= _ROWS_MEASURED else 1):
        learn, aside = rows.rows(fold != part), rows.rows(fold == part)
        if not 0 < learn.y.sum() < len(learn.y) or not len(aside.y):
            continue
        logistic, ebm = fit_logistic(learn, "bench", seed=seed), fit_ebm(learn, "bench", seed=seed, bags=3)
        seen.append((logistic.predict(aside.x), ebm.predict(aside.x), aside.y))
    if not seen:
        return 0.5
    first, second, y = (np.concatenate(pieces) for pieces in zip(*seen, strict=True))
    return blend_share(first, second, y)


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
    """Among the candidates with reasons that rank about as well as the best of them: the lowest Brier.

    Complete rows and those with the worst block gone count alike; one that bears the loss of any block goes first.
    """

    def cost(name: str) -> float:
        entry = candidates[name]
        worst = max((block["brier"] for block in entry["masked"].values()), default=entry["brier"])
        return float(entry["brier"] + worst) / 2 - 0.1 * float(entry["auc"])

    best = max(float(candidates[name]["auc"]) for name in _EXPLAINABLE)
    near = [name for name in _EXPLAINABLE if candidates[name]["auc"] >= best - _AUC_GIVEN_UP]
    steady = [name for name in near if _worst_block(candidates[name])[1] <= _MASKED_RATIO]
    return min(steady or near, key=cost)


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


def _read(file: Path, notes: list[str]) -> dict[str, list[str]]:
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
    rows = _records(text.lstrip("\r\n"), file.name)
    if len(rows) < 2:
        raise ScoringError("the table has no rows", where=file.name)
    while len(rows[0]) > 1 and not any(len(row) >= len(rows[0]) and row[len(rows[0]) - 1].strip() for row in rows):
        rows = [row[: len(rows[0]) - 1] for row in rows]  # every line ends in a delimiter
    # a column without a header is what spreadsheets and data frames leave of their row numbers
    names = [" ".join(name.split()) or f"column_{n}" for n, name in enumerate(rows[0], start=1)]
    # write.table of R gives the row numbers no header at all, not even an empty one
    if all(len(row) == len(names) + 1 for row in rows[1:]):
        names = ["row", *names]
    names = _told_apart(names, notes)
    whole = [row for row in rows[1:] if len(row) == len(names)]
    broken = [number for number, row in enumerate(rows[1:], start=2) if len(row) != len(names)]
    if len(broken) > _BROKEN_RECORDS * len(rows):
        raise ScoringError(
            f"record {broken[0]} has {len(rows[broken[0] - 1])} fields",
            where=file.name,
            expected=f"{len(names)} fields, like the header",
        )
    if broken:
        notes.append(f"{len(broken)} record(s) of another number of fields were left out, the first is {broken[0]}")
    return {name: [row[n].strip() for row in whole] for n, name in enumerate(names)}


def _told_apart(names: list[str], notes: list[str]) -> list[str]:
    """The names with a number behind each that stood before."""
    out: list[str] = []
    for name in names:
        told, n = name, 2
        while told in out:
            told, n = f"{name} ({n})", n + 1
        if told != name:
            notes.append(f"column {name} stands more than once: another is called {told} here")
        out.append(told)
    return out


def _without(columns: dict[str, list[str]], missing: Sequence[str]) -> dict[str, list[str]]:
    """The columns with every value that equals one of ``missing`` (as text or as a number) emptied."""
    if not missing:
        return columns
    absent = {
        value
        for value in {value for column in columns.values() for value in column}
        if any(_same(value, token) for token in missing)
    }
    return {name: ["" if value in absent else value for value in column] for name, column in columns.items()}


def _records(text: str, where: str) -> list[list[str]]:
    """The records that are not empty, by the delimiter that gives most of them the header's number of fields."""
    start = "\n".join(text.splitlines()[:200])

    def split(text: str, delimiter: str) -> list[list[str]]:
        # of columns lined up with spaces any number of them parts two values
        aligned = delimiter == " "
        lines = io.StringIO(text.replace("\t", " ") if aligned else text, newline="")
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=aligned))

    def fit(delimiter: str) -> tuple[float, int]:
        try:
            sample = [row for row in split(start, delimiter) if row]
        except csv.Error:
            return (0.0, 0)
        width = len(sample[0]) if sample else 0
        alike = sum(len(row) == width for row in sample) / max(len(sample), 1)
        return (alike, width) if width > 1 else (0.0, width)

    delimiter = max((",", ";", "\t", "|"), key=fit)
    if fit(delimiter)[1] <= 1:
        delimiter = " "
    try:
        rows = split(text, delimiter)
    except csv.Error as error:
        raise UsageError("the table cannot be read", where=where, expected="a CSV file with a header") from error
    return [row for row in rows if any(cell.strip() for cell in row)]


def _target(
    values: list[str], positive: str | Sequence[str] | None, where: str, name: str, notes: list[str]
) -> tuple[Ints, list[int]]:
    """0/1 per row that has a target at all, and which rows those are. Several values of ``positive`` are one outcome.

    Of two values nobody named, the one that means trouble is the outcome, or the rarer one; ``notes`` says so.
    """
    kept = [n for n, value in enumerate(values) if value.lower() not in _NULLS]
    if not kept:
        raise ScoringError(f"column {name} holds no value: nothing can be learned", where=where)
    levels = sorted({values[n] for n in kept})
    shown = ", ".join(levels[:10]) if len(levels) <= 10 else f"one of {len(levels)} values"
    if not positive:
        folded = {level.casefold() for level in levels}
        if len(folded) > 2:
            raise UsageError(
                f"which value of {name} is the outcome?",
                where=where,
                expected=f"--positive VALUE, unless it has two values; it holds {shown}",
            )
        counts = {fold: sum(values[n].casefold() == fold for n in kept) for fold in folded}
        found = folded & _TRUE if not folded <= {"1", "2", "1.0", "2.0"} else set()
        if not found and not (len(folded) == 1 and folded <= _FALSE):
            found = folded & _TROUBLE or {min(counts, key=lambda fold: (counts[fold], fold))}
            notes.append(f"{name} = {next(iter(found))} is taken as the outcome; name another with --positive")
        wanted = {level for level in levels if level.casefold() in found}
    else:
        wanted = set()
        for asked in [positive] if isinstance(positive, str) else positive:
            # a comma parts several values, unless it stands in a value itself
            whole = {level for level in levels if _same(level, asked)}
            for part in [] if whole else asked.split(","):
                found = {level for level in levels if _same(level, part)}
                if not found:
                    raise UsageError(
                        f"no row of {name} has the value {part.strip()} of --positive", where=where, expected=shown
                    )
                whole |= found
            wanted |= whole
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
        common = int((counts >= _ROWS_OF_A_LEVEL).sum())
        shown = levels[np.argsort(-counts, kind="stable")][: max(_MAX_LEVELS, min(common, _MANY_LEVELS))]
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
    """The column as numbers, or None when it is not one of numbers; 3,5 where a comma can only part decimals."""
    commas = [value for value, gone in zip(column, absent.tolist(), strict=True) if not gone and "," in value]
    if commas and any(_GROUPED.fullmatch(value) is None for value in commas):
        return _readable(column, absent, lambda value: _number(_decimal_point(value)))
    return _readable(column, absent, _number)


def _decimal_point(value: str) -> str:
    return value.replace(",", ".") if _DECIMAL_COMMA.fullmatch(value) else value


def _days(column: list[str], absent: npt.NDArray[np.bool_]) -> Floats | None:
    """The column as days since 1970, or None when it is not one of dates.

    Of 05/04/2022 the column itself says which comes first: the day, unless some second part is above twelve.
    """
    first = next((value for value, gone in zip(column, absent.tolist(), strict=True) if not gone), "")
    if any(mark in first for mark in _ERA_MARKS):
        return _readable(column, absent, _era_day)
    if _YEAR_LAST.match(first):
        found = (_YEAR_LAST.match(value) for value in column)
        month_first = any(match is not None and int(match[2]) > 12 for match in found)
        return _readable(column, absent, lambda value: _year_last(value, month_first))
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
    text = value.strip("%¥$€£円 ")
    try:
        number = float(text)
    except ValueError:
        if _GROUPED.fullmatch(text) is None:
            return None
        number = float(text.replace(",", ""))
    # infinity, or a code so large that its square overflows, is no measurement
    return number if abs(number) < 1e100 else float("nan")


def _day(value: str) -> float | None:
    """Days since 1970 of a date, or a year and month, whose year has four digits; None for anything else (1-3 is a band)."""
    if not _YEAR_FIRST.match(value):
        return None
    text = value[:10].replace("/", "-").replace(".", "-") + value[10:].replace("Z", "+00:00")
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
    return _since_1970(moment)


def _since_1970(moment: dt.datetime) -> float:
    return (moment.replace(tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)).total_seconds() / 86400


def _year_last(value: str, month_first: bool) -> float | None:
    """Days since 1970 of 31/12/2022, 12/31/2022 (``month_first``) or 31.12.2022, a time of day after it left aside."""
    match = _YEAR_LAST.match(value)
    if match is None:
        return None
    day, month = int(match[1]), int(match[2])
    if month_first:
        day, month = month, day
    try:
        return _since_1970(dt.datetime(int(match[3]), month, day))
    except ValueError:
        return None


def _era_day(value: str) -> float | None:
    from kodomo_platform.cleansing.dates import read_date

    day = read_date(value).value
    return None if day is None else _since_1970(dt.datetime(day.year, day.month, day.day))


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
