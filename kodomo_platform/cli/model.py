"""`kodomo model …`: what reviewers compare and decide, and the bench for any table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from kodomo_platform.cli.languages import Language, language, say, say_error, spoken
from kodomo_platform.cli.options import Home, Json, apply_home, console
from kodomo_platform.errors import UsageError

if TYPE_CHECKING:
    from kodomo_platform.scoring.evaluation import Group

app = typer.Typer(help="Review, approve, reject and retire models; bench a table.", no_args_is_help=True)

Municipality = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")]
Theme = Annotated[str, typer.Option("--theme", "-t", help="Theme.")]
Version = Annotated[str | None, typer.Option("--version", help="Version (default: the challenger).")]
By = Annotated[str, typer.Option("--by", help="Who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

Lang = Annotated[Language | None, typer.Option("--lang", help="Language of what is printed.")]

# What a reviewer compares beside the measures of the card: metric, label.
_BESIDE = (
    ("baseline.criteria.precision_at_capacity", "判定基準だけの適合率", "Precision of the criteria alone"),
    ("baseline.last_list.precision_at_capacity", "去年の名簿の適合率", "Precision of last year's list"),
    (
        "baseline.prevalence.precision_at_capacity",
        "無作為に選んだ場合の適合率",
        "Precision of a lottery (prevalence)",
    ),
    ("next_school_year.auc", "次の学年度のAUC", "AUC on the next school year"),
    ("next_school_year.precision_at_capacity", "次の学年度の適合率", "Precision on the next school year"),
    ("flagged_new_to_watchers", "名簿のうち学校・担当課が未把握の割合", "Share of the list new to those who watch"),
    ("rank_correlation", "順位の安定（順位相関）", "Stability of ranks (correlation)"),
    ("list_kept", "次の基準日も名簿に残る割合", "Share of the list that stays"),
    ("drift_psi", "学習時との分布の差（PSI）", "Drift (PSI)"),
    ("expert_cases_passed", "専門家の事例の合格", "Expert cases passed"),
    ("expert_cases_severe_low", "深刻な事例を低く判定", "Severe cases scored low"),
    ("groups.biased", "差がある集団", "Groups with a gap"),
    ("groups.cannot_be_judged", "差を判断できない集団", "Groups that cannot be judged"),
    ("certainty.outcomes_kept", "結果ありを「低い」と言わなかった割合", "Outcomes not called low"),
    ("certainty.others_kept", "結果なしを「高い」と言わなかった割合", "Others not called high"),
    ("certainty.cannot_say", "点数だけでは言えない割合", "Share of which the score alone cannot say"),
)
# Of how many a count is.
_OF = {
    "expert_cases_passed": "expert_cases",
    "expert_cases_severe_low": "expert_cases",
    "groups.biased": "groups.compared",
    "groups.cannot_be_judged": "groups.compared",
}
# Sources told one by one, those first whose loss costs most.
_SOURCES_SHOWN = 5
# Digits shown; shares are told in per cent.
_DIGITS = {"auc": 3, "average_precision": 3, "brier": 4, "ece": 3, "lift_at_capacity": 2, "visits_per_outcome": 1}


def _out(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


@app.command("list")
def list_models(municipality: Municipality, theme: str | None = None, as_json: Json = False, home: Home = None) -> None:
    """Registered versions and the decisions about them."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.scoring import load_themes, versions

    rows = [row for key in ([theme] if theme else load_themes()) for row in versions(municipality, key)]
    decisions = {
        (row.theme, str(row.version)): row.status for row in reversed(operations.model_history(municipality, theme))
    }
    if as_json:
        _out([asdict(row) | {"decision": decisions.get((row.theme, row.version))} for row in rows])
        return
    table = Table()
    for heading in ("theme", "version", "candidate", "as of", "AUC", "floor", "alias", "decision"):
        table.add_column(say(heading))
    for row in rows:
        table.add_row(
            row.theme, row.version, row.candidate, row.as_of_date, f"{row.metrics.get('auc', float('nan')):.3f}",
            say("met") if row.meets_floor else say("broken"), ", ".join(row.aliases),
            decisions.get((row.theme, row.version), say("none")),
        )  # fmt: skip
    console().print(table)


