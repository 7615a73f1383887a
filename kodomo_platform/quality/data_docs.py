"""Great Expectations' Data Docs of one run, for those who know them: counts per table, readable without any network.

As the library writes them, the pages load a dozen styles and scripts from content-delivery networks. Here its own
renderers make the pages, and afterwards every reference to the outside is taken out and one small style sheet put in:
tables, navigation and marks stay, what needs a script (sorting, filters) does not. They show one run; trends, absence
and the plain sentences stand in the report (`report`).
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from kodomo_platform.quality.results import ExpectationResult

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--line:#d5dae0;--good:#1a7f4b;--bad:#b42318;--soft:#5a6470}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171b;--line:#343b44;--good:#5fd39a;--bad:#ff8a80;--soft:#a4adb8}}
body{font:14px/1.6 "Hiragino Sans","Yu Gothic UI","Noto Sans CJK JP",sans-serif;margin:0 auto;max-width:72rem;padding:1rem;
color:var(--ink);background:var(--paper)}a{color:inherit}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid var(--line);padding:.3rem .5rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.bad{color:var(--bad);font-weight:700}
.soft{color:var(--soft)}.fa-check-circle::before{content:"✓";color:var(--good);font-style:normal}
.fa-times::before,.fa-exclamation-triangle::before{content:"✗";color:var(--bad);font-style:normal;font-weight:700}
ol{list-style:none;padding:0;display:flex;gap:1rem}.cooltip>.top,.card:has(input[type=radio]),footer{display:none}
"""

_FROM_OUTSIDE = (
    re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<style\b[^>]*>[^<]*?@import.*?</style\s*>", re.DOTALL | re.IGNORECASE),
    re.compile(r"<link\b[^>]*>", re.IGNORECASE),
    re.compile(r"<(img|iframe|video|audio|source|embed|object)\b[^>]*(https?:)?//[^>]*>", re.IGNORECASE),
    re.compile(r"<footer\b.*?</footer\s*>", re.DOTALL | re.IGNORECASE),
    re.compile(r"\s(on[a-z]+|integrity|crossorigin)=(\"[^\"]*\"|'[^']*')", re.IGNORECASE),
)
_LINK_OUT = re.compile(r"(href|src|action)=(\"|')\s*(?:https?:)?//[^\"']*\2", re.IGNORECASE)
_POLICY = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"


def offline(page: str) -> str:
    """A page without anything that a browser would fetch from elsewhere, with the style of this house put in."""
    for pattern in _FROM_OUTSIDE:
        page = pattern.sub("", page)
    page = _LINK_OUT.sub(r"\1=\2#\2", page)
    page = re.sub(r"https?://", "", page)
    # the library expects its pages five folders below the index; here they lie beside it
    page = re.sub(r'href="(?:\.\./)+index\.html', 'href="index.html', page)
    page = re.sub(r'href="(?:\.\./)+[^"]*"', 'href="index.html"', page)
    head = f'{_POLICY}<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
    return re.sub(r"</head\s*>", lambda end: head + end.group(0), page, count=1, flags=re.IGNORECASE)


def _validation(table: str, results: Sequence[ExpectationResult]) -> Any:
    """A table's results in the library's own form: counts and our plain sentence, never a value."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    made = [
        ExpectationValidationResult(
            success=result.passed,
            expectation_config=ExpectationConfiguration(
                type="expect_kodomo_check",
                kwargs={"bundle": result.table_name, "place": place, "threshold": result.threshold},
                meta={
                    "said": f"{result.label_ja} / {result.label_en} ({result.severity}, allowed {result.threshold:g} %)"
                },
            ),
            result={
                "element_count": result.evaluated,
                "unexpected_count": result.unexpected,
                "unexpected_percent": result.percent,
            },
            meta={},
        )
        for place, result in enumerate(results)
    ]
    evaluated = len(made)
    good = sum(result.passed for result in results)
    return ExpectationSuiteValidationResult(
        success=good == evaluated,
        results=made,
        suite_name=table,
        suite_parameters={},
        statistics={
            "evaluated_expectations": evaluated,
            "successful_expectations": good,
            "unsuccessful_expectations": evaluated - good,
            "success_percent": 100 * good / evaluated if evaluated else 100.0,
        },
        meta={
            "run_id": {"run_name": results[0].run_id, "run_time": f"{results[0].as_of_date}T00:00:00+00:00"},
            "active_batch_definition": {"data_asset_name": table},
            "great_expectations_version": "1.24",
        },
    )


def write_data_docs(results: Sequence[ExpectationResult], out: Path) -> Path:
    """Write one page per table and an index into ``out`` (replaced whole); the index's path. Tables that the municipality
    does not hold are left out. Needs Great Expectations: seconds to import."""
    from great_expectations.render.renderer import ValidationResultsPageRenderer
    from great_expectations.render.view import DefaultJinjaPageView

    import kodomo_platform.quality.gx_engine  # noqa: F401 - registers the expectation that the pages show

    by_table: dict[str, list[ExpectationResult]] = {}
    for result in results:
        if result.status != "not_applicable":
            by_table.setdefault(result.table_name, []).append(result)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".data_docs-", dir=out.parent))
    try:
        rows = []
        for table, members in sorted(by_table.items()):
            validation = _validation(table, members)
            content = ValidationResultsPageRenderer(run_info_at_end=True).render(validation)
            name = f"{table}.html"
            (aside / name).write_text(offline(DefaultJinjaPageView().render(content)), encoding="utf-8")
            failed = sum(not member.passed for member in members)
            mark = f'<span class="bad">✗ {failed}</span>' if failed else '<span class="good">✓</span>'
            rows.append(
                f'<tr><td><a href="{escape(name)}">{escape(table)}</a></td><td class="n">{len(members)}</td>'
                f"<td>{mark}</td></tr>"
            )
        first = results[0] if results else None
        said = f"{first.municipality or ''} · {first.as_of_date} · run {first.run_id}" if first else ""
        index = (
            '<!doctype html><html lang="ja"><head><meta charset="utf-8"><title>Data Docs</title></head><body>'
            f'<h1>Data Docs</h1><p class="soft">{escape(said)}</p><table><thead><tr><th>表 / table</th>'
            f"<th>検査 / expectations</th><th>不合格 / failed</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
            "</body></html>"
        )
        (aside / "index.html").write_text(offline(index), encoding="utf-8")
        former = out.with_name(f".{out.name}.former")
        shutil.rmtree(former, ignore_errors=True)
        if out.exists():
            out.rename(former)
        aside.rename(out)
        shutil.rmtree(former, ignore_errors=True)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return out / "index.html"
