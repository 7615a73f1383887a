"""Limits on what linkage found, and how it went from run to run."""

from __future__ import annotations

from datetime import date

import duckdb
import pytest

from kodomo_platform.linkage.watch import (
    BLOCKING,
    CHECKS,
    former_metrics,
    judge,
    keep_history,
    read_metrics,
    sparkline,
    trend,
)

HONEST = {
    ("children", ""): 1000.0,
    ("records", "resident.register"): 1000.0,
    ("records", "education.enrolment"): 700.0,
    ("share_linked", "education.enrolment"): 0.98,
    ("review_queue", ""): 12.0,
    ("largest_cluster", ""): 6.0,
    ("ids_known_before", ""): 1650.0,
    ("clusters_with_two_numbers_unexplained", ""): 0.0,
    ("clusters_with_two_birth_years_unexplained", ""): 0.0,
}


def outcome(check: str, before: dict[tuple[str, str], float] | None = None, **changed: float) -> str:
    metrics = HONEST | {
        (name, "education.enrolment" if name.endswith(("share_linked", "record_unexplained")) else ""): value
        for name, value in changed.items()
    }
    return next(finding.outcome for finding in judge(metrics, before) if finding.check == check)


def test_an_honest_run_passes_every_check() -> None:
    findings = judge(HONEST, HONEST)
    assert [finding.check for finding in findings] == list(CHECKS)
    assert {finding.outcome for finding in findings} == {"passed"}


@pytest.mark.parametrize(
    ("check", "metric", "value", "expected"),
    [
        ("two_resident_numbers", "clusters_with_two_numbers_unexplained", 1, "critical"),
        ("two_birth_years", "clusters_with_two_birth_years_unexplained", 1, "warning"),
        ("two_birth_years", "clusters_with_two_birth_years_unexplained", 3, "critical"),
        ("second_record", "clusters_with_second_record_unexplained", 2, "warning"),
        ("second_record", "clusters_with_second_record_unexplained", 3, "critical"),
        ("largest_cluster", "largest_cluster", 13, "warning"),
        ("review_backlog", "review_queue", 26, "warning"),
        ("ids_changed", "ids_changed", 17, "warning"),
        ("ids_changed", "ids_changed", 16, "passed"),
    ],
)
def test_a_limit_is_a_limit(check: str, metric: str, value: float, expected: str) -> None:
    assert outcome(check, **{metric: value}) == expected
    assert (expected != "critical") or check in BLOCKING


def test_a_source_that_links_less_than_before_is_told() -> None:
    assert outcome("linked_share", dict(HONEST), share_linked=0.92) == "warning"
    assert outcome("linked_share", dict(HONEST), share_linked=0.94) == "passed"
    assert outcome("linked_share", None, share_linked=0.5) == "passed"


def test_the_history_holds_each_run_once_and_shows_its_trend() -> None:
    with duckdb.connect() as con:
        con.execute("create schema linkage")
        assert former_metrics(con, "r1") is None
        for run, queue in (("r1", 4), ("r2", 8), ("r2", 2)):
            con.execute(
                f"create or replace table linkage.lnk_metric as select 'review_queue' as metric, '' as source, {queue}.0::double as value"
            )
            keep_history(con, run, date(2026, 10, 1))
        assert read_metrics(con) == {("review_queue", ""): 2.0}
        assert former_metrics(con, "r2") == {("review_queue", ""): 4.0}
        assert "| review_queue |  | █▅ | 4 | 2 |" in trend(con)


def test_a_sparkline_stands_on_the_ground() -> None:
    assert sparkline([0, 1, 2]) == "▁▅█"
    assert sparkline([0, 0]) == "▁▁"
