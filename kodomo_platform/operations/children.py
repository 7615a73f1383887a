"""Child ids that outlive every rerun: who bears which, and every merge, split and correction.

How records are linked is the linkage room's business; here only its outcome is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database, identity
from kodomo_platform.operations.acts import Act, by_pipeline
from kodomo_platform.operations.auditing import append

if TYPE_CHECKING:
    import pyarrow

_CHUNK = 5_000


@dataclass(frozen=True)
class IdState:
    """What is needed to make the next ids: a key that is this installation's and municipality's own, and a counter."""

    key: str
    next_number: int


@dataclass(frozen=True)
class NewChild:
    """An id given out for the first time; ``number`` is its place in the counter."""

    child_id: str
    number: int


@dataclass(frozen=True)
class NewEvent:
    """A merge (``other`` goes into ``child_id``), split (``other`` leaves ``child_id``) or correction to record."""

    kind: str
    child_id: str
    other_child_id: str
    reason: str
    records: Sequence[tuple[str, str]] = ()
    actor: str = "linkage"


@dataclass(frozen=True)
class SaveReport:
    """What one call of `save_child_ids` changed."""

    children_new: int = 0
    records_new: int = 0
    records_moved: int = 0
    events: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ChildRecord:
    """A record of an identity source and the day it came under its present id."""

    source: str
    source_record_id: str
    since: date


@dataclass(frozen=True)
class ChildEvent:
    """One entry of an id's history."""

    id: int
    kind: str
    child_id: str
    other_child_id: str
    happened_on: date
    reason: str
    actor: str
    run_id: str
    records: tuple[tuple[str, str], ...]
    recorded_at: datetime
    undone: bool


@dataclass(frozen=True)
class ChildHistory:
    """An id, whether it is in use, its records now, and its events in order."""

    child_id: str
    municipality: str
    status: str
    merged_into: str
    created_on: date
    records: tuple[ChildRecord, ...]
    events: tuple[ChildEvent, ...]


def installation_secret() -> str:
    """This installation's random secret (hexadecimal), made at first use. Never log or publish it."""
    database.ready()
    from kodomo_platform.operations import models

    row = models.Installation.objects.filter(pk=1).first()
    if row is None:
        with database.transaction():
            row, created = models.Installation.objects.get_or_create(pk=1, defaults={"secret": secrets.token_hex(32)})
            if created:
                append(by_pipeline("first use of this installation"), "installation secret made", "installation")
        from django.db import connection

        identity.remember(connection)
    return str(row.secret)


def id_state(code: str) -> IdState:
    """Key and counter for new ids of municipality ``code``. The key cannot be turned back into the secret."""
    secret = installation_secret()
    from kodomo_platform.operations import models

    row = models.Municipality.objects.filter(pk=code).first()
    key = hmac.new(bytes.fromhex(secret), f"child_id:{code}".encode(), hashlib.sha256).hexdigest()
    return IdState(key=key, next_number=1 if row is None else int(row.child_counter) + 1)


def known_child_ids(code: str) -> pyarrow.Table:
    """All records that bear an id: columns source, source_record_id, child_id (strings), number (int64)."""
    database.ready()
    import pyarrow as pa
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "select r.source, r.source_record_id, r.child_id, c.number from operations_childrecord r "
            "join operations_child c on c.child_id = r.child_id where r.municipality = %s "
            "order by r.source, r.source_record_id",
            [code],
        )
        rows = cursor.fetchall()
    columns = list(zip(*rows, strict=True)) if rows else [(), (), (), ()]
    return pa.table(
        {
            "source": pa.array(columns[0], pa.string()),
            "source_record_id": pa.array(columns[1], pa.string()),
            "child_id": pa.array(columns[2], pa.string()),
            "number": pa.array(columns[3], pa.int64()),
        }
    )


