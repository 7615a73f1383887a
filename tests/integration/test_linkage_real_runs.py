"""Ids through real runs: two deliveries, Dagster and dbt between them; names, homes and sources change, ids do not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.linkage import link_records
from kodomo_platform.settings import use_home
from tests.integration.command_line import kodomo

CODE = "343021"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning"),
]


def register(warehouse: Path) -> dict[str, tuple[str, str, str]]:
    """Register record → (child id, surname, home) of the last run."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return {
            record: (child, surname, home)
            for record, child, surname, home in con.execute(
                "select c.source_record_id, c.child_id, i.surname_match, i.address_match from linkage.lnk_cluster as c "
                "join linkage.lnk_identity as i using (source, source_record_id) "
                "where c.source = 'resident.register' and c.child_id is not null"
            ).fetchall()
        }


def pupils(warehouse: Path) -> dict[str, str]:
    """Register record → child id of its record at school, where the number links the two."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return dict(
            con.execute(
                "select i.resident_number, c.child_id from linkage.lnk_cluster as c "
                "join linkage.lnk_identity as i using (source, source_record_id) "
                "where c.source = 'education.enrolment' and c.match_method = 'number'"
            ).fetchall()
        )


def test_an_id_survives_a_surname_change_a_move_and_a_new_source(tmp_path: Path) -> None:
    home = tmp_path / "home"
    use_home(home)
    landing, aside = home / "landing" / CODE, tmp_path / "aside"
    kodomo(
        home,
        *("synth", "--municipality", CODE, "--children", "250", "--months", "25", "--seed", "5", "--extracts", "13"),
        *("--out", str(home / "landing"), "--truth", str(home / "truth" / CODE)),
    )
    days = sorted(folder.name for folder in landing.iterdir())
    aside.mkdir()
    for day in days[1:]:
        shutil.move(landing / day, aside / day)
    kodomo(home, "run", "--municipality", CODE)
    warehouse = home / "warehouse" / f"{CODE}.duckdb"
    before, at_school_before = register(warehouse), pupils(warehouse)
    shutil.move(aside / days[-1], landing / days[-1])
    kodomo(home, "run", "--municipality", CODE)
    after = register(warehouse)
    both = before.keys() & after.keys()
    assert len(both) > 200
    surname = {record for record in both if before[record][1] != after[record][1]}
    moved = {record for record in both if before[record][2] != after[record][2]}
    assert surname
    assert moved
    # who changed name, home or both is the same child, at school too; every id that is gone is gone with a reason
    assert {record for record in both if before[record][0] != after[record][0]} == set()
    # who entered school in between has a new source, and keeps the id too
    at_school = pupils(warehouse)
    entered = (at_school.keys() - at_school_before.keys()) & both
    assert entered
    assert {record for record in at_school.keys() & both if at_school[record] != after[record][0]} == set()
    with duckdb.connect(str(warehouse)) as con:
        # the second run compared what was new and changed, and links as a full one would
        counted = dict(con.execute("select metric, value from linkage.lnk_run_count").fetchall())
        assert counted["records_compared_before"] > 0
        kept = con.execute("from linkage.lnk_edge order by pair_id").fetchall()
        con.execute("delete from linkage.lnk_memory_stamp")
        con.register("again", link_records(con))
        assert con.execute("from again order by pair_id").fetchall() == kept
    told = json.loads(kodomo(home, "linkage", "history", before[min(surname)][0], "--json").stdout)
    assert (told["status"], told["events"]) == ("active", [])
    assert {record["source"] for record in told["records"]} >= {"resident.register"}
