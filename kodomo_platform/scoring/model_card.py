"""The model card in Japanese and its figures: what a reviewer reads before deciding.

The card is one HTML file that loads nothing from outside; figures are SVG with real text, so that Japanese is drawn in
whatever font the reader has. What is measured belongs to `evaluation`, where it is kept to `recording`.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kodomo_platform.scoring.additive import AdditiveModel, Floats, Term
from kodomo_platform.scoring.candidates import Ints
from kodomo_platform.scoring.evaluation import Group
from kodomo_platform.scoring.groups import group_name
from kodomo_platform.scoring.themes import Feature
from kodomo_platform.shipped import shipped_folder

if TYPE_CHECKING:
    from kodomo_platform.scoring.recording import Finding

TEMPLATE = shipped_folder("mlflow") / "model_card.ja.html.j2"
# Measures in the order in which a reviewer asks for them: work at capacity first, then order, then probability.
MEASURES = {
    "precision_at_capacity": ("定員での適合率", "Precision at capacity"),
    "recall_at_capacity": ("定員での再現率", "Recall at capacity"),
    "lift_at_capacity": ("定員でのリフト", "Lift at capacity"),
    "visits_per_outcome": ("該当者1人当たりの訪問件数", "Visits per child found"),
    "average_precision": ("平均適合率（PR-AUC）", "Average precision (PR-AUC)"),
    "auc": ("ROC-AUC", "ROC-AUC"),
    "brier": ("Brier（小さいほどよい）", "Brier (smaller is better)"),
    "ece": ("較正誤差", "Calibration error"),
}
CANDIDATES = {
    "criteria": ("判定基準だけ", "Criteria alone"),
    "logistic": ("ロジスティック回帰", "Logistic regression"),
    "ebm": ("説明できるブースティング（EBM）", "Explainable boosting (EBM)"),
    "boosting": ("勾配ブースティング（参考）", "Gradient boosting (yardstick)"),
    "blend": ("ロジスティックとEBMの加重平均", "Weighted mean of logistic and EBM"),
    "shared": ("ほかの自治体と合わせて学習したEBM", "EBM learned together with other municipalities"),
}
_INK = {
    "criteria": "#777777",
    "logistic": "#1b6ca8",
    "ebm": "#b3541e",
    "boosting": "#8a6fb0",
    "blend": "#2e7d4f",
    "shared": "#0e7c86",
}


def source_name(source: str) -> str:
    """A source in Japanese, by the catalogue."""
    from kodomo_platform.catalog import load_catalog

    known = load_catalog().sources.get(source)
    return source if known is None else str(known.label_ja)


def model_card(found: Finding, pictures: Mapping[str, bytes]) -> str:
    """The model card of one training."""
    from jinja2 import Environment
    from markupsafe import Markup

    features = dict(found.features)
    important = sorted(
        (
            ("×".join(features[name].label_ja for name in term.features), term.importance * found.model.slope)
            for term in found.model.terms
        ),
        key=lambda pair: -pair[1],
    )[:12]
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["number"] = _number
    # made above by matplotlib from our own labels, so it may stand in the page as it is
    drawn = {name: Markup(_inline(picture)) for name, picture in pictures.items()}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        found=found,
        theme=found.theme,
        evaluation=found.evaluation,
        inputs=[features[name] for name in found.theme.features],
        features=features,
        important=important,
        pictures=drawn,
        measures={key: label for key, (label, _) in MEASURES.items()},
        candidates={key: label for key, (label, _) in CANDIDATES.items()},
        source_name=source_name,
        group_name=group_name,
        lookback=_lookback,
        smallest=10,
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "—" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def _lookback(feature: Feature) -> str:
    return "基準日の時点" if feature.lookback_months == 0 else f"{feature.lookback_months}か月"


def _inline(picture: bytes) -> str:
    """The drawing itself, without the head of an XML file and without a fixed size."""
    text = picture.decode()
    return text[text.index("<svg") :]


def figures(
    y: Ints,
    probabilities: Mapping[str, Floats],
    chosen: str,
    model: AdditiveModel,
    features: Mapping[str, Feature],
    groups: Sequence[Group],
    months: Sequence[Mapping[str, Any]],
) -> dict[str, bytes]:
    """Precision and recall, calibration, capacity, groups, months and shape functions, each an SVG file."""
    return {
        "precision_recall": _draw(lambda axis: _precision_recall(axis, y, probabilities, chosen)),
        "calibration": _draw(lambda axis: _calibration(axis, y, probabilities[chosen])),
        "capacity": _draw(lambda axis: _capacity(axis, y, probabilities, chosen)),
        "fairness": _draw(
            lambda axis: _fairness(axis, groups),
            (7.0, 0.9 + 0.28 * max(sum(row.recall is not None for row in groups), 2)),
        ),
        "months": _draw(lambda axis: _months(axis, months)),
        "shape_functions": _shapes(model, features),
    }


def _draw(paint: Callable[[Any], None], size: tuple[float, float] = (5.2, 3.8)) -> bytes:
    from matplotlib.figure import Figure

    def one(figure: Figure) -> None:
        paint(figure.subplots())

    return _svg(one, size)


def _svg(paint: Callable[[Any], None], size: tuple[float, float]) -> bytes:
    import matplotlib
    from matplotlib.figure import Figure

    buffer = io.BytesIO()
    # the server's fonts need not know Japanese: text stays text, and the reader's browser draws it
    noise = logging.getLogger("matplotlib.font_manager")
    level, noise.level = noise.level, logging.ERROR
    try:
        with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kodomo"}):
            warnings.simplefilter("ignore")
            figure = Figure(figsize=size, layout="constrained")
            paint(figure)
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    finally:
        noise.level = level
    return buffer.getvalue()


def _precision_recall(axis: Any, y: Ints, probabilities: Mapping[str, Floats], chosen: str) -> None:
    from sklearn.metrics import precision_recall_curve

    for name, probability in probabilities.items():
        precision, recall, _ = precision_recall_curve(y, probability)
        width = 2.4 if name == chosen else 1.0
        axis.plot(recall, precision, label=_label(name), linewidth=width, color=_INK.get(name))
    axis.axhline(y.mean(), linestyle=":", color="grey")
    axis.set(xlabel="再現率", ylabel="適合率", title="適合率と再現率（点線：全体の割合）", ylim=(0, 1.02))
    axis.legend(fontsize=7)


def _calibration(axis: Any, y: Ints, probability: Floats) -> None:
    parts = np.array_split(np.argsort(probability, kind="stable"), min(10, len(y)))
    expected = [float(probability[part].mean()) for part in parts]
    observed = [float(y[part].mean()) for part in parts]
    # 90 % of what chance alone gives to so many children
    chance = [1.645 * np.sqrt(max(e * (1 - e), 1e-9) / len(part)) for e, part in zip(expected, parts, strict=True)]
    axis.errorbar(expected, observed, yerr=chance, marker="o", color=_INK["ebm"], capsize=2, linewidth=1.2)
    limit = max(*expected, *observed) * 1.05
    axis.plot([0, limit], [0, limit], linestyle=":", color="grey")
    axis.set(xlabel="見込み", ylabel="実際", title="較正（点線：見込みどおり）")


def _capacity(axis: Any, y: Ints, probabilities: Mapping[str, Floats], chosen: str) -> None:
    for name, probability in probabilities.items():
        order = np.argsort(-probability, kind="stable")
        width = 2.4 if name == chosen else 1.0
        axis.plot(
            np.arange(1, len(y) + 1),
            np.cumsum(y[order]) / max(y.sum(), 1),
            linewidth=width,
            label=_label(name),
            color=_INK.get(name),
        )
    axis.set(xlabel="会うこどもの数（のべ）", ylabel="出会える割合", title="定員と再現率", ylim=(0, 1.02))
    axis.legend(fontsize=7)


def _fairness(axis: Any, groups: Sequence[Group]) -> None:
    shown = [row for row in groups if row.recall is not None]
    for n, row in enumerate(shown):
        colour = "#b00020" if row.biased else "#1b6ca8"
        axis.plot([row.recall_low, row.recall_high], [n, n], color=colour)
        axis.plot(row.recall, n, marker="o", color=colour)
    axis.set_yticks(range(len(shown)), [group_name(row) for row in shown])
    axis.invert_yaxis()
    title = "集団ごとの再現率（90％区間）" if shown else "集団ごとの再現率：結果が少なく、示せません"
    axis.set(xlabel="定員での再現率", xlim=(0, 1), title=title)


def _months(axis: Any, months: Sequence[Mapping[str, Any]]) -> None:
    shown = [row for row in months if row["measures"]]
    place = range(len(shown))
    for key, colour in (("precision_at_capacity", "#b3541e"), ("recall_at_capacity", "#1b6ca8")):
        values = np.array([row["measures"][key] for row in shown])
        low = np.array([row["measures"].get(f"{key}_low", np.nan) for row in shown])
        high = np.array([row["measures"].get(f"{key}_high", np.nan) for row in shown])
        spread = [np.maximum(values - low, 0), np.maximum(high - values, 0)] if shown else None
        axis.errorbar(place, values, yerr=spread, marker="o", capsize=2, color=colour, label=MEASURES[key][0])
    axis.set_xticks(place, [row["as_of_date"][:7] for row in shown])
    title = "基準日ごとの成績（90％区間）" if shown else "基準日ごとの成績：結果が少なく、示せません"
    axis.set(ylim=(0, 1.02), title=title)
    if shown:
        axis.legend(fontsize=7)


def _shapes(model: AdditiveModel, features: Mapping[str, Feature]) -> bytes:
    single = sorted((term for term in model.terms if len(term.features) == 1), key=lambda term: -term.importance)[:8]

    def paint(figure: Any) -> None:
        for axis, term in zip(figure.subplots(2, 4).ravel(), single, strict=False):
            _shape(axis, term, model.slope)
            feature = features[term.features[0]]
            axis.set_title(feature.label_ja, fontsize=8)
            axis.set_xlabel(feature.unit, fontsize=7)
            axis.tick_params(labelsize=7)
        figure.suptitle("項目の値と寄与（対数オッズ。点線：値がないとき）", fontsize=9)

    return _svg(paint, (11, 5))


def _shape(axis: Any, term: Term, slope: float) -> None:
    if term.kind == "linear":
        low, high, centre = term.cuts[0]
        axis.plot([low, high], [slope * term.scores[1] * (x - centre) for x in (low, high)], color=_INK["ebm"])
    else:
        cuts = term.cuts[0]
        span = (cuts[-1] - cuts[0]) * 0.1 or 1.0 if cuts else 1.0
        edges = [cuts[0] - span, *cuts, cuts[-1] + span] if cuts else [0.0, 1.0]
        axis.stairs(slope * term.scores[1:], edges, baseline=None, color=_INK["ebm"])
    axis.axhline(slope * float(term.scores[0]), linestyle=":", color="grey")


def _label(name: str) -> str:
    return CANDIDATES.get(name, (name, name))[0]
