"""What `publish` writes, what it refuses, and what `verify` finds."""

from __future__ import annotations

import errno
import json
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.errors import ConfigurationError, PublishingError
from kodomo_platform.publishing import publish
from kodomo_platform.publishing import snapshot as writing
from kodomo_platform.shelf import Snapshot, current_snapshot, snapshots, verify
from tests.unit.publishing.handmade import AS_OF, CODE, NAME, RUN, Town, fill


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        fill(connection)
        yield connection
    operations.close()


def _publish(con: duckdb.DuckDBPyConnection, run_id: str = RUN, as_of: date = AS_OF) -> Snapshot:
    return publish(con, Town(), as_of, dagster_run_id=run_id, code_version="abc123", lineage={"mart_child": {}})


def test_the_contract_is_kept(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    snapshot = _publish(con)
    assert snapshot.path == home / "published" / CODE / "2026-10-01" / snapshot.version
    assert (snapshot.created, snapshot.is_current) == (True, True)
    assert current_snapshot(CODE).path == snapshot.path

    def columns(table: str) -> list[str]:
        return [column["name"] for column in snapshot.manifest["tables"][table]["columns"]]

    assert columns("crosswalk") == [
        "source", "source_record_id", "child_id", "match_method", "match_probability", "source_file_sha256",
        "source_row_number",
    ]  # fmt: skip
    assert columns("risk_scores") == [
        "child_id", "theme", "as_of_date", "score", "score_low", "score_high", "rank", "band", "alert", "determinable",
        "undetermined_reason", "reasons", "rule_hits", "score_version", "model_name", "model_version", "mlflow_run_id",
        "dagster_run_id", "feature_hash", "criteria_hash", "code_version", "list", "known_since",
    ]  # fmt: skip
    assert {"table", "item", "kind", "severity", "evaluated", "unexpected", "percent", "threshold", "passed"} <= set(
        columns("quality_results")
    )
    assert columns("child_features")[:3] == ["child_id", "as_of_date", "household_id"]
    # persons without a child id are not published
    assert snapshot.row_counts == {
        "child_features": 3, "child_register": 3, "crosswalk": 5, "quality_results": 2, "rejects": 1, "risk_scores": 3,
        "source_rows": 5, "withheld": 1, "protected_addresses": 0, "quarantine": 1, "unseen": 1, "flags": 1,
        "consents": 3,
    }  # fmt: skip
    manifest = json.loads((snapshot.path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["quality"]["verdict"] == "passed_with_warnings"
    assert manifest["lineage"]["dagster_run_id"] == RUN
    assert {file["file_name"] for file in manifest["lineage"]["source_files"]} == {"juki.csv", "kessek.csv"}
    assert manifest["lineage"]["column_lineage"] == {"mart_child": {}}
    assert NAME not in json.dumps(manifest, ensure_ascii=False)
    assert operations.publications(CODE)[0].manifest_sha256 == snapshot.manifest_sha256
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o444 for file in snapshot.path.iterdir())


def test_whole_numbers_of_128_bits_do_not_become_doubles(con: duckdb.DuckDBPyConnection) -> None:
    types = {column["name"]: column["type"] for column in _publish(con).manifest["tables"]["child_features"]["columns"]}
    assert types["health_room_3m"] == "BIGINT"


def test_the_same_content_is_published_once(con: duckdb.DuckDBPyConnection) -> None:
    first = _publish(con)
    fill(con, run_id="run-2")
    second = _publish(con, "run-2")
    assert (second.version, second.created, second.is_current) == (first.version, False, True)
    assert len(snapshots(CODE)) == 1


def test_other_content_is_a_new_version(con: duckdb.DuckDBPyConnection) -> None:
    first = _publish(con)
    con.execute("update marts.risk_scores set score = 0.9 where child_id = 'C-1'")
    second = _publish(con)
    assert second.version > first.version
    assert [one.is_current for one in snapshots(CODE)] == [False, True]
    assert verify(first.path) == verify(second.path) == []


def test_bytes_are_the_same_in_another_home_and_order(con: duckdb.DuckDBPyConnection) -> None:
    first = _publish(con)
    for table in ("marts.mart_child", "linkage.lnk_crosswalk", "marts.risk_scores", "marts.mart_child_features"):
        con.execute(f"create or replace table {table} as select * from {table} order by hash(child_id), random()")
    con.execute("set threads = 1")
    assert (_publish(con).version, len(snapshots(CODE))) == (first.version, 1)


def test_an_earlier_date_does_not_take_current_back(con: duckdb.DuckDBPyConnection) -> None:
    newest = _publish(con)
    fill(con, run_id="run-2", as_of=date(2026, 9, 1))
    earlier = _publish(con, "run-2", date(2026, 9, 1))
    assert (earlier.created, earlier.is_current) == (True, False)
    assert current_snapshot(CODE).path == newest.path


def test_a_damaged_snapshot_is_not_taken_for_the_same(con: duckdb.DuckDBPyConnection) -> None:
    first = _publish(con)
    first.file("rejects").chmod(0o644)
    first.file("rejects").write_bytes(b"")
    second = _publish(con)
    assert second.created
    assert second.version[:5] == "v0002"
    assert verify(second.path) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("update quality.results set severity = 'critical', passed = false, status = 'failed'", "critical"),
        ("delete from quality.results", "not checked"),
        ("delete from marts.mart_child", "register is empty"),
        ("delete from marts.mart_child where child_id = 'C-2'", "not in the register"),
        ("insert into marts.risk_scores select * from marts.risk_scores limit 1", "more than one row"),
        ("alter table marts.risk_scores drop column feature_hash", "feature_hash"),
        ("drop table raw.rejects", "missing from the warehouse"),
        ("drop table raw.files", "lacks a table"),
        ("drop table quality.results", "lacks a table"),
    ],
)
def test_what_must_not_be_published_is_refused(con: duckdb.DuckDBPyConnection, change: str, message: str) -> None:
    before = _publish(con)
    con.execute(change)
    with pytest.raises(PublishingError, match=message):
        _publish(con)
    assert current_snapshot(CODE).path == before.path
    assert [one.name for one in before.path.parent.iterdir()] == [before.version]


