"""The last asset: an immutable snapshot, and the pointer to it."""

import dagster as dg

from kodomo_platform.orchestration.column_lineage import lineage_document
from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.orchestration.versions import code_version
from kodomo_platform.warehouse import warehouse


@dg.asset(
    key="published_snapshot",
    group_name="publishing",
    deps=[
        "risk_scores",
        "child_ids",
        "mart_child",
        "mart_child_features",
        "lnk_crosswalk",
    ],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"parquet"},
    description="公開スナップショット。すべての検査を通ったときだけ、書き換えられない形で一式を書き出し、最後に current を切り替えます。\n\n"
    "Published snapshot: written whole and immutable only after every blocking check; `current` moves last.",
)
@retried
def published_snapshot(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.publishing import publish

    municipality = partition_municipality(context)
    as_of = run_settings.as_of_date(municipality)
    with warehouse(municipality.code) as con:
        snapshot = publish(
            con,
            municipality,
            as_of,
            dagster_run_id=context.run_id,
            code_version=code_version(),
            lineage=lineage_document(),
        )
    return dg.MaterializeResult(
        metadata={
            "path": dg.MetadataValue.path(str(snapshot.path)),
            "version": snapshot.version,
            "as_of_date": as_of.isoformat(),
            **{f"rows_{name}": count for name, count in snapshot.row_counts.items()},
        }
    )