@app.command()
def review(
    municipality: Municipality, theme: Theme, lang: Lang = None, as_json: Json = False, home: Home = None
) -> None:
    """Champion and challenger side by side, each measure with its 90 % interval."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.scoring import load_themes
    from kodomo_platform.scoring.conformal import ERROR
    from kodomo_platform.scoring.evaluation import DRIFT
    from kodomo_platform.scoring.model_card import CANDIDATES, MEASURES, source_name
    from kodomo_platform.scoring.review import fairness
    from kodomo_platform.scoring.review import review as compare

    if theme not in load_themes():
        raise UsageError(f"no theme named {theme}", where="--theme", expected=", ".join(load_themes()))
    pair, groups = compare(municipality, theme), fairness(municipality, theme)
    if as_json:
        told = {name: row and asdict(row) for name, row in zip(("champion", "challenger"), pair, strict=True)}
        _out(told | {"groups": groups and asdict(groups)})
        return
    ja = spoken(lang) is Language.ja
    asked = load_themes()[theme]
    out = console()
    out.print(f"{municipality} {theme} {asked.label_ja if ja else asked.label_en}", markup=False)
    if pair[0] is None:
        out.print(
            "承認されたモデルはありません：判定基準だけで判定しています"
            if ja
            else "no model is approved: criteria alone score"
        )
    if pair[1] is None:
        out.print("新しい候補はありません" if ja else "there is no challenger")
    heads = ("", "いま使うモデル（承認済み）", "新しい候補", "決まり（学習前に固定）")
    in_english = ("", "champion (approved)", "challenger", "floor (fixed beforehand)")
    table = Table(*(heads if ja else in_english))

    def add(label: str, cells: Iterable[str], floor: str = "") -> None:
        table.add_row(label, *cells, floor)

    def measured(name: str) -> list[str]:
        return [_with_interval(row.metrics, name, ja) if row else "" for row in pair]

    none = "なし" if ja else "none"
    add("版" if ja else "version", [row.version if row else none for row in pair])
    add("候補" if ja else "candidate", [CANDIDATES[row.candidate][not ja] if row else "" for row in pair])
    add("基準日" if ja else "as of", [row.as_of_date if row else "" for row in pair])
    counted = ("測った行（うち結果）", "rows measured (outcomes)")
    add(
        counted[not ja],
        [f"{row.metrics['rows']:,.0f}（{row.metrics['outcomes']:.0f}）" if row else "" for row in pair],
        f"≥ {asked.floor.outcomes}",
    )
    table.add_section()
    floors = {
        "auc": f"≥ {asked.floor.auc}",
        "lift_at_capacity": f"≥ {asked.floor.lift_at_capacity}",
        "ece": f"≤ {asked.floor.calibration_error}",
        "drift_psi": f"≤ {DRIFT}",
        "expert_cases_severe_low": "0",
        "groups.biased": "性別・世帯は 0" if ja else "0 for sex and household",
        "certainty.outcomes_kept": f"{'約束' if ja else 'promised'} {1 - ERROR:.0%}",
        "certainty.others_kept": f"{'約束' if ja else 'promised'} {1 - ERROR:.0%}",
    }
    for name, labels in MEASURES.items():
        add(labels[not ja], measured(name), floors.get(name, ""))
    table.add_section()
    for name, *names in _BESIDE:
        add(names[not ja], measured(name), floors.get(name, ""))
    table.add_section()
    prefix = "masked_brier."
    sources = {key.removeprefix(prefix) for row in pair if row for key in row.metrics if key.startswith(prefix)}
    ordered = sorted(sources, key=lambda one: -max(_lost(row.metrics, one) for row in pair if row))
    for source in ordered[:_SOURCES_SHOWN]:
        add(
            f"{source_name(source)}が欠けたときのBrier（比）" if ja else f"Brier without {source} (ratio)",
            [
                f"{row.metrics[prefix + source]:.4f} (×{_lost(row.metrics, source):.2f})"
                if row and prefix + source in row.metrics
                else ""
                for row in pair
            ],
            f"≤ ×{asked.floor.masked_brier_ratio}",
        )
    if rest := ordered[_SOURCES_SHOWN:]:
        add(
            f"ほか{len(rest)}資料のどれかが欠けたとき" if ja else f"without any of {len(rest)} other sources",
            [f"≤ ×{max(_lost(row.metrics, one) for one in rest):.2f}" if row else "" for row in pair],
            f"≤ ×{asked.floor.masked_brier_ratio}",
        )
    out.print(table)
    out.print(
        "括弧は90％区間（世帯ブートストラップ）。二つの版は別の基準日のこどもで測っているため、区間が重なる差は差と言えません"
        if ja
        else "in brackets 90 % intervals (household bootstrap); two versions are measured on other dates: where intervals "
        "overlap there is no difference to speak of"
    )
    if groups is not None:
        out.print(
            f"集団ごとの違い（版 {groups.version}）" if ja else f"groups (version {groups.version})", markup=False
        )
        _print_groups(out, groups.own, ja)
        if groups.pooled:
            towns = "、".join(groups.municipalities)
            summed = f"{len(groups.municipalities)}自治体の合計（{towns}。件数だけを足しています）"
            in_all = f"{len(groups.municipalities)} municipalities together ({', '.join(groups.municipalities)}; counts alone)"
            out.print(summed if ja else in_all, markup=False)
            _print_groups(out, groups.pooled, ja)
        else:
            out.print(
                "同じテーマで学習した自治体がほかになく、合計では判断できません"
                if ja
                else "no other municipality has trained this theme: nothing to add up"
            )
    for title, row in zip(("いま使うモデル", "新しい候補") if ja else ("champion", "challenger"), pair, strict=True):
        if row is None:
            continue
        met = (
            ("満たす" if ja else "met")
            if row.meets_floor
            else row.floor.replace("broken: ", "満たさない: " if ja else "broken: ")
        )
        out.print(f"{title} {'公開の下限' if ja else 'floor'}: {met}", markup=False)
        if row is pair[0] and (approval := operations.approved_model(municipality, theme)) is not None:
            said = f"承認 {approval.by}: {approval.reason}" if ja else f"approved by {approval.by}: {approval.reason}"
            out.print(f"{title} {said}", markup=False)
        card = "（model_card.html に図と事例）" if ja else " (figures and cases: model_card.html)"
        out.print(f"{title} MLflow run {row.run_id}{card}, SHA-256 {row.artifact_sha256}", markup=False)
    out.print(
        "決めるのは人です: kodomo model approve|reject|retire --by 氏名 --reason 理由"
        if ja
        else "a person decides: kodomo model approve|reject|retire --by NAME --reason WHY"
    )


def _print_groups(out: Any, groups: Sequence[Group], ja: bool) -> None:
    """The groups of which something can be shown, then in one line those too small for a number."""
    from kodomo_platform.scoring.groups import group_name

    heads = ("集団", "結果", "名簿に載る割合", "再現率（90％区間）", "見込み÷実際", "判断")
    english = ("group", "outcomes", "share listed", "recall (90 %)", "expected/observed", "verdict")
    if not groups:
        out.print("まだ判断できません（結果がまだありません）" if ja else "cannot be judged yet: no outcomes so far")
        return
    shown = [row for row in groups if row.recall is not None]
    table = Table(*(heads if ja else english))
    for row in shown:
        table.add_row(
            group_name(row) if ja else f"{row.kind}: {row.name}", str(row.outcomes), f"{row.flagged_share:.2f}",
            f"{row.recall:.2f} ({row.recall_low:.2f}–{row.recall_high:.2f})", f"{row.expected_over_observed:.2f}",
            row.verdict if ja else row.verdict_en,
        )  # fmt: skip
    if shown:
        out.print(table)
    if hidden := [group_name(row) if ja else f"{row.kind}: {row.name}" for row in groups if row.recall is None]:
        text = "判断できません（結果が10件未満）: " if ja else "cannot be judged (fewer than 10 outcomes): "
        out.print(text + ("、" if ja else ", ").join(hidden), markup=False)


def _with_interval(metrics: dict[str, float], name: str, ja: bool) -> str:
    if name not in metrics:
        return "まだ測れません" if ja else "not measured yet"
    if name in _OF:
        return f"{metrics[name]:.0f} / {metrics[_OF[name]]:.0f}"
    digits = _DIGITS.get(name.rpartition(".")[2], 2)
    share = name.endswith(("precision_at_capacity", "recall_at_capacity", "list_kept", "new_to_watchers")) or (
        name.startswith("certainty.")
    )

    def told(value: float) -> str:
        return f"{value:.1%}" if share else f"{value:.{digits}f}"

    text = told(metrics[name])
    if f"{name}_low" in metrics:
        text += f" ({told(metrics[f'{name}_low'])}–{told(metrics[f'{name}_high'])})"
    return text


def _lost(metrics: dict[str, float], source: str) -> float:
    """Brier without ``source`` over Brier with everything, on the same held-out rows."""
    complete = metrics.get("held_out_brier", metrics["brier"])
    return metrics.get(f"masked_brier.{source}", 0.0) / max(complete, 1e-12)


@app.command()
def approve(
    municipality: Municipality, theme: Theme, by: By, reason: Reason, version: Version = None, home: Home = None
) -> None:
    """Let one version score. Refused below the floor."""
    apply_home(home)
    from kodomo_platform.scoring import approve as decide

    approval = decide(municipality, theme, version, by=by, reason=reason)
    typer.echo(say(f"approved: {theme} version {approval.version} ({approval.model_name}) by {approval.by}"))


@app.command()
def reject(
    municipality: Municipality, theme: Theme, by: By, reason: Reason, version: Version = None, home: Home = None
) -> None:
    """Record that one version was refused."""
    apply_home(home)
    from kodomo_platform.scoring import reject as decide

    approval = decide(municipality, theme, version, by=by, reason=reason)
    typer.echo(say(f"rejected: {theme} version {approval.version} ({approval.model_name}) by {approval.by}"))


@app.command()
def retire(municipality: Municipality, theme: Theme, by: By, reason: Reason, home: Home = None) -> None:
    """Take the approved version out of use: the criteria then score alone."""
    apply_home(home)
    from kodomo_platform.scoring import retire as decide

    approval = decide(municipality, theme, by=by, reason=reason)
    typer.echo(say(f"retired: {theme} version {approval.version}; the criteria score alone from now on"))


@app.command()
def outcomes(
    municipality: Municipality,
    on: Annotated[str | None, typer.Option("--on", help="Day to look from (default: today).")] = None,
    page: Annotated[Path | None, typer.Option("--html", help="Write the report for people to this file.")] = None,
    lang: Lang = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """What became of the published scores: precision at capacity, support, decisions against the score, by month."""
    apply_home(home)
    import datetime as dt

    from kodomo_platform.cli.run import parse_date
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.scoring.outcome_report import write_outcome_report
    from kodomo_platform.scoring.outcomes import by_month, groups_by_theme, report
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    today = parse_date(on) or dt.date.today()
    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        rows, months = report(con, municipality, today), by_month(con, municipality, today)
        groups = groups_by_theme(con, municipality, today)
        if page is not None:
            write_outcome_report(con, municipality, load_municipality(municipality).name_ja, today, page)
    finally:
        con.close()
    if as_json:
        _out(
            {
                "scores": [asdict(row) for row in rows],
                "months": [asdict(row) for row in months],
                "groups": {key: [asdict(row) for row in found] for key, found in groups.items()},
            }
        )
        return
    ja = spoken(lang) is Language.ja
    out = console()
    if not rows:
        out.print("まだ何も公開していません" if ja else "nothing is published yet: there are no scores to judge")
        return
    heads = (
        "テーマ",
        "基準日",
        "モデル",
        "名簿",
        "確認",
        "結果（うち名簿）",
        "適合率（90％区間）",
        "再現率",
        "全体の割合",
        "支援まで",
    )
    english = (
        "theme",
        "as of",
        "model",
        "listed",
        "looked at",
        "outcomes (listed)",
        "precision (90 %)",
        "recall",
        "share",
        "days",
    )
    table = Table(*(heads if ja else english))
    for row in rows:
        open_ = ("期間中" if ja else "too early") if not row.horizon_passed else ("示せません" if ja else "too few")
        precision = open_
        if row.precision is not None:
            precision = f"{row.precision:.3f} ({row.precision_low:.2f}–{row.precision_high:.2f})"
        days = "—" if row.median_days_to_support is None else f"{row.median_days_to_support:.0f}"
        shares = (open_ if share is None else f"{share:.3f}" for share in (row.recall, row.prevalence))
        table.add_row(
            row.theme, row.as_of_date, row.model, str(row.alerts), str(row.alerts_assessed),
            f"{row.outcomes} ({row.outcomes_among_alerts})", precision, *shares, days,
        )  # fmt: skip
    out.print(table)
    for row in rows:
        if row.overrides or row.before_after:
            told = ", ".join(f"{key} {n}" for key, n in {**row.overrides, **row.before_after}.items())
            said = "点数と違う判断・見る前と後" if ja else "decided otherwise; before and after"
            out.print(f"{row.theme} {row.as_of_date} {said}: {told}", markup=False)
    monthly = ("テーマ", "月", "結果", "先に名簿", "支援判定", "要支援", "支援開始", "日数", "点数と違う判断")
    monthly_english = (
        "theme",
        "month",
        "outcomes",
        "listed before",
        "assessed",
        "needs support",
        "started",
        "days",
        "otherwise",
    )
    table = Table(*(monthly if ja else monthly_english))
    for month in months:
        days = "—" if month.median_days_to_support is None else f"{month.median_days_to_support:.0f}"
        table.add_row(
            month.theme, month.month, str(month.outcomes), str(month.listed_before), str(month.assessed),
            str(month.needs_support), str(month.support_started), days, str(month.decided_otherwise),
        )  # fmt: skip
    out.print(table)
    for key, found in groups.items():
        out.print(f"{key} {'集団ごとの違い' if ja else 'groups'}", markup=False)
        _print_groups(out, found, ja)
    if page is not None:
        out.print(f"{'報告' if ja else 'report'}: {page}", markup=False)


@app.command()
def check(municipality: Municipality, as_json: Json = False, home: Home = None) -> None:
    """What speaks for retiring an approved model. It proposes; `kodomo model retire` decides."""
    apply_home(home)
    from kodomo_platform.scoring.outcomes import retirement_proposals
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        newest = con.execute("select max(as_of_date) from cfg.as_of where purpose = 'score'").fetchone()
        assert newest is not None
        proposals = retirement_proposals(con, municipality, newest[0])
    finally:
        con.close()
    if as_json:
        _out([asdict(row) for row in proposals])
        return
    for row in proposals:
        reason = row.reason_ja if language() == "ja" else row.reason_en
        typer.echo(say(f"{row.theme} version {row.version}: {reason}"))
    typer.echo(say(f"{len(proposals)} proposal(s) to retire; people decide (kodomo model retire)"))


@app.command()
def share(
    municipality: Municipality,
    theme: Theme,
    by: By,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    home: Home = None,
) -> None:
    """Write this municipality's model for others: no rows, and no cell of fewer than five households."""
    apply_home(home)
    from kodomo_platform.scoring.exchange import share as write
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        model = write(con, municipality, theme, _newest(con), out, by=by)
    finally:
        con.close()
    typer.echo(
        say(f"written: {out} ({len(model.terms)} terms from {model.facts['rows']} rows, SHA-256 {model.sha256})")
    )


