"""One municipality through the whole house: landing files to published snapshot, through real Dagster and dbt."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.settings import use_home
from tests.integration.command_line import KODOMO, kodomo
from tests.security.personal_values import find_personal_values, values_of_snapshot

CODE = "343021"
CONTRACT = {
    "crosswalk.parquet",
    "child_register.parquet",
    "child_features.parquet",
    "risk_scores.parquet",
    "quality_results.parquet",
    "rejects.parquet",
    "manifest.json",
}


def current(home: Path) -> Path:
    return (home / "published" / CODE / "current").resolve()


def scores_without_run_ids(snapshot: Path) -> str:
    """Hash of every score row but for the ids of the runs that made it."""
    rows = duckdb.sql(
        f"select * exclude (dagster_run_id, mlflow_run_id) from '{snapshot}/risk_scores.parquet' order by all"
    ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which one municipality has been taken from twins to a published snapshot."""
    home = tmp_path_factory.mktemp("end-to-end")
    use_home(home)
    kodomo(
        home,
        *("synth", "--municipality", CODE, "--children", "200", "--months", "14", "--seed", "7"),
        *("--quality", "typical", "--out", str(home / "landing"), "--truth", str(home / "truth" / CODE)),
    )
    kodomo(home, "run", "--municipality", CODE)
    return home


def test_the_snapshot_keeps_the_contract(finished: Path) -> None:
    snapshot = current(finished)
    assert {path.name for path in snapshot.iterdir()} >= CONTRACT
    manifest = json.loads((snapshot / "manifest.json").read_text())
    assert manifest["municipality"] == CODE
    scores = duckdb.sql(f"select * from '{snapshot}/risk_scores.parquet'")
    wanted = [
        "child_id",
        "theme",
        "as_of_date",
        "score",
        "score_low",
        "score_high",
        "rank",
        "band",
        "alert",
        "determinable",
        "undetermined_reason",
        "reasons",
        "rule_hits",
        "score_version",
        "model_name",
        "model_version",
        "mlflow_run_id",
        "dagster_run_id",
        "feature_hash",
        "criteria_hash",
        "code_version",
    ]
    assert set(wanted) <= set(scores.columns)
    assert scores.shape[0] > 100
    kodomo(finished, "snapshots", "verify", "--municipality", CODE)


def test_without_an_approved_model_criteria_alone_score_and_say_so(finished: Path) -> None:
    models = duckdb.sql(f"select distinct model_name from '{current(finished)}/risk_scores.parquet'").fetchall()
    assert models == [("criteria",)]


