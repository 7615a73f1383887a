"""`kodomo municipality`: look at, check and describe municipalities' files. Adding one is `kodomo onboard`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kodomo_platform.cli.languages import language, say, say_error
from kodomo_platform.cli.options import Home, Json, apply_home, console

if TYPE_CHECKING:
    from kodomo_platform.municipalities import Municipality

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
    from kodomo_platform.municipalities.checking import examine, unverified_presets

    municipality, faults = examine(file)
    if as_json:
        rows = [{"file": str(f.file), "line": f.line, "where": f.where, "message": f.message} for f in faults]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for fault in faults:
            print(say_error(fault))
        for source, preset, layout in unverified_presets(municipality) if municipality is not None else []:
            print(say(f"{source}: the preset {preset} is unverified ({layout}); compare it with the official layout"))
        if municipality is not None and not faults:
            _print_missing_inputs(municipality)
        print(say(f"{file}: {len(faults)} fault(s)" if faults else f"{file}: no faults"))
    if faults:
        raise typer.Exit(1)


def _print_missing_inputs(municipality: Municipality) -> None:
    """Per theme: which features nobody can have, because a source lacks a column."""
    from kodomo_platform.scoring.inputs import missing_inputs

    for missing in missing_inputs(municipality):
        names = [japanese if language() == "ja" else english for japanese, english in missing.feature_labels]
        listed = ", ".join(names)
        print(
            say(f"{missing.theme}: without a column for {missing.source}.{missing.item} these cannot be told: {listed}")
        )


@app.command("try")
def try_files(
    file: Annotated[Path, typer.Argument(help="The municipality's YAML file.")],
    files: Annotated[list[Path], typer.Argument(help="Delivered files, named as they will be.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Load files by a municipality's file without publishing: rows in and out, what is blank, unreadable or not mapped.
    Exit code 1 if a source refuses its file."""
    apply_home(home)
    from dataclasses import asdict

    from kodomo_platform.cleansing.trial import try_files as run_trial
    from kodomo_platform.municipalities import load_file

    trial = run_trial(load_file(file), files)
    refused = [source for source in trial.sources if source.refused is not None]
    if as_json:
        rows = [
            asdict(source) | {"refused": None if source.refused is None else say_error(source.refused)}
            for source in trial.sources
        ]
        print(json.dumps({"sources": rows, "unmatched": trial.unmatched}, ensure_ascii=False, indent=1))
    else:
        from rich.table import Table

        for source in trial.sources:
            if source.refused is not None:
                print(say_error(source.refused), file=sys.stderr)
                continue
            table = Table(
                title=say(
                    f"{source.source}: {source.rows_in} rows in, {source.rows_loaded} loaded, {source.rows_rejected} rejected"
                )
            )
            for title in ("item", "filled", "blank", "unreadable", "codes without a place in the map"):
                table.add_column(say(title), overflow="fold")
            for item in source.items:
                counts = (f"{number:,}" if number else "" for number in (item.filled, item.blank, item.unreadable))
                table.add_row(item.item, *counts, ", ".join(item.unknown_codes))
            console().print(table)
            for warning in source.warnings:
                print(say(warning))
        for name in trial.unmatched:
            print(say(f"{name}: no source's pattern names this file"))
    if refused or not trial.sources:
        raise typer.Exit(1)


@app.command()
def draft(
    files: Annotated[list[Path], typer.Argument(help="Delivered files.")],
    home: Home = None,
) -> None:
    """Propose the sources of a municipality's file from delivered files, with the questions that only people can answer."""
    apply_home(home)
    from kodomo_platform.extracts.drafting import draft_file, draft_text

    sys.stdout.write(draft_text([draft_file(file) for file in files]))
