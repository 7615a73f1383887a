"""``kodomo quality …``: check, report, compare runs, write correction sheets, measure against a twin's truth."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home
from kodomo_platform.errors import UsageError
from kodomo_platform.settings import get_settings

if TYPE_CHECKING:
    import duckdb

    from kodomo_platform.quality import ExpectationResult

app = typer.Typer(help="Quality reports, differences between runs, correction sheets.", no_args_is_help=True)
Code = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")]


def _open(code: str, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    from kodomo_platform.warehouse import connect

    path = get_settings().warehouse(code)
    if not path.exists():
        raise UsageError(
            "this municipality has no warehouse yet", where=code, action=f"run `kodomo run --municipality {code}` first"
        )
    return connect(path, read_only=read_only)


def _as_of(con: duckdb.DuckDBPyConnection) -> dt.date:
    row = con.execute("select max(as_of_date) from cfg.run").fetchone()
    return row[0] if row and row[0] else dt.date.today()


def _rows(results: Iterable[ExpectationResult]) -> list[dict[str, Any]]:
    return [
        {key: value.isoformat() if isinstance(value, dt.date) else value for key, value in r.as_dict().items()}
        for r in results
    ]


def _print(title: str, results: list[ExpectationResult]) -> None:
    typer.echo(f"{title}: {len(results)}")
    severities = {"critical": say("critical"), "warning": say("warning"), "info": say("info")}
    statuses = {"failed": say("failed"), "passed": say("passed"), "not_applicable": say("not applicable")}
    for r in results:
        reason = f" ({r.reason})" if r.reason else ""
        severity, status = severities.get(r.severity, r.severity), statuses.get(r.status, r.status)
        typer.echo(
            f"  {severity:8} {status:8} {r.unexpected:>8}/{r.evaluated:<8} {r.percent:6.2f} % (≤ {r.threshold:g} %)  "
            f"{r.expectation_id}{reason}  {r.label_ja}"
        )


@app.command()
def check(municipality: Code, run_id: str = "manual", home: Home = None, as_json: Json = False) -> None:
    """Run all suites on the warehouse as it stands; exit code 1 if a critical expectation fails."""
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality import memory, validate

    con = _open(municipality, read_only=False)
    try:
        memory.put_back(con, municipality)
        results = validate(con, load_municipality(municipality), None, run_id)
        memory.keep_results(con, municipality, run_id)
    finally:
        con.close()
    if as_json:
        typer.echo(json.dumps(_rows(results), ensure_ascii=False))
    else:
        _print(say("failed"), [r for r in results if not r.passed])
    if any(not r.passed and r.severity == "critical" for r in results):
        raise typer.Exit(1)


@app.command()
def show(
    municipality: Code,
    run: Annotated[str | None, typer.Option("--run", help="Run id (default: the latest).")] = None,
    every: Annotated[bool, typer.Option("--all", help="Passed and not applicable ones too.")] = False,
    threshold: Annotated[
        list[str] | None, typer.Option(help="Judge again without running: schema.table:id=PERCENT; may be given again.")
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show the failed expectations of a run."""
    apply_home(home)
    from kodomo_platform.quality import read_results, rethreshold
    from kodomo_platform.quality.results import runs
    from kodomo_platform.quality.suites import threshold_fault

    thresholds: dict[str, float] = {}
    for given in threshold or []:
        key, _, percent = given.rpartition("=")
        try:
            thresholds[key] = float(percent)
        except ValueError:
            raise UsageError("not a threshold", where=given, expected="schema.table:id=PERCENT") from None
        if fault := threshold_fault(thresholds[key]):
            raise UsageError(fault, where=given)
    con = _open(municipality, read_only=True)
    try:
        results = rethreshold(read_results(con, run, standing=True), thresholds)
        known = runs(con)
    finally:
        con.close()
    unknown = thresholds.keys() - {r.expectation_id for r in results}
    if unknown:
        raise UsageError("no such expectation in this run", where=", ".join(sorted(unknown)))
    shown = [r for r in results if every or not r.passed]
    if as_json:
        typer.echo(json.dumps(_rows(shown), ensure_ascii=False))
        return
    for name, as_of, at in known:
        typer.echo(say(f"run {name}  as of {as_of}  {at:%Y-%m-%d %H:%M}"))
    _print(say("expectations" if every else "failed"), shown)


