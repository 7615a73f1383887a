"""What MLflow keeps of one training: runs, datasets, parameters, figures, model card, and the registered version.

One experiment per municipality and theme, one run per training, one nested run per candidate. Nothing that is written
here knows a child: counts, shares and hashes only. Measuring belongs to `evaluation`, deciding to `review`.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kodomo_platform.errors import ScoringError
from kodomo_platform.model_registry import experiment_id, mlflow_client, register
from kodomo_platform.scoring import artifacts
from kodomo_platform.scoring.additive import AdditiveModel, Floats
from kodomo_platform.scoring.candidates import Ints
from kodomo_platform.scoring.evaluation import Evaluation
from kodomo_platform.scoring.expert_cases import Verdict
from kodomo_platform.scoring.model_card import figures, model_card
from kodomo_platform.scoring.themes import Feature, Theme

# MLflow cuts a dataset's digest here; the whole SHA-256 stands in the tag and in the dataset's source.
_DIGEST = 36
# Named in the stored model: no loader of MLflow knows it, so that nothing can be run by loading it there.
FLAVOR = "kodomo_additive"


@dataclass(frozen=True)
class Finding:
    """All that one training found out, ready to be kept."""

    municipality: str
    theme: Theme
    features: Mapping[str, Feature]
    as_of: dt.date
    dagster_run_id: str
    code_version: str
    dataset_sha256: str
    snapshot: str  # SHA-256 over the extracts that the marts were built from
    dates: Sequence[dt.date]
    rows: int
    outcomes: int
    columns: tuple[str, ...]
    later_dates: bool
    parameters: Mapping[str, Any]
    candidate_parameters: Mapping[str, Mapping[str, Any]]
    model: AdditiveModel
    chosen: str
    results: Mapping[str, Mapping[str, float]]
    spread: Mapping[str, Mapping[str, tuple[float, float]]]
    metrics: Mapping[str, float]
    complete: Mapping[str, float]  # Brier on held-out rows, per candidate that is fitted
    masked: Mapping[str, Mapping[str, float]]  # the same with each source gone
    failures: Sequence[str]
    evaluation: Evaluation
    probabilities: Mapping[str, Floats]
    y: Ints
    verdicts: Mapping[str, list[Verdict]]


@dataclass(frozen=True)
class Recorded:
    """Where a training stands in MLflow."""

    run_id: str
    version: str
    artifact_sha256: str


def registered_name(code: str, theme: str) -> str:
    """Name of the registered model in MLflow."""
    return f"{code}-{theme}"


def case_measures(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """How a candidate stood up to the written cases, under the names they have in MLflow."""
    return {
        "expert_cases": float(len(verdicts)),
        "expert_cases_passed": float(sum(v.passed for v in verdicts)),
        "expert_cases_severe_low": float(sum(v.blocks for v in verdicts)),
    }


def record(found: Finding) -> Recorded:
    """Keep the model file, log everything and register the version as challenger.

    Raises ScoringError when MLflow cannot be reached; the model file and what is approved are untouched by that.
    """
    path, sha256 = artifacts.keep(found.municipality, found.model)
    tags = _tags(found, sha256)
    try:
        client = mlflow_client()
        experiment = experiment_id(client, f"{found.municipality}/{found.theme.key}")
        parent = client.create_run(experiment, run_name=f"{found.theme.key} {found.as_of}", tags=tags)
        run_id = str(parent.info.run_id)
        _log(
            client,
            run_id,
            {**found.metrics, **_masked(found, found.chosen)},
            _parameters(found),
        )
        _log_months(client, run_id, found.evaluation)
        _log_dataset(client, run_id, found)
        for name, values in found.results.items():
            _nested(client, experiment, run_id, tags, name, values, found)
        with tempfile.TemporaryDirectory() as folder:
            _artifacts(Path(folder), path, run_id, found)
            client.log_artifacts(run_id, folder)
        client.set_terminated(run_id)
        version = register(
            client,
            registered_name(found.municipality, found.theme.key),
            parent,
            {"municipality": found.municipality, "theme": found.theme.key},
            {"artifact_sha256": sha256, "candidate": found.chosen, "floor": tags["floor"]},
        )
    except ScoringError:
        raise
    except Exception as error:
        raise ScoringError(
            f"the training could not be recorded in MLflow ({type(error).__name__})",
            where=f"municipality {found.municipality}, theme {found.theme.key}",
            action="see that the MLflow server or database can be reached; scoring goes on with the approved model",
        ) from error
    return Recorded(run_id, version, sha256)


def _tags(found: Finding, sha256: str) -> dict[str, str]:
    return {
        "municipality": found.municipality,
        "theme": found.theme.key,
        "as_of_date": found.as_of.isoformat(),
        "dagster_run_id": found.dagster_run_id,
        "code_version": found.code_version,
        "dataset_sha256": found.dataset_sha256,
        "snapshot": found.snapshot,
        "artifact_sha256": sha256,
        "feature_hash": found.theme.feature_hash(dict(found.features)),
        "criteria_hash": found.theme.criteria_hash,
        "chosen": found.chosen,
        "floor": "met" if not found.failures else ("broken: " + "; ".join(found.failures))[:1500],
        "split": "later dates and other households" if found.later_dates else "other households only",
    }


def _parameters(found: Finding) -> dict[str, Any]:
    theme = found.theme
    return {
        **found.parameters,
        "rows": found.rows,
        "features": len(found.columns),
        "horizon_months": theme.horizon_months,
        "known_months": theme.outcome.known_months,
        "population_ages": f"{theme.population.age_min}-{theme.population.age_max}",
        "as_of_dates": len(found.dates),
        "first_date": min(found.dates, default=""),
        "last_date": max(found.dates, default=""),
    }


def _masked(found: Finding, candidate: str) -> dict[str, float]:
    """Brier of one candidate with each source gone at scoring time, under the names they have in MLflow."""
    if candidate not in found.masked:
        return {}
    return {"held_out_brier": found.complete[candidate]} | {
        f"masked_brier.{source}": brier for source, brier in found.masked[candidate].items()
    }


def _nested(
    client: Any,
    experiment: str,
    parent: str,
    tags: Mapping[str, str],
    name: str,
    values: Mapping[str, float],
    found: Finding,
) -> None:
    """One candidate's run: its parameters, its measures with their intervals, and the written cases."""
    run = client.create_run(experiment, run_name=name, tags={**tags, "mlflow.parentRunId": parent, "candidate": name})
    run_id = run.info.run_id
    measured = dict(values) | case_measures(found.verdicts[name]) | _masked(found, name)
    for metric, (low, high) in found.spread.get(name, {}).items():
        measured |= {f"{metric}_low": low, f"{metric}_high": high}
    _log(client, run_id, measured, {"candidate": name, **found.candidate_parameters.get(name, {})})
    _log_dataset(client, run_id, found)
    cases = [
        v.case.model_dump(exclude_none=True)
        | {"score": v.score, "band": v.band, "passed": v.passed, "blocks": v.blocks}
        for v in found.verdicts[name]
    ]
    client.log_dict(run_id, {"cases": cases}, "expert_cases.json")
    client.set_terminated(run_id)


