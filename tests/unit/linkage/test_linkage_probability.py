"""Match probabilities: a table per term, rivals against, and what the run says of itself."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.estimate import expected
from kodomo_platform.linkage.model import load_model
from kodomo_platform.linkage.probability import FEATURES, read_glass_box, start


def box(**other: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "features": list(FEATURES),
        "intercept": -1.0,
        "terms": [
            {"features": ["sex"], "cuts": [[0.5]], "scores": [0.25, 0.5]},
            {"features": ["sex", "foreign"], "cuts": [[0.5], [0.5]], "scores": [[0.0, 1.0], [2.0, 4.0]]},
        ],
    }
    return made | other


def rows(**values: float) -> Any:
    made = np.zeros((1, len(FEATURES)))
    made[0, 1:3] = -20.0
    for name, value in values.items():
        made[0, FEATURES.index(name)] = value
    return made


def test_a_probability_is_the_weight_and_a_table_per_term() -> None:
    model = read_glass_box(box(), "here")
    assert model.log_odds(rows(weight=3.0, sex=1, foreign=1))[0] == pytest.approx(
        3 * np.log(2) - 1 + 0.5 + 4.0, abs=1e-4
    )
    assert model.log_odds(rows(weight=3.0))[0] == pytest.approx(3 * np.log(2) - 1 + 0.25, abs=1e-4)


def test_what_speaks_for_another_candidate_speaks_against_this_one() -> None:
    alone, torn = start(rows(weight=10))[0], start(rows(weight=10, rival_left=10))[0]
    assert alone == pytest.approx(10 * np.log(2), abs=1e-4)
    # two that fit equally well: neither is likelier than not
    assert torn == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    "broken",
    [
        {"features": ["weight"]},
        {"terms": [{"features": ["sex"], "cuts": [[0.5]], "scores": [0.25]}]},
        {"terms": [{"features": ["sex"], "cuts": [[0.5]], "scores": [0.25, float("nan")]}]},
        {"terms": [{"features": ["age"], "cuts": [[0.5]], "scores": [0.25, 1]}]},
        {"intercept": None},
    ],
)
def test_a_broken_table_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(LinkageError, match="linkage model"):
        read_glass_box(box(**broken), "here")


def test_the_shipped_model_says_what_it_was_learnt_and_tested_on() -> None:
    model = load_model()
    assert model.glass_box is not None
    card = json.loads(model.text)["training"]["probability"]
    assert "seeds" in card
    assert "other seeds" in card


def test_the_estimate_holds_what_is_expected_and_is_wider_for_few_links() -> None:
    many, few = expected(100_000, 5, 200), expected(100, 0.005, 0.2)
    for made in (many, few):
        assert made.precision_low <= made.precision <= made.precision_high
        assert made.recall_low <= made.recall <= made.recall_high
    assert few.precision_high - few.precision_low > many.precision_high - many.precision_low
    assert many.precision == pytest.approx(0.99995)
    nothing = expected(0, 0, 0)
    assert (nothing.precision_low, nothing.recall_low) == (0.0, 0.0)
