"""Column lineage follows what the SQL does, also where a union matches its columns by name."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify

from kodomo_platform.orchestration.column_lineage import _align_unions_by_name

SCHEMA = {"a": {"k": "int", "x": "int"}, "b": {"y": "int", "k": "int"}, "c": {"x": "int", "k": "int"}}


def _leaves(column: str, query: exp.Query) -> set[str]:
    return {
        f"{step.expression.name}.{step.name.split('.')[-1].strip(chr(34))}"
        for step in lineage(column, query, SCHEMA, dialect="duckdb").walk()
        if isinstance(step.expression, exp.Table)
    }


def test_a_union_by_name_is_followed_by_name() -> None:
    text = "select k, max(x) as x, max(y) as y from (select * from a union all by name select * from b union all by name select * from c) group by k"
    query = qualify(sqlglot.parse_one(text, dialect="duckdb"), schema=SCHEMA, dialect="duckdb")
    assert isinstance(query, exp.Query)
    _align_unions_by_name(query)

    assert {name: _leaves(name, query) for name in ("k", "x", "y")} == {
        "k": {"a.k", "b.k", "c.k"},
        "x": {"a.x", "c.x"},
        "y": {"b.y"},
    }
