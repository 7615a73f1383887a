"""``kodomo review``: a person decides what the machine cannot."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(no_args_is_help=True, help="Clerical review of record pairs.")
Code = Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")]
By = Annotated[str, typer.Option("--by", help="Name of who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@app.command("list")
def list_(municipality: Code, as_json: Json = False, home: Home = None) -> None:
    """Open pairs, those that touch most records first."""
    apply_home(home)
    from kodomo_platform.linkage.review import queue
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        pairs = queue(con, municipality)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(pair) for pair in pairs], ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    table = Table(title=f"{len(pairs)} open pairs")
    for heading in ("pair", "kind", "probability", "sources", "records touched"):
        table.add_column(heading, no_wrap=heading == "pair")
    for pair in pairs:
        table.add_row(
            pair.pair_id, pair.kind, f"{pair.probability:.3f}", f"{pair.left[0]} – {pair.right[0]}", str(pair.touches)
        )
    console().print(table)


@app.command()
def show(pair_id: str, municipality: Code, home: Home = None) -> None:
    """One pair: the evidence in words and the two records side by side (personal data on your screen)."""
    apply_home(home)
    from rich.table import Table

    from kodomo_platform.linkage.review import find, side_by_side, words
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        pair = find(con, municipality, pair_id)
        values = side_by_side(con, pair)
    out = console()
    out.print(f"{pair.pair_id}  {pair.kind}  probability {pair.probability:.3f}  {pair.evidence.get('why', '')}")
    for comparison, japanese, english in words(pair.evidence):
        out.print(f"  {comparison}: {japanese} / {english}")
    table = Table()
    for heading in ("", f"{pair.left[0]} {pair.left[1]}", f"{pair.right[0]} {pair.right[1]}"):
        table.add_column(heading, no_wrap=heading == "pair")
    for row in values:
        table.add_row(*row)
    out.print(table)


@app.command()
def decide(
    pair_id: str,
    decision: Annotated[str, typer.Argument(help="same or different")],
    municipality: Code,
    by: By,
    reason: Reason,
    home: Home = None,
) -> None:
    """Record that the two records are the same child, or different ones; the next run follows."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.linkage.review import find
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        pair = find(con, municipality, pair_id)
    operations.review_decide(municipality, pair.left, pair.right, decision, by, reason)
    operations.audit(by, f"review {decision}", pair_id, reason, municipality=municipality)
    typer.echo(f"{pair_id}: {decision}. It takes effect at the next run.")


@app.command()
def revoke(pair_id: str, municipality: Code, by: By, reason: Reason, home: Home = None) -> None:
    """Take a decision back; it stays in the history."""
    apply_home(home)
    from kodomo_platform import operations

    operations.review_revoke(municipality, pair_id, by, reason)
    operations.audit(by, "review revoke", pair_id, reason, municipality=municipality)
    typer.echo(f"{pair_id}: decision taken back.")


@app.command()
def export(
    municipality: Code, out: Annotated[Path, typer.Option("--out", help="XLSX to write.")], home: Home = None
) -> None:
    """Write the open pairs as an XLSX to print or fill in off the network."""
    apply_home(home)
    from kodomo_platform.linkage.review import export_sheet
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        count = export_sheet(con, municipality, out)
    typer.echo(f"{count} pairs written to {out}")


@app.command("import")
def import_(sheet: Path, municipality: Code, as_json: Json = False, home: Home = None) -> None:
    """Take the decisions of a filled-in sheet over; a sheet that was tampered with is refused whole."""
    apply_home(home)
    from kodomo_platform.linkage.review import import_sheet

    report = import_sheet(municipality, sheet)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
    else:
        typer.echo(f"{report.taken} decisions taken over, {report.already} stood already, {report.open} still open")
        for line in report.refused:
            typer.echo(line, err=True)
    if report.refused:
        raise typer.Exit(1)
