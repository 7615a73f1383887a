"""Column lineage of every dbt model: derived from SQL, stated for Python models.

Derived once from the compiled SQL (``kodomo setup``) and kept beside dbt's manifest, because reading some forty models
takes seconds and changes only with the code.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

# dbt Python models cannot be parsed for columns: their lineage is stated here and held against the contract by a test.
_CROSSWALK_INPUTS = {
    "source": ["source"],
    "source_record_id": ["source_record_id"],
    "child_id": [
        "resident_number",
        "name_match",
        "given_match",
        "kana_match",
        "given_kana_match",
        "birth_date",
        "sex",
        "address_match",
        "phone_match",
        "guardian_match",
    ],
    "match_method": ["resident_number", "name_match", "kana_match", "birth_date", "sex"],
    "match_probability": ["name_match", "kana_match", "birth_date", "sex", "address_match", "phone_match"],
    "source_file_sha256": ["_source_file_sha256"],
    "source_row_number": ["_row_number"],
}


def _path() -> Path:
    from kodomo_platform.orchestration.dbt import MANIFEST

    return MANIFEST.with_name("column_lineage.json")


def _table_name(props: dict[str, Any]) -> str:
    return str(props["name"])


def derive(manifest: dict[str, Any]) -> dict[str, dict[str, list[list[str]]]]:
    """Lineage of each SQL model: table → column → [[upstream table, upstream column], …].

    ``manifest`` is dbt's, with compiled code. Columns come from each model's contract.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.lineage import lineage as trace
    from sqlglot.optimizer.qualify import qualify

    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    sources = manifest["sources"]
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for props in [*nodes.values(), *sources.values()]:
        columns = {name: column.get("data_type") or "varchar" for name, column in props["columns"].items()}
        schema.setdefault(props["schema"], {})[props["name"]] = columns
    result: dict[str, dict[str, list[list[str]]]] = {}
    for node in nodes.values():
        if node["language"] != "sql" or not node.get("compiled_code"):
            continue
        parsed = sqlglot.parse_one(node["compiled_code"], dialect="duckdb")
        for table in parsed.find_all(exp.Table):
            table.set("catalog", None)
        qualified = qualify(parsed, schema=schema, dialect="duckdb", validate_qualify_columns=False)
        columns = {}
        for column in node["columns"]:
            try:
                root = trace(column, qualified, schema=schema, dialect="duckdb")
            except Exception:  # noqa: BLE001 - one column that sqlglot cannot follow must not hide the others
                continue
            leaves = set()
            for step in root.walk():
                if isinstance(step.expression, exp.Table) and not step.downstream:
                    leaves.add((step.expression.name, step.name.split(".")[-1].strip('"')))
            columns[column] = sorted([table, name] for table, name in leaves)
        result[_table_name(node)] = columns
    return result


def write(manifest: dict[str, Any]) -> Path:
    """Derive and keep the lineage beside the manifest."""
    path = _path()
    document = derive(manifest)
    document["lnk_crosswalk"] = {
        column: [["lnk_identity", upstream] for upstream in upstreams]
        for column, upstreams in _CROSSWALK_INPUTS.items()
    }
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(path)
    return path


@lru_cache(maxsize=1)
def lineage_document() -> dict[str, dict[str, list[list[str]]]]:
    """Table → column → upstream columns, as kept by `write`; empty when it was never written."""
    path = _path()
    if not path.exists():
        return {}
    loaded: dict[str, dict[str, list[list[str]]]] = json.loads(path.read_text(encoding="utf-8"))
    return loaded


@lru_cache(maxsize=1)
def column_lineage() -> dict[str, dg.TableColumnLineage]:
    """The lineage as Dagster shows it."""
    return {
        table: dg.TableColumnLineage(
            {
                column: [
                    dg.TableColumnDep(asset_key=dg.AssetKey(upstream), column_name=name) for upstream, name in deps
                ]
                for column, deps in columns.items()
            }
        )
        for table, columns in lineage_document().items()
    }
