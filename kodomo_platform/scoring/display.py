"""One scored row as the municipality has decided to show it: alert, ○× or score. All three come from the same row.

"No sign in the data" is said only where it holds: the child can be judged, no rule is hit and no reason raises the score
noticeably. A low score is never shown as safe, a child who cannot be judged is listed, not hidden, and one who is known
already stands on a list of their own. What is shown to whom belongs to the pages; where the row comes from to `comparison`.
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
    "low": {"ja": "低い", "en": "low"},
    "undetermined": {"ja": "判定不能", "en": "cannot be judged"},
}
NO_SIGN = {
    "ja": "データ上の兆候なし（安全の意味ではありません）",
    "en": "no sign in the data (this does not mean safe)",
}
LOW_WITH_SIGNS = {
    "ja": "点数は低めですが、次の兆候があります",
    "en": "the score is rather low, but there are these signs",
}
LOW_WITH_GAPS = {
    "ja": "点数は低めですが、使えた情報が少なく、兆候がないとは言えません",
    "en": "the score is rather low, but too little could be used to say that there is no sign",
}
MEET = {
    "ja": "面談・家庭訪問等による状況確認を検討してください",
    "en": "consider seeing how the child is: a talk, a home visit",
}
UNDETERMINED = {
    "too_few_inputs": {"ja": "情報不足", "en": "too few of the inputs are there"},
    "not_seen_recently": {
        "ja": "姿を確認した記録が長い間、または一度もありません",
        "en": "no source has seen the child for long, or ever",
    },
    "unlike_training": {
        "ja": "学習に使ったどのこどもとも大きく異なります",
        "en": "unlike any of the children learned from",
    },
}
LISTS = {
    "first": {"ja": "点数によらず先に挙げるこども", "en": "Children listed before any score"},
    "ranked": {"ja": "まだ把握していないこども", "en": "Children not yet known"},
    "known": {"ja": "既に把握しているこども", "en": "Children known already"},
}
# Log odds from which on a reason counts as a sign: it makes the outcome a tenth likelier.
RAISES = 0.1
# Entries of `reasons` that say something about the row as a whole and have no weight of their own.
_NOTES = ("certainty", "absent_inputs", "change")
# Entries that sum up or hold for everybody: behind the reasons, whatever their size.
_SUMS = ("absence", "base", "remainder")
# Rules that are no sign of need: told elsewhere.
_TOLD_ELSEWHERE = ("already_known", "not_seen")


@dataclass(frozen=True)
class Shown:
    """What people see of one row: a mark, the words beside it, and the reasons as far as the mode shows them."""

    mark: str
    words: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    rules: tuple[str, ...]
    listed: bool  # whether the row stands on the list in this mode
    # rules hit and reasons in one order, the weightiest first, each thing once: what a list has room for
    causes: tuple[str, ...] = ()


def shown(row: Mapping[str, Any], mode: Mode, language: Language = "ja", capacity: int | None = None) -> Shown:
    """``row`` is one of `risk_scores` with `reasons` and `rule_hits` as lists; ``capacity`` the number of places on the list.

    In the modes alert and ○× no number is shown, and of the reasons those that speak for meeting the child.
    """
    ja = language == "ja"
    sentence = f"sentence_{language}"
    entries = list(row["reasons"])
    weighty = [entry for entry in entries if entry["item"] not in _NOTES and not _is_absent(entry)]
    weighty.sort(key=lambda entry: (entry["item"] in _SUMS, -abs(entry["contribution"])))
    raising = [entry for entry in weighty if "feature" in entry and entry["contribution"] > 0]
    if mode == "score":
        reasons = tuple(f"{entry['contribution']:+.3f}  {entry[sentence]}" for entry in weighty)
    else:
        reasons = tuple(entry[sentence] for entry in raising)
    notes = tuple(
        entry[sentence] for entry in entries if entry["item"] in _NOTES and (mode == "score" or _plain(entry))
    )
    hits = sorted(row["rule_hits"], key=lambda rule: -float(rule.get("weight", 0.0)))
    rules = tuple(rule[sentence] for rule in hits)
    causes = _causes(hits, raising, sentence)
    signs = any(rule["key"] not in _TOLD_ELSEWHERE and rule.get("weight", 1.0) >= 0 for rule in hits) or any(
        entry["contribution"] > RAISES for entry in raising
    )

    def low() -> str:
        if signs or row["alert"]:
            return LOW_WITH_SIGNS[language]
        return LOW_WITH_GAPS[language] if _mostly_absent(entries) else NO_SIGN[language]

    alert = ("アラート" if ja else "ALERT") if row["alert"] else ""
    if not row["determinable"]:
        why = UNDETERMINED.get(row["undetermined_reason"], {}).get(language, str(row["undetermined_reason"]))
        # an alert that a rule asks for holds whether or not a model can judge
        if row["alert"]:
            words = f"{BANDS['undetermined'][language]}（{why}）" if ja else f"{BANDS['undetermined'][language]}: {why}"
            return Shown(alert, words, reasons, notes, rules, True, causes)
        return Shown("判定不能" if ja else "?", f"（{why}）" if ja else why, reasons, notes, rules, True, causes)
    if mode == "score":
        spread = f"{row['score']:.3f}（{row['score_low']:.3f}～{row['score_high']:.3f}）"
        if not ja:
            spread = f"{row['score']:.3f} ({row['score_low']:.3f} to {row['score_high']:.3f})"
        words = low() if row["band"] == "low" else BANDS[row["band"]][language]
        return Shown(spread, words, reasons, notes, rules, True, causes)
    if row["alert"]:
        words = (
            MEET[language]
            if row["band"] != "low"
            else f"{LOW_WITH_SIGNS[language]}{'。' if ja else '; '}{MEET[language]}"
        )
    elif row.get("list") == "known":
        words = LISTS["known"][language]
    elif row["band"] == "low":
        words = low()
    else:
        words = _outside(row, capacity, ja)
    mark = ("○" if row["alert"] else "×") if mode == "ox" else alert
    return Shown(mark, words, reasons, notes, rules, mode == "ox" or bool(row["alert"]), causes)


def _outside(row: Mapping[str, Any], capacity: int | None, ja: bool) -> str:
    """Said of a child whose score is raised and for whom there is no place on the list: that, and not "no sign"."""
    places = (
        ("" if capacity is None else f"（{capacity:,}人）") if ja else ("" if capacity is None else f" ({capacity:,})")
    )
    return f"定員{places}の外（順位{row['rank']:,}）" if ja else f"beyond the places{places} (rank {row['rank']:,})"


def _causes(hits: list[Any], raising: list[Any], sentence: str) -> tuple[str, ...]:
    """Rules and reasons by weight, both in log odds; of a rule and a reason about one input the weightier."""
    by_input: dict[str, tuple[float, str]] = {}
    told = [(str(rule.get("feature") or rule["key"]), float(rule.get("weight", 0.0)), rule[sentence]) for rule in hits]
    told += [(str(entry["feature"]), float(entry["contribution"]), entry[sentence]) for entry in raising]
    for name, weight, text in told:
        if name not in by_input or weight > by_input[name][0]:
            by_input[name] = (weight, str(text))
    return tuple(text for _, text in sorted(by_input.values(), key=lambda pair: -pair[0]))


def _is_absent(entry: Mapping[str, Any]) -> bool:
    """Whether the entry is an input that is not there: no reason, told once among the notes."""
    return bool(entry.get("status", "present") != "present")


def _mostly_absent(entries: list[Any]) -> bool:
    note = next((entry for entry in entries if entry["item"] == "absent_inputs"), None)
    return bool(note is not None and note.get("applicable") and 2 * note.get("lacking", 0) >= note["applicable"])


def _plain(entry: Mapping[str, Any]) -> bool:
    """Whether a note can be read without a number beside it."""
    return bool(entry["item"] == "absent_inputs")
