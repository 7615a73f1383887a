"""``kodomo linkage``: the history of ids, undoing a merge, training the model."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Annotated

import typer

from kodomo_platform.cli.languages import language, say, say_error
from kodomo_platform.cli.options import Home, Json, apply_home, linked_warehouse

app = typer.Typer(no_args_is_help=True, help="History of child ids, undoing merges, training the linkage model.")


@app.command()
def history(child_id: str, as_json: Json = False, home: Home = None) -> None:
    """What happened to an id: its records now, and every merge, split and correction with who and why."""
    apply_home(home)
    from kodomo_platform import operations

    found = operations.child_history(child_id)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=2, default=str))
        return
    typer.echo(
        say(f"{found.child_id}: {found.status}, municipality {found.municipality}, since {found.created_on}")
        + (say(f", merged into {found.merged_into}") if found.merged_into else "")
    )
    for record in found.records:
        typer.echo(say(f"  {record.source} {record.source_record_id} since {record.since}"))
    for event in found.events:
        undone = say(" (undone)") if event.undone else ""
        typer.echo(
            say(
                f"  event {event.id}: {event.happened_on} {event.kind}{undone} {event.child_id} / {event.other_child_id} "
                f"by {event.actor}: {event.reason} ({len(event.records)} records)"
            )
        )


@app.command()
def undo(
    event: Annotated[int, typer.Argument(help="Number of the merge, as `history` shows it.")],
    by: Annotated[str, typer.Option("--by", help="Name of who decides.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    home: Home = None,
) -> None:
    """Take one merge back; the two children stay apart in every later run."""
    apply_home(home)
    from kodomo_platform import operations

    done = operations.undo_merge(event, dt.date.today(), operations.Act(by, reason, "linkage"))
    typer.echo(say(f"{done.other_child_id} has its {len(done.records)} records back; run the linkage to follow."))


@app.command()
def guardians(
    child_id: str,
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Who stands behind a child, on what evidence and in which household: ids and record numbers, no names."""
    apply_home(home)
    from kodomo_platform.errors import LinkageError
    from kodomo_platform.linkage.guardians import of_child
    from kodomo_platform.warehouse import warehouse

    with warehouse(municipality, read_only=True) as con:
        found = of_child(con, child_id)
    if found is None:
        raise LinkageError(
            "no such child in the last run",
            where=f"municipality {municipality}",
            action="`kodomo linkage history ID` tells what became of an id",
        )
    household, rows = found
    if as_json:
        typer.echo(
            json.dumps(
                {"child_id": child_id, "household_id": household, "guardians": rows}, ensure_ascii=False, indent=2
            )
        )
        return
    typer.echo(say(f"{child_id}: household {household}, guardians {len(rows)}"))
    basis = {
        "register": say("by the register"),
        "named": say("named in sources"),
        "register_and_named": say("by the register and named in sources"),
    }
    homes = {True: say("same household"), False: say("another household"), None: say("household unknown")}
    for row in rows:
        record = say(f"register {row['register_record']}") if row["in_register"] else say("not in the register")
        typer.echo(
            say(
                f"  {row['guardian_id']} {basis[row['basis']]}, {homes[row['lives_with_child']]}, {record}, "
                f"named in {row['named_by']} records {row['sources']}"
            )
        )
    typer.echo(say("Parental authority is not told."))


