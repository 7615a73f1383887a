"""Quality as asset checks: one validation per layer, one check per table and kind, critical ones blocking."""

import datetime as dt
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster import PreviewWarning

from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.warehouse import warehouse

if TYPE_CHECKING:
    import duckdb

    from kodomo_platform.municipalities.models import Municipality

GROUPS = ("critical", "completeness", "conformance", "plausibility")
_SAID = {
    "critical": "重大（ひとつでも外れると公開を止める） / critical: blocks publication",
    "completeness": "欠損（そろっているか） / completeness",
    "conformance": "形式（決まりに合うか） / conformance",
    "plausibility": "妥当性（あり得る値か） / plausibility",
}


# The report is written where a run ends: after the last layer, and wherever a critical expectation stops it.
_TOLD_AFTER = ("scores",)


# What cleansing and linkage set apart is collected when both are done.
_COLLECTED_AFTER = "marts"


def _report(
    context: dg.AssetCheckExecutionContext,
    con: "duckdb.DuckDBPyConnection",
    municipality: "Municipality",
    as_of: dt.date,
) -> Path | None:
    """The run's report and, for the holders, its correction sheets. Failing to tell does not undo what was found."""
    from kodomo_platform.operations import by_pipeline
    from kodomo_platform.quality import html_report
    from kodomo_platform.quality.memory import keep_sheets
    from kodomo_platform.quality.sheets import write_sheets
    from kodomo_platform.settings import get_settings

    try:
        report = html_report(con, municipality, context.run.run_id)
        folder = get_settings().reports / municipality.code / "sheets"
        sheets = write_sheets(con, municipality, as_of, folder, run_id=context.run.run_id)
        act = by_pipeline("correction sheets written", context.run.run_id, purpose="quality")
        keep_sheets(con, municipality.code, act)
    except Exception as error:
        # the type alone: a database's message may quote a cell
        context.log.warning(f"the quality report could not be written ({type(error).__name__})")
        return None
    context.log.info(f"quality report: {report.as_uri()}; {len(sheets)} correction sheets beside it")
    return report


def _compare_facts(con: "duckdb.DuckDBPyConnection", code: str, as_of: dt.date) -> None:
    """Count, per feature, whose facts of the snapshot in use are gone or other ones now."""
    from kodomo_platform.quality.facts import record_changes
    from kodomo_platform.scoring import load_features
    from kodomo_platform.shelf.snapshots import snapshots

    former = next((one for one in snapshots(code) if one.is_current and one.as_of <= as_of), None)
    features = {name: (feature.group, feature.lookback_months) for name, feature in load_features().items()}
    record_changes(
        con, as_of, former.file("child_features") if former else None, former.as_of if former else None, features
    )


def layer_checks(layer: str, tables: Sequence[str]) -> dg.AssetChecksDefinition:
    """The checks of one layer: a single validation answers them all."""

    with warnings.catch_warnings():
        # partitioned checks are "preview" in this version, pinned and tested here; every command would say so 240 times
        warnings.simplefilter("ignore", PreviewWarning)
        specs = [
            dg.AssetCheckSpec(
                name=group,
                asset=table,
                blocking=group == "critical",
                partitions_def=MUNICIPALITIES,
                description=_SAID[group],
            )
            for table in tables
            for group in GROUPS
        ]

    @dg.multi_asset_check(name=f"quality_of_{layer}", specs=specs, can_subset=True)
    @retried
    def check(context: dg.AssetCheckExecutionContext, run_settings: RunSettings) -> Iterator[dg.AssetCheckResult]:
        from kodomo_platform.quality import group_results, memory, validate
        from kodomo_platform.quality.blocking import blocked
        from kodomo_platform.quality.quarantine import collect

        municipality = partition_municipality(context)
        as_of = run_settings.as_of_date(municipality)
        # of some tables alone when a person has those alone made again from Dagster's pages
        asked = context.selected_asset_check_keys
        chosen = [table for table in tables if any(key.asset_key == dg.AssetKey(table) for key in asked)]
        with warehouse(municipality.code) as con:
            memory.put_back(con, municipality.code)
            if layer == _COLLECTED_AFTER:
                _compare_facts(con, municipality.code, as_of)
            results = validate(con, municipality, chosen, context.run.run_id, as_of)
            memory.keep_results(con, municipality.code, context.run.run_id)
            broken = any(not result.passed and result.severity == "critical" for result in results)
            if layer == _COLLECTED_AFTER or broken:
                apart = collect(con, municipality, as_of)
                context.log.info(f"set apart: {apart} rows and values (quality.quarantine)")
            report = _report(context, con, municipality, as_of) if broken or layer in _TOLD_AFTER else None
        found = {(item.table.split(".")[-1], item.group): item for item in group_results(results)}
        reasons = blocked(results, municipality)
        for table in chosen:
            for group in GROUPS:
                if dg.AssetCheckKey(dg.AssetKey(table), group) not in asked:
                    continue
                item = found.get((table, group))
                metadata: dict[str, Any] = dict(item.metadata) if item else {"expectations": 0}
                if group == "critical" and item is not None and not item.passed:
                    # the check's own reasons, and those of the whole layer with the causes first
                    own = [one.line for one in reasons if item.table in one.tables]
                    metadata |= {"blocked_by": "\n".join(own)} if own else {}
                    metadata["stopped_by"] = "\n".join(one.line for one in reasons)
                if report is not None:
                    metadata["report"] = dg.MetadataValue.path(str(report))
                severity = dg.AssetCheckSeverity.ERROR if group == "critical" else dg.AssetCheckSeverity.WARN
                yield dg.AssetCheckResult(
                    asset_key=table,
                    check_name=group,
                    passed=item.passed if item else True,
                    severity=severity,
                    metadata=metadata,
                )

    return check
