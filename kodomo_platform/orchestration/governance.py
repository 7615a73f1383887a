"""Assets around governance: what is open and closed for a run, before anything is read."""

import datetime as dt

import dagster as dg

from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.warehouse import warehouse


@dg.asset(
    key="governance_decisions",
    group_name="governance",
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"duckdb"},
    description="この実行で使ってよい項目と使えない項目を、根拠・期間・利用目的から決めます。使えない項目の手持ちの値は消します。\n\n"
    "What may be used in this run and what may not, from grounds, periods and purposes; held values of what may not are dropped.",
)
@retried
def governance_decisions(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform import operations
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.policy import grounds
    from kodomo_platform.policy.duties import require_roles

    municipality = load_municipality(context.partition_key)
    require_roles(municipality)
    today = dt.date.today()
    shut = grounds.closures(municipality, today)
    with warehouse(municipality.code) as con:
        dropped = grounds.drop_held(con, municipality, shut)
    if shut:
        act = operations.by_pipeline("grounds of the day", context.run_id, purpose="governance")
        detail = ", ".join(f"{item} {closed.why.value}" for item, closed in sorted(shut.items()))
        operations.audit(act, "items closed", f"{len(shut)} items", municipality=municipality.code, detail=detail)
    for item, rows in sorted(dropped.items()):
        context.log.info(f"{item}: {rows} values dropped")
    soon = grounds.endings(municipality, today)
    for ending in soon:
        context.log.warning(f"{ending.item}: its ground ends on {ending.ends_on} ({ending.days} days)")
    return dg.MaterializeResult(
        metadata={
            "closed": {item: closed.why.value for item, closed in sorted(shut.items())},
            "values_dropped": sum(dropped.values()),
            "ending_within_60_days": [f"{ending.item} {ending.ends_on}" for ending in soon],
            "grounds_on_record": len(operations.governance_records(municipality.code, "ground")),
        }
    )
