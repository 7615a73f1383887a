"""Versions of the linkage model: recorded in MLflow, approved by a person, read by every run.

Experiment ``<code>/linkage``, registered model ``<code>-linkage``. The decision stands in the operations database under
the theme ``linkage``; a copy of every version lies at ``<home>/models/<code>/linkage/<sha256>.json``, so that linking
needs no server. A municipality without an approved version links with the shipped one. How weights are learnt is
`training`'s business.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.model import SHIPPED, LinkageModel, load_model, parse_model
from kodomo_platform.model_registry import (
    artifact,
    experiment_id,
    follow,
    mlflow_client,
    register,
    registered_versions,
)

if TYPE_CHECKING:
    from kodomo_platform.linkage.blind_test import BlindTest
    from kodomo_platform.operations import Approval

THEME = "linkage"
# a new version may miss so many pairs in a thousand more than the one it would replace; false pairs none more
MOST_RECALL_LOST = 0.002


@dataclass(frozen=True)
class Version:
    """A registered version with what its blind test counted."""

    municipality: str
    version: str
    run_id: str
    artifact_sha256: str
    floor: str
    aliases: tuple[str, ...]
    metrics: dict[str, float]

    @property
    def meets_floor(self) -> bool:
        return self.floor == "met"


@dataclass(frozen=True)
class TrainingReport:
    """What a training gave: the version to be approved or refused, and its blind test beside the standing model's."""

    municipality: str
    version: str
    run_id: str
    artifact_sha256: str
    labelled_pairs: int
    floor: str
    test: BlindTest = field(repr=False)
    standing: BlindTest = field(repr=False)


def registered_name(code: str) -> str:
    return f"{code}-{THEME}"


def model_path(code: str, sha256: str) -> Path:
    """The local copy of one version."""
    from kodomo_platform.settings import get_settings, municipality_code

    return get_settings().home / "models" / municipality_code(code) / THEME / f"{sha256}.json"


def approved_model(code: str) -> LinkageModel | None:
    """The approved version, or None: the shipped one links.

    Raises:
        LinkageError: the approved version was altered, or is neither kept here nor to be had from MLflow. Never does
            another one take its place in silence.
    """
    from kodomo_platform import operations

    approval = operations.approved_model(code, THEME)
    if approval is None:
        return None
    path = model_path(code, approval.artifact_sha256)
    if not path.exists():
        _fetch(code, approval)
    model = load_model(path)
    if model.sha256 != approval.artifact_sha256:
        raise LinkageError(
            "the linkage model is not the one that was approved",
            where=str(path),
            expected=f"SHA-256 {approval.artifact_sha256}",
            action="restore the file, or have the changed model approved; `kodomo linkage retire` goes back to the shipped one",
        )
    return model


def train_and_record(
    code: str,
    warehouses: Sequence[Path],
    *,
    truths: Sequence[Path] = (),
    run_id: str = "",
    code_version: str = "",
) -> TrainingReport:
    """Learn the weights from ``warehouses``, test them blind on the first, and record the version in MLflow.

    Nothing links with it until a person approves it.

    Raises:
        LinkageError: too few labelled pairs, a warehouse that was not linked, or MLflow out of reach.
    """
    from kodomo_platform.linkage.blind_test import blind_test
    from kodomo_platform.linkage.training import train_linkage_model

    standing_model = approved_model(code) or load_model(SHIPPED)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "model.json"
        base = Path(folder) / "base.json"
        base.write_text(standing_model.text, encoding="utf-8")
        model = train_linkage_model(
            warehouses, out, version=f"{code}-{len(versions(code)) + 1}", truths=truths, base=base
        )
        _keep(code, model)
    test = blind_test(warehouses[0], model)
    standing = blind_test(warehouses[0], standing_model)
    floor = floor_of(test, standing)
    try:
        return _record(code, model, standing_model, test, standing, floor, run_id, code_version)
    except Exception as error:
        raise LinkageError(
            f"the linkage training could not be recorded in MLflow ({type(error).__name__})",
            where=f"municipality {code}",
            action="see that the MLflow server or database can be reached; linking goes on with the standing model",
        ) from error


def floor_of(test: BlindTest, standing: BlindTest) -> str:
    """``met``, or in words what the new version does worse than the standing one on the same pairs."""
    broken = []
    if test.fp > standing.fp:
        broken.append(f"{test.fp} false pairs, the standing model {standing.fp}")
    recall, before = (found.tp / max(found.tp + found.fn, 1) for found in (test, standing))
    if recall < before - MOST_RECALL_LOST:
        broken.append(f"recall {recall:.4f}, the standing model {before:.4f}")
    if test.tp + test.fn == 0:
        broken.append("nobody in the test half bears a number: quality is unknown")
    return "; ".join(broken) or "met"


def versions(code: str) -> list[Version]:
    """All registered versions, newest first; none when MLflow has never heard of this municipality's linkage.

    Raises LinkageError when MLflow cannot be reached: that is not the same as nothing trained.
    """
    try:
        found = registered_versions(registered_name(code))
    except Exception as error:
        raise LinkageError(
            f"MLflow cannot be asked for the trained versions ({type(error).__name__})",
            where=f"municipality {code}",
            action="start the MLflow server (kodomo ui) or mend KODOMO_MLFLOW_TRACKING_URI; linking goes on meanwhile",
        ) from error
    return [
        Version(
            code,
            row.version,
            row.run_id,
            row.tags.get("artifact_sha256", ""),
            row.tags.get("floor", ""),
            row.aliases,
            row.metrics,
        )
        for row in found
    ]


