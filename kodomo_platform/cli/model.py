"""`kodomo model …`: what reviewers compare and decide, and the bench for any table."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.errors import UsageError

app = typer.Typer(help="Review, approve, reject and retire models; bench a table.", no_args_is_help=True)

Municipality = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")]
Theme = Annotated[str, typer.Option("--theme", "-t", help="Theme.")]
Version = Annotated[str | None, typer.Option("--version", help="Version (default: the challenger).")]
By = Annotated[str, typer.Option("--by", help="Who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

_SHOWN = (
    "auc",
    "auc_low",
    "auc_high",
    "average_precision",
    "brier",
    "ece",
    "precision_at_capacity",
    "precision_at_capacity_low",
    "precision_at_capacity_high",
    "recall_at_capacity",
    "lift_at_capacity",
    "visits_per_outcome",
    "baseline.last_list.precision_at_capacity",
    "next_school_year.auc",
    "flagged_new_to_watchers",
    "rank_correlation",
    "drift_psi",
)


def _out(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


@app.command("list")
def list_models(municipality: Municipality, theme: str | None = None, as_json: Json = False, home: Home = None) -> None:
    """Registered versions and the decisions about them."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.scoring import load_themes, versions

    rows = [row for key in ([theme] if theme else load_themes()) for row in versions(municipality, key)]
    decisions = {
        (row.theme, str(row.version)): row.status for row in reversed(operations.model_history(municipality, theme))
    }
    if as_json:
        _out([asdict(row) | {"decision": decisions.get((row.theme, row.version))} for row in rows])
        return
    table = Table("theme", "version", "candidate", "as of", "AUC", "floor", "alias", "decision")
    for row in rows:
        table.add_row(
            row.theme, row.version, row.candidate, row.as_of_date, f"{row.metrics.get('auc', float('nan')):.3f}",
            "met" if row.meets_floor else "broken", ", ".join(row.aliases),
            decisions.get((row.theme, row.version), "none"),
        )  # fmt: skip
    console().print(table)


@app.command()
def review(municipality: Municipality, theme: Theme, as_json: Json = False, home: Home = None) -> None:
    """Champion and challenger side by side."""
    apply_home(home)
    from kodomo_platform.scoring.review import review as compare

    champion, challenger = compare(municipality, theme)
    if as_json:
        _out({name: row and asdict(row) for name, row in (("champion", champion), ("challenger", challenger))})
        return
    table = Table("", "champion (approved)", "challenger")
    pair = (champion, challenger)
    table.add_row("version", *(f"{row.version} ({row.candidate})" if row else "none: criteria alone" for row in pair))
    table.add_row("as of", *(row.as_of_date if row else "" for row in pair))
    for name in _SHOWN:
        table.add_row(name, *(f"{row.metrics[name]:.4f}" if row and name in row.metrics else "" for row in pair))
    for name in sorted({key for row in pair if row for key in row.metrics if key.startswith("masked_brier.")}):
        table.add_row(name, *(f"{row.metrics[name]:.4f}" if row and name in row.metrics else "" for row in pair))
    table.add_row("floor", *(row.floor if row else "" for row in pair))
    console().print(table)


@app.command()
def approve(
    municipality: Municipality, theme: Theme, by: By, reason: Reason, version: Version = None, home: Home = None
) -> None:
    """Let one version score. Refused below the floor."""
    apply_home(home)
    from kodomo_platform.scoring import approve as decide

    approval = decide(municipality, theme, version, by=by, reason=reason)
    typer.echo(f"approved: {theme} version {approval.version} ({approval.model_name}) by {approval.by}")


@app.command()
def reject(
    municipality: Municipality, theme: Theme, by: By, reason: Reason, version: Version = None, home: Home = None
) -> None:
    """Record that one version was refused."""
    apply_home(home)
    from kodomo_platform.scoring import reject as decide

    approval = decide(municipality, theme, version, by=by, reason=reason)
    typer.echo(f"rejected: {theme} version {approval.version} ({approval.model_name}) by {approval.by}")


@app.command()
def retire(municipality: Municipality, theme: Theme, by: By, reason: Reason, home: Home = None) -> None:
    """Take the approved version out of use: the criteria then score alone."""
    apply_home(home)
    from kodomo_platform.scoring import retire as decide

    approval = decide(municipality, theme, by=by, reason=reason)
    typer.echo(f"retired: {theme} version {approval.version}; the criteria score alone from now on")


