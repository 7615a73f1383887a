"""Alert, ○× and score from one row: nobody is called safe, nobody who cannot be judged is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from kodomo_platform.scoring.display import shown


def row(**change: Any) -> dict[str, Any]:
    return {
        "score": 0.42,
        "score_low": 0.2,
        "score_high": 0.7,
        "band": "high",
        "alert": True,
        "determinable": True,
        "undetermined_reason": None,
        "reasons": [
            {
                "item": "a.b.c",
                "feature": "f",
                "contribution": 0.9,
                "sentence_ja": "欠席 12日",
                "sentence_en": "12 days",
            },
            {
                "item": "a.b.d",
                "feature": "g",
                "contribution": -0.3,
                "sentence_ja": "遅刻なし",
                "sentence_en": "no late",
            },
            {"item": "base", "contribution": -2.0, "sentence_ja": "出発点", "sentence_en": "start"},
            {"item": "absent_inputs", "contribution": 0.0, "sentence_ja": "使えなかった情報", "sentence_en": "absent"},
            {"item": "certainty", "contribution": 0.0, "sentence_ja": "点数では言えない", "sentence_en": "cannot say"},
        ],
        "rule_hits": [{"key": "r", "sentence_ja": "基準", "sentence_en": "rule"}],
    } | change


def test_every_mode_comes_from_the_same_row() -> None:
    assert shown(row(), "score").mark == "0.420（0.200～0.700）"
    assert shown(row(), "score").reasons == ("+0.900  欠席 12日", "-0.300  遅刻なし", "-2.000  出発点")
    assert shown(row(), "ox").mark == "○"
    assert shown(row(), "alert").mark == "アラート"
    assert shown(row(), "alert", "en").mark == "ALERT"
    for mode in ("ox", "alert"):
        view = shown(row(), mode)
        assert view.reasons == ("欠席 12日",)
        assert view.notes == ("使えなかった情報",)
        assert "0.4" not in str(view)


@pytest.mark.parametrize("mode", ["alert", "ox", "score"])
def test_low_is_no_sign_and_never_safe(mode: Any) -> None:
    view = shown(row(band="low", alert=False, score=0.01), mode)
    assert "兆候なし" in view.words
    assert "安全の意味ではありません" in view.words
    assert "not mean safe" in shown(row(band="low", alert=False), mode, "en").words
    assert view.listed == (mode != "alert")


@pytest.mark.parametrize("mode", ["alert", "ox", "score"])
def test_who_cannot_be_judged_is_listed_with_why(mode: Any) -> None:
    change = {"determinable": False, "undetermined_reason": "too_few_inputs", "band": "undetermined", "alert": False}
    view = shown(row(**change), mode)
    assert view.listed
    assert view.mark == "判定不能"
    assert "足りません" in view.words
    # a hospital's grave flag alerts at once, whether or not a model can judge
    assert shown(row(**{**change, "alert": True}), mode).mark == "アラート"
