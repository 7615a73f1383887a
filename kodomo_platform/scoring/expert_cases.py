"""Written cases that every model must judge as an experienced worker would, at least or at most.

A severe case scored low blocks a model (the national system of 2025 failed on just that). The cases stand in `cases/`, one
file per theme; facts that a case does not name are those of a child without signs.
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
# A child without signs: zero, but for what has another ordinary value (nan: does not apply).
_ORDINARY = {
    "age_years": 10.0,
    "grade": 5.0,
    "siblings_count": 1.0,
    "household_adults": 2.0,
    "days_since_seen": 10.0,
    "assessment_last": 65.0,
    "bmi_last": 17.0,
    "pregnancy_weeks": 9.0,
    "vaccinations_24m": 4.0,
    "consultation_months_since": float("nan"),
    "survey_mood": 4.0,
    "survey_sleep": 4.0,
    "survey_friends": 4.0,
    "survey_home": 4.0,
    "survey_care_hours": 0.0,
}


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
    values = {
        name: np.array([case.facts.get(name, _ORDINARY.get(name, 0.0)) for case in cases], dtype=float)
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
