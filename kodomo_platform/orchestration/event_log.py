"""Dagster's event log on SQLite, with its connections kept open.

Dagster opens and closes the database for every event, twice for one that concerns an asset or a check. Closing the last
connection copies the write-ahead log into the database and waits for the disk: some 15 ms for an event, 15 s of a run
of a small town, which reports some thousand. Here a connection is kept for each of the few databases in use, and a
commit no longer waits for the disk: after a loss of power the newest events may be missing, never torn (SQLite's WAL
with ``synchronous=NORMAL``). What a town publishes does not rest on this log.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster import StringSource
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, QueuePool, create_engine, event

# the index, and the runs that are under way or looked at; a webserver must not hold a file for every run it ever showed
_KEPT = 8


def _do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous=NORMAL")


class EventLog(SqliteEventLogStorage):
    """The event log below ``dagster_home``, one database a run and an index over all, as Dagster lays them out.

    It replaces ``_connect`` and ``has_table`` of Dagster's own class, whose version is locked; a test holds that they are
    still there.
    """

    def __init__(self, dagster_home: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._dagster_home = dagster_home
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        super().__init__(str(Path(dagster_home) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"dagster_home": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        return cls(inst_data=inst_data, **config_value)

    def _engine(self, shard: str) -> Engine:
        if shard in self._engines:
            self._engines.move_to_end(shard)
            return self._engines[shard]
        engine = create_engine(
            self.conn_string_for_shard(shard),
            poolclass=QueuePool,
            pool_size=1,
            connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
        )
        event.listen(engine, "connect", _do_not_wait_for_the_disk)
        self._engines[shard] = engine
        while len(self._engines) > _KEPT:
            _, oldest = self._engines.popitem(last=False)
            oldest.dispose()
        return engine

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def has_table(self, table_name: str) -> bool:
        """Whether the index has the table, asked until it has: Dagster asks again for every event of a check."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def wipe(self) -> None:
        self._release()
        super().wipe()

    def dispose(self) -> None:
        self._release()
        super().dispose()

    def _release(self) -> None:
        with self._db_lock:
            self._tables.clear()
            while self._engines:
                self._engines.popitem()[1].dispose()
