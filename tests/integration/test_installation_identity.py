"""A missing, empty or foreign operations database is refused, never replaced in silence."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from kodomo_platform import operations
from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database, identity
from kodomo_platform.settings import use_home
from tests.integration.command_line import kodomo


@pytest.fixture
def begun(home: Path) -> Iterator[Path]:
    """A home whose database holds its secret."""
    operations.installation_secret()
    yield home
    operations.close()


def reopened() -> None:
    """As the next process would meet it."""
    operations.close()
    database._migrated.clear()


def files(home: Path) -> list[Path]:
    return sorted(home.glob("operations.sqlite3*"))


def test_a_home_carries_its_identity_and_not_its_secret(begun: Path) -> None:
    kept = json.loads((begun / "installation.json").read_text(encoding="utf-8"))
    secret = operations.installation_secret()
    assert kept["identity"] == identity.fingerprint(secret)
    assert secret not in (begun / "installation.json").read_text(encoding="utf-8")
    assert (begun / "installation.json").stat().st_mode & 0o077 == 0
    reopened()
    operations.migrate()
    assert operations.installation_secret() == secret


@pytest.mark.parametrize("lost", ["deleted", "emptied", "fresh"])
def test_a_lost_database_is_refused_and_nothing_takes_its_place(begun: Path, lost: str) -> None:
    operations.close()
    for file in files(begun):
        file.unlink()
    if lost == "emptied":
        (begun / "operations.sqlite3").touch()
    elif lost == "fresh":
        sqlite3.connect(begun / "operations.sqlite3").executescript(
            "create table other (x); insert into other values (1)"
        )
    reopened()
    with pytest.raises(OperationsError, match=r"missing or empty[\s\S]*from a backup[\s\S]*--new-installation"):
        operations.installation_secret()
    if lost == "fresh":
        rest = sqlite3.connect(begun / "operations.sqlite3").execute("select name from sqlite_master").fetchall()
        assert rest == [("other",)]
    else:
        assert [file.stat().st_size for file in files(begun)] == ([0] if lost == "emptied" else [])


def test_another_installations_database_is_refused(begun: Path, tmp_path: Path) -> None:
    reopened()
    other = tmp_path / "other"
    other.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KODOMO_HOME", str(other))
        use_home(None)
        operations.installation_secret()
        operations.close()
    use_home(begun)
    for file in files(begun):
        file.unlink()
    for file in files(other):
        shutil.copy(file, begun / file.name)
    reopened()
    with pytest.raises(OperationsError, match="another installation's"):
        operations.migrate()


def test_an_empty_database_beside_snapshots_is_refused_even_without_an_identity(home: Path) -> None:
    """Regression: a home of an earlier release had no identity, and its lost database was replaced by an empty one."""
    manifest = home / "published" / "343021" / "2026-10-01" / "1-abc" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}", encoding="utf-8")
    database._migrated.clear()
    with pytest.raises(OperationsError, match="missing or empty"):
        operations.migrate()
    assert files(home) == []


def test_a_home_of_an_earlier_release_takes_its_own_database_for_its_own(begun: Path) -> None:
    (begun / "installation.json").unlink()
    reopened()
    operations.migrate()
    assert (begun / "installation.json").exists()


def test_an_unreadable_identity_is_no_missing_one(begun: Path) -> None:
    (begun / "installation.json").write_text("{", encoding="utf-8")
    reopened()
    with pytest.raises(OperationsError, match="identity of this home cannot be read"):
        operations.migrate()


def test_a_person_can_begin_anew(begun: Path) -> None:
    secret = operations.installation_secret()
    operations.close()
    for file in files(begun):
        file.unlink()
    reopened()
    assert operations.migrate(new_installation=True)
    assert operations.installation_secret() != secret
    assert len(list(begun.glob("installation.until-*.json"))) == 1
    reopened()
    operations.migrate()


@pytest.mark.parametrize("damage", ["page", "header", "truncated"])
def test_a_damaged_database_is_said_to_be_damaged(begun: Path, damage: str) -> None:
    operations.close()
    file = begun / "operations.sqlite3"
    connection = sqlite3.connect(file)
    connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    content = bytearray(file.read_bytes())
    if damage == "page":
        content[100:4096] = b"\xff" * 3996
    elif damage == "header":
        content[:16] = b"\0" * 16
    else:
        content = content[: len(content) // 3]
    file.write_bytes(content)
    reopened()
    with pytest.raises(OperationsError, match="damaged"):
        operations.installation_secret()
    assert file.read_bytes() == bytes(content)


def test_the_command_line_says_what_to_do_and_has_a_way_out(home: Path) -> None:
    kodomo(home, "setup")
    kodomo(home, "onboard", str(Path(__file__).with_name("invented_town.yaml")))
    for file in files(home):
        file.unlink()
    for arguments in (("setup",), ("run", "-m", "139998")):
        done = kodomo(home, *arguments, check=False)
        assert done.returncode == 1, arguments
        assert "Traceback" not in done.stderr
        assert "バックアップ" in done.stderr
        assert "--new-installation" in done.stderr
        assert files(home) == []
    kodomo(home, "setup", "--new-installation")
    assert files(home)
    assert os.environ.get("KODOMO_HOME")
