"""Fixtures that every kind of test shares."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kodomo_platform.settings import use_home


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh ``KODOMO_HOME``."""
    path = tmp_path / "home"
    path.mkdir()
    monkeypatch.setenv("KODOMO_HOME", str(path))
    use_home(None)
    yield path
    monkeypatch.undo()
    use_home(None)
