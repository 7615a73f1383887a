"""What every local user can read of the servers' processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from kodomo_platform.orchestration.servers import commands
from kodomo_platform.settings import use_home


def test_no_password_stands_on_a_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KODOMO_OPERATIONS_URL", "KODOMO_MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "postgresql://kodomo:s3cret@db/kodomo")
    use_home(None)
    lines = commands("127.0.0.1", 3000, 5000, 8000, Path("/tmp/x/code"), Path("/tmp/x/workspace.yaml"))
    assert set(lines) == {"Dagster code server", "Dagster", "Dagster daemon", "MLflow", "Portal"}
    assert "s3cret" not in str(lines)
