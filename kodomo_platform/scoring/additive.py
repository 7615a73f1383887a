"""Sums of terms: the one shape of every model that may score a child.

Criteria, logistic regression and the Explainable Boosting Machine all become an `AdditiveModel`: an intercept plus one
table of contributions per feature (or pair of features). That gives reasons that add up to the score, one JSON file that
runs no code when it is read, and one vectorised evaluation. Fitting does not belong here (`candidates`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.themes import Theme

Floats = npt.NDArray[np.float64]

FORMAT = "kodomo-additive-model/1"
# two-sided 90 %: wide enough to be honest at a few hundred children, narrow enough to be read
INTERVAL_Z = 1.645


@dataclass(frozen=True)
class Term:
    """Contribution of one feature, or of two together.

    ``kind`` 'steps': ``cuts`` per feature (ascending); cell 0 is "value absent", cell i + 1 the i-th interval
    (left-closed), so a feature with k cuts has k + 2 cells. ``scores`` and ``std`` have one axis per feature.
    ``kind`` 'linear': ``scores`` is (absent, slope), ``cuts`` is ((low, high, centre),): slope × (clipped value − centre).
    """

    features: tuple[str, ...]
    kind: str
    cuts: tuple[tuple[float, ...], ...]
    scores: Floats
    std: Floats

    @property
    def importance(self) -> float:
        """Largest contribution that the term can make either way."""
        if self.kind == "linear":
            low, high, centre = self.cuts[0]
            return float(max(abs(self.scores[1] * (low - centre)), abs(self.scores[1] * (high - centre))))
        return float(np.max(np.abs(self.scores))) if self.scores.size else 0.0


@dataclass(frozen=True)
class AdditiveModel:
    """An intercept, its terms, a calibration (logit = slope × sum + shift), and what it was fitted on."""

    name: str
    theme: str
    features: tuple[str, ...]
    intercept: float
    terms: tuple[Term, ...]
    base_rate: float
    slope: float = 1.0
    shift: float = 0.0
    extra_std: float = 0.0
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> float:
        """Calibrated logit of a child to whom no term adds anything."""
        return self.slope * self.intercept + self.shift

    def contributions(self, values: dict[str, Floats]) -> tuple[Floats, Floats]:
        """Calibrated contributions and their variances, both (rows, terms), from feature columns with NaN = absent.

        Each row depends on itself alone: scoring one child or a million gives the same number.
        """
        rows = len(next(iter(values.values()))) if values else 0
        out = np.zeros((rows, len(self.terms)))
        variance = np.zeros((rows, len(self.terms)))
        for n, term in enumerate(self.terms):
            missing = [name for name in term.features if name not in values]
            if missing:
                raise ScoringError(
                    "the model was trained on columns that are not there",
                    where=f"theme {self.theme}, model {self.name}: {', '.join(missing)}",
                    expected="the features that the model was trained on",
                    action="rebuild the marts with this version, or retire the model",
                )
            if term.kind == "linear":
                low, high, centre = term.cuts[0]
                x = values[term.features[0]]
                absent = np.isnan(x)
                position = np.clip(np.where(absent, centre, x), low, high) - centre
                out[:, n] = np.where(absent, term.scores[0], term.scores[1] * position)
                variance[:, n] = np.where(absent, term.std[0] ** 2, (term.std[1] * position) ** 2)
            else:
                cells = tuple(
                    cell_numbers(values[name], cuts) for name, cuts in zip(term.features, term.cuts, strict=True)
                )
                out[:, n] = term.scores[cells]
                variance[:, n] = term.std[cells] ** 2
        return out * self.slope, variance * self.slope**2

    def logits(self, values: dict[str, Floats]) -> Floats:
        """Calibrated logits, (rows,)."""
        contributions, _ = self.contributions(values)
        return sum_terms(contributions, self.base)

    def to_json(self) -> str:
        """The model as canonical text; the same model always gives the same bytes."""
        document = {
            "format": FORMAT,
            "name": self.name,
            "theme": self.theme,
            "features": list(self.features),
            "intercept": self.intercept,
            "slope": self.slope,
            "shift": self.shift,
            "extra_std": self.extra_std,
            "base_rate": self.base_rate,
            "ranges": {name: list(pair) for name, pair in sorted(self.ranges.items())},
            "facts": self.facts,
            "terms": [
                {
                    "features": list(term.features),
                    "kind": term.kind,
                    "cuts": [list(cuts) for cuts in term.cuts],
                    "scores": term.scores.tolist(),
                    "std": term.std.tolist(),
                }
                for term in self.terms
            ],
        }
        return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def sum_terms(contributions: Floats, base: float) -> Floats:
    """Sum over terms in their fixed order: `sum(axis=1)` may add in another order for another number of rows."""
    total = np.full(contributions.shape[0], base)
    for n in range(contributions.shape[1]):
        total += contributions[:, n]
    return total


def cell_numbers(x: Floats, cuts: Sequence[float]) -> npt.NDArray[np.int64]:
    """Cell of each value: 0 absent, n + 1 the n-th interval."""
    absent = np.isnan(x)
    cells = np.searchsorted(np.asarray(cuts, dtype=float), np.where(absent, 0.0, x), side="right") + 1
    return np.where(absent, 0, cells).astype(np.int64)


def sigmoid(logit: Floats) -> Floats:
    """Probability from log odds, kept inside (0, 1) so that it can be turned back."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logit, -30.0, 30.0))), dtype=np.float64)


