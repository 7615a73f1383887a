"""Themes and features as files: what is asked, of whom, from which items, by which criteria.

A theme that names an unknown feature, or a feature made of an unknown or banned item, is refused with file and line.
Numbers do not belong here: see `additive`, `training`, `scores`.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kodomo_platform.catalog import Catalog, load_catalog
from kodomo_platform.catalog.loading import banned_kind
from kodomo_platform.errors import Fault, ScoringError
from kodomo_platform.located_yaml import LocatedYaml, read_yaml

_HERE = Path(__file__).parent
THEMES_DIR = _HERE / "themes"
FEATURES_FILE = _HERE / "features.yaml"

_Model = TypeVar("_Model", bound=BaseModel)


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Frozen):
    """One column of the feature marts and the catalogue items it is made of."""

    feature: str
    group: str = Field(description="The source system that can go missing as a whole, e.g. education.attendance.")
    label_ja: str
    label_en: str
    items: list[str] = Field(min_length=1)
    lookback_months: int = Field(ge=0)
    unit: str
    format: Literal["int", "decimal", "percent", "points", "grade", "flag", "level"]
    sentence_ja: str
    sentence_en: str
    risk: Literal["more", "less"] | None = Field(
        default=None,
        description="A growing value may only raise (more) or only lower (less) what is learned; none: either way.",
    )
    beside: str | None = Field(
        default=None,
        description="A second feature told in brackets when there is a value: absent 12 days (3 last month).",
    )
    beside_ja: str = ""
    beside_en: str = ""
    levels_ja: list[str] = Field(default_factory=list)
    levels_en: list[str] = Field(default_factory=list)


class Population(_Frozen):
    """Of whom the question is asked; ages in full years, both ends included."""

    age_min: int = Field(ge=0, le=18)
    age_max: int = Field(ge=0, le=18)
    school_age_only: bool
    resident_only: bool


class Outcome(_Frozen):
    """The dated event that the score is about (computed in mart_outcome)."""

    source: str
    label_ja: str
    label_en: str
    known_months: int = Field(ge=0, description="With the outcome within these months a child is already known.")
    known: Literal["apart", "ranked"] = Field(
        default="apart",
        description="Whether the known have a list of their own (rank, capacity and alert go to the others) or are ranked.",
    )


class Prevalence(_Frozen):
    """Share of children with the outcome, before any data of the municipality's own."""

    value: float = Field(gt=0, lt=0.5)
    source: str


class Floor(_Frozen):
    """Quality below which no model may go live; fixed before the first training."""

    auc: float
    lift_at_capacity: float
    calibration_error: float
    outcomes: int
    masked_brier_ratio: float


class Bands(_Frozen):
    """Score divided by the share of children with the outcome, at least."""

    high: float
    middle: float


class Determinable(_Frozen):
    """When the platform says that it cannot judge (判定不能)."""

    min_coverage: float = Field(ge=0, le=1, description="Share of the model's weight whose inputs are there.")
    min_sources: float = Field(
        default=0.5, ge=0, le=1, description="Share of the sources that apply to the child of which something is there."
    )
    min_criteria: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="With fewer sources than that: share of the criteria's weight that is there.",
    )
    stale_days: int = Field(ge=1, description="Not seen for longer than this.")
    max_unlike_training: float = Field(ge=0, le=1, description="Share of inputs outside the range trained on.")


class Foremost(_Frozen):
    """Children whom a sign puts before any score: `sign` present, ordered by `by` (the first key first), then by score."""

    sign: str = Field(description="Feature; at least 1 puts the child first.")
    by: list[str] = Field(description="Features in order; `-` before the name: the smaller first.")
    label_ja: str
    label_en: str


class Criterion(_Frozen):
    """A rule with its weight in log odds, the evidence for it and the sentence shown when it holds."""

    key: str
    feature: str
    op: Literal[">=", "<=", "=="]
    value: float
    weight: float = Field(gt=-5, lt=5)
    evidence: str = Field(min_length=1)
    sentence_ja: str = Field(min_length=1)
    sentence_en: str = Field(min_length=1)
    always_alert: bool = Field(default=False, description="Shown at once, whatever the rank: a score only orders them.")


class Theme(_Frozen):
    """One question that a municipality may ask of its data."""

    key: str
    label_ja: str
    label_en: str
    question_ja: str
    question_en: str
    population: Population
    outcome: Outcome
    horizon_months: int = Field(ge=1, le=24)
    prevalence: Prevalence
    capacity: int = Field(ge=1)
    display_mode: Literal["alert", "ox", "score"]
    floor: Floor
    bands: Bands
    determinable: Determinable
    foremost: Foremost | None = None
    features: list[str] = Field(min_length=1)
    criteria: list[Criterion] = Field(min_length=1)

    @property
    def criteria_hash(self) -> str:
        """SHA-256 of the criteria, their weights, and all that turns them into a decision."""
        return digest(self.model_dump(mode="json", exclude={"capacity", "display_mode"}))

    def feature_hash(self, features: dict[str, Feature]) -> str:
        """SHA-256 of the definitions of the features that this theme may use."""
        return digest([features[name].model_dump(mode="json") for name in sorted(self.features)])


def digest(value: Any) -> str:
    """SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def load_features() -> dict[str, Feature]:
    """The features by name, in the file's order. Raises ScoringError with all faults."""
    return _features(FEATURES_FILE, load_catalog())


