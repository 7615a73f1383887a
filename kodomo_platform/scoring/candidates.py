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
# Deviation of the prior around one half of what logistic regression counts in the blend.
_SHARE_PRIOR = 0.2
# What a rule that people set keeps of its own say where the rows do not teach otherwise, and how well they must know
# better: the standard error with which they alone would give the rule's factor.
_RULE_KEPT, _KNOWN_BETTER = 0.5, 0.25


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
    strength: float = 0.5,
    rules: Sequence[Term] = (),
    trust: tuple[float, float] = (1.0, 0.25),
) -> Fitted:
    """Regularised logistic regression with an indicator of absence per column; slopes keep to the table's signs.

    ``rules``: steps that people set. Each is taken times a factor that is learned, at least nought, and before any data
    has mean and variance ``trust``. Where the rows say too little about a severe sign (`_informed`) the factor is at least
    `_RULE_KEPT`: the rule still speaks.
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
    steps = _steps(rules, table.names, x)
    design = np.hstack([position, absent.astype(float), steps])
    columns = table.x.shape[1]
    sign = np.array([table.signs.get(name, 0) for name in table.names] + [0] * (columns + len(rules)))
    mean = np.concatenate([np.zeros(2 * columns), np.full(len(rules), trust[0])])
    variance = np.concatenate([np.full(2 * columns, strength), np.full(len(rules), trust[1])])
    least = np.concatenate(
        [np.where(sign[: 2 * columns] > 0, 0.0, -np.inf), np.where(_informed(steps, table), 0.0, _RULE_KEPT)]
    )
    most = np.where(sign < 0, 0.0, np.inf)
    intercept, coefficients = _ridge(design, y, weight, mean, variance, least, most)
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


def _informed(steps: Floats, table: Table) -> Bools:
    """Per column of ``steps`` (what a rule adds to each row): whether the rows by themselves say how much it should add.

    They do if the standard error of the rule's factor, from the curvature of the log loss at the base rate, is small. Only
    the table's own rows count, not their masked copies.
    """
    own = steps[: len(table.y)]
    weight = np.ones(len(table.y)) if table.weight is None else table.weight
    share = float(np.average(table.y, weights=weight))
    information = (weight[:, None] * own**2).sum(axis=0) * share * (1 - share)
    return np.asarray(information * _KNOWN_BETTER**2 >= 1)


def _steps(rules: Sequence[Term], names: Sequence[str], x: Floats) -> Floats:
    """(rows, rules): what each rule adds to each row."""
    out = np.zeros((len(x), len(rules)))
    for n, rule in enumerate(rules):
        out[:, n] = rule.scores[cell_numbers(x[:, names.index(rule.features[0])], rule.cuts[0])]
    return out


def _share_of_outcomes(y: Ints, weight: Floats | None) -> float:
    """Weighted share of rows with the outcome, never so near to nought or one that its log odds are infinite."""
    return float(np.clip(np.average(y, weights=weight), 1e-6, 1 - 1e-6))


def _ridge(
    design: Floats, y: Ints, weight: Floats, mean: Floats, variance: Floats, least: Floats, most: Floats
) -> tuple[float, Floats]:
    """Intercept and coefficients of weighted logistic regression with a normal prior of ``mean`` and ``variance``.

    ``least`` and ``most``: what each coefficient may be.
    """
    from scipy.optimize import minimize

    rows = np.hstack([design, np.ones((len(y), 1))])
    penalty, centre = np.append(1 / variance, 0.0), np.append(mean, 0.0)

    def cost(beta: Floats) -> tuple[float, Floats]:
        z = rows @ beta
        away = beta - centre
        loss = float((weight * (np.logaddexp(0, z) - y * z)).sum() + (penalty * away**2).sum() / 2)
        return loss, rows.T @ (weight * (sigmoid(z) - y)) + penalty * away

    found = minimize(
        cost,
        np.append(mean, logit(_share_of_outcomes(y, weight))),
        jac=True,
        method="L-BFGS-B",
        bounds=[*zip(least.tolist(), most.tolist(), strict=True), (-np.inf, np.inf)],
        options={"maxiter": 500, "maxcor": 20, "ftol": 1e-9},
    )
    return float(found.x[-1]), np.asarray(found.x[:-1])


def fit_ebm(
    table: Table,
    theme: str,
    *,
    seed: int = 0,
    bags: int = 8,
    interactions: int = 5,
    max_bins: int = 32,
    rules: Sequence[Term] = (),
) -> Fitted:
    """Explainable Boosting Machine, small enough to be read: 8 bags, 5 interactions.

    ``rules``: steps that people set. Boosting begins at their sum, calibrated on the rows, instead of at the base rate, and
    in the end each still adds at least `_RULE_KEPT` of what it says where the rows do not know better (`kept_rules`): a
    severe sign that hardly a row shows is not forgotten.
    """
    from interpret.glassbox import ExplainableBoostingClassifier

    x, y, weight = augmented(table, seed)
    start, begin = _calibrated_rules(rules, table, x)
    # a constant column carries nothing, and a wholly absent one has no bins
    useful = [n for n in range(x.shape[1]) if len(np.unique(table.x[~np.isnan(table.x[:, n]), n])) > 1]
    if not useful:
        return _fitted("ebm", theme, table, logit(_share_of_outcomes(table.y, table.weight)), ())
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
        machine.fit(
            x[:, useful],
            y,
            sample_weight=weight,
            bags=_bags(table, len(y) // len(table.y), bags, seed),
            init_score=begin if rules else None,
        )
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
    intercept = float(np.ravel(machine.intercept_)[0])
    if rules:
        intercept += start[0]
        terms += kept_rules(terms, start[1], table)
    return _fitted("ebm", theme, table, intercept, tuple(terms))


def _calibrated_rules(rules: Sequence[Term], table: Table, x: Floats) -> tuple[tuple[float, tuple[Term, ...]], Floats]:
    """((shift, rules times their slope), log odds of the rows ``x`` by them): the rules as they fit the table's rows."""
    if not rules:
        return (0.0, ()), np.zeros(len(x))
    usual = logit(_share_of_outcomes(table.y, table.weight))
    slope, shift = calibrate(_steps(rules, table.names, table.x).sum(axis=1) + usual, table.y, table.weight)
    shift += slope * usual
    scaled = tuple(replace(rule, scores=rule.scores * slope, std=np.abs(rule.scores) * slope * 0.5) for rule in rules)
    return (shift, scaled), _steps(scaled, table.names, x).sum(axis=1) + shift


