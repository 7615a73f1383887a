"""What a municipality's file leaves out that features are made of, by theme. Nothing is read but definitions."""

from __future__ import annotations

from dataclasses import dataclass

from kodomo_platform.municipalities import Municipality
from kodomo_platform.scoring.themes import load_features, load_themes


@dataclass(frozen=True)
class MissingInput:
    """An item that a source of the municipality has no column for, and the features of a theme that need it.

    ``theme``, ``feature_labels``: (Japanese, English).
    """

    theme: str
    source: str
    item: str
    feature_labels: tuple[tuple[str, str], ...]


def missing_inputs(municipality: Municipality) -> list[MissingInput]:
    """Items without a column in a source that is held, theme by theme. A source that is not held is no omission."""
    features, themes = load_features(), load_themes()
    found: list[MissingInput] = []
    for chosen in municipality.themes:
        needed: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for name in themes[chosen.key].features:
            feature = features[name]
            for key in feature.items:
                source, _, item = key.rpartition(".")
                config = municipality.by_source.get(source)
                if config is not None and item not in config.by_item:
                    needed.setdefault((source, item), []).append((feature.label_ja, feature.label_en))
        found += [MissingInput(chosen.key, *key, tuple(labels)) for key, labels in sorted(needed.items())]
    return found
