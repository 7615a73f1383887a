"""Honest measures of a candidate on rows it never saw: at capacity, by month, by group, and without each source.

Intervals resample whole households. A group with fewer than ten outcomes, or a gap known only within ± 0.2, is said to be
impossible to judge and is not shown; what is too small at one municipality is added up over several. Fitting belongs to
`candidates`, the record to `recording`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.scoring.additive import Floats, sigmoid
from kodomo_platform.scoring.candidates import Ints, Table, fit_logistic, folds_by_group, measures

SMALL = 10
# A gap whose interval is wider than this each way says nothing (at 300 children it is ± 0.23).
_UNKNOWN = 0.2
# A gap in recall, or a group's expected outcomes against those observed, beyond this for certain: bias.
_RECALL_GAP = 0.1
_OVERESTIMATE = 1.25
# Population stability index above which the children scored are no longer those learned from (banking's usual 0.25).
DRIFT = 0.25
# Signs that somebody is already watching the child.
WATCHED = (
    "consultations_12m",
    "counselling_12m",
    "case_closed_24m",
    "hospital_flags_12m",
    "home_visits_24m",
)
Labels = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Group:
    """One group of children; numbers are None where they would be too few to show."""

    kind: str
    name: str
    rows: int | None
    outcomes: int | None
    flagged_share: float | None
    precision: float | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    expected_over_observed: float | None
    verdict: str
    verdict_en: str
    biased: bool
    judged: bool


@dataclass(frozen=True)
class GroupCounts:
    """Counts of one group, and the same in each resample of households: counts of several municipalities add up.

    Not shown to anybody as they are: a count may stand for one child. `judge_groups` shows what may be shown.
    """

    kind: str
    name: str
    rows: int
    flagged: int
    outcomes: int
    hits: int
    expected: float
    drawn: Floats = field(repr=False)  # (draws, 3): outcomes, outcomes among the flagged, expected outcomes

    def __add__(self, other: GroupCounts) -> GroupCounts:
        return GroupCounts(
            self.kind,
            self.name,
            self.rows + other.rows,
            self.flagged + other.flagged,
            self.outcomes + other.outcomes,
            self.hits + other.hits,
            self.expected + other.expected,
            self.drawn + other.drawn,
        )


@dataclass
class Evaluation:
    """What was measured of the chosen candidate beside its plain measures."""

    intervals: dict[str, tuple[float, float]]
    groups: list[Group]
    pooled: list[Group]
    pooled_over: list[str]
    months: list[dict[str, Any]]
    stability: dict[str, float]
    baselines: dict[str, dict[str, float]]
    sources: dict[str, float]
    new_share: float | None
    next_school_year: dict[str, float]
    certainty: dict[str, float]
    drift: float | None = None

    def metrics(self) -> dict[str, float]:
        """The numbers among it, under the names they have in MLflow."""
        out = {f"{name}_low": low for name, (low, _) in self.intervals.items()}
        out |= {f"{name}_high": high for name, (_, high) in self.intervals.items()}
        out |= {
            "groups.biased": float(sum(row.biased for row in self.groups)),
            "groups.cannot_be_judged": float(sum(not row.judged for row in self.groups)),
            "groups.compared": float(len(self.groups)),
        }
        if self.pooled:
            out |= {
                "groups_pooled.municipalities": float(len(self.pooled_over)),
                "groups_pooled.biased": float(sum(row.biased for row in self.pooled)),
                "groups_pooled.cannot_be_judged": float(sum(not row.judged for row in self.pooled)),
            }
        out |= {f"certainty.{name}": value for name, value in self.certainty.items()}
        out |= self.stability
        out |= {f"source_adds.{name}": value for name, value in self.sources.items()}
        out |= {f"next_school_year.{name}": value for name, value in self.next_school_year.items()}
        for name, measured in self.baselines.items():
            out |= {f"baseline.{name}.{key}": value for key, value in measured.items()}
        if self.new_share is not None:
            out["flagged_new_to_watchers"] = self.new_share
        if self.drift is not None:
            out["drift_psi"] = self.drift
        return out


def top(probability: Floats, capacity: int) -> npt.NDArray[np.bool_]:
    """Which rows are among the ``capacity`` highest (ties in the rows' order)."""
    flagged = np.zeros(len(probability), dtype=bool)
    flagged[np.argsort(-probability, kind="stable")[:capacity]] = True
    return flagged


def household_weights(group: Labels, draws: int, seed: int = 20221220) -> npt.NDArray[np.int64]:
    """(draws, rows): how often each row's household is drawn in each resample."""
    rng = np.random.default_rng(seed)
    names, index = np.unique(group, return_inverse=True)
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)[:, index]


