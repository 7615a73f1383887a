"""Candidate models on a plain table: fit, mask, calibrate, measure. Knows no municipality, no theme, no MLflow.

Used by `training` (feature marts) and by `bench` (any CSV). A table is a matrix with NaN for absent values, its column
names, and blocks: columns of one source that go missing together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.scoring.additive import AdditiveModel, Floats, Term, cell_numbers, logit, sigmoid

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

# Masked copies of every row and every block up to here; beyond, one random block per row says the same at a fraction.
_ROWS_WITH_ALL_MASKS = 1_500
# Parts of a column that trees may split between.
_TREE_BINS = 64
# What one masked copy counts against its complete row: enough to learn to live without a source, too little to forget it.
_MASK_WEIGHT = 0.5


@dataclass(frozen=True)
class Table:
    """Rows to learn from: ``x`` (rows, columns) with NaN = absent, ``y`` 0/1, ``group`` (household).

    ``weight``: how many rows each stands for (None: itself alone). ``signs``: columns whose growing value may only raise (1)
    or only lower (-1) the score; logistic regression keeps to them (held to them, the EBM lost more than it gained: 0.86 of
    the oracle's lift on twins for 0.87).
    """

    x: Floats
    y: Ints
    names: tuple[str, ...]
    blocks: Mapping[str, tuple[int, ...]]
    group: npt.NDArray[Any]
    weight: Floats | None = None
    signs: Mapping[str, int] = field(default_factory=dict)

    def rows(self, chosen: npt.NDArray[Any]) -> Table:
        """The chosen rows, by index or by condition."""
        weight = None if self.weight is None else self.weight[chosen]
        return replace(self, x=self.x[chosen], y=self.y[chosen], group=self.group[chosen], weight=weight)

    def thinned(self, most: int, seed: int) -> Table:
        """At most about ``most`` rows: every outcome, and of the others a sample in which each stands for several.

        Where outcomes are rare the others say the same many times over: a child without one stands there at every date.
        """
        others = np.flatnonzero(self.y == 0)
        wanted = max(most - int(self.y.sum()), most // 2)
        if len(others) <= wanted:
            return self
        kept = np.sort(
            np.concatenate(
                [np.flatnonzero(self.y == 1), np.random.default_rng(seed).choice(others, wanted, replace=False)]
            )
        )
        weight = np.where(self.y == 1, 1.0, len(others) / wanted)
        if self.weight is not None:
            weight = weight * self.weight
        return replace(self.rows(kept), weight=weight[kept])


Predict = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Fitted:
    """A fitted candidate: logits of rows, and its additive form if it has one."""

    name: str
    predict: Predict
    model: AdditiveModel | None


def masked(x: Floats, columns: Sequence[int]) -> Floats:
    """``x`` with some columns wholly absent."""
    out = x.copy()
    out[:, list(columns)] = np.nan
    return out


def augmented(table: Table, seed: int) -> tuple[Floats, Ints, Floats]:
    """The rows and their copies with each block masked in turn, with weights that count every row once."""
    blocks = [np.array(columns) for columns in table.blocks.values() if len(columns)]
    rows = len(table.y)
    own = np.ones(rows) if table.weight is None else table.weight
    if not blocks:
        return table.x, table.y, own
    if rows * len(blocks) <= _ROWS_WITH_ALL_MASKS:
        copies = [masked(table.x, block.tolist()) for block in blocks]
        each = _MASK_WEIGHT / len(blocks)
    else:
        rng = np.random.default_rng(seed)
        choice = rng.integers(0, len(blocks), rows)
        copy = table.x.copy()
        for n, block in enumerate(blocks):
            copy[np.ix_(choice == n, block)] = np.nan
        copies = [copy]
        each = _MASK_WEIGHT
    x = np.vstack([table.x, *copies])
    y = np.concatenate([table.y] * (1 + len(copies)))
    weight = np.concatenate([own, *([own * each] * len(copies))])
    return x, y, weight * (own.sum() / weight.sum())


def fit_logistic(
    table: Table,
    theme: str,
    *,
    seed: int = 0,
    strength: float = 0.05,
    rules: Sequence[Term] = (),
    trust: tuple[float, float] = (1.0, 0.25),
) -> Fitted:
    """Regularised logistic regression with an indicator of absence per column; slopes keep to the table's signs.

    ``rules``: steps that people set. Each is taken times a factor that is learned, at least nought, and before any data
    has mean and variance ``trust``: where nothing was seen of a severe sign, the rule still speaks.
    """
    x, y, weight = augmented(table, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column that is wholly absent has no percentiles
        low, centre, high = np.nanpercentile(table.x, [1, 50, 99], axis=0)
        spread = np.nanstd(table.x, axis=0)
    centre = np.nan_to_num(centre)
    low, high = np.where(np.isnan(low), centre, low), np.where(np.isnan(high), centre, high)
    # a column that almost never differs from its usual value would be cut to a constant by percentiles
    flat = low == high
    low = np.where(
        flat, np.nan_to_num(np.nanmin(np.where(np.isnan(table.x), np.inf, table.x), axis=0), posinf=0.0), low
    )
    high = np.where(
        flat, np.nan_to_num(np.nanmax(np.where(np.isnan(table.x), -np.inf, table.x), axis=0), neginf=0.0), high
    )
    # where outcomes are rare they lie beyond the hundredth row: what is cut there would be the severe
    if table.signs:
        found = table.x[table.y == 1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            far = np.nanpercentile(found, [10, 90], axis=0) if len(found) else np.vstack([low, high])
        low, high = np.fmin(low, far[0]), np.fmax(high, far[1])
    spread = np.where(np.nan_to_num(spread) < 1e-9, 1.0, spread)
    absent = np.isnan(x)
    position = (np.clip(np.where(absent, centre, x), low, high) - centre) / spread
    told = _steps(rules, table.names, x)
    design = np.hstack([position, absent.astype(float), told])
    columns = table.x.shape[1]
    sign = np.array([table.signs.get(name, 0) for name in table.names] + [0] * columns + [1] * len(rules))
    mean = np.concatenate([np.zeros(2 * columns), np.full(len(rules), trust[0])])
    variance = np.concatenate([np.full(2 * columns, strength), np.full(len(rules), trust[1])])
    intercept, coefficients = _ridge(design, y, weight, mean, variance, sign)
    probability = sigmoid(design @ coefficients + intercept)
    curvature = (design.T * (weight * probability * (1 - probability))) @ design + np.diag(1 / variance)
    deviation = np.sqrt(np.maximum(np.diag(np.linalg.inv(curvature)), 0.0))
    terms = tuple(
        Term(
            (name,),
            "linear",
            ((float(low[n]), float(high[n]), float(centre[n])),),
            np.array([coefficients[columns + n], coefficients[n] / spread[n]]),
            np.array([deviation[columns + n], deviation[n] / spread[n]]),
        )
        for n, name in enumerate(table.names)
    )
    terms += tuple(
        replace(rule, scores=rule.scores * coefficients[n], std=np.abs(rule.scores) * deviation[n])
        for n, rule in enumerate(rules, start=2 * columns)
    )
    return _fitted("logistic", theme, table, intercept, terms)


def _steps(rules: Sequence[Term], names: Sequence[str], x: Floats) -> Floats:
    """(rows, rules): what each rule adds to each row."""
    out = np.zeros((len(x), len(rules)))
    for n, rule in enumerate(rules):
        out[:, n] = rule.scores[cell_numbers(x[:, names.index(rule.features[0])], rule.cuts[0])]
    return out


def _ridge(design: Floats, y: Ints, weight: Floats, mean: Floats, variance: Floats, sign: Ints) -> tuple[float, Floats]:
    """Intercept and coefficients of weighted logistic regression with a normal prior of ``mean`` and ``variance``.

    ``sign`` per column: 1, a coefficient of at least nought; -1, of at most nought; 0, either.
    """
    from scipy.optimize import minimize

    rows = np.hstack([design, np.ones((len(y), 1))])
    penalty, centre = np.append(1 / variance, 0.0), np.append(mean, 0.0)

    def cost(beta: Floats) -> tuple[float, Floats]:
        z = rows @ beta
        away = beta - centre
        loss = float((weight * (np.logaddexp(0, z) - y * z)).sum() + (penalty * away**2).sum() / 2)
        return loss, rows.T @ (weight * (sigmoid(z) - y)) + penalty * away

    share = float(np.clip(np.average(y, weights=weight), 1e-6, 1 - 1e-6))
    found = minimize(
        cost,
        np.append(mean, logit(share)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0 if s > 0 else None, 0 if s < 0 else None) for s in [*sign.tolist(), 0]],
        options={"maxiter": 500, "maxcor": 20, "ftol": 1e-9},
    )
    return float(found.x[-1]), np.asarray(found.x[:-1])


def fit_ebm(
    table: Table, theme: str, *, seed: int = 0, bags: int = 8, interactions: int = 5, max_bins: int = 32
) -> Fitted:
    """Explainable Boosting Machine, small enough to be read: 8 bags, 5 interactions."""
    from interpret.glassbox import ExplainableBoostingClassifier

    x, y, weight = augmented(table, seed)
    # a constant column carries nothing, and a wholly absent one has no bins
    useful = [n for n in range(x.shape[1]) if len(np.unique(table.x[~np.isnan(table.x[:, n]), n])) > 1]
    if not useful:
        return _fitted(
            "ebm", theme, table, logit(float(np.clip(np.average(table.y, weights=table.weight), 1e-6, 1 - 1e-6))), ()
        )
    machine = ExplainableBoostingClassifier(
        feature_names=[table.names[n] for n in useful],
        feature_types=["continuous"] * len(useful),
        outer_bags=bags,
        inner_bags=0,
        interactions=interactions if len(useful) > 1 else 0,
        max_bins=max_bins,
        max_interaction_bins=8,
        learning_rate=0.05,
        max_rounds=200,
        min_samples_leaf=8,
        smoothing_rounds=20,
        early_stopping_rounds=20,
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        machine.fit(x[:, useful], y, sample_weight=weight, bags=_bags(table, len(y) // len(table.y), bags, seed))
    terms = []
    for features, scores, deviation in zip(
        machine.term_features_, machine.term_scores_, machine.standard_deviations_, strict=True
    ):
        cuts = []
        for feature in features:
            levels = machine.bins_[feature]
            level = levels[min(len(features), len(levels)) - 1]
            cuts.append(tuple(float(cut) for cut in level))
        # the library keeps one more cell per axis, for values of an unknown type; numbers never fall there
        inside = tuple(slice(0, len(cut) + 2) for cut in cuts)
        terms.append(
            Term(
                tuple(table.names[useful[feature]] for feature in features),
                "steps",
                tuple(cuts),
                np.asarray(scores, dtype=float)[inside],
                np.asarray(deviation, dtype=float)[inside],
            )
        )
    return _fitted("ebm", theme, table, float(np.ravel(machine.intercept_)[0]), tuple(terms))


def _bags(table: Table, copies: int, bags: int, seed: int) -> npt.NDArray[np.int8]:
    """Per bag which rows train (1) and which tell when to stop (-1): a household and the copies of a row stay together.

    Otherwise a row's masked copy would stand on both sides, and boosting would run on until it knew the rows by heart.
    """
    _, index = np.unique(table.group, return_inverse=True)
    out = np.ones((bags, len(table.y)), dtype=np.int8)
    for bag in range(bags):
        # as many folds as give the stopping rule about a sixth of the rows, with outcomes spread evenly
        fold = folds_by_group(index, table.y, 6, seed + bag)
        out[bag, fold == bag % 6] = -1
    return np.ascontiguousarray(np.tile(out, copies).T)


def fit_boosting(table: Table, theme: str, *, seed: int = 0) -> Fitted:
    """Histogram gradient boosting: a yardstick only, since its reasons do not add up."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    x, y, weight = augmented(table, seed)
    # a column without a single value has no bins; scikit-learn 1.9 stops at one
    known = ~np.isnan(table.x).all(axis=0)
    # Binned here: with weights, scikit-learn 1.9 sorts a column anew for each of its 255 bins (105 s for 120,000 x 80; 19 s so, both on a busy machine).
    edges = _edges(table.x[:, known])
    trees = HistGradientBoostingClassifier(
        max_iter=80,
        learning_rate=0.06,
        max_leaf_nodes=8,
        min_samples_leaf=20,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=seed,
    )
    # one thread: municipalities run side by side, and threads that wait for each other cost more than they bring
    with threadpool_limits(limits=1):
        trees.fit(_binned(x[:, known], edges), y, sample_weight=weight)

    def predict(rows: Floats) -> Floats:
        with threadpool_limits(limits=1):
            return np.asarray(trees.decision_function(_binned(rows[:, known], edges)), dtype=float)

    return Fitted("boosting", predict, None)


def _edges(x: Floats) -> list[Floats]:
    """Per column the borders of `_TREE_BINS` parts of equal size; borders that coincide stand once."""
    shares = np.linspace(0, 1, _TREE_BINS + 1)[1:-1]
    out = []
    for column in x.T:
        values = np.sort(column[~np.isnan(column)])
        places = np.minimum((shares * len(values)).astype(np.int64), len(values) - 1)
        out.append(np.unique(values[places]))
    return out


def _binned(x: Floats, edges: Sequence[Floats]) -> Floats:
    """Number of the part each value falls into; absent stays absent."""
    out = np.empty(x.shape)
    for n, borders in enumerate(edges):
        out[:, n] = np.where(np.isnan(x[:, n]), np.nan, np.searchsorted(borders, x[:, n], side="left"))
    return out


def blend(logistic: Fitted, ebm: Fitted, table: Table, theme: str) -> Fitted:
    """Mean of logistic regression and EBM in log odds: still one sum of terms, steadier than either on few rows."""
    first, second = logistic.model, ebm.model
    assert first is not None
    assert second is not None
    terms = tuple(
        Term(term.features, term.kind, term.cuts, term.scores / 2, term.std / 2)
        for term in (*first.terms, *second.terms)
    )
    return _fitted("blend", theme, table, (first.intercept + second.intercept) / 2, terms)


def _fitted(name: str, theme: str, table: Table, intercept: float, terms: tuple[Term, ...]) -> Fitted:
    ranges = {}
    for n, column in enumerate(table.names):
        values = table.x[~np.isnan(table.x[:, n]), n]
        if len(values):
            ranges[column] = (float(values.min()), float(values.max()))
    model = AdditiveModel(
        name=name,
        theme=theme,
        features=table.names,
        intercept=intercept,
        terms=terms,
        base_rate=float(np.clip(np.average(table.y, weights=table.weight), 1e-4, 0.9)),
        ranges=ranges,
    )

    def predict(rows: Floats) -> Floats:
        return model.logits({column: rows[:, n] for n, column in enumerate(table.names)})

    return Fitted(name, predict, model)


FITTERS: dict[str, Callable[..., Fitted]] = {"logistic": fit_logistic, "ebm": fit_ebm, "boosting": fit_boosting}


def calibrate(logits: Floats, y: Ints, weight: Floats | None = None) -> tuple[float, float]:
    """Slope and shift of Platt's sigmoid, with a normal prior around (1, 0): few outcomes change little.

    Prior deviations 0.5 (slope) and 1 (shift). ``weight``: how many rows each stands for.
    """
    times = np.ones(len(y)) if weight is None else weight

    def cost(slope: float, shift: float) -> float:
        z = slope * logits + shift
        return float((times * (np.logaddexp(0, z) - y * z)).sum() + (slope - 1) ** 2 / 0.5 + shift**2 / 2)

    slope, shift = 1.0, 0.0
    for _ in range(50):
        probability = sigmoid(slope * logits + shift)
        curvature = times * probability * (1 - probability)
        away = times * (probability - y)
        gradient = np.array([(away * logits).sum() + (slope - 1) / 0.25, away.sum() + shift])
        hessian = np.array(
            [
                [(curvature * logits**2).sum() + 4.0, (curvature * logits).sum()],
                [(curvature * logits).sum(), curvature.sum() + 1.0],
            ]
        )
        step = np.linalg.solve(hessian, gradient)
        # Regression: from a start that is much too sure, a full Newton step overshoots and never comes back
        here = cost(slope, shift)
        length = 1.0
        while length > 1e-6 and cost(slope - length * step[0], shift - length * step[1]) > here:
            length /= 2
        slope, shift = float(slope - length * step[0]), float(shift - length * step[1])
        if np.abs(length * step).max() < 1e-9:
            break
    # a slope below zero would turn the order round: then the model knows nothing and says the mean
    return max(slope, 0.0), shift


def folds_by_group(group: npt.NDArray[Any], y: Ints, folds: int, seed: int) -> Ints:
    """Fold number per row; a household is never split, outcomes are spread evenly."""
    rng = np.random.default_rng(seed)
    names, index = np.unique(group, return_inverse=True)
    positive = np.zeros(len(names))
    np.add.at(positive, index, y)
    order = np.lexsort((rng.random(len(names)), -(positive > 0).astype(int)))
    fold = np.empty(len(names), dtype=np.int64)
    fold[order] = np.arange(len(names)) % folds
    return fold[index]


def measures(
    y: Ints, probability: Floats, capacity: int | None = None, *, rank: Floats | None = None
) -> dict[str, float]:
    """AUC, average precision, Brier, calibration error, and what counts in practice: results at capacity.

    ``rank`` orders the rows, where probabilities were calibrated in parts that are not to be compared with each other.
    Never accuracy: with 2.6 % outcomes, "nobody" is 97.4 % accurate.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    order = probability if rank is None else rank
    out = {
        "auc": float(roc_auc_score(y, order)) if 0 < y.sum() < len(y) else float("nan"),
        "average_precision": float(average_precision_score(y, order)) if y.sum() else float("nan"),
        "brier": float(np.mean((probability - y) ** 2)),
        "ece": calibration_error(y, probability),
        "outcomes": float(y.sum()),
        "rows": float(len(y)),
        "prevalence": float(y.mean()),
    }
    if capacity is not None:
        top = min(capacity, len(y))
        found = float(y[np.argsort(-order, kind="stable")[:top]].sum())
        out["capacity"] = float(top)
        out["precision_at_capacity"] = found / top
        out["recall_at_capacity"] = found / max(float(y.sum()), 1.0)
        out["lift_at_capacity"] = out["precision_at_capacity"] / max(out["prevalence"], 1e-12)
        out["visits_per_outcome"] = top / found if found else float("nan")
    return out


def calibration_error(y: Ints, probability: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins of equal size: mean |observed − expected| share."""
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(abs(y[part].mean() - probability[part].mean()) * len(part) for part in parts) / len(order))
