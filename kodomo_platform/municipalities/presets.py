"""National layouts shipped as presets: a source that names one says only what is its own.

``presets/<name>.yaml`` holds the layout, where it is from and whether it was compared with the official one. What a
municipality's file says itself wins; its columns stand beside the preset's, item by item.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from kodomo_platform.located_yaml import read_yaml

FOLDER = Path(__file__).parent / "presets"


def preset_names() -> list[str]:
    """Names of the shipped presets, sorted."""
    return sorted(file.stem for file in FOLDER.glob("*.yaml"))


@lru_cache(maxsize=64)
def read_preset(name: str) -> dict[str, Any]:
    """A preset's content: ``label_ja``, ``status`` (verified or unverified), ``layout``, ``source``, ``config``."""
    data = read_yaml(FOLDER / f"{name}.yaml").data
    if not isinstance(data, dict):
        raise ValueError(f"the preset {name} is no mapping")
    return data


def expand(data: Any) -> Any:
    """A municipality's data with every preset written out; a preset that is not known stays a name.

    Columns of the municipality keep their places in the list, so that a fault in one still has its line.
    """
    if not isinstance(data, dict) or not isinstance(data.get("sources"), list):
        return data
    known = preset_names()
    return {
        **data,
        "sources": [
            _merged(source, read_preset(source["preset"]))
            if isinstance(source, dict) and source.get("preset") in known
            else source
            for source in data["sources"]
        ],
    }


def _merged(source: dict[str, Any], preset: dict[str, Any]) -> dict[str, Any]:
    config = preset["config"]
    merged = {"source": preset["source"], **config, **source}
    for key in ("file", "code_maps"):
        if isinstance(source.get(key), dict):
            merged[key] = {**config.get(key, {}), **source[key]}
    own = source.get("columns")
    own = own if isinstance(own, list) else []
    items = {str(column.get("item")) for column in own if isinstance(column, dict)}
    merged["columns"] = [*own, *(column for column in config["columns"] if column["item"] not in items)]
    return merged
