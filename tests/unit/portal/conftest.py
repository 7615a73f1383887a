"""The town of the portal's tests."""

from __future__ import annotations

from tests.portal_fixtures import town, written_town  # noqa: F401
