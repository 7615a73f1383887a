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
    """The newest published list: first who was not seen and who cannot be judged, then the ranking, then the known."""
    apply_home(home)
    lang = spoken(lang)
    ja = lang is Language.ja
    from kodomo_platform.scoring.comparison import beside, current
    from kodomo_platform.scoring.display import LISTS, shown
    from kodomo_platform.scoring.scores import absence_words

    rows = current(municipality, theme)
    chosen = _mode(municipality, theme, mode)
    capacity = _capacity(municipality, theme)
    seen = [(row, shown(row, chosen, lang.value, capacity)) for row in rows]
    head = rows[0]
    aside = beside(municipality, theme, str(head["as_of_date"]))
    listed: dict[str, list[Any]] = {name: [] for name in LISTS}
    for row, view in seen:
        if row["determinable"] or row.get("list") == "first":
            listed[row.get("list") or "ranked"].append((row, view))
    open_ = [pair for pair in seen if not pair[0]["determinable"]]
    alarms = [entry for entry in aside["unseen"] if entry["alarm"]]
    nobody = len(aside["unseen"]) - len(alarms)
    if as_json:
        entries = [
            {"child_id": row["child_id"], "rank": row["rank"], "list": row.get("list"), **asdict(view)}
            for row, view in seen
        ]
        unseen = [
            {
                "child_id": one["child_id"],
                "kind": one["kind"],
                "alarm": one["alarm"],
                "words": one[f"sentence_{lang.value}"],
            }
            for one in aside["unseen"]
        ]
        typer.echo(
            json.dumps({"children": entries, "unseen": unseen, "withheld": len(aside["withheld"])}, ensure_ascii=False)
        )
        return
    out = console()
    label = _theme_words(theme, ja)
    out.print(
        f"{municipality} {label}（基準日 {_day(head['as_of_date'])}、{head['model_name']} {head['model_version']}、"
        f"版 {head['score_version']}）"
        if ja
        else f"{municipality} {label} (as of {head['as_of_date']}, {head['model_name']} {head['model_version']}, "
        f"version {head['score_version']})",
        markup=False,
    )
    if head["model_name"] == "criteria":
        out.print(
            "承認されたモデルがないため、判定基準だけで判定しています" if ja else "No model is approved: criteria alone"
        )
    _lines(
        out, "姿を確認できていないこども（点数によらず確認してください）" if ja else "Not seen (whatever the score)",
        [(one["child_id"], one[f"sentence_{lang.value}"]) for one in alarms], limit, ja,
    )  # fmt: skip
    _lines(
        out, "判定不能（点数では言えません）" if ja else "Cannot be judged (no score says anything)",
        [(row["child_id"], f"{_undetermined(row, view, ja)}") for row, view in open_], limit, ja,
    )  # fmt: skip
    nowhere = {
        group
        for row in rows
        for entry in row["reasons"]
        if entry["item"] == "absent_inputs"
        for group, kind in entry.get("absent", {}).items()
        if kind == "not_held"
    }
    if nowhere:
        named = absence_words(dict.fromkeys(sorted(nowhere), "not_held"), lang.value)
        out.print(
            f"この自治体が保有していない情報：{named}" if ja else f"Not held by this municipality: {named}",
            markup=False,
        )
    flags = _flag_words(municipality, aside["flags"], lang)
    for name, pairs in listed.items():
        shown_here = [pair for pair in pairs if pair[1].listed or name == "known"]
        if not pairs:
            continue
        title = LISTS[name][lang.value]
        if name == "ranked":
            title += (
                f"（順位・定員{capacity:,}人・アラートはこのこどもたちのもの）"
                if ja
                else f" (rank, {capacity:,} places and alerts are theirs)"
            )
        table = Table(
            *(("順位", "こども", "表示", "", "主な理由") if ja else ("rank", "child", "shown", "", "reasons")),
            title=title,
        )
        for row, view in shown_here[:limit]:
            causes = view.causes[:3]
            if name == "first":
                causes = (*flags.get(row["child_id"], ())[:2], *causes)[:4]
            if name == "known" and row.get("known_since") is not None:
                since = f"{_day(row['known_since'])}に把握" if ja else f"known since {row['known_since']}"
                causes = (since, *causes)[:3]
            words = "" if name == "known" else view.words
            table.add_row(f"{row['rank']:,}", row["child_id"], view.mark, words, "\n".join(causes))
        out.print(table)
        out.print(
            f"{len(pairs):,}人中{min(limit, len(shown_here)):,}人を表示"
            if ja
            else f"{min(limit, len(shown_here)):,} of {len(pairs):,} shown"
        )
    if nobody:
        out.print(
            f"保有する情報では姿を確認できないこども {nobody:,}人（情報の範囲についての説明であり、異常の知らせではありません）"
            if ja
            else f"{nobody:,} children whom no source held could have seen (a statement about the data, no alarm)"
        )
    if aside["withheld"]:
        count = len(aside["withheld"])
        out.print(
            f"同意がないため何も表示しないこども {count:,}人"
            if ja
            else f"{count:,} children withheld: no consent holds"
        )