@app.command()
def merge(
    municipality: Municipality,
    theme: Theme,
    files: Annotated[list[Path], typer.Argument(help="Files that other municipalities shared.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write the chosen model to.")] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Train with it among the candidates, and register the chosen one.")
    ] = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Local, shared, or shared and recalibrated: measured on this municipality's own held-out households."""
    apply_home(home)
    from kodomo_platform.orchestration.versions import code_version
    from kodomo_platform.scoring.exchange import merge as run
    from kodomo_platform.scoring.exchange import train_together
    from kodomo_platform.scoring.model_card import CANDIDATES
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse(municipality), read_only=True)
    try:
        choice = run(con, municipality, theme, _newest(con), files)
        report = None
        if register:
            report = train_together(con, municipality, theme, _newest(con), files, code_version=code_version())
    finally:
        con.close()
    if out is not None:
        out.write_text(choice.model.to_json(), encoding="utf-8")
    if as_json:
        told = {"chosen": choice.chosen, "brier": dict(choice.brier)}
        _out(told | ({"registered": asdict(report)} if report is not None else {}))
        return
    table = Table(say("model"), say("Brier, held-out households"))
    for name, brier in choice.brier.items():
        table.add_row(f"{name} *" if name == choice.chosen else name, f"{brier:.4f}")
    console().print(table)
    if report is not None:
        ja = spoken(None) is Language.ja
        chosen = CANDIDATES[report.model_name][not ja]
        typer.echo(
            f"版 {report.model_version} を候補として登録しました（{chosen}）。使うかどうかは人が決めます: kodomo model review"
            if ja
            else f"version {report.model_version} is registered ({chosen}); a person decides: kodomo model review"
        )


