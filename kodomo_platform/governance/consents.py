"""Consents: who gave which for whom, by which route, from when until when; five states, and the state at any date.

*given*, *refused*, *unanswered*, *withdrawn* and *invalid* are five things. Where two guardians or the child differ, the
stricter holds and a person is asked. What a consent opens in the pipeline belongs to the marts.

Sources: Act on the Protection of Personal Information, art. 69(2) i (consent of the person); guideline, chapter 5; that a
child's own word counts is the town's rule, so it is asked for and never assumed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.operations import Act, GovernanceRecord

KIND = "consent"


class State(StrEnum):
    """What was said. Ordered from open to strict by `STRICTNESS`."""

    GIVEN = "given"
    UNANSWERED = "unanswered"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    INVALID = "invalid"


# given opens; everything else does not. Of two that close, the one that says most clearly "no" is shown.
STRICTNESS = {State.GIVEN: 0, State.UNANSWERED: 1, State.INVALID: 2, State.WITHDRAWN: 3, State.REFUSED: 4}
GIVERS = ("guardian", "second_guardian", "child")


@dataclass(frozen=True)
class Answer:
    """What holds for one child, one domain or item, on one day; ``ask`` where people disagree."""

    state: State
    by: tuple[tuple[str, State], ...]
    ask: bool

    @property
    def opens(self) -> bool:
        """Only what was given, and by everybody who was asked."""
        return self.state is State.GIVEN


def record(
    code: str,
    key: str,
    child_id: str,
    state: State,
    act: Act,
    *,
    giver: str,
    route: str,
    evidence: str,
    scope: Sequence[str] = (),
    themes: Sequence[str] = (),
    valid_from: dt.date | None = None,
    valid_until: dt.date | None = None,
    on: dt.date,
) -> GovernanceRecord:
    """Enter what somebody said.

    Args:
        giver: guardian, second_guardian or child.
        route: paper, portal, counter, telephone …; evidence: where the paper lies (a file number, never its text).
        scope: domains, sources or items that it covers; empty: all.
        themes: themes that it covers; empty: all.
        on: the day it was said.

    Raises:
        GovernanceError: unknown giver or scope, no evidence, or a child that this installation does not know.
    """
    where = f"municipality {code}, consent {key}"
    catalog = load_catalog()
    known = {*catalog.items, *catalog.sources, *(source.domain for source in catalog.sources.values())}
    if giver not in GIVERS:
        raise GovernanceError("not somebody who consents", where=where, expected=" or ".join(GIVERS))
    if unknown := [name for name in scope if name not in known]:
        raise GovernanceError(
            f"a consent covers what the catalogue knows, not: {', '.join(unknown)}",
            where=where, expected="domains, sources or items of the catalogue",
        )  # fmt: skip
    if state is not State.UNANSWERED and not evidence.strip():
        raise GovernanceError("a consent needs its evidence", where=where, expected="where the paper or record lies")
    operations.child_history(child_id)
    return operations.open_record(
        code,
        KIND,
        key,
        state.value,
        act,
        effective_on=on,
        person=child_id,
        valid_from=valid_from or on,
        valid_until=valid_until,
        body={"giver": giver, "route": route, "evidence": evidence, "scope": list(scope), "themes": list(themes)},
    )


def change(
    code: str, key: str, state: State, act: Act, *, on: dt.date, route: str = "", evidence: str = ""
) -> GovernanceRecord:
    """Answered, withdrawn, found invalid …: the earlier state stays in the history. Withdrawing twice is refused."""
    seen = [other.value for other in State if other is not state]
    return operations.change_record(
        code, KIND, key, state.value, act, effective_on=on, seen=seen,
        body={name: text for name, text in (("route", route), ("evidence", evidence)) if text},
    )  # fmt: skip


def _covers(consent: GovernanceRecord, what: str, theme: str | None) -> bool:
    scope = consent.body.get("scope") or []
    parts = what.split(".")
    within = {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    themes = consent.body.get("themes") or []
    return (not scope or bool(within & set(scope))) and (theme is None or not themes or theme in themes)


def _said_on(consent: GovernanceRecord, day: dt.date) -> State | None:
    """What this line says on a day; None where it had not begun. A consent that has run out is no consent any more."""
    state = consent.state_on(day)
    if not state:
        return None
    if state == State.GIVEN and (
        (consent.valid_from is not None and day < consent.valid_from)
        or (consent.valid_until is not None and day > consent.valid_until)
    ):
        return State.UNANSWERED
    return State(state)


def answer(code: str, child_id: str, what: str, day: dt.date, *, theme: str | None = None) -> Answer:
    """What holds for a child on a day, for a domain, source or item (and theme).

    Of each giver the newest line that covers it counts; of several givers the strictest. A line outside the scope says
    nothing. Nobody asked: unanswered.
    """
    newest: dict[str, tuple[dt.date, int, State]] = {}
    for consent in operations.governance_records(code, KIND, person=child_id):
        if not _covers(consent, what, theme):
            continue
        state = _said_on(consent, day)
        if state is None:
            continue
        last = max((e.effective_on, e.audit_entry) for e in consent.events if e.effective_on <= day)
        giver = str(consent.body.get("giver"))
        if giver not in newest or last > newest[giver][:2]:
            newest[giver] = (*last, state)
    by = tuple(sorted((giver, state) for giver, (_, _, state) in newest.items()))
    states = {state for _, state in by}
    if not states:
        return Answer(State.UNANSWERED, (), ask=False)
    return Answer(max(states, key=STRICTNESS.__getitem__), by, ask=len(states) > 1)


def to_ask(code: str, day: dt.date) -> list[str]:
    """Children whose guardians, or guardian and child, say different things today: a person has to ask."""
    children = sorted({consent.person for consent in operations.governance_records(code, KIND)})
    domains = sorted({source.domain for source in load_catalog().sources.values()})
    return [child for child in children if any(answer(code, child, domain, day).ask for domain in domains)]
