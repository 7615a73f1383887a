"""``kodomo lineage``: one published score, walked back to its rows, its laws, its model and who approved it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated

import typer

from kodomo_platform.cli.languages import Language, spoken
from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.cli.withholding import withholds

app = typer.Typer(help="Walk one published score back to where it came from.")


@app.callback(invoke_without_command=True)
def lineage(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Municipality code, e.g. 112241.")],
    child: Annotated[str, typer.Option("--child", help="child_id, as the snapshot has it.")],
    theme: Annotated[str, typer.Option("--theme", help="Theme, e.g. school_refusal.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of", formats=["%Y-%m-%d"], help="As-of date. Default: the snapshot in use.", show_default=False
        ),
    ] = None,
    lang: Annotated[Language | None, typer.Option("--lang", help="Language of what is printed.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Why this child, on what data, by which law, with which model, approved by whom."""
    apply_home(home)
    from kodomo_platform.publishing import lineage as walk
    from kodomo_platform.publishing.lineage import render

    if withholds(municipality, child, spoken(lang), as_json):
        return
    tree = walk(municipality, child, theme, as_of.date() if as_of else None)
    if as_json:
        typer.echo(json.dumps(tree.to_dict(), ensure_ascii=False, indent=1, default=str))
        return

    console().print(render(tree, "ja" if spoken(lang) is Language.ja else "en"))
