"""One scored row as the municipality has decided to show it: alert, ○× or score. All three come from the same row.

A low score is never shown as safe, and a child who cannot be judged is listed, not hidden. What is shown to whom belongs
to the pages; where the row comes from to `comparison`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Mode = Literal["alert", "ox", "score"]
Language = Literal["ja", "en"]

BANDS = {
    "high": {"ja": "高い", "en": "high"},
    "middle": {"ja": "やや高い", "en": "raised"},
    "low": {
        "ja": "データ上の兆候なし（安全の意味ではありません）",
        "en": "no sign in the data (this does not mean safe)",
    },
    "undetermined": {"ja": "判定不能", "en": "cannot be judged"},
}
UNDETERMINED = {
    "too_few_inputs": {"ja": "判定に使う情報が足りません", "en": "too few of the inputs are there"},
    "not_seen_recently": {
        "ja": "長い間、どの資料にも姿が確認されていません",
        "en": "no source has seen the child for long",
    },
    "unlike_training": {
        "ja": "学習したどの子どもとも大きく異なります",
        "en": "unlike any of the children learned from",
    },
}
# Entries of `reasons` that say something about the row as a whole and have no weight of their own.
_NOTES = ("certainty", "absent_inputs", "change")


@dataclass(frozen=True)
class Shown:
    """What people see of one row: a mark, the words beside it, and the reasons as far as the mode shows them."""

    mark: str
    words: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    rules: tuple[str, ...]
    listed: bool  # whether the row stands on the list in this mode


def shown(row: Mapping[str, Any], mode: Mode, language: Language = "ja") -> Shown:
    """``row`` is one of `risk_scores` with `reasons` and `rule_hits` as lists.

    In the modes alert and ○× no number is shown, and of the reasons those that speak for meeting the child.
    """
    ja = language == "ja"
    sentence = f"sentence_{language}"
    entries = list(row["reasons"])
    weighty = [entry for entry in entries if entry["item"] not in _NOTES]
    if mode == "score":
        reasons = tuple(f"{entry['contribution']:+.3f}  {entry[sentence]}" for entry in weighty)
    else:
        told = [entry for entry in weighty if "feature" in entry and entry["contribution"] > 0]
        reasons = tuple(entry[sentence] for entry in told)
    notes = tuple(
        entry[sentence] for entry in entries if entry["item"] in _NOTES and (mode == "score" or _plain(entry))
    )
    rules = tuple(rule[sentence] for rule in row["rule_hits"])
    if not row["determinable"]:
        why = UNDETERMINED.get(row["undetermined_reason"], {}).get(language, str(row["undetermined_reason"]))
        words = f"{BANDS['undetermined'][language]}：{why}" if ja else f"{BANDS['undetermined'][language]}: {why}"
        # an alert that a rule asks for holds whether or not a model can judge
        mark = ("アラート" if ja else "ALERT") if row["alert"] else ("判定不能" if ja else "?")
        return Shown(mark, words, reasons, notes, rules, True)
    if mode == "score":
        spread = f"{row['score']:.3f}（{row['score_low']:.3f}～{row['score_high']:.3f}）"
        if not ja:
            spread = f"{row['score']:.3f} ({row['score_low']:.3f} to {row['score_high']:.3f})"
        return Shown(spread, BANDS[row["band"]][language], reasons, notes, rules, True)
    nothing = BANDS["low"][language]
    if mode == "ox":
        words = ("声をかける候補" if ja else "a child to speak with") if row["alert"] else nothing
        return Shown("○" if row["alert"] else "×", words, reasons, notes, rules, True)
    words = ("会うことを検討してください" if ja else "consider meeting this child") if row["alert"] else nothing
    return Shown(
        ("アラート" if ja else "ALERT") if row["alert"] else "", words, reasons, notes, rules, bool(row["alert"])
    )


def _plain(entry: Mapping[str, Any]) -> bool:
    """Whether a note can be read without a number beside it."""
    return bool(entry["item"] == "absent_inputs")
