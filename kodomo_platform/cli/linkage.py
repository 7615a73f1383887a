"""``kodomo linkage``: the history of ids, undoing a merge, training the model."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.options import Home, Json, apply_home

app = typer.Typer(no_args_is_help=True, help="History of child ids, undoing merges, training the linkage model.")


@app.command()
def history(child_id: str, as_json: Json = False, home: Home = None) -> None:
    """What happened to an id: its records now, and every merge, split and correction with who and why."""
    apply_home(home)
    from kodomo_platform import operations

    found = operations.child_history(child_id)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=2, default=str))
        return
    merged = f", merged into {found.merged_into}" if found.merged_into else ""
    typer.echo(f"{found.child_id}: {found.status}{merged}, municipality {found.municipality}, since {found.created_on}")
    for record in found.records:
        typer.echo(f"  {record.source} {record.source_record_id} since {record.since}")
    for event in found.events:
        undone = " (undone)" if event.undone else ""
        typer.echo(
            f"  event {event.id}: {event.happened_on} {event.kind}{undone} {event.child_id} / {event.other_child_id} "
            f"by {event.actor}: {event.reason} ({len(event.records)} records)"
        )


@app.command()
def undo(
    event: Annotated[int, typer.Argument(help="Number of the merge, as `history` shows it.")],
    by: Annotated[str, typer.Option("--by", help="Name of who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    home: Home = None,
) -> None:
    """Take one merge back; the two children stay apart in every later run."""
    apply_home(home)
    from kodomo_platform import operations

    done = operations.undo_merge(event, dt.date.today(), by, reason)
    operations.audit(by, "linkage undo", done.other_child_id, reason)
    typer.echo(f"{done.other_child_id} has its {len(done.records)} records back; run the linkage to follow.")


@app.command()
def train(
    municipality: Annotated[list[str], typer.Option("--municipality", help="Linked municipalities to learn from.")],
    out: Annotated[Path, typer.Option("--out", help="Model file to write.")],
    version: Annotated[str, typer.Option("--version", help="Name of the new version.")],
    truth: Annotated[
        list[Path] | None, typer.Option("--truth", help="Truth file per municipality, in the same order.")
    ] = None,
    home: Home = None,
) -> None:
    """Learn the weights anew, from a truth or from the links by number, and write a model file."""
    apply_home(home)
    from kodomo_platform.linkage.training import train_linkage_model
    from kodomo_platform.settings import get_settings

    paths = [get_settings().warehouse(code) for code in municipality]
    model = train_linkage_model(paths, out, version=version, truths=truth or [])
    typer.echo(f"model {model.version} written to {out} (sha256 {model.sha256})")
