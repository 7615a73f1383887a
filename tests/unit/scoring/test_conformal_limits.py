"""At most one in ten on the wrong side, in each class by itself; too few rows promise nothing."""

from __future__ import annotations

import dataclasses

import numpy as np

from kodomo_platform.scoring import load_themes
from kodomo_platform.scoring.additive import criteria_model
from kodomo_platform.scoring.conformal import SAYS, certainty, limits


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
