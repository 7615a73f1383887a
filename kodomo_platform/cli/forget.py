"""``kodomo forget``: take a child out of every copy, with a receipt."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home, console


def forget(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Municipality code, e.g. 112241.")],
    child: Annotated[str, typer.Option("--child", help="child_id, as the snapshot has it.")],
    by: Annotated[str, typer.Option("--by", help="Name of who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    request: Annotated[str, typer.Option("--request", help="Key of the request that asks for it.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would go and change nothing.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Take a child out of source files, warehouse, snapshots, reports and records; print the receipt.

    Killed in the middle, call it again: it goes on where it stopped. Exit code 1 if something is still found.
    """
    apply_home(home)
    from rich.table import Table

    from kodomo_platform.governance.forgetting import forget as take_out
    from kodomo_platform.operations import Act

    receipt = take_out(municipality, child, Act(by, reason, "stop-use"), dry_run=dry_run, request=request)
    if as_json:
        typer.echo(json.dumps(receipt.as_dict(), ensure_ascii=False))
    else:
        table = Table(title=say(f"receipt {receipt.key}"))
        for heading in ("store", "before", "after"):
            table.add_column(say(heading))
        for store, count in receipt.before.items():
            table.add_row(store, str(count), str(receipt.after.get(store, 0)))
        console().print(table)
        for line in receipt.stays:
            typer.echo(line)
        for model in receipt.models:
            typer.echo(say(f"model {model}: train again by {receipt.retrain_by}"))
        for store, files in receipt.found_in.items():
            typer.echo(say(f"still found in {store}: {files} files"))
    if not dry_run and receipt.found_in:
        raise typer.Exit(1)