def kept_rules(terms: Sequence[Term], rules: Sequence[Term], table: Table) -> list[Term]:
    """The rules as terms to add to ``terms``, raised where learning took away more than they may lose.

    A cell in which the rule adds nothing is the measure: against the mean of these cells, one in which the rule raises must
    stay raised by `_RULE_KEPT` of it, whatever ``terms`` of the same feature say, unless the rows of ``table`` in that cell
    say how much it should be (`_informed`). Nothing else is changed.
    """
    out = []
    for rule in rules:
        own = [term for term in terms if term.features == rule.features and term.kind == "steps"]
        cuts = tuple(sorted({*rule.cuts[0], *(cut for term in own for cut in term.cuts[0])}))
        # one value inside each cell: absent, left of the first cut, then each cut itself (cells are left-closed)
        inside = np.array([np.nan, cuts[0] - 1.0, *cuts]) if cuts else np.array([np.nan, 0.0])
        says = rule.scores[cell_numbers(inside, rule.cuts[0])]
        learned = sum((term.scores[cell_numbers(inside, term.cuts[0])] for term in own), np.zeros(len(inside)))
        quiet = says == 0
        quiet[0] = False
        usual = float((says + learned)[quiet].mean()) if quiet.any() else 0.0
        lacking = np.maximum(_RULE_KEPT * says - (says + learned - usual), 0.0)
        cell = cell_numbers(table.x[:, table.names.index(rule.features[0])], cuts)
        raised = np.unique(says[says > 0])
        each = says[cell][:, None] * (says[cell][:, None] == raised)
        known = dict(zip(raised.tolist(), _informed(each, table).tolist(), strict=True))
        open_cells = np.array([value > 0 and not known[value] for value in says.tolist()])
        scores = says + np.where(open_cells, lacking, 0.0)
        deviation = rule.std[cell_numbers(inside, rule.cuts[0])]
        out.append(Term(rule.features, "steps", (cuts,), scores, deviation))
    return out


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


def blend_share(logistic: Floats, ebm: Floats, y: Ints) -> float:
    """What logistic regression counts in the blend, 0 to 1: the share with the least log loss on rows neither was fitted on.

    ``logistic``, ``ebm``: log odds of these rows. A normal prior around one half (deviation `_SHARE_PRIOR`) keeps a handful
    of outcomes from picking one of the two.
    """
    from scipy.optimize import minimize_scalar

    # of a handful of rows boosting can be infinitely sure
    first, second = (np.clip(np.nan_to_num(z), -30.0, 30.0) for z in (logistic, ebm))

    def cost(share: float) -> float:
        z = share * first + (1 - share) * second
        return float((np.logaddexp(0, z) - y * z).sum() + (share - 0.5) ** 2 / (2 * _SHARE_PRIOR**2))

    return float(minimize_scalar(cost, bounds=(0.0, 1.0), method="bounded").x)


def blend(logistic: Fitted, ebm: Fitted, table: Table, theme: str, share: float = 0.5) -> Fitted:
    """Logistic regression and EBM mixed in log odds: still one sum of terms, steadier than either on few rows.

    ``share``: what logistic regression counts (`blend_share`).
    """
    first, second = logistic.model, ebm.model
    assert first is not None
    assert second is not None
    terms = tuple(
        replace(term, scores=term.scores * part, std=term.std * part)
        for model, part in ((first, share), (second, 1 - share))
        for term in model.terms
    )
    return _fitted("blend", theme, table, share * first.intercept + (1 - share) * second.intercept, terms)


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
