"""What the operations database itself holds of a child, and taking it out. The child id stays: it is never given again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append


def _reviews(code: str, records: Collection[tuple[str, str]]) -> list[int]:
    from kodomo_platform.operations import models

    wanted = set(records)
    return [
        pk
        for pk, *sides in models.ReviewDecision.objects.filter(municipality_id=code).values_list(
            "pk", "left_source", "left_record", "right_source", "right_record"
        )
        if (sides[0], sides[1]) in wanted or (sides[2], sides[3]) in wanted
    ]


def _events(child_ids: Collection[str]) -> Any:
    from django.db.models import Q

    from kodomo_platform.operations import models

    about = Q(child_id__in=child_ids) | Q(other_child_id__in=child_ids)
    return models.ChildEvent.objects.filter(about).exclude(records=[], reason="")


def count_child(code: str, child_ids: Collection[str], records: Collection[tuple[str, str]]) -> int:
    """Rows that hold a child's record numbers: links, review decisions, events."""
    database.ready()
    from kodomo_platform.operations import models

    links = models.ChildRecord.objects.filter(child_id__in=child_ids).count()
    return int(links) + len(_reviews(code, records)) + int(_events(child_ids).count())


def forget_child(code: str, child_ids: Collection[str], records: Collection[tuple[str, str]], act: Act) -> int:
    """Delete links and review decisions, empty events; how many rows. Again: nothing."""
    with database.transaction():
        from kodomo_platform.operations import models

        count = count_child(code, child_ids, records)
        if not count:
            return 0
        models.ChildRecord.objects.filter(child_id__in=child_ids).delete()
        models.ReviewDecision.objects.filter(pk__in=_reviews(code, records)).delete()
        _events(child_ids).update(records=[], reason="")
        append(
            act,
            "child taken out",
            "operations database",
            municipality=code,
            person=min(child_ids),
            detail=f"rows {count}",
        )
    return count


def close_receipt(code: str, key: str, act: Act, *, body: dict[str, Any]) -> None:
    """Finish a receipt: ``body`` takes the place of what the work needed, in its history too."""
    with database.transaction():
        from django.utils import timezone

        from kodomo_platform.operations import models

        row = models.GovernanceRecord.objects.filter(municipality_id=code, kind="receipt", key=key).first()
        if row is None or row.state != "started":
            raise OperationsError("there is no such record", where=f"municipality {code}, receipt {key}")
        row.events.update(body={})
        row.state, row.body = "done", body
        row.save()
        entry = append(act, "receipt done", key, municipality=code, person=row.person)
        models.GovernanceEvent.objects.create(
            record=row, effective_on=timezone.localdate(), state="done", actor=act.actor, audit_entry_id=entry
        )
