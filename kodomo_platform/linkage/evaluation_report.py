"""The page that `kodomo evaluate linkage` leaves: how good the links are, and the patterns of what went wrong.

One HTML file that loads nothing. It holds counts and levels of agreement; values of records only when they were asked
for, and then the page says so in its first line and only its owner may read the file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from kodomo_platform.linkage.evidence import comparisons

KINDS_JA = {
    "twin": "双子", "sibling": "きょうだい", "foreign": "外国の名前", "surname_changed": "姓の変更", "moved": "転居",
    "variant": "異体字", "gaiji": "外字", "no_kana": "カナなし", "no_address": "住所なし", "no_birth_date": "生年月日なし",
    "not_in_register": "住民記録になし", "returning": "再転入", "single_parent": "ひとり親", "joint_custody": "共同親権",
    "stale": "古い住所・氏名",
}  # fmt: skip
_FAULTS_JA = {"false_merge": "誤った結合", "false_split": "結び漏れ"}


def write_report(path: Path, report: dict[str, Any]) -> Path:
    """Write ``report`` (of the command) as a page; returns ``path``. Readable by its owner alone when it holds values."""
    from jinja2 import Environment

    text = (
        Environment(autoescape=True)
        .from_string(_TEMPLATE)
        .render(
            report=report,
            rows=_rows(report),
            words={c.name: {level.name: level.label_ja for level in c.levels} for c in comparisons()},
            headings={c.name: c.label_ja for c in comparisons()},
            faults=_FAULTS_JA,
        )
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = 0o600 if report.get("cases") else 0o644
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as stream:
        stream.write(text)
    aside.replace(path)
    return path


def _rows(report: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    named = [
        ("組（すべての資料）", "pairs", report["pairwise"]),
        ("組（読み込めた記録）", "pairs of records that could be read", report["loaded"]["pairwise"]),
        ("組（氏名のある記録）", "pairs of identity records", report["identity"]["pairwise"]),
        ("こども（すべての資料）", "children", report["cluster"]),
        ("こども（氏名のある記録）", "children, identity records", report["identity"]["cluster"]),
    ]
    return named + [(KINDS_JA.get(kind, kind), kind, found) for kind, found in report["by_type"].items()]


_TEMPLATE = """<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><title>名寄せの評価 {{ report.municipality }}</title>
<style>
body{font-family:sans-serif;max-width:72rem;margin:2rem auto;line-height:1.6;padding:0 1rem;color:#111;background:#fff}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #bbb;padding:.15rem .5rem;text-align:right}
td.text,th.text{text-align:left}small{color:#555}.warn{border:2px solid #a00;padding:.5rem;color:#a00}
.wide{overflow-x:auto}@media print{body{margin:0}tr{break-inside:avoid}}
</style></head><body>
{% if report.cases %}<p class="warn">このページには個人の値が含まれます。名寄せを直す担当者だけが見て、用が済んだら消去してください。
<br>This page holds personal values: for who mends the linkage alone; delete it afterwards.</p>
{% else %}<p>個人の値は含みません。件数と一致の段階だけです。 / No value of any person: counts and levels of agreement alone.</p>{% endif %}
<h1>名寄せの評価 <small>Record linkage measured against a truth</small></h1>
<p>自治体 {{ report.municipality }}／基準日 {{ report.as_of }}／モデル {{ report.model }}</p>
<div class="wide"><table>
<tr><th class="text">範囲</th><th>適合率</th><th>95 %</th><th>再現率</th><th>95 %</th><th>F1</th><th>正</th><th>誤結合</th><th>結び漏れ</th></tr>
{% for ja, en, row in rows %}<tr><td class="text">{{ ja }}{% if ja != en %} <small>{{ en }}</small>{% endif %}</td>
<td>{{ "%.5f"|format(row.precision) }}</td><td>{{ "%.4f–%.4f"|format(*row.precision_ci95) }}</td>
<td>{{ "%.5f"|format(row.recall) }}</td><td>{{ "%.4f–%.4f"|format(*row.recall_ci95) }}</td>
<td>{{ "%.5f"|format(row.f1) }}</td><td>{{ "{:,}".format(row.tp) }}</td><td>{{ "{:,}".format(row.fp) }}</td><td>{{ "{:,}".format(row.fn) }}</td></tr>
{% endfor %}</table></div>
<p>区間はウィルソンの95 %信頼区間です。一人のこどもの組どうしは独立でないため、組の区間は狭めに出ます。こどもの行が確かな目安です。<br>
<small>Wilson 95 % intervals. Pairs of one child are not independent of each other, so the pairs' intervals are narrower than
they should be; the rows of children are the safer guide.</small></p>
<p>複数の人を含むまとまり {{ report.cluster.false_merges }}、複数のまとまりに分かれた人 {{ report.cluster.false_splits }}。
種別の出所：{{ "真値のタグ" if report.types_from == "tags" else "記録から導出" }}
<small>clusters of several people, people in several clusters; kinds read from {{ report.types_from }}</small></p>
<h2>人による確認の待ち行列 <small>Review queue</small></h2>
<p>{{ report.queue.count }} 組（記録の {{ "%.2f"|format(100 * report.queue.share_of_records) }} %）、うち同じ人 {{ report.queue.true }}、
紛らわしい別人（双子・同姓同名） {{ report.queue.traps }}、真値にない {{ report.queue.not_in_truth }}。
本当に紛らわしい割合 {{ "%.1f"|format(100 * report.queue.share_unclear) }} %</p>
{% if report.queue.by_kind %}<table><tr><th class="text">種類</th><th>組</th><th>同じ人</th><th>紛らわしい別人</th></tr>
{% for kind, found in report.queue.by_kind.items() %}<tr><td class="text">{{ kind }}</td><td>{{ found.count }}</td><td>{{ found.true }}</td><td>{{ found.traps }}</td></tr>
{% endfor %}</table>{% endif %}
<h2>悪い例の型 <small>Patterns of what went wrong</small></h2>
{% if report.worst_cases %}<div class="wide"><table><tr><th class="text">誤り</th><th class="text">資料</th><th class="text">種別</th>
{% for name in headings %}<th class="text">{{ headings[name] }}</th>{% endfor %}<th>組</th></tr>
{% for case in report.worst_cases %}<tr><td class="text">{{ faults[case.fault] }}</td><td class="text">{{ case.left_source }}<br>{{ case.right_source }}</td>
<td class="text">{{ case.kinds }}</td>{% for name in headings %}<td class="text">{{ words[name][case[name]] }}</td>{% endfor %}<td>{{ case.pairs }}</td></tr>
{% endfor %}</table></div>{% else %}<p>誤りはありません。 / Nothing went wrong.</p>{% endif %}
{% if report.cases %}<h2>個々の例 <small>Cases</small></h2>
{% for case in report.cases %}<h3>{{ faults[case.fault] }} <small>{{ case.kinds }}</small></h3>
<table><tr><th class="text"></th><th class="text">{{ case.left_source }} {{ case.left_record }}</th><th class="text">{{ case.right_source }} {{ case.right_record }}</th></tr>
{% for name, pair in case["values"].items() %}<tr><td class="text">{{ name }}</td><td class="text">{{ pair[0] }}</td><td class="text">{{ pair[1] }}</td></tr>
{% endfor %}</table>{% endfor %}{% endif %}
<h2>数 <small>Counts</small></h2>
<table>{% for name, value in report.counts.items() %}<tr><td class="text">{{ name }}</td><td>{{ "{:,}".format(value) }}</td></tr>
{% endfor %}</table>
</body></html>
"""
