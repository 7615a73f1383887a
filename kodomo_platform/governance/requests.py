"""What a resident asks: disclosure, correction, stop of use. Each has a day by which it must be decided.

Act on the Protection of Personal Information: disclosure arts. 76-89 (decision within 30 days, art. 83(1), extended by at
most 30, art. 83(2)); correction arts. 90-97 (art. 94); stop of use arts. 98-103 (art. 102). A town's ordinance may say
less than 30 days (art. 108): its file or this call says so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from kodomo_platform import operations
from kodomo_platform.errors import GovernanceError
from kodomo_platform.operations import Act, GovernanceRecord

KIND = "request"
ARTICLES = {"disclosure": "76", "correction": "90", "stop_use": "98"}
DAYS, EXTENSION = 30, 30
OPEN = ("received", "with_holder", "extended")


@dataclass(frozen=True)
class Due:
    """An open request and how many days are left; negative where it is late."""

    request: GovernanceRecord
    days_left: int


def receive(
    code: str,
    key: str,
    what: str,
    child_id: str,
    act: Act,
    *,
    received_on: dt.date,
    days: int = DAYS,
    detail: dict[str, Any] | None = None,
) -> GovernanceRecord:
    """Enter a request; its due day is ``days`` after the day it was received.

    Raises:
        GovernanceError: not one of the three kinds, or more days than the Act allows.
        OperationsError: a child id that this installation never gave out.
    """
    if what not in ARTICLES:
        raise GovernanceError("not a kind of request", where=key, expected=", ".join(ARTICLES))
    if not 0 < days <= DAYS:
        raise GovernanceError(
            "the Act allows 30 days at most", where=key, expected="1 to 30 days (arts. 83, 94, 102, 108)"
        )
    operations.child_history(child_id)
    return operations.open_record(
        code,
        KIND,
        key,
        "received",
        act,
        effective_on=received_on,
        person=child_id,
        due_on=received_on + dt.timedelta(days),
        body={"what": what, "article": ARTICLES[what], "received_on": received_on.isoformat(), **(detail or {})},
    )


def pass_to_holder(code: str, key: str, office: str, act: Act, *, on: dt.date) -> GovernanceRecord:
    """Send a request to the office that holds the data."""
    return operations.change_record(
        code, KIND, key, "with_holder", act, effective_on=on, seen=["received", "extended"], body={"holder": office}
    )


def extend(code: str, key: str, act: Act, *, on: dt.date) -> GovernanceRecord:
    """Extend once by 30 days; the person must be told in writing why (art. 83(2), 94(2), 102(2))."""
    request = operations.governance_record(code, KIND, key)
    if request.body.get("extended_on"):
        raise GovernanceError("a request is extended once", where=key, expected="a decision (or arts. 84, 95, 103)")
    assert request.due_on is not None
    return operations.change_record(
        code, KIND, key, "extended", act, effective_on=on, seen=["received", "with_holder"],
        due_on=request.due_on + dt.timedelta(EXTENSION), body={"extended_on": on.isoformat()},
    )  # fmt: skip


def decide(
    code: str, key: str, outcome: str, act: Act, *, on: dt.date, detail: dict[str, Any] | None = None
) -> GovernanceRecord:
    """``granted``, ``partly`` or ``refused``, with the reason in the act."""
    if outcome not in ("granted", "partly", "refused"):
        raise GovernanceError("not an outcome", where=key, expected="granted, partly or refused")
    return operations.change_record(
        code, KIND, key, outcome, act, effective_on=on, seen=OPEN, body={"decided_on": on.isoformat(), **(detail or {})}
    )


def due(code: str, on: dt.date) -> list[Due]:
    """Open requests, the most urgent first."""
    waiting = [r for r in operations.governance_records(code, KIND) if r.state in OPEN and r.due_on is not None]
    return sorted(
        (Due(request, (request.due_on - on).days) for request in waiting if request.due_on is not None),
        key=lambda d: (d.days_left, d.request.key),
    )