def former_child_ids(code: str) -> list[tuple[str, str, str, int]]:
    """Records whose id was merged away: (source, source_record_id, former child_id, its number).

    When such a merge turns out wrong, the records get their former id back instead of a third one.
    """
    database.ready()
    from kodomo_platform.operations import models

    numbers = dict(models.Child.objects.filter(municipality=code, status="merged").values_list("child_id", "number"))
    rows = models.ChildEvent.objects.filter(municipality=code, kind="merged", undone_by__isnull=True).order_by("pk")
    former: dict[tuple[str, str], tuple[str, int]] = {}
    for event in rows:
        number = numbers.get(event.other_child_id)
        if number is not None:
            for source, record in event.records:
                former.setdefault((source, record), (event.other_child_id, int(number)))
    return sorted((source, record, child, number) for (source, record), (child, number) in former.items())


def save_child_ids(
    code: str,
    as_of: date,
    act: Act,
    children: Sequence[NewChild],
    records: Iterable[tuple[str, str, str]],
    events: Sequence[NewEvent],
) -> SaveReport:
    """Write new ids, changed records (source, source_record_id, child_id) and events, all or nothing.

    Writing the same again changes nothing, so a step that was killed can be run again.

    Raises:
        OperationsError: an id number was given out meanwhile by another run; run the linkage again.
    """
    database.ready()
    from django.db import connection

    from kodomo_platform.operations import models

    with database.transaction():
        database.municipality_row(code)
        municipality = models.Municipality.objects.select_for_update().get(pk=code)
        existing = dict(
            models.Child.objects.filter(municipality=code, number__gt=0).values_list("number", "child_id")
            if children
            else ()
        )
        new_children = [child for child in children if child.number not in existing]
        if any(existing.get(child.number, child.child_id) != child.child_id for child in children):
            raise OperationsError(
                "ids were given out by another run in between",
                where=f"municipality {code}",
                action="run the linkage again: nothing was written",
            )
        models.Child.objects.bulk_create(
            [
                models.Child(
                    child_id=child.child_id,
                    municipality_id=code,
                    number=child.number,
                    created_on=as_of,
                    run_id=act.run_id,
                )
                for child in new_children
            ],
            batch_size=_CHUNK,
        )
        if children:
            municipality.child_counter = max(municipality.child_counter, max(child.number for child in children))
            municipality.save()
        standing = {
            (source, record): child
            for source, record, child in models.ChildRecord.objects.filter(municipality=code).values_list(
                "source", "source_record_id", "child_id"
            )
        }
        inserts: list[tuple[Any, ...]] = []
        moves: list[tuple[Any, ...]] = []
        for source, record, child in records:
            before = standing.get((source, record))
            if before is None:
                inserts.append((code, source, record, child, as_of))
            elif before != child:
                moves.append((child, as_of, code, source, record))
        with connection.cursor() as cursor:
            if inserts:
                cursor.executemany(
                    "insert into operations_childrecord (municipality, source, source_record_id, child_id, since) "
                    "values (%s, %s, %s, %s, %s)",
                    inserts,
                )
            if moves:
                cursor.executemany(
                    "update operations_childrecord set child_id = %s, since = %s "
                    "where municipality = %s and source = %s and source_record_id = %s",
                    moves,
                )
        counted: dict[str, int] = {}
        for event in events:
            _, created = models.ChildEvent.objects.get_or_create(
                municipality_id=code,
                kind=event.kind,
                child_id=event.child_id,
                other_child_id=event.other_child_id or None,
                run_id=act.run_id,
                undone_by=None,
                defaults={
                    "happened_on": as_of,
                    "reason": event.reason,
                    "actor": event.actor,
                    "records": [list(record) for record in event.records],
                },
            )
            if not created:
                continue
            counted[event.kind] = counted.get(event.kind, 0) + 1
            if event.kind == "merged":
                models.Child.objects.filter(pk=event.other_child_id).update(
                    status="merged", merged_into_id=event.child_id
                )
            elif event.kind == "split":
                models.Child.objects.filter(pk=event.other_child_id).update(status="active", merged_into=None)
        report = SaveReport(
            children_new=len(new_children), records_new=len(inserts), records_moved=len(moves), events=counted
        )
        if report != SaveReport():
            changes = ", ".join(f"{kind} {count}" for kind, count in sorted(counted.items()))
            counts = f"children {len(new_children)}, records {len(inserts)}, moved {len(moves)}"
            append(
                act,
                "child ids saved",
                str(as_of),
                municipality=code,
                detail=f"{counts}{', ' if changes else ''}{changes}",
            )
        return report


