"""Who opens a warehouse that cannot be opened is told why, without a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kodomo_platform.errors import KodomoError
from kodomo_platform.orchestration.retrying import is_transient
from kodomo_platform.warehouse import connect


def test_a_warehouse_that_is_not_there(tmp_path: Path) -> None:
    # Regression: `kodomo model check` of a town that never ran ended in a traceback
    with pytest.raises(KodomoError, match="no warehouse yet") as caught:
        connect(tmp_path / "343021.duckdb", read_only=True)
    assert caught.value.action == "`kodomo run --municipality 343021` first"
    assert not is_transient(caught.value)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_warehouse_in_which_another_process_works(tmp_path: Path, read_only: bool) -> None:
    # Regression: a look at a town while its run wrote ended in a traceback
    file = tmp_path / "343021.duckdb"
    code = f"import duckdb; con = duckdb.connect({str(file)!r}); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"1"
        with pytest.raises(KodomoError, match="another process is working") as caught:
            connect(file, read_only=read_only)
        other.communicate(b"\n")
    assert is_transient(caught.value), "a step of a run tries again"
    connect(file, read_only=read_only).close()