@app.command()
def diff(run1: str, run2: str, municipality: Code, home: Home = None, as_json: Json = False) -> None:
    """What RUN2 has against RUN1: new, resolved, persisting."""
    apply_home(home)
    from kodomo_platform.quality import compare, read_results

    con = _open(municipality, read_only=True)
    try:
        difference = compare(read_results(con, run1, standing=True), read_results(con, run2, standing=True))
    finally:
        con.close()
    groups = {"new": difference.new, "resolved": difference.resolved, "persisting": difference.persisting}
    if as_json:
        typer.echo(json.dumps({name: _rows(results) for name, results in groups.items()}, ensure_ascii=False))
        return
    titles = {"new": say("new"), "resolved": say("resolved"), "persisting": say("persisting")}
    for name, results in groups.items():
        _print(titles[name], results)


@app.command()
def report(
    municipality: Code,
    run: Annotated[str | None, typer.Option("--run", help="Run id (default: the latest).")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write it (default: the home's reports folder).")] = None,
    home: Home = None,
) -> None:
    """Write the HTML report of a run and print its path."""
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality.report import html_report

    con = _open(municipality, read_only=True)
    try:
        typer.echo(str(html_report(con, load_municipality(municipality), run, out)))
    finally:
        con.close()


@app.command()
def sheets(
    municipality: Code,
    out: Annotated[Path | None, typer.Option(help="Folder (default: the home's reports folder).")] = None,
    home: Home = None,
) -> None:
    """Write one correction sheet (XLSX) per holder of a source with open entries."""
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.operations import by_pipeline
    from kodomo_platform.quality import memory
    from kodomo_platform.quality.sheets import counted_since_load, write_sheets

    con = _open(municipality, read_only=False)
    try:
        memory.put_back(con, municipality)
        folder, run = out or get_settings().reports / municipality / "sheets", counted_since_load(con)
        for path in write_sheets(con, load_municipality(municipality), _as_of(con), folder, run_id=run):
            typer.echo(str(path))
        memory.keep_sheets(con, municipality, by_pipeline("correction sheets written", purpose="quality"))
    finally:
        con.close()


@app.command()
def returned(
    municipality: Code,
    file: Annotated[Path, typer.Argument(help="The XLSX that an office sent back.")],
    sheet: Annotated[str | None, typer.Option(help="Its name when it was sent, if it was renamed.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Read a returned correction sheet: keep its answers, tell rows added, removed, repeated or altered.

    No sheet closes an entry: the corrected extract does. Exit code 1 if the sheet was tampered with.
    """
    apply_home(home)
    from dataclasses import asdict

    from kodomo_platform.operations import by_pipeline
    from kodomo_platform.quality import memory
    from kodomo_platform.quality.returned import read_returned

    con = _open(municipality, read_only=False)
    try:
        memory.put_back(con, municipality)
        found = read_returned(con, file, _as_of(con), sheet=sheet)
        memory.keep_sheets(con, municipality, by_pipeline("answers of an office taken over", purpose="quality"))
    finally:
        con.close()
    if as_json:
        typer.echo(json.dumps({**asdict(found), "sound": found.sound}, ensure_ascii=False))
    else:
        typer.echo(
            say(
                f"{found.sheet}: {len(found.accepted)} answers kept, {len(found.unanswered)} unanswered, "
                f"{len(found.unclear)} unclear; order {say('changed') if found.reordered else say('kept')}"
            )
        )
        for name, entries in (
            (say("altered"), found.altered), (say("repeated"), found.repeated), (say("added rows"), found.added_rows),
            (say("removed"), found.removed), (say("closed meanwhile"), found.closed_meanwhile),
        ):  # fmt: skip
            if entries:
                more = say(f" … {len(entries) - 20} more") if len(entries) > 20 else ""
                typer.echo(f"  {name} ({len(entries)}): {', '.join(entries[:20])}{more}")
    if not found.sound:
        raise typer.Exit(1)


@app.command()
def absence(
    municipality: Code,
    theme: Annotated[str | None, typer.Option(help="Only what enters this theme, with its model's figures.")] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """What of each item is there, whether its blanks fall on some groups, and what was decided about it.

    With --theme: how the theme's newest model does (Brier score, lower is better) when all features of a source are
    masked, as measured by its training.
    """
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality.absence import item_summary
    from kodomo_platform.scoring import load_features, load_themes

    town = load_municipality(municipality)
    wanted: set[str] | None = None
    effects: dict[str, float] = {}
    if theme is not None:
        if theme not in town.by_theme:
            raise UsageError("not a theme of this municipality", where=theme, expected=", ".join(town.by_theme))
        features = load_features()
        wanted = {item for name in load_themes()[theme].features for item in features[name].items}
        effects = _masked_effects(municipality, theme)
    con = _open(municipality, read_only=True)
    try:
        rows = [row for row in item_summary(con, town) if wanted is None or row.item in wanted]
    finally:
        con.close()
    if as_json:
        typer.echo(json.dumps({"items": [row.as_dict() for row in rows], "masked_brier": effects}, ensure_ascii=False))
        return
    statuses = {
        "present": say("present"),
        "blank": say("blank"),
        "not_applicable": say("not applicable"),
        "not_linked": say("not linked"),
        "not_held": say("not held"),
        "before_start": say("before the source began"),
        "unreadable": say("unreadable"),
        "left_out": say("left out by decision"),
        "no_consent": say("no consent"),
    }
    for row in rows:
        shares = "  ".join(f"{statuses.get(status, status)} {percent:.1f} %" for status, percent in row.shares.items())
        uneven = say(f"  uneven over {', '.join(row.uneven)}") if row.uneven else ""
        said = "".join(
            f"  [{d.theme}: {say('included') if d.include else say('excluded')}, {d.decided_on}]" for d in row.decisions
        )
        effect = effects.get(row.item.rpartition(".")[0])
        effect_said = "" if effect is None else say(f"  Brier without its source {effect:.5f}")
        typer.echo(f"{row.item:42} {shares}{uneven}{effect_said}{said}")
    if effects.get(""):
        typer.echo(say(f"Brier with all sources {effects['']:.5f}"))


def _masked_effects(code: str, theme: str) -> dict[str, float]:
    """Source → Brier score of the newest trained version with that source masked; '' → with all. Empty without a model."""
    from kodomo_platform.errors import KodomoError
    from kodomo_platform.scoring import versions

    if not any(get_settings().mlflow_dir.glob("*")):
        return {}  # asking would set up a registry
    try:
        known = versions(code, theme)
    except KodomoError:  # no model yet: the table stands without it
        return {}
    for version in known:
        masked = {
            name.removeprefix("masked_brier."): value
            for name, value in version.metrics.items()
            if name.startswith("masked_brier.")
        }
        if masked:
            return masked | {"": version.metrics.get("brier", 0.0)}
    return {}


@app.command()
def decide(
    municipality: Code,
    item: Annotated[str, typer.Option(help="<domain>.<source>.<item>")],
    theme: Annotated[str, typer.Option(help="Theme of this municipality.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence: it is shown beside the figures.")],
    by: Annotated[str, typer.Option(help="Office that decides.")],
    include: Annotated[bool, typer.Option("--include/--exclude", help="Whether the item enters the analysis.")] = True,
    home: Home = None,
) -> None:
    """Record whether an item with many blanks enters the analysis of a theme, with the reason."""
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality.decisions import decide as record
    from kodomo_platform.quality.decisions import keep

    town = load_municipality(municipality)
    made = record(town, item, theme, include, reason, by)
    if get_settings().warehouse(municipality).exists():
        con = _open(municipality, read_only=False)
        try:
            keep(con, town)
        finally:
            con.close()
    typer.echo(f"{made.decided_on} {theme} {item}: {say('included') if include else say('excluded')}")


@app.command()
def accept(
    municipality: Code,
    expectation: Annotated[str, typer.Option(help="schema.table:id, as `kodomo quality show` prints it.")],
    percent: Annotated[float, typer.Option(help="Percent of faults that is accepted.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence: it is shown beside the figures.")],
    by: Annotated[str, typer.Option(help="Office that decides.")],
    home: Home = None,
) -> None:
    """Record which percent of faults an expectation accepts from the next run on, with the reason."""
    apply_home(home)
    from kodomo_platform.quality.decisions import accept as record

    record(municipality, expectation, percent, reason, by)
    typer.echo(f"{expectation} ≤ {percent:g} %")


@app.command()
def docs(
    municipality: Code,
    run: Annotated[str | None, typer.Option("--run", help="Run id (default: the latest).")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder (default: the home's reports folder).")] = None,
    home: Home = None,
) -> None:
    """Write Great Expectations' Data Docs of a run, readable without a network, and print the index's path."""
    apply_home(home)
    from kodomo_platform.quality import read_results
    from kodomo_platform.quality.data_docs import write_data_docs

    con = _open(municipality, read_only=True)
    try:
        results = read_results(con, run)
    finally:
        con.close()
    if not results:
        raise UsageError("no quality run to document", where=municipality, action="run `kodomo quality check` first")
    typer.echo(str(write_data_docs(results, out or get_settings().reports / municipality / "data_docs")))


@app.command()
def generate() -> None:
    """Rewrite the generated parts of expectations/ from the catalogue."""
    from kodomo_platform.quality.generation import generate as write

    for path in write():
        typer.echo(str(path))
