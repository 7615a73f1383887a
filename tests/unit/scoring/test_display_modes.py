"""Alert, ○× and score from one row: nobody is called safe, nobody who cannot be judged is hidden."""

from __future__ import annotations

from typing import Any

import pytest

from kodomo_platform.scoring.display import NO_SIGN, shown


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
    nothing = {"rule_hits": [], "reasons": row()["reasons"][1:]}
    view = shown(row(band="low", alert=False, score=0.01, **nothing), mode)
    assert "兆候なし" in view.words
    assert "安全の意味ではありません" in view.words
    assert "not mean safe" in shown(row(band="low", alert=False, **nothing), mode, "en").words
    assert view.listed == (mode != "alert")


@pytest.mark.parametrize("mode", ["alert", "ox", "score"])
@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_sign_is_said_only_where_there_is_none(mode: Any, language: Any) -> None:
    none = NO_SIGN[language]
    low = {"band": "low", "alert": False, "score": 0.01}
    quiet = [entry for entry in row()["reasons"][1:] if entry["item"] != "absent_inputs"]
    some = {"item": "absent_inputs", "contribution": 0.0, "sentence_ja": "x", "sentence_en": "x"}
    cases = [
        {"reasons": quiet},  # a rule is hit
        {"rule_hits": []},  # a reason raises the score
        {"rule_hits": [], "reasons": [*quiet, some | {"lacking": 5, "applicable": 8}]},  # most sources absent
        {"rule_hits": [], "reasons": quiet, "alert": True},
        {"rule_hits": [], "reasons": quiet, "band": "undetermined", "determinable": False},
        {"rule_hits": [], "reasons": quiet, "band": "middle", "rank": 61},
    ]
    for case in cases:
        assert none not in shown(row(**(low | case)), mode, language).words, case
    quietly = shown(row(**low, rule_hits=[], reasons=[*quiet, some | {"lacking": 3, "applicable": 8}]), mode, language)
    assert none in quietly.words
    # that somebody knows the child already, or that nobody saw them, is told elsewhere and is no sign in the data
    told = [
        {"key": key, "weight": 0.0, "sentence_ja": "x", "sentence_en": "x"} for key in ("already_known", "not_seen")
    ]
    assert none in shown(row(**low, rule_hits=told, reasons=quiet), mode, language).words


def test_beyond_the_places_is_said_as_that() -> None:
    late = row(band="middle", alert=False, rank=61)
    for mode in ("ox", "alert"):
        assert shown(late, mode, capacity=60).words == "定員（60人）の外（順位61）"
    assert shown(row(band="middle", alert=False, rank=61, list="known"), "ox").words == "既に把握しているこども"


def test_causes_stand_in_order_of_weight_each_once_and_absent_inputs_are_none() -> None:
    reasons = [
        {"item": "a", "feature": "f", "contribution": 0.4, "status": "present", "sentence_ja": "F", "sentence_en": "F"},
        {"item": "b", "feature": "g", "contribution": 1.4, "status": "present", "sentence_ja": "G", "sentence_en": "G"},
        {"item": "c", "feature": "h", "contribution": 2.0, "status": "blank", "sentence_ja": "H", "sentence_en": "H"},
        {"item": "absence", "contribution": 3.0, "status": "present", "sentence_ja": "不在", "sentence_en": "absent"},
    ]
    hits = [
        {"key": "r1", "feature": "f", "weight": 0.9, "sentence_ja": "基準F", "sentence_en": "rule F"},
        {"key": "r2", "feature": "k", "weight": 1.1, "sentence_ja": "基準K", "sentence_en": "rule K"},
    ]
    view = shown(row(reasons=reasons, rule_hits=hits), "alert")
    assert view.causes == ("G", "基準K", "基準F")
    assert view.rules == ("基準K", "基準F")
    assert view.reasons == ("G", "F")
    assert shown(row(reasons=reasons, rule_hits=hits), "score").reasons == ("+1.400  G", "+0.400  F", "+3.000  不在")


@pytest.mark.parametrize("mode", ["alert", "ox", "score"])
def test_who_cannot_be_judged_is_listed_with_why(mode: Any) -> None:
    change = {"determinable": False, "undetermined_reason": "too_few_inputs", "band": "undetermined", "alert": False}
    view = shown(row(**change), mode)
    assert view.listed
    assert view.mark == "判定不能"
    assert view.words == "（情報不足）"  # not the same word twice
    # a hospital's grave flag alerts at once, whether or not a model can judge
    assert shown(row(**{**change, "alert": True}), mode).mark == "アラート"
