"""Quality as asset checks: one validation per layer, one check per table and kind, critical ones blocking."""

from collections.abc import Iterator, Sequence

import dagster as dg

from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.warehouse import warehouse

KINDS = ("completeness", "conformance", "plausibility")
_SAID = {
    "completeness": "欠損（そろっているか） / completeness",
    "conformance": "形式（決まりに合うか） / conformance",
    "plausibility": "妥当性（あり得る値か） / plausibility",
}


def layer_checks(layer: str, tables: Sequence[str]) -> dg.AssetChecksDefinition:
    """The checks of one layer: a single validation answers them all."""

    @dg.multi_asset_check(
        name=f"quality_of_{layer}",
        specs=[
            dg.AssetCheckSpec(
                name=kind, asset=table, blocking=True, partitions_def=MUNICIPALITIES, description=_SAID[kind]
            )
            for table in tables
            for kind in KINDS
        ],
        )
    def check(context: dg.AssetCheckExecutionContext, run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
        from kodomo_platform.quality import group_results, validate

        municipality = partition_municipality(context)
        as_of = run_settings.as_of_date(municipality)
        with warehouse(municipality.code) as con:
            results = validate(con, municipality, list(tables), context.run_id, as_of)
        groups = {(group.table, group.kind): group for group in group_results(results)}
        for table in tables:
            for kind in KINDS:
                group = groups.get((table, kind))
                if group is None:
                    yield dg.AssetCheckResult(
                        asset_key=table, check_name=kind, passed=True, metadata={"expectations": 0}
                    )
                    continue
                yield dg.AssetCheckResult(
                    asset_key=table,
                    check_name=kind,
                    passed=group.passed,
                    severity=dg.AssetCheckSeverity.ERROR
                    if group.severity == "critical"
                    else dg.AssetCheckSeverity.WARN,
                    metadata=group.metadata,
                )

    return check
