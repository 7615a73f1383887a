"""`kodomo portal …`: serve the portal, make people who may sign in. What they may do is `kodomo_platform.portal`'s."""

from __future__ import annotations

import os
from datetime import datetime
from typing import Annotated

import typer
from rich.table import Table

from kodomo_platform.cli.languages import language, say
from kodomo_platform.cli.options import Home, apply_home, console

app = typer.Typer(help="The web portal of those who support children.", no_args_is_help=True)

Municipality = Annotated[str, typer.Option("--municipality", "-m", help="Municipality code.")]


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the portal's pages.")] = 8000,
    home: Home = None,
) -> None:
    """Serve the portal until Ctrl-C; beyond this machine only behind TLS."""
    apply_home(home)
    from kodomo_platform.portal import serving

    line = serving.command(host, port)
    serving.prepare()
    print(say(f"Portal   http://{host}:{port}"), flush=True)
    os.execv(line[0], line)


def _show(people: list[object], municipality: str) -> None:
    ja = language() == "ja"
    table = Table(
        *(
            ("ログインID", "パスワード", "認証アプリの鍵", "役割")
            if ja
            else ("login", "password", "second factor", "role")
        )
    )
    for person in people:
        table.add_row(person.login, person.password, person.totp_secret, ", ".join(person.roles))  # type: ignore[attr-defined]
    out = console()
    out.print(table)
    out.print(
        say("These passwords are shown once. `kodomo portal code SECRET` shows the six digits of a second factor.")
    )


@app.command()
def demo(municipality: Municipality, home: Home = None) -> None:
    """Make one person per role for trying the portal; passwords are shown once."""
    apply_home(home)
    from kodomo_platform.portal import serving

    serving.prepare()
    from kodomo_platform.portal.demo import demo_people

    _show(list(demo_people(municipality)), municipality)


@app.command()
def user(
    login: Annotated[str, typer.Argument(help="Login of the person.")],
    municipality: Municipality,
    name: Annotated[str, typer.Option("--name", help="Name shown to colleagues.")],
    role: Annotated[str, typer.Option("--role", help="Role, as the table of rights names it.")],
    reason: Annotated[str, typer.Option("--reason", help="Why this person needs it.")],
    by: Annotated[str, typer.Option("--by", help="Who decides.")],
    office: Annotated[str, typer.Option("--office", help="Office of the person.")] = "",
    school: Annotated[list[str] | None, typer.Option("--school", help="School code; repeatable.")] = None,
    school_class: Annotated[
        list[str] | None, typer.Option("--class", help="SCHOOL:GRADE-CLASS, e.g. 1001:3-2組; repeatable.")
    ] = None,
    ends: Annotated[datetime | None, typer.Option("--ends", formats=["%Y-%m-%d"], help="Last day of the role.")] = None,
    sees_protected: Annotated[
        bool, typer.Option("--sees-protected", help="Named by the municipality to see protected addresses.")
    ] = False,
    home: Home = None,
) -> None:
    """Make a person who may sign in; the password is shown once, the second factor is set up at the first sign-in."""
    apply_home(home)
    from kodomo_platform.portal import serving

    serving.prepare()
    from kodomo_platform.portal.people import create_person

    pairs = tuple((text.partition(":")[0], text.partition(":")[2]) for text in school_class or [])
    made = create_person(
        login,
        municipality,
        name,
        office=office,
        role=role,
        schools=tuple(school or ()),
        classes=pairs,
        ends_on=ends.date() if ends else None,
        sees_protected=sees_protected,
        with_second_factor=False,
        by=by,
        reason=reason,
    )
    _show([made], municipality)


@app.command()
def code(secret: Annotated[str, typer.Argument(help="Secret of a second factor, as it was shown.")]) -> None:
    """Show the six digits that an authenticator would show now (for trying out, without a phone)."""
    from kodomo_platform.portal.digits import digits_now

    print(digits_now(secret))
