"""Telling people that something needs them: by mail, by webhook, and always in a file (for closed networks).

One notice for each cause, not one for each run: it is told again only after the cause had gone, or after a week. Texts
are Japanese; they hold codes, names of municipalities, offices and sources, and the platform's own errors: never a value.
"""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.located_yaml import read_yaml
from kodomo_platform.settings import get_settings

AGAIN_AFTER = timedelta(days=7)
SECONDS_TO_WAIT = 20.0
_KEYS = {"mail", "webhook", "offices"}


@dataclass(frozen=True)
class Notice:
    """Something that somebody must see to.

    Attributes:
        cause: what it is, the same text for as long as it is the same fault.
        offices: holders of the sources concerned, as the municipality's file calls them; none: the platform's operator.
    """

    municipality: str
    cause: str
    subject: str
    lines: tuple[str, ...]
    offices: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((self.subject, "", *self.lines))


@dataclass
class Route:
    """Where a municipality's notices go."""

    mail: list[str] = field(default_factory=list)
    webhook: list[str] = field(default_factory=list)


def folder() -> Path:
    return get_settings().home / "notices"


def routes_file() -> Path:
    """``notifications.yaml`` in the home: per municipality mail, webhook, and an address for each office."""
    return get_settings().home / "notifications.yaml"


def route(notice: Notice) -> Route:
    """Addresses for ``notice``: the offices' own if the file names them, else the municipality's, else ``default``.

    Raises ConfigurationError for a file that cannot be used.
    """
    file = routes_file()
    if not file.exists():
        return Route()
    located = read_yaml(file)
    data = located.data
    if located.faults or not isinstance(data, dict):
        raise ConfigurationError(
            "the file that says who is told cannot be read",
            where=str(file),
            expected="per municipality code (or `default`): `mail`, `webhook`, `offices`",
            action="mend the file; notices are kept in the home's folder notices/ meanwhile",
        )
    entry = data.get(notice.municipality, data.get("default", {}))
    if not isinstance(entry, dict) or set(map(str, entry)) - _KEYS or not isinstance(entry.get("offices", {}), dict):
        raise ConfigurationError(
            "the file that says who is told has an entry that cannot be used",
            where=f"{file}: {notice.municipality}",
            expected="`mail`, `webhook`, `offices`",
        )
    by_office = entry.get("offices", {})
    mail = [one for office in notice.offices for one in _many(by_office.get(office))] or _many(entry.get("mail"))
    return Route(list(dict.fromkeys(mail)), _many(entry.get("webhook")))


def _many(value: Any) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)] if value else []


def tell(notice: Notice, *, now: datetime | None = None) -> list[str]:
    """Tell ``notice`` unless it was told already; returns the ways that worked (``file``, ``mail``, ``webhook``).

    A way that fails is named in the file, and tried again with the next notice of the same cause.
    """
    now = now or datetime.now(UTC)
    told = _told()
    last = told.get(notice.municipality, {}).get(notice.cause)
    if last is not None and now - datetime.fromisoformat(last) < AGAIN_AFTER:
        return []
    ways, failed = ["file"], []
    try:
        to = route(notice)
    except ConfigurationError as error:
        to, failed = Route(), [str(error)]
    for name, addresses, send in (("mail", to.mail, _mail), ("webhook", to.webhook, _webhook)):
        if not addresses:
            continue
        try:
            send(notice, addresses)
            ways.append(name)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            failed.append(f"{name}: {type(error).__name__}")
    _write(notice, ways, failed, now)
    if not failed:
        told.setdefault(notice.municipality, {})[notice.cause] = now.isoformat(timespec="seconds")
        _keep(told)
    return ways


def all_well(municipality: str) -> None:
    """Forget what was told of ``municipality``: it was published, and the next fault is a new one."""
    told = _told()
    if told.pop(municipality, None) is not None:
        _keep(told)


def _told() -> dict[str, dict[str, str]]:
    try:
        kept = json.loads((folder() / "told.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _keep(told: dict[str, dict[str, str]]) -> None:
    folder().mkdir(parents=True, exist_ok=True)
    aside = folder() / f".told.{os.getpid()}"
    aside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    aside.replace(folder() / "told.json")


def _write(notice: Notice, ways: list[str], failed: list[str], now: datetime) -> None:
    folder().mkdir(parents=True, exist_ok=True)
    line = {
        "at": now.isoformat(timespec="seconds"),
        "municipality": notice.municipality,
        "subject": notice.subject,
        "lines": notice.lines,
        "offices": notice.offices,
        "told_by": ways,
        "failed": failed,
    }
    with (folder() / "notices.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _mail(notice: Notice, addresses: list[str]) -> None:
    settings = get_settings()
    message = EmailMessage()
    message["Subject"] = notice.subject
    message["From"] = settings.smtp_from
    message["To"] = ", ".join(addresses)
    message.set_content(notice.text)
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=SECONDS_TO_WAIT) as server:
        if settings.smtp_user:
            server.starttls(context=ssl.create_default_context())
            server.login(settings.smtp_user, settings.smtp_password)
        server.send_message(message)


def _webhook(notice: Notice, addresses: list[str]) -> None:
    # "text" is what Slack, Mattermost and Teams' incoming webhooks show
    body = json.dumps({"text": notice.text}, ensure_ascii=False).encode()
    for address in addresses:
        if not address.startswith(("http://", "https://")):
            raise ValueError("not a web address")
        request = urllib.request.Request(address, body, {"Content-Type": "application/json; charset=utf-8"})
        with urllib.request.urlopen(request, timeout=SECONDS_TO_WAIT) as answer, suppress(OSError):
            answer.read()