def _event(row: Any) -> ChildEvent:
    return ChildEvent(
        id=row.pk,
        kind=row.kind,
        child_id=row.child_id,
        other_child_id=row.other_child_id or "",
        happened_on=row.happened_on,
        reason=row.reason,
        actor=row.actor,
        run_id=row.run_id,
        records=tuple((source, record) for source, record in row.records),
        recorded_at=row.recorded_at,
        undone=row.undone_by_id is not None,
    )


def child_history(child_id: str) -> ChildHistory:
    """Everything that happened to an id.

    Raises:
        OperationsError: this installation never gave the id out.
    """
    database.ready()
    from django.db.models import Q

    from kodomo_platform.operations import models

    child = models.Child.objects.filter(pk=child_id).first()
    if child is None:
        raise OperationsError("no such child id", expected="an id that this installation gave out")
    events = models.ChildEvent.objects.filter(Q(child_id=child_id) | Q(other_child_id=child_id)).order_by("pk")
    records = models.ChildRecord.objects.filter(child_id=child_id).order_by("source", "source_record_id")
    return ChildHistory(
        child_id=child.child_id,
        municipality=child.municipality_id,
        status=child.status,
        merged_into=child.merged_into_id or "",
        created_on=child.created_on,
        records=tuple(ChildRecord(row.source, row.source_record_id, row.since) for row in records),
        events=tuple(_event(row) for row in events),
    )


def undo_merge(event_id: int, as_of: date, act: Act) -> ChildEvent:
    """Take one merge back: the records that moved bear their former id again, and stay apart from now on.

    For every pair across the two groups a decision ``different`` is recorded, so that the next run does not merge them
    again.

    Raises:
        OperationsError: no such merge, or it was undone before.
    """
    with database.transaction():
        from django.utils import timezone

        from kodomo_platform.operations import models
        from kodomo_platform.operations.reviews import pair_id

        merge = models.ChildEvent.objects.select_for_update().filter(pk=event_id, kind="merged").first()
        if merge is None:
            raise OperationsError("there is no merge with this number", action="see `kodomo linkage history ID`")
        if merge.undone_by_id is not None:
            raise OperationsError("this merge was undone before", where=f"event {event_id}")
        moved = {(source, record) for source, record in merge.records}
        stayed = {
            (row.source, row.source_record_id) for row in models.ChildRecord.objects.filter(child_id=merge.child_id)
        } - moved
        for source, record in sorted(moved):
            models.ChildRecord.objects.filter(
                municipality_id=merge.municipality_id, source=source, source_record_id=record, child_id=merge.child_id
            ).update(child_id=merge.other_child_id, since=as_of)
        models.Child.objects.filter(pk=merge.other_child_id).update(status="active", merged_into=None)
        for left in sorted(moved):
            for right in sorted(stayed):
                first, second = sorted((left, right))
                models.ReviewDecision.objects.filter(
                    municipality_id=merge.municipality_id, pair_id=pair_id(left, right), revoked_at__isnull=True
                ).exclude(decision="different").update(
                    revoked_at=timezone.now(), revoked_by=act.actor, revoke_reason=act.reason
                )
                models.ReviewDecision.objects.get_or_create(
                    municipality_id=merge.municipality_id,
                    pair_id=pair_id(left, right),
                    revoked_at=None,
                    defaults={
                        "left_source": first[0],
                        "left_record": first[1],
                        "right_source": second[0],
                        "right_record": second[1],
                        "decision": "different",
                        "decided_by": act.actor,
                        "reason": f"merge {event_id} undone: {act.reason}",
                    },
                )
        undo = models.ChildEvent.objects.create(
            municipality_id=merge.municipality_id,
            child_id=merge.child_id,
            kind="merge_undone",
            other_child_id=merge.other_child_id,
            happened_on=as_of,
            reason=act.reason,
            actor=act.actor,
            records=[list(record) for record in sorted(moved)],
        )
        merge.undone_by = undo
        merge.save()
        append(
            act,
            "linkage undo",
            f"merge {event_id}",
            municipality=merge.municipality_id,
            person=merge.other_child_id,
            detail=f"records {len(moved)}",
        )
    return _event(undo)
