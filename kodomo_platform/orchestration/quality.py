"""Quality as asset checks: one validation per layer, one check per table and kind, critical ones blocking."""

import warnings
from collections.abc import Iterator, Sequence

import dagster as dg
from dagster import PreviewWarning

from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.warehouse import warehouse

GROUPS = ("critical", "completeness", "conformance", "plausibility")
_SAID = {
    "critical": "重大（ひとつでも外れると公開を止める） / critical: blocks publication",
    "completeness": "欠損（そろっているか） / completeness",
    "conformance": "形式（決まりに合うか） / conformance",
    "plausibility": "妥当性（あり得る値か） / plausibility",
}


def layer_checks(layer: str, tables: Sequence[str]) -> dg.AssetChecksDefinition:
    """The checks of one layer: a single validation answers them all."""

    with warnings.catch_warnings():
        # partitioned checks are "preview" in this version, pinned and tested here; every command would say so 240 times
        warnings.simplefilter("ignore", PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                name=group,
                asset=table,
                blocking=group == "critical",
                partitions_def=MUNICIPALITIES,
                description=_SAID[group],
            )
            for table in tables
            for group in GROUPS
        ]

    @dg.multi_asset_check(name=f"quality_of_{layer}", specs=specs)
    def check(context: dg.AssetCheckExecutionContext, run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
        from kodomo_platform.quality import group_results, validate

        municipality = partition_municipality(context)
        as_of = run_settings.as_of_date(municipality)
        with warehouse(municipality.code) as con:
            results = validate(con, municipality, list(tables), context.run.run_id, as_of)
        found = {(item.table.split(".")[-1], item.group): item for item in group_results(results)}
        for table in tables:
            for group in GROUPS:
                item = found.get((table, group))
                severity = dg.AssetCheckSeverity.ERROR if group == "critical" else dg.AssetCheckSeverity.WARN
                yield dg.AssetCheckResult(
                    asset_key=table,
                    check_name=group,
                    passed=item.passed if item else True,
                    severity=severity,
                    metadata=item.metadata if item else {"expectations": 0},
                )

    return check
