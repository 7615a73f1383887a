"""Learning together while every row stays at home: what municipalities exchange are sums and model files, never rows.

Logistic regression by summed gradients (equal to the fit on all rows together), models averaged term by term, and each
site's own recalibration and choice on rows held out there. A file that leaves a site goes through `exportable` first.
How the pieces travel between municipalities does not belong here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.additive import AdditiveModel, Floats, Term, cell_numbers, sigmoid
from kodomo_platform.scoring.candidates import Fitted, Table, calibrate, fit_ebm, folds_by_group

SMALLEST_CELL = 5
MAX_CELLS = 8
_ROUNDS = 25


@dataclass(frozen=True)
class Choice:
    """Which model a site uses, and the Brier score of each on its own held-out rows."""

    chosen: str
    model: AdditiveModel
    brier: Mapping[str, float]


def federated_logistic(sites: Sequence[Table], theme: str, *, strength: float = 0.5) -> tuple[AdditiveModel, int]:
    """(logistic regression of all sites' rows together, rounds needed) from sums over sites alone.

    Centre and scale come from summed moments; then Newton steps from summed gradients and curvatures. Raises ScoringError
    for fewer than three sites (two could subtract themselves), other features, or fewer rows in all than coefficients:
    then the sums themselves would give rows away.
    """
    names = sites[0].names if sites else ()
    if len(sites) < 3:
        raise ScoringError("learning together needs at least three sites", expected="so that no sum is one site's own")
    if any(site.names != names for site in sites):
        raise ScoringError("the sites' features differ", expected="the same features in the same order at every site")
    rows = sum(len(site.y) for site in sites)
    if rows <= 2 * len(names) + 1:
        raise ScoringError(f"{rows} rows in all are too few for {2 * len(names) + 1} coefficients")
    count = np.maximum(sum((~np.isnan(site.x)).sum(axis=0) for site in sites), 1)
    centre = sum(np.nansum(site.x, axis=0) for site in sites) / count
    spread = np.sqrt(sum(np.nansum((site.x - centre) ** 2, axis=0) for site in sites) / count)
    spread = np.where(spread < 1e-9, 1.0, spread)
    beta = np.zeros(2 * len(names) + 1)
    ridge = np.full(len(beta), 1 / strength)
    ridge[0] = 0.0
    curvature = np.diag(ridge)
    used = 0
    for used in range(1, _ROUNDS + 1):  # noqa: B007
        gradient, curvature = ridge * beta, np.diag(ridge)
        for site in sites:
            own_gradient, own_curvature = _sums(site, centre, spread, beta)
            gradient, curvature = gradient + own_gradient, curvature + own_curvature
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(beta)), gradient)
        # a step limited in length cannot overshoot; near the end it is never limited
        beta = beta - step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    deviation = np.sqrt(np.maximum(np.diag(np.linalg.inv(curvature + 1e-9 * np.eye(len(beta)))), 0.0))
    size = len(names)
    terms = tuple(
        Term(
            (name,),
            "linear",
            ((float(centre[n] - 4 * spread[n]), float(centre[n] + 4 * spread[n]), float(centre[n])),),
            np.array([beta[1 + size + n], beta[1 + n] / spread[n]]),
            np.array([deviation[1 + size + n], deviation[1 + n] / spread[n]]),
        )
        for n, name in enumerate(names)
    )
    outcomes = sum(int(site.y.sum()) for site in sites)
    base = float(np.clip(outcomes / rows, 1e-4, 0.9))
    facts = {"sites": len(sites), "rows": rows}
    return AdditiveModel("logistic_together", theme, names, float(beta[0]), terms, base, facts=facts), used


def _sums(site: Table, centre: Floats, spread: Floats, beta: Floats) -> tuple[Floats, Floats]:
    """What one site adds: gradient and curvature of its rows, never the rows."""
    absent = np.isnan(site.x)
    position = np.clip((np.where(absent, centre, site.x) - centre) / spread, -4, 4)
    design = np.hstack([np.ones((len(site.y), 1)), position, absent.astype(float)])
    probability = sigmoid(design @ beta)
    weight = probability * (1 - probability)
    return design.T @ (probability - site.y), (design.T * weight) @ design


def merged(models: Sequence[AdditiveModel], rows: Sequence[int]) -> AdditiveModel:
    """The sites' models averaged by their rows: a sum of terms again, so nothing can hang on a site's missing feature."""
    if not models or any(model.features != models[0].features for model in models):
        raise ScoringError("only models of the same features can be merged", expected="the same features at every site")
    share = np.asarray(rows, dtype=float) / float(sum(rows))
    terms: list[Term] = []
    tables: dict[tuple[str, ...], list[Term]] = {}
    for model, part in zip(models, share, strict=True):
        for term in model.terms:
            weight = model.slope * part
            scaled = Term(term.features, term.kind, term.cuts, term.scores * weight, term.std * weight)
            if term.kind == "steps":
                tables.setdefault(term.features, []).append(scaled)
            else:
                terms.append(scaled)
    # one table per feature, so that a child's reason stands once and not once per municipality
    terms += [_one_table(same) for same in tables.values()]
    base = float(sum(model.base * part for model, part in zip(models, share, strict=True)))
    rate = float(sum(model.base_rate * part for model, part in zip(models, share, strict=True)))
    return AdditiveModel(
        "merged", models[0].theme, models[0].features, base, tuple(terms), rate, facts={"sites": len(models)}
    )


def _one_table(terms: Sequence[Term]) -> Term:
    """The sum of several tables of the same features as one table over all their cuts; deviations are added up."""
    axes = range(len(terms[0].features))
    cuts = tuple(tuple(sorted({cut for term in terms for cut in term.cuts[axis]})) for axis in axes)
    # one value inside each cell, the absent one first: a cell begins with its cut
    inside = [np.array([np.nan, cut[0] - 1.0 if cut else 0.0, *cut]) for cut in cuts]
    scores = np.zeros(tuple(len(values) for values in inside))
    std = np.zeros_like(scores)
    for term in terms:
        cells = np.ix_(*(cell_numbers(values, cut) for values, cut in zip(inside, term.cuts, strict=True)))
        scores += term.scores[cells]
        std += term.std[cells]
    return Term(terms[0].features, "steps", cuts, scores, std)


def fit_shared(table: Table, theme: str, *, seed: int = 0, others: Sequence[AdditiveModel] = ()) -> Fitted:
    """This site's share merged with the files of at least two other sites, and recalibrated on this site's rows.

    Raises ScoringError for files that were not made for leaving a site, or are of other features.
    """
    require_files(others)
    model = replace(_options(table, others, theme, seed)["shared_recalibrated"], name="shared")
    return Fitted("shared", lambda rows: model.logits({name: rows[:, n] for n, name in enumerate(table.names)}), model)


def require_files(others: Sequence[AdditiveModel]) -> None:
    """Raise ScoringError unless ``others`` are exported files of at least two sites: of one, its own would show through."""
    if len(others) < 2 or not all(model.facts.get("exported") for model in others):
        raise ScoringError(
            "merging needs the exported files of at least two other sites",
            expected="files written by `kodomo model share`",
        )


def recalibrated(model: AdditiveModel, table: Table) -> AdditiveModel:
    """``model`` with slope and shift of this site's rows (maximum a posteriori: few rows change little)."""
    slope, shift = calibrate(model.logits(_columns(table)), table.y, table.weight)
    return replace(
        model,
        slope=model.slope * slope,
        shift=model.shift * slope + shift,
        base_rate=float(np.clip(np.average(table.y, weights=table.weight), 1e-4, 0.9)),
    )


def choose(local: AdditiveModel, shared: AdditiveModel, calibration: Table, held_out: Table) -> Choice:
    """Local, shared, or shared and recalibrated: the lowest Brier score on the site's own held-out rows."""
    options = {"local": local, "shared": shared, "shared_recalibrated": recalibrated(shared, calibration)}
    brier = {
        name: float(np.mean((sigmoid(model.logits(_columns(held_out))) - held_out.y) ** 2))
        for name, model in options.items()
    }
    best = min(brier, key=lambda name: brier[name])
    return Choice(best, options[best], brier)


def choose_with_others(
    own: Table, others: Sequence[AdditiveModel], theme: str, *, folds: int = 3, seed: int = 20221220
) -> Choice:
    """Local, shared, or shared and recalibrated, by the Brier score on this site's own households not fitted on.

    ``others`` are the files of at least two other sites. In each fold the site's own model, its share in the merged one and
    the recalibration come from the other folds alone; what is returned is then fitted on all rows. Raises ScoringError for
    files that were not made for leaving a site, or for too few outcomes to hold any out.
    """
    require_files(others)
    if min(own.y.sum(), (1 - own.y).sum()) < folds:
        raise ScoringError(
            "too few rows with or without the outcome to choose on", expected=f"at least {folds} of each"
        )
    fold = folds_by_group(own.group, own.y, folds, seed)
    held_out: dict[str, Floats] = {}
    for part in range(folds):
        aside = own.rows(fold == part)
        for name, model in _options(own.rows(fold != part), others, theme, seed).items():
            held_out.setdefault(name, np.empty(len(own.y)))[fold == part] = sigmoid(model.logits(_columns(aside)))
    brier = {name: float(np.mean((probability - own.y) ** 2)) for name, probability in held_out.items()}
    best = min(brier, key=lambda name: brier[name])
    return Choice(best, _options(own, others, theme, seed)[best], brier)


def _options(own: Table, others: Sequence[AdditiveModel], theme: str, seed: int) -> dict[str, AdditiveModel]:
    local = fit_ebm(own, theme, seed=seed, max_bins=MAX_CELLS).model
    assert local is not None
    shared = merged([*others, local], [*(int(model.facts["rows"]) for model in others), len(own.y)])
    return {"local": local, "shared": shared, "shared_recalibrated": recalibrated(shared, own)}


def exportable(model: AdditiveModel, table: Table) -> AdditiveModel:
    """``model`` as it may leave the site: no cell that stands for fewer than five households, no ranges, no deviations.

    Raises ScoringError when a table has more than eight cells of values (fit with ``max_bins=8``).
    """
    values = _columns(table)
    _, household = np.unique(table.group, return_inverse=True)
    terms = []
    for term in model.terms:
        scores = term.scores.copy()
        if term.kind == "linear":
            absent = int(np.isnan(values[term.features[0]]).sum())
            if absent < SMALLEST_CELL:
                scores[0] = 0.0
            known = np.sort(values[term.features[0]][~np.isnan(values[term.features[0]])])
            if len(known) < 2 * SMALLEST_CELL:
                continue
            # the fifth value from either end: no bound is one child's own
            low, high = float(known[SMALLEST_CELL - 1]), float(known[-SMALLEST_CELL])
            cuts = ((low, high, float(np.clip(term.cuts[0][2], low, high))),)
            terms.append(Term(term.features, term.kind, cuts, scores, np.zeros_like(scores)))
            continue
        if any(len(cuts) + 1 > MAX_CELLS for cuts in term.cuts):
            raise ScoringError(
                f"the table of {' & '.join(term.features)} has too many cells to leave the site",
                expected=f"at most {MAX_CELLS} intervals per feature",
                action="fit the model for exchange with max_bins=8",
            )
        cells = tuple(cell_numbers(values[name], cut) for name, cut in zip(term.features, term.cuts, strict=True))
        # one child at five dates is still one child: a household counts once per cell
        flat = np.ravel_multi_index(cells, scores.shape)
        filled = np.unique(np.column_stack([flat, household]), axis=0)[:, 0]
        counts = np.bincount(filled, minlength=scores.size).reshape(scores.shape)
        scores[counts < SMALLEST_CELL] = 0.0
        terms.append(Term(term.features, term.kind, term.cuts, scores, np.zeros_like(scores)))
    return replace(model, terms=tuple(terms), ranges={}, facts={"rows": len(table.y), "exported": True})


def _columns(table: Table) -> dict[str, Floats]:
    return {name: table.x[:, n] for n, name in enumerate(table.names)}
