"""A run that stops names the check first, then who does what; one source's fault blames no other."""

from __future__ import annotations

import datetime as dt

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality.blocking import blocked
from kodomo_platform.quality.results import ExpectationResult
from kodomo_platform.quality.suites import load_suites

TOWN = load_municipality("112241")


def failing(*keys: str) -> list[ExpectationResult]:
    by_key = {e.key: e for suite in load_suites().values() for e in suite.expectations}
    return [
        ExpectationResult(
            run_id="r", as_of_date=dt.date(2026, 10, 1), table_name=e.table, item=e.item, expectation=e.expect, kind=e.kind,
            severity=e.severity, evaluated=100, unexpected=90, percent=90.0, threshold=e.threshold, status="failed",
            passed=False, label_ja=e.ja, label_en=e.en, extract_date=None, expectation_id=e.key, source=e.source,
        )
        for e in (by_key[key] for key in keys)
    ]  # fmt: skip


def strangers() -> list[str]:
    return [
        f"staging.{source.staging_table}:strangers"
        for source in load_catalog().sources.values()
        if source.id_system == "school" and not source.is_identity
    ]


def test_the_check_comes_first_then_office_and_column() -> None:
    (one,) = blocked(failing("raw.raw_education__health_room:student_number.key_readable"), TOWN)
    holder = TOWN.by_source["education.health_room"].holder
    assert one.line.startswith("「児童生徒番号」が番号として読めること")
    assert f"→ {holder}（保健室来室・「" in one.line
    assert "文字列のまま" in one.line


def test_a_register_whose_numbers_broke_is_named_and_the_others_are_not_blamed() -> None:
    (one,) = blocked(failing(*strangers()), TOWN)
    assert one.office == TOWN.by_source["education.enrolment"].holder
    assert one.source == "学齢簿・在籍"
    assert "問い合わせ不要" in one.line
    assert set(one.tables) == {key.split(":")[0] for key in strangers()}


def test_where_the_register_s_own_check_says_it_nothing_else_is_said() -> None:
    own = "raw.raw_education__enrolment:student_number.key_readable"
    assert [one.expectation_id for one in blocked(failing(own, *strangers()), TOWN)] == [own]


def test_one_source_of_strangers_is_blamed_itself() -> None:
    (one,) = blocked(failing("staging.stg_education__fees:strangers"), TOWN)
    assert one.source == "学校徴収金"


def test_every_critical_check_says_who_does_what() -> None:
    critical = [e.key for suite in load_suites().values() for e in suite.expectations if e.severity == "critical"]
    for key in critical:
        for one in blocked(failing(key), TOWN):
            assert one.action
            assert one.office or one.source is None
            assert one.line.index(one.check) == 0
