"""`kodomo run`: one municipality through Dagster."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home
from kodomo_platform.errors import UsageError


def parse_date(text: str | None) -> date | None:
    """An option's date; `UsageError` for text that is none."""
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError("not a date", where="--as-of", expected="YYYY-MM-DD, e.g. 2026-10-01") from None


def command(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality, e.g. 112241.")],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Date to look from; default: latest extract.")] = None,
    job: Annotated[
        str, typer.Option("--job", help="municipality_run, training, scoring_and_publishing or linkage_training.")
    ] = "municipality_run",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show Dagster's own log.")] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Run one municipality from landing files to a published snapshot; checks and lineage appear in Dagster's pages."""
    apply_home(home)
    day = parse_date(as_of)
    from rich.console import Console

    from kodomo_platform.orchestration.runs import execute, require_success

    with Console(stderr=True).status(f"{municipality}: {job}"):
        report = execute(municipality, job, day, quiet=not verbose)
    if as_json:
        print(json.dumps(dataclasses.asdict(report), ensure_ascii=False))
        raise typer.Exit(0 if report.success else 1)
    require_success(report)
    print(say(f"{municipality}: {job} succeeded (run {report.run_id}); {len(report.warnings)} quality warnings"))
