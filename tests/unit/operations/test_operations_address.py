"""Which database an address means."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.operations.database import database_settings


def test_sqlite_addresses_follow_sqlalchemy() -> None:
    assert database_settings("sqlite:////srv/data/ops.sqlite3")["NAME"] == "/srv/data/ops.sqlite3"
    assert database_settings("sqlite:///data/ops.sqlite3")["NAME"] == "data/ops.sqlite3"


def test_postgresql_address_with_password_port_and_socket() -> None:
    found = database_settings("postgresql+psycopg://u%40x:p%3Aw@db.example:5433/kodomo?sslmode=require")
    assert (found["USER"], found["PASSWORD"], found["HOST"], found["PORT"], found["NAME"]) == (
        "u@x",
        "p:w",
        "db.example",
        "5433",
        "kodomo",
    )
    assert found["OPTIONS"] == {"sslmode": "require"}
    assert database_settings("postgresql://u@/kodomo?host=/run/pg")["HOST"] == "/run/pg"


@pytest.mark.parametrize("url", ["mysql://u@h/d", "sqlite:///", "postgresql://u@h/", "kodomo.db"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        database_settings(url)


def test_importing_operations_does_not_import_django() -> None:
    code = "import sys, kodomo_platform.operations; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