@lru_cache(maxsize=1)
def load_themes() -> dict[str, Theme]:
    """The shipped themes by key. Raises ScoringError with all faults."""
    return load_themes_from(THEMES_DIR)


def load_themes_from(directory: Path) -> dict[str, Theme]:
    """The themes of ``directory``, one file each; refuses unknown features and banned items."""
    features = load_features()
    faults: list[Fault] = []
    themes: dict[str, Theme] = {}
    for file in sorted(directory.glob("*.yaml")):
        located = read_yaml(file)
        faults += located.faults
        if located.faults:
            continue
        theme = _parse(Theme, located, (), located.data, faults)
        if theme is None:
            continue
        if theme.key != file.stem:
            faults.append(located.fault(("key",), f"key and file name differ: expected {file.stem}"))
        faults += _theme_faults(theme, located, features)
        themes[theme.key] = theme
    _raise(faults, "themes")
    return themes


def _theme_faults(theme: Theme, located: LocatedYaml, features: dict[str, Feature]) -> list[Fault]:
    faults: list[Fault] = []
    allowed = set(theme.features)
    for n, name in enumerate(theme.features):
        if name not in features:
            faults.append(located.fault(("features", n), _why_unknown(name)))
        if name in theme.features[:n]:
            faults.append(located.fault(("features", n), f"feature {name} stands twice"))
    seen: set[str] = set()
    for n, criterion in enumerate(theme.criteria):
        if criterion.feature not in allowed:
            faults.append(
                located.fault(("criteria", n, "feature"), f"criterion uses {criterion.feature}, which `features` lacks")
            )
        if criterion.key in seen:
            faults.append(located.fault(("criteria", n, "key"), f"criterion {criterion.key} stands twice"))
        seen.add(criterion.key)
    if theme.foremost is not None:
        for name in (theme.foremost.sign, *theme.foremost.by):
            if name.lstrip("-") not in allowed:
                faults.append(located.fault(("foremost",), f"foremost uses {name}, which `features` lacks"))
    if theme.population.age_min > theme.population.age_max:
        faults.append(located.fault(("population",), "age_min is above age_max"))
    if theme.bands.high <= theme.bands.middle:
        faults.append(located.fault(("bands",), "high must be above middle"))
    return faults


def _why_unknown(name: str) -> str:
    """Says of a name that is no feature whether it is an item, a banned one, or of a kind that is never held."""
    if kind := banned_kind(name):
        return f"unknown feature {name}: {kind} is banned as an input"
    item = load_catalog().items.get(name)
    if item is not None and item.banned_as_input:
        return f"unknown feature {name}: that is an item of the catalogue, and banned as an input"
    if item is not None:
        made = [feature.feature for feature in load_features().values() if name in feature.items]
        of_it = f"; features made of it: {', '.join(made)}" if made else "; no feature is made of it"
        return f"unknown feature {name}: that is an item of the catalogue{of_it}"
    return f"unknown feature {name}; see {FEATURES_FILE.name}"


def _features(file: Path, catalog: Catalog) -> dict[str, Feature]:
    located = read_yaml(file)
    faults = list(located.faults)
    features: dict[str, Feature] = {}
    rows = located.data.get("features", []) if isinstance(located.data, dict) else []
    for n, row in enumerate(rows):
        feature = _parse(Feature, located, ("features", n), row, faults)
        if feature is None:
            continue
        if feature.feature in features:
            faults.append(located.fault(("features", n), f"feature {feature.feature} stands twice"))
        for item in feature.items:
            known = catalog.items.get(item)
            if known is None:
                faults.append(located.fault(("features", n, "items"), f"item {item} is not in the catalogue"))
            elif known.banned_as_input:
                faults.append(located.fault(("features", n, "items"), f"item {item} is banned as an input"))
        if feature.format == "level" and len(feature.levels_ja) != len(feature.levels_en):
            faults.append(located.fault(("features", n), "levels_ja and levels_en differ in length"))
        features[feature.feature] = feature
    for n, row in enumerate(rows):
        told = features.get(row.get("feature", "")) if isinstance(row, dict) else None
        if told is not None and told.beside is not None:
            if told.beside not in features:
                faults.append(located.fault(("features", n, "beside"), f"unknown feature {told.beside}"))
            elif not set(features[told.beside].items) <= set(told.items):
                # else an item that is left out of the one could still be told beside the other
                faults.append(located.fault(("features", n, "beside"), f"{told.beside} uses items that this one lacks"))
            if "{value}" not in told.beside_ja or "{value}" not in told.beside_en:
                faults.append(located.fault(("features", n), "beside needs beside_ja and beside_en with {value}"))
    _raise(faults, "features")
    return features


def _parse(
    model: type[_Model], located: LocatedYaml, path: tuple[str | int, ...], data: Any, faults: list[Fault]
) -> _Model | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False):
            faults.append(located.fault((*path, *detail["loc"]), detail["msg"]))
        return None


def _raise(faults: list[Fault], what: str) -> None:
    if faults:
        raise ScoringError(
            f"the {what} do not hold together:\n" + "\n".join(str(fault) for fault in sorted(faults)),
            expected="known features made of catalogue items that may be inputs",
            action="mend the lines named above",
        )