def _log(client: Any, run_id: str, metrics: Mapping[str, float], params: Mapping[str, Any]) -> None:
    import math

    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items() if math.isfinite(value)],
        params=[Param(key, str(value)) for key, value in params.items()],
    )


def _log_months(client: Any, run_id: str, evaluation: Evaluation) -> None:
    """The same measures by month, as MLflow's steps (YYYYMM): its own charts then draw them."""
    from mlflow.entities import Metric

    def points() -> Iterator[Any]:
        for row in evaluation.months:
            day = dt.date.fromisoformat(row["as_of_date"])
            moment = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp() * 1000)
            for key, value in row["measures"].items():
                yield Metric(f"by_month.{key}", float(value), moment, day.year * 100 + day.month)

    metrics = list(points())
    if metrics:
        client.log_batch(run_id, metrics=metrics)


def _log_dataset(client: Any, run_id: str, found: Finding) -> None:
    """The rows trained on, by our own SHA-256 over all of them: MLflow's own digest reads the first 10,000 alone."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    client.log_inputs(
        run_id,
        [
            DatasetInput(
                Dataset(
                    name=f"mart_training_features {found.municipality}/{found.theme.key}",
                    digest=found.dataset_sha256[:_DIGEST],
                    source_type="kodomo_marts",
                    source=json.dumps({"table": "marts.mart_training_features", "sha256": found.dataset_sha256}),
                    schema=json.dumps(
                        {"mlflow_colspec": [{"name": n, "type": "double", "required": False} for n in found.columns]}
                    ),
                    profile=json.dumps(
                        {"num_rows": found.rows, "outcomes": found.outcomes, "as_of_dates": len(found.dates)}
                    ),
                ),
                [InputTag("mlflow.data.context", "training")],
            )
        ],
    )


def _artifacts(folder: Path, model_file: Path, run_id: str, found: Finding) -> None:
    """Everything that people open: the model as JSON with its signature, the card, the figures, the evaluation."""
    (folder / "model").mkdir()
    (folder / "model" / "model.json").write_bytes(model_file.read_bytes())
    _describe_model(folder / "model", run_id, found)
    pictures = figures(
        found.y,
        found.probabilities,
        found.chosen,
        found.model,
        found.features,
        found.evaluation.groups,
        found.evaluation.months,
    )
    for name, picture in pictures.items():
        (folder / f"{name}.svg").write_bytes(picture)
    card = model_card(found, pictures)
    (folder / "model_card.html").write_text(card, encoding="utf-8")
    (folder / "evaluation.json").write_text(
        json.dumps(asdict(found.evaluation), ensure_ascii=False, indent=2, default=str), encoding="utf-8"
    )


def _describe_model(folder: Path, run_id: str, found: Finding) -> None:
    """MLflow's own description of the file: signature and flavor, and no loader that would run anything."""
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec(DataType.double, name, required=False) for name in found.columns]),
        outputs=Schema([ColSpec(DataType.double, "probability")]),
    )
    flavor = {"data": "model.json", "format": "JSON, additive terms", "code": None}
    Model(artifact_path="model", run_id=run_id, signature=signature, flavors={FLAVOR: flavor}).save(folder / "MLmodel")
