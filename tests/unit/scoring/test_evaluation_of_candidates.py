"""Measures with intervals, groups and months: equal to the libraries', small cells hidden, towns added up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from kodomo_platform.scoring.artifacts import keep_counts, kept_counts
from kodomo_platform.scoring.evaluation import (
    SMALL,
    by_month,
    group_counts,
    household_weights,
    intervals,
    judge_groups,
    pooled,
    top,
)
from kodomo_platform.scoring.groups import areas
from kodomo_platform.scoring.model_card import figures


def _town(rows: int, seed: int, gap: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Outcomes, scores, households and sex; with ``gap`` girls' need shows less in the score."""
    rng = np.random.default_rng(seed)
    sex = np.where(rng.random(rows) < 0.5, "female", "male")
    need = rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-(2 * need - 2)))).astype(np.int64)
    seen = need - np.where(sex == "female", gap, 0.0)
    return y, 1 / (1 + np.exp(-(2 * seen - 2))), np.arange(rows) // 2, sex


@settings(max_examples=20, deadline=None)
@given(st.integers(30, 200), st.integers(0, 1000), st.integers(1, 3))
def test_intervals_are_those_of_the_library(rows: int, seed: int, decimals: int) -> None:
    y, probability, household, _ = _town(rows, seed)
    probability = probability.round(decimals)  # ties
    expected: dict[str, list[float]] = {"auc": [], "average_precision": [], "brier": []}
    for weight in household_weights(household, 20):
        if not 0 < (weight * y).sum() < weight.sum():
            continue
        expected["auc"].append(float(roc_auc_score(y, probability, sample_weight=weight)))
        expected["average_precision"].append(float(average_precision_score(y, probability, sample_weight=weight)))
        expected["brier"].append(float(np.average((probability - y) ** 2, weights=weight)))
    found = intervals(y, probability, household, 10, draws=20)
    for name, values in expected.items():
        if values:
            assert found[name] == pytest.approx(tuple(np.percentile(values, [5, 95])), abs=1e-9)


def test_visits_and_precision_say_the_same() -> None:
    y, probability, household, _ = _town(400, 1)
    found = intervals(y, probability, household, 40)
    assert found["visits_per_outcome"][0] == pytest.approx(1 / found["precision_at_capacity"][1])
    assert found["precision_at_capacity"][0] < found["precision_at_capacity"][1] <= 1


def test_groups_count_what_is_there_and_hide_what_is_small() -> None:
    y, probability, household, sex = _town(400, 2)
    rare = np.where(np.arange(400) < 12, "twins", "single")
    counts = group_counts({"sex": sex, "household": rare}, y, probability, household, top(probability, 60))
    female = next(row for row in counts if row.name == "female")
    assert (female.rows, female.outcomes) == (int((sex == "female").sum()), int(y[sex == "female"].sum()))
    assert sum(row.flagged for row in counts if row.kind == "sex") == 60
    assert female.expected == pytest.approx(probability[sex == "female"].sum())
    shown = {row.name: row for row in judge_groups(counts)}
    assert shown["twins"].outcomes is None
    assert shown["twins"].recall is None
    assert shown["twins"].precision is None
    assert "判断できません" in shown["twins"].verdict
    assert shown["female"].recall_low <= shown["female"].recall <= shown["female"].recall_high


def test_a_gap_that_no_town_can_see_alone_is_seen_over_all(home: object) -> None:
    del home
    for n in range(12):
        y, probability, household, sex = _town(160, n, gap=0.25)
        counts = group_counts(
            {"sex": sex, "area": np.full(160, "335-0001")}, y, probability, household, top(probability, 26)
        )
        keep_counts(f"{n:05d}0", "abuse", "0" * 64, counts)
    sites = {code: kept.counts for code, kept in kept_counts("abuse").items()}
    assert len(sites) == 12
    alone = [row for site in sites.values() for row in judge_groups(site) if row.name == "female"]
    assert sum(row.biased for row in alone) <= 3  # of twelve towns, most cannot say
    together = judge_groups(pooled(list(sites.values())))
    assert {row.kind for row in together} == {"sex"}  # an area is of one town alone
    assert all(row.biased for row in together)
    assert together[0].outcomes == sum(
        row.outcomes for site in sites.values() for row in site if row.name == together[0].name
    )
    narrow = together[0].recall_high - together[0].recall_low
    assert narrow < min(row.recall_high - row.recall_low for row in alone if row.recall is not None)


def test_an_area_is_as_coarse_as_it_must_be() -> None:
    postal = np.array(["3350001"] * 40 + ["3350002"] * 10 + ["3350003"] * 10 + ["1000001"] * 5 + [""] * 7, dtype=object)
    y = np.zeros(len(postal), dtype=np.int64)
    y[:15] = 1  # the first town alone has ten outcomes
    y[40:46] = 1
    y[50:55] = 1
    y[60:62] = 1
    found = areas(postal, y)
    assert set(found[:40]) == {"335-0001"}
    assert set(found[40:60]) == {"335-00**"}
    assert set(found[60:65]) == {"elsewhere"}
    assert set(found[65:]) == {"unknown"}


def test_a_month_of_few_outcomes_is_not_shown() -> None:
    y, probability, household, _ = _town(400, 4)
    moment = np.repeat(np.array(["2026-02-01", "2026-04-01"], dtype="datetime64[D]"), 200)
    few = y.copy()
    few[np.flatnonzero(y[:200])[SMALL - 1 :]] = 0
    first, second = by_month(moment, few, probability, household, 30)
    assert (first["as_of_date"], first["rows"], first["outcomes"], first["measures"]) == ("2026-02-01", 200, None, {})
    assert second["outcomes"] == int(y[200:].sum())
    low, value, high = (second["measures"][key] for key in ("auc_low", "auc", "auc_high"))
    assert low <= value <= high


def test_figures_are_drawings_whose_text_stays_text() -> None:
    from kodomo_platform.scoring import load_features, load_themes
    from kodomo_platform.scoring.additive import criteria_model

    y, probability, household, sex = _town(400, 5)
    model = criteria_model(load_themes()["school_refusal"])
    groups = judge_groups(group_counts({"sex": sex}, y, probability, household, top(probability, 60)))
    months = by_month(np.repeat(np.array(["2026-02-01"], dtype="datetime64[D]"), 400), y, probability, household, 60)
    both = {"criteria": probability, "ebm": probability}
    first, again = (figures(y, both, "ebm", model, load_features(), groups, months) for _ in range(2))
    assert first == again
    assert set(first) == {"precision_recall", "calibration", "capacity", "fairness", "months", "shape_functions"}
    for picture in first.values():
        assert picture.lstrip().startswith(b"<?xml")
    assert "性別：女" in first["fairness"].decode()
    assert "定員での適合率" in first["months"].decode()
    # nothing to show is said, not drawn as if it were nought
    hidden = [dataclasses.replace(row, recall=None) for row in groups]
    assert "示せません" in figures(y, both, "ebm", model, load_features(), hidden, [])["fairness"].decode()
