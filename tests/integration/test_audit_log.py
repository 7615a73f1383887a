"""The audit log: whatever is done to it behind its back is found, and erasing a person does not break it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kodomo_platform import operations
from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import Act, AuditHead
from kodomo_platform.operations.auditing import GUARDS, guard_statements

CODE = "112241"
LOOK = Act("school_a", "home visit planned", "support")


@pytest.fixture
def log(home: Path) -> Iterator[sqlite3.Connection]:
    """Sixty entries and a second connection to the file, as somebody with the file would have."""
    for number in range(60):
        operations.audit(LOOK, "look", f"page {number % 7}", municipality=CODE, person=f"c{number % 9}")
    assert operations.audit_verify().sound
    connection = sqlite3.connect(home / "operations.sqlite3", isolation_level=None)
    yield connection
    connection.close()
    operations.close()


def _without_guards(connection: sqlite3.Connection) -> None:
    for name in GUARDS:
        connection.execute(f"drop trigger if exists {name}")


def _with_guards(connection: sqlite3.Connection) -> None:
    for statement in guard_statements("sqlite"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "update operations_auditentry set actor = 'x' where sequence = 5",
        "delete from operations_auditentry where sequence = 5",
        "update operations_auditopening set reason = 'x' where entry_id = 5",
    ],
)
def test_the_database_itself_refuses(log: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        log.execute(statement)


def _change(connection: sqlite3.Connection, draw: random.Random) -> None:
    table, key, columns = draw.choice(
        [
            (
                "operations_auditentry",
                "sequence",
                ["at", "municipality", "actor", "action", "subject", "purpose", "run_id", "detail", "commitment",
                 "previous_hash", "entry_hash"],
            ),
            ("operations_auditopening", "entry_id", ["person", "reason", "salt"]),
        ]
    )  # fmt: skip
    column, number = draw.choice(columns), draw.randint(1, 60)
    new = "2020-01-01 00:00:00" if column == "at" else f"{draw.random():x<64}"[:64] if "hash" in column else "altered"
    connection.execute(f"update {table} set {column} = ? where {key} = ?", [new, number])


def _remove(connection: sqlite3.Connection, draw: random.Random) -> None:
    number = draw.randint(1, 60)
    if draw.random() < 0.3:
        connection.execute("delete from operations_auditopening where entry_id = ?", [number])
        return
    last = number if draw.random() < 0.7 else 60  # one entry, or the end of the log
    for table, key in (("operations_auditopening", "entry_id"), ("operations_auditentry", "sequence")):
        connection.execute(f"delete from {table} where {key} between ? and ?", [number, last])


def _swap(connection: sqlite3.Connection, draw: random.Random) -> None:
    one, other = draw.sample(range(1, 61), 2)
    for table, key in (("operations_auditopening", "entry_id"), ("operations_auditentry", "sequence")):
        for before, after in ((one, -1), (other, one), (-1, other)):
            connection.execute(f"update {table} set {key} = ? where {key} = ?", [after, before])


def _insert(connection: sqlite3.Connection, draw: random.Random) -> None:
    number = draw.randint(1, 61)
    for table, key in (("operations_auditopening", "entry_id"), ("operations_auditentry", "sequence")):
        for row in range(60, number - 1, -1):
            connection.execute(f"update {table} set {key} = ? where {key} = ?", [row + 1, row])
    source = number + 1 if number < 60 else 1
    columns = [row[1] for row in connection.execute("pragma table_info(operations_auditentry)")]
    copied = ", ".join(str(number) if column == "sequence" else column for column in columns)
    connection.execute(
        f"insert into operations_auditentry select {copied} from operations_auditentry where sequence = ?", [source]
    )
    connection.execute(
        "insert into operations_auditopening (entry_id, salt, person, reason) "
        "select ?, salt, person, reason from operations_auditopening where entry_id = ?",
        [number, source],
    )


@pytest.mark.parametrize("tamper", [_change, _remove, _swap, _insert])
def test_every_alteration_is_found(
    log: sqlite3.Connection, home: Path, tamper: Callable[[sqlite3.Connection, random.Random], None]
) -> None:
    """250 random alterations of each of four kinds: a thousand made, a thousand found."""
    draw = random.Random(tamper.__name__)
    log.execute("pragma foreign_keys = off")
    unseen = 0
    for _ in range(250):
        _without_guards(log)
        log.execute("begin immediate")
        tamper(log, draw)
        _with_guards(log)
        log.execute("commit")
        unseen += operations.audit_verify().sound
        # put back what was there
        operations.close()
        _restore(log)
    assert unseen == 0


def _restore(connection: sqlite3.Connection) -> None:
    if not connection.execute("select count(*) from sqlite_master where name = 'kept_entry'").fetchone()[0]:
        raise AssertionError("the fixture keeps a copy")
    _without_guards(connection)
    connection.execute("begin immediate")
    for table, copy in (("operations_auditentry", "kept_entry"), ("operations_auditopening", "kept_opening")):
        connection.execute(f"delete from {table}")
        connection.execute(f"insert into {table} select * from {copy}")
    _with_guards(connection)
    connection.execute("commit")


@pytest.fixture(autouse=True)
def kept(request: pytest.FixtureRequest) -> None:
    if "tamper" in request.fixturenames:
        log = request.getfixturevalue("log")
        log.execute("create table kept_entry as select * from operations_auditentry")
        log.execute("create table kept_opening as select * from operations_auditopening")


def test_a_log_computed_afresh_is_found_by_a_head_noted_outside(log: sqlite3.Connection) -> None:
    noted = operations.audit_head()
    operations.audit(LOOK, "look", "later")
    assert operations.audit_verify(expected_head=noted).sound
    verdict = operations.audit_verify(expected_head=AuditHead(noted.sequence, "0" * 64))
    assert [fault.what for fault in verdict.faults] == ["the head noted earlier is not part of this log"]


def test_a_missing_guard_is_reported(log: sqlite3.Connection) -> None:
    _without_guards(log)
    assert len(operations.audit_verify().faults) == len(GUARDS)


def test_erasing_a_person_leaves_a_sound_log_without_the_person(log: sqlite3.Connection, home: Path) -> None:
    about = operations.audit_log(person="c3")
    request = operations.audit(Act("office", "asked in writing", "stop-use"), "request", "stop-use 1", person="c3")
    erased = operations.erase_person("c3", Act("office", "stop-use 1", "stop-use"), keep=[request])
    assert erased == len(about) > 0
    verdict = operations.audit_verify()
    assert verdict.sound
    assert verdict.erased == erased
    assert [entry.sequence for entry in operations.audit_log(person="c3")] == [request]
    assert operations.erase_person("c3", LOOK, keep=[request]) == 0
    # what is left of an erased entry cannot be turned back: its salt is gone as well
    assert log.execute("select count(*) from operations_auditopening where entry_id in (4)").fetchone()[0] == 0


def test_a_change_and_its_entry_are_one(home: Path) -> None:
    operations.migrate()
    before = operations.audit_head().sequence

    def killed_halfway() -> None:
        with operations.transaction():
            operations.approve_model(CODE, "abuse", "ebm", "1", "run", "0" * 64, LOOK)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_halfway()
    assert operations.model_history(CODE) == []
    assert operations.audit_head().sequence == before
    operations.approve_model(CODE, "abuse", "ebm", "1", "run", "0" * 64, LOOK)
    assert [entry.action for entry in operations.audit_log(municipality=CODE)] == ["model approve"]


def test_an_act_says_who_why_and_for_what() -> None:
    for actor, reason, purpose in (("", "why", "for"), ("who", " ", "for"), ("who", "why", "")):
        with pytest.raises(OperationsError):
            Act(actor, reason, purpose)


def test_every_changing_function_takes_an_act() -> None:
    import inspect

    functions = [getattr(operations, name) for name in operations.__all__]
    changing = [f for f in functions if inspect.isfunction(f) and "with database.transaction()" in inspect.getsource(f)]
    assert len(changing) >= 10
    without = [f.__name__ for f in changing if "act" not in inspect.signature(f).parameters]
    assert without == ["installation_secret"]  # made once by whoever comes first; its entry says so
