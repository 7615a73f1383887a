"""`kodomo doctor`: whether this installation is in order."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from kodomo_platform.cli.languages import language
from kodomo_platform.cli.options import Home, Json, apply_home


def command(
    repair: Annotated[
        bool, typer.Option("--repair", help="Take other users' rights from every file of the home.")
    ] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Look at versions, disk, rights, database and municipalities' files. Exit code 1 if anything is not in order."""
    apply_home(home)
    from kodomo_platform.installation.doctor import examine

    findings = examine(repair=repair)
    if as_json:
        print(json.dumps([dataclasses.asdict(one) for one in findings], ensure_ascii=False))
    else:
        for one in findings:
            print(f"{'OK' if one.well else 'NG'}  {one.subject}: {one.japanese if language() == 'ja' else one.english}")
    raise typer.Exit(0 if all(one.well for one in findings) else 1)
