"""``kodomo review``: a person decides what the machine cannot."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import language, say, say_error
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

    from kodomo_platform.linkage.review import KINDS_JA

    table = Table(title=say(f"{len(pairs)} open pairs"))
    for heading in ("pair", "kind", "probability", "sources", "records touched"):
        table.add_column(say(heading), no_wrap=heading == "pair")
    for pair in pairs:
        kind = pair.kind if language() == "en" else f"{KINDS_JA.get(pair.kind, '')} ({pair.kind})"
        table.add_row(
            pair.pair_id, kind, f"{pair.probability:.3f}", f"{pair.left[0]} – {pair.right[0]}", str(pair.touches)
        )
    console().print(table)


@app.command()
def show(
    pair_id: str,
    municipality: Code,
    english: Annotated[bool, typer.Option("--english", help="Evidence in English.")] = False,
    home: Home = None,
) -> None:
    """One pair: the evidence in words and the two records side by side (personal data on your screen)."""
    apply_home(home)
    from rich.table import Table

    from kodomo_platform.linkage.review import KINDS_JA, WHY_JA, find, side_by_side, waterfall, words
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        pair = find(con, municipality, pair_id)
        values = side_by_side(con, pair)
        steps = waterfall(con, pair)
    english = english or language() == "en"
    out = console()
    why = pair.evidence.get("why", "")
    if english:
        out.print(f"{pair.pair_id}  {pair.kind}  probability {pair.probability:.3f}  {why}")
        for comparison, _, level in words(pair.evidence):
            out.print(f"  {comparison}: {level}")
    else:
        out.print(
            f"{pair.pair_id}  {KINDS_JA.get(pair.kind, pair.kind)}  確率 {pair.probability:.3f}  {WHY_JA.get(why, why)}"
        )
        chart = Table(title="証拠の内訳")
        for heading in ("比べたもの", "結果", "重み（ビット）", "意味"):
            chart.add_column(heading, justify="right" if heading.startswith("重み") else "left")
        for step, found, bits, strength in steps:
            chart.add_row(step, found, f"{bits:+.1f}", strength)
        out.print(chart)
    table = Table()
    for heading in ("", f"{pair.left[0]} {pair.left[1]}", f"{pair.right[0]} {pair.right[1]}"):
        table.add_column(heading)
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
    operations.review_decide(municipality, pair.left, pair.right, decision, operations.Act(by, reason, "linkage"))
    typer.echo(say(f"{pair_id}: {decision}. It takes effect at the next run."))


@app.command()
def revoke(pair_id: str, municipality: Code, by: By, reason: Reason, home: Home = None) -> None:
    """Take a decision back; it stays in the history."""
    apply_home(home)
    from kodomo_platform import operations

    operations.review_revoke(municipality, pair_id, operations.Act(by, reason, "linkage"))
    typer.echo(say(f"{pair_id}: decision taken back."))


@app.command()
def history(
    municipality: Code,
    pair_id: Annotated[str | None, typer.Argument(help="One pair; default: all.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Who decided what, when and why, newest first; decisions that were taken back too."""
    apply_home(home)
    from kodomo_platform import operations

    decisions = operations.review_history(municipality, pair_id)
    if as_json:
        rows = [dataclasses.asdict(decision) for decision in decisions]
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    for decision in decisions:
        word = {"same": say("same person"), "different": say("different people")}[decision.decision]
        typer.echo(f"{decision.pair_id} {word} {decision.decided_at:%Y-%m-%d} {decision.by}: {decision.reason}")
        if decision.revoked_at:
            typer.echo(
                say(f"  taken back {decision.revoked_at:%Y-%m-%d} by {decision.revoked_by}: {decision.revoke_reason}")
            )
    if not decisions:
        typer.echo(say("nothing was decided yet"))


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
    typer.echo(say(f"{count} pairs written to {out}"))


@app.command("import")
def import_(sheet: Path, municipality: Code, as_json: Json = False, home: Home = None) -> None:
    """Take the decisions of a filled-in sheet over; a sheet that was tampered with is refused whole."""
    apply_home(home)
    from kodomo_platform.linkage.review import import_sheet

    report = import_sheet(municipality, sheet)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
    else:
        typer.echo(
            say(f"{report.taken} decisions taken over, {report.already} stood already, {report.open} still open")
        )
        for line in report.refused:
            typer.echo(say_error(line), err=True)
    if report.refused:
        raise typer.Exit(1)


@app.command()
def sample(
    municipality: Code,
    out: Annotated[Path, typer.Option("--out", help="XLSX to write.")],
    size: Annotated[int, typer.Option("--size", help="About how many pairs.", min=1)] = 200,
    seed: Annotated[int, typer.Option("--seed", help="The same seed draws the same pairs.")] = 1,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Draw a stratified sample of links and non-links to judge: how good the linkage is where no truth is known."""
    apply_home(home)
    from kodomo_platform.linkage.sampling import draw_sample
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        strata = draw_sample(con, municipality, out, size=size, seed=seed)
    if as_json:
        rows = [{"stratum": row.name, "part": row.part, "pairs": row.size, "drawn": len(row.drawn)} for row in strata]
        typer.echo(json.dumps({"sheet": str(out), "strata": rows}, ensure_ascii=False, indent=2))
        return
    for row in strata:
        typer.echo(f"  {row.name}: {len(row.drawn)} / {row.size}")
    typer.echo(say(f"written: {out}. Fill in the decisions, then `kodomo review estimate`."))


@app.command()
def estimate(sheet: Path, municipality: Code, as_json: Json = False, home: Home = None) -> None:
    """Precision and recall with intervals from a judged sample. Changes nothing; `import` also takes the decisions over."""
    apply_home(home)
    from kodomo_platform.linkage.sampling import estimate as estimated

    found = estimated(municipality, sheet)
    if as_json:
        typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2))
        return
    from rich.table import Table

    table = Table(title=say(f"{found.judged} pairs judged, {found.open} still open"))
    table.add_column(say("stratum"))
    for heading in ("pairs", "judged", "same person"):
        table.add_column(say(heading), justify="right")
    for row in found.strata:
        table.add_row(row["stratum"], f"{row['pairs']:,}", f"{row['judged']:,}", f"{row['same']:,}")
    out = console()
    out.print(table)
    for name, value, (low, high) in (
        (say("precision"), found.precision, found.precision_ci95),
        (say("recall (before review, among compared pairs)"), found.recall, found.recall_ci95),
    ):
        out.print(f"{name}: {value:.4f}  95 % [{low:.4f}, {high:.4f}]")
