"""`kodomo municipality`: look at, check and describe municipalities' files. Adding one is `kodomo onboard`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say, say_error
from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(help="Municipalities: one YAML file each, no code.", no_args_is_help=True)


@app.command("list")
def list_municipalities(home: Home = None, as_json: Json = False) -> None:
    """List the municipalities known here: shipped and onboarded."""
    apply_home(home)
    from kodomo_platform.municipalities import load_each

    usable, broken = load_each()
    found = list(usable.values())
    for error in broken.values():
        print(say_error(error), file=sys.stderr)
    if as_json:
        rows = [
            {
                "code": one.code,
                "name_ja": one.name_ja,
                "name_en": one.name_en,
                "population": one.population,
                "themes": [theme.model_dump() for theme in one.themes],
                "consent": one.consent.rule,
                "cron": one.schedule.cron,
                "sources": [source.source for source in one.sources],
            }
            for one in found
        ]
        faulty = [{"code": code, "error": say_error(error)} for code, error in broken.items()]
        print(json.dumps(sorted([*rows, *faulty], key=lambda row: str(row["code"])), ensure_ascii=False, indent=1))
        return
    from rich.table import Table

    table = Table(title=say(f"{len(found)} municipalities"))
    for title in ("code", "name in Japanese", "name", "themes (display, capacity)", "consent", "cron", "sources"):
        table.add_column(say(title), no_wrap=title in ("code", "cron"), overflow="fold")
    for one in found:
        themes = "\n".join(f"{theme.key} ({theme.display_mode}, {theme.capacity})" for theme in one.themes)
        table.add_row(
            one.code, one.name_ja, one.name_en, themes, one.consent.rule, one.schedule.cron, str(len(one.sources))
        )
    for code in broken:
        table.add_row(code, say("its file has faults and cannot be used"))
    console().print(table)


@app.command()
def schema(home: Home = None) -> None:
    """Print the JSON Schema of a municipality's file, for editors."""
    apply_home(home)
    from kodomo_platform.municipalities.schema import schema_text

    sys.stdout.write(schema_text())


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The municipality's YAML file.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Report every fault of a municipality's file, with its line. Exit code 1 if there is any."""
    apply_home(home)
    from kodomo_platform.municipalities import check_file

    faults = check_file(file)
    if as_json:
        rows = [{"file": str(f.file), "line": f.line, "where": f.where, "message": f.message} for f in faults]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for fault in faults:
            print(say_error(fault))
        print(say(f"{file}: {len(faults)} fault(s)" if faults else f"{file}: no faults"))
    if faults:
        raise typer.Exit(1)
