"""dbt models as assets: cleansing, linkage and marts, with column lineage on every one."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_event import DbtCoreCliEventMessage

from kodomo_platform.installation.processes import die_with_parent
from kodomo_platform.orchestration import dbt_process
from kodomo_platform.orchestration.column_lineage import column_lineage
from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.settings import get_settings
from kodomo_platform.shipped import is_installed, shipped_folder

PROJECT_DIR = shipped_folder("dbt_project")
# an installed package may lie where nobody may write: what dbt derives from the project then belongs to the home
_DERIVED = get_settings().home / "dbt" / "project" if is_installed() else PROJECT_DIR / "target"
MANIFEST = _DERIVED / "manifest.json"
PARSED = MANIFEST.with_name("partial_parse.msgpack")
STAMP = MANIFEST.with_name("project.sha256")

# Which asset stands for the tables of a dbt source schema that are not one asset each.
_SOURCE_ASSETS = {"cfg": "run_configuration", "ops": "known_child_ids"}
_RAW_LEDGER = {"files", "rejects", "gaiji", "dropped_columns"}


class HouseTranslator(DagsterDbtTranslator):
    """dbt names to asset keys: one word each, the same as the table's name."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        if dbt_resource_props["resource_type"] == "source":
            schema, name = dbt_resource_props["schema"], dbt_resource_props["name"]
            if schema in _SOURCE_ASSETS:
                return dg.AssetKey(_SOURCE_ASSETS[schema])
            if schema == "raw" and name in _RAW_LEDGER:
                return dg.AssetKey("run_configuration")
            return dg.AssetKey(name)
        return dg.AssetKey(dbt_resource_props["name"])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        folder = dbt_resource_props["fqn"][1]
        if folder == "staging":
            # stg_<domain>__<source>: cleansing stands beside the extract it cleanses
            name = str(dbt_resource_props["name"])
            return name.removeprefix("stg_").split("__")[0] if name.startswith("stg_") else "cleansing"
        return str(folder)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return OWNERS

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        english = str(dbt_resource_props.get("description") or "")
        japanese = dbt_resource_props.get("meta", {}).get("description_ja")
        return f"{japanese}\n\n{english}" if japanese else english


@lru_cache(maxsize=1)
def manifest() -> dict[str, Any]:
    """dbt's manifest; built by ``make setup``, here only when it is missing or the project has changed since."""
    if not MANIFEST.exists() or not STAMP.exists() or STAMP.read_text(encoding="utf-8") != project_hash():
        compile_project()
    loaded: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return loaded


def project_hash() -> str:
    """Hash of the dbt project's files: a manifest of other files would name models and tests that are not there."""
    digest = hashlib.sha256()
    for path in sorted(PROJECT_DIR.rglob("*")):
        if path.suffix in {".sql", ".py", ".yml"} and "target" not in path.relative_to(PROJECT_DIR).parts:
            digest.update(str(path.relative_to(PROJECT_DIR)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def compile_project() -> None:
    """Write dbt's manifest with compiled SQL, over an empty warehouse.

    A temporary target and a rename keep parallel workers from reading half of it. Compiled, not only parsed: column
    lineage is read from the SQL that will run.
    """
    import subprocess
    import sys
    import tempfile

    MANIFEST.parent.mkdir(parents=True, exist_ok=True)
    stamp = project_hash()
    with tempfile.TemporaryDirectory(dir=MANIFEST.parent, prefix=".compile-") as folder:
        executable = Path(sys.executable).with_name("dbt")
        variables = json.dumps({"warehouse": str(Path(folder) / "empty.duckdb")})
        done = subprocess.run(
            [
                *(str(executable), "--quiet", "compile", "--vars", variables),
                *("--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)),
                *("--target-path", folder, "--log-path", folder),
            ],
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=die_with_parent,
            env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"dbt could not compile the project:\n{done.stdout}\n{done.stderr}")
        Path(folder, "manifest.json").replace(MANIFEST)
        Path(folder, PARSED.name).replace(PARSED)
    STAMP.write_text(stamp, encoding="utf-8")
    manifest.cache_clear()


def dbt_arguments(code: str) -> list[str]:
    """Arguments of one dbt build over one municipality's warehouse (the date stands in cfg.run)."""
    variables = {"warehouse": str(get_settings().warehouse(code))}
    # unit tests hold for the code, not for the data: they run in the test suite
    return ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(variables)]


def _build(context: dg.AssetExecutionContext) -> Iterator[Any]:
    """dbt's models and tests of this step as Dagster's events."""
    municipality = partition_municipality(context)
    target = get_settings().dbt_target(municipality.code)
    target.mkdir(parents=True, exist_ok=True)
    asked = get_updated_cli_invocation_params_for_context(context, manifest(), _TRANSLATOR)
    lineage = column_lineage()
    for raw in dbt_process.events(
        [*dbt_arguments(municipality.code), *asked.selection_args],
        project=PROJECT_DIR,
        parsed=PARSED,
        target=target,
        indirect_selection=asked.indirect_selection,
    ):
        print(raw["info"]["msg"])  # into Dagster's log of the step
        said = DbtCoreCliEventMessage(raw_event=raw, event_history_metadata={})
        for event in said.to_default_asset_events(
            manifest=asked.manifest,
            dagster_dbt_translator=asked.dagster_dbt_translator,
            context=context,
            target_path=target,
        ):
            if isinstance(event, dg.Output):
                # the event's name is the table's; the lineage was derived from the compiled SQL once, not in every run
                name = context.asset_key_for_output(event.output_name).path[-1]
                if name in lineage:
                    yield event.with_metadata({**event.metadata, "dagster/column_lineage": lineage[name]})
                    continue
            yield event


_TRANSLATOR = HouseTranslator(
    settings=DagsterDbtTranslatorSettings(enable_asset_checks=True, enable_duplicate_source_asset_keys=True)
)


def dbt_asset_definitions() -> list[dg.AssetsDefinition]:
    """Two steps: cleansing; then linkage and marts. Quality looks at the raw tables before, at the marts after.

    Both ask for the run's settings only to hold the municipality's lock (dbt writes the warehouse).
    """

    @dbt_assets(
        manifest=manifest(),
        select="kodomo.staging",
        name="dbt_staging",
        partitions_def=MUNICIPALITIES,
        dagster_dbt_translator=_TRANSLATOR,
    )
    @retried
    def dbt_staging(context: dg.AssetExecutionContext, run_settings: RunSettings) -> Iterator[Any]:
        yield from _build(context)

    @dbt_assets(
        manifest=manifest(),
        select="kodomo.linkage kodomo.marts",
        name="dbt_linkage_and_marts",
        partitions_def=MUNICIPALITIES,
        dagster_dbt_translator=_TRANSLATOR,
    )
    @retried
    def dbt_linkage_and_marts(context: dg.AssetExecutionContext, run_settings: RunSettings) -> Iterator[Any]:
        yield from _build(context)

    return [dbt_staging, dbt_linkage_and_marts]
