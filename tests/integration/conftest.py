"""Fixtures that several integration tests share; a module that needs another ``con`` defines its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.linkage import load_known_ids
from tests.integration import linked_town as town


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory on the day of a run, before anybody was linked."""
    con = duckdb.connect()
    town.empty_town(con)
    load_known_ids(con, town.CODE)
    yield con
    con.close()
    operations.close()
