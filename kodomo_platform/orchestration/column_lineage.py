"""Column lineage of every dbt model: derived from SQL, stated for Python models.

Derived once from the compiled SQL (``kodomo setup``) and kept beside dbt's manifest, because reading some forty models
takes seconds and changes only with the code.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg

# dbt Python models cannot be parsed for columns: what each reads is stated here, and a test holds the names against the
# tables they build.
_EVIDENCE = (
    "resident_number",
    "name_match",
    "given_match",
    "surname_match",
    "alias_match",
    "former_surname_match",
    "kana_match",
    "given_kana_match",
    "birth_date",
    "sex",
    "address_town",
    "address_block",
    "phone_match",
    "guardian_match",
)
_GUARDIAN = [
    *[
        ("lnk_identity", item)
        for item in (
            "household_number",
            "relationship",
            "guardian_match",
            "guardian_kana_match",
            "name_match",
            "former_surname_match",
            "address_town",
            "address_block",
            "birth_date",
        )
    ],
    ("lnk_cluster", "child_id"),
]
_PYTHON_MODELS: dict[str, dict[str, list[tuple[str, str]]]] = {
    "lnk_edge": {
        **{
            column: [("lnk_identity", source)]
            for column, source in (
                ("left_source", "source"),
                ("left_record", "source_record_id"),
                ("right_source", "source"),
                ("right_record", "source_record_id"),
            )
        },
        **{
            column: [("lnk_identity", item) for item in _EVIDENCE]
            for column in ("probability", "weight", "kind", "outcome", "why", "evidence")
        },
    },
    "lnk_cluster": {
        "source": [("lnk_identity", "source")],
        "source_record_id": [("lnk_identity", "source_record_id")],
        "cluster_source": [("lnk_identity", "source"), ("lnk_edge", "outcome")],
        "cluster_record": [("lnk_identity", "source_record_id"), ("lnk_edge", "outcome")],
        "child_number": [("known_child_ids", "number")],
        "relationship": [("lnk_identity", "relationship")],
        "source_extract_date": [("lnk_identity", "_extract_date")],
        "child_id": [("lnk_edge", "outcome"), ("known_child_ids", "child_id")],
        "match_method": [("lnk_edge", "kind")],
        "match_probability": [("lnk_edge", "probability")],
        "household_id": [
            ("lnk_identity", item)
            for item in ("household_number", "guardian_match", "phone_match", "surname_match", "address_block")
        ],
        "source_file_sha256": [("lnk_identity", "_source_file_sha256")],
        "source_row_number": [("lnk_identity", "_row_number")],
    },
    "lnk_guardian": {
        "child_id": [("lnk_cluster", "child_id")],
        "guardian_id": _GUARDIAN,
        "basis": _GUARDIAN,
        "match": _GUARDIAN,
        "in_register": _GUARDIAN,
        "register_record": [("lnk_identity", "source_record_id"), *_GUARDIAN],
        "relationship": [("lnk_identity", "relationship")],
        "household_id": [("lnk_cluster", "household_id")],
        "lives_with_child": [("lnk_identity", "household_number"), ("lnk_identity", "left_on")],
        "named_by": [("lnk_identity", "guardian_match"), ("lnk_cluster", "child_id")],
        "sources": [("lnk_identity", "source"), ("lnk_identity", "guardian_match")],
    },
}


def python_models() -> dict[str, dict[str, list[tuple[str, str]]]]:
    """Stated lineage of the Python models; a column of an edge not named above rests on all the evidence."""
    from kodomo_platform.linkage.engine import EDGE_COLUMNS

    evidence = [("lnk_identity", item) for item in _EVIDENCE]
    edge = dict.fromkeys(EDGE_COLUMNS, evidence) | _PYTHON_MODELS["lnk_edge"]
    return _PYTHON_MODELS | {"lnk_edge": edge}


def _path() -> Path:
    from kodomo_platform.orchestration.dbt import MANIFEST

    return MANIFEST.with_name("column_lineage.json")


def _table_name(props: dict[str, Any]) -> str:
    return str(props["name"])


def _source_columns() -> dict[str, Any]:
    """Schema → table → column → type of everything dbt reads but does not build, asked of an empty warehouse."""
    from datetime import date

    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.extracts import create_raw_tables
    from kodomo_platform.municipalities import load_each, load_municipality, municipality_codes, write_configuration
    from kodomo_platform.warehouse import connect, create_schemas

    con = connect(":memory:")
    create_schemas(con)
    # any will do, for the tables' shapes; without one that can be used, the error of the first says why
    usable, _ = load_each()
    municipality = next(iter(usable.values()), None) or load_municipality(municipality_codes()[0])
    write_configuration(con, municipality, load_catalog(), date(2000, 1, 1))
    create_raw_tables(con, load_catalog())
    schema: dict[str, Any] = {}
    for table_schema, table, column, type_ in con.execute(
        "select table_schema, table_name, column_name, data_type from information_schema.columns"
    ).fetchall():
        schema.setdefault(table_schema, {}).setdefault(table, {})[column] = type_
    con.close()
    return schema


def derive(manifest: dict[str, Any]) -> dict[str, dict[str, list[list[str]]]]:
    """Lineage of each SQL model: table → column → [[upstream table, upstream column], …].

    ``manifest`` is dbt's, with compiled code. Columns come from each model's contract.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError
    from sqlglot.lineage import lineage as trace
    from sqlglot.optimizer.qualify import qualify
    from sqlglot.optimizer.scope import build_scope

    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    schema = _source_columns()
    for table, stated in python_models().items():
        schema.setdefault("linkage", {})[table] = dict.fromkeys(stated, "varchar")
    for props in nodes.values():
        columns = {name: column.get("data_type") or "varchar" for name, column in props["columns"].items()}
        if columns:
            schema.setdefault(props["schema"], {})[props["name"]] = columns
    result: dict[str, dict[str, list[list[str]]]] = {}
    for node in _in_order(nodes):
        if node["language"] != "sql" or not node.get("compiled_code"):
            continue
        parsed = sqlglot.parse_one(node["compiled_code"], dialect="duckdb")
        for read in parsed.find_all(exp.Table):
            read.set("catalog", None)
        try:
            qualified = qualify(parsed, schema=schema, dialect="duckdb", validate_qualify_columns=False)
        except SqlglotError as error:
            raise RuntimeError(f"no column lineage for {node['name']}: {error}") from error
        if not isinstance(qualified, exp.Query):
            raise RuntimeError(f"no column lineage for {node['name']}: it is not a query")
        _align_unions_by_name(qualified)
        names = [str(name) for name in qualified.named_selects]
        # a model without a contract: the columns of its last select
        schema.setdefault(node["schema"], {}).setdefault(node["name"], dict.fromkeys(names, "varchar"))
        scope = build_scope(qualified)
        traced: dict[str, list[list[str]]] = {}
        for column in names:
            # the scope is built once per model: left to itself, sqlglot would read the whole model again per column
            root = trace(column, qualified, schema, dialect="duckdb", scope=scope, trim_selects=False, copy=False)
            leaves = {
                (step.expression.name, step.name.split(".")[-1].strip('"'))
                for step in root.walk()
                if isinstance(step.expression, exp.Table) and not step.downstream
            }
            traced[column] = sorted([table, name] for table, name in leaves)
        result[_table_name(node)] = traced
    return result


