"""Data quality that people can act on: suites, their results over time, reports and correction sheets.

Looks at every step of the data's way and changes nothing in it. Reading and mending values belongs to the cleansing and
extracts rooms; whether a failed check blocks a publication is wired in `orchestration`.
"""

from __future__ import annotations

from kodomo_platform.quality.engine import validate
from kodomo_platform.quality.report import html_report
from kodomo_platform.quality.results import (
    ExpectationResult,
    GroupResult,
    compare,
    group_results,
    read_results,
    rethreshold,
    write_results,
)
from kodomo_platform.quality.suites import Expectation, Suite, load_suites

__all__ = [
    "Expectation",
    "ExpectationResult",
    "GroupResult",
    "Suite",
    "compare",
    "group_results",
    "html_report",
    "load_suites",
    "read_results",
    "rethreshold",
    "validate",
    "write_results",
]
