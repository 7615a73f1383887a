"""Model files: where they lie, and which of them may score.

``<home>/models/<code>/<theme>/<sha256>.json`` keeps every file that training wrote, beside its copy in MLflow: scoring
needs no server. Only the version that a person approved in the operations database is ever read, and only when its bytes
are the approved ones.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kodomo_platform import operations
from kodomo_platform.errors import ScoringError
from kodomo_platform.model_registry import artifact
from kodomo_platform.scoring.additive import AdditiveModel, parse_model, read_model
from kodomo_platform.scoring.evaluation import GroupCounts
from kodomo_platform.scoring.themes import Theme
from kodomo_platform.settings import get_settings, municipality_code


@dataclass(frozen=True)
class ApprovedModel:
    """The model that may score, and where it comes from."""

    model: AdditiveModel
    version: str
    run_id: str
    sha256: str
    note: str


def model_path(code: str, theme: str, sha256: str) -> Path:
    """The local copy of one model file."""
    return get_settings().home / "models" / municipality_code(code) / theme / f"{sha256}.json"


def keep(code: str, model: AdditiveModel) -> tuple[Path, str]:
    """Write ``model`` beside the others (whole or not at all) and return its path and SHA-256."""
    data = model.to_json().encode()
    sha256 = hashlib.sha256(data).hexdigest()
    path = model_path(code, model.theme, sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.part")
    aside.write_bytes(data)
    aside.replace(path)
    return path, sha256


def keep_counts(code: str, theme: str, sha256: str, counts: Sequence[GroupCounts]) -> None:
    """Keep the counts of each group beside the model they are of, so that municipalities can be added up.

    They may stand for single children, so they stay here and never go to MLflow.
    """
    path = get_settings().home / "models" / municipality_code(code) / theme / "groups.json"
    rows = [{**vars(row), "drawn": row.drawn.round(6).tolist()} for row in counts]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.part")
    aside.write_text(json.dumps({"artifact_sha256": sha256, "groups": rows}), encoding="utf-8")
    aside.replace(path)


@dataclass(frozen=True)
class KeptCounts:
    """The groups' counts of one training, and the model file that they are of."""

    artifact_sha256: str
    counts: list[GroupCounts]


def kept_counts(theme: str) -> dict[str, KeptCounts]:
    """The counts of the newest training of ``theme`` at each municipality of this home, by municipality code."""
    out = {}
    for path in sorted((get_settings().home / "models").glob(f"*/{theme}/groups.json")):
        kept = json.loads(path.read_text(encoding="utf-8"))
        counts = [GroupCounts(**{**row, "drawn": np.array(row["drawn"])}) for row in kept["groups"]]
        out[path.parent.parent.name] = KeptCounts(kept["artifact_sha256"], counts)
    return out


def approved(code: str, theme: Theme) -> ApprovedModel | None:
    """The approved model of one theme, or None: then the criteria score alone.

    Raises ScoringError when the file was altered, is of another theme, or is nowhere to be found: a model that a person
    approved is never silently replaced.
    """
    approval = operations.approved_model(code, theme.key)
    if approval is None:
        return None
    path = model_path(code, theme.key, approval.artifact_sha256)
    note = f"model {approval.model_name} version {approval.version}, approved by {approval.by}: {approval.reason}"
    if path.exists():
        model = read_model(path, approval.artifact_sha256)
        note += " (read from the copy kept here; MLflow is not asked)"
    else:
        model = _from_mlflow(code, theme.key, approval.run_id, approval.artifact_sha256)
        note += " (fetched from MLflow)"
    if model.theme != theme.key:
        raise ScoringError("the approved model answers another theme", where=f"municipality {code}, theme {theme.key}")
    return ApprovedModel(model, str(approval.version), approval.run_id, approval.artifact_sha256, note)


def _from_mlflow(code: str, theme: str, run_id: str, sha256: str) -> AdditiveModel:
    try:
        data = artifact(run_id, "model/model.json")
    except Exception as error:
        raise ScoringError(
            "the approved model is neither kept here nor to be had from MLflow",
            where=f"municipality {code}, theme {theme}, MLflow run {run_id}",
            action="start the MLflow server, or retire the model: then the criteria score alone",
        ) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ScoringError(
            "the model file in MLflow is not the one that was approved",
            where=f"municipality {code}, theme {theme}, MLflow run {run_id}",
            expected=f"SHA-256 {sha256}",
            action="restore the file, or have the changed model reviewed and approved",
        )
    model = parse_model(data, "model.json")
    keep(code, model)
    return model
