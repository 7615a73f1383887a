"""Every look leaves a trace: list, search, page, print, export and refusal, in the portal's table and the audit log.

A look is written before the page leaves: what cannot be recorded is not shown. The audit log holds one entry per look
with the digest of its children, so that neither can be changed without the other telling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from django.db import transaction

from kodomo_platform import operations
from kodomo_platform.portal.models import Look, LookedAt
from kodomo_platform.portal.rights import Actor

LIST, SEARCH, PAGE, PRINT, EXPORT, EMERGENCY, FLAG, OVERSIGHT = (
    "list", "search", "page", "print", "export", "emergency", "flag", "oversight",
)  # fmt: skip


def written(by: str, action: str, subject: str, purpose: str, municipality: str, *, person: str = "") -> None:
    """An entry of the audit log: something was changed or shown. ``person``: the child whom it is about."""
    act = operations.Act(by, action, purpose.strip() or "support")
    operations.audit(act, action, subject[:300], municipality=municipality, person=person)


def record(
    actor: Actor,
    kind: str,
    *,
    path: str,
    purpose: str,
    children: Iterable[str] = (),
    detail: str = "",
    refused: bool = False,
    address: str = "",
    snapshot: str = "",
) -> Look:
    """Write one look and the children it showed."""
    ids = sorted(set(children))
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16]
    with transaction.atomic():
        look = Look.objects.create(
            login=actor.login,
            roles=",".join(sorted({grant.role.key for grant in actor.grants})),
            municipality=actor.municipality,
            kind=kind,
            path=path[:300],
            purpose=purpose[:300],
            detail=detail[:300],
            children=len(ids),
            refused=refused,
            address=address,
            snapshot=snapshot,
        )
        LookedAt.objects.bulk_create([LookedAt(look=look, child_id=child_id) for child_id in ids])
        subject = f"look {look.pk}: {len(ids)} children {digest}"
        action = f"portal look refused: {kind}" if refused else f"portal look: {kind}"
        written(actor.login, action, subject, purpose, actor.municipality, person=ids[0] if len(ids) == 1 else "")
    return look
