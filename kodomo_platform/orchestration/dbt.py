"""dbt models as assets: cleansing, linkage and marts, with column lineage on every one."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, dbt_assets
from packaging import version

from kodomo_platform.orchestration.column_lineage import column_lineage
from kodomo_platform.orchestration.extracts import OWNERS
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.settings import get_settings

PROJECT_DIR = Path(__file__).resolve().parents[2] / "dbt_project"
MANIFEST = PROJECT_DIR / "target" / "manifest.json"
STAMP = PROJECT_DIR / "target" / "project.sha256"

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


class LeanDbt(DbtCliResource):
    """`DbtCliResource` without what no step here uses: it would ask ``dbt --version`` in a process of its own and load
    dbt's macros into Dagster's (for row counts after a run), some three seconds for each of a run's two steps.

    Both are private to dagster-dbt, whose version is locked; a test holds that they are still there to be replaced.
    """

    @property
    def _cli_version(self) -> version.Version:
        return version.parse(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


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
            env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        )
        if done.returncode != 0:
            raise RuntimeError(f"dbt could not compile the project:\n{done.stdout}\n{done.stderr}")
        Path(folder, "manifest.json").replace(MANIFEST)
        Path(folder, "partial_parse.msgpack").replace(MANIFEST.parent / "partial_parse.msgpack")
    STAMP.write_text(stamp, encoding="utf-8")
    manifest.cache_clear()


def dbt_arguments(code: str) -> list[str]:
    """Arguments of one dbt build over one municipality's warehouse.

    The warehouse is the only variable, and the same in every run (the date stands in cfg.run): a variable that changes
    makes dbt parse the whole project again.
    """
    variables = {"warehouse": str(get_settings().warehouse(code))}
    # unit tests hold for the code, not for the data: they run in the test suite
    return ["build", "--exclude-resource-type", "unit_test", "--vars", json.dumps(variables)]


def _seed_target(target: Path) -> None:
    """Give dbt the parsed project, so that a run does not parse it again."""
    target.mkdir(parents=True, exist_ok=True)
    source = MANIFEST.parent / "partial_parse.msgpack"
    copy = target / source.name
    if source.exists() and (not copy.exists() or copy.stat().st_mtime < source.stat().st_mtime):
        copy.write_bytes(source.read_bytes())


def _build(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    municipality = partition_municipality(context)
    target = get_settings().dbt_target(municipality.code)
    _seed_target(target)
    invocation = dbt.cli(dbt_arguments(municipality.code), context=context, target_path=target)
    lineage = column_lineage()
    for event in invocation.stream():
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
    def dbt_staging(context: dg.AssetExecutionContext, dbt: DbtCliResource, run_settings: RunSettings) -> Iterator[Any]:
        yield from _build(context, dbt)

    @dbt_assets(
        manifest=manifest(),
        select="kodomo.linkage kodomo.marts",
        name="dbt_linkage_and_marts",
        partitions_def=MUNICIPALITIES,
        dagster_dbt_translator=_TRANSLATOR,
    )
    def dbt_linkage_and_marts(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, run_settings: RunSettings
    ) -> Iterator[Any]:
        yield from _build(context, dbt)

    return [dbt_staging, dbt_linkage_and_marts]
