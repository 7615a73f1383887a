"""Only what may pass by itself is tried again."""

import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from django.db.utils import OperationalError

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.landing import disk_error
from kodomo_platform.orchestration import retrying
from kodomo_platform.orchestration.retrying import is_transient, retried
from kodomo_platform.orchestration.runs import _cause


def caused(cause: BaseException) -> ExtractError:
    error = disk_error(cause, "2026-10-01/a.csv") if isinstance(cause, OSError) else ExtractError("x")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (sqlite3.OperationalError("database is locked"), True),
        (sqlite3.OperationalError("no such table: child"), False),
        (OperationalError("connection to server at 127.0.0.1 failed: Connection refused"), True),
        (OperationalError("FATAL: password authentication failed"), False),
        (duckdb.IOException("IO Error: Could not set lock on file /x: Conflicting lock is held"), True),
        (duckdb.IOException("IO Error: Could not write file: No space left on device"), False),
        (OSError(errno.ESTALE, "stale"), True),
        (caused(OSError(errno.ESTALE, "stale")), True),
        (caused(OSError(errno.ENOSPC, "full")), False),
        (ConnectionResetError(errno.ECONNRESET, "reset"), True),
        (ExtractError("the file is empty"), False),
        (KeyError("x"), False),
        (MemoryError(), False),
    ],
)
def test_what_may_pass(error: BaseException, passes: bool) -> None:
    assert is_transient(error) is passes


@pytest.mark.parametrize(("error", "tries"), [(sqlite3.OperationalError("database is locked"), 3), (KeyError("x"), 1)])
@pytest.mark.parametrize("as_generator", [False, True])
def test_dagster_tries_again_what_may_pass_and_nothing_else(
    error: Exception, tries: int, as_generator: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(retrying, "SECONDS_BETWEEN", 0.0)
    tried: list[int] = []

    def attempt() -> None:
        tried.append(1)
        if len(tried) < 3:
            raise error

    def plain(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        attempt()
        return dg.MaterializeResult()

    def generator(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        attempt()
        yield dg.MaterializeResult()

    step = dg.asset(name="step")(retried(generator if as_generator else plain))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = dg.materialize([step], instance=instance, raise_on_error=False)
    assert len(tried) == tries
    assert result.success is (tries == 3)


@pytest.mark.parametrize("as_generator", [False, True])
def test_dagster_shows_our_errors_in_japanese_and_english(as_generator: bool, tmp_path: Path) -> None:
    error = ExtractError("the file is empty", where="2026-10-08/a.csv", action="rename the folder")

    def plain(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        raise error

    def generator(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[Any]]:
        yield from ()
        raise error

    step = dg.asset(name="step")(retried(generator if as_generator else plain))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = dg.materialize([step], instance=instance, raise_on_error=False)
        (failed,) = (event.step_failure_data for event in result.all_events if event.is_step_failure)
    assert failed.user_failure_data is not None
    assert failed.user_failure_data.description == (
        "2026-10-08/a.csv: ファイルが空です\n  対処: フォルダーの名前を直してください\n\n"
        "2026-10-08/a.csv: the file is empty\n  what to do: rename the folder"
    )
    # what a command says of the run is the error itself, once
    assert _cause(failed.error) == str(error)
