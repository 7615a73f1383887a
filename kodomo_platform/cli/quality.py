"""``kodomo quality …``: check, report, compare runs, write correction sheets, measure against a twin's truth."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kodomo_platform.cli.options import Home, Json, apply_home
from kodomo_platform.errors import UsageError
from kodomo_platform.settings import get_settings

if TYPE_CHECKING:
    import duckdb

    from kodomo_platform.quality import ExpectationResult

app = typer.Typer(help="Quality reports, differences between runs, correction sheets.", no_args_is_help=True)
Code = Annotated[str, typer.Option("--municipality", help="Municipality code.")]


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
    for r in results:
        reason = f" ({r.reason})" if r.reason else ""
        typer.echo(
            f"  {r.severity:8} {r.status:8} {r.unexpected:>8}/{r.evaluated:<8} {r.percent:6.2f} % (≤ {r.threshold:g} %)  "
            f"{r.expectation_id}{reason}  {r.label_ja}"
        )


@app.command()
def check(municipality: Code, run_id: str = "manual", home: Home = None, as_json: Json = False) -> None:
    """Run all suites on the warehouse as it stands; exit code 1 if a critical expectation fails."""
    apply_home(home)
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.quality import validate

    con = _open(municipality, read_only=False)
    try:
        results = validate(con, load_municipality(municipality), None, run_id)
    finally:
        con.close()
    if as_json:
        typer.echo(json.dumps(_rows(results), ensure_ascii=False))
    else:
        _print("failed", [r for r in results if not r.passed])
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
        results = rethreshold(read_results(con, run), thresholds)
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
        typer.echo(f"run {name}  as of {as_of}  {at:%Y-%m-%d %H:%M}")
    _print("expectations" if every else "failed", shown)


@app.command()
def diff(run1: str, run2: str, municipality: Code, home: Home = None, as_json: Json = False) -> None:
    """What RUN2 has against RUN1: new, resolved, persisting."""
    apply_home(home)
    from kodomo_platform.quality import compare, read_results

    con = _open(municipality, read_only=True)
    try:
        difference = compare(read_results(con, run1), read_results(con, run2))
    finally:
        con.close()
    groups = {"new": difference.new, "resolved": difference.resolved, "persisting": difference.persisting}
    if as_json:
        typer.echo(json.dumps({name: _rows(results) for name, results in groups.items()}, ensure_ascii=False))
        return
    for name, results in groups.items():
        _print(name, results)


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
    from kodomo_platform.quality.sheets import write_sheets

    con = _open(municipality, read_only=False)
    try:
        folder = out or get_settings().reports / municipality / "sheets"
        for path in write_sheets(con, load_municipality(municipality), _as_of(con), folder):
            typer.echo(str(path))
    finally:
        con.close()


@app.command()
def evaluate(
    municipality: Code,
    truth: Annotated[Path, typer.Option("--truth", help="Folder that `kodomo synth --truth` wrote.")],
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Measure what the suites find against a twin's known faults."""
    apply_home(home)
    from kodomo_platform.quality.evaluation import evaluate_quality

    answer = evaluate_quality(municipality, truth)
    if as_json:
        typer.echo(json.dumps(answer.as_dict(), ensure_ascii=False))
        return
    typer.echo(
        f"kinds_found {answer.kinds_found} of {answer.kinds_total}  row_recall {answer.row_recall:.4f}  "
        f"row_precision {answer.row_precision:.4f}  false_alarms {answer.false_alarms}"
    )
    for kind, counts in answer.by_kind.items():
        typer.echo(f"  {kind:28} {counts['found']:>6} of {counts['total']}")


@app.command()
def generate() -> None:
    """Rewrite the generated parts of expectations/ from the catalogue."""
    from kodomo_platform.quality.generation import generate as write

    for path in write():
        typer.echo(str(path))
