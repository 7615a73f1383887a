"""`kodomo scores …`: one child's score in words, and what changed between two versions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(help="Show and compare score versions.", no_args_is_help=True)

_BANDS = {
    "high": "高い",
    "middle": "やや高い",
    "low": "データ上の兆候なし（安全の意味ではありません）",
    "undetermined": "判定不能",
}


@app.command()
def show(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")],
    child: Annotated[str, typer.Option("--child", help="child_id.")],
    theme: Annotated[str | None, typer.Option("--theme", "-t", help="Theme.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """One child's published scores with their reasons, in Japanese."""
    apply_home(home)
    from kodomo_platform.scoring.comparison import latest

    rows = latest(municipality, child, theme)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    seen: set[str] = set()
    for row in rows:
        if row["theme"] in seen:
            continue
        seen.add(row["theme"])
        typer.echo(f"{row['theme']}（基準日 {row['as_of_date']}）: {_BANDS.get(row['band'], row['band'])}")
        typer.echo(
            f"  点数 {row['score']:.3f}（{row['score_low']:.3f}～{row['score_high']:.3f}）順位 {row['rank']}"
            f" 版 {row['score_version']} {row['model_name']} {row['model_version']}"
        )
        if row["undetermined_reason"]:
            typer.echo(f"  判定不能の理由: {row['undetermined_reason']}")
        for entry in row["reasons"]:
            typer.echo(f"  {entry['contribution']:+.3f}  {entry['sentence_ja']}")
        for rule in row["rule_hits"]:
            typer.echo(f"  該当した基準: {rule['sentence_ja']}")


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Score version (a prefix does), or VERSION@DATE.")],
    after: Annotated[str, typer.Argument(help="Score version (a prefix does), or VERSION@DATE.")],
    municipality: Annotated[str | None, typer.Option("--municipality", "-m", help="Municipality code.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Children listed, each with why.")] = 20,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Who moved between two score versions, how many, and why."""
    apply_home(home)
    from kodomo_platform.scoring.comparison import compare

    result = compare(before, after, municipality=municipality, explained=limit)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return
    typer.echo(f"{result.theme}: {before} → {after}")
    typer.echo("because of " + ("; ".join(result.causes) or "nothing: the versions are the same"))
    typer.echo(
        f"{result.moved} of {result.children} children moved, {result.bands_changed} to another band; "
        f"{result.alerts_new} new alerts, {result.alerts_gone} gone"
    )
    table = Table("child", "score", "band", "alert", "why")
    for move in result.moves[:limit]:
        scores = " → ".join("—" if score is None else f"{score:.3f}" for score in (move.score_before, move.score_after))
        table.add_row(
            move.child_id,
            scores,
            f"{move.band_before} → {move.band_after}",
            f"{move.alert_before} → {move.alert_after}",
            "\n".join(move.why),
        )
    console().print(table)
