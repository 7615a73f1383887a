"""``kodomo disclose``: everything held of one child, as JSON and PDF, for who answers the request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, apply_home


def disclose(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Municipality code, e.g. 112241.")],
    child: Annotated[str, typer.Option("--child", help="child_id, as the snapshot has it.")],
    by: Annotated[str, typer.Option("--by", help="Name of who answers.")],
    reason: Annotated[str, typer.Option("--reason", help="Why: the request's number.")],
    out: Annotated[Path | None, typer.Option(help="Folder (default: the home's reports folder).")] = None,
    purpose: Annotated[str, typer.Option(help="Purpose that is written to the audit log.")] = "disclosure",
    home: Home = None,
) -> None:
    """Write everything held of one child, and nothing of another person, as JSON and PDF."""
    apply_home(home)
    from kodomo_platform.governance import disclosure
    from kodomo_platform.operations import Act
    from kodomo_platform.settings import get_settings

    answer = disclosure.disclose(municipality, child, Act(by, reason, purpose))
    folder = out or get_settings().reports / municipality / "disclosure"
    for path in disclosure.write(answer, folder):
        typer.echo(str(path))
    typer.echo(say(f"{len(answer.records)} values, {len(answer.scores)} scores, {len(answer.redactions)} redactions"))
