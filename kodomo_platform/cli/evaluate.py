"""``kodomo evaluate``: measure the platform against a known truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(no_args_is_help=True, help="Measure the platform against a known truth.")


@app.callback()
def _family() -> None:
    """Measure the platform against a known truth."""


@app.command("linkage")
def linkage(
    municipality: Annotated[str, typer.Option("--municipality", help="Code of the municipality.")],
    truth: Annotated[
        Path, typer.Option("--truth", help="CSV or Parquet of source, source_record_id, person_id (and tags).")
    ],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Precision and recall of the record linkage: pairwise, by cluster, by type of case; and the review queue."""
    apply_home(home)
    from kodomo_platform.errors import LinkageError
    from kodomo_platform.linkage.evaluation import evaluate, worst_cases
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import warehouse

    if not get_settings().warehouse(municipality).exists():
        raise LinkageError(
            "this municipality was not linked here",
            where=f"municipality {municipality}",
            action=f"`kodomo run --municipality {municipality}` first",
        )
    with warehouse(municipality, read_only=True) as con:
        report = {"municipality": municipality, **evaluate(con, truth)}
        report["worst_cases"] = worst_cases(con, 30)
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False, indent=2))
        return
    _print(report)


@app.command("quality")
def quality(
    municipality: Annotated[str, typer.Option("--municipality", help="Code of the municipality.")],
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
        f"{municipality}: {found.kinds_found} of {found.kinds_total} kinds of fault found; of {found.faults:,} faulty "
        f"rows recall {found.row_recall:.4f}, precision {found.row_precision:.4f}; false alarms {found.false_alarms}"
    )
    table = Table(title="By kind of fault")
    table.add_column("kind")
    for heading in ("faults", "found", "missed"):
        table.add_column(heading, justify="right")
    for kind, counts in found.by_kind.items():
        faults = counts["total"]
        table.add_row(kind, f"{faults:,}", f"{counts['found']:,}", f"{faults - counts['found']:,}")
    out.print(table)


def _print(report: dict[str, Any]) -> None:
    from rich.table import Table

    out = console()
    table = Table(title=f"Record linkage of {report['municipality']}")
    for heading in ("", "precision", "recall", "F1", "true", "false", "missed"):
        table.add_column(heading, justify="left" if not heading else "right")

    def add(name: str, found: dict[str, Any]) -> None:
        table.add_row(
            name,
            *(f"{found[key]:.5f}" for key in ("precision", "recall", "f1")),
            *(f"{found[key]:,}" for key in ("tp", "fp", "fn")),
        )

    add("pairs", report["pairwise"])
    add("children (clusters)", report["cluster"])
    add("pairs of identity records", report["identity"]["pairwise"])
    for kind, found in report["by_type"].items():
        add(f"  {kind}", found)
    out.print(table)
    queue = report["queue"]
    out.print(
        f"review queue: {queue['count']} pairs, {queue['true']} of them the same person, "
        f"{queue['traps']} twins ({queue['share_of_records']:.2%} of records)"
    )
    if report["worst_cases"]:
        cases = Table(title="What went wrong, by pattern of evidence")
        for name in report["worst_cases"][0]:
            cases.add_column(name)
        for case in report["worst_cases"]:
            cases.add_row(*(str(value) for value in case.values()))
        out.print(cases)
