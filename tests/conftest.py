"""Fixtures that every kind of test shares."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from kodomo_platform.settings import use_home

# A change is judged by the same examples each time; HYPOTHESIS_PROFILE=search looks for others (`make test-slow`).
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


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


@pytest.fixture(scope="module")
def town() -> Iterator[Path]:
    """The portal's town, for tests that change nothing another one would notice. Their module imports `portal_town`."""
    from tests import portal_town

    with portal_town.pointed_at(portal_town.built()) as path:
        yield path


@pytest.fixture
def written_town(tmp_path: Path) -> Iterator[Path]:
    """The portal's town in a folder of its own, for tests that write."""
    from tests import portal_town

    path = tmp_path / "home"
    portal_town.copy_to(path)
    with portal_town.pointed_at(path):
        yield path
