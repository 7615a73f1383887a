"""The charts of a linkage model: weights, m and u, precision and recall, thresholds, waterfalls. Levels and counts alone.

One HTML file that loads nothing (municipal networks are closed): bars are drawn by the page's own style, and the
threshold tool is a slider over a table that also stands there. No value of any record is read here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from kodomo_platform.linkage.evidence import comparisons

if TYPE_CHECKING:
    from kodomo_platform.linkage.blind_test import BlindTest
    from kodomo_platform.linkage.model import LinkageModel

# what a pair's waterfall is shown for, beside the patterns that were seen most often: the cases that people ask about
_CASES = {
    "同じこども（すべて一致） / one child, everything agrees": ("both", "equal", "equal", "surname_and_two"),
    "双子（名だけが異なる） / twins: only the given name differs": ("different", "equal", "equal", "surname_and_two"),
    "姓が変わった / surname changed": ("both", "equal", "equal", "other_surname_two"),
    "転居した / moved": ("both", "equal", "equal", "surname_only"),
    "生年月日がない / birth date missing": ("both", "not_comparable", "equal", "surname_and_two"),
    "同姓同名の他人 / a namesake": ("both", "different", "equal", "surname_only"),
}
_MOST_PATTERNS = 12


def _bits(m: float, u: float) -> float:
    return math.log2(m / u)


def prior_bits(people: int) -> float:
    """Bits that speak against any pair before it is looked at: one in so many."""
    return math.log2(1 / (people - 1))


def waterfall(model: LinkageModel, levels: tuple[str, ...], people: int = 10_000) -> list[dict[str, Any]]:
    """From the prior to the sum, a step per comparison: bits, before adjustment for how common a value is."""
    steps: list[dict[str, Any]] = [{"step": "prior", "label": f"1 / {people:,}", "bits": round(prior_bits(people), 2)}]
    for comparison, name in zip(comparisons(), levels, strict=True):
        level = next(level for level in comparison.levels if level.name == name)
        bits = 0.0 if level.number < 0 else _bits(*model.pair(comparison, name))
        steps.append({"step": comparison.name, "label": level.label_ja, "bits": round(bits, 2)})
    total = sum(step["bits"] for step in steps)
    steps.append({"step": "sum", "label": f"確率 {2**total / (1 + 2**total):.5f}", "bits": round(total, 2)})
    return steps


def report_data(
    model: LinkageModel, standing: LinkageModel, test: BlindTest, standing_test: BlindTest, floor: str
) -> dict[str, Any]:
    """Everything the charts show, as JSON."""
    weights = []
    for comparison in comparisons():
        for level in comparison.levels:
            if level.number >= 0:
                (m, u), before = model.pair(comparison, level.name), standing.pair(comparison, level.name)
                weights.append(
                    {
                        "comparison": comparison.name,
                        "comparison_ja": comparison.label_ja,
                        "level": level.name,
                        "level_ja": level.label_ja,
                        "m": m,
                        "u": u,
                        "bits": round(_bits(m, u), 3),
                        "bits_standing": round(_bits(*before), 3),
                    }
                )
    return {
        "version": model.version,
        "sha256": model.sha256,
        "standing": standing.version,
        "match": model.match,
        "review": model.review,
        "training": model.training,
        "floor": floor,
        "weights": weights,
        "test": test.as_dict(),
        "standing_test": standing_test.as_dict(),
        "patterns": [
            {"levels": list(levels), "same": same, "different": different}
            for levels, same, different in test.patterns[:_MOST_PATTERNS]
        ],
        "waterfalls": {name: waterfall(model, levels) for name, levels in _CASES.items()},
    }


def report_html(code: str, data: dict[str, Any]) -> str:
    """The charts as one page of HTML."""
    from jinja2 import Environment

    widest = max(abs(row["bits"]) for row in data["weights"]) or 1.0
    curve = [point | _rates(point) for point in data["test"]["curve"]]
    return (
        Environment(autoescape=True)
        .from_string(_TEMPLATE)
        .render(
            code=code,
            data=data,
            widest=widest,
            curve=curve,
            line=_polyline(curve),
            tested=data["test"]["after_assignment"],
            standing=data["standing_test"]["after_assignment"],
            tallest=max(abs(step["bits"]) for steps in data["waterfalls"].values() for step in steps),
        )
    )


def _rates(point: dict[str, Any]) -> dict[str, float]:
    tp, fp, fn = point["tp"], point["fp"], point["fn"]
    return {"precision": tp / (tp + fp) if tp + fp else 1.0, "recall": tp / (tp + fn) if tp + fn else 1.0}


def _polyline(curve: list[dict[str, Any]]) -> str:
    """Recall to the right, precision upwards, in a field of 300 by 200 that shows the upper half of precision."""
    points = (
        (40 + 300 * point["recall"], 210 - 200 * max(0.0, 2 * point["precision"] - 1))
        for point in sorted(curve, key=lambda point: (point["recall"], -point["precision"]))
    )
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


_TEMPLATE = """<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><title>名寄せモデル {{ data.version }}</title>
<style>
body{font-family:sans-serif;max-width:64rem;margin:2rem auto;line-height:1.6;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #bbb;padding:.15rem .5rem;text-align:right}
td:first-child,th:first-child,td.text{text-align:left}
.bar{width:14rem;padding:0;background:linear-gradient(#999,#999) 50% 0/1px 100% no-repeat}
.bar i{display:block;height:.8rem;position:relative}.for{background:#2a6f97}.against{background:#b23a48}
.m{background:#2a6f97}.u{background:#999}.no{color:#a00}
</style></head><body>
<h1>名寄せモデル {{ data.version }} <small>Linkage model</small></h1>
<p>自治体 {{ code }}／SHA-256 <code>{{ data.sha256 }}</code>／学習に使った組 {{ data.training.labelled_pairs }}
（ラベル：{{ data.training.labels }}）／現行 {{ data.standing }}</p>
<p>個人の値は含みません。件数と一致の段階だけです。 / No value of any person: counts and levels of agreement alone.</p>
{% if data.floor == "met" %}<p>下限：現行モデルに劣りません。 / Floor met.</p>
{% else %}<p class="no">下限を満たしません：{{ data.floor }} / below the floor: cannot be approved.</p>{% endif %}
<h2>番号を隠した試験（割り当て後） <small>Blind test, after assignment</small></h2>
<table><tr><th></th><th>適合率</th><th>95%</th><th>再現率</th><th>95%</th><th>誤</th><th>漏れ</th><th>確認待ち</th></tr>
{% for name, row, queued in (("新 / new", tested, data.test.queued), ("現行 / standing", standing, data.standing_test.queued)) %}
<tr><td>{{ name }}</td><td>{{ "%.5f"|format(row.precision) }}</td><td>{{ "%.4f–%.4f"|format(*row.precision_ci95) }}</td>
<td>{{ "%.5f"|format(row.recall) }}</td><td>{{ "%.4f–%.4f"|format(*row.recall_ci95) }}</td>
<td>{{ row.fp }}</td><td>{{ row.fn }}</td><td>{{ queued }}</td></tr>{% endfor %}</table>
<h2>一致の重み <small>Match weights (bits)</small></h2>
<table><tr><th>比較</th><th>段階</th><th></th><th>重み</th><th>現行</th></tr>
{% for row in data.weights %}<tr><td>{{ row.comparison_ja }}</td><td class="text">{{ row.level_ja }}</td>
<td class="bar"><i class="{{ 'for' if row.bits > 0 else 'against' }}" style="width:{{ '%.1f'|format(50 * row.bits|abs / widest) }}%;left:{{ '50' if row.bits > 0 else '%.1f'|format(50 - 50 * row.bits|abs / widest) }}%"></i></td>
<td>{{ "%+.2f"|format(row.bits) }}</td><td>{{ "%+.2f"|format(row.bits_standing) }}</td></tr>{% endfor %}</table>
<h2>m と u <small>How often a level is seen among true pairs (m) and among strangers (u)</small></h2>
<table><tr><th>比較</th><th>段階</th><th>m</th><th></th><th>u</th><th></th></tr>
{% for row in data.weights %}<tr><td>{{ row.comparison_ja }}</td><td class="text">{{ row.level_ja }}</td>
<td>{{ "%.6g"|format(row.m) }}</td><td class="bar" style="background:none"><i class="m" style="width:{{ '%.1f'|format(100 * row.m) }}%"></i></td>
<td>{{ "%.6g"|format(row.u) }}</td><td class="bar" style="background:none"><i class="u" style="width:{{ '%.1f'|format(100 * row.u) }}%"></i></td></tr>{% endfor %}</table>
<h2>適合率と再現率（割り当て前） <small>Precision and recall by threshold, before assignment</small></h2>
<svg viewBox="0 0 360 240" width="540" role="img" aria-label="precision and recall">
<rect x="40" y="10" width="300" height="200" fill="none" stroke="#999"/><polyline points="{{ line }}" fill="none" stroke="#2a6f97" stroke-width="2"/>
<text x="40" y="228" font-size="11">0</text><text x="330" y="228" font-size="11">1</text><text x="160" y="228" font-size="11">再現率 recall</text>
<text x="4" y="16" font-size="11">1.0</text><text x="4" y="212" font-size="11">0.5</text><text x="4" y="112" font-size="11">適合率</text></svg>
<h2>しきい値 <small>Threshold tool</small></h2>
<p><input id="threshold" type="range" min="0" max="{{ curve|length - 1 }}" value="{{ (curve|length) // 2 }}" style="width:30rem">
<output id="chosen"></output></p>
<table id="thresholds"><tr><th>重み</th><th>確率</th><th>適合率</th><th>再現率</th><th>正</th><th>誤</th><th>漏れ</th></tr>
{% for point in curve %}<tr><td>{{ point.weight }}</td><td>{{ "%.6f"|format(point.probability) }}</td><td>{{ "%.5f"|format(point.precision) }}</td>
<td>{{ "%.5f"|format(point.recall) }}</td><td>{{ point.tp }}</td><td>{{ point.fp }}</td><td>{{ point.fn }}</td></tr>{% endfor %}</table>
<h2>組の内訳 <small>Waterfalls, before adjustment for how common a value is</small></h2>
{% for name, steps in data.waterfalls.items() %}<h3>{{ name }}</h3><table>
{% for step in steps %}<tr><td>{{ step.step }}</td><td class="text">{{ step.label }}</td>
<td class="bar"><i class="{{ 'for' if step.bits > 0 else 'against' }}" style="width:{{ '%.1f'|format(50 * step.bits|abs / tallest) }}%;left:{{ '50' if step.bits > 0 else '%.1f'|format(50 - 50 * step.bits|abs / tallest) }}%"></i></td>
<td>{{ "%+.2f"|format(step.bits) }}</td></tr>{% endfor %}</table>{% endfor %}
<h2>よく見られた組み合わせ <small>Patterns seen most often in the test half</small></h2>
<table><tr><th>名・生年月日・性別・世帯</th><th>同じ人</th><th>別の人</th></tr>
{% for row in data.patterns %}<tr><td>{{ row.levels|join("・") }}</td><td>{{ row.same }}</td><td>{{ row.different }}</td></tr>{% endfor %}</table>
<script>
(function(){var s=document.getElementById("threshold"),o=document.getElementById("chosen"),
r=document.getElementById("thresholds").rows;function show(){for(var i=1;i<r.length;i++)r[i].style.background="";
var c=r[+s.value+1];c.style.background="#dbe9f4";o.textContent="確率 "+c.cells[1].textContent+"：適合率 "+c.cells[2].textContent+
"、再現率 "+c.cells[3].textContent+"、誤 "+c.cells[5].textContent+"、漏れ "+c.cells[6].textContent}
s.addEventListener("input",show);show()})();
</script></body></html>
"""
