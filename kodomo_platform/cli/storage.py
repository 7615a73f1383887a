"""`kodomo storage`: where the databases lie, and their move to PostgreSQL."""

from __future__ import annotations

import dataclasses
import json

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(
    help="The databases: embedded in the home, or one PostgreSQL (KODOMO_DATABASE_URL).", no_args_is_help=True
)


@app.callback()
def family() -> None:
    """The databases: embedded in the home, or one PostgreSQL (KODOMO_DATABASE_URL)."""


@app.command()
def migrate(home: Home = None, as_json: Json = False) -> None:
    """Move this home's embedded databases into the PostgreSQL of KODOMO_DATABASE_URL, verified by counts and hashes."""
    apply_home(home)
    from kodomo_platform.installation.storage import migrate_storage

    moved = migrate_storage()
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in moved]))
        return
    from rich.table import Table

    table = Table(title=say(f"{len(moved)} tables moved and verified"))
    for title in ("database", "table", "rows", "hash"):
        table.add_column(say(title))
    for one in moved:
        table.add_row(one.component, one.table, f"{one.rows:,}", one.sha256[:16])
    console().print(table)
    print(say("The embedded files stay as they are; Dagster begins a history of its own on PostgreSQL."))
