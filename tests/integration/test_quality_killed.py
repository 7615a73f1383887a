"""A validation killed halfway leaves the former run whole, and the next one runs as if nothing had been."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, write_configuration
from kodomo_platform.quality import read_results, validate
from kodomo_platform.quality.results import runs
from kodomo_platform.warehouse import connect, create_schemas

AS_OF = dt.date(2026, 10, 1)
CODE = "112241"
TABLE = "raw.raw_education__fees"

_KILLED = """
import os, signal, sys
from pathlib import Path
from kodomo_platform.quality import engine, results

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if sys.argv[2] == "counting":
    engine.PlainSql.counts = die
else:
    # the results are in the database, not yet committed
    import duckdb

    class Dying:
        def __init__(self, con):
            self._con = con

        def execute(self, sql, *more):
            if sql == "commit":
                die()
            return self._con.execute(sql, *more)

        def __getattr__(self, name):
            return getattr(self._con, name)

    write = results.write_results
    engine.write_results = lambda con, found: write(Dying(con), found)
engine.validate(Path(sys.argv[1]), "112241", None, "killed", engine="sql")
"""


@pytest.fixture
def file(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "town.duckdb"
    con = connect(path)
    create_schemas(con)
    write_configuration(con, load_municipality(CODE), load_catalog(), AS_OF)
    source = load_catalog().sources["education.fees"]
    items = ", ".join(f'"{item.name}" varchar' for item in source.items)
    con.execute(
        f"create table {TABLE} ({items}, _municipality varchar, _extract_date date, _source_file_sha256 varchar, "
        "_row_number bigint)"
    )
    con.execute(
        f"insert into {TABLE} by name select i::varchar as student_number, date '2026-10-01' as _extract_date, "
        "repeat('a', 64) as _source_file_sha256, i as _row_number from range(1, 50) as r(i)"
    )
    con.close()
    return path


@pytest.mark.parametrize("moment", ["counting", "writing"])
def test_killed_halfway(file: Path, moment: str) -> None:
    whole = validate(file, CODE, None, "whole", AS_OF, engine="sql")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _KILLED, str(file), moment], env=os.environ.copy(), check=False
    )
    assert done.returncode == -signal.SIGKILL
    con = connect(file)
    try:
        assert [run for run, _, _ in runs(con)] == ["whole"]
        assert len(read_results(con)) == len(whole)
        again = validate(con, CODE, None, "killed", AS_OF, engine="sql")
        assert len(read_results(con, "killed")) == len(again) == len(whole)
    finally:
        con.close()
