"""The JSON Schema of a municipality's file, for editors. ``schema.json`` is the shipped copy; a test keeps it so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.municipalities.presets import preset_names

SHIPPED = Path(__file__).parent / "schema.json"


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) with descriptions, and the catalogue's sources, items and codes as completions."""
    catalog = load_catalog()
    schema = Municipality.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "kodomo-platform municipality"
    definitions = schema["$defs"]
    definitions["SourceConfig"]["properties"]["source"]["enum"] = list(catalog.sources)
    definitions["SourceConfig"]["properties"]["preset"]["anyOf"][0]["enum"] = preset_names()
    # with a preset, source, file's format and columns are the preset's
    definitions["SourceConfig"]["required"] = ["holder", "file"]
    definitions["FileFormat"]["required"] = ["pattern"]
    definitions["AbsenceDecision"]["properties"]["item"]["enum"] = list(catalog.items)
    definitions["Column"]["properties"]["item"]["enum"] = sorted({item.name for item in catalog.items.values()})
    domains = sorted({source.domain for source in catalog.sources.values()})
    definitions["Governance"]["properties"]["grounds"]["propertyNames"] = {
        "enum": [*domains, *catalog.sources, *catalog.items]
    }
    # each source offers its own items and codes
    definitions["SourceConfig"]["allOf"] = [
        {
            "if": {"properties": {"source": {"const": source.key}}, "required": ["source"]},
            "then": {
                "properties": {
                    "columns": {"items": {"properties": {"item": {"enum": [item.name for item in source.items]}}}},
                    "code_maps": {
                        "properties": {
                            item.name: {"additionalProperties": {"enum": list(item.codes)}}
                            for item in source.items
                            if item.codes
                        },
                        "additionalProperties": False,
                    },
                }
            },
        }
        for source in catalog.sources.values()
    ]
    return schema


def schema_text() -> str:
    """The schema as it is shipped."""
    return json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"
