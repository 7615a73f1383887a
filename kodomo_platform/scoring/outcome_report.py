"""The outcome report of one municipality: one page in Japanese that loads nothing, from the numbers of `outcomes`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from kodomo_platform.scoring.evaluation import SMALL
from kodomo_platform.scoring.groups import group_name
from kodomo_platform.scoring.outcomes import by_month, groups_by_theme, report, retirement_proposals
from kodomo_platform.scoring.themes import load_themes

TEMPLATE = Path(__file__).with_name("outcome_report.ja.html.j2")
SEEN = {
    "same": "同じ",
    "to_support": "見てから要支援に",
    "from_support": "見てから要支援を外した",
    "otherwise": "ほかの変更",
    "not_written": "前の判断の記載なし",
}


def write_outcome_report(con: duckdb.DuckDBPyConnection, code: str, name: str, today: dt.date, out: Path) -> Path:
    """Write the report of municipality ``code`` as of ``today`` to ``out``; the warehouse is only read."""
    from jinja2 import Environment

    from kodomo_platform.catalog import load_catalog

    rows, months, themes = report(con, code, today), by_month(con, code, today), load_themes()
    proposals, groups = retirement_proposals(con, code, today), groups_by_theme(con, code, today)
    codes = load_catalog().items["welfare.support.override_reason"].codes or {}
    shown = []
    for key in dict.fromkeys(row.theme for row in rows):
        mine = [row for row in months if row.theme == key]
        shown.append(
            {
                "label": themes[key].label_ja,
                "outcome": themes[key].outcome.label_ja,
                "horizon": themes[key].horizon_months,
                "rows": [row for row in rows if row.theme == key],
                "months": mine,
                "most": max((row.support_started for row in mine), default=0),
                "groups": groups.get(key, []),
                "proposals": [row for row in proposals if row.theme == key],
            }
        )
    text = (
        Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
        .from_string(TEMPLATE.read_text(encoding="utf-8"))
        .render(
            code=code,
            name=name,
            today=today,
            themes=shown,
            smallest=SMALL,
            seen=SEEN,
            group_name=group_name,
            reasons={key: label.ja for key, label in codes.items()},
        )
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return out
