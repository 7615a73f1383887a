"""Sets Django up with the portal's settings before these tests are imported."""

from __future__ import annotations

import tests.portal_town  # noqa: F401