def _newest(con: Any) -> Any:
    found = con.execute("select max(as_of_date) from cfg.as_of where purpose = 'score'").fetchone()
    assert found is not None
    return found[0]


@app.command()
def bench(
    file: Annotated[Path, typer.Argument(help="Table with a header: comma, semicolon, tab or space between values.")],
    target: Annotated[str, typer.Option("--target", help="Column to predict.")],
    positive: Annotated[
        list[str] | None, typer.Option("--positive", help="Its value that is the outcome (repeat, or by commas).")
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Column to leave out (repeat).")] = None,
    missing: Annotated[
        list[str] | None,
        typer.Option("--missing", help="What stands for no value, beside NA, ? and empty, e.g. -9 (repeat)."),
    ] = None,
    block: Annotated[
        list[str] | None, typer.Option("--block", help="NAME=COL,COL: columns that go missing together (repeat).")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Column whose rows are never split.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="Column: train on earlier, measure on later rows.")] = None,
    folds: Annotated[str, typer.Option("--folds", help="Repeats x folds.")] = "5x5",
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Run the platform's candidates on any early-warning table."""
    apply_home(home)
    from kodomo_platform.scoring.bench import bench as run

    blocks: dict[str, list[str]] = {}
    for entry in block or []:
        name, equals, columns = entry.partition("=")
        if not (name and equals and columns):
            raise UsageError("a block is written NAME=COLUMN,COLUMN", where="--block")
        blocks[name] = [column.strip() for column in columns.split(",") if column.strip()]
    left_out = [column.strip() for entry in exclude or [] for column in entry.split(",") if column.strip()]
    report = run(
        file,
        target,
        positive=positive,
        exclude=left_out,
        missing=missing or (),
        blocks=blocks,
        group=group,
        time=time,
        folds=folds,
    )
    for warning in report.warnings:
        typer.echo(say(f"WARNING: {say_error(warning)}"), err=True)
    if as_json:
        _out(asdict(report))
        return
    table = Table(say("candidate"), "AUC", say("avg. precision"), "Brier", "ECE")
    for name in blocks:
        table.add_column(say(f"Brier without {name}"))
    for name, measured in report.candidates.items():
        table.add_row(
            f"{name} *" if name == report.chosen else name,
            *(f"{measured[key]:.4f}" for key in ("auc", "average_precision", "brier", "ece")),
            *(f"{measured['masked'][b]['brier']:.4f}" for b in blocks),
        )
    console().print(say(f"{report.rows} rows, {report.outcomes} outcomes, folds {report.folds}; * chosen"))
    for note in report.notes:
        console().print(say_error(note), markup=False)
    for name, why in report.left_out.items():
        console().print(say(f"column {name} left out: {say_error(why)}"), markup=False)
    console().print(table)