def logit(probability: float) -> float:
    """Log odds of one probability."""
    return float(np.log(probability) - np.log1p(-probability))


def read_model(path: Path, sha256: str | None = None) -> AdditiveModel:
    """Read a model file; with ``sha256``, refuse any other bytes. Nothing in the file is ever run."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ScoringError("the model file cannot be read", where=path.name) from error
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ScoringError(
            "the model file is not the one that was approved",
            where=path.name,
            expected=f"SHA-256 {sha256}",
            action="restore the file, or have the changed model reviewed and approved",
        )
    return parse_model(data, path.name)


def parse_model(data: bytes, where: str) -> AdditiveModel:
    """A model from the bytes of its file. Raises ScoringError when they are no such model."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise ValueError("format")
        terms = tuple(
            Term(
                tuple(term["features"]),
                term["kind"],
                tuple(tuple(float(cut) for cut in cuts) for cuts in term["cuts"]),
                np.asarray(term["scores"], dtype=float),
                np.asarray(term["std"], dtype=float),
            )
            for term in document["terms"]
        )
        return AdditiveModel(
            document["name"],
            document["theme"],
            tuple(document["features"]),
            float(document["intercept"]),
            terms,
            float(document["base_rate"]),
            float(document["slope"]),
            float(document["shift"]),
            float(document["extra_std"]),
            {name: (float(pair[0]), float(pair[1])) for name, pair in document["ranges"].items()},
            document["facts"],
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ScoringError("not a model file", where=where, expected=f"JSON of format {FORMAT}") from error


def criteria_model(theme: Theme, base_rate: float | None = None) -> AdditiveModel:
    """The theme's criteria as a model: steps at the thresholds, weights as log odds, nothing for an absent value.

    The intercept is the log odds of the theme's prevalence less what an average child collects, which nobody knows
    before there is data: taken as a tenth of all weights (replaced by calibration once outcomes exist).
    """
    by_feature: dict[str, list[Any]] = {}
    for criterion in theme.criteria:
        by_feature.setdefault(criterion.feature, []).append(criterion)
    terms = []
    for name, criteria in by_feature.items():
        cuts: set[float] = set()
        for criterion in criteria:
            if criterion.op in (">=", "=="):
                cuts.add(criterion.value)
            if criterion.op in ("<=", "=="):
                cuts.add(float(np.nextafter(criterion.value, np.inf)))
        ordered = tuple(sorted(cuts))
        scores = np.zeros(len(ordered) + 2)
        edges = (-np.inf, *ordered)
        for criterion in criteria:
            for cell, left in enumerate(edges, start=1):
                if holds(criterion.op, left, criterion.value):
                    scores[cell] += criterion.weight
        terms.append(Term((name,), "steps", (ordered,), scores, np.zeros_like(scores)))
    prior = theme.prevalence.value if base_rate is None else base_rate
    positive = sum(max(criterion.weight, 0.0) for criterion in theme.criteria)
    return AdditiveModel(
        name="criteria",
        theme=theme.key,
        features=tuple(theme.features),
        intercept=logit(prior) - 0.1 * positive,
        terms=tuple(terms),
        base_rate=prior,
        # weights set by people are good to about a factor of two in the odds
        extra_std=0.7,
        facts={"prevalence_source": theme.prevalence.source},
    )


def holds(op: str, left: Any, right: float) -> Any:
    """A criterion's comparison, on numbers or arrays (NaN never holds)."""
    if op == ">=":
        return left >= right
    if op == "<=":
        return left <= right
    return left == right
