"""The criteria judge every written case as its writer does; there are at least sixty."""

from __future__ import annotations

import math

import pytest

from kodomo_platform.scoring import load_themes
from kodomo_platform.scoring.additive import criteria_model
from kodomo_platform.scoring.expert_cases import Case, judge_model, load_cases, whole


def test_there_are_at_least_sixty_cases() -> None:
    assert sum(len(load_cases(theme)) for theme in load_themes()) >= 60


@pytest.mark.parametrize("theme", sorted(load_themes()))
def test_the_criteria_agree_with_the_written_cases(theme: str) -> None:
    verdicts = judge_model(load_themes()[theme], criteria_model(load_themes()[theme]))
    assert [f"{v.case.key}: {v.band} {v.score:.3f}" for v in verdicts if not v.passed] == []


def test_what_a_case_does_not_say_follows_from_what_it_says() -> None:
    # Regression: fifteen days absent last month stood beside an absence rate of nought, and models were judged by it
    child = whole({"absent_days_ytd": 28, "absent_rate_3m": 0.45, "absent_days_1m": 15, "absent_trend": 0.3})
    assert child["absent_rate_1m"] == pytest.approx(0.75)
    assert child["absent_rate_12m"] == pytest.approx(0.14)
    assert child["absent_trend"] == 0.3
    assert whole({"counselling_truancy_12m": 2})["counselling_12m"] == 2
    assert whole({"hospital_flag_severity_12m": 3})["hospital_flags_12m"] == 1
    assert whole({"late_rate_3m": 0.3})["late_rate_12m"] == pytest.approx(0.15)
    assert math.isnan(whole({})["consultation_months_since"])
    assert whole({"consultation_abuse_24m": 1})["consultation_months_since"] == 3


def test_a_small_child_has_no_school_and_a_pupil_no_infant_check_up() -> None:
    small, pupil = whole({"age_years": 2}), whole({})
    assert math.isnan(small["absent_rate_3m"])
    assert math.isnan(small["survey_mood"])
    assert small["vaccinations_24m"] == 4
    assert math.isnan(pupil["infant_checkups_missed_36m"])
    assert pupil["grade"] == 5
    with pytest.raises(ValueError, match="no child of 10 has"):
        Case(key="x", reason_ja="x", at_least="high", facts={"infant_checkups_missed_36m": 2})
    with pytest.raises(ValueError, match="no child of 2 has"):
        Case(key="x", reason_ja="x", at_least="high", facts={"age_years": 2, "absent_rate_3m": 0.2})
