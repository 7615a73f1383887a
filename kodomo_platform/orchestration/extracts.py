"""Assets of the landing side: the run's configuration and one asset per source extract."""

import dagster as dg

from kodomo_platform.catalog import Source, load_catalog
from kodomo_platform.messages import error_text
from kodomo_platform.municipalities import write_configuration
from kodomo_platform.orchestration.partitions import MUNICIPALITIES
from kodomo_platform.orchestration.resources import RunSettings, partition_municipality
from kodomo_platform.orchestration.retrying import retried
from kodomo_platform.settings import get_settings
from kodomo_platform.warehouse import warehouse

OWNERS = ["team:data-platform"]


@dg.asset(
    key="run_configuration",
    group_name="catalog",
    deps=["governance_decisions"],
    partitions_def=MUNICIPALITIES,
    kinds={"duckdb"},
    owners=OWNERS,
    description="実行設定: 自治体の設定ファイルとデータ項目カタログを作業用データベースへ書き込みます。\n\n"
    "Run configuration: the municipality's file and the catalogue, written into the working warehouse.",
)
@retried
def run_configuration(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
    from kodomo_platform.extracts import create_raw_tables, refuse_empty_delivery
    from kodomo_platform.scoring import training_dates

    municipality = partition_municipality(context)
    catalog = load_catalog()
    as_of = run_settings.as_of_date(municipality)
    refuse_empty_delivery(municipality)
    with warehouse(municipality.code) as con:
        write_configuration(con, municipality, catalog, as_of)
        create_raw_tables(con, catalog)
        if run_settings.training:
            con.executemany(
                "insert into cfg.as_of values (?, 'train')", [[day] for day in training_dates(municipality, as_of)]
            )
        train_dates = con.execute("select count(*) from cfg.as_of where purpose = 'train'").fetchone()
    return dg.MaterializeResult(
        metadata={
            "as_of_date": as_of.isoformat(),
            "municipality": municipality.code,
            "themes": [theme.key for theme in municipality.themes],
            "sources_held": len(municipality.sources),
            "training_dates": train_dates[0] if train_dates else 0,
        }
    )


def extract_asset(source: Source) -> dg.AssetsDefinition:
    """The asset of one source extract: landing files in, raw rows and rejects out."""

    @dg.asset(
        key=source.raw_table,
        group_name=source.domain,
        deps=["run_configuration"],
        partitions_def=MUNICIPALITIES,
        kinds={"duckdb"},
        owners=OWNERS,
        tags={"domain": source.domain},
        description=f"{source.label_ja}の抽出データ。届いたファイルを文字のまま取り込み、読めない行は理由とともに別に記録します。\n\n"
        f"Extract of {source.label_en}: the landing files' rows as text; unreadable rows are rejected with a reason.",
    )
    @retried
    def load(context: dg.AssetExecutionContext, run_settings: RunSettings) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from kodomo_platform.extracts import load_source
        from kodomo_platform.governance.arrivals import clean
        from kodomo_platform.operations import by_pipeline, record_load
        from kodomo_platform.policy.suppression import drop_suppressed
        from kodomo_platform.shelf import published_files

        municipality = partition_municipality(context)
        if gone := clean(municipality, source.key):
            context.log.warning("records of people who were taken out came again and were removed: %s", gone)
        with warehouse(municipality.code) as con:
            report = load_source(
                con, municipality, source.key, get_settings().landing, trusted=published_files(municipality.code)
            )
            if gone := drop_suppressed(con, municipality.code, source.key):
                context.log.warning("rows of people who were taken out have come again and were dropped: %s", gone)
            for warning in report.warnings:
                context.log.warning("%s / %s", error_text(warning), warning)
            total = con.execute(f"select count(*) from raw.{source.raw_table}").fetchone()
            files = con.execute(
                """
                select extract_date, file_name, sha256, rows_in, rows_loaded, rows_rejected
                from raw.files where source = ? order by extract_date, loaded_at
                """,
                [source.key],
            ).fetchall()
        # from the warehouse, not from the report: a run killed between the two is made good by the next one
        act = by_pipeline("extract loaded", context.run_id)
        for extract_date, file_name, sha256, rows_in, rows_loaded, rows_rejected in files:
            record_load(
                municipality.code,
                source.key,
                extract_date,
                file_name,
                sha256,
                act,
                rows_in=rows_in,
                rows_loaded=rows_loaded,
                rows_rejected=rows_rejected,
            )
        return dg.MaterializeResult(
            metadata={
                "held": any(held.source == source.key for held in municipality.sources),
                "rows_in": report.rows_in,
                "rows_loaded": report.rows_loaded,
                "rows_rejected": report.rows_rejected,
                "dagster/row_count": total[0] if total else 0,
                "files": [file.file_name for file in report.files],
                "files_already_loaded": report.skipped_already_loaded,
                "columns_dropped_at_the_door": len(report.dropped_columns),
                "items_not_held": sorted(report.absent_items),
                "rejects_by_reason": dict(sorted(report.rejects.items())),
                "lines_that_are_no_records": dict(sorted(report.not_records.items())),
                "gaiji_kinds": len(report.gaiji),
                "warnings": len(report.warnings),
                "extract_dates": [day.isoformat() for day in report.extract_dates],
            }
        )

    return load


def extract_assets() -> list[dg.AssetsDefinition]:
    """One asset per source of the catalogue, and the configuration before them."""
    return [run_configuration, *(extract_asset(source) for source in load_catalog().sources.values())]
