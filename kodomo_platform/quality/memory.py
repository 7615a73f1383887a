"""The quality tables that no run could make again, kept in the operations database and put back where they are missing.

A run's results, the entries of correction sheets with the offices' answers, what each sheet said when it was sent, and
the salt of the entries' hashes. Which of them change is known to who calls.
"""

from __future__ import annotations

import duckdb

from kodomo_platform import operations
from kodomo_platform.quality import results, returned, sheets

_RESULTS = "quality.results"
_SHEETS = {
    "quality.correction_entry": sheets.ENTRY_DDL,
    "quality.correction_issued": returned.ISSUED_DDL,
    "quality.correction_salt": sheets.SALT_DDL,
}


def put_back(con: duckdb.DuckDBPyConnection, code: str) -> int:
    """Fill the tables that this warehouse lacks; how many rows came back."""
    tables = {_RESULTS: results.RESULTS_DDL, **_SHEETS}
    return sum(operations.put_back(con, code, table, ddl) for table, ddl in tables.items())


def keep_results(con: duckdb.DuckDBPyConnection, code: str, run_id: str) -> None:
    """Keep the results of one run."""
    act = operations.by_pipeline("quality of a run", run_id, purpose="quality")
    operations.keep_rows(con, code, _RESULTS, act, by="run_id", key=run_id)


def keep_sheets(con: duckdb.DuckDBPyConnection, code: str, act: operations.Act) -> None:
    """Keep the state of the correction sheets, all tables together or none."""
    with operations.transaction():
        for table in _SHEETS:
            operations.keep_rows(con, code, table, act)