def _align_unions_by_name(query: Any) -> None:
    """Give every branch of a ``union all by name`` all columns in one order, those it lacks as null.

    sqlglot follows a column through a union by its place, and finds none that the first branch lacks.
    """
    from sqlglot import exp

    for union in [one for one in query.find_all(exp.SetOperation) if one.args.get("by_name")]:
        if union.parent is not None and isinstance(union.parent, exp.SetOperation) and union.parent.args.get("by_name"):
            continue  # the outermost one speaks for those inside
        branches = _branches(union)
        names = list(dict.fromkeys(name for branch in branches for name in branch.named_selects))
        for branch in branches:
            known = {selected.alias_or_name: selected for selected in branch.selects}
            branch.set("expressions", [known.get(name) or exp.alias_(exp.null(), name, quoted=True) for name in names])


def _branches(query: Any) -> list[Any]:
    """The selects of a union, from left to right; each union on the way is one by place from now on."""
    from sqlglot import exp

    if isinstance(query, exp.SetOperation):
        query.set("by_name", False)
        return [*_branches(query.left), *_branches(query.right)]
    return [query.unnest()] if isinstance(query, exp.Subquery) else [query]


def _in_order(nodes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The models, each after those it reads."""
    from graphlib import TopologicalSorter

    graph = {key: [name for name in node["depends_on"]["nodes"] if name in nodes] for key, node in nodes.items()}
    return [nodes[key] for key in TopologicalSorter(graph).static_order()]


def write(manifest: dict[str, Any]) -> Path:
    """Derive and keep the lineage beside the manifest."""
    path = _path()
    document = derive(manifest)
    for table, columns in python_models().items():
        document[table] = {column: [list(upstream) for upstream in deps] for column, deps in columns.items()}
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
