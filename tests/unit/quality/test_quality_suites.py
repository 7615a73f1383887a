"""Suites: the shipped ones are sound, and a slip is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import QualityError
from kodomo_platform.quality.availability import contingency, population_stability
from kodomo_platform.quality.drift import learnt_limits
from kodomo_platform.quality.generation import generate
from kodomo_platform.quality.suites import SUITES_DIR, load_suites

ENTRY = """table: raw.raw_education__attendance
hand_written:
  - id: x
    expect: expect_values_to_be_present
    item: month
    kind: completeness
    severity: warning
    threshold: 1
    why: because
    ja: 月があること
    en: there is a month
"""


def test_there_are_enough_of_every_layer_and_kind() -> None:
    every = [expectation for suite in load_suites().values() for expectation in suite.expectations]
    assert len(every) >= 200
    assert {e.table.split(".")[0] for e in every} == {"raw", "staging", "linkage", "marts"}
    assert {e.kind for e in every} == {"completeness", "conformance", "plausibility"}
    assert all(e.why and e.ja and e.en for e in every)
    tables = {f"raw.{source.raw_table}" for source in load_catalog().sources.values()}
    assert tables <= set(load_suites())


def test_generated_parts_are_up_to_date(tmp_path: Path) -> None:
    for file in SUITES_DIR.glob("*.yaml"):
        (tmp_path / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    assert generate(tmp_path) == []


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("item: month", "item: monht", 3, "did you mean 'month'"),
        ("values_to_be_present", "values_to_be_presnt", 4, "did you mean 'expect_values_to_be_present'"),
        ("threshold: 1", "threshold: 100", 8, "impossible"),
        ("threshold: 1", "threshold: -1", 8, "impossible"),
        ("severity: warning", "severity: bad", 7, "critical"),
        ("    why: because\n", "", 3, "'why' is missing"),
        ("raw_education__attendance", "raw_education__atendance", 1, "no such table"),
    ],
)
def test_a_slip_is_refused_with_file_and_line(tmp_path: Path, before: str, after: str, line: int, said: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(ENTRY.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(QualityError) as caught:
        load_suites(tmp_path, load_catalog())
    assert f"suite.yaml:{line}" in str(caught.value)
    assert said in str(caught.value)


def test_contingency_against_known_values() -> None:
    # 2 × 2 with chi² = 4 (textbook): p = 0.0455
    chi2, degrees, p, effect = contingency([(30, 20), (20, 30)])
    assert chi2 == pytest.approx(4.0)
    assert degrees == 1
    assert p == pytest.approx(0.0455, abs=0.002)
    assert effect == pytest.approx(0.2)
    assert contingency([(0, 10), (0, 5)])[2] == 1.0


def test_psi_is_zero_for_the_same_and_large_for_another() -> None:
    assert population_stability({"a": 50, "b": 50}, {"a": 500, "b": 500}) == pytest.approx(0)
    assert population_stability({"a": 90, "b": 10}, {"a": 10, "b": 90}) > 0.25
    assert population_stability({}, {"a": 1}) == 0


def test_limits_learn_but_stay_bounded() -> None:
    assert learnt_limits([100, 100, 100], narrowest=0.2, widest=0.5) == (80, 120)
    low, high = learnt_limits([10, 100, 1000], narrowest=0.2, widest=0.5)
    assert (low, high) == (50, 150)


def test_the_guide_lists_every_critical_check_as_the_suites_have_it() -> None:
    from kodomo_platform.quality.documentation import with_table

    guide = (SUITES_DIR.parent / "docs" / "quality.md").read_text(encoding="utf-8")
    assert with_table(guide, load_suites().values()) == guide
