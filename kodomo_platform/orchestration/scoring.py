"""Assets of the scoring room: candidates to be reviewed, and scores by the approved version alone."""

import warnings
from typing import Any

import dagster as dg
from dagster import PreviewWarning

from kodomo_platform.messages import in_both
from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.orchestration.versions import code_version
from kodomo_platform.warehouse import warehouse


@dg.asset(
    key="risk_model",
    group_name="scoring",
    deps=["mart_training_features", "mart_outcome"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"mlflow", "scikitlearn"},
    description="判定モデルの候補を学習し、MLflowに記録します。承認は人が行います（kodomo model review / approve）。\n\n"
    "Candidate models per theme, trained on earlier dates, tested on later ones, recorded in MLflow. Only a person promotes.",
)
@retried
def risk_model(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.errors import ScoringError
    from kodomo_platform.scoring import train

    municipality = partition_municipality(context)
    as_of = run_settings.as_of_date(municipality)
    metadata: dict[str, Any] = {"as_of_date": as_of.isoformat()}
    with warehouse(municipality.code) as con:
        for theme in municipality.themes:
            try:
                report = train(con, municipality, theme.key, as_of, run_id=context.run_id, code_version=code_version())
            except ScoringError as error:
                # too few outcomes is a fact about this municipality, not a failure: criteria go on scoring alone
                context.log.warning("no model for theme %s: %s", theme.key, error)
                metadata[f"{theme.key}_trained"] = False
                metadata[f"{theme.key}_reason"] = in_both(error)
                continue
            metadata[f"{theme.key}_trained"] = True
            metadata[f"{theme.key}_mlflow_run_id"] = report.mlflow_run_id
            metadata[f"{theme.key}_model"] = f"{report.model_name} {report.model_version}"
            for name, value in report.metrics.items():
                metadata[f"{theme.key}_{name}"] = float(value)
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(
    key="risk_scores",
    group_name="scoring",
    deps=["mart_child_features", "mart_child", "risk_model"],
    partitions_def=MUNICIPALITIES,
    owners=OWNERS,
    kinds={"duckdb", "scikitlearn"},
    description="リスク判定。承認されたモデルと判定基準で点数・順位・理由を出します。承認がなければ判定基準だけで判定し、そのことを記します。\n\n"
    "Risk scores with versions and reasons, by the approved model; by criteria alone, and saying so, while none is approved.",
)
@retried
def risk_scores(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.scoring import score

    municipality = partition_municipality(context)
    as_of = run_settings.as_of_date(municipality)
    with warehouse(municipality.code) as con:
        report = score(con, municipality, as_of, context.run_id, code_version())
        rows = con.execute(
            """
            select theme, count(*), count(*) filter (where alert), count(*) filter (where not determinable),
                   any_value(model_name), any_value(model_version), any_value(mlflow_run_id), any_value(score_version)
            from marts.risk_scores group by theme order by theme
            """
        ).fetchall()
    notes = {row.theme: row.note for row in report.themes}
    table = dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "theme": theme,
                    "children": children,
                    "alerts": alerts,
                    "undetermined": undetermined,
                    "model": f"{name} {version or ''}".strip(),
                    "mlflow_run_id": run or "",
                    "score_version": score_version,
                    "note": notes.get(theme, ""),
                }
            )
            for theme, children, alerts, undetermined, name, version, run, score_version in rows
        ]
    )
    return dg.MaterializeResult(
        metadata={"scores": table, "dagster/row_count": sum(row[1] for row in rows), "as_of_date": as_of.isoformat()}
    )


# partitioned checks are marked preview, and nothing else of them is used
with warnings.catch_warnings():
    warnings.simplefilter("ignore", PreviewWarning)

    @dg.asset_check(
        asset="risk_scores",
        name="retirement_proposals",
        partitions_def=MUNICIPALITIES,
        description="承認済みモデルの引退を提案する理由がないか（新しい結果、分布の変化、使われないアラート）。引退は人が決めます。\n\n"
        "What speaks for retiring an approved model. It proposes; a person retires (kodomo model retire).",
    )
    @retried
    def retirement_proposals(context: dg.AssetCheckExecutionContext, run_settings: RunSettings) -> dg.AssetCheckResult:
        from kodomo_platform.scoring.outcomes import retirement_proposals as proposed

        municipality = partition_municipality(context)
        with warehouse(municipality.code) as con:
            proposals = proposed(con, municipality.code, run_settings.as_of_date(municipality))
        return dg.AssetCheckResult(
            passed=not proposals,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={
                "proposals": len(proposals),
                **{
                    f"{row.theme}_{number}": f"version {row.version}: {row.reason_ja} / {row.reason_en}"
                    for number, row in enumerate(proposals, start=1)
                },
            },
        )
