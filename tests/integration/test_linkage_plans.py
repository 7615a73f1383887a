"""No step of linkage is a nested loop over records: one `or` in a join took a minute at 200,000 records, twice."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pytest

from kodomo_platform.linkage import link_guardians, link_records, name_clusters
from tests.integration import linked_town as town

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
_LOOPS = re.compile(r"NESTED_LOOP_JOIN|BLOCKWISE_NL_JOIN|IE_JOIN|PIECEWISE_MERGE_JOIN")
_WORK = re.compile(r"^\s*(insert|with|select|create (or replace )?(temp )?table .* as )", re.IGNORECASE | re.DOTALL)


class Explained:
    """A connection that keeps the plan of every statement before it runs it."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        self.plans: dict[str, str] = {}

    def execute(self, sql: str, *arguments: Any) -> Any:
        if not arguments and _WORK.match(sql) and ";" not in sql:
            self.plans[sql] = "\n".join(row[1] for row in self._con.execute("explain " + sql).fetchall())
        return self._con.execute(sql, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def loops(self) -> list[str]:
        return [sql for sql, plan in self.plans.items() if _LOOPS.search(plan)]


def test_a_loop_would_be_seen(con: duckdb.DuckDBPyConnection) -> None:
    town.write_identity(con, town.people(10))
    seen: Any = Explained(con)
    seen.execute(
        "select count(*) from linkage.lnk_identity as l join linkage.lnk_identity as r "
        "on l.name_match = r.name_match or l.kana_match = r.kana_match"
    )
    assert len(seen.loops()) == 1


def test_no_step_is_a_nested_loop(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    import splink

    api = splink.DuckDBAPI
    monkeypatch.setattr(splink, "DuckDBAPI", lambda seen: api(seen._con))  # it asks for DuckDB's own
    bare = {"address_block": None, "address_town": None, "phone_match": None}
    rows = [row | bare if row["source"] == town.HOSPITAL else row for row in town.people(60)]
    twin = town.identity(town.REGISTER, "900000", 7, household_number="H7")
    head = town.identity(town.REGISTER, "a1", 3, birth_date=None, household_number="H3", relationship="head")
    town.write_identity(con, [*rows, twin, head])
    seen: Any = Explained(con)
    for name, step in (("lnk_edge", link_records), ("lnk_cluster", name_clusters), ("lnk_guardian", link_guardians)):
        con.register("made", step(seen))
        con.execute(f"create or replace table linkage.{name} as from made")
        con.unregister("made")
    steps = "\n".join(seen.plans)
    for told in (
        "register_return",
        "'exact'",
        "'number'",
        "lnk_pair_memory",
        "lnk_candidate",
        "lnk_owner",
        "living_with",
    ):
        assert told in steps
    for sql in seen.loops():
        print(sql, seen.plans[sql])
    assert seen.loops() == []
