"""``kodomo audit``: the audit log, and whether it is what was written."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, Json, apply_home, console

app = typer.Typer(help="Read the audit log and prove that nothing in it was changed.", no_args_is_help=True)


@app.command()
def verify(
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect",
            help="Head noted earlier, NUMBER:HASH as this command prints it; it must still be part of the log.",
            show_default=False,
        ),
    ] = None,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Compute every hash of the audit log again. Exit code 1 if an entry was changed, removed, swapped or inserted."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.errors import UsageError

    noted = None
    if expect is not None:
        number, _, digest = expect.partition(":")
        if not number.isdigit() or len(digest) != 64:
            raise UsageError("not the head of an audit log", where="--expect", expected="NUMBER:HASH (64 hex digits)")
        noted = operations.AuditHead(int(number), digest)
    verdict = operations.audit_verify(expected_head=noted)
    head = f"{verdict.head.sequence}:{verdict.head.entry_hash}"
    if as_json:
        faults = [{"sequence": fault.sequence, "what": fault.what} for fault in verdict.faults]
        typer.echo(json.dumps({"entries": verdict.entries, "erased": verdict.erased, "head": head, "faults": faults}))
    else:
        for fault in verdict.faults:
            typer.echo(say(f"entry {fault.sequence}: {say(fault.what)}"))
        typer.echo(say(f"{verdict.entries} entries, {verdict.erased} of them erased; head {head}"))
        typer.echo(say("the audit log is sound") if verdict.sound else say("the audit log is not what was written"))
    if not verdict.sound:
        raise typer.Exit(1)


@app.command("log")
def show(
    municipality: Annotated[
        str | None, typer.Option("--municipality", "-m", help="Municipality code. Default: all.", show_default=False)
    ] = None,
    person: Annotated[
        str | None, typer.Option("--child", help="Entries about one child (child_id).", show_default=False)
    ] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many entries, newest first.")] = 50,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Who did or looked at what, when, for which purpose."""
    apply_home(home)
    from rich.table import Table

    from kodomo_platform import operations

    entries = operations.audit_log(municipality=municipality, person=person, limit=last)
    if as_json:
        rows = [{**vars(entry), "at": entry.at.isoformat()} for entry in entries]
        typer.echo(json.dumps(rows, ensure_ascii=False))
        return
    table = Table()
    for heading in ("no.", "when", "municipality", "who", "act", "subject", "purpose", "reason"):
        table.add_column(say(heading))
    for entry in entries:
        reason = say("(erased)") if entry.erased else entry.reason
        when = entry.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        number = str(entry.sequence)
        table.add_row(number, when, entry.municipality, entry.actor, entry.action, entry.subject, entry.purpose, reason)
    console().print(table)
