"""dbt inside the process of the run, its events as they come.

A process of its own would import the same libraries again and read the whole project again, some four seconds for each
of a run's two steps. dbt offers this way of calling it (``dbtRunner``); what is dbt's alone is kept from the process:
the working folder, its log, the open database. Which models are asked for, and what becomes of the events, belongs to
`dbt`.
"""

import contextlib
import os
import queue
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import KodomoError
from kodomo_platform.orchestration.retrying import is_transient

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

# dbt and its adapter keep what they work on in global variables: one invocation at a time
_ONE = threading.Lock()


@lru_cache(maxsize=1)
def _parsed_project(file: Path, modified: int) -> "Manifest":
    """The parsed project as ``kodomo setup`` left it; ``modified`` tells a later one apart."""
    from dbt.contracts.graph.manifest import Manifest
    from dbt.parser.manifest import extended_mashumuro_decoder

    manifest = Manifest.from_msgpack(file.read_bytes(), decoder=extended_mashumuro_decoder)
    manifest.build_parent_and_child_maps()
    manifest.build_flat_graph()
    return manifest


def events(
    arguments: Sequence[str], *, project: Path, parsed: Path, target: Path, indirect_selection: str | None = None
) -> Iterator[dict[str, Any]]:
    """Run dbt with ``arguments`` and yield its events of level info and above, as in its JSON log.

    ``parsed`` is the project's ``partial_parse.msgpack``: nothing is parsed here. Compiled SQL and dbt.log go to
    ``target``. Raises `KodomoError` that names what failed (never dbt's message, which may quote a cell: that stands in
    the log of the step). Whoever stops listening stops dbt.
    """
    with _ONE, contextlib.chdir(project):  # dbt steps into the project's folder and stays there
        yield from _events(
            [
                *arguments,
                *("--project-dir", str(project), "--profiles-dir", str(project)),
                *("--target-path", str(target), "--log-path", str(target)),
                # its log is written at info, its lines are for Dagster, its artefacts stand beside the manifest
                *("--log-level", "none", "--log-level-file", "info", "--no-write-json"),
                *(("--indirect-selection", indirect_selection) if indirect_selection else ()),
            ],
            _parsed_project(parsed, parsed.stat().st_mtime_ns),
        )


def _events(arguments: list[str], manifest: "Manifest") -> Iterator[dict[str, Any]]:
    from dbt.cli.main import dbtRunner, dbtRunnerResult
    from dbt_common.events.functions import msg_to_dict

    said: queue.SimpleQueue[dict[str, Any] | dbtRunnerResult] = queue.SimpleQueue()

    def hear(message: Any) -> None:
        if message.info.level != "debug":
            said.put(msg_to_dict(message))

    def run() -> None:
        said.put(dbtRunner(manifest, callbacks=[hear]).invoke(arguments))

    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    worker = threading.Thread(target=run, name="dbt", daemon=True)
    worker.start()
    try:
        while isinstance(one := said.get(), dict):
            yield one
        worker.join()
    finally:
        while worker.is_alive():  # whoever listened has left
            _interrupt()
            worker.join(timeout=0.1)
        _close()
    if not one.success:
        # the cause is shown in Dagster: only what tells that waiting would help, no message that may quote a cell
        raise _failure(one) from (one.exception if one.exception and is_transient(one.exception) else None)


def _failure(result: Any) -> KodomoError:
    failed = [
        f"{node.node.name} ({node.status})"
        for node in getattr(result.result, "results", None) or []
        if str(node.status) in ("error", "fail", "runtime error", "partial success")
    ]
    return KodomoError(
        "dbt did not finish" + (f": {type(result.exception).__name__}" if result.exception else ""),
        where=", ".join(failed) or None,
        expected="every model is built and every test of the models passes",
        action="see the log of this step in Dagster, or dbt.log below dbt/ in the platform's home",
    )


def _interrupt() -> None:
    """Stop the statements that run. Their models fail, those after them are skipped, and dbt ends by itself."""
    from dbt.adapters.factory import FACTORY

    for adapter in list(FACTORY.adapters.values()):
        adapter.cancel_open_connections()


def _close() -> None:
    """Close the warehouse and dbt's log, which dbt would keep open for a next invocation."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt_common.events.event_manager_client import cleanup_event_logger, get_event_manager

    if DuckDBConnectionManager._ENV is not None:
        DuckDBConnectionManager._ENV.close()
    DuckDBConnectionManager.close_all_connections()
    for logger in get_event_manager().loggers:
        for handler in list(getattr(logger._python_logger, "handlers", ())):
            handler.close()
    cleanup_event_logger()
