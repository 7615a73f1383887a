"""The whole dbt project over a warehouse without a single row: every model builds, every rule's unit test holds."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path

import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.extracts import create_raw_tables
from kodomo_platform.linkage import load_known_ids
from kodomo_platform.municipalities import load_municipality, write_configuration
from kodomo_platform.operations import migrate
from kodomo_platform.warehouse import connect, create_schemas

PROJECT = Path(__file__).parents[2] / "dbt_project"
CODE = "112241"


@pytest.fixture
def built(home: Path) -> list[dict[str, object]]:
    """Results of one ``dbt build``, unit tests included."""
    migrate()
    warehouse = home / "empty.duckdb"
    con = connect(warehouse)
    create_schemas(con)
    create_raw_tables(con, load_catalog())
    write_configuration(con, load_municipality(CODE), load_catalog(), dt.date(2026, 10, 1))
    load_known_ids(con, CODE)
    con.close()
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "build", "--profiles-dir", "."),
            *("--target-path", str(home / "target"), "--log-path", str(home / "logs")),
            *("--vars", json.dumps({"warehouse": str(warehouse)})),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    results: list[dict[str, object]] = json.loads((home / "target" / "run_results.json").read_text())["results"]
    assert done.returncode == 0, "\n".join(
        f"{result['unique_id']}: {result['message']}"
        for result in results
        if result["status"] in ("error", "fail", "runtime error")
    )
    return results


def test_an_empty_municipality_builds_and_every_unit_test_holds(built: list[dict[str, object]]) -> None:
    by_kind: dict[str, set[str]] = {}
    for result in built:
        kind, _, name = str(result["unique_id"]).split(".", 2)
        by_kind.setdefault(kind, set()).add(name)
    sources = {source.staging_table for source in load_catalog().sources.values()}
    assert sources <= by_kind["model"]
    tested = {name.split(".")[0] for name in by_kind["unit_test"]}
    assert sources <= tested, "every cleansing model has a unit test beside it"
    assert {"mart_child", "mart_child_event", "mart_child_features", "mart_training_features", "mart_outcome"} <= tested
