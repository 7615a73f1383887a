"""Themes, criteria, models and scores: what the platform looks for, and how sure it may be.

Each theme is a file (`themes/*.yaml`). Criteria and models are both sums of terms (`additive`), so that every score can
be taken apart into reasons that add up to it. Training (`training`) writes candidates and never scores; scoring
(`scores`) uses the version that a person approved, or the criteria alone, and says which.

Features are computed in SQL (dbt_project/macros/child_features.sql). Publishing and approval are other rooms' work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kodomo_platform.scoring.themes import Criterion, Feature, Theme, load_features, load_themes

if TYPE_CHECKING:
    from kodomo_platform.scoring.review import approve, approve_challengers, reject, retire, versions
    from kodomo_platform.scoring.scores import ScoreReport, ThemeReport, score
    from kodomo_platform.scoring.training import TrainingReport, train, training_dates

__all__ = [
    "Criterion",
    "Feature",
    "ScoreReport",
    "Theme",
    "ThemeReport",
    "TrainingReport",
    "approve",
    "approve_challengers",
    "load_features",
    "load_themes",
    "reject",
    "retire",
    "score",
    "train",
    "training_dates",
    "versions",
]

_LAZY = {
    "approve": "review",
    "approve_challengers": "review",
    "reject": "review",
    "retire": "review",
    "versions": "review",
    "ScoreReport": "scores",
    "ThemeReport": "scores",
    "score": "scores",
    "TrainingReport": "training",
    "train": "training",
    "training_dates": "training",
}


def __getattr__(name: str) -> Any:
    """Load numpy and its kin only when somebody scores or trains: definitions must load fast."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
