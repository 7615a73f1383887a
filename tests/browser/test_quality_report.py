"""The quality report and Data Docs in a real headless Chromium: what is there, no error, nothing asked from outside."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, write_configuration
from kodomo_platform.quality import html_report, validate
from tests.browser.pages import CHROMIUM, browser

AS_OF = dt.date(2026, 10, 1)
CODE = "343021"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install the system's package `chromium`"),
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two runs over a small warehouse, the second worse than the first."""
    con = duckdb.connect(":memory:")
    for schema in ("cfg", "raw", "quality"):
        con.execute(f"create schema {schema}")
    catalog, town = load_catalog(), load_municipality(CODE)
    write_configuration(con, town, catalog, AS_OF)
    for source in catalog.sources.values():
        items = ", ".join(f'"{item.name}" varchar' for item in source.items)
        con.execute(
            f"create table raw.{source.raw_table} ({items}, _municipality varchar, _extract_date date, "
            "_source_file_sha256 varchar, _row_number bigint)"
        )
    table = f"raw.{catalog.sources['education.attendance'].raw_table}"
    con.execute(
        f"insert into {table} by name select (10000000 + i)::varchar as student_number, '20' as school_days, "
        "case when i < 5 then '<script>alert(1)</script>' else '1' end as absent_days, "
        f"date '{AS_OF}' as _extract_date, repeat('a', 64) as _source_file_sha256, i + 1 as _row_number from range(60) as r(i)"
    )
    validate(con, town, None, "first", AS_OF, engine="sql")
    con.execute(f"update {table} set school_days = '=cmd()' where _row_number < 30")
    validate(con, town, None, "second", AS_OF, engine="sql")
    return html_report(con, town, None, tmp_path_factory.mktemp("report") / "report.html")


def opened(page: Any, path: Path) -> list[str]:
    """Open a file and return what the page complained about."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(path.as_uri())
    return said


def test_the_report_says_the_verdict_first_in_both_languages(report: Path, tmp_path: Path) -> None:
    with browser(1200, 1600) as page:
        said = opened(page, report)
        assert page.locator("p.verdict").bounding_box()["y"] < 300
        assert "公開しません" in page.inner_text("p.verdict")
        assert not page.is_visible("text=nothing is published")
        page.click("label[for=lang-en]")
        assert "nothing is published" in page.inner_text("p.verdict")
        heads = page.locator("h2").all_inner_texts()
        assert heads.index("What got worse since the last run") < heads.index("All failures")
        assert page.locator("h3[id]").count() >= 1
        pictures = page.locator("svg")
        assert pictures.count() == page.locator("svg[role=img][aria-label]").count()
        assert "cmd()" not in page.content()
        assert "alert(1)" not in page.content()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page scrolls sideways"
        assert said == []
        assert page.outside == [], "the report asked for something outside this machine"


def test_the_report_is_legible_in_dark_and_prints(report: Path, tmp_path: Path) -> None:
    with browser(1200, 1600) as page:
        opened(page, report)
        page.emulate_media(color_scheme="dark")
        ink, paper = page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        assert sum(map(int, ink[4:-1].split(","))) > 600 > 150 > sum(map(int, paper[4:-1].split(",")))
        page.emulate_media(media="print")
        assert not page.is_visible("label.lang")
        printed = page.pdf(format="A4", path=tmp_path / "report.pdf")
        assert printed[:5] == b"%PDF-"


def test_data_docs_ask_for_nothing(report: Path, tmp_path: Path) -> None:
    """Made in a process of its own, as the command does: the library warns while it is imported."""
    code = (
        "import sys, datetime as dt, pathlib\n"
        "from kodomo_platform.quality.results import ExpectationResult\n"
        "from kodomo_platform.quality.data_docs import write_data_docs\n"
        "made = [ExpectationResult('r', dt.date(2026, 10, 1), 'raw.raw_education__fees', None, 'x', 'conformance', "
        "'warning', 10, n, 10.0 * n, 0.0, 'failed' if n else 'passed', not n, '文', 'a sentence', None, "
        "f'raw.raw_education__fees:{n}') for n in range(3)]\n"
        "print(write_data_docs(made, pathlib.Path(sys.argv[1])))\n"
    )
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "docs")],
        check=True,
        env=os.environ | {"KODOMO_HOME": str(tmp_path)},
    )
    with browser(1200, 900) as page:
        said = opened(page, tmp_path / "docs" / "index.html")
        page.click("text=raw.raw_education__fees")
        assert "a sentence" in page.inner_text("body")
        page.click("text=Home")
        assert page.url.endswith("index.html")
        assert said == []
        assert page.outside == []
