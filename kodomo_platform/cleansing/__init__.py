"""How raw text becomes values that can be compared: dates, numbers, names, kana, addresses.

Between extracts (which keep text as delivered) and linkage (which compares). The functions are plain Python, one text
in, one reading out; `register` makes them known to DuckDB. Rules about tables (which row is current, which absence is
which) are SQL: ``dbt_project/macros`` and ``dbt_project/models/staging``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


def register(con: duckdb.DuckDBPyConnection) -> None:
    """Make the ``kodomo_*`` functions known to a DuckDB connection (see `functions.register`)."""
    from kodomo_platform.cleansing.functions import register as register_functions

    register_functions(con)


__all__ = ["register"]