def approve(code: str, version: str | None = None, *, by: str, reason: str) -> Approval:
    """Let one version (None: the challenger) link from the next run on.

    Raises:
        LinkageError: no such version; it does worse than the standing one; or its file is not the one that was trained.
    """
    from kodomo_platform import operations

    row = _find(code, version)
    if not row.meets_floor:
        raise LinkageError(
            f"this version does worse than the standing model ({row.floor})",
            where=f"municipality {code}, linkage model version {row.version}",
            action="keep the standing model, or train on more municipalities",
        )
    model = load_model(model_path(code, row.artifact_sha256))
    if model.sha256 != row.artifact_sha256:
        raise LinkageError(
            "the model file is not the one that was trained",
            where=str(model_path(code, row.artifact_sha256)),
            expected=f"SHA-256 {row.artifact_sha256}",
            action="restore the file from MLflow, or train again",
        )
    act = operations.Act(by, reason, "model approval")
    approval = operations.approve_model(
        code, THEME, registered_name(code), row.version, row.run_id, row.artifact_sha256, act
    )
    follow(registered_name(code), "champion", row.version)
    return approval


def reject(code: str, version: str | None = None, *, by: str, reason: str) -> Approval:
    """Record that one version was looked at and refused."""
    from kodomo_platform import operations

    row = _find(code, version)
    act = operations.Act(by, reason, "model approval")
    return operations.reject_model(
        code, THEME, registered_name(code), row.version, row.run_id, row.artifact_sha256, act
    )


def retire(code: str, *, by: str, reason: str) -> Approval:
    """Take the approved version out of use: the shipped model links from the next run on."""
    from kodomo_platform import operations

    approval = operations.retire_model(code, THEME, operations.Act(by, reason, "model approval"))
    follow(registered_name(code), "champion", None)
    return approval


def _find(code: str, version: str | None) -> Version:
    found = versions(code)
    for row in found:
        if row.version == version or (version is None and "challenger" in row.aliases):
            return row
    raise LinkageError(
        "no such version of the linkage model" if version else "no linkage model was trained yet",
        where=f"municipality {code}",
        expected=f"one of {', '.join(row.version for row in found)}" if found else "a trained version",
        action="`kodomo linkage train` first, or see `kodomo linkage models`",
    )


def _keep(code: str, model: LinkageModel) -> None:
    path = model_path(code, model.sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}.part")
    aside.write_text(model.text, encoding="utf-8")
    aside.replace(path)


def _fetch(code: str, approval: Approval) -> None:
    """Bring the approved version's local copy back from MLflow."""
    where = f"municipality {code}, MLflow run {approval.run_id}"
    try:
        text = artifact(approval.run_id, "model/model.json").decode()
    except Exception as error:
        raise LinkageError(
            "the approved linkage model is neither kept here nor to be had from MLflow",
            where=where,
            action="start the MLflow server, or `kodomo linkage retire`: then the shipped model links",
        ) from error
    model = parse_model(text, where)
    if model.sha256 != approval.artifact_sha256:
        raise LinkageError(
            "the linkage model in MLflow is not the one that was approved",
            where=where,
            expected=f"SHA-256 {approval.artifact_sha256}",
            action="restore the file, or have the changed model approved",
        )
    _keep(code, model)


def _record(
    code: str,
    model: LinkageModel,
    standing_model: LinkageModel,
    test: BlindTest,
    standing: BlindTest,
    floor: str,
    run_id: str,
    code_version: str,
) -> TrainingReport:
    import time

    from mlflow.entities import Metric, Param

    from kodomo_platform.linkage.model_report import report_data, report_html

    client = mlflow_client()
    tags = {
        "municipality": code,
        "theme": THEME,
        "dagster_run_id": run_id,
        "code_version": code_version,
        "artifact_sha256": model.sha256,
        "base_sha256": standing_model.sha256,
        "floor": floor[:500],
        "labels": str(model.training["labels"]),
    }
    run = client.create_run(experiment_id(client, f"{code}/{THEME}"), run_name=f"linkage {model.version}", tags=tags)
    mlflow_run = str(run.info.run_id)
    now = int(time.time() * 1000)
    numbers: dict[str, float] = {"labelled_pairs": float(model.training["labelled_pairs"])}
    for name, found in (("test", test), ("standing", standing)):
        numbers |= {
            f"{name}.precision": found.tp / max(found.tp + found.fp, 1),
            f"{name}.recall": found.tp / max(found.tp + found.fn, 1),
            f"{name}.false_pairs": found.fp,
            f"{name}.missed_pairs": found.fn,
            f"{name}.queued_pairs": found.queued,
        }
    client.log_batch(
        mlflow_run,
        metrics=[Metric(key, float(value), now, 0) for key, value in numbers.items()],
        params=[Param(key, str(getattr(model, key))) for key in ("version", "match", "review", "margin_bits")],
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / "model").mkdir()
        (out / "model" / "model.json").write_text(model.text, encoding="utf-8")
        data = report_data(model, standing_model, test, standing, floor)
        (out / "charts.json").write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        (out / "charts.html").write_text(report_html(code, data), encoding="utf-8")
        client.log_artifacts(mlflow_run, str(out))
    client.set_terminated(mlflow_run)
    version = register(
        client,
        registered_name(code),
        run,
        {"municipality": code, "theme": THEME},
        {"artifact_sha256": model.sha256, "floor": tags["floor"]},
    )
    return TrainingReport(
        code,
        version,
        mlflow_run,
        model.sha256,
        int(model.training["labelled_pairs"]),
        floor,
        test,
        standing,
    )
