"""One town through its whole chain: a warehouse that is thrown away, a ground that ends, a child who withdraws."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.governance import forgetting, sheets
from kodomo_platform.governance.scanning import scan
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act
from kodomo_platform.settings import get_settings, use_home
from kodomo_platform.shelf import current_snapshot, snapshots
from tests.integration.command_line import kodomo

pytestmark = pytest.mark.slow
CODE = "172065"
ITEM = "education.attendance.absent_days"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("governed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KODOMO_HOME", str(path))
        use_home(None)
        kodomo(
            path,
            *("synth", "--municipality", CODE, "--children", "80", "--months", "12", "--seed", "5"),
            *("--out", str(path / "landing"), "--truth", str(path / "truth" / CODE)),
        )
        kodomo(path, "run", "--municipality", CODE)
        yield path
        operations.close()
    use_home(None)


def kept() -> dict[str, int]:
    """What no run could make again, as the warehouse has it."""
    counts = {}
    with duckdb.connect(str(get_settings().warehouse(CODE)), read_only=True) as con:
        for table in ("quality.results", "linkage.lnk_metric_history", "quality.correction_entry"):
            run = "run_id" if table != "quality.correction_entry" else "entry"
            counts[table] = len(con.execute(f"select distinct {run} from {table}").fetchall())
    return counts


def test_a_warehouse_that_is_thrown_away_loses_nothing(home: Path) -> None:
    kodomo(home, "quality", "sheets", "--municipality", CODE)
    before, ids = kept(), operations.known_child_ids(CODE)
    shutil.rmtree(get_settings().warehouse_dir)
    operations.close()
    kodomo(home, "run", "--municipality", CODE)
    after = kept()
    assert after["quality.results"] == before["quality.results"] + 1  # the run in between is one more
    assert after["linkage.lnk_metric_history"] == before["linkage.lnk_metric_history"] + 1
    assert after["quality.correction_entry"] >= before["quality.correction_entry"]
    assert operations.known_child_ids(CODE).equals(ids)
    assert operations.audit_verify().sound


def test_a_withdrawn_ground_closes_its_column_from_raw_to_reasons(home: Path) -> None:
    def reasons() -> str:
        with duckdb.connect(":memory:") as con:
            file = str(current_snapshot(CODE).file("child_features"))
            row = con.execute(
                "select count(*) filter (where absent_rate_3m is not null) from read_parquet(?)", [file]
            ).fetchone()
        assert row is not None
        return str(row[0])

    assert reasons() != "0"
    start = dt.date.today() - dt.timedelta(10)
    sheets.propose(
        load_municipality(CODE), "s", [ITEM], Act("author", "why", "governance"), kind="law", valid_from=start,
        valid_until=start + dt.timedelta(400), on=start,
    )  # fmt: skip
    sheets.withdraw(CODE, "s", Act("overseer", "no longer needed", "governance"))
    operations.close()
    kodomo(home, "run", "--municipality", CODE)
    with duckdb.connect(str(get_settings().warehouse(CODE)), read_only=True) as con:
        raw = con.execute("select count(absent_days) from raw.raw_education__attendance").fetchone()
        closed = con.execute("select item, why from cfg.closed_item").fetchall()
    assert raw == (0,)
    assert closed == [(ITEM, "ground_withdrawn")]
    assert reasons() == "0"
    checked = kodomo(home, "--lang", "en", "governance", "grounds", "check", "-m", CODE, check=False)
    assert checked.returncode == 1
    assert ITEM in checked.stdout


def test_one_run_after_a_withdrawal_nothing_is_found(home: Path) -> None:
    with duckdb.connect(":memory:") as con:
        row = con.execute(
            "select child_id from read_parquet(?) where contains(sources::varchar, 'education.enrolment') order by 1 limit 1",
            [str(current_snapshot(CODE).file("child_register"))],
        ).fetchone()
    assert row is not None
    target = forgetting.target_of(CODE, row[0])
    wanted = target.values - target.child_ids
    assert {"landing", "archive", "warehouse", "published"} <= scan(home, wanted).keys()
    operations.close()
    done = kodomo(
        home, "forget", "-m", CODE, "--child", row[0], "--by", "office", "--reason", "request 1", "--json", check=False
    )
    receipt = json.loads(done.stdout)
    assert set(receipt["after"].values()) == {0}
    operations.close()
    kodomo(home, "run", "--municipality", CODE)
    operations.close()
    assert scan(home, wanted) == {}
    for snapshot in snapshots(CODE):
        with duckdb.connect(":memory:") as con:
            count = con.execute(
                "select count(*) from read_parquet(?) where child_id = ?", [str(snapshot.file("risk_scores")), row[0]]
            ).fetchone()
        assert count == (0,)
    assert operations.audit_verify().sound
