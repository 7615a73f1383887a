"""Models as sums of terms: equal to the library they come from, the same bytes again, nothing run on load."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring import load_features, load_themes
from kodomo_platform.scoring.additive import Term, criteria_model, parse_model, read_model, sigmoid
from kodomo_platform.scoring.candidates import (
    Table,
    augmented,
    calibrate,
    fit_boosting,
    fit_ebm,
    fit_logistic,
    folds_by_group,
)
from kodomo_platform.scoring.themes import load_themes_from


@pytest.fixture(scope="module")
def table() -> Table:
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(size=(300, 5)), 2)
    y = (rng.random(300) < 1 / (1 + np.exp(-(x[:, 0] + x[:, 1] - 1)))).astype(np.int64)
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:, 4] = 1.0  # a constant column
    return Table(x, y, ("a", "b", "c", "d", "e"), {"one": (0, 1), "two": (2, 3)}, np.arange(300) // 2)


@pytest.mark.parametrize("fitter", [fit_logistic, fit_ebm])
def test_a_model_file_gives_back_the_same_model(table: Table, fitter, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fitted = fitter(table, "school_refusal", seed=1)
    model = fitted.model
    text = model.to_json()
    again = parse_model(text.encode(), "model.json")
    assert again.to_json() == text
    values = {name: table.x[:, n] for n, name in enumerate(table.names)}
    np.testing.assert_array_equal(again.logits(values), model.logits(values))
    one = {name: column[7:8] for name, column in values.items()}
    assert model.logits(one)[0] == model.logits(values)[7]
    file = tmp_path / "model.json"
    file.write_text(text, encoding="utf-8")
    assert read_model(file, model.sha256).sha256 == model.sha256
    with pytest.raises(ScoringError, match="not the one that was approved"):
        read_model(file, "0" * 64)


def test_an_ebm_taken_apart_equals_the_library(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    from interpret.glassbox import ExplainableBoostingClassifier

    kept = {}
    original = ExplainableBoostingClassifier.fit

    def fit(self, *args, **kwargs):  # type: ignore[no-untyped-def]
        kept["machine"] = original(self, *args, **kwargs)
        return kept["machine"]

    monkeypatch.setattr(ExplainableBoostingClassifier, "fit", fit)
    fitted = fit_ebm(table, "school_refusal", seed=1)
    expected = kept["machine"].predict_proba(table.x[:, :4])[:, 1]
    np.testing.assert_allclose(sigmoid(fitted.predict(table.x)), expected, atol=1e-9)


def test_masked_copies_weigh_no_more_than_the_rows(table: Table) -> None:
    x, y, weight = augmented(table, seed=0)
    assert len(x) == len(y) == len(weight)
    assert weight.sum() == pytest.approx(len(table.y))
    assert weight[: len(table.y)].sum() > weight[len(table.y) :].sum()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(2, 5), st.integers(0, 9))
def test_folds_never_split_a_household(households: int, folds: int, seed: int) -> None:
    group = np.arange(households * 3) // 3
    fold = folds_by_group(group, (np.arange(len(group)) % 7 == 0).astype(np.int64), folds, seed)
    assert all(len(set(fold[group == name])) == 1 for name in range(households))


def test_calibration_mends_what_is_too_sure() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(-1, 1, 5000)
    y = (rng.random(5000) < sigmoid(truth)).astype(np.int64)
    slope, shift = calibrate(truth * 3 + 2, y)
    assert slope == pytest.approx(1 / 3, abs=0.05)
    assert shift == pytest.approx(-2 / 3, abs=0.15)


def _rare(rows: int = 6000) -> Table:
    """Rare outcomes: column a speaks for them, b against them, c was never seen above nought."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(rows, 3))
    x[:, 2] = 0.0
    y = (rng.random(rows) < sigmoid(x[:, 0] - x[:, 1] - 4)).astype(np.int64)
    return Table(x, y, ("a", "b", "c"), {}, np.arange(rows) // 2)


def test_a_slope_keeps_to_its_sign() -> None:
    free = fit_logistic(_rare(), "abuse")
    held = fit_logistic(dataclasses.replace(_rare(), signs={"a": 1, "b": 1}), "abuse")
    assert free.model is not None
    assert held.model is not None
    assert free.model.terms[1].scores[1] < -0.5  # what the rows say
    assert held.model.terms[1].scores[1] == 0.0  # and may not
    assert held.model.terms[0].scores[1] > 0.5


def test_a_rule_speaks_where_nothing_was_seen_and_yields_to_what_was() -> None:
    rules = [Term((name,), "steps", ((1.0,),), np.array([0.0, 0.0, 2.0]), np.zeros(3)) for name in ("b", "c")]
    model = fit_logistic(_rare(), "abuse", rules=rules).model
    assert model is not None
    wrong, unseen = model.terms[-2:]
    assert wrong.scores[2] < 0.5  # b of one or more is said to be a sign, and is none
    assert unseen.scores[2] == pytest.approx(2.0, abs=0.01)
    child = {"a": np.zeros(2), "b": np.zeros(2), "c": np.array([0.0, 3.0])}
    low, high = model.logits(child)
    assert high - low == pytest.approx(2.0, abs=0.01)


def test_a_sample_of_those_without_the_outcome_stands_for_all() -> None:
    table = _rare()
    few = table.thinned(1500, seed=1)
    assert few.weight is not None
    assert (len(few.y), few.y.sum()) == (1500, table.y.sum())
    assert few.weight.sum() == pytest.approx(len(table.y))
    assert table.thinned(10_000, seed=1) is table
    whole, part = (fit_logistic(one, "abuse", strength=1.0).model for one in (table, few))
    assert whole is not None
    assert part is not None
    assert part.intercept == pytest.approx(whole.intercept, abs=0.2)
    assert part.base_rate == pytest.approx(whole.base_rate)
    logits = whole.logits({name: few.x[:, n] for n, name in enumerate(few.names)})
    slope, shift = calibrate(logits, few.y, few.weight)
    assert (slope, shift) == (pytest.approx(1, abs=0.1), pytest.approx(0, abs=0.3))
    assert calibrate(logits, few.y)[1] > 0.5  # without weights: as if outcomes were not rare


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(load_themes())), st.floats(-50, 400, allow_nan=False))
def test_criteria_as_a_model_add_what_the_rules_say(key: str, value: float) -> None:
    theme = load_themes()[key]
    model = criteria_model(theme)
    for term in model.terms:
        name = term.features[0]
        single = dataclasses.replace(model, terms=(term,))
        got = single.contributions({name: np.array([value, np.nan])})[0][:, 0]
        rules = [c for c in theme.criteria if c.feature == name]
        expected = sum(c.weight for c in rules if (value >= c.value if c.op == ">=" else value <= c.value))
        assert got[0] == pytest.approx(expected)
        assert got[1] == 0


