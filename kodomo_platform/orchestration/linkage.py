"""Assets around linkage: ids known before it, ids kept after it; checks on what it found."""

import warnings
from collections.abc import Iterator

import dagster as dg
from dagster import PreviewWarning

from kodomo_platform.linkage.watch import BLOCKING, CHECKS, Finding
from kodomo_platform.messages import in_both
from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.orchestration.versions import code_version
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
@retried
def known_child_ids(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.linkage import load_known_ids

    municipality = partition_municipality(context)
    with warehouse(municipality.code) as con:
        known = load_known_ids(con, municipality.code)
    return dg.MaterializeResult(metadata={"known_records": known})


@dg.asset(
    key="child_ids",
    group_name="linkage",
    deps=["lnk_crosswalk", "lnk_review_queue", "lnk_metric", "lnk_household", "lnk_guardian"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"sqlite"},
    description="名寄せの結果のうち、作り直せないもの（こどもIDとその履歴）を運用データベースに保存します。\n\n"
    "What linkage found and cannot be recomputed (child ids, their history), kept in the operations database.",
)
@retried
def child_ids(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.linkage import save_ids
    from kodomo_platform.linkage.watch import keep_history, put_back_history, read_metrics, save_history, trend
    from kodomo_platform.orchestration.charts import share_chart

    municipality = partition_municipality(context)
    as_of = run_settings.as_of_date(municipality)
    with warehouse(municipality.code) as con:
        report = save_ids(con, municipality.code, as_of, context.run_id)
        methods = con.execute(
            "select match_method, count(*) from linkage.lnk_crosswalk group by all order by 2 desc, 1"
        ).fetchall()
        queue = con.execute("select count(*) from linkage.lnk_review_queue").fetchone()
        model = con.execute("select version, sha256 from linkage.lnk_model").fetchone() or ("", "")
        put_back_history(con, municipality.code)
        keep_history(con, context.run_id, as_of)
        save_history(con, municipality.code, context.run_id)
        watched = {metric: value for (metric, source), value in read_metrics(con).items() if not source}
        counted = con.execute("select metric, value from linkage.lnk_run_count").fetchall()
        history = trend(con)
    return dg.MaterializeResult(
        metadata={
            **watched,
            **dict(counted),
            "trend": dg.MetadataValue.md(history),
            **{name: value for name, value in vars(report).items() if isinstance(value, int | str)},
            **{f"linked_by_{method}": count for method, count in methods},
            "review_queue": queue[0] if queue else 0,
            "linkage_model_version": str(model[0]),
            "linkage_model_sha256": str(model[1]),
            "linked_by_method": dg.MetadataValue.md(share_chart(dict(methods))),
        }
    )


with warnings.catch_warnings():
    # partitioned checks are "preview" in this version, pinned and tested here
    warnings.simplefilter("ignore", PreviewWarning)
    _SPECS = [
        dg.AssetCheckSpec(
            name=name, asset="lnk_metric", blocking=name in BLOCKING, partitions_def=MUNICIPALITIES, description=said
        )
        for name, said in CHECKS.items()
    ]


def _to_do(finding: Finding, code: str) -> str:
    """The check, and who does what about it: people decide pairs, an office mends its numbers."""
    return (
        f"{CHECKS[finding.check]}（{finding.found:g}、上限 {finding.limit:g}） → 名寄せの確認をする職員: "
        f"`kodomo review list --municipality {code}` で組を見て `kodomo review decide` で判断してください。多すぎるときは、"
        "番号や生年月日の列を書き出した担当に抽出を確かめてもらいます / decide the pairs; of very many, ask the offices whether "
        "numbers or dates of birth were exported rightly"
    )


@dg.multi_asset_check(name="linkage_checks", specs=_SPECS)
@retried
def linkage_checks(context: dg.AssetCheckExecutionContext, run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
    """Contradictions stop the run before any id is kept; the rest is told."""
    from kodomo_platform.linkage.watch import CRITICAL, PASSED, former_metrics, judge, put_back_history, read_metrics

    municipality = partition_municipality(context)
    with warehouse(municipality.code) as con:
        put_back_history(con, municipality.code)
        findings = judge(read_metrics(con), former_metrics(con, context.run.run_id))
    for finding in findings:
        yield dg.AssetCheckResult(
            asset_key="lnk_metric",
            check_name=finding.check,
            passed=finding.outcome == PASSED,
            severity=dg.AssetCheckSeverity.ERROR if finding.outcome == CRITICAL else dg.AssetCheckSeverity.WARN,
            metadata={
                "found": finding.found,
                "limit": finding.limit,
                "source": finding.source,
                **({"blocked_by": _to_do(finding, municipality.code)} if finding.outcome == CRITICAL else {}),
            },
        )


@dg.asset(
    key="linkage_model",
    group_name="linkage",
    deps=["lnk_identity", "lnk_edge"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"mlflow", "splink"},
    description="名寄せモデルの候補を、番号で結ばれた記録から学習し、図とともにMLflowに記録します。承認は人が行います"
    "（kodomo linkage approve）。承認まで、名寄せは現行のモデルだけで行われます。\n\n"
    "A candidate for the linkage model, learnt from the links that numbers made and tested with the numbers hidden; recorded "
    "in MLflow with its charts. Only a person promotes; runs link with the approved version alone.",
)
@retried
def linkage_model(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.errors import LinkageError
    from kodomo_platform.linkage.registry import train_and_record
    from kodomo_platform.settings import get_settings

    municipality = partition_municipality(context)
    path = get_settings().warehouse(municipality.code)
    try:
        report = train_and_record(municipality.code, [path], run_id=context.run_id, code_version=code_version())
    except LinkageError as error:
        # a municipality without numbers cannot teach: a fact, not a failure; the standing model goes on linking
        context.log.warning("no linkage model: %s", error)
        return dg.MaterializeResult(metadata={"trained": False, "reason": in_both(error)})
    return dg.MaterializeResult(
        metadata={
            "trained": True,
            "version": report.version,
            "mlflow_run_id": report.run_id,
            "artifact_sha256": report.artifact_sha256,
            "labelled_pairs": report.labelled_pairs,
            "floor": report.floor,
            "blind_test_false_pairs": report.test.fp,
            "blind_test_missed_pairs": report.test.fn,
            "blind_test_pairs": report.test.tp + report.test.fn,
            "standing_false_pairs": report.standing.fp,
            "standing_missed_pairs": report.standing.fn,
        }
    )
