"""At most one in ten on the wrong side, in each class by itself; too few rows promise nothing."""

from __future__ import annotations

import dataclasses

import numpy as np

from kodomo_platform.scoring import load_themes
from kodomo_platform.scoring.additive import criteria_model
from kodomo_platform.scoring.conformal import SAYS, certainty, coverage, limits


def test_each_class_keeps_its_promise() -> None:
    rng = np.random.default_rng(0)
    wrong = []
    for _ in range(200):
        y = (rng.random(600) < 0.1).astype(np.int64)
        logits = rng.normal(y * 1.5, 1.0)
        known = limits(logits[:300], y[:300])
        model = dataclasses.replace(criteria_model(load_themes()["abuse"]), facts={"conformal": known})
        says = certainty(model, logits[300:])
        later = y[300:]
        wrong.append(
            (
                (says[later == 1] == SAYS.index("like_no_outcome")).mean(),
                (says[later == 0] == SAYS.index("like_outcome")).mean(),
            )
        )
    assert np.mean(wrong, axis=0)[0] <= 0.11
    assert np.mean(wrong, axis=0)[1] <= 0.11


def test_too_few_outcomes_promise_nothing_and_criteria_are_not_measured() -> None:
    model = criteria_model(load_themes()["abuse"])
    assert set(certainty(model, np.array([-9.0, 9.0]))) == {SAYS.index("not_measured")}
    known = limits(np.array([0.0, 1.0, *np.linspace(-3, 0, 100)]), np.array([1, 1] + [0] * 100))
    assert known["outcome_from"] is None
    model = dataclasses.replace(model, facts={"conformal": known})
    assert [SAYS[n] for n in certainty(model, np.array([-9.0, 9.0]))] == ["cannot_say", "like_outcome"]


def test_the_promise_is_measured_on_rows_that_the_limits_had_not_seen() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(60):
        y = (rng.random(500) < 0.15).astype(np.int64)
        logits = rng.normal(y * 1.2, 1.0)
        found.append(coverage(logits, y, rng.integers(0, 3, 500)))
    assert np.mean([row["outcomes_kept"] for row in found]) >= 0.89
    assert np.mean([row["others_kept"] for row in found]) >= 0.89
    assert 0.1 < np.mean([row["cannot_say"] for row in found]) < 0.9
    # limits taken from other children than those they are used for: the broken promise shows
    shifted = np.concatenate([rng.normal(2, 1, 300), rng.normal(-2, 1, 300)])
    moved = coverage(shifted, np.tile([0, 1], 300), np.repeat([0, 1], 300))
    assert moved["outcomes_kept"] < 0.6
    assert coverage(np.zeros(12), np.tile([0, 1], 6), np.repeat([0, 1], 6)) == {}


def test_on_real_rows_each_class_is_kept_by_a_model_fitted_elsewhere() -> None:
    from sklearn.datasets import load_breast_cancer

    from kodomo_platform.scoring.candidates import Table, fit_logistic, folds_by_group

    data = load_breast_cancer()
    x, y = data.data[:, :4], data.target.astype(np.int64)
    rows = np.arange(len(y))
    kept = []
    for seed in range(8):
        fold = folds_by_group(rows, y, 5, seed)
        logits = np.empty(len(y))
        for part in range(5):
            learn = Table(x, y, tuple("abcd"), {}, rows).rows(fold != part)
            logits[fold == part] = fit_logistic(learn, "").predict(x[fold == part])
        kept.append(coverage(logits, y, folds_by_group(rows, y, 4, 100 + seed)))
    assert np.mean([row["outcomes_kept"] for row in kept]) >= 0.88
    assert np.mean([row["others_kept"] for row in kept]) >= 0.88
