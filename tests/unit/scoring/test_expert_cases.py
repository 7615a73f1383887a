"""The criteria judge every written case as its writer does; there are at least sixty."""

from __future__ import annotations

import pytest

from kodomo_platform.scoring import load_themes
from kodomo_platform.scoring.additive import criteria_model
from kodomo_platform.scoring.expert_cases import judge_model, load_cases


def test_there_are_at_least_sixty_cases() -> None:
    assert sum(len(load_cases(theme)) for theme in load_themes()) >= 60


@pytest.mark.parametrize("theme", sorted(load_themes()))
def test_the_criteria_agree_with_the_written_cases(theme: str) -> None:
    verdicts = judge_model(load_themes()[theme], criteria_model(load_themes()[theme]))
    assert [f"{v.case.key}: {v.band} {v.score:.3f}" for v in verdicts if not v.passed] == []
