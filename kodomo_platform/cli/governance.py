"""``kodomo governance``: grounds, consents, requests, holds, retention, papers, exports, incidents. Thin: the room acts."""

from __future__ import annotations

import datetime as dt
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from kodomo_platform.cli.languages import language, say
from kodomo_platform.cli.options import Home, apply_home

app = typer.Typer(help="Grounds, consents, requests, retention, papers, exports and incidents.", no_args_is_help=True)
grounds_app = typer.Typer(help="Purpose sheets: what they open, what closes and when.", no_args_is_help=True)
consents_app = typer.Typer(help="Consents with their five states and history.", no_args_is_help=True)
requests_app = typer.Typer(
    help="Requests of residents and the days by which they must be decided.", no_args_is_help=True
)
hold_app = typer.Typer(help="Legal holds: data that must be kept.", no_args_is_help=True)
retention_app = typer.Typer(help="What is kept too long, and deleting it with a certificate.", no_args_is_help=True)
papers_app = typer.Typer(help="Papers made of what really runs.", no_args_is_help=True)
export_app = typer.Typer(help="Research exports with two approvals.", no_args_is_help=True)
incident_app = typer.Typer(help="Incidents and the days by which they must be reported.", no_args_is_help=True)
for name, family in (
    ("grounds", grounds_app),
    ("consents", consents_app),
    ("requests", requests_app),
    ("hold", hold_app),
    ("retention", retention_app),
    ("papers", papers_app),
    ("export", export_app),
    ("incident", incident_app),
):
    app.add_typer(family, name=name)

