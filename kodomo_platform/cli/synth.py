"""`kodomo synth`: write a synthetic municipality. What it consists of is the business of `kodomo_platform.synthetic`."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home


def synth(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code, e.g. 112241.")],
    out: Annotated[Path, typer.Option("--out", help="Landing folder; files go to OUT/<code>/<date>/.")],
    truth: Annotated[Path, typer.Option("--truth", help="Folder for records, faults, absence and outcomes (CSV).")],
    children: Annotated[int, typer.Option("--children", help="Children under 18.")] = 300,
    months: Annotated[int, typer.Option("--months", help="Months of history.")] = 24,
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same bytes.")] = 1,
    quality: Annotated[str, typer.Option("--quality", help="clean, typical or bad.")] = "typical",
    extracts: Annotated[int, typer.Option("--extracts", help="Monthly extracts, the last one at --end.")] = 1,
    end: Annotated[datetime, typer.Option("--end", formats=["%Y-%m-%d"], help="Date of the last extract.")] = datetime(
        2026, 10, 1
    ),
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Make a synthetic municipality's extracts in its own formats, with known truth beside them."""
    apply_home(home)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.synthetic import generate

    place = load_municipality(municipality)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(say("people"), total=None)

        def show(source: str, done: int, total: int) -> None:
            bar.update(task, description=source or say("truth"), completed=done, total=total)

        report = generate(
            place, children, months, seed, quality, out, truth, end=end.date(), extracts=extracts, progress=show
        )
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False))
        return
    print(say(f"{place.code} {place.name_ja}: {report.files} files, {sum(report.rows.values()):,} rows in {out}"))
    print(say(f"faults: {report.faults:,} of {report.fault_kinds} kinds; truth in {truth}"))
    print(say("outcomes: " + ", ".join(f"{theme} {count}" for theme, count in report.outcomes.items())))
