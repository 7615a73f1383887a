"""``kodomo evaluate``: measure the platform against a known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home, console, linked_warehouse

app = typer.Typer(no_args_is_help=True, help="Measure the platform against a known truth.")
_CASES = 50


@app.callback()
def _family() -> None:
    """Measure the platform against a known truth."""


@app.command("linkage")
def linkage(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")],
    truth: Annotated[
        Path, typer.Option("--truth", help="CSV or Parquet of source, source_record_id, person_id (and tags).")
    ],
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Add cases with both records' names and addresses to the report file.")
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Report file; default: below <home>/reports.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Precision and recall of the record linkage: pairwise, by cluster, by type of case; and the review queue.

    Writes a report with the patterns of what went wrong. Values are never printed here.
    """
    apply_home(home)
    from kodomo_platform.linkage.evaluation import evaluate, worst_cases
    from kodomo_platform.linkage.evaluation_report import write_report
    from kodomo_platform.settings import get_settings

    with linked_warehouse(municipality) as con:
        found = evaluate(con, truth)
        row = con.execute("select max(as_of_date) from cfg.run").fetchone()
        model = con.execute("select version from linkage.lnk_model").fetchone()
        report: dict[str, Any] = {
            "municipality": municipality,
            "as_of": str(row[0]) if row else "",
            "model": str(model[0]) if model else "",
            **found,
        }
        report["worst_cases"], cases = worst_cases(con, show_values=_CASES if show_values else 0)
    out = out or get_settings().reports / municipality / f"linkage_{report['as_of']}.html"
    write_report(out, report | {"cases": cases})
    report["report"] = str(out)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    _print(report)


@app.command("quality")
def quality(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")],
    truth: Annotated[Path, typer.Option("--truth", help="The folder that `kodomo synth --truth` wrote.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """How many of the faults in a twin's extracts the quality suites find, and how many alarms are false."""
    apply_home(home)
    from kodomo_platform.quality.evaluation import evaluate_quality

    found = evaluate_quality(municipality, truth)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    out = console()
    out.print(
        say(
            f"{municipality}: {found.kinds_found} of {found.kinds_total} kinds of fault found; of {found.faults:,} faulty "
            f"rows recall {found.row_recall:.4f}, precision {found.row_precision:.4f}; false alarms {found.false_alarms}"
        )
    )
    table = Table(title=say("By kind of fault"))
    table.add_column(say("kind"))
    for heading in ("faults", "found", "missed"):
        table.add_column(say(heading), justify="right")
    for kind, counts in found.by_kind.items():
        faults = counts["total"]
        table.add_row(kind, f"{faults:,}", f"{counts['found']:,}", f"{faults - counts['found']:,}")
    out.print(table)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    table = Table(title=say(f"Record linkage of {report['municipality']}"))
    table.add_column("")
    for heading in ("precision", "95 %", "recall", "95 %", "F1", "true", "false", "missed"):
        table.add_column(say(heading), justify="right")

    def add(name: str, found: dict[str, Any]) -> None:
        table.add_row(
            name,
            f"{found['precision']:.5f}",
            "{:.4f}–{:.4f}".format(*found["precision_ci95"]),
            f"{found['recall']:.5f}",
            "{:.4f}–{:.4f}".format(*found["recall_ci95"]),
            f"{found['f1']:.5f}",
            *(f"{found[key]:,}" for key in ("tp", "fp", "fn")),
        )

    add(say("pairs"), report["pairwise"])
    add(say("children (clusters)"), report["cluster"])
    add(say("pairs of records that could be read"), report["loaded"]["pairwise"])
    add(say("pairs of identity records"), report["identity"]["pairwise"])
    for kind, found in report["by_type"].items():
        add(f"  {kind}", found)
    out.print(table)
    queue, counts = report["queue"], report["counts"]
    out.print(
        say(
            f"review queue: {queue['count']} pairs, {queue['true']} of them the same person, {queue['traps']} traps "
            f"({queue['share_unclear']:.0%} truly unclear; {queue['share_of_records']:.2%} of records)"
        )
    )
    out.print(
        say(
            f"truth: {counts['truth_records']:,} records; without a child id {counts['records_without_child_id']:,}, "
            f"of adults (left out) {counts['truth_records_of_adults']:,}, incomplete "
            f"{counts['truth_records_incomplete']:,}, of two people {counts['truth_records_of_two_people']:,}; linked "
            f"but not in the truth {counts['linked_records_not_in_truth']:,}"
        )
    )
    if report["worst_cases"]:
        cases = Table(title=say("What went wrong, by pattern of evidence"))
        for name in report["worst_cases"][0]:
            cases.add_column(name)
        for case in report["worst_cases"]:
            cases.add_row(*(str(value) for value in case.values()))
        out.print(cases)
    out.print(say(f"report: {report['report']}"))