def test_running_twice_gives_byte_identical_scores_and_publishes_nothing_twice(finished: Path, tmp_path: Path) -> None:
    before = current(finished)
    # all that can be recomputed is thrown away first: the second run starts from the landing files
    (finished / "warehouse" / f"{CODE}.duckdb").unlink()
    kodomo(finished, "run", "--municipality", CODE)
    versions = [path for path in before.parent.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert versions == [before]
    with duckdb.connect(str(finished / "warehouse" / f"{CODE}.duckdb"), read_only=True) as con:
        columns = [
            name
            for name, *_ in con.execute(f"describe select * from '{before}/risk_scores.parquet'").fetchall()
            if name not in ("dagster_run_id", "mlflow_run_id")
        ]
        files = []
        for name, table in (("first", f"'{before}/risk_scores.parquet'"), ("second", "marts.risk_scores")):
            files.append(tmp_path / f"{name}.parquet")
            rows = f"select {', '.join(columns)} from {table} order by theme, rank"
            con.execute(f"copy ({rows}) to '{files[-1]}' (format parquet)")
    assert len(columns) >= 19
    assert files[0].read_bytes() == files[1].read_bytes()


def test_lineage_answers_why_this_child(finished: Path) -> None:
    snapshot = current(finished)
    child, theme = duckdb.sql(
        f"select child_id, theme from '{snapshot}/risk_scores.parquet' order by rank, child_id limit 1"
    ).fetchone()  # type: ignore[misc]
    done = kodomo(finished, "lineage", "--municipality", CODE, "--child", child, "--theme", theme, "--json")
    tree = json.dumps(json.loads(done.stdout), ensure_ascii=False)
    files = {path.name for path in (finished / "landing" / CODE).rglob("*") if path.is_file()}
    assert any(name in tree for name in files), "the walk ends at a landing file"
    assert "法" in tree, "the walk names the law"


def test_two_runs_of_one_municipality_never_overlap(finished: Path) -> None:
    environment = os.environ | {"KODOMO_HOME": str(finished)}
    together = [
        subprocess.Popen(
            [*KODOMO, "run", "--municipality", CODE],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=420)[0] for process in together]
    codes = sorted(process.returncode for process in together)
    assert codes == [0, 1], outputs
    assert any(f"自治体 {CODE} の別の実行が進んでいます" in text for text in outputs)


def test_a_broken_extract_publishes_nothing_and_leaves_the_last_good_snapshot(finished: Path) -> None:
    before = current(finished)
    landed = finished / "landing" / CODE / "2026-10-08"
    landed.mkdir(parents=True)
    latest = sorted(path for path in (finished / "landing" / CODE).iterdir() if path != landed)[-1]
    register = next(path for path in latest.iterdir() if path.is_file() and not path.name.startswith("."))
    (landed / register.name).write_bytes(b"")
    (landed / ".done").touch()
    try:
        done = kodomo(finished, "run", "--municipality", CODE, check=False)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert current(finished) == before
    finally:
        for path in landed.iterdir():
            path.unlink()
        landed.rmdir()


@pytest.mark.slow
def test_a_critical_fault_blocks_the_publication_and_the_corrected_extract_releases_it(finished: Path) -> None:
    import csv

    from kodomo_platform.municipalities import load_municipality

    before = current(finished)
    config = load_municipality(CODE).by_source["education.enrolment"]
    column = config.by_item["student_number"].column
    good = max((finished / "landing" / CODE).glob(f"*/{config.file.pattern}"))
    with good.open(encoding=config.file.encoding, newline="") as stream:
        titles = [next(stream) for _ in range(config.file.skip_rows)]
        rows = list(csv.reader(stream, delimiter=config.delimiter))
    place = rows[0].index(str(column))
    landed = finished / "landing" / CODE / "2026-10-15"
    landed.mkdir(parents=True)
    name = good.name.replace("20261001", "20261015")

    def deliver(records: list[list[str]]) -> subprocess.CompletedProcess[str]:
        with (landed / name).open("w", encoding=config.file.encoding, newline="") as out:
            out.writelines(titles)
            csv.writer(out, delimiter=config.delimiter, lineterminator="\r\n").writerows(records)
        (landed / ".done").touch()
        return kodomo(finished, "run", "--municipality", CODE, check=False)

    try:
        # every second pupil lost the number by which all else is linked: critical, and nothing of it may be published
        blocked = deliver(
            [["" if at == place and n % 2 else cell for at, cell in enumerate(row)] for n, row in enumerate(rows)]
        )
        assert blocked.returncode == 1
        assert "Traceback" not in blocked.stderr
        # what the night shift reads: which check, which column, how many rows, whose it is; not the framework's words
        assert "「児童生徒番号」が5%を超えて空でないこと" in blocked.stderr
        assert "教育委員会学務課" in blocked.stderr
        assert "Dagster" not in blocked.stderr
        assert current(finished) == before
        failed = json.loads(kodomo(finished, "quality", "show", "--municipality", CODE, "--json").stdout)
        critical = {one["expectation_id"] for one in failed if one["severity"] == "critical"}
        assert critical == {"raw.raw_education__enrolment:student_number.key_present"}
        report = max((finished / "reports" / CODE).glob("quality_*.html"), key=lambda file: file.stat().st_mtime)
        assert "重大な不備が1件" in report.read_text(encoding="utf-8"), (
            "who looks is told first that nothing is published"
        )

        released = deliver(rows)
        assert released.returncode == 0, released.stdout + released.stderr
        assert current(finished) != before
        assert (
            json.loads((current(finished) / "manifest.json").read_text(encoding="utf-8"))["as_of_date"] >= "2026-10-15"
        )
        runs = kodomo(finished, "quality", "show", "--municipality", CODE).stdout
        assert "student_number.key_present" not in runs
    finally:
        for path in landed.iterdir():
            path.unlink()
        landed.rmdir()


def test_names_and_numbers_stay_in_the_identity_zone(finished: Path) -> None:
    values = values_of_snapshot(current(finished))
    assert len(values) > 400
    # by place alone: which value it was must not stand in a log
    assert sorted({found.where for found in find_personal_values(finished, values)}) == []


def state(home: Path) -> dict[str, object]:
    """What a home holds of the town, but for run ids and times: rows loaded, links, scores."""
    with duckdb.connect(str(home / "warehouse" / f"{CODE}.duckdb"), read_only=True) as con:
        loaded = con.execute(
            "select source, extract_date, file_name, sha256, rows_loaded, active from raw.files order by all"
        ).fetchall()
        tables = [
            name
            for (name,) in con.execute(
                "select table_name from duckdb_tables() where schema_name = 'raw' and starts_with(table_name, 'raw_') order by 1"
            ).fetchall()
        ]
        raw = {
            table: con.execute(
                f"select count(*), count(distinct (_extract_date, _source_file_sha256, _row_number)) from raw.{table}"
            ).fetchone()
            for table in tables
        }
    snapshot = current(home)
    links = duckdb.sql(f"select * from '{snapshot}/crosswalk.parquet' order by all").fetchall()
    register = duckdb.sql(f"select * from '{snapshot}/child_register.parquet' order by all").fetchall()
    hashed = [hashlib.sha256(repr(rows).encode()).hexdigest() for rows in (links, register)]
    return {"files": loaded, "raw": raw, "links": hashed, "scores": scores_without_run_ids(snapshot)}


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_at_ten_random_moments_nothing_is_doubled_or_lost(tmp_path: Path) -> None:
    killed, undisturbed, later = tmp_path / "killed", tmp_path / "undisturbed", tmp_path / "later"
    kodomo(
        killed,
        *("synth", "--municipality", CODE, "--children", "120", "--months", "14", "--seed", "7", "--extracts", "2"),
        *("--out", str(killed / "landing"), "--truth", str(tmp_path / "truth")),
    )
    folders = sorted(path for path in (killed / "landing" / CODE).iterdir() if path.is_dir())
    assert len(folders) == 2
    folders[1].rename(later)
    kodomo(killed, "run", "--municipality", CODE)
    shutil.copytree(killed, undisturbed, symlinks=True)
    for home in (killed, undisturbed):
        shutil.copytree(later, home / "landing" / CODE / folders[1].name)
    first = current(killed)
    started = time.monotonic()
    kodomo(undisturbed, "run", "--municipality", CODE)
    whole = time.monotonic() - started
    moments = random.Random(11)
    ended_by_itself = 0
    for _ in range(10):
        process = subprocess.Popen(
            [*KODOMO, "run", "--municipality", CODE],
            env=os.environ | {"KODOMO_HOME": str(killed)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(moments.uniform(0.02, 1.0) * whole)
        ended_by_itself += process.poll() is not None
        os.killpg(process.pid, signal.SIGKILL) if process.poll() is None else None
        process.wait()
        kodomo(killed, "snapshots", "verify", "--municipality", CODE)
        if not ended_by_itself and current(killed) != first:
            # killed after publishing: what is current is whole and the same
            assert scores_without_run_ids(current(killed)) == scores_without_run_ids(current(undisturbed))
    assert ended_by_itself <= 5, "the moments lie within the run"
    kodomo(killed, "run", "--municipality", CODE)
    assert state(killed) == state(undisturbed)
    assert {path.name for path in current(killed).parent.parent.iterdir() if path.is_dir()} >= {folders[1].name}
    assert not [path for path in (killed / "published").rglob(".*") if path.name != ".done"]