@app.command()
def outcomes(municipality: Municipality, as_json: Json = False, home: Home = None) -> None:
    """What became of the published scores, per theme and date: precision, support, decisions against the score."""
    apply_home(home)
    import datetime as dt

    from kodomo_platform.scoring.outcomes import report
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        rows = report(con, municipality, dt.date.today())
    finally:
        con.close()
    if as_json:
        _out([asdict(row) for row in rows])
        return
    if not rows:
        typer.echo("nothing is published yet: there are no scores to judge")
        return
    for row in rows:
        typer.echo(
            f"{row.theme} as of {row.as_of_date}, by {row.model}: {row.alerts} alerts among {row.children} children; "
            f"{row.outcomes} outcomes since, {row.outcomes_among_alerts} of them alerted"
        )
        precision, prevalence = (
            "not to be judged" if share is None else f"{share:.3f}" for share in (row.precision, row.prevalence)
        )
        days = (
            "not to be judged" if row.median_days_to_support is None else f"{row.median_days_to_support:.0f} (median)"
        )
        typer.echo(f"  precision {precision}, prevalence {prevalence}; days to support {days}")
        reasons = ", ".join(f"{reason} {count}" for reason, count in row.overrides.items()) or "none"
        typer.echo(f"  alerts assessed {row.alerts_assessed}; decided otherwise: {reasons}")
    if not all(row.horizon_passed for row in rows):
        typer.echo("not to be judged: the horizon has not passed yet, or fewer than ten children stand behind it")


@app.command()
def check(municipality: Municipality, as_json: Json = False, home: Home = None) -> None:
    """What speaks for retiring an approved model. It proposes; `kodomo model retire` decides."""
    apply_home(home)
    from kodomo_platform.scoring.outcomes import retirement_proposals
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        newest = con.execute("select max(as_of_date) from cfg.as_of where purpose = 'score'").fetchone()
        assert newest is not None
        proposals = retirement_proposals(con, municipality, newest[0])
    finally:
        con.close()
    if as_json:
        _out([asdict(row) for row in proposals])
        return
    for row in proposals:
        typer.echo(f"{row.theme} version {row.version}: {row.reason_ja} / {row.reason_en}")
    typer.echo(f"{len(proposals)} proposal(s) to retire; people decide (kodomo model retire)")


@app.command()
def share(
    municipality: Municipality,
    theme: Theme,
    by: By,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    home: Home = None,
) -> None:
    """Write this municipality's model for others: no rows, and no cell of fewer than five households."""
    apply_home(home)
    from kodomo_platform.scoring.exchange import share as write
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        model = write(con, municipality, theme, _newest(con), out, by=by)
    finally:
        con.close()
    typer.echo(f"written: {out} ({len(model.terms)} terms from {model.facts['rows']} rows, SHA-256 {model.sha256})")


@app.command()
def merge(
    municipality: Municipality,
    theme: Theme,
    files: Annotated[list[Path], typer.Argument(help="Files that other municipalities shared.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write the chosen model to.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Local, shared, or shared and recalibrated: measured on this municipality's own held-out households."""
    apply_home(home)
    from kodomo_platform.scoring.exchange import merge as run
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        choice = run(con, municipality, theme, _newest(con), files)
    finally:
        con.close()
    if out is not None:
        out.write_text(choice.model.to_json(), encoding="utf-8")
    if as_json:
        _out({"chosen": choice.chosen, "brier": dict(choice.brier)})
        return
    table = Table("model", "Brier, held-out households")
    for name, brier in choice.brier.items():
        table.add_row(f"{name} *" if name == choice.chosen else name, f"{brier:.4f}")
    console().print(table)


def _newest(con: Any) -> Any:
    found = con.execute("select max(as_of_date) from cfg.as_of where purpose = 'score'").fetchone()
    assert found is not None
    return found[0]


@app.command()
def bench(
    file: Annotated[Path, typer.Argument(help="CSV with a header.")],
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    positive: Annotated[str | None, typer.Option("--positive", help="Its value that is the outcome.")] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Column to leave out (repeat).")] = None,
    block: Annotated[
        list[str] | None, typer.Option("--block", help="NAME=COL,COL: columns that go missing together (repeat).")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column whose rows are never split.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="Column: train on earlier, measure on later rows.")] = None,
    folds: Annotated[str, typer.Option("--folds", help="Repeats x folds.")] = "5x5",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Run the platform's candidates on any early-warning table."""
    apply_home(home)
    from kodomo_platform.scoring.bench import bench as run

    blocks: dict[str, list[str]] = {}
    for entry in block or []:
        name, equals, columns = entry.partition("=")
        if not (name and equals and columns):
            raise UsageError("a block is written NAME=COLUMN,COLUMN", where="--block")
        blocks[name] = [column.strip() for column in columns.split(",") if column.strip()]
    left_out = [column.strip() for entry in exclude or [] for column in entry.split(",") if column.strip()]
    report = run(file, target, positive=positive, exclude=left_out, blocks=blocks, group=group, time=time, folds=folds)
    for warning in report.warnings:
        typer.echo(f"WARNING: {warning}", err=True)
    if as_json:
        _out(asdict(report))
        return
    table = Table("candidate", "AUC", "avg. precision", "Brier", "ECE", *(f"Brier without {name}" for name in blocks))
    for name, measured in report.candidates.items():
        table.add_row(
            f"{name} *" if name == report.chosen else name,
            *(f"{measured[key]:.4f}" for key in ("auc", "average_precision", "brier", "ece")),
            *(f"{measured['masked'][b]['brier']:.4f}" for b in blocks),
        )
    console().print(f"{report.rows} rows, {report.outcomes} outcomes, folds {report.folds}; * chosen")
    for note in (*report.notes, *(f"column {name} left out: {why}" for name, why in report.left_out.items())):
        console().print(note, markup=False)
    console().print(table)
