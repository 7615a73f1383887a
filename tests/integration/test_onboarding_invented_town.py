"""An eighth municipality, invented, with formats that no pilot has: one file, no code, to a published snapshot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import duckdb

from kodomo_platform.settings import use_home
from tests.integration.command_line import kodomo

TOWN = Path(__file__).with_name("invented_town.yaml")
CODE = "139998"
LOADED_BY_DAGSTER = """
import dagster as dg, json
from kodomo_platform.definitions import defs
from kodomo_platform.orchestration.installation import dagster_instance_home
dagster_instance_home()
with dg.DagsterInstance.get() as instance:
    print(json.dumps([instance.get_dynamic_partitions("municipality"),
                      sorted(sensor.name for sensor in defs.sensors)]))
"""


def test_one_file_takes_a_town_with_its_own_formats_to_a_snapshot(home: Path) -> None:
    assert "誤りはありません" in kodomo(home, "municipality", "check", str(TOWN)).stdout
    added = json.loads(kodomo(home, "onboard", str(TOWN), "--json").stdout)
    assert added["code"] == CODE
    known = json.loads(kodomo(home, "municipality", "list", "--json").stdout)
    assert [one["name_ja"] for one in known if one["code"] == CODE] == ["架空みなと町"]

    said = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED_BY_DAGSTER],
        env=os.environ | {"KODOMO_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(said.stdout.splitlines()[-1]) == [
        [CODE],
        ["failed_runs", "lost_runs", "municipality_schedules", "new_extracts", "published_runs"],
    ]

    out = ("--out", str(home / "landing"), "--truth", str(home / "truth" / CODE))
    kodomo(home, "synth", "-m", CODE, "--children", "80", "--months", "14", *out)
    files = {path.name: path.read_bytes() for path in (home / "landing" / CODE / "2026-10-01").iterdir()}
    assert files["住基_20261001.tsv"].startswith(b"\xff\xfe"), "UTF-16"
    assert files["出欠_20261001.xlsx"].startswith(b"PK")
    assert {len(line) for line in files["GAKUREI000000000.dat"].split(b"\r\n")[1:10]} == {300}, "fixed width"

    report = json.loads(kodomo(home, "run", "-m", CODE, "--json").stdout)
    assert report["success"]
    kodomo(home, "snapshots", "verify", "-m", CODE)
    use_home(home)
    snapshot = home / "published" / CODE / "current"
    linked = dict(
        duckdb.sql(f"select source, count(distinct child_id) from '{snapshot}/crosswalk.parquet' group by 1").fetchall()
    )
    assert set(linked) == {
        "resident.register",
        "education.enrolment",
        "education.attendance",
        "education.health_room",
        "welfare.child_benefit",
    }
    children, readable = duckdb.sql(
        f"select count(*), count(birth_date) from '{snapshot}/child_register.parquet'"
    ).fetchall()[0]
    assert 78 <= children <= 85
    assert readable >= 0.9 * children, "era codes and UTF-16 are read"
    scored, absent = duckdb.sql(
        f"select count(*) filter (where determinable), count(*) from '{snapshot}/risk_scores.parquet'"
    ).fetchall()[0]
    assert scored > 0.7 * absent
