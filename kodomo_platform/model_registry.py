"""MLflow as every room asks it: one client, an experiment made once, versions that enter as challengers, aliases.

What is measured and who decides belong to the rooms; the operations database decides, and the registry follows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kodomo_platform.settings import get_settings


@dataclass(frozen=True)
class Registered:
    """One version of a registered model, with the tags of the version and the metrics and tags of its run."""

    version: str
    run_id: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    metrics: dict[str, float]
    run_tags: dict[str, str]


def mlflow_client() -> Any:
    """A client of the tracking server or database of the settings."""
    import mlflow

    settings = get_settings()
    settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    return mlflow.MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)


def experiment_id(client: Any, name: str) -> str:
    """Id of the experiment, created on first use; two municipalities may ask at once."""
    found = client.get_experiment_by_name(name)
    if found is None:
        settings = get_settings()
        local = settings.mlflow_tracking_uri.startswith("sqlite")
        location = (settings.mlflow_dir / "artifacts" / name.replace("/", "-")).as_uri() if local else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except Exception:  # somebody else may have made it meanwhile
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def register(client: Any, name: str, run: Any, owner: Mapping[str, str], tags: Mapping[str, str]) -> str:
    """Register ``model/`` of ``run`` as the newest version of ``name`` and as its challenger; returns the version.

    ``owner`` are tags of the registered model itself, written when it is new.
    """
    try:
        client.get_registered_model(name)
    except Exception:
        client.create_registered_model(name, tags=dict(owner))
    version = client.create_model_version(
        name, source=f"{run.info.artifact_uri}/model", run_id=run.info.run_id, tags=dict(tags)
    )
    client.set_registered_model_alias(name, "challenger", version.version)
    return str(version.version)


def registered_versions(name: str) -> list[Registered]:
    """All versions of ``name``, newest first; none when MLflow knows no such model.

    Raises whatever the client raises when MLflow cannot be reached: that is not the same as nothing registered.
    """
    from mlflow.exceptions import MlflowException

    client = mlflow_client()
    try:
        registered = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return []
        raise
    aliases: dict[str, list[str]] = {}
    for alias, version in dict(registered.aliases or {}).items():
        aliases.setdefault(str(version), []).append(alias)
    out = []
    for row in client.search_model_versions(f"name = '{name}'"):
        run = client.get_run(row.run_id)
        out.append(
            Registered(
                str(row.version),
                str(row.run_id),
                tuple(sorted(aliases.get(str(row.version), []))),
                dict(row.tags),
                dict(run.data.metrics),
                dict(run.data.tags),
            )
        )
    return sorted(out, key=lambda version: -int(version.version))


def follow(name: str, alias: str, version: str | None) -> None:
    """Set ``alias`` to ``version`` (None: take it away). A registry out of reach changes nothing: it does not decide."""
    try:
        client = mlflow_client()
        if version is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, version)
    except Exception:
        return


def artifact(run_id: str, path: str) -> bytes:
    """The bytes of one artifact of a run, by way of a folder that is gone afterwards. Raises what MLflow raises."""
    import mlflow

    mlflow.set_tracking_uri(get_settings().mlflow_tracking_uri)
    with tempfile.TemporaryDirectory() as folder:
        return Path(
            mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path, dst_path=folder)
        ).read_bytes()
