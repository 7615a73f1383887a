"""What people decided about pairs of records. A decision outlives every rerun; it ends only when it is revoked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append

Record = tuple[str, str]
DECISIONS = ("same", "different")


@dataclass(frozen=True)
class ReviewDecision:
    """One decision (``same`` or ``different``) about the pair left/right, each a (source, source_record_id)."""

    pair_id: str
    municipality: str
    left: Record
    right: Record
    decision: str
    by: str
    reason: str
    decided_at: datetime
    revoked_at: datetime | None
    revoked_by: str
    revoke_reason: str

    @property
    def active(self) -> bool:
        return self.revoked_at is None


def pair_id(left: Record, right: Record) -> str:
    """The name of an unordered pair: ``p`` and 20 hexadecimal digits, the same on every run."""
    first, second = sorted((left, right))
    text = "\x1f".join((*first, *second))
    return "p" + hashlib.sha256(text.encode()).hexdigest()[:20]


def _decision(row: Any) -> ReviewDecision:
    return ReviewDecision(
        pair_id=row.pair_id,
        municipality=row.municipality_id,
        left=(row.left_source, row.left_record),
        right=(row.right_source, row.right_record),
        decision=row.decision,
        by=row.decided_by,
        reason=row.reason,
        decided_at=row.decided_at,
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        revoke_reason=row.revoke_reason,
    )


def review_decide(code: str, left: Record, right: Record, decision: str, act: Act) -> ReviewDecision:
    """Record that the two records are the ``same`` person or ``different`` people.

    Deciding the same again changes nothing. Deciding the opposite of a standing decision is refused, and so is what
    contradicts several of them together (a is b, b is c, but a is not c): the first must be revoked, so that two
    reviewers cannot overrule each other unseen.
    """
    if decision not in DECISIONS:
        raise OperationsError("not a decision", expected="same or different")
    if left == right:
        raise OperationsError("a decision is about two records, not one")
    first, second = sorted((left, right))
    identifier = pair_id(left, right)
    with database.transaction():
        from kodomo_platform.operations import models

        row = (
            models.ReviewDecision.objects.select_for_update()
            .filter(municipality=code, pair_id=identifier, revoked_at__isnull=True)
            .first()
        )
        if row is not None and row.decision != decision:
            raise OperationsError(
                f"this pair was decided before as '{row.decision}'",
                where=f"pair {identifier}",
                action=f"talk to who decided; `kodomo review revoke {identifier}` takes the earlier decision back",
            )
        if row is None:
            _refuse_contradiction(code, first, second, decision)
            database.municipality_row(code)
            row = models.ReviewDecision.objects.create(
                municipality_id=code,
                pair_id=identifier,
                left_source=first[0],
                left_record=first[1],
                right_source=second[0],
                right_record=second[1],
                decision=decision,
                decided_by=act.actor,
                reason=act.reason,
            )
            append(act, f"review {decision}", identifier, municipality=code)
    return _decision(row)


def _refuse_contradiction(code: str, left: Record, right: Record, decision: str) -> None:
    standing = review_decisions(code)
    group: dict[Record, Record] = {}

    def find(record: Record) -> Record:
        while record in group:
            record = group[record]
        return record

    def join(one: Record, two: Record) -> None:
        if find(one) != find(two):
            group[find(one)] = find(two)

    for known in standing:
        if known.decision == "same":
            join(known.left, known.right)
    if decision == "different":
        contradicts = find(left) == find(right)
    else:
        join(left, right)
        contradicts = any(
            find(known.left) == find(known.right) == find(left) for known in standing if known.decision == "different"
        )
    if contradicts:
        touching = [
            known.pair_id for known in standing if find(known.left) == find(left) or find(known.right) == find(left)
        ]
        raise OperationsError(
            "this decision contradicts earlier ones taken together",
            where=f"pair {pair_id(left, right)}",
            expected=f"something that fits with {', '.join(touching[:10])}",
            action="talk to who decided; `kodomo review revoke PAIR` takes an earlier decision back",
        )


def review_revoke(code: str, identifier: str, act: Act) -> ReviewDecision:
    """Take the standing decision about pair ``identifier`` back; it stays in the history."""
    with database.transaction():
        from django.utils import timezone

        from kodomo_platform.operations import models

        row = (
            models.ReviewDecision.objects.select_for_update()
            .filter(municipality=code, pair_id=identifier, revoked_at__isnull=True)
            .first()
        )
        if row is None:
            raise OperationsError("there is no standing decision about this pair", where=f"pair {identifier}")
        row.revoked_at = timezone.now()
        row.revoked_by = act.actor
        row.revoke_reason = act.reason
        row.save()
        append(act, "review revoke", identifier, municipality=code)
    return _decision(row)


def review_decisions(code: str) -> list[ReviewDecision]:
    """Standing decisions, in the order they were made."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.ReviewDecision.objects.filter(municipality=code, revoked_at__isnull=True)
    return [_decision(row) for row in rows.order_by("pk")]


def review_history(code: str, identifier: str | None = None) -> list[ReviewDecision]:
    """All decisions, revoked ones too, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.ReviewDecision.objects.filter(municipality=code)
    if identifier is not None:
        rows = rows.filter(pair_id=identifier)
    return [_decision(row) for row in rows.order_by("-pk")]