def intervals(
    y: Ints, probability: Floats, group: Labels, capacity: int, draws: int = 100
) -> dict[str, tuple[float, float]]:
    """90 % intervals of AUC, average precision, Brier, calibration error and the measures at capacity.

    Ranked once: a resample only changes how often each row counts, so 60,000 rows and 100 draws take about a second.
    """
    order = np.argsort(-probability, kind="stable")
    ranked, outcome = probability[order], y[order].astype(float)
    squared = (ranked - outcome) ** 2
    # rows of equal score are one step of the curves
    step = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    bins = np.unique(np.linspace(0, len(y), min(10, len(y)), endpoint=False).astype(int))
    found: dict[str, list[float]] = {}
    for weight in household_weights(group, draws):
        weight = weight[order].astype(float)
        positive = weight * outcome
        total, outcomes = float(weight.sum()), float(positive.sum())
        if not 0 < outcomes < total:
            continue
        hits_in_step, all_in_step = np.add.reduceat(positive, step), np.add.reduceat(weight, step)
        others_in_step = all_in_step - hits_in_step
        hits_so_far, all_so_far = np.cumsum(hits_in_step), np.cumsum(all_in_step)
        below = (total - outcomes) - np.cumsum(others_in_step)
        precision = np.divide(hits_so_far, all_so_far, out=np.zeros_like(hits_so_far), where=all_so_far > 0)
        # the last household taken in part: only as many of its copies as there is room for
        taken = np.clip(capacity - (np.cumsum(weight) - weight), 0, weight)
        hits, room = float((taken * outcome).sum()), float(max(taken.sum(), 1))
        gap = np.add.reduceat(weight * (ranked - outcome), bins)
        values = {
            "auc": float((hits_in_step * (below + others_in_step / 2)).sum() / (outcomes * (total - outcomes))),
            "average_precision": float((hits_in_step * precision).sum() / outcomes),
            "brier": float((weight * squared).sum() / total),
            "ece": float(np.abs(gap).sum() / total),
            "precision_at_capacity": hits / room,
            "recall_at_capacity": hits / outcomes,
            "lift_at_capacity": hits / room / (outcomes / total),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    out = {name: (float(np.percentile(values, 5)), float(np.percentile(values, 95))) for name, values in found.items()}
    if out and out["precision_at_capacity"][0] > 0:
        low, high = out["precision_at_capacity"]
        out["visits_per_outcome"] = (1 / high, 1 / low)
    return out


AT_CAPACITY = ("precision_at_capacity", "recall_at_capacity", "lift_at_capacity")


def by_month(moment: Labels, y: Ints, probability: Floats, household: Labels, capacity: int) -> list[dict[str, Any]]:
    """One row per as-of date: counts, and the measures with intervals where at least ten outcomes stand behind them."""
    out: list[dict[str, Any]] = []
    for day in np.unique(moment):
        rows = moment == day
        outcomes = int(y[rows].sum())
        row: dict[str, Any] = {"as_of_date": str(day), "rows": int(rows.sum()), "outcomes": None, "measures": {}}
        if SMALL <= outcomes < rows.sum():
            row["outcomes"] = outcomes
            measured = measures(y[rows], probability[rows], capacity)
            spread = intervals(y[rows], probability[rows], household[rows], capacity, draws=60)
            for key in ("auc", "brier", "ece", *AT_CAPACITY):
                row["measures"][key] = measured[key]
                if key in spread:
                    row["measures"][f"{key}_low"], row["measures"][f"{key}_high"] = spread[key]
        out.append(row)
    return out


def group_counts(
    kinds: Mapping[str, Labels], y: Ints, probability: Floats, household: Labels, flagged: Bools, draws: int = 200
) -> list[GroupCounts]:
    """Counts of every group, plain by fairlearn's MetricFrame and in ``draws`` resamples of whole households."""
    from fairlearn.metrics import MetricFrame, count

    sums = {
        "rows": count,
        "outcomes": lambda true, listed: float(np.sum(true)),
        "flagged": lambda true, listed: float(np.sum(listed)),
        "hits": lambda true, listed: float(np.sum(np.asarray(true) * np.asarray(listed))),
        "expected": lambda true, listed, probability: float(np.sum(probability)),
    }
    weights = household_weights(household, draws).astype(float)
    out = []
    for kind, labels in kinds.items():
        frame = MetricFrame(
            metrics=sums,
            y_true=y,
            y_pred=flagged.astype(np.int64),
            sensitive_features=labels,
            sample_params={"expected": {"probability": probability}},
        ).by_group
        for name, row in frame.sort_index().iterrows():
            inside = (labels == name).astype(float)
            columns = np.column_stack([inside * y, inside * y * flagged, inside * probability])
            rows, outcomes, listed, hits = (int(row[key]) for key in ("rows", "outcomes", "flagged", "hits"))
            out.append(
                GroupCounts(kind, str(name), rows, listed, outcomes, hits, float(row["expected"]), weights @ columns)
            )
    return out


def pooled(sites: Sequence[Sequence[GroupCounts]]) -> list[GroupCounts]:
    """Counts of several municipalities added up, group by group; areas stay at home, for no two towns share one."""
    found: dict[tuple[str, str], GroupCounts] = {}
    for site in sites:
        for row in site:
            if row.kind == "area":
                continue
            key = (row.kind, row.name)
            found[key] = found[key] + row if key in found else row
    return [found[key] for key in sorted(found)]


def judge_groups(counts: Sequence[GroupCounts]) -> list[Group]:
    """Each group against all others of its kind: what may be shown, and what can be said about the gap."""
    out = []
    for row in counts:
        others = [other for other in counts if other.kind == row.kind and other.name != row.name]
        outcomes = row.outcomes
        shown_rows = row.rows if row.rows >= SMALL else None
        if outcomes < SMALL or sum(other.outcomes for other in others) < SMALL:
            hidden = (f"判断できません（結果が{SMALL}件未満）", f"cannot be judged (fewer than {SMALL} outcomes)")
            nothing = (None,) * 7
            out.append(Group(row.kind, row.name, shown_rows, *nothing, *hidden, False, False))
            continue
        rest = np.sum([other.drawn for other in others], axis=0)
        usable = (row.drawn[:, 0] > 0) & (rest[:, 0] > 0)
        mine, rest = row.drawn[usable], rest[usable]
        recalls = mine[:, 1] / mine[:, 0]
        low, high = np.percentile(recalls - rest[:, 1] / rest[:, 0], [5, 95])
        ratio_low, ratio_high = np.percentile(mine[:, 2] / mine[:, 0], [5, 95])
        said, said_en, biased, judged = _verdict(float(low), float(high), float(ratio_low), float(ratio_high))
        out.append(
            Group(
                row.kind,
                row.name,
                shown_rows,
                outcomes,
                row.flagged / row.rows,
                row.hits / row.flagged if row.flagged >= SMALL else None,
                row.hits / outcomes,
                float(np.percentile(recalls, 5)),
                float(np.percentile(recalls, 95)),
                row.expected / outcomes,
                said,
                said_en,
                biased,
                judged,
            )
        )
    return out


def _verdict(low: float, high: float, ratio_low: float, ratio_high: float) -> tuple[str, str, bool, bool]:
    """(in Japanese, in English, whether a gap is certain, whether anything can be said) of the 90 % intervals of the gap
    in recall and of expected outcomes over observed.
    """
    if ratio_low > _OVERESTIMATE:
        return (
            f"過大に見積もられています（少なくとも{ratio_low:.2f}倍）",
            f"overestimated, at least {ratio_low:.2f} times",
            True,
            True,
        )
    if ratio_high < 1 / _OVERESTIMATE:
        return (
            f"過小に見積もられています（多くとも{ratio_high:.2f}倍）",
            f"underestimated, at most {ratio_high:.2f} times",
            True,
            True,
        )
    span, span_en = f"（{low:+.2f}～{high:+.2f}）", f" ({low:+.2f} to {high:+.2f})"
    if low > _RECALL_GAP or high < -_RECALL_GAP:
        return f"再現率の差があります{span}", f"a gap in recall{span_en}", True, True
    if (high - low) / 2 > _UNKNOWN:
        return f"差は判断できません{span}", f"a gap cannot be judged{span_en}", False, False
    return f"差は認められません{span}", f"no gap seen{span_en}", False, True


def rank_stability(child: Labels, moment: Labels, probability: Floats, capacity: int) -> dict[str, float]:
    """Between successive dates: rank correlation of the same children, and the share of the list that stays."""
    dates = np.unique(moment)
    correlations, kept = [], []
    for before, after in pairwise(dates):
        first, second = np.flatnonzero(moment == before), np.flatnonzero(moment == after)
        _, a, b = np.intersect1d(child[first], child[second], return_indices=True)
        if len(a) < SMALL:
            continue
        x, z = probability[first[a]], probability[second[b]]
        ranks = [np.argsort(np.argsort(v, kind="stable"), kind="stable").astype(float) for v in (x, z)]
        correlations.append(float(np.corrcoef(ranks[0], ranks[1])[0, 1]))
        size = min(capacity, len(a))
        kept.append(float((top(x, size) & top(z, size)).sum() / size))
    if not correlations:
        return {}
    return {"rank_correlation": float(np.mean(correlations)), "list_kept": float(np.mean(kept))}


def last_list(child: Labels, moment: Labels, score: Floats, test: npt.NDArray[np.bool_], months: int) -> Floats:
    """The baseline "last year's list": each test row ranked by the child's own criteria score ``months`` or more before.

    Minus infinity where the child was not there yet.
    """
    out = np.full(int(test.sum()), -np.inf)
    days = np.timedelta64(30 * months - 5, "D")
    earlier: dict[str, list[tuple[Any, float]]] = {}
    for who, when, value in zip(child, moment, score, strict=True):
        earlier.setdefault(str(who), []).append((when, float(value)))
    for n, row in enumerate(np.flatnonzero(test)):
        past = [(when, value) for when, value in earlier[str(child[row])] if when <= moment[row] - days]
        if past:
            out[n] = max(past)[1]
    return out


def new_to_watchers(
    names: Sequence[str], x: Floats, flagged: npt.NDArray[np.bool_], extra: Mapping[str, Floats] | None = None
) -> float | None:
    """Share of the flagged children about whom nobody had noted anything; None when no source would show it."""
    columns = [x[:, n] for n, name in enumerate(names) if name in WATCHED]
    columns += [values for name, values in (extra or {}).items() if name in WATCHED and name not in names]
    if not columns or not flagged.any():
        return None
    watched = np.zeros(len(flagged), dtype=bool)
    for values in columns:
        watched |= np.nan_to_num(values) > 0
    return float((~watched[flagged]).mean())


def what_each_source_adds(table: Table, test: npt.NDArray[np.bool_], folds: int, seed: int) -> dict[str, float]:
    """AUC lost when logistic regression never has one source, per block; on other households than trained on."""
    from sklearn.metrics import roc_auc_score

    fold = folds_by_group(table.group, table.y, folds, seed)
    learn = ~test if (~test).any() and 0 < table.y[~test].sum() < (~test).sum() else np.ones(len(test), dtype=bool)

    def auc(columns: npt.NDArray[np.int64]) -> float:
        out = np.full(len(table.y), np.nan)
        for part in range(folds):
            rows, aside = np.flatnonzero(learn & (fold != part)), np.flatnonzero(test & (fold == part))
            if not len(aside) or not 0 < table.y[rows].sum() < len(rows):
                continue
            narrow = Table(
                table.x[np.ix_(rows, columns)],
                table.y[rows],
                tuple(table.names[n] for n in columns),
                {},
                table.group[rows],
            )
            out[aside] = sigmoid(fit_logistic(narrow, "", seed=seed).predict(table.x[np.ix_(aside, columns)]))
        there = np.isfinite(out)
        if not there.any() or not 0 < table.y[there].sum() < there.sum():
            return float("nan")
        return float(roc_auc_score(table.y[there], out[there]))

    every = np.arange(len(table.names))
    whole = auc(every)
    adds = {}
    for block, columns in table.blocks.items():
        rest = np.setdiff1d(every, np.array(columns, dtype=np.int64))
        if len(rest) and len(columns):
            adds[block] = whole - auc(rest)
    return {block: value for block, value in adds.items() if np.isfinite(value)}


def stability_index(edges: Sequence[float], shares: Sequence[float], values: Floats) -> float:
    """Population stability index of ``values`` against the shares between ``edges`` measured at training."""
    now = np.bincount(np.searchsorted(np.asarray(edges), values, side="right"), minlength=len(shares)) / len(values)
    then, now = np.maximum(np.asarray(shares), 1e-3), np.maximum(now, 1e-3)
    return float(((now - then) * np.log(now / then)).sum())


def reference(values: Floats) -> dict[str, list[float]]:
    """Deciles of ``values`` and the share between them, kept with a model to find drift later."""
    edges = np.unique(np.percentile(values, np.arange(10, 100, 10)))
    shares = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) / len(values)
    return {"edges": edges.tolist(), "shares": shares.tolist()}
