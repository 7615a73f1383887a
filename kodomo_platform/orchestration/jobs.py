"""The jobs. What starts them by itself stands in `automation`."""

import dagster as dg

# In one process: dbt runs as a subprocess, the rest shares one DuckDB file that only one process may write.
IN_PROCESS = dg.in_process_executor

_LINKAGE_MODEL = dg.AssetSelection.assets("linkage_model")
_TRAINING_ONLY = dg.AssetSelection.assets("risk_model") | _LINKAGE_MODEL
_EVERYTHING = dg.AssetSelection.all()

MUNICIPALITY_RUN = dg.define_asset_job(
    "municipality_run",
    selection=_EVERYTHING - _TRAINING_ONLY,
    executor_def=IN_PROCESS,
    description="届いたファイルから公開までの一連の処理（学習を除く）。\n\nLanding files to published snapshot, training apart.",
)
TRAINING = dg.define_asset_job(
    "training",
    selection=_EVERYTHING
    - _LINKAGE_MODEL
    - dg.AssetSelection.assets("risk_scores", "published_snapshot")
    - dg.AssetSelection.checks_for_assets("risk_scores", "published_snapshot"),
    executor_def=IN_PROCESS,
    config={"resources": {"run_settings": {"config": {"training": True}}}},
    description="判定モデルの候補の学習（年に一度、または求めに応じて）。\n\nTrain candidates: yearly, or when asked.",
)
SCORING = dg.define_asset_job(
    "scoring_and_publishing",
    selection=dg.AssetSelection.assets("risk_scores", "published_snapshot")
    | dg.AssetSelection.checks_for_assets("risk_scores", "published_snapshot"),
    executor_def=IN_PROCESS,
    description="モデルの承認後に、判定と公開だけをやり直します。\n\nScore and publish again, after an approval.",
)

LINKAGE_TRAINING = dg.define_asset_job(
    "linkage_training",
    selection=_LINKAGE_MODEL,
    executor_def=IN_PROCESS,
    description="名寄せモデルの候補の学習（年に一度、または求めに応じて）。定期実行は承認済みのモデルで予測するだけです。\n\n"
    "Train a candidate for the linkage model: yearly, or when asked. Scheduled runs only predict with the approved one.",
)
