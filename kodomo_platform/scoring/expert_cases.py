"""Written cases that every model must judge as an experienced worker would, at least or at most.

A severe case scored low blocks a model (the national system of 2025 failed on just that). The cases stand in `cases/`, one
file per theme. Facts that a case does not name are those of a child without signs, or follow from those that it names: a
child who was absent for 15 days last month has an absence rate, and a two-year-old has no school.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kodomo_platform.errors import ScoringError
from kodomo_platform.located_yaml import read_yaml
from kodomo_platform.scoring.additive import AdditiveModel, Floats, sigmoid
from kodomo_platform.scoring.themes import Theme, load_features

_DIRECTORY = Path(__file__).parent / "cases"
_BANDS = ("low", "middle", "high")
_AGE = 10.0
_SCHOOL_BEGINS = 6.0
_SCHOOL_ENDS = 15.0
# A child without signs: zero, but for what has another ordinary value.
_ORDINARY = {
    "age_years": _AGE,
    "siblings_count": 1.0,
    "household_adults": 2.0,
    "days_since_seen": 10.0,
    "assessment_last": 65.0,
    "bmi_last": 17.0,
    "pregnancy_weeks": 9.0,
    "vaccinations_24m": 4.0,
    "survey_mood": 4.0,
    "survey_sleep": 4.0,
    "survey_friends": 4.0,
    "survey_home": 4.0,
    "survey_care_hours": 0.0,
    "survey_mood_12m": 4.0,
    "survey_sleep_12m": 4.0,
    "survey_friends_12m": 4.0,
    "household_survey_home_12m": 4.0,
}
# School days of a month, of a quarter, since April as of October, and of a year.
_MONTH, _QUARTER, _SINCE_APRIL, _YEAR = 20.0, 60.0, 100.0, 200.0
_UNPAID_YEN_A_MONTH = 5000.0


def applies(feature: str, age: float) -> bool:
    """Whether ``feature`` says anything about a child of that age: school and its survey from six, childcare, infant
    check-ups and home visits before (the same rule as in dbt_project/macros/child_features.sql). What is told of the
    household's children together says something of each.
    """
    group = load_features()[feature].group
    if feature.startswith("household_"):
        return True
    if feature == "grade" or group.startswith(("education.", "survey.")):
        return _SCHOOL_BEGINS <= age <= _SCHOOL_ENDS
    if group.startswith(("childcare.", "health.")):
        return age < _SCHOOL_BEGINS
    return True


def whole(facts: dict[str, float]) -> dict[str, float]:
    """Every feature of a child of whom only ``facts`` are written; nan where it does not apply.

    What is written always stands; the rest is ordinary, or as large as what is written makes it.
    """
    out = {name: _ORDINARY.get(name, 0.0) for name in load_features()} | facts
    age = out["age_years"]

    def grows(name: str, value: float) -> None:
        if name not in facts:
            out[name] = max(out[name], value)

    def lowers(name: str, value: float) -> None:
        if name not in facts:
            out[name] = min(out[name], value)

    out["grade"] = facts.get("grade", age - _SCHOOL_BEGINS + 1)
    grows("absent_rate_3m", max(out["absent_days_1m"] / _QUARTER, out["absent_days_ytd"] / _SINCE_APRIL))
    grows("absent_rate_1m", out["absent_days_1m"] / _MONTH if "absent_days_1m" in facts else out["absent_rate_3m"])
    grows("absent_days_1m", float(round(out["absent_rate_1m"] * _MONTH)))
    grows("absent_days_ytd", float(round(out["absent_rate_3m"] * _QUARTER)))
    grows("absent_rate_12m", max(out["absent_days_ytd"], out["absent_rate_3m"] * _QUARTER) / _YEAR)
    before = (out["absent_rate_12m"] * _YEAR - out["absent_rate_3m"] * _QUARTER) / (_YEAR - _QUARTER)
    grows("absent_trend", out["absent_rate_3m"] - max(before, 0.0))
    grows("absent_rate_24m", out["absent_rate_12m"] / 2)
    grows("late_rate_12m", out["late_rate_3m"] / 2)
    grows("late_rate_24m", out["late_rate_12m"] / 2)
    grows("late_trend", out["late_rate_3m"] - out["late_rate_24m"])
    grows("early_leave_rate_12m", out["early_leave_rate_3m"] / 4)
    grows("health_room_12m", max(out["health_room_3m"], out["health_room_mental_12m"] + out["health_room_hygiene_12m"]))
    grows("health_room_3m", float(round(out["health_room_12m"] / 4)))
    grows("counselling_mind_12m", out["counselling_family_12m"] + out["counselling_truancy_12m"])
    grows("counselling_12m", out["counselling_mind_12m"])
    grows("counselling_12m", float(out["counselling_severity_12m"] > 0))
    grows("counselling_severity_12m", float(out["counselling_12m"] > 0))
    grows("fees_unpaid_yen_12m", out["fees_unpaid_months"] * _UNPAID_YEN_A_MONTH)
    grows("consultations_12m", max(out["consultation_abuse_24m"], float(out["consultation_severity_24m"] > 0)))
    grows("consultation_severity_24m", float(out["consultations_12m"] > 0))
    grows("case_closed_24m", float(out["case_severity_24m"] > 0))
    grows("case_severity_24m", float(out["case_closed_24m"] > 0))
    grows("hospital_flags_12m", float(out["hospital_flag_severity_12m"] > 0))
    grows("hospital_flag_severity_12m", float(out["hospital_flags_12m"] > 0))
    grows("home_visits_24m", float(out["home_visit_finding_24m"] > 0))
    grows("consultation_months_since", 3.0)
    grows("infant_checkups_missed_60m", out["infant_checkups_missed_36m"])
    grows("infant_findings_60m", min(out["infant_findings_36m"], 3.0) / 3)
    grows("parenting_difficulty_60m", out["parenting_difficulty_36m"] / 2)
    grows("survey_no_adult_12m", out["survey_no_adult"] / 2)
    for name in ("mood", "sleep", "friends"):
        lowers(f"survey_{name}_12m", (out[f"survey_{name}"] + 4) / 2)
    # what is written of the child is part of what is told of its household
    grows("single_adult", float(out["household_adults"] == 1))
    grows("household_late_rate_24m", out["late_rate_24m"] / 2)
    grows("household_cavities_36m", out["cavities_last"] / 2)
    grows("household_fees_unpaid_24m", out["fees_unpaid_months"] / 2)
    grows("household_school_aid_36m", float(out["school_aid"] > 0))
    grows("household_late_pickup_24m", out["childcare_late_pickup_3m"] / 24)
    grows("household_childcare_unpaid_24m", float(out["childcare_unpaid_yen_12m"] > 0) / 24)
    grows("household_consultations_36m", out["consultations_12m"] + out["sibling_consultations_24m"])
    grows("sibling_cases_60m", out["sibling_cases_24m"])
    grows("household_pregnancy_concern_84m", out["pregnancy_concern"])
    grows("household_infant_missed_60m", min(out["infant_checkups_missed_60m"], 3.0) / 3)
    grows("household_infant_findings_60m", out["infant_findings_60m"])
    grows("household_parenting_difficulty_60m", out["parenting_difficulty_60m"])
    grows("household_home_visit_finding_36m", out["home_visit_finding_24m"])
    grows("household_hospital_flags_24m", out["hospital_flags_12m"])
    grows("household_care_hours_12m", out["survey_care_hours"] / 2)
    lowers("household_survey_home_12m", (out["survey_home"] + 4) / 2)
    out = {name: value if applies(name, age) else float("nan") for name, value in out.items()}
    if out["consultations_12m"] == 0:
        out["consultation_months_since"] = float("nan")
    if out["siblings_count"] == 0:
        for name in out:
            out[name] = float("nan") if name.startswith("sibling_") else out[name]
    return out


class Case(BaseModel):
    """One child's facts and the band that they deserve."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    reason_ja: str
    facts: dict[str, float] = Field(default_factory=dict)
    at_least: str | None = None
    at_most: str | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Case:
        bounds = [bound for bound in (self.at_least, self.at_most) if bound is not None]
        if len(bounds) != 1 or bounds[0] not in _BANDS:
            raise ValueError("give at_least or at_most, one of low, middle, high")
        if unknown := sorted(set(self.facts) - set(load_features())):
            raise ValueError(f"unknown features {unknown}")
        age = self.facts.get("age_years", _AGE)
        if strange := sorted(name for name in self.facts if not applies(name, age)):
            raise ValueError(f"facts that no child of {age:.0f} has: {strange}")
        return self


