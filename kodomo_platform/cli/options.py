"""Options that every command shares."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.settings import use_home


def apply_home(home: Path | None) -> None:
    """Make ``home`` the platform's home for this command and the processes it starts."""
    use_home(home)


Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Folder that holds everything (default ~/.kodomo, or $KODOMO_HOME).", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of a table for people.")]
