"""`kodomo demo`: the pilots, from synthetic landing files to published snapshots."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer

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
        task = progress.add_task("municipalities", total=total)

        def said(code: str, what: str) -> None:
            progress.console.print(f"{code}: {what}")
            progress.advance(task)

        outcomes = demonstrate(
            municipality or [],
            children=children,
            months=months,
            seed=seed,
            quality=quality,
            workers=workers,
            said=said,
        )
    failed = [outcome for outcome in outcomes if not outcome.success]
    if as_json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes], ensure_ascii=False))
        raise typer.Exit(1 if failed else 0)
    table = Table(title="デモの結果 / what the demonstration did")
    headers = ("自治体", "files", "rows", "rejected", "children", "linked by", "precision / recall", "model", "alerts")
    for header in (*headers, "warnings", "snapshot", "s"):
        table.add_column(
            header, justify="right" if header in {"files", "rows", "rejected", "children", "s"} else "left"
        )
    for outcome in outcomes:
        if not outcome.success:
            table.add_row(f"{outcome.municipality} {outcome.name}", *[""] * 7, "[red]failed", "", "", "")
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
    out.print(
        f"公開先 / published: {get_settings().published}\n"
        "モデルは「demo」名義で自動承認しました。実際のこどもには使えません。 / "
        "Models were approved as “demo”: not for real children.\n"
        "次に / next: kodomo ui, kodomo snapshots list, kodomo lineage --help"
    )
    for outcome in failed:
        print(f"{outcome.municipality}: {outcome.error}")
    raise typer.Exit(1 if failed else 0)