@dataclass(frozen=True)
class Verdict:
    """What a model made of one case."""

    case: Case
    score: float
    band: str

    @property
    def passed(self) -> bool:
        place = _BANDS.index(self.band)
        if self.case.at_least is not None:
            return place >= _BANDS.index(self.case.at_least)
        return place <= _BANDS.index(str(self.case.at_most))

    @property
    def blocks(self) -> bool:
        """A case that deserves the highest band and gets the lowest."""
        return self.case.at_least == "high" and self.band == "low"


@lru_cache(maxsize=16)
def load_cases(theme: str) -> tuple[Case, ...]:
    """The written cases of one theme."""
    located = read_yaml(_DIRECTORY / f"{theme}.yaml")
    if located.faults:
        raise ScoringError("the expert cases cannot be read", where=str(located.faults[0]))
    return tuple(Case.model_validate(row) for row in located.data["cases"])


def judge(
    theme: Theme, logits: Callable[[dict[str, Floats]], Floats], base_rate: float, features: Iterable[str] = ()
) -> list[Verdict]:
    """Run the theme's cases through a candidate, with the same bands as real children.

    ``logits`` gives calibrated log odds from feature columns; ``features`` names columns that it needs beyond the theme's.
    """
    cases = load_cases(theme.key)
    children = [whole(case.facts) for case in cases]
    values = {
        name: np.array([child.get(name, float("nan")) for child in children], dtype=float)
        for name in sorted({*theme.features, *features})
    }
    scores = sigmoid(logits(values))
    high = min(theme.bands.high * base_rate, 0.9)
    middle = min(theme.bands.middle * base_rate, 0.8)
    return [
        Verdict(case, float(score), "high" if score >= high else "middle" if score >= middle else "low")
        for case, score in zip(cases, scores, strict=True)
    ]


def judge_model(theme: Theme, model: AdditiveModel) -> list[Verdict]:
    """`judge` for a model whose reasons add up."""
    return judge(theme, model.logits, model.base_rate, (name for term in model.terms for name in term.features))
