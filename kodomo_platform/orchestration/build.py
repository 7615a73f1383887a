"""Everything wired together; tests swap single parts by argument."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import dagster as dg

from kodomo_platform.catalog import load_catalog
from kodomo_platform.orchestration import (
    automation,
    extracts,
    governance,
    jobs,
    linkage,
    lost_runs,
    notifications,
    publishing,
    quality,
    scoring,
)
from kodomo_platform.orchestration import dbt as dbt_wiring
from kodomo_platform.orchestration.resources import RunSettings
from kodomo_platform.quality.suites import SUITES_DIR


def build_definitions(resource_overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """All assets, checks, jobs, schedules and sensors of the platform."""
    dbt_assets = dbt_wiring.dbt_asset_definitions()
    dbt_tables = [key.path[-1] for assets in dbt_assets for key in assets.keys]
    raw_tables = [source.raw_table for source in load_catalog().sources.values()]
    suites = {path.stem for path in SUITES_DIR.glob("*.yaml")}
    staging = sorted(table for table in dbt_tables if table.startswith("stg_") and table in suites)
    linked = sorted(table for table in dbt_tables if table.startswith(("lnk_", "mart_")) and table in suites)
    resources = {"run_settings": RunSettings.configure_at_launch()}
    return dg.Definitions(
        assets=[
            governance.governance_decisions,
            *extracts.extract_assets(),
            linkage.known_child_ids,
            *dbt_assets,
            linkage.child_ids,
            linkage.linkage_model,
            scoring.risk_model,
            scoring.risk_scores,
            publishing.published_snapshot,
            governance.governance_papers,
        ],
        asset_checks=[
            quality.layer_checks("raw", raw_tables),
            quality.layer_checks("staging", staging),
            quality.layer_checks("marts", linked),
            quality.layer_checks("scores", ["risk_scores"]),
            linkage.linkage_checks,
            scoring.retirement_proposals,
            governance.governance_checks,
        ],
        jobs=[jobs.MUNICIPALITY_RUN, jobs.TRAINING, jobs.LINKAGE_TRAINING, jobs.SCORING],
        schedules=[automation.linkage_training_yearly],
        sensors=[
            automation.new_extracts,
            automation.municipality_schedules,
            lost_runs.lost_runs,
            notifications.failed_runs,
            notifications.published_runs,
        ],
        resources=resources | dict(resource_overrides or {}),
        executor=jobs.IN_PROCESS,
    )


@lru_cache(maxsize=1)
def platform_definitions() -> dg.Definitions:
    """The definitions as they run, built once per process."""
    return build_definitions()
