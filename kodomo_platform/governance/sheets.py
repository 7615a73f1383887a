"""Purpose sheets (利用目的の特定) as records: drafted, reviewed, approved by somebody else, for a period; then ended.

What an approved sheet opens, and what an ended one closes, is decided by `policy.grounds`. Sources: Act on the Protection
of Personal Information, arts. 61, 69; guideline of 2022-12-20, chapter 3.3 (the sheet's nine fields) and chapter 5.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.operations import Act, GovernanceRecord
from kodomo_platform.policy.grounds import Closed, Ending, closures, endings

KIND = "ground"
# the four conditions of a temporary use beyond the purpose (art. 69(2)), each a field of its own
CONDITIONS = ("temporary", "necessary_extent", "considerable_reason", "no_undue_harm")


@dataclass(frozen=True)
class GroundsReport:
    """What is closed today, what ends soon, and the sheets on record."""

    closed: list[Closed]
    ending: list[Ending]
    sheets: list[GovernanceRecord]


def propose(
    municipality: Municipality,
    key: str,
    items: Sequence[str],
    act: Act,
    *,
    kind: str,
    valid_from: dt.date,
    valid_until: dt.date,
    conditions: dict[str, str] | None = None,
    on: dt.date | None = None,
) -> GovernanceRecord:
    """Draft a sheet for items or whole sources (``<domain>.<source>``).

    Args:
        kind: within_purpose, law (art. 69(1)), change_of_purpose (art. 61(3)), beyond_purpose (69(2)) or provision.
        conditions: for beyond_purpose, a text for each of the four conditions.

    Raises:
        GovernanceError: an unknown item, or a condition without a text.
    """
    catalog = load_catalog()
    where = f"municipality {municipality.code}, ground {key}"
    if unknown := [item for item in items if item not in catalog.items and item not in catalog.sources]:
        raise GovernanceError(
            "no such item or source in the catalogue", where=", ".join(unknown), action="see `kodomo catalog list`"
        )
    if kind == "beyond_purpose" and any(not (conditions or {}).get(name, "").strip() for name in CONDITIONS):
        raise GovernanceError(
            "use beyond the purpose needs a text for each of the four conditions",
            where=where,
            expected=", ".join(CONDITIONS),
        )
    return operations.open_record(
        municipality.code,
        KIND,
        key,
        "draft",
        act,
        effective_on=on or dt.date.today(),
        valid_from=valid_from,
        valid_until=valid_until,
        body={"items": list(items), "kind": kind, "conditions": conditions or {}, "author": act.actor},
    )


def review(code: str, key: str, act: Act, *, on: dt.date | None = None) -> GovernanceRecord:
    """Say that a draft was looked through by somebody other than its author."""
    _refuse_same_person(code, key, act, "author")
    return operations.change_record(
        code,
        KIND,
        key,
        "reviewed",
        act,
        effective_on=on or dt.date.today(),
        seen=["draft"],
        body={"reviewer": act.actor},
    )


def approve(code: str, key: str, act: Act, *, on: dt.date | None = None) -> GovernanceRecord:
    """Open a reviewed sheet. Who wrote or reviewed it cannot approve it."""
    _refuse_same_person(code, key, act, "author", "reviewer")
    return operations.change_record(
        code,
        KIND,
        key,
        "approved",
        act,
        effective_on=on or dt.date.today(),
        seen=["reviewed"],
        body={"approver": act.actor},
    )


def withdraw(code: str, key: str, act: Act, *, on: dt.date | None = None) -> GovernanceRecord:
    """Close a sheet before its period ends: its columns are left at the door at the next run."""
    return operations.change_record(
        code, KIND, key, "withdrawn", act, effective_on=on or dt.date.today(), seen=["draft", "reviewed", "approved"]
    )


def _refuse_same_person(code: str, key: str, act: Act, *duties: str) -> None:
    body = operations.governance_record(code, KIND, key).body
    if act.actor in {str(body.get(duty, "")) for duty in duties}:
        raise GovernanceError(
            "one person cannot do both",
            where=f"municipality {code}, ground {key}",
            expected="an author, a reviewer and an approver who are three people",
        )


def check(municipality: Municipality, on: dt.date) -> GroundsReport:
    """What is closed on a day and why, and which grounds end within 60 days."""
    shut = sorted(closures(municipality, on).values(), key=lambda closed: closed.item)
    return GroundsReport(shut, endings(municipality, on), operations.governance_records(municipality.code, KIND))
