"""Honest measures of a candidate on rows it never saw: at capacity, by group, over time, and without each source.

Intervals resample whole households. A group with fewer than ten outcomes, or a gap known only within ± 0.2, is said to be
impossible to judge and is not shown. Fitting belongs to `candidates`, the record to `training`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.scoring.additive import Floats, sigmoid
from kodomo_platform.scoring.candidates import Ints, Table, fit_logistic, folds_by_group

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


@dataclass(frozen=True)
class Group:
    """One group of children; numbers are None where they would be too few to show."""

    kind: str
    name: str
    rows: int | None
    outcomes: int | None
    recall: float | None
    recall_low: float | None
    recall_high: float | None
    expected_over_observed: float | None
    verdict: str
    biased: bool


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
    """90 % intervals of AUC, average precision, Brier and the measures at capacity."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    order = np.argsort(-probability, kind="stable")
    found: dict[str, list[float]] = {}
    for weight in household_weights(group, draws):
        outcomes = float((weight * y).sum())
        if not 0 < outcomes < weight.sum():
            continue
        # the last household taken in part: only as many of its copies as there is room for
        taken = np.clip(capacity - (np.cumsum(weight[order]) - weight[order]), 0, weight[order])
        hits, room = float((taken * y[order]).sum()), float(max(taken.sum(), 1))
        values = {
            "auc": float(roc_auc_score(y, probability, sample_weight=weight)),
            "average_precision": float(average_precision_score(y, probability, sample_weight=weight)),
            "brier": float(np.average((probability - y) ** 2, weights=weight)),
            "precision_at_capacity": hits / room,
            "recall_at_capacity": hits / outcomes,
            "lift_at_capacity": hits / room / (outcomes / weight.sum()),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return {name: (float(np.percentile(values, 5)), float(np.percentile(values, 95))) for name, values in found.items()}


def by_group(
    kinds: Mapping[str, Labels], y: Ints, probability: Floats, household: Labels, capacity: int, draws: int = 200
) -> list[Group]:
    """Recall at capacity, and expected against observed outcomes, of each group against all others."""
    flagged = top(probability, capacity)
    weights = household_weights(household, draws)
    out = []
    for kind, labels in kinds.items():
        for name in sorted(set(labels.tolist())):
            inside = labels == name
            outcomes, others = int(y[inside].sum()), int(y[~inside].sum())
            shown_rows = int(inside.sum()) if inside.sum() >= SMALL else None
            if outcomes < SMALL or others < SMALL:
                verdict = f"判断できません（結果が{SMALL}件未満）"
                out.append(Group(kind, str(name), shown_rows, None, None, None, None, None, verdict, False))
                continue
            gaps, recalls, ratios = [], [], []
            for weight in weights:
                hit, all_in = (weight * flagged * y), (weight * y)
                if all_in[inside].sum() == 0 or all_in[~inside].sum() == 0:
                    continue
                recall = hit[inside].sum() / all_in[inside].sum()
                recalls.append(recall)
                gaps.append(recall - hit[~inside].sum() / all_in[~inside].sum())
                ratios.append((weight * probability)[inside].sum() / all_in[inside].sum())
            low, high = np.percentile(gaps, [5, 95])
            ratio_low, ratio_high = np.percentile(ratios, [5, 95])
            biased, verdict = _verdict(float(low), float(high), float(ratio_low), float(ratio_high))
            out.append(
                Group(
                    kind,
                    str(name),
                    shown_rows,
                    outcomes,
                    float((flagged & (y == 1))[inside].sum() / outcomes),
                    float(np.percentile(recalls, 5)),
                    float(np.percentile(recalls, 95)),
                    float(probability[inside].sum() / outcomes),
                    verdict,
                    biased,
                )
            )
    return out


def _verdict(low: float, high: float, ratio_low: float, ratio_high: float) -> tuple[bool, str]:
    if ratio_low > _OVERESTIMATE:
        return True, f"過大に見積もられています（少なくとも{ratio_low:.2f}倍）"
    if ratio_high < 1 / _OVERESTIMATE:
        return True, f"過小に見積もられています（多くとも{ratio_high:.2f}倍）"
    if low > _RECALL_GAP or high < -_RECALL_GAP:
        return True, f"再現率の差があります（{low:+.2f}～{high:+.2f}）"
    if (high - low) / 2 > _UNKNOWN:
        return False, f"差は判断できません（{low:+.2f}～{high:+.2f}）"
    return False, f"差は認められません（{low:+.2f}～{high:+.2f}）"


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
    """The baseline "last year's list": each test row ranked by the child's own criteria score ``months`` or more before."""
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
