"""Options that every command shares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kodomo_platform.installation.rights import keep_private
from kodomo_platform.settings import use_home

if TYPE_CHECKING:
    import duckdb
    from rich.console import Console


def apply_home(home: Path | None) -> None:
    """Make ``home`` the platform's home for this command and the processes it starts."""
    keep_private(use_home(home).home)


def console() -> Console:
    """Where tables for people go. Into a file or a pipe they are 200 wide: a log has no edge to wrap at."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=200)


@contextmanager
def linked_warehouse(municipality: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """The municipality's warehouse, to read; a clear error while no run has made one here."""
    from kodomo_platform.errors import LinkageError
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import warehouse

    if not get_settings().warehouse(municipality).exists():
        raise LinkageError(
            "this municipality was not linked here",
            where=f"municipality {municipality}",
            action=f"`kodomo run --municipality {municipality}` first",
        )
    with warehouse(municipality, read_only=True) as con:
        yield con


Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder that holds everything (default ~/.kodomo, or $KODOMO_HOME).", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
