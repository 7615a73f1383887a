"""Fixtures of the portal's tests; a conftest beside them takes them over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import portal_town


@pytest.fixture(scope="module")
def town() -> Iterator[Path]:
    """The town, for tests that change nothing another one would notice."""
    with portal_town.pointed_at(portal_town.built()) as home:
        yield home


@pytest.fixture
def written_town(tmp_path: Path) -> Iterator[Path]:
    """The town in a folder of its own, for tests that write."""
    home = tmp_path / "home"
    portal_town.copy_to(home)
    with portal_town.pointed_at(home):
        yield home