@app.command()
def watch(
    municipality: Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")],
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Shares, cluster sizes, backlog and contradictions of the last run, its limits, and how they went from run to run."""
    apply_home(home)
    from kodomo_platform.linkage.watch import CHECKS, judge, read_metrics, trend

    with linked_warehouse(municipality) as con:
        metrics = read_metrics(con)
        findings, history = judge(metrics), trend(con)
    if as_json:
        rows = [
            {"metric": metric, "source": source, "value": value} for (metric, source), value in sorted(metrics.items())
        ]
        content = {"metrics": rows, "checks": [dataclasses.asdict(finding) for finding in findings]}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
        return
    outcomes = {"passed": say("passed"), "warning": say("warning"), "critical": say("critical")}
    side = -1 if language() == "en" else 0  # Japanese stands before the English
    for finding in findings:
        outcome, check = outcomes[finding.outcome], CHECKS[finding.check].split(" / ")[side]
        typer.echo(say(f"{outcome:8} {finding.found:g} (limit {finding.limit:g}) {check} {finding.source}"))
    typer.echo(history)


@app.command()
def train(
    municipality: Annotated[
        list[str], typer.Option("--municipality", "-m", help="Linked municipalities to learn from.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Only write a model file here; record nothing in MLflow.")
    ] = None,
    version: Annotated[str, typer.Option("--version", help="Name of the new version (with --out).")] = "trained",
    truth: Annotated[
        list[Path] | None, typer.Option("--truth", help="Truth file per municipality, in the same order.")
    ] = None,
    home: Home = None,
) -> None:
    """Learn the weights anew, from a truth or from the links by number. The version is recorded in MLflow for the first
    municipality named, with charts and a blind test; it links only after `kodomo linkage approve`."""
    apply_home(home)
    from kodomo_platform.linkage.training import train_linkage_model
    from kodomo_platform.settings import get_settings

    paths = [get_settings().warehouse(code) for code in municipality]
    if out is not None:
        model = train_linkage_model(paths, out, version=version, truths=truth or [])
        typer.echo(say(f"model {model.version} written to {out} (sha256 {model.sha256})"))
        return
    from kodomo_platform.linkage.registry import train_and_record

    report = train_and_record(municipality[0], paths, truths=truth or [])
    typer.echo(
        say(
            f"version {report.version} from {report.labelled_pairs} labelled pairs, MLflow run {report.run_id}; blind "
            f"test: {report.test.fp} false and {report.test.fn} missed of {report.test.tp + report.test.fn} pairs "
            f"(standing model: {report.standing.fp} and {report.standing.fn}); floor: {say_error(report.floor)}"
        )
    )
    typer.echo(say("it links only after `kodomo linkage approve`"))


Code = Annotated[str, typer.Option("--municipality", "-m", help="Code of the municipality.")]
Chosen = Annotated[str | None, typer.Option("--version", help="Version (default: the newest trained).")]
By = Annotated[str, typer.Option("--by", help="Name of who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]


@app.command()
def models(municipality: Code, as_json: Json = False, home: Home = None) -> None:
    """Trained versions of the linkage model, their blind tests, and which one links."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.linkage.registry import THEME, versions

    rows = versions(municipality)
    standing = operations.approved_model(municipality, THEME)
    if as_json:
        approved = None if standing is None else standing.version
        content = {"approved": approved, "versions": [dataclasses.asdict(row) for row in rows]}
        typer.echo(json.dumps(content, ensure_ascii=False, indent=2))
        return
    typer.echo(
        say(
            "the shipped model links: no version is approved"
            if standing is None
            else f"version {standing.version} links, approved by {standing.by}: {standing.reason}"
        )
    )
    for row in rows:
        typer.echo(
            say(
                f"  version {row.version} precision {row.metrics.get('test.precision', float('nan')):.5f} "
                f"recall {row.metrics.get('test.recall', float('nan')):.5f} (blind test) floor: {say_error(row.floor)}"
            )
        )


@app.command()
def approve(municipality: Code, by: By, reason: Reason, version: Chosen = None, home: Home = None) -> None:
    """Let one trained version link from the next run on. Refused when it does worse than the standing model."""
    apply_home(home)
    from kodomo_platform.linkage import registry

    done = registry.approve(municipality, version, by=by, reason=reason)
    typer.echo(say(f"approved: linkage model version {done.version} by {done.by}; it links from the next run on"))


@app.command()
def reject(municipality: Code, by: By, reason: Reason, version: Chosen = None, home: Home = None) -> None:
    """Record that one version was refused."""
    apply_home(home)
    from kodomo_platform.linkage import registry

    done = registry.reject(municipality, version, by=by, reason=reason)
    typer.echo(say(f"rejected: linkage model version {done.version} by {done.by}"))


@app.command()
def retire(municipality: Code, by: By, reason: Reason, home: Home = None) -> None:
    """Take the approved version out of use: the shipped model links again."""
    apply_home(home)
    from kodomo_platform.linkage import registry

    done = registry.retire(municipality, by=by, reason=reason)
    typer.echo(say(f"retired: linkage model version {done.version}; the shipped model links from the next run on"))
