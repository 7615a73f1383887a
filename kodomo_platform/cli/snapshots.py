"""``kodomo snapshots list|verify``: what has been published, and whether it is still what was published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import language, say, say_error
from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.errors import PublishingError
from kodomo_platform.moments import shown_moment
from kodomo_platform.settings import get_settings

app = typer.Typer(help="Published snapshots: list them, verify them.", no_args_is_help=True)
Codes = Annotated[
    list[str] | None,
    typer.Option(
        "--municipality", "-m", help="Municipality code; may be given again. Default: all.", show_default=False
    ),
]


@app.command("list")
def list_snapshots(municipality: Codes = None, home: Home = None, as_json: Json = False) -> None:
    """List the published snapshots, oldest first; the one in use is marked."""
    apply_home(home)
    from kodomo_platform.shelf import snapshots

    found = [snapshot for code in _asked(municipality) for snapshot in snapshots(code)]
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "municipality": snapshot.municipality,
                        "as_of_date": snapshot.as_of.isoformat(),
                        "version": snapshot.version,
                        "is_current": snapshot.is_current,
                        "readable": bool(snapshot.manifest),
                        "created_at": snapshot.manifest.get("created_at"),
                        "quality": snapshot.manifest.get("quality", {}).get("verdict"),
                        "rows": snapshot.row_counts if snapshot.manifest else {},
                        "path": str(snapshot.path),
                    }
                    for snapshot in found
                ],
                ensure_ascii=False,
                indent=1,
            )
        )
        return
    from rich.table import Table

    table = Table()
    for heading in ("code", "as of", "version", "in use"):
        table.add_column(say(heading), no_wrap=True)
    for heading in ("published", "children", "scores", "quality"):
        table.add_column(say(heading))
    for snapshot in found:
        rows = snapshot.row_counts if snapshot.manifest else {}
        table.add_row(
            snapshot.municipality,
            snapshot.as_of.isoformat(),
            snapshot.version,
            "●" if snapshot.is_current else "",
            shown_moment(snapshot.manifest["created_at"], language())
            if "created_at" in snapshot.manifest
            else say("manifest cannot be read"),
            f"{rows.get('child_register', 0):,}",
            f"{rows.get('risk_scores', 0):,}",
            _verdict(str(snapshot.manifest.get("quality", {}).get("verdict", ""))),
        )
    console().print(table if found else say("nothing has been published here yet: see `kodomo run`"))


@app.command("verify")
def verify_snapshots(
    path: Annotated[
        Path | None,
        typer.Argument(help="Folder of one snapshot. Default: every snapshot there is.", show_default=False),
    ] = None,
    municipality: Codes = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Hash every published file again and report every fault. Exit code 1 if there is one."""
    apply_home(home)
    from kodomo_platform.shelf import snapshots, verify

    paths = [path] if path else [one.path for code in _asked(municipality) for one in snapshots(code)]
    faults = {one: verify(one) for one in paths}
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "path": str(one),
                        "sound": not found,
                        "faults": [{"file": str(f.file), "where": f.where, "message": f.message} for f in found],
                    }
                    for one, found in faults.items()
                ],
                ensure_ascii=False,
                indent=1,
            )
        )
    else:
        for one, found in faults.items():
            typer.echo(f"{say('sound  ') if not found else say('FAULTY ')} {one}")
            for fault in found:
                typer.echo(f"  {say_error(fault)}")
    if not paths:
        raise PublishingError("there is no snapshot to verify", action="`kodomo snapshots list` shows what there is")
    if any(faults.values()):
        raise typer.Exit(1)


def _verdict(code: str) -> str:
    """What was found of a snapshot's quality, in words."""
    words = {"passed": say("passed"), "passed_with_warnings": say("passed, with warnings")}
    return words.get(code, code)


def _asked(codes: list[str] | None) -> list[str]:
    """The codes asked for; raises `MunicipalityError` for one that nobody knows and that has published nothing."""
    from kodomo_platform.municipalities import load_municipality

    published = _codes()
    for code in codes or []:
        if code not in published:
            load_municipality(code)
    return codes or published


def _codes() -> list[str]:
    """Municipalities that have published something in this home."""
    root = get_settings().published
    return sorted(folder.name for folder in root.iterdir() if folder.name.isdigit()) if root.is_dir() else []
