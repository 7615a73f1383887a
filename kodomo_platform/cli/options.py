"""Options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kodomo_platform.settings import use_home

if TYPE_CHECKING:
    from rich.console import Console


def apply_home(home: Path | None) -> None:
    """Make ``home`` the platform's home for this command and the processes it starts."""
    use_home(home)


def console() -> Console:
    """Where tables for people go. Into a file or a pipe they are 200 wide: a log has no edge to wrap at."""
    from rich.console import Console

    found = Console()
    return found if found.is_terminal else Console(width=200)


Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder that holds everything (default ~/.kodomo, or $KODOMO_HOME).", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
