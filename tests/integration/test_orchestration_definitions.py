"""What Dagster loads: one connected graph, a lock on every step, partitions, schedules and a sensor per municipality."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import dagster as dg
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.orchestration import retrying
from kodomo_platform.orchestration.automation import new_extracts
from kodomo_platform.orchestration.build import platform_definitions
from kodomo_platform.orchestration.column_lineage import column_lineage
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.settings import get_settings

CODE = "343021"


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return platform_definitions()


def test_every_extract_reaches_the_publication(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    upstream: set[dg.AssetKey] = set()
    waiting = [dg.AssetKey("published_snapshot")]
    while waiting:
        key = waiting.pop()
        if key not in upstream:
            upstream.add(key)
            waiting.extend(graph.get(key).parent_keys)
    extracts = {dg.AssetKey(source.raw_table) for source in load_catalog().sources.values()}
    assert extracts <= upstream
    assert not [key for key in upstream if graph.get(key).group_name in (None, "default")]


def test_every_asset_is_described_owned_grouped_and_partitioned(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description, key
        assert node.owners, key
        assert node.group_name, key
        assert node.partitions_def == MUNICIPALITIES, key
        japanese = any("぀" <= letter <= "鿿" for letter in node.description)
        english = any("a" <= letter <= "z" for letter in node.description)
        assert japanese, key
        assert english, key


def test_groups_follow_the_domains(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups = {graph.get(key).group_name for key in graph.materializable_asset_keys}
    assert {source.domain for source in load_catalog().sources.values()} <= groups
    assert {"linkage", "marts", "scoring", "publishing"} <= groups


def test_every_step_of_every_job_holds_the_lock(definitions: dg.Definitions) -> None:
    for name in ("municipality_run", "training", "scoring_and_publishing"):
        job = definitions.resolve_job_def(name)
        for node in job.nodes:
            if "checks" not in node.name:
                assert "run_settings" in node.definition.required_resource_keys, (name, node.name)


def test_every_step_of_every_job_is_tried_again_when_its_failure_may_pass(definitions: dg.Definitions) -> None:
    for name in ("municipality_run", "training", "linkage_training", "scoring_and_publishing"):
        for node in definitions.resolve_job_def(name).nodes:
            assert isinstance(node.definition, dg.OpDefinition)
            function = node.definition.compute_fn.decorated_fn  # type: ignore[union-attr]
            assert function.__code__.co_filename == retrying.__file__, (name, node.name)


def test_every_scoring_run_asks_whether_a_model_should_retire(definitions: dg.Definitions) -> None:
    check = dg.AssetCheckKey(dg.AssetKey("risk_scores"), "retirement_proposals")
    for name in ("municipality_run", "scoring_and_publishing"):
        assert check in definitions.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys, name


def test_every_dbt_model_has_column_lineage() -> None:
    lineage = column_lineage()
    for source in load_catalog().sources.values():
        assert lineage[source.staging_table].deps_by_column, source.staging_table
    linked = ("lnk_edge", "lnk_cluster", "lnk_guardian", "lnk_crosswalk")
    for model in (*linked, "mart_child", "mart_child_features", "mart_outcome"):
        assert lineage[model].deps_by_column, model


def test_the_linkage_model_is_trained_once_a_year_where_a_municipality_is_onboarded(
    tmp_path: Path, definitions: dg.Definitions
) -> None:
    schedule = definitions.resolve_schedule_def("linkage_training_yearly")
    assert (schedule.cron_schedule, schedule.job_name) == ("0 3 10 4 *", "linkage_training")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        moment = dt.datetime(2026, 4, 10, tzinfo=dt.UTC)
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=moment, repository_def=definitions.get_repository_def()
        )
        assert schedule.evaluate_tick(context).skip_message
        instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [CODE])
        tick = schedule.evaluate_tick(context)
        assert [request.partition_key for request in tick.run_requests or []] == [CODE]


def test_contradictions_in_the_links_stop_a_run_before_ids_are_kept(definitions: dg.Definitions) -> None:
    from kodomo_platform.linkage.watch import BLOCKING, CHECKS

    graph = definitions.resolve_asset_graph()
    for name in CHECKS:
        check = graph.get_check_spec(dg.AssetCheckKey(dg.AssetKey("lnk_metric"), name))
        assert check.blocking == (name in BLOCKING), name
    assert dg.AssetKey("lnk_metric") in graph.get(dg.AssetKey("child_ids")).parent_keys


def _land(folder: Path) -> None:
    """Every file that the municipality's YAML announces, with a line in each."""
    folder.mkdir(parents=True)
    for source in load_municipality(CODE).sources:
        (folder / source.file.pattern.replace("*", "a").replace("?", "1")).write_bytes(b"x\n")


def test_the_sensor_waits_for_the_done_marker_and_asks_once(home: Path, definitions: dg.Definitions) -> None:
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        instance.add_dynamic_partitions(str(MUNICIPALITIES.name), [CODE])

        def keys() -> list[str | None]:
            context = dg.build_sensor_context(instance, definitions=definitions)
            return [said.run_key for said in new_extracts(context) if isinstance(said, dg.RunRequest)]

        assert keys() == []
        folder = get_settings().landing / CODE / "2026-10-01"
        _land(folder)
        assert keys() == [], "files that were written a moment ago may be half"
        (folder / ".done").touch()
        first = keys()
        assert len(first) == 1
        assert keys() == first, "Dagster runs a run key once"
        file = next(path for path in sorted(folder.iterdir()) if path.name != ".done")
        file.write_bytes(b"corrected\n")
        os.utime(file, ns=(1, 1))
        assert keys() != first, "a corrected file asks for a new run"