def test_every_theme_is_whole() -> None:
    themes = load_themes()
    assert set(themes) == {
        "school_refusal", "young_carer", "family_mind", "hospital_flag", "high_risk", "abuse", "hidden_hardship",
    }  # fmt: skip
    for theme in themes.values():
        assert all(criterion.evidence and criterion.sentence_ja for criterion in theme.criteria)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  - grade\n", "  - nationality\n", "nationality is banned as an input"),
        ("  - grade\n", "  - welfare.support.result\n", "an item of the catalogue, and banned as an input"),
        ("  - grade\n", "  - education.attendance.late_days\n", "features made of it: late_rate_3m"),
        ("  - grade\n", "  - shoe_size\n", "unknown feature shoe_size; see features.yaml"),
        ("    evidence: 文部科学省", "    evidence: ''  # 文部科学省", "at least 1 character"),
        ("label_en:", "label_xx:", "Extra inputs are not permitted"),
        ("  high: 4.0", "  high: 1.0", "high must be above middle"),
    ],
)
def test_a_theme_that_does_not_hold_is_refused_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    source = Path("kodomo_platform/scoring/themes/school_refusal.yaml").read_text(encoding="utf-8")
    (tmp_path / "school_refusal.yaml").write_text(source.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ScoringError, match=message) as error:
        load_themes_from(tmp_path)
    assert "school_refusal.yaml:" in str(error.value)


@pytest.mark.parametrize("item", ["welfare.support.result", "resident.register.shoe_size"])
def test_a_feature_of_a_banned_or_unknown_item_is_refused_with_its_line(tmp_path: Path, item: str) -> None:
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.scoring.themes import FEATURES_FILE, _features

    file = tmp_path / "features.yaml"
    file.write_text(
        FEATURES_FILE.read_text(encoding="utf-8").replace("[resident.register.birth_date]", f"[{item}]", 1),
        encoding="utf-8",
    )
    with pytest.raises(ScoringError, match=r"features.yaml:\d+.*(banned as an input|not in the catalogue)"):
        _features(file, load_catalog())


def test_boosting_takes_a_column_without_a_single_value(table: Table) -> None:
    x = table.x.copy()
    x[:, 3] = np.nan  # as of a source that no one has yet
    fitted = fit_boosting(dataclasses.replace(table, x=x), "school_refusal", seed=1)
    assert np.isfinite(fitted.predict(x)).all()
    x[:, 3] = 1.0
    assert np.isfinite(fitted.predict(x)).all()


def test_features_of_the_marts_and_of_the_file_are_the_same() -> None:
    import re

    sql = Path("dbt_project/macros/child_features.sql").read_text(encoding="utf-8")
    start = sql.index("set features = [")
    body = sql[start : sql.index("] ", start)]
    assert re.findall(r"^\s+\('(\w+)'", body, re.M) == list(load_features())


def test_a_file_that_is_no_model_is_refused() -> None:
    with pytest.raises(ScoringError, match="not a model file"):
        parse_model(b'{"format": "pickle"}', "model.json")
