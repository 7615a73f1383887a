"""The audit log: every entry holds the hash of the one before, so that nothing can be altered, removed or slipped in.

What may concern a person (the child looked at, the reason in words) is held apart, as the opening of a commitment: the
entry keeps only a salted hash of it. Erasing a person deletes openings, and the chain stays whole; an opening may be
missing only where a later entry says that it was erased. The hash is not a signature: who may write to the database
file could compute a whole chain afresh, so the head's hash is to be kept outside as well (`head`, and ``expected_head``
of `verify`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act

ERASE = "audit.erase"
START = "0" * 64
_MOST_FAULTS = 1000
_CHUNK = 20_000


@dataclass(frozen=True)
class AuditEntry:
    """Who did what, to which subject or person, why and for which purpose. ``reason`` is empty once erased."""

    sequence: int
    at: datetime
    municipality: str
    actor: str
    action: str
    subject: str
    person: str
    reason: str
    purpose: str
    run_id: str
    detail: str
    erased: bool


@dataclass(frozen=True)
class AuditHead:
    """The newest entry's number and hash: keep it outside, and `verify` finds a chain that was computed afresh."""

    sequence: int
    entry_hash: str


@dataclass(frozen=True)
class AuditFault:
    """One place where the log is not what was written; ``sequence`` 0 stands for the log as a whole."""

    sequence: int
    what: str


@dataclass(frozen=True)
class AuditVerdict:
    """What `verify` finds: how many entries it read, their head, every fault (the first thousand)."""

    entries: int
    erased: int
    head: AuditHead
    faults: tuple[AuditFault, ...]

    @property
    def sound(self) -> bool:
        """Nothing was altered, removed, swapped or inserted."""
        return not self.faults


def _packed(parts: Iterable[str]) -> bytes:
    # with lengths, so that no text can pass for the end of its neighbour
    return "".join(f"{len(part)}:{part}" for part in parts).encode()


def _commitment(salt: str, person: str, reason: str) -> str:
    return hashlib.sha256(_packed((salt, person, reason))).hexdigest()


def _entry_hash(sequence: int, fields: tuple[str, ...], previous: str) -> str:
    return hashlib.sha256(_packed((str(sequence), *fields, previous))).hexdigest()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def append(act: Act, action: str, subject: str, *, municipality: str = "", person: str = "", detail: str = "") -> int:
    """Add one entry, in the caller's transaction; its number.

    Args:
        subject: an id or a name of a thing; never of a person.
        person: child id (or ``source:record``) of whom the act concerns; erasable.
        detail: facts without personal data (counts, versions).
    """
    with database.transaction():
        from django.utils import timezone

        from kodomo_platform.operations import models

        head = models.AuditHead.objects.select_for_update().get(pk=1)
        sequence, at, salt = head.sequence + 1, timezone.now(), secrets.token_hex(16)
        commitment = _commitment(salt, person, act.reason)
        fields = (_instant(at), municipality, act.actor, action, subject, act.purpose, act.run_id, detail, commitment)
        entry_hash = _entry_hash(sequence, fields, head.entry_hash)
        entry = models.AuditEntry.objects.create(
            sequence=sequence,
            at=at,
            municipality=municipality,
            actor=act.actor,
            action=action,
            subject=subject,
            purpose=act.purpose,
            run_id=act.run_id,
            detail=detail,
            commitment=commitment,
            previous_hash=head.entry_hash,
            entry_hash=entry_hash,
        )
        models.AuditOpening.objects.create(entry=entry, salt=salt, person=person, reason=act.reason)
        models.AuditHead.objects.filter(pk=1).update(sequence=sequence, entry_hash=entry_hash)
    return int(sequence)


def audit(act: Act, action: str, subject: str, *, municipality: str = "", person: str = "", detail: str = "") -> int:
    """Record an act that changes nothing here (a look, an export), or one whose change another room makes; its number.

    Inside `operations.transaction` it is written together with the change or not at all. Arguments as for `append`.
    """
    return append(act, action, subject, municipality=municipality, person=person, detail=detail)