def test_a_failure_of_an_earlier_run_stands_until_its_table_is_checked_again(con: duckdb.DuckDBPyConnection) -> None:
    """A run that only scores again checks the scores alone: it must not publish over a broken register."""
    con.execute("update quality.results set severity = 'critical' where status = 'failed'")
    scores_alone = (
        f"(values ('run-2', date '{AS_OF}', 'risk_scores', 'score', 'between', 'conformance', 'critical', 3, 0, 0, 0,"
        " 'passed', true, '', '', null))"
    )
    con.execute(f"insert into quality.results select * from {scores_alone}")
    with pytest.raises(PublishingError, match="critical"):
        _publish(con, "run-2")
    con.execute("insert into quality.results select * replace ('run-3' as run_id, true as passed) from quality.results")
    assert _publish(con, "run-3").created


def test_an_error_never_quotes_a_value(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        f"create or replace table marts.mart_child as select * replace ('{NAME}' as birth_date) from marts.mart_child"
    )
    with pytest.raises(PublishingError) as caught:
        _publish(con)
    assert NAME not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_full_disk_changes_nothing(con: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _publish(con)
    con.execute("update marts.risk_scores set score = 0.3")

    def full(path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writing, "_flush", full)
    with pytest.raises(PublishingError, match="the disk is full"):
        _publish(con)
    assert current_snapshot(CODE).path == before.path
    assert len(list(before.path.parent.iterdir())) == 1


def test_what_a_killed_run_left_is_cleared_away(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    root = home / "published" / CODE
    (root / "2026-09-01" / ".tmp-1-dead").mkdir(parents=True)
    (root / "2026-09-01" / ".tmp-1-dead" / "crosswalk.parquet").write_bytes(b"PAR1")
    (root / ".current-1-dead").symlink_to("nowhere")
    _publish(con)
    assert not list(root.glob(".current-*"))
    assert not list(root.glob("*/.tmp-*"))
    assert len(snapshots(CODE)) == 1


def test_a_code_that_leaves_the_folder_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ConfigurationError):
        publish(con, Town(code="../../x"), AS_OF, dagster_run_id=RUN, code_version="abc")


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    path.chmod(0o444)


def _other_manifest(path: Path) -> None:
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest["lineage"]["dagster_run_id"] = "another"
    (path / "manifest.json").chmod(0o644)
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (path / "manifest.json").chmod(0o444)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "byte": (lambda path: _flip(path / "child_register.parquet"), "bytes have changed"),
    "missing": (lambda path: (path / "crosswalk.parquet").unlink(), "missing"),
    "extra": (lambda path: (path / "more.parquet").touch(), "does not belong"),
    "writable": (lambda path: (path / "risk_scores.parquet").chmod(0o644), "read-only"),
    "manifest": (_other_manifest, "not the manifest that was published"),
    "no manifest": (lambda path: (path / "manifest.json").unlink(), "cannot be read"),
    "renamed": (lambda path: path.rename(path.parent / "v0009-000000000000"), "another name"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_every_damage(con: duckdb.DuckDBPyConnection, damage: str) -> None:
    path = _publish(con).path
    assert verify(path) == []
    hurt, message = DAMAGES[damage]
    hurt(path)
    (left,) = path.parent.iterdir()
    assert any(message in fault.message for fault in verify(left))


def test_nothing_published_is_a_plain_error(home: Path) -> None:
    assert snapshots(CODE) == []
    with pytest.raises(PublishingError, match="nothing has been published"):
        current_snapshot(CODE)
    assert [fault.message for fault in verify(home / "nowhere")] == ["there is no such snapshot"]


def test_a_protected_address_is_a_file_apart(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    # whatever is not plainly "none" protects: unknown, blank, a code of tomorrow
    con.execute("alter table marts.mart_child alter protection_measure set data type varchar")
    con.execute("update marts.mart_child set protection_measure = 'active' where child_id = 'C-1'")
    con.execute("update marts.mart_child set protection_measure = null where child_id = 'C-2'")
    snapshot = _publish(con)
    register = con.execute(
        "select child_id, address, postal_code, guardian_phone from read_parquet(?) order by 1",
        [str(snapshot.file("child_register"))],
    ).fetchall()
    assert [row[1:] for row in register[:2]] == [(None, None, None)] * 2
    assert None not in register[2]
    apart = con.execute(
        "select child_id, address from read_parquet(?) order by 1", [str(snapshot.file("protected_addresses"))]
    ).fetchall()
    assert [row[0] for row in apart] == ["C-1", "C-2"]
    assert all(row[1] for row in apart)
    assert snapshot.manifest["tables"]["protected_addresses"]["zone"] == "protected"
    assert verify(snapshot.path) == []
