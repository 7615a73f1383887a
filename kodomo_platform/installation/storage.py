"""From the embedded databases to PostgreSQL: one setting, a schema for each, and the move of what is there already.

``KODOMO_DATABASE_URL`` names one database. In it `operations`, `mlflow` and `dagster` are schemas; each makes its own
tables by its own migrations. Warehouses, archive and published snapshots stay files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database as operations_database
from kodomo_platform.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

SCHEMAS = ("operations", "mlflow", "dagster")
_PIECE = 2_000
# each side's own record of its migrations: written by the migrations themselves
_OWN_RECORD = {"django_migrations", "alembic_version", "django_content_type", "auth_permission"}

# tables in which the migrations themselves put a first row
_OWN_FIRST_ROW = {"experiments", "workspaces", "operations_audithead"}


@dataclass(frozen=True)
class Moved:
    """One table that is the same on both sides now."""

    component: str
    table: str
    rows: int
    sha256: str


def make_schemas() -> None:
    """Make the schemas in the database of ``KODOMO_DATABASE_URL``; nothing where everything is embedded.

    Raises OperationsError that says why the database cannot be used.
    """
    url = get_settings().schema_url("public")
    if url is None:
        return
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            for schema in SCHEMAS:
                connection.execute(text(f"create schema if not exists {schema}"))
    except SQLAlchemyError as error:
        raise operations_database.unusable(error) from error
    finally:
        engine.dispose()


def migrate_storage() -> list[Moved]:
    """Move operations and MLflow from the home's own databases into PostgreSQL, verified by counts and hashes.

    Each of the two is moved whole or not at all; a second call finds what was moved and verifies it again. The embedded
    files stay as they are. Dagster's history of runs is not moved.

    Raises:
        OperationsError: no PostgreSQL is set, there is nothing to move, the target holds other rows, or the two sides
            differ afterwards (then nothing was written).
    """
    settings = get_settings()
    if settings.database_url is None:
        raise OperationsError(
            "there is no PostgreSQL to move to",
            where="KODOMO_DATABASE_URL",
            expected="postgresql://user:password@host:port/name",
        )
    make_schemas()
    moved: list[Moved] = []
    if (settings.home / "operations.sqlite3").exists():
        operations_database.migrate(to_be_filled=True)
        operations_database.close()
        moved += _move(SCHEMAS[0], settings.embedded_operations_url, str(settings.schema_url("operations")))
    if (settings.mlflow_dir / "mlflow.db").exists():
        from mlflow.store.db.utils import _initialize_tables, create_sqlalchemy_engine

        target = str(settings.schema_url("mlflow"))
        engine = create_sqlalchemy_engine(target)  # type: ignore[no-untyped-call]
        _initialize_tables(engine)  # type: ignore[no-untyped-call]
        engine.dispose()
        moved += _move(SCHEMAS[1], settings.embedded_mlflow_uri, target)
    return moved


def _move(component: str, source: str, target: str) -> list[Moved]:
    from sqlalchemy import MetaData, create_engine
    from sqlalchemy.exc import SQLAlchemyError

    giving, taking = create_engine(source), create_engine(target)
    try:
        tables = MetaData()
        tables.reflect(taking)
        origin = MetaData()
        origin.reflect(giving)
        wanted = [
            table for table in tables.sorted_tables if table.name not in _OWN_RECORD and table.name in origin.tables
        ]
        missing = {name for name in origin.tables if name not in tables.tables} - {"sqlite_sequence"}
        if missing:
            raise OperationsError(
                f"{component}: the embedded database has tables that the target has not ({', '.join(sorted(missing)[:5])})",
                expected="both of the same release",
                action="run `kodomo setup` on the embedded home first, then move it",
            )
        with giving.connect() as reading, taking.begin() as writing:
            moved = [_move_table(component, reading, writing, origin.tables[table.name], table) for table in wanted]
            _restart_sequences(writing, wanted)
            return moved
    except SQLAlchemyError as error:
        raise operations_database.unusable(error) from error
    finally:
        giving.dispose()
        taking.dispose()


def _move_table(component: str, reading: Connection, writing: Connection, origin: Table, table: Table) -> Moved:
    from sqlalchemy import insert

    before = _digest(writing, table, table)
    there = _digest(reading, origin, table)
    if before != there and before[0]:
        if table.name in _OWN_FIRST_ROW and before[0] == 1:
            writing.execute(table.delete())
        else:
            raise OperationsError(
                f"{component}: the table {table.name} of the target holds other rows ({before[0]}, here {there[0]})",
                expected="an empty database, or one into which this home was moved before",
                action="name another database in KODOMO_DATABASE_URL, or drop the schema on the server if it is of no use",
            )
    if before != there:
        for rows in _rows(reading, origin, table):
            writing.execute(insert(table), rows)
    after = _digest(writing, table, table)
    if after != there:
        raise OperationsError(
            f"{component}: the table {table.name} differs after the move ({after[0]} rows, here {there[0]})",
            expected="the same rows on both sides",
            action="nothing was written; keep the embedded home and report this",
        )
    return Moved(component, table.name, after[0], after[1])


def _rows(connection: Connection, table: Table, target: Table) -> Iterator[list[dict[str, Any]]]:
    """The table's rows as the target's types want them, in pieces, in the order of their keys."""
    from sqlalchemy import select

    columns = [column for column in target.columns if column.name in table.columns]
    keys = [table.columns[column.name] for column in target.primary_key.columns] or list(table.columns)
    result = connection.execute(select(table).order_by(*keys).execution_options(stream_results=True))
    for piece in result.mappings().partitions(_PIECE):
        yield [{column.name: _value(row[column.name], column.type) for column in columns} for row in piece]


def _value(value: Any, kind: Any) -> Any:
    """A value as PostgreSQL's column takes it: SQLite has neither booleans nor time zones nor JSON."""
    from sqlalchemy import types

    if value is None:
        return None
    if isinstance(kind, types.Boolean):
        return bool(value)
    if isinstance(kind, types.DateTime) and isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(kind, types.DateTime) and getattr(kind, "timezone", False) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    if isinstance(kind, types.JSON) and isinstance(value, str):
        return json.loads(value)
    return value


def _digest(connection: Connection, table: Table, target: Table) -> tuple[int, str]:
    """Number of rows, and a hash that does not depend on their order."""
    total, count = 0, 0
    for rows in _rows(connection, table, target):
        for row in rows:
            text = json.dumps({name: _plain(value) for name, value in row.items()}, sort_keys=True, ensure_ascii=False)
            total = (total + int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")) % (1 << 256)
            count += 1
    return count, f"{total:064x}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict | list | str | int | float | bool) or value is None:
        return value
    return str(value)


def _restart_sequences(connection: Connection, tables: Sequence[Table]) -> None:
    """Let PostgreSQL give out the next numbers after those that were copied."""
    from sqlalchemy import text

    for table in tables:
        for column in table.primary_key.columns:
            name = connection.execute(
                text("select pg_get_serial_sequence(:table, :column)"),
                {"table": f'"{table.name}"', "column": column.name},
            ).scalar()
            if name:
                connection.execute(
                    text(
                        f'select setval(:name, coalesce((select max("{column.name}") from "{table.name}"), 0) + 1, false)'
                    ),
                    {"name": name},
                )