def _undetermined(row: dict[str, Any], view: Any, ja: bool) -> str:
    """Why a child cannot be judged, and what lacks of this child that is there of others."""
    from kodomo_platform.scoring.scores import absence_words

    absent: dict[str, str] = next(
        (entry.get("absent", {}) for entry in row["reasons"] if entry["item"] == "absent_inputs"), {}
    )
    own = {group: kind for group, kind in absent.items() if kind not in ("not_held", "not_applicable")}
    lacking = absence_words(own, "ja" if ja else "en")
    mark = "" if view.mark in ("判定不能", "?") else f"{view.mark} "
    return f"{mark}{view.words}" + ((f"　{lacking}" if ja else f"  {lacking}") if lacking else "")


def _lines(out: Any, title: str, entries: list[tuple[str, str]], limit: int, ja: bool) -> None:
    out.print(f"{title} {len(entries):,}{'人' if ja else ''}", markup=False)
    for child, words in entries[:limit]:
        out.print(f"  {child}  {words}", markup=False)
    if len(entries) > limit:
        rest = len(entries) - limit
        out.print(f"  ほか{rest:,}人（--limit）" if ja else f"  and {rest:,} more (--limit)")


def _capacity(municipality: str, theme: str) -> int:
    from kodomo_platform.municipalities import load_municipality

    return next((one.capacity for one in load_municipality(municipality).themes if str(one.key) == theme), 0)


def _theme_words(theme: str, ja: bool) -> str:
    from kodomo_platform.scoring import load_themes

    known = load_themes().get(theme)
    return theme if known is None else (known.label_ja if ja else known.label_en)


def _day(value: Any) -> str:
    """A day as people write it: 2026年10月1日."""
    return f"{value.year}年{value.month}月{value.day}日" if hasattr(value, "year") else str(value)


def _flag_words(municipality: str, flags: list[dict[str, Any]], lang: Language) -> dict[str, tuple[str, ...]]:
    """What hospitals noticed, per child, the newest first: day, kind, severity, department, hospital."""
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.municipalities import load_municipality

    source = load_catalog().sources.get("medical.flag")
    held = load_municipality(municipality).by_source.get("medical.flag")
    if source is None or held is None:
        return {}
    ja = lang is Language.ja

    def coded(item: str, code: Any) -> str:
        label = (source.by_name[item].codes or {}).get(str(code))
        return ("不明" if ja else "not known") if label is None else (label.ja if ja else label.en)

    said: dict[str, list[str]] = {}
    for one in flags:
        department = one["department"] or ("診療科の記載なし" if ja else "no department")
        said.setdefault(one["child_id"], []).append(
            f"{_day(one['flagged_on'])} {coded('flag', one['flag'])}（緊急度：{coded('severity', one['severity'])}、"
            f"{department}、{held.holder}）"
            if ja
            else f"{one['flagged_on']} {coded('flag', one['flag'])} (severity: {coded('severity', one['severity'])}; "
            f"{department}; {held.holder})"
        )
    return {child: tuple(texts) for child, texts in said.items()}


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
    from kodomo_platform.scoring.comparison import beside, latest
    from kodomo_platform.scoring.display import LISTS, shown

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
        view = shown(row, _mode(municipality, row["theme"], mode), lang.value, _capacity(municipality, row["theme"]))
        aside = beside(municipality, row["theme"], str(row["as_of_date"]))
        typer.echo(
            f"{_theme_words(row['theme'], ja)}（基準日 {_day(row['as_of_date'])}）: {view.mark} {view.words}".rstrip()
            if ja
            else f"{_theme_words(row['theme'], ja)} (as of {row['as_of_date']}): {view.mark} {view.words}".rstrip()
        )
        place = LISTS[row.get("list") or "ranked"][lang.value]
        typer.echo(
            f"  {'版' if ja else 'version'} {row['score_version']}  {row['model_name']} {row['model_version']}  "
            f"{place}  {'順位' if ja else 'rank'} {row['rank']:,}"
        )
        for one in aside["unseen"]:
            if one["child_id"] == child:
                mark = ("確認" if ja else "seen") if one["alarm"] else ("参考" if ja else "note")
                typer.echo(f"  {mark}: {one[f'sentence_{lang.value}']}")
        if row.get("list") == "first":
            for text in _flag_words(municipality, aside["flags"], lang).get(child, ()):
                typer.echo(f"  {'病院からの気づき' if ja else 'hospital flag'}: {text}")
            typer.echo(
                "  点数は、気づきのないこどもを並べるためのもので、この順位には使っていません"
                if ja
                else "  The score orders children without a flag; it has no part in this rank"
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
