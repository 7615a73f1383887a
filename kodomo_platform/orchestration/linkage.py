"""Assets around linkage: ids known before it, ids kept after it."""

import dagster as dg

from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.warehouse import warehouse


@dg.asset(
    key="known_child_ids",
    group_name="linkage",
    deps=["run_configuration"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"duckdb"},
    description="これまでに付けたこどもIDと、人が下した名寄せの判断を、運用データベースから読み込みます。\n\n"
    "Child ids given so far and people's linkage decisions, read in from the operations database.",
)
def known_child_ids(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.linkage import load_known_ids

    municipality = partition_municipality(context)
    with warehouse(municipality.code) as con:
        known = load_known_ids(con, municipality.code)
    return dg.MaterializeResult(metadata={"known_records": known})


@dg.asset(
    key="child_ids",
    group_name="linkage",
    deps=["lnk_crosswalk", "lnk_review_queue", "lnk_metric", "lnk_household"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"sqlite"},
    description="名寄せの結果のうち、作り直せないもの（こどもIDとその履歴）を運用データベースに保存します。\n\n"
    "What linkage found and cannot be recomputed (child ids, their history), kept in the operations database.",
)
def child_ids(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.linkage import save_ids
    from kodomo_platform.orchestration.charts import share_chart

    municipality = partition_municipality(context)
    as_of = run_settings.as_of_date(municipality)
    with warehouse(municipality.code) as con:
        report = save_ids(con, municipality.code, as_of, context.run_id)
        methods = con.execute(
            "select match_method, count(*) from linkage.lnk_crosswalk group by all order by 2 desc, 1"
        ).fetchall()
        queue = con.execute("select count(*) from linkage.lnk_review_queue").fetchone()
    return dg.MaterializeResult(
        metadata={
            **{name: value for name, value in vars(report).items() if isinstance(value, int | str)},
            **{f"linked_by_{method}": count for method, count in methods},
            "review_queue": queue[0] if queue else 0,
            "linked_by_method": dg.MetadataValue.md(share_chart(dict(methods))),
        }
    )
