"""`kodomo setup`: what an installation needs once, repeatable at any time."""

from __future__ import annotations

from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, apply_home


def command(
    home: Home = None,
    new_installation: Annotated[
        bool,
        typer.Option(
            "--new-installation",
            help="The operations database of this home is lost for good: begin anew. All children get other ids.",
        ),
    ] = False,
) -> None:
    """Prepare this installation. Run again after an upgrade; it changes only what is missing or old."""
    apply_home(home)
    from kodomo_platform.orchestration.installation import prepare

    for line in prepare(build_manifest=True, new_installation=new_installation):
        print(say(line))
