"""`kodomo scores …`: the list as the municipality shows it, one child's score in words, what changed between versions."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from kodomo_platform.cli.languages import Language, spoken
from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.cli.withholding import withholds

app = typer.Typer(help="Show and compare scores.", no_args_is_help=True)

Municipality = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")]
Mode = Annotated[
    Literal["alert", "ox", "score"] | None,
    typer.Option("--mode", help="How much to show. Default: as the municipality has decided.", show_default=False),
]
Lang = Annotated[Language | None, typer.Option("--lang", help="Language of what is printed.")]


def _mode(municipality: str, theme: str, asked: Any) -> Any:
    from kodomo_platform.municipalities import load_municipality

    decided: dict[str, Any] = {str(entry.key): entry.display_mode for entry in load_municipality(municipality).themes}
    return asked or decided.get(theme, "score")


@app.command("list")
def list_scores(
    municipality: Municipality,
    theme: Annotated[str, typer.Option("--theme", "-t", help="Theme.")],
    mode: Mode = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Children listed.")] = 20,
    lang: Lang = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """The newest published list: who, how it is shown, why; then who cannot be judged and who was not seen for long."""
    apply_home(home)
    lang = spoken(lang)
    ja = lang is Language.ja
    from kodomo_platform.scoring.comparison import current
    from kodomo_platform.scoring.display import shown

    rows = current(municipality, theme)
    chosen = _mode(municipality, theme, mode)
    seen = [(row, shown(row, chosen, lang.value)) for row in rows]
    if as_json:
        typer.echo(
            json.dumps([{"child_id": row["child_id"], **asdict(view)} for row, view in seen], ensure_ascii=False)
        )
        return
    judged = [pair for pair in seen if pair[0]["determinable"] and pair[1].listed]
    open_ = [pair for pair in seen if not pair[0]["determinable"]]
    unseen = [pair for pair in seen if any(rule["key"] == "not_seen" for rule in pair[0]["rule_hits"])]
    head = rows[0]
    out = console()
    out.print(
        f"{municipality} {theme}（{'基準日' if ja else 'as of'} {head['as_of_date']}、{head['model_name']} "
        f"{head['model_version']}、{'版' if ja else 'version'} {head['score_version']}）",
        markup=False,
    )
    if head["model_name"] == "criteria":
        out.print(
            "承認されたモデルがないため、判定基準だけで判定しています" if ja else "No model is approved: criteria alone"
        )
    table = Table(*(("順", "こども", "表示", "", "主な理由") if ja else ("rank", "child", "shown", "", "reasons")))
    for row, view in judged[:limit]:
        why = [text.split("  ", 1)[-1] for text in view.reasons[:3]] if row["band"] != "low" else []
        table.add_row(str(row["rank"]), row["child_id"], view.mark, view.words, "\n".join((*view.rules[:2], *why)))
    out.print(table)
    out.print(
        f"{len(judged)}人中{min(limit, len(judged))}人を表示。判定不能 {len(open_)}人、長く姿が確認されていない {len(unseen)}人"
        if ja
        else f"{min(limit, len(judged))} of {len(judged)} shown; {len(open_)} cannot be judged, {len(unseen)} not seen for long"
    )
    for title, pairs in (
        ("判定不能" if ja else "Cannot be judged", open_),
        ("長く姿が確認されていない" if ja else "Not seen for long", unseen),
    ):
        if pairs:
            out.print(title)
            for row, view in pairs[:limit]:
                said = next(
                    (rule[f"sentence_{lang.value}"] for rule in row["rule_hits"] if rule["key"] == "not_seen"), ""
                )
                out.print(f"  {row['child_id']}  {said or view.words}", markup=False)
            if len(pairs) > limit:
                out.print(
                    f"  ほか{len(pairs) - limit}人（--limit）" if ja else f"  and {len(pairs) - limit} more (--limit)"
                )


@app.command()
def show(
    municipality: Municipality,
    child: Annotated[str, typer.Option("--child", help="child_id.")],
    theme: Annotated[str | None, typer.Option("--theme", "-t", help="Theme.")] = None,
    mode: Mode = None,
    lang: Lang = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """One child's newest published scores with their reasons, as the municipality shows them."""
    apply_home(home)
    lang = spoken(lang)
    ja = lang is Language.ja
    from kodomo_platform.scoring.comparison import latest
    from kodomo_platform.scoring.display import shown

    if withholds(municipality, child, lang, as_json):
        return
    rows = latest(municipality, child, theme)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2, default=str))
        return
    told: set[str] = set()
    for row in rows:
        if row["theme"] in told:
            continue
        told.add(row["theme"])
        view = shown(row, _mode(municipality, row["theme"], mode), lang.value)
        typer.echo(f"{row['theme']}（{'基準日' if ja else 'as of'} {row['as_of_date']}）: {view.mark} {view.words}")
        typer.echo(
            f"  {'版' if ja else 'version'} {row['score_version']}  {row['model_name']} {row['model_version']}  "
            f"{'順位' if ja else 'rank'} {row['rank']}"
        )
        for reason in view.reasons:
            typer.echo(f"  {reason}")
        for note in view.notes:
            typer.echo(f"  ※ {note}" if ja else f"  * {note}")
        for rule in view.rules:
            typer.echo(f"  {'該当した基準' if ja else 'rule'}: {rule}")


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="Score version (a prefix does), or VERSION@DATE.")],
    after: Annotated[str, typer.Argument(help="Score version (a prefix does), or VERSION@DATE.")],
    municipality: Annotated[str | None, typer.Option("--municipality", "-m", help="Municipality code.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Children listed, each with why.")] = 20,
    lang: Lang = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Who moved between two score versions, how many, and why."""
    apply_home(home)
    lang = spoken(lang)
    ja = lang is Language.ja
    from kodomo_platform.scoring import load_themes
    from kodomo_platform.scoring.comparison import compare
    from kodomo_platform.scoring.display import BANDS

    result = compare(before, after, municipality=municipality, explained=limit, language=lang.value)
    if as_json:
        typer.echo(json.dumps(asdict(result), ensure_ascii=False, indent=2))
        return
    known = load_themes().get(result.theme)
    label = "" if known is None else f" {known.label_ja if ja else known.label_en}"
    typer.echo(f"{result.theme}{label}: {before} → {after}")
    if ja:
        typer.echo("変わった理由: " + ("、".join(result.causes) or "なし（同じ版）"))
        typer.echo(
            f"{result.children}人中 {result.moved}人に動きがあり、{result.bands_changed}人の区分が変わりました。"
            f"アラート 新規 {result.alerts_new}人、解除 {result.alerts_gone}人"
        )
        typer.echo(
            f"うち入力の値が変わった {result.inputs_changed}人、"
            f"ほか（版や順位による）{result.moved - result.inputs_changed}人"
        )
    else:
        typer.echo("because of " + ("; ".join(result.causes) or "nothing: the versions are the same"))
        typer.echo(
            f"{result.moved} of {result.children} children moved, {result.bands_changed} to another band; "
            f"{result.alerts_new} new alerts, {result.alerts_gone} gone; "
            f"{result.inputs_changed} with other inputs, {result.moved - result.inputs_changed} by version or rank alone"
        )

    def band(key: str | None) -> str:
        return "—" if key is None else BANDS[key][lang.value].split("（")[0].split(" (")[0]

    def alert(value: bool | None) -> str:
        return "—" if value is None else ("あり" if ja else "yes") if value else ("なし" if ja else "no")

    table = Table(
        *(("こども", "点数", "区分", "アラート", "なぜ") if ja else ("child", "score", "band", "alert", "why"))
    )
    for move in result.moves[:limit]:
        scores = " → ".join("—" if score is None else f"{score:.3f}" for score in (move.score_before, move.score_after))
        table.add_row(
            move.child_id,
            scores,
            f"{band(move.band_before)} → {band(move.band_after)}",
            f"{alert(move.alert_before)} → {alert(move.alert_after)}",
            "\n".join(move.why),
        )
    out = console()
    out.print(table)
    if len(result.moves) > limit:
        rest = len(result.moves) - limit
        out.print(f"ほか{rest}人（--limit）" if ja else f"and {rest} more (--limit)")
    out.print(
        "（前回）は前回だけ大きかった理由、括弧の数は点数（対数オッズ）をどれだけ動かしたか。"
        "「データ上の兆候なし」は安全の意味ではなく、アラートの解除は支援の終了ではありません"
        if ja
        else "(before): a reason that was among the largest only then; the number in brackets: by how much it moved the score "
        "(log odds). “No sign in the data” does not mean safe, and an alert that is gone ends no support"
    )
