"""One dbt model of plain SQL run on a connection, without dbt: seconds instead of a build, for rules with many cases."""

from __future__ import annotations

from pathlib import Path

import duckdb
import jinja2

MODELS = Path(__file__).parents[2] / "dbt_project" / "models"
MACROS = MODELS.parent / "macros"
_SCHEMAS = {"stg": "staging", "lnk": "linkage", "mart": "marts"}


def build(con: duckdb.DuckDBPyConnection, model: str) -> None:
    """Create ``model``'s table from its SQL; its refs and sources must be there."""
    path = next(MODELS.glob(f"*/{model}.sql"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([MACROS, path.parent]),
        extensions=["jinja2.ext.do"],
        undefined=jinja2.StrictUndefined,
    )

    def ref(name: str) -> str:
        return f"{_SCHEMAS[name.partition('_')[0]]}.{name}"

    environment.globals |= {
        "ref": ref,
        "source": lambda schema, name: f"{schema}.{name}",
        "config": lambda **_: "",
    }
    schema = _SCHEMAS[model.partition("_")[0]]
    con.execute(f"create schema if not exists {schema}")
    con.execute(f"create or replace table {schema}.{model} as " + environment.from_string(path.read_text()).render())
