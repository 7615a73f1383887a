"""One time-line over all sectors: what the snapshot holds of a child, by month and source, with freshness per source."""

from __future__ import annotations

from typing import Any

from kodomo_platform.portal.desk import Desk
from kodomo_platform.portal.reading import readable

#: kinds of absence, as the marts name them
_KINDS = {
    "blank": ("欠損", "blank in the source"),
    "not_applicable": ("非該当", "does not apply"),
    "not_linked": ("未連携", "not linked"),
    "not_held": ("保有なし", "not held"),
    "before_start": ("導入前", "before the source began"),
    "unreadable": ("読み取れない値", "could not be read"),
    "left_out": ("除外の決定", "left out by decision"),
    "without_consent": ("同意なし", "without consent"),
}


def timeline(desk: Desk, child_id: str) -> list[dict[str, Any]]:
    """Facts of the child's features by source, the present ones first, then what is absent and how."""
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.scoring.themes import load_features

    facts = desk.register.facts(desk.actor, child_id)
    if not facts:
        return []
    english = desk.language == "en"
    sources = load_catalog().sources
    made: dict[str, dict[str, Any]] = {}
    for name, feature in load_features().items():
        status = facts.get(f"{name}__status")
        if status is None or not readable(desk.actor, feature.group):
            continue
        entry = made.setdefault(feature.group, {"source": feature.group, "facts": [], "absent": 0, "kinds": set()})
        value = facts.get(name)
        if status == "present" and value is not None:
            if value:
                entry["facts"].append(_told(feature, value, english))
        else:
            entry["absent"] += 1
            entry["kinds"].add(status)
    for entry in made.values():
        source = sources.get(entry["source"])
        label = entry["source"] if source is None else (source.label_en if english else source.label_ja)
        entry["label"] = label
        kinds = sorted(entry["kinds"])
        entry["kinds_label"] = "、".join(_KINDS.get(kind, (kind, kind))[english] for kind in kinds)
    return sorted(made.values(), key=lambda entry: (not entry["facts"], entry["source"]))


def _told(feature: Any, value: float, english: bool) -> str:
    label = feature.label_en if english else feature.label_ja
    if feature.format == "flag":
        return str(label)
    if feature.format == "level":
        levels = feature.levels_en if english else feature.levels_ja
        number = int(value)
        return f"{label}: {levels[number] if 0 <= number < len(levels) else number}"
    if feature.format == "percent":
        return f"{label}: {value * 100:.1f}%"
    shown = f"{value:.0f}" if feature.format == "int" else f"{value:.1f}"
    return f"{label}: {shown}{feature.unit if not english else ''}"
