"""When a score alone says nothing: class-conditional conformal limits on calibrated log odds.

From rows that no model had seen: at most a share ``error`` of the children with the outcome scores below one limit, and at
most that share of those without it above the other (split conformal prediction within each class, Vovk 2013; holds for
rows like those measured on). Between the limits, the score alone cannot say. 判定不能 for want of inputs is `scores`' work.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.scoring.additive import AdditiveModel, Floats

ERROR = 0.1
SAYS = ("not_measured", "like_no_outcome", "cannot_say", "like_outcome")
_JA = (
    "点数の確かさは測られていません",
    "過去に該当したこどもの9割を下回る点数（安全の意味ではありません）",
    "過去に該当したこどもにも該当しなかったこどもにも見られる点数で、点数だけではどちらとも言えません",
    "過去に該当しなかったこどもの9割を上回る点数",
)
_EN = (
    "How sure the score is has not been measured",
    "Lower than nine in ten children with the outcome (this does not mean safe)",
    "A score seen in children with and without the outcome alike: by itself it cannot say",
    "Higher than nine in ten children without the outcome",
)


def limits(logits: Floats, y: npt.NDArray[np.int64], error: float = ERROR) -> dict[str, Any]:
    """The two limits from held-out rows; None where a class has too few rows for the promise (9 at one in ten)."""
    with_outcome, without = np.sort(logits[y == 1]), np.sort(logits[y == 0])
    first = int(np.floor(error * (len(with_outcome) + 1)))
    last = int(np.floor(error * (len(without) + 1)))
    return {
        "error": error,
        "outcome_from": float(with_outcome[first - 1]) if first else None,
        "no_outcome_up_to": float(without[-last]) if last else None,
        "outcomes": len(with_outcome),
        "others": len(without),
    }


def coverage(logits: Floats, y: npt.NDArray[np.int64], fold: npt.NDArray[np.int64]) -> dict[str, float]:
    """How the promise held on rows that the limits had not seen: limits from the other folds, counted on each.

    ``outcomes_kept``: of the rows with the outcome, the share not called unlike it (promised: 1 - `ERROR`); ``others_kept``
    the same of the rows without; ``cannot_say``: rows of which the score alone says neither. Classes without limits are left
    out.
    """
    may_be, may_not_be = np.ones(len(y), dtype=bool), np.ones(len(y), dtype=bool)
    promised = {1: False, 0: False}
    for part in np.unique(fold):
        aside = fold == part
        known = limits(logits[~aside], y[~aside])
        if known["outcome_from"] is not None:
            may_be[aside], promised[1] = logits[aside] >= known["outcome_from"], True
        if known["no_outcome_up_to"] is not None:
            may_not_be[aside], promised[0] = logits[aside] <= known["no_outcome_up_to"], True
    out = {"cannot_say": float((may_be == may_not_be).mean())} if any(promised.values()) else {}
    if promised[1] and (y == 1).any():
        out["outcomes_kept"] = float(may_be[y == 1].mean())
    if promised[0] and (y == 0).any():
        out["others_kept"] = float(may_not_be[y == 0].mean())
    return out


def certainty(model: AdditiveModel, logits: Floats) -> npt.NDArray[np.int8]:
    """Index into `SAYS` per row; 'not_measured' for criteria and for models trained without limits."""
    known = model.facts.get("conformal")
    out = np.zeros(len(logits), dtype=np.int8)
    if not isinstance(known, dict):
        return out
    low, high = known.get("outcome_from"), known.get("no_outcome_up_to")
    may_be = np.ones(len(logits), dtype=bool) if low is None else logits >= low
    may_not_be = np.ones(len(logits), dtype=bool) if high is None else logits <= high
    out[:] = SAYS.index("cannot_say")
    out[~may_be & may_not_be] = SAYS.index("like_no_outcome")
    out[may_be & ~may_not_be] = SAYS.index("like_outcome")
    return out


def entries() -> list[dict[str, Any]]:
    """The reason shown for each of `SAYS`; it adds nothing to the score."""
    return [
        {
            "item": "certainty",
            "value": None,
            "status": "present",
            "contribution": 0.0,
            "says": says,
            "sentence_ja": ja,
            "sentence_en": en,
        }
        for says, ja, en in zip(SAYS, _JA, _EN, strict=True)
    ]