def audit_log(
    *,
    subject: str | None = None,
    municipality: str | None = None,
    person: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> list[AuditEntry]:
    """The audit log, newest first; ``since`` and ``until`` bound the instant (``until`` excluded)."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.AuditEntry.objects.select_related("opening")
    if subject is not None:
        rows = rows.filter(subject=subject)
    if municipality is not None:
        rows = rows.filter(municipality=municipality)
    if person is not None:
        rows = rows.filter(opening__person=person)
    if since is not None:
        rows = rows.filter(at__gte=since)
    if until is not None:
        rows = rows.filter(at__lt=until)
    rows = rows.order_by("-sequence")
    return [_entry(row) for row in (rows if limit is None else rows[:limit])]


def _entry(row: Any) -> AuditEntry:
    opening = getattr(row, "opening", None)
    return AuditEntry(
        row.sequence,
        row.at,
        row.municipality,
        row.actor,
        row.action,
        row.subject,
        "" if opening is None else opening.person,
        "" if opening is None else opening.reason,
        row.purpose,
        row.run_id,
        row.detail,
        opening is None,
    )


def head() -> AuditHead:
    """The newest entry's number and hash."""
    database.ready()
    from kodomo_platform.operations import models

    row = models.AuditHead.objects.get(pk=1)
    return AuditHead(row.sequence, row.entry_hash)


def erase_person(person: str, act: Act, *, municipality: str = "", keep: Iterable[int] = ()) -> int:
    """Delete the openings of every entry about ``person``; how many. The chain stays whole and says that it was done.

    Args:
        keep: entries that the law makes us keep open (the request itself).
    """
    with database.transaction():
        from kodomo_platform.operations import models

        openings = models.AuditOpening.objects.filter(person=person).exclude(entry_id__in=list(keep))
        erased = sorted(openings.values_list("entry_id", flat=True))
        if erased:
            openings.delete()
            append(act, ERASE, "audit log", municipality=municipality, detail=_ranges(erased))
    return len(erased)


def _ranges(numbers: list[int]) -> str:
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(f"{first}-{last}" for first, last in parts)


def _erased_by(rows: Iterable[tuple[Any, ...]]) -> set[int]:
    erased: set[int] = set()
    for (detail,) in rows:
        for part in str(detail).split(","):
            first, _, last = part.partition("-")
            if first.isdigit() and last.isdigit():
                erased.update(range(int(first), int(last) + 1))
    return erased


def verify(*, expected_head: AuditHead | None = None) -> AuditVerdict:
    """Read the whole log and compute every hash again.

    Args:
        expected_head: a head noted earlier and kept outside; it must still be part of the chain.
    """
    database.ready()
    from django.db import connection

    faults: list[AuditFault] = []
    number, previous, erased, noted = 0, START, 0, expected_head is None
    with connection.cursor() as cursor:
        cursor.execute("select detail from operations_auditentry where action = %s", [ERASE])
        allowed = _erased_by(cursor.fetchall())
    for row in _rows(connection):
        sequence, at, *texts, commitment, before, entry_hash, salt, person, reason = row
        number += 1
        if sequence != number:
            faults.append(AuditFault(number, f"an entry is missing or out of order (next is {sequence})"))
            number = sequence
        fields = (_instant(_datetime(at)), *texts, commitment)
        if before != previous:
            faults.append(AuditFault(sequence, "does not follow the entry before it"))
        if _entry_hash(sequence, fields, before) != entry_hash:
            faults.append(AuditFault(sequence, "the entry was altered"))
        if salt is None:
            erased += 1
            if sequence not in allowed:
                faults.append(AuditFault(sequence, "person and reason were removed without a record of erasure"))
        elif _commitment(salt, person, reason) != commitment:
            faults.append(AuditFault(sequence, "person or reason was altered"))
        previous = entry_hash
        noted = noted or (expected_head is not None and (sequence, entry_hash) == _pair(expected_head))
    newest = head()
    if (newest.sequence, newest.entry_hash) != (number, previous):
        faults.append(
            AuditFault(0, f"the newest entry should be number {newest.sequence}: the end was cut off or changed")
        )
    if not noted:
        faults.append(AuditFault(0, "the head noted earlier is not part of this log"))
    faults.extend(
        AuditFault(0, f"the guard against changes is missing: {name}") for name in _missing_guards(connection)
    )
    return AuditVerdict(number, erased, newest, tuple(faults[:_MOST_FAULTS]))


def _pair(noted: AuditHead) -> tuple[int, str]:
    return noted.sequence, noted.entry_hash


def _datetime(value: Any) -> datetime:
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def _rows(connection: Any) -> Iterator[tuple[Any, ...]]:
    last = -1
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "select e.sequence, e.at, e.municipality, e.actor, e.action, e.subject, e.purpose, e.run_id, e.detail, "
                "e.commitment, e.previous_hash, e.entry_hash, o.salt, o.person, o.reason "
                "from operations_auditentry e left join operations_auditopening o on o.entry_id = e.sequence "
                "where e.sequence > %s order by e.sequence limit %s",
                [last, _CHUNK],
            )
            rows = cursor.fetchall()
            if not rows:
                return
            yield from rows
            last = rows[-1][0]


# --- guards in the database itself ------------------------------------------------------------------------------------

GUARDS = ("operations_audit_no_update", "operations_audit_no_delete", "operations_opening_no_update")


def guard_statements(vendor: str) -> list[str]:
    """SQL that makes the database refuse to change or delete entries; openings may be deleted, never changed."""
    entry, opening = "operations_auditentry", "operations_auditopening"
    wanted = [(GUARDS[0], "update", entry), (GUARDS[1], "delete", entry), (GUARDS[2], "update", opening)]
    if vendor == "sqlite":
        return [
            f"create trigger if not exists {name} before {event} on {table} "
            "begin select raise(abort, 'the audit log is append-only'); end"
            for name, event, table in wanted
        ]
    return [
        "create or replace function operations_audit_refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'the audit log is append-only'; end $$",
        *(
            f"create or replace trigger {name} before {event} on {table} "
            "for each row execute function operations_audit_refuse()"
            for name, event, table in wanted
        ),
    ]


def _missing_guards(connection: Any) -> list[str]:
    table = (
        "select name from sqlite_master where type = 'trigger'"
        if connection.vendor == "sqlite"
        else "select tgname from pg_trigger where not tgisinternal and tgenabled = 'O'"
    )
    with connection.cursor() as cursor:
        cursor.execute(table)
        there = {name for (name,) in cursor.fetchall()}
    return [name for name in GUARDS if name not in there]
