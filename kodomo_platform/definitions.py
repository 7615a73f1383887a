"""The one `Definitions` object that Dagster loads (workspace.yaml points here).

What is wired stands in `kodomo_platform.orchestration`; what is computed stands in the rooms.
"""

from __future__ import annotations

import os

from kodomo_platform.installation.rights import keep_private
from kodomo_platform.settings import get_settings

# before Dagster is imported: it reads its telemetry switch from the environment
keep_private(get_settings().home)

from kodomo_platform.orchestration.build import platform_definitions  # noqa: E402

defs = platform_definitions()

# dbt and MLflow start as processes of their own; they inherit the same home.
os.environ.setdefault("KODOMO_HOME", str(get_settings().home))
