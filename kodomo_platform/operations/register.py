"""Records of governance (grounds, consents, requests, holds, exports, incidents, papers): their state and their history.

Which states a kind of record may have, and what follows from one, is `governance`'s and `policy`'s business.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append


@dataclass(frozen=True)
class GovernanceEvent:
    """One step: the state a record came into, from which day on, by whom."""

    at: datetime
    effective_on: date
    state: str
    actor: str
    audit_entry: int
    body: dict[str, Any]


@dataclass(frozen=True)
class GovernanceRecord:
    """One record as it is now. ``person`` is a child id, or empty where it concerns nobody in particular."""

    municipality: str
    kind: str
    key: str
    state: str
    person: str
    valid_from: date | None
    valid_until: date | None
    due_on: date | None
    body: dict[str, Any] = field(default_factory=dict)
    events: tuple[GovernanceEvent, ...] = ()

    def state_on(self, day: date) -> str:
        """The state that held at the end of ``day``; empty before the record began."""
        held = [event for event in self.events if event.effective_on <= day]
        return max(held, key=lambda event: (event.effective_on, event.audit_entry)).state if held else ""


def _record(row: Any) -> GovernanceRecord:
    events = tuple(
        GovernanceEvent(e.at, e.effective_on, e.state, e.actor, e.audit_entry_id, e.body) for e in row.events.all()
    )
    return GovernanceRecord(
        row.municipality_id,
        row.kind,
        row.key,
        row.state,
        row.person,
        row.valid_from,
        row.valid_until,
        row.due_on,
        row.body,
        tuple(sorted(events, key=lambda event: event.audit_entry)),
    )


def open_record(
    code: str,
    kind: str,
    key: str,
    state: str,
    act: Act,
    *,
    effective_on: date,
    person: str = "",
    valid_from: date | None = None,
    valid_until: date | None = None,
    due_on: date | None = None,
    body: dict[str, Any] | None = None,
) -> GovernanceRecord:
    """Enter a record.

    Raises:
        OperationsError: there is one of this kind and key already, or its period ends before it begins.
    """
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        raise OperationsError(
            "the period ends before it begins",
            where=f"municipality {code}, {kind} {key}",
            expected="a last day on or after the first",
        )
    with database.transaction():
        from kodomo_platform.operations import models

        database.municipality_row(code)
        if models.GovernanceRecord.objects.filter(municipality_id=code, kind=kind, key=key).exists():
            raise OperationsError("there is such a record already", where=f"municipality {code}, {kind} {key}")
        entry = append(act, f"{kind} {state}", key, municipality=code, person=person)
        row = models.GovernanceRecord.objects.create(
            municipality_id=code,
            kind=kind,
            key=key,
            state=state,
            person=person,
            valid_from=valid_from,
            valid_until=valid_until,
            due_on=due_on,
            body=body or {},
        )
        return _with_event(row, effective_on, act, entry, body)


def _with_event(row: Any, effective_on: date, act: Act, entry: int, body: dict[str, Any] | None) -> GovernanceRecord:
    """The record after its change, the change kept in its history."""
    from kodomo_platform.operations import models

    models.GovernanceEvent.objects.create(
        record=row,
        effective_on=effective_on,
        state=row.state,
        actor=act.actor,
        audit_entry_id=entry,
        body=body or {},
    )
    return _record(row)


def change_record(
    code: str,
    kind: str,
    key: str,
    state: str,
    act: Act,
    *,
    effective_on: date,
    seen: Collection[str],
    valid_until: date | None = None,
    due_on: date | None = None,
    body: dict[str, Any] | None = None,
) -> GovernanceRecord:
    """Bring a record into another state; entries of ``body`` are added to what it holds.

    Args:
        seen: the states from which this step may be taken.

    Raises:
        OperationsError: no such record, or it is in none of these states.
    """
    with database.transaction():
        from kodomo_platform.operations import models

        where = f"municipality {code}, {kind} {key}"
        row = (
            models.GovernanceRecord.objects.select_for_update().filter(municipality_id=code, kind=kind, key=key).first()
        )
        if row is None:
            raise OperationsError("there is no such record", where=where)
        if row.state not in seen:
            raise OperationsError(
                f"this step cannot be taken: the record is '{row.state}'",
                where=where,
                expected=f"a record that is {' or '.join(sorted(seen))}",
            )
        entry = append(act, f"{kind} {state}", key, municipality=code, person=row.person)
        row.state = state
        row.valid_until = valid_until or row.valid_until
        row.due_on = due_on or row.due_on
        row.body = {**row.body, **(body or {})}
        row.save()
        return _with_event(row, effective_on, act, entry, body)


def governance_records(
    code: str, kind: str | None = None, *, person: str | None = None, state: str | None = None
) -> list[GovernanceRecord]:
    """Records of a municipality with their history, by kind and key. A home that was never set up has none."""
    if not database.exists():
        return []
    database.ready()
    from kodomo_platform.operations import models

    rows = models.GovernanceRecord.objects.filter(municipality_id=code).prefetch_related("events")
    if kind is not None:
        rows = rows.filter(kind=kind)
    if person is not None:
        rows = rows.filter(person=person)
    if state is not None:
        rows = rows.filter(state=state)
    return [_record(row) for row in rows.order_by("kind", "key")]


def governance_record(code: str, kind: str, key: str) -> GovernanceRecord:
    """One record. Raises `OperationsError` where there is none."""
    for record in governance_records(code, kind):
        if record.key == key:
            return record
    raise OperationsError("there is no such record", where=f"municipality {code}, {kind} {key}")


# --- decisions about the analysis -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnalysisDecision:
    """``absence``: whether an item enters a theme; ``threshold``: percent of faults that an expectation accepts."""

    kind: str
    subject: str
    theme: str
    include: bool | None
    threshold: float | None
    reason: str
    decided_by: str
    decided_on: date


def decide_analysis(
    code: str,
    kind: str,
    subject: str,
    act: Act,
    *,
    decided_on: date,
    theme: str = "",
    include: bool | None = None,
    threshold: float | None = None,
) -> None:
    """Record a decision; earlier ones stay, the newest holds."""
    with database.transaction():
        from kodomo_platform.operations import models

        database.municipality_row(code)
        models.AnalysisDecision.objects.create(
            municipality_id=code,
            kind=kind,
            subject=subject,
            theme=theme,
            include=include,
            threshold=threshold,
            reason=act.reason,
            decided_by=act.actor,
            decided_on=decided_on,
        )
        word = f"{threshold:g} %" if include is None else "include" if include else "exclude"
        append(act, f"{kind} {word}", f"{theme} {subject}".strip(), municipality=code)


def analysis_decisions(code: str, kind: str) -> list[AnalysisDecision]:
    """All decisions of one kind, in the order they were recorded."""
    if not database.exists():
        return []
    database.ready()
    from kodomo_platform.operations import models

    return [
        AnalysisDecision(r.kind, r.subject, r.theme, r.include, r.threshold, r.reason, r.decided_by, r.decided_on)
        for r in models.AnalysisDecision.objects.filter(municipality_id=code, kind=kind).order_by("pk")
    ]
