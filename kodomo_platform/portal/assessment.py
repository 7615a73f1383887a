"""One published score as this person may read it: the same words in list, page, PDF, CSV and JSON.

The municipality's mode decides how much is shown (`scoring.display`), the person's role which domains. What is left out
is counted, never silent. Nothing here computes a score.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kodomo_platform.portal.desk import Desk
from kodomo_platform.portal.reading import readable

_NOTES = ("certainty", "absent_inputs", "change", "base", "remainder")
_STATES = {
    "alert": ("会うことを検討", "consider meeting", "alert"),
    "high": ("高い", "high", "alert"),
    "middle": ("やや高い", "raised", "raised"),
    "low": ("データ上の兆候なし", "no sign in the data", "quiet"),
    "undetermined": ("判定不能", "cannot be judged", "unknown"),
}


@dataclass(frozen=True)
class Reason:
    """One reason: its sentence, its weight where numbers are shown, and a bar from 0 to 100."""

    text: str
    weight: float | None
    bar: int
    raises: bool
    absent: bool


@dataclass(frozen=True)
class Assessment:
    """One theme's result for one child."""

    theme: str
    label: str
    shown: bool
    mark: str = ""
    words: str = ""
    tone: str = "quiet"
    reasons: tuple[Reason, ...] = ()
    lowering: tuple[Reason, ...] = ()
    rules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    hidden: int = 0
    new: bool = False
    known: bool = False
    rank: int | None = None
    alert: bool = False
    version: str = ""
    model: str = ""
    low: float | None = None
    high: float | None = None
    score: float | None = None
    extra: dict[str, Any] = field(default_factory=dict)


def assess(desk: Desk, row: dict[str, Any], theme: str) -> Assessment:
    """``row``: one of `risk_scores` as `reading` gave it, hidden parts already gone."""
    label = desk.theme_label(theme)
    # a child the theme does not ask about has no row
    if not row.get("score_version"):
        return Assessment(theme, label, False, words=desk.t("対象外", "not asked about"))
    mode = desk.mode(theme)
    reasons, lowering, hidden = _reasons(desk, row, mode)
    rules, hidden_rules = _rules(desk, row, theme)
    notes = _notes(desk, row, mode)
    if not row["score_shown"]:
        return Assessment(
            theme,
            label,
            False,
            words=desk.t("判定結果は表示されません", "the result is not shown to you"),
            reasons=reasons,
            rules=rules,
            notes=notes,
            hidden=hidden + hidden_rules,
            version=row["score_version"],
        )
    from kodomo_platform.scoring.display import shown

    view = shown({**row, "reasons": row["reasons"] or [], "rule_hits": row["rule_hits"] or []}, mode, desk.language)
    if not row["determinable"]:
        tone = "alert" if row["alert"] else "unknown"
    elif row["alert"]:
        tone = "alert"
    else:
        tone = {"high": "alert", "middle": "raised"}.get(row["band"], "quiet") if mode == "score" else "quiet"
    numbers = mode == "score" and bool(row["determinable"])
    return Assessment(
        theme,
        label,
        True,
        mark=view.mark,
        words=view.words,
        tone=tone,
        reasons=reasons,
        lowering=lowering,
        rules=rules,
        notes=notes,
        hidden=hidden + hidden_rules,
        new=bool(row["alert"]) and not row["known"],
        known=bool(row["known"]),
        rank=row["rank"] if mode == "score" else None,
        alert=bool(row["alert"]),
        version=row["score_version"],
        model=row.get("model_name") or "",
        score=row["score"] if numbers else None,
        low=row["score_low"] if numbers else None,
        high=row["score_high"] if numbers else None,
    )


def _reasons(desk: Desk, row: dict[str, Any], mode: str) -> tuple[tuple[Reason, ...], tuple[Reason, ...], int]:
    """Reasons that raise, reasons that lower (only where numbers are shown), and how many lie outside of the role."""
    sentence = f"sentence_{desk.language}"
    entries = [entry for entry in row.get("reasons") or [] if entry["item"] not in _NOTES]
    mine = [entry for entry in entries if readable(desk.actor, _item(entry))]
    hidden = len(entries) - len(mine)
    numbers = mode == "score" and row["score_shown"]
    most = max((abs(entry["contribution"]) for entry in mine), default=0.0) or 1.0
    made = [
        Reason(
            entry.get(sentence) or entry.get("sentence_ja") or entry["item"],
            entry["contribution"] if numbers else None,
            max(2, round(abs(entry["contribution"]) / most * 100)),
            entry["contribution"] > 0,
            entry.get("status", "present") != "present",
        )
        for entry in mine
        if "feature" in entry or entry["contribution"]
    ]
    return tuple(r for r in made if r.raises), tuple(r for r in made if not r.raises) if numbers else (), hidden


def _item(entry: dict[str, Any]) -> str:
    return str(entry.get("item") or "")


def _rules(desk: Desk, row: dict[str, Any], theme: str) -> tuple[tuple[str, ...], int]:
    from kodomo_platform.scoring.themes import load_features, load_themes

    known = load_themes().get(theme)
    features = load_features()
    groups = (
        {}
        if known is None
        else {
            criterion.key: features[criterion.feature].group
            for criterion in known.criteria
            if criterion.feature in features
        }
    )
    told, hidden = [], 0
    for hit in row.get("rule_hits") or []:
        group = groups.get(hit["key"]) or hit.get("evidence", "")
        # a rule whose source is not known is shown to those who read every domain alone
        if readable(desk.actor, group if "." in group else "unknown.unknown"):
            told.append(hit[f"sentence_{desk.language}"])
        else:
            hidden += 1
    return tuple(told), hidden


def _notes(desk: Desk, row: dict[str, Any], mode: str) -> tuple[str, ...]:
    sentence = f"sentence_{desk.language}"
    plain = {"absent_inputs"} if mode != "score" or not row["score_shown"] else {"absent_inputs", "certainty", "change"}
    return tuple(entry[sentence] for entry in row.get("reasons") or [] if entry["item"] in plain)
