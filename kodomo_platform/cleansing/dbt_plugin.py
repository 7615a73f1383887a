"""The hook by which dbt-duckdb makes the cleansing functions known to its connection (see profiles.yml)."""

from __future__ import annotations

from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

from kodomo_platform.cleansing.functions import register


class Plugin(BasePlugin):  # type: ignore[misc]
    """dbt-duckdb looks for a class of this name in the module named in the profile."""

    def configure_connection(self, conn: Any) -> None:
        register(conn)

    def configure_cursor(self, cursor: Any) -> None:
        # the warehouse is attached (see the profile): what names a table by its schema alone, as the rooms do, means it
        cursor.execute("use warehouse")
