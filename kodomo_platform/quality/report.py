"""The quality report: one self-contained HTML file per municipality and run, for analysts and for printing.

Japanese first, English by a switch without any script (a radio button and CSS); light, dark and A4; pictures are SVG with
a text alternative. It shows counts and names of items, never a value. What is counted is decided elsewhere.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.quality.availability import Availability, BlankPattern, Freshness
from kodomo_platform.quality.blocking import Blocked, blocked
from kodomo_platform.quality.drift import Alarm
from kodomo_platform.quality.quarantine import REASONS, SetApart, summary
from kodomo_platform.quality.results import ExpectationResult, compare, read_results, runs

if TYPE_CHECKING:
    from kodomo_platform.municipalities.models import AbsenceDecision, Municipality
    from kodomo_platform.quality.availability import FeatureAvailability

# Longer tables stop here and say so: the report stays below its size, the whole stands in quality.results.
_MOST_ROWS = 300

_CSS = """
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#5a6470;--line:#d5dae0;--good:#1a7f4b;--warn:#a15c00;
--bad:#b42318;--panel:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14171b;--soft:#a4adb8;--line:#343b44;--good:#5fd39a;
--warn:#f0b45b;--bad:#ff8a80;--panel:#1d2228}}
*{box-sizing:border-box}body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--paper);color:var(--ink);
font:15px/1.6 "Hiragino Sans","Yu Gothic UI","Noto Sans CJK JP","Noto Sans JP",sans-serif}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.15rem;border-bottom:2px solid var(--line);margin:1.6rem 0 .6rem}
h3{font-size:1rem;margin:1rem 0 .3rem}table{border-collapse:collapse;width:100%;font-size:.86rem}
th,td{border-bottom:1px solid var(--line);padding:.25rem .5rem;text-align:left;vertical-align:top}
th,td.n,.k{white-space:nowrap}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.verdict{padding:.8rem 1rem;border-left:6px solid;background:
var(--panel);font-size:1.05rem}.good{border-color:var(--good)}.warn{border-color:var(--warn)}.bad{border-color:var(--bad)}
.s-critical{color:var(--bad);font-weight:700}.s-warning{color:var(--warn);font-weight:600}.s-info{color:var(--soft)}
.soft{color:var(--soft);font-size:.85rem}svg{max-width:100%;height:auto}svg text{fill:var(--ink);font-size:11px}
input.lang{position:absolute;opacity:0}label.lang{display:inline-block;border:1px solid var(--line);padding:.1rem .7rem;
cursor:pointer}#lang-ja:checked~label[for=lang-ja],#lang-en:checked~label[for=lang-en]{background:var(--ink);
color:var(--paper)}input.lang:focus-visible~label{outline:2px solid var(--warn)}
#lang-ja:checked~main .en,#lang-en:checked~main .ja{display:none}
.spark{vertical-align:middle}.spark polyline{fill:none;stroke:var(--soft);stroke-width:1.5}.spark circle{fill:var(--bad)}
rect.none{fill:none;stroke:var(--line)}a{color:inherit}.legend span{margin-right:1rem;white-space:nowrap;font-size:.85rem}.legend i{display:inline-block;width:.9em;
height:.9em;margin-right:.3em;vertical-align:-.1em}
@media print{@page{size:A4;margin:14mm}:root{--ink:#000;--paper:#fff;--panel:#fff;--soft:#444;--line:#bbb}
label.lang{display:none}h2,h3{break-after:avoid}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
table{font-size:8.5pt}td,th{padding:.15rem .3rem}tr,svg{break-inside:avoid}body{font-size:10pt;padding:0}}
"""


def two(ja: str, en: str) -> str:
    """A text in both languages; the switch shows one. Escaped: names come from files that people write."""
    return f'<span class="ja" lang="ja">{escape(ja)}</span><span class="en" lang="en">{escape(en)}</span>'


_SEVERITY = {"critical": ("重大", "critical"), "warning": ("注意", "warning"), "info": ("参考", "info")}
_KIND = {
    "completeness": ("完全性", "completeness"),
    "conformance": ("適合性", "conformance"),
    "plausibility": ("妥当性", "plausibility"),
}
_STATUS = {"failed": ("不合格", "failed"), "error": ("実行不可", "could not run")}


def verdict(results: Sequence[ExpectationResult]) -> tuple[str, str, str]:
    """(css class, Japanese, English): whether the data may be published, and how much there is to look at."""
    critical = [r for r in results if not r.passed and r.severity == "critical"]
    warning = [r for r in results if not r.passed and r.severity == "warning"]
    if critical:
        return (
            "bad",
            f"重大な不備が{len(critical)}件あります。修正されるまで公開しません。ほかに注意が{len(warning)}件あります。",
            f"{len(critical)} critical fault(s): nothing is published until they are corrected. {len(warning)} warning(s).",
        )
    if warning:
        return (
            "warn",
            f"公開できます。確認が必要な注意が{len(warning)}件あります。",
            f"May be published. {len(warning)} warning(s) to look at.",
        )
    return (
        "good",
        "公開できます。注意すべき不備は見つかりませんでした。",
        "May be published. Nothing above info was found.",
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    def cls(place: int) -> str:
        return ' class="n"' if place in numeric else ""

    body = "".join(
        "<tr>" + "".join(f"<td{cls(place)}>{cell}</td>" for place, cell in enumerate(row)) + "</tr>" for row in rows
    )
    head = "".join(f'<th scope="col"{cls(place)}>{cell}</th>' for place, cell in enumerate(heads))
    return (
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        if body
        else f"<p>{two('なし', 'None')}</p>"
    )


def _results_table(results: Sequence[ExpectationResult]) -> str:
    order = {"critical": 0, "warning": 1, "info": 2}
    listed = sorted(results, key=lambda r: (order[r.severity], -r.percent, r.expectation_id))
    rows = [
        (
            f'<span class="k s-{r.severity}">{two(*_SEVERITY[r.severity])}</span>',
            escape(r.table_name.split(".", 1)[1]),
            two(r.label_ja, r.label_en),
            f'<span class="k">{two(*_KIND[r.kind])}</span>',
            f'<span class="k">{two(*_STATUS.get(r.status, (r.status, r.status)))}</span>'
            + (f" ({escape(r.reason)})" if r.reason else ""),
            f"{r.unexpected:,} / {r.evaluated:,}",
            f"{r.percent:.2f} %",
            f"{r.threshold:g} %",
        )
        for r in listed[:_MOST_ROWS]
    ]
    heads = (
        two("重大度", "Severity"), two("表", "Table"), two("検査", "Expectation"), two("種類", "Kind"), two("結果", "Result"),
        two("違反 / 対象", "Broken / in scope"), two("割合", "Share"), two("許容", "Allowed"),
    )  # fmt: skip
    more = len(listed) - _MOST_ROWS
    note = f'<p class="soft">{two(f"ほか{more}件", f"{more} more")}</p>' if more > 0 else ""
    return _table(heads, rows, (5, 6, 7)) + note


_ABSENT = {
    "blank": "空白 blank", "not_applicable": "非該当 n/a", "not_linked": "未連携 not linked", "not_held": "取得なし not held",
    "before_start": "導入前 before start", "unreadable": "読み取れない値 unreadable",
    "left_out": "判断により使わない left out", "no_consent": "同意なし no consent",
}  # fmt: skip


def _months(cells: Sequence[Availability], until: dt.date | None, most: int = 36) -> list[dt.date]:
    """The last months of a source without a gap, so that a month without rows shows as one. Misread days of the future
    do not stretch it."""
    seen = {cell.month for cell in cells if cell.month is not None and (until is None or cell.month <= until)}
    if not seen:
        return []
    month, first = max(seen), min(seen)
    answer: list[dt.date] = []
    while month >= first and len(answer) < most:
        answer.append(month)
        month = (month - dt.timedelta(days=1)).replace(day=1)
    return answer[::-1]


def _heat_map(source: str, label: str, cells: Sequence[Availability], until: dt.date | None = None) -> str:
    """Items down, months across; the darker, the more is absent. The same numbers stand in the title of each cell."""
    months = _months(cells, until)
    items = list(dict.fromkeys(cell.item for cell in cells))
    columns: list[dt.date | None] = [*months] if months else [None]
    known = {(cell.item, cell.month): cell for cell in cells}
    catalog = load_catalog()
    left, size = 190, 18
    parts = []
    for y, name in enumerate(items):
        item = catalog.sources[source].by_name.get(name)
        shown = escape(item.label_ja if item else name)
        parts.append(f'<text x="{left - 6}" y="{34 + y * size}" text-anchor="end">{shown[:16]}</text>')
        for x, month in enumerate(columns):
            cell = known.get((name, month))
            if cell is None:
                if month:
                    parts.append(
                        f'<rect class="none" x="{left + x * size}" y="{22 + y * size}" width="{size - 2}" '
                        f'height="{size - 2}"><title>{shown} {month:%Y-%m}: 行なし no rows</title></rect>'
                    )
                continue
            counts = cell.counts
            share = cell.absent_percent
            if counts.get("not_held", 0) == cell.rows and "not_held" in counts:
                fill, said = "#8a8f98", "取得なし not held"
            elif "before_start" in counts and counts["before_start"] == cell.rows:
                fill, said = "#b9a3d9", "導入前 before the system began"
            elif counts.get("not_applicable", 0) == cell.rows:
                fill, said = "#c9d6df", "非該当 not applicable"
            elif counts.get("not_linked", 0) * 2 > cell.rows:
                fill, said = "#6f8fd0", f"未連携 not linked {100 * counts['not_linked'] / cell.rows:.1f} %"
            else:
                red = max(0.0, min(1.0, share / 100)) ** 0.5
                fill = f"rgb({int(60 + 160 * red)},{int(150 - 90 * red)},{int(110 - 50 * red)})"
                said = f"欠け absent {share:.1f} %"
            when = month.strftime("%Y-%m") if month else "全体 all"
            parts.append(
                f'<rect x="{left + x * size}" y="{22 + y * size}" width="{size - 2}" height="{size - 2}" fill="{fill}">'
                f"<title>{shown} {when}: {said}</title></rect>"
            )
            if not months:
                # a source without months has room for the numbers themselves
                numbers = " · ".join(
                    f"{_ABSENT[status]} {100 * number / cell.rows:.1f} %"
                    for status, number in counts.items()
                    if status != "present" and cell.rows
                )
                parts.append(f'<text x="{left + size + 6}" y="{34 + y * size}">{numbers or "100 %"}</text>')
    for x, month in enumerate(columns):
        if month and (x % 6 == 0):
            parts.append(f'<text x="{left + x * size}" y="14">{month:%Y-%m}</text>')
    width, height = left + len(columns) * size + (44 if months else 420), 30 + len(items) * size
    alternative = escape(f"{label}: 項目ごと月ごとの欠けの割合 / share absent per item and month")
    return (
        f'<svg role="img" aria-label="{alternative}" viewBox="0 0 {width} {height}" width="{width}">'
        f"<title>{alternative}</title>{''.join(parts)}</svg>"
    )


def _trend(points: Sequence[tuple[str, int, int]]) -> str:
    """Critical and warning failures of the last runs, as two lines."""
    if len(points) < 2:
        return f'<p class="soft">{two("推移は2回目の実行から表示します。", "Trends begin with the second run.")}</p>'
    top = max(1, *(max(a, b) for _, a, b in points))
    step = 600 / (len(points) - 1)

    def line(place: int, colour: str, dash: str) -> str:
        path = " ".join(
            f"{30 + i * step:.1f},{130 - 110 * int(point[place]) / top:.1f}" for i, point in enumerate(points)
        )
        return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" stroke-dasharray="{dash}"/>'

    alternative = "実行ごとの不合格数 / failures per run: " + ", ".join(f"{name}: {a} + {b}" for name, a, b in points)
    return (
        f'<svg role="img" aria-label="{escape(alternative)}" viewBox="0 0 660 160" width="660"><title>{escape(alternative)}'
        f'</title><text x="2" y="22">{top}</text><text x="2" y="134">0</text>'
        f"{line(1, '#d0342c', '')}{line(2, '#c77700', '5 3')}"
        f'<text x="30" y="152">{escape(points[0][0])}</text><text x="630" y="152" text-anchor="end">{escape(points[-1][0])}'
        f'</text></svg><p class="soft">{two("実線: 重大、破線: 注意", "solid: critical, dashed: warning")}</p>'
    )


def trend_points(con: duckdb.DuckDBPyConnection, last: int = 20) -> list[tuple[str, int, int]]:
    """(run's as-of date, failed critical, failed warning) of the last runs, oldest first.

    Runs that did not look at any extract (scoring anew) say nothing about the data.
    """
    if not runs(con):
        return []
    rows = con.execute(
        "select max(as_of_date), count(*) filter (where not passed and severity = 'critical'), "
        "count(*) filter (where not passed and severity = 'warning') from quality.results "
        "group by run_id having bool_or(table_name like 'raw.%') order by max(recorded_at)"
    ).fetchall()
    return [(str(day), int(critical), int(warning)) for day, critical, warning in rows][-last:]


def source_trends(con: duckdb.DuckDBPyConnection, last: int = 20) -> dict[str, list[tuple[str, int]]]:
    """Source → (run's as-of date, failures above info) of the last runs, oldest first."""
    if not runs(con):
        return {}
    rows = con.execute(
        "select source, run_id, max(as_of_date), count(*) filter (where not passed and severity <> 'info') "
        "from quality.results where source is not null group by source, run_id order by source, max(recorded_at)"
    ).fetchall()
    trends: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for source, _, day, failed in rows:
        trends[source].append((str(day), int(failed)))
    return {source: points[-last:] for source, points in trends.items()}


def _spark(points: Sequence[tuple[str, int]]) -> str:
    """One source's failures per run as a small line; the numbers stand in its text."""
    if len(points) < 2:
        return "—"
    top = max(1, *(n for _, n in points))
    step = 110 / (len(points) - 1)
    path = " ".join(f"{4 + i * step:.1f},{22 - 18 * n / top:.1f}" for i, (_, n) in enumerate(points))
    said = escape("不合格 / failures: " + ", ".join(f"{day} {n}" for day, n in points))
    x, y = path.rsplit(" ", 1)[-1].split(",")
    return (
        f'<svg class="spark" role="img" aria-label="{said}" viewBox="0 0 120 26" width="120" height="26"><title>{said}</title>'
        f'<polyline points="{path}"/><circle cx="{x}" cy="{y}" r="2.5"/></svg>'
    )


def _overview(
    results: Sequence[ExpectationResult],
    fresh: Sequence[Freshness],
    matrix: Sequence[Availability],
    trends: Mapping[str, Sequence[tuple[str, int]]],
) -> str:
    """One line per source that is held: what failed, how much is absent, how old it is, and which way it goes."""
    aged = {f.source: f for f in fresh}
    absent: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for cell in matrix:
        for status, number in cell.counts.items():
            if status in ("present", "blank", "unreadable", "not_linked"):
                absent[cell.source][1] += number
                absent[cell.source][0] += number if status in ("blank", "unreadable") else 0
    rows = []
    for key, source in load_catalog().sources.items():
        mine = [r for r in results if r.source == key]
        if not mine or all(r.status == "not_applicable" for r in mine):
            continue
        counts = {s: sum(not r.passed and r.severity == s for r in mine) for s in _SEVERITY}
        lost, could = absent[key]
        age = aged[key].extract_age_days if key in aged else None
        rows.append(
            (
                f'<a href="#{escape(key)}">{two(source.label_ja, source.label_en)}</a>',
                *(
                    f'<span class="s-{s}">{counts[s]}</span>' if counts[s] else '<span class="soft">0</span>'
                    for s in _SEVERITY
                ),
                f"{100 * lost / could:.2f} %" if could else "—",
                "—" if age is None else f"{age:,}",
                _spark(trends.get(key, ())),
            )
        )
    heads = (
        two("出典", "Source"), two("重大", "Critical"), two("注意", "Warning"), two("参考", "Info"),
        two("空白・読み取れない値", "Blank, unreadable"), two("抽出からの日数", "Days since extract"),
        two("不合格の推移", "Failures by run"),
    )  # fmt: skip
    return _table(heads, rows, (1, 2, 3, 4, 5))


_LEGEND = (
    ("rgb(60,150,110)", "そろっている", "complete"), ("rgb(130,108,85)", "1割欠け", "a tenth absent"),
    ("rgb(220,60,60)", "すべて欠け", "all absent"), ("#b9a3d9", "導入前", "before the system began"),
    ("#6f8fd0", "未連携", "not linked"), ("#c9d6df", "非該当", "not applicable"), ("#8a8f98", "取得なし", "not held"),
)  # fmt: skip


def _legend() -> str:
    return (
        '<p class="legend">'
        + "".join(f'<span><i style="background:{colour}"></i>{two(ja, en)}</span>' for colour, ja, en in _LEGEND)
        + f'<span><i style="border:1px solid var(--line)"></i>{two("行なし", "no rows")}</span></p>'
    )


_MEASURE = {
    "rows": ("件数", "rows"), "blank_percent": ("空白の割合(%)", "blank (%)"), "psi": ("分布の変化(PSI)", "shift (PSI)"),
    "categories": ("現れた・消えた区分の数", "categories come or gone"),
    "unlinked_percent": ("本人台帳にない番号の割合(%)", "numbers not known at home (%)"),
    "age_days": ("抽出からの日数", "days since the extract"),
}  # fmt: skip


def _item_said(source: str, name: str | None) -> str:
    item = load_catalog().sources[source].by_name.get(name or "")
    return two(item.label_ja, item.label_en) if item else ""


def _decisions(decided: Sequence[AbsenceDecision]) -> str:
    items = load_catalog().items
    rows = [
        (
            escape(str(d.theme)),
            two(items[d.item].label_ja, items[d.item].label_en) if d.item in items else escape(d.item),
            two("分析に入れる", "in the analysis") if d.include else two("分析に入れない", "left out"),
            escape(d.reason),
            escape(d.decided_by),
            escape(str(d.decided_on)),
        )
        for d in decided
    ]
    heads = (two("テーマ", "Theme"), two("項目", "Item"), two("決定", "Decision"), two("理由", "Reason"),
             two("決定者", "By"), two("日付", "On"))  # fmt: skip
    return _table(heads, rows)


_EXTENT = {"row": ("行全体", "whole row"), "value": ("値だけ", "the value alone")}


def _set_apart(found: Sequence[SetApart]) -> str:
    """What was isolated so that the town goes on: where, why, how many, and who is asked what."""
    catalog = load_catalog()
    rows = [
        (
            two(catalog.sources[one.source].label_ja, catalog.sources[one.source].label_en),
            _item_said(one.source, one.item),
            two(REASONS[one.reason].ja, REASONS[one.reason].en),
            two(*_EXTENT[REASONS[one.reason].extent]),
            f"{one.rows:,}",
            escape(one.asked_of),
            two(REASONS[one.reason].asked_ja, REASONS[one.reason].asked_en),
        )
        for one in sorted(found, key=lambda one: (-one.rows, one.source, one.reason, one.item))[:_MOST_ROWS]
    ]
    heads = (
        two("出典", "Source"), two("項目", "Item"), two("理由", "Reason"), two("隔離の範囲", "Set apart"), two("件数", "Rows"),
        two("問い合わせ先", "Asked of"), two("お願いすること", "What is asked"),
    )  # fmt: skip
    note = two(
        "ここにある行・値は判定に使わず、そのこどもの該当する特徴量は「読み取れない値」とします。町全体の処理は続けます。行番号は訂正依頼票にあります。",
        "What stands here is not used; the feature it would touch is 'unreadable' for the child, and the run goes on. "
        "The row numbers stand in the correction sheets.",
    )
    return f"<p>{note}</p>" + _table(heads, rows, (4,))


def _features(found: Sequence[FeatureAvailability]) -> str:
    """Children by what is known of each feature: one bar each, numbers beside it."""
    shown = [f for f in found if f.counts.get("present", 0) < f.children]
    colours = {"present": "rgb(60,150,110)", "blank": "rgb(220,60,60)", "not_applicable": "#c9d6df",
               "not_linked": "#6f8fd0", "not_held": "#8a8f98", "before_start": "#b9a3d9",
               "unreadable": "#b3261e", "left_out": "#5f6b7a", "no_consent": "#3d4f8a"}  # fmt: skip
    colours = {status: colour for status, colour in colours.items() if any(one.counts.get(status) for one in shown)}
    said = {"present": ("あり", "present"), "blank": ("欠損", "blank"), "not_applicable": ("非該当", "not applicable"),
            "not_linked": ("未連携", "not linked"), "not_held": ("取得なし", "not held"),
            "before_start": ("導入前", "before start"), "unreadable": ("読み取れない値", "unreadable"),
            "left_out": ("判断により使わない", "left out"), "no_consent": ("同意なし", "no consent")}  # fmt: skip
    rows = []
    for one in shown:
        at, parts = 0.0, []
        for status, colour in colours.items():
            width = 200 * one.counts.get(status, 0) / one.children
            if width:
                parts.append(f'<rect x="{at:.1f}" width="{width:.1f}" height="12" fill="{colour}"/>')
            at += width
        text = ", ".join(f"{said[s][0]} {one.counts[s]:,}" for s in colours if one.counts.get(s))
        label = escape(f"{one.feature}: {text}")
        bar = (
            f'<svg role="img" aria-label="{label}" viewBox="0 0 200 12" width="200" height="12"><title>{label}</title>'
            f"{''.join(parts)}</svg>"
        )
        numbers = tuple(f"{one.counts.get(s, 0):,}" if one.counts.get(s) else "" for s in colours)
        rows.append((f"<code>{escape(one.feature)}</code>", bar, *numbers))
    heads = (two("特徴量", "Feature"), two("こどもの割合", "Share of children"), *(two(*said[s]) for s in colours))
    return _table(heads, rows, tuple(range(2, 2 + len(colours))))


def render(
    *,
    code: str,
    name_ja: str,
    name_en: str,
    results: Sequence[ExpectationResult],
    run: str = "",
    before: Sequence[ExpectationResult] = (),
    matrix: Sequence[Availability] = (),
    fresh: Sequence[Freshness] = (),
    patterns: Sequence[BlankPattern] = (),
    alarms: Sequence[Alarm] = (),
    trend: Sequence[tuple[str, int, int]] = (),
    trends: Mapping[str, Sequence[tuple[str, int]]] | None = None,
    decided: Sequence[AbsenceDecision] = (),
    features: Sequence[FeatureAvailability] = (),
    set_apart: Sequence[SetApart] | None = None,
    stopped_by: Sequence[Blocked] = (),
) -> str:
    """The report as HTML."""
    catalog = load_catalog()
    css, ja, en = verdict(results)
    as_of = max((r.as_of_date for r in results), default=None)
    difference = compare(before, results)
    failing = [r for r in results if not r.passed]
    parts = [f'<p class="verdict {css}" role="status">{two(ja, en)}</p>']
    if stopped_by:
        parts.append(
            f"<h2>{two('公開を止めた検査と、誰が何をするか', 'What stopped the publication, and who does what')}</h2><ol>"
            + "".join(f"<li>{escape(one.line)}</li>" for one in stopped_by)
            + "</ol>"
        )
    counts: dict[str, int] = defaultdict(int)
    for result in results:
        counts[result.status] += 1
    said_ja = f"検査{len(results)}件: 合格{counts['passed']}、不合格{counts['failed']}、対象外{counts['not_applicable']}、実行不可{counts['error']}"
    said_en = (
        f"{len(results)} expectations: {counts['passed']} passed, {counts['failed']} failed, "
        f"{counts['not_applicable']} not applicable, {counts['error']} could not run"
    )
    parts.append(f"<p>{two(said_ja, said_en)}</p>")
    parts.append(f"<h2>{two('前回から悪くなったもの', 'What got worse since the last run')}</h2>")
    if before:
        parts.append(f"<h3>{two(f'新しい不備 {len(difference.new)}件', f'New: {len(difference.new)}')}</h3>")
        parts.append(_results_table(difference.new))
        parts.append(
            f"<h3>{two(f'明らかに増えた不備 {len(difference.worse)}件', f'Clearly more: {len(difference.worse)}')}</h3>"
        )
        parts.append(_results_table(difference.worse))
        solved, stays = len(difference.resolved), len(difference.persisting)
        parts.append(f"<p>{two(f'解消 {solved}件、継続 {stays}件', f'{solved} resolved, {stays} persisting')}</p>")
    else:
        parts.append(f"<p>{two('前回の実行がありません。', 'There is no former run.')}</p>")
    parts.append(
        f"<h2>{two('出典の一覧', 'Sources at a glance')}</h2>" + _overview(results, fresh, matrix, trends or {})
    )
    parts.append(f"<h2>{two('全体の推移', 'Trend of all')}</h2>" + _trend(trend))
    if alarms:
        parts.append(f"<h2>{two('前回の抽出からの変化', 'Changes since the former extracts')}</h2>")
        parts.append(
            _table(
                (
                    two("出典", "Source"),
                    two("項目", "Item"),
                    two("指標", "Measure"),
                    two("値", "Value"),
                    two("範囲", "Limits"),
                ),
                [
                    (
                        two(catalog.sources[a.source].label_ja, catalog.sources[a.source].label_en),
                        _item_said(a.source, a.item),
                        two(*_MEASURE[a.measure]),
                        f"{a.value:g}",
                        f"{a.low:.4g} – {a.high:.4g}",
                    )
                    for a in alarms[:_MOST_ROWS]
                ],
                (3, 4),
            )
        )
    if set_apart is not None:
        parts.append(f"<h2>{two('隔離した記録と値', 'Records and values set apart')}</h2>" + _set_apart(set_apart))
    alarming = [r for r in failing if r.severity != "info"]
    parts.append(f"<h2>{two('不備の一覧', 'All failures')}</h2>" + _results_table(alarming))
    if fresh:
        parts.append(f"<h2>{two('データの新しさ', 'Freshness')}</h2>")
        parts.append(
            _table(
                (
                    two("出典", "Source"),
                    two("最新の抽出", "Newest extract"),
                    two("経過日数", "Days"),
                    two("最新の出来事", "Newest event"),
                ),
                [
                    (
                        two(catalog.sources[f.source].label_ja, catalog.sources[f.source].label_en),
                        escape(str(f.last_extract or "—")),
                        "" if f.extract_age_days is None else str(f.extract_age_days),
                        escape(str(f.last_event or "—")),
                    )
                    for f in fresh
                    if f.held
                ],
                (2,),
            )
        )
    parts.append(f"<h2>{two('出典ごとの欠けと不備', 'By source: absence and faults')}</h2>" + _legend())
    by_source: dict[str, list[Availability]] = defaultdict(list)
    for cell in matrix:
        by_source[cell.source].append(cell)
    for key, source in catalog.sources.items():
        mine = [r for r in results if r.source == key]
        if not mine or all(r.status == "not_applicable" for r in mine):
            continue
        parts.append(
            f'<h3 id="{escape(key)}">{two(source.label_ja, source.label_en)} <code>{escape(key)}</code> '
            f"{_spark((trends or {}).get(key, ()))}</h3>"
        )
        broken: dict[str, int] = defaultdict(int)
        for r in mine:
            if not r.passed:
                broken[r.kind] += 1
        parts.append("<p>" + " · ".join(f"{two(*_KIND[kind])} {broken.get(kind, 0)}" for kind in _KIND) + "</p>")
        if by_source.get(key):
            parts.append(_heat_map(key, source.label_ja, by_source[key], as_of))
    notable = sorted((p for p in patterns if not p.random), key=lambda p: -p.effect)
    parts.append(f"<h2>{two('空白の偏り(無作為でない欠け)', 'Blanks that are not at random')}</h2>")
    parts.append(
        _table(
            (two("出典", "Source"), two("項目", "Item"), two("群", "Group"), two("空白 / 行", "Blank / rows"), "χ²", "p", "V"),
            [
                (
                    escape(p.source), escape(p.item), escape(p.group), f"{p.blank:,} / {p.rows:,}", f"{p.chi2:.1f}",
                    f"{p.p_value:.3g}", f"{p.effect:.2f}",
                )
                for p in notable[:100]
            ],
            (3, 4, 5, 6),
        )
    )  # fmt: skip
    if features:
        parts.append(
            f"<h2>{two('こどもごとの取得可能性(そろっていない特徴量)', 'Availability by child: features not complete')}</h2>"
        )
        parts.append(_features(features))
    parts.append(f"<h2>{two('欠けについての決定', 'Decisions about absence')}</h2>" + _decisions(decided))
    informing = [r for r in failing if r.severity == "info"]
    parts.append(
        f"<h2>{two('参考(対応を求めないもの)', 'For information: nothing to be done')}</h2>" + _results_table(informing)
    )
    return (
        f'<!doctype html><html lang="ja"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>データ品質報告 {escape(name_ja)} {as_of}</title><style>{_CSS}</style></head><body>"
        '<input class="lang" type="radio" name="lang" id="lang-ja" checked><input class="lang" type="radio" name="lang" '
        'id="lang-en"><label class="lang" for="lang-ja">日本語</label><label class="lang" for="lang-en">English</label>'
        f"<main><h1>{two(f'データ品質報告 {name_ja}', f'Data quality report: {name_en}')}</h1>"
        f'<p class="soft">{escape(code)} · {as_of} · run {escape(run)}</p>{"".join(parts)}</main></body></html>'
    )


def html_report(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    run_id: str | None = None,
    out: Path | None = None,
    *,
    previous_run_id: str | None = None,
) -> Path:
    """Write the report of ``run_id`` (None: the latest) and return its path.

    Default place: ``<home>/reports/<code>/quality_<as-of>_<run>.html``. Needs no write access to the warehouse.
    """
    from kodomo_platform.quality.availability import availability, blank_patterns, feature_availability, freshness
    from kodomo_platform.quality.decisions import effective
    from kodomo_platform.quality.drift import drift_alarms
    from kodomo_platform.settings import get_settings

    known = [run for run, _, _ in runs(con)]
    run = run_id or (known[-1] if known else "none")
    results = read_results(con, run_id, standing=True)
    if previous_run_id is None and run in known and known.index(run) > 0:
        previous_run_id = known[known.index(run) - 1]
    as_of = max((r.as_of_date for r in results), default=dt.date.today())
    from kodomo_platform.quality.engine import register_functions

    register_functions(con)
    text = render(
        code=municipality.code,
        name_ja=municipality.name_ja,
        name_en=municipality.name_en,
        results=results,
        run=run,
        before=read_results(con, previous_run_id, standing=True) if previous_run_id else (),
        matrix=availability(con),
        fresh=freshness(con, as_of),
        patterns=blank_patterns(con),
        alarms=drift_alarms(con, as_of),
        trend=trend_points(con),
        trends=source_trends(con),
        decided=effective(municipality),
        features=feature_availability(con),
        set_apart=summary(con),
        stopped_by=blocked(results, municipality),
    )
    if out is None:
        safe = "".join(c for c in run if c.isalnum() or c in "-_")[:40]
        out = get_settings().reports / municipality.code / f"quality_{as_of}_{safe}.html"
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_suffix(".part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(out)
    return out
