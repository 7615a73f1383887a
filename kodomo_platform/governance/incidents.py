"""Incidents (漏えい等): a record, the days by which the Commission and the people must be told, and who is affected.

Act on the Protection of Personal Information, art. 68; Enforcement Rules, arts. 43 (what has to be reported), 44 (prompt
report, then full report within 30 days, 60 where a wrongful purpose is feared), 45 (telling the people); the Commission's
guideline for administrative bodies reads "promptly" as about three to five days from when it became known.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from kodomo_platform import operations
from kodomo_platform.errors import GovernanceError
from kodomo_platform.operations import Act, GovernanceRecord

KIND = "incident"
PROMPT_DAYS, FULL_DAYS, FULL_DAYS_WRONGFUL = 5, 30, 60
# Rules art. 43: special care; feared damage to property; a wrongful purpose; more than 100 people
REASONS = ("special_care", "property", "wrongful_purpose", "more_than_100", "other")


@dataclass(frozen=True)
class Deadlines:
    """Days by which a report is due; None where none is."""

    prompt: dt.date
    full: dt.date


def report(code: str, key: str, act: Act, *, known_on: dt.date, reason: str, what: str) -> GovernanceRecord:
    """Enter an incident; the prompt report's day is its due day."""
    if reason not in REASONS:
        raise GovernanceError("not a kind of incident", where=key, expected=", ".join(REASONS))
    days = deadlines(known_on, reason)
    return operations.open_record(
        code, KIND, key, "known", act, effective_on=known_on, due_on=days.prompt,
        body={"reason": reason, "what": what, "prompt_by": days.prompt.isoformat(), "full_by": days.full.isoformat()},
    )  # fmt: skip


def deadlines(known_on: dt.date, reason: str) -> Deadlines:
    """When the prompt and the full report are due at the latest."""
    full = FULL_DAYS_WRONGFUL if reason == "wrongful_purpose" else FULL_DAYS
    return Deadlines(known_on + dt.timedelta(PROMPT_DAYS), known_on + dt.timedelta(full))


def step(code: str, key: str, state: str, act: Act, *, on: dt.date) -> GovernanceRecord:
    """``prompt_reported``, ``reported`` (full), ``people_told`` or ``closed``; the next due day moves with it."""
    seen = {
        "prompt_reported": ["known"],
        "reported": ["known", "prompt_reported"],
        "people_told": ["known", "prompt_reported", "reported"],
        "closed": ["reported", "people_told"],
    }
    if state not in seen:
        raise GovernanceError("not a step of an incident", where=key, expected=", ".join(seen))
    full = dt.date.fromisoformat(operations.governance_record(code, KIND, key).body["full_by"])
    return operations.change_record(
        code,
        KIND,
        key,
        state,
        act,
        effective_on=on,
        seen=seen[state],
        due_on=full if state == "prompt_reported" else None,
    )


def affected(
    code: str, *, actor: str = "", since: dt.datetime | None = None, until: dt.datetime | None = None
) -> list[str]:
    """Children whose data an account saw in a time, from the looks on record."""
    entries = operations.audit_log(municipality=code, since=since, until=until)
    return sorted({e.person for e in entries if e.person and (not actor or e.actor == actor)})
