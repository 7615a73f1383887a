"""`kodomo demo`: the pilots, from synthetic landing files to published snapshots."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say, say_error
from kodomo_platform.cli.options import Home, Json, apply_home, console


def command(
    children: Annotated[int, typer.Option(help="Children per municipality.", min=50)] = 300,
    municipality: Annotated[
        list[str] | None, typer.Option("--municipality", "-m", help="Code; repeatable. Default: all seven pilots.")
    ] = None,
    months: Annotated[int, typer.Option(help="Months of history.", min=12, max=60)] = 24,
    seed: Annotated[int, typer.Option(help="Same seed, same extracts.")] = 1,
    quality: Annotated[str, typer.Option(help="clean, typical or bad.")] = "typical",
    workers: Annotated[int, typer.Option(help="Municipalities at a time.", min=1, max=8)] = 2,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Build the pilots' extracts in their own formats and take them through Dagster to published snapshots."""
    apply_home(home)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Table

    from kodomo_platform.municipalities import municipality_codes
    from kodomo_platform.orchestration.demonstration import demonstrate
    from kodomo_platform.settings import get_settings

    total = len(municipality or municipality_codes())
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(say("municipalities"), total=total)

        def said(code: str, what: str) -> None:
            progress.console.print(f"{code}: {what}", markup=False)
            progress.advance(task)

        outcomes = demonstrate(
            municipality or [],
            children=children,
            months=months,
            seed=seed,
            quality=quality,
            workers=workers,
            said=lambda code, error: said(
                code, say("published") if error is None else say(f"failed: {say_error(error)}")
            ),
        )
    failed = [outcome for outcome in outcomes if not outcome.success]
    if as_json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes], ensure_ascii=False))
        raise typer.Exit(1 if failed else 0)
    table = Table(title=say("what the demonstration did"))
    for header in ("municipality", "files", "rows", "rejected", "children", "linked by", "precision / recall", "model"):
        table.add_column(
            say(header), justify="right" if header in {"files", "rows", "rejected", "children"} else "left"
        )
    for header in ("alerts", "warnings", "snapshot", "s"):
        table.add_column(say(header), justify="right" if header == "s" else "left")
    for outcome in outcomes:
        if not outcome.success:
            table.add_row(
                f"{outcome.municipality} {outcome.name}", *[""] * 7, f"[red]{say('the run failed')}", "", "", ""
            )
            continue
        precision = "" if outcome.linkage_precision is None else f"{outcome.linkage_precision:.4f}"
        recall = "" if outcome.linkage_recall is None else f"{outcome.linkage_recall:.4f}"
        table.add_row(
            f"{outcome.municipality} {outcome.name}",
            f"{outcome.files}",
            f"{outcome.rows_in:,}",
            f"{outcome.rows_rejected:,}",
            f"{outcome.children:,}",
            ", ".join(f"{method} {count}" for method, count in outcome.linked.items()),
            f"{precision} / {recall}",
            "\n".join(f"{theme}: {model}" for theme, model in outcome.models.items()),
            "\n".join(str(count) for count in outcome.alerts.values()),
            str(outcome.quality_warnings),
            outcome.snapshot or "",
            f"{outcome.seconds:.0f}",
        )
    out = console()
    out.print(table)
    out.print(say(f"published: {get_settings().published}"), markup=False)
    out.print(say("Models were approved as “demo”: not for real children."))
    out.print(say("next: kodomo ui, kodomo snapshots list, kodomo lineage --help"))
    for outcome in failed:
        print(f"{outcome.municipality}: {say_error(outcome.error or '')}")
    raise typer.Exit(1 if failed else 0)