Code = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code, e.g. 112241.")]
Key = Annotated[str, typer.Option("--key", help="Number or name of the record.")]
By = Annotated[str, typer.Option("--by", help="Name of who decides.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Child = Annotated[str, typer.Option("--child", help="child_id, as the snapshot has it.")]
Day = Annotated[str | None, typer.Option("--on", help="Day (YYYY-MM-DD). Default: today.", show_default=False)]


def _day(text: str | None) -> dt.date:
    from kodomo_platform.errors import UsageError

    try:
        return dt.date.today() if text is None else dt.date.fromisoformat(text)
    except ValueError:
        raise UsageError("not a date", where="--on", expected="YYYY-MM-DD, e.g. 2026-10-01") from None


def _act(by: str, reason: str, purpose: str) -> Any:
    from kodomo_platform.operations import Act

    return Act(by, reason, purpose)


def _print(data: object) -> None:
    typer.echo(json.dumps(data, ensure_ascii=False, indent=1, default=str))


# --- grounds ----------------------------------------------------------------------------------------------------------


@grounds_app.command("check")
def grounds_check(municipality: Code, on: Day = None, home: Home = None) -> None:
    """Say which items are closed on a day and why, and which grounds end within 60 days. Exit code 1 if any is closed."""
    apply_home(home)
    from kodomo_platform.governance import sheets
    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.policy.grounds import WHY_JA

    report = sheets.check(load_municipality(municipality), _day(on))
    for closed in report.closed:
        why = WHY_JA[closed.why] if language() == "ja" else closed.why.value
        typer.echo(say(f"closed {closed.item}: {why} ({closed.told_by})"))
    for ending in report.ending:
        typer.echo(say(f"ends {ending.ends_on}, in {ending.days} days: {ending.item} ({ending.told_by})"))
    typer.echo(say(f"{len(report.closed)} closed, {len(report.ending)} ending, {len(report.sheets)} sheets on record"))
    if report.closed:
        raise typer.Exit(1)


@grounds_app.command("propose")
def grounds_propose(
    municipality: Code,
    key: Key,
    item: Annotated[list[str], typer.Option("--item", help="Item or source of the catalogue; may be given again.")],
    kind: Annotated[
        str,
        typer.Option("--kind", help="within_purpose, law, change_of_purpose, beyond_purpose or provision."),
    ],
    valid_from: Annotated[str, typer.Option("--from", help="First day (YYYY-MM-DD).")],
    valid_until: Annotated[str, typer.Option("--until", help="Last day (YYYY-MM-DD).")],
    by: By,
    reason: Reason,
    condition: Annotated[
        list[str] | None,
        typer.Option("--condition", help="For beyond_purpose: NAME=TEXT for each of the four conditions."),
    ] = None,
    home: Home = None,
) -> None:
    """Draft a purpose sheet."""
    apply_home(home)
    from kodomo_platform.governance import sheets
    from kodomo_platform.municipalities import load_municipality

    conditions = dict(pair.partition("=")[::2] for pair in condition or [])
    sheets.propose(
        load_municipality(municipality), key, item, _act(by, reason, "governance"),
        kind=kind, valid_from=_day(valid_from), valid_until=_day(valid_until), conditions=conditions,
    )  # fmt: skip
    typer.echo(say(f"{key}: draft"))


class _SheetStep(StrEnum):
    review = "review"
    approve = "approve"
    withdraw = "withdraw"


@grounds_app.command("step")
def grounds_step(
    step: _SheetStep, municipality: Code, key: Key, by: By, reason: Reason, on: Day = None, home: Home = None
) -> None:
    """Review, approve or withdraw a sheet; author, reviewer and approver are three people."""
    apply_home(home)
    from kodomo_platform.governance import sheets

    made = getattr(sheets, step.value)(municipality, key, _act(by, reason, "governance"), on=_day(on))
    typer.echo(f"{key}: {made.state}")


# --- consents ---------------------------------------------------------------------------------------------------------


class _State(StrEnum):
    given = "given"
    refused = "refused"
    unanswered = "unanswered"
    withdrawn = "withdrawn"
    invalid = "invalid"


@consents_app.command("record")
def consents_record(
    state: _State,
    municipality: Code,
    key: Key,
    child: Child,
    by: By,
    reason: Reason,
    giver: Annotated[str, typer.Option("--giver", help="guardian, second_guardian or child.")],
    route: Annotated[str, typer.Option("--route", help="How it came: paper, portal, counter …")],
    evidence: Annotated[str, typer.Option("--evidence", help="Where the paper lies.")] = "",
    scope: Annotated[list[str] | None, typer.Option("--scope", help="Domain, source or item; default: all.")] = None,
    theme: Annotated[list[str] | None, typer.Option("--theme", help="Theme; default: all.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day (YYYY-MM-DD).")] = None,
    on: Day = None,
    home: Home = None,
) -> None:
    """Enter what a guardian or the child said."""
    apply_home(home)
    from kodomo_platform.governance import consents

    consents.record(
        municipality, key, child, consents.State(state.value), _act(by, reason, "consent"), giver=giver, route=route,
        evidence=evidence, scope=scope or (), themes=theme or (), on=_day(on), valid_until=_day(until) if until else None,
    )  # fmt: skip
    typer.echo(f"{key}: {state.value}")


@consents_app.command("change")
def consents_change(
    state: _State, municipality: Code, key: Key, by: By, reason: Reason, on: Day = None, home: Home = None
) -> None:
    """Answered, withdrawn, found invalid: the earlier state stays in the history."""
    apply_home(home)
    from kodomo_platform.governance import consents

    consents.change(municipality, key, consents.State(state.value), _act(by, reason, "consent"), on=_day(on))
    typer.echo(f"{key}: {state.value}")


@consents_app.command("show")
def consents_show(
    municipality: Code,
    child: Child,
    what: Annotated[str, typer.Option("--what", help="Domain, source or item.")],
    by: By,
    reason: Reason,
    on: Day = None,
    home: Home = None,
) -> None:
    """What holds for a child on a day; the look is written to the audit log."""
    apply_home(home)
    from kodomo_platform import operations
    from kodomo_platform.governance import consents

    operations.audit(_act(by, reason, "consent"), "look consent", what, municipality=municipality, person=child)
    answer = consents.answer(municipality, child, what, _day(on))
    _print({"state": answer.state, "opens": answer.opens, "by": dict(answer.by), "ask": answer.ask})


# --- requests and holds -----------------------------------------------------------------------------------------------


@requests_app.command("receive")
def requests_receive(
    municipality: Code,
    key: Key,
    what: Annotated[str, typer.Option("--what", help="disclosure, correction or stop_use.")],
    child: Child,
    by: By,
    reason: Reason,
    on: Day = None,
    home: Home = None,
) -> None:
    """Enter a request; it is due 30 days later."""
    apply_home(home)
    from kodomo_platform.governance import requests

    made = requests.receive(municipality, key, what, child, _act(by, reason, what), received_on=_day(on))
    typer.echo(say(f"{key}: due {made.due_on}"))


class _RequestStep(StrEnum):
    extend = "extend"
    granted = "granted"
    partly = "partly"
    refused = "refused"


@requests_app.command("step")
def requests_step(
    step: _RequestStep, municipality: Code, key: Key, by: By, reason: Reason, on: Day = None, home: Home = None
) -> None:
    """Extend a request once by 30 days, or decide it."""
    apply_home(home)
    from kodomo_platform.governance import requests

    act = _act(by, reason, "request")
    if step is _RequestStep.extend:
        made = requests.extend(municipality, key, act, on=_day(on))
    else:
        made = requests.decide(municipality, key, step.value, act, on=_day(on))
    typer.echo(f"{key}: {made.state} {made.due_on}")


@requests_app.command("due")
def requests_due(municipality: Code, on: Day = None, home: Home = None) -> None:
    """Open requests, the most urgent first. Exit code 1 if one is late."""
    apply_home(home)
    from kodomo_platform.governance import requests

    waiting = requests.due(municipality, _day(on))
    for entry in waiting:
        request = entry.request
        typer.echo(say(f"{request.key} {request.body.get('what')}: due {request.due_on}, {entry.days_left} days left"))
    if any(entry.days_left < 0 for entry in waiting):
        raise typer.Exit(1)


@hold_app.command("start")
def hold_start(municipality: Code, key: Key, child: Child, by: By, reason: Reason, home: Home = None) -> None:
    """Keep everything of a child until the hold ends."""
    apply_home(home)
    from kodomo_platform.governance import retention

    retention.hold(municipality, key, child, _act(by, reason, "legal hold"), on=dt.date.today())


@hold_app.command("end")
def hold_end(municipality: Code, key: Key, by: By, reason: Reason, home: Home = None) -> None:
    """End a hold."""
    apply_home(home)
    from kodomo_platform.governance import retention

    retention.end_hold(municipality, key, _act(by, reason, "legal hold"), on=dt.date.today())


# --- retention, papers, exports, incidents, reports -------------------------------------------------------------------


@retention_app.command("plan")
def retention_plan(municipality: Code, on: Day = None, home: Home = None) -> None:
    """List what is kept too long; nothing is deleted."""
    apply_home(home)
    from kodomo_platform.governance import retention

    due = retention.plan(municipality, _day(on))
    for item in due:
        held = say(f" kept by hold {item.kept_by}") if item.kept_by else ""
        typer.echo(say(f"{item.path}: {item.dated}, class {item.data_class}, {item.years} years") + held)
    typer.echo(say(f"{len(due)} files or folders are due"))


@retention_app.command("apply")
def retention_apply(municipality: Code, by: By, reason: Reason, on: Day = None, home: Home = None) -> None:
    """Delete what is kept too long and print the certificate."""
    apply_home(home)
    from kodomo_platform.governance import retention

    _print(retention.carry_out(municipality, _day(on), _act(by, reason, "retention")))


@papers_app.command("write")
def papers_write(
    municipality: Code,
    by: By,
    reason: Reason,
    out: Annotated[Path | None, typer.Option(help="Folder (default: the home's reports folder).")] = None,
    on: Day = None,
    home: Home = None,
) -> None:
    """Write purpose sheets, file register, notice, PIA, algorithm record and evidence pack."""
    apply_home(home)
    from kodomo_platform.governance import papers

    for path in papers.write(municipality, _act(by, reason, "accountability"), _day(on), out):
        typer.echo(str(path))


@papers_app.command("publish-register")
def papers_publish_register(municipality: Code, by: By, reason: Reason, on: Day = None, home: Home = None) -> None:
    """Note the file register as published, to compare what runs with it."""
    apply_home(home)
    from kodomo_platform.governance import papers

    count = papers.publish_register(municipality, _act(by, reason, "accountability"), _day(on))
    typer.echo(say(f"{count} entries noted as published"))


@papers_app.command("diff")
def papers_diff(municipality: Code, on: Day = None, home: Home = None) -> None:
    """Differences between the published file register and what runs. Exit code 1 if there are any, or none was published."""
    apply_home(home)
    from kodomo_platform.governance import papers

    found = papers.register_differences(municipality, _day(on))
    if found is None:
        typer.echo(say("no file register was published"))
        raise typer.Exit(1)
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(1)


@export_app.command("propose")
def export_propose(
    municipality: Code,
    key: Key,
    feature: Annotated[list[str], typer.Option("--feature", help="Feature that may leave; may be given again.")],
    purpose: Annotated[str, typer.Option("--purpose", help="Purpose of the export.")],
    recipient: Annotated[str, typer.Option("--recipient", help="Who receives it.")],
    contract: Annotated[str, typer.Option("--contract", help="Number of the contract.")],
    expires: Annotated[str, typer.Option("--expires", help="Last day (YYYY-MM-DD).")],
    by: By,
    reason: Reason,
    k: Annotated[int, typer.Option("--k", min=2, help="Smallest group of people who look alike.")] = 10,
    home: Home = None,
) -> None:
    """Compute and check an export; nothing is written until two people have approved it."""
    apply_home(home)
    from kodomo_platform.governance import exports

    rules = exports.Rules(purpose, recipient, contract, _day(expires).isoformat(), tuple(feature), k=k)
    _, checked = exports.propose(municipality, key, rules, _act(by, reason, purpose), on=dt.date.today())
    _print(vars(checked))


@export_app.command("judge")
def export_judge(
    municipality: Code,
    key: Key,
    by: By,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes/--no", help="Approve or refuse.")],
    home: Home = None,
) -> None:
    """Give one approver's word; what the other said is not shown."""
    apply_home(home)
    from kodomo_platform.governance import exports

    typer.echo(exports.judge(municipality, key, yes, _act(by, reason, "export"), on=dt.date.today()))


@export_app.command("release")
def export_release(municipality: Code, key: Key, by: By, reason: Reason, home: Home = None) -> None:
    """Write the file of an export with two approvals."""
    apply_home(home)
    from kodomo_platform.governance import exports

    typer.echo(str(exports.release(municipality, key, _act(by, reason, "export"), on=dt.date.today())))


@incident_app.command("report")
def incident_report(
    municipality: Code,
    key: Key,
    kind: Annotated[
        str, typer.Option("--kind", help="special_care, property, wrongful_purpose, more_than_100 or other.")
    ],
    what: Annotated[str, typer.Option("--what", help="What happened, without names.")],
    by: By,
    reason: Reason,
    on: Day = None,
    home: Home = None,
) -> None:
    """Enter an incident and print the days by which it must be reported."""
    apply_home(home)
    from kodomo_platform.governance import incidents

    made = incidents.report(municipality, key, _act(by, reason, "incident"), known_on=_day(on), reason=kind, what=what)
    _print({name: made.body[name] for name in ("prompt_by", "full_by")})


@incident_app.command("step")
def incident_step(
    step: Annotated[str, typer.Argument(help="prompt_reported, reported, people_told or closed.")],
    municipality: Code,
    key: Key,
    by: By,
    reason: Reason,
    on: Day = None,
    home: Home = None,
) -> None:
    """Note that an incident was reported, the people told, or all is done."""
    apply_home(home)
    from kodomo_platform.governance import incidents

    typer.echo(f"{key}: {incidents.step(municipality, key, step, _act(by, reason, 'incident'), on=_day(on)).state}")


@app.command()
def report(municipality: Code, on: Day = None, home: Home = None) -> None:
    """The monthly report of looks and acts with odd patterns, and the self-inspection sheet."""
    apply_home(home)
    from kodomo_platform.governance import inspection

    day = _day(on)
    _print(
        {
            "monthly": vars(inspection.monthly(municipality, day)),
            "self_inspection": inspection.self_inspection(municipality, day),
        }
    )
