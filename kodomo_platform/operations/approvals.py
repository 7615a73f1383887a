"""Which version of a theme's model may score: approved, rejected, retired, by whom and why.

One approved version per municipality and theme. Approving another retires the one before; when somebody else changed
it meanwhile, the second is refused with a clear error.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append


@dataclass(frozen=True)
class Approval:
    """One decision about one model version; ``status`` is approved, rejected or retired."""

    id: int
    municipality: str
    theme: str
    model_name: str
    version: str
    run_id: str
    artifact_sha256: str
    status: str
    by: str
    reason: str
    decided_at: datetime
    ended_at: datetime | None
    ended_by: str
    ended_reason: str


def _approval(row: Any) -> Approval:
    return Approval(
        id=row.pk,
        municipality=row.municipality_id,
        theme=row.theme,
        model_name=row.model_name,
        version=row.version,
        run_id=row.mlflow_run_id,
        artifact_sha256=row.artifact_sha256,
        status=row.status,
        by=row.decided_by,
        reason=row.reason,
        decided_at=row.decided_at,
        ended_at=row.ended_at,
        ended_by=row.ended_by,
        ended_reason=row.ended_reason,
    )


def _current(code: str, theme: str) -> Any:
    from kodomo_platform.operations import models

    return models.Approval.objects.filter(municipality=code, theme=theme, status="approved").first()


def approved_model(code: str, theme: str) -> Approval | None:
    """The version that may score for this municipality and theme, if any."""
    database.ready()
    row = _current(code, theme)
    return None if row is None else _approval(row)


def approve_model(
    code: str,
    theme: str,
    model_name: str,
    version: str,
    run_id: str,
    artifact_sha256: str,
    act: Act,
    *,
    replaces: int | None = None,
) -> Approval:
    """Approve one version; the version approved before is retired.

    Args:
        replaces: id of the approval that the approver saw as the current one (0: saw none). By default the one that
            is current when the call begins.

    Raises:
        OperationsError: this version is approved already, or another approval came in between.
    """
    database.ready()
    from django.db import IntegrityError
    from django.utils import timezone

    from kodomo_platform.operations import models

    if replaces is None:
        seen = _current(code, theme)
        replaces = 0 if seen is None else seen.pk
    overtaken = OperationsError(
        "another model was approved at the same time",
        where=f"municipality {code}, theme {theme}",
        action="look at `kodomo model list`, then decide again",
    )
    try:
        with database.transaction():
            current = (
                models.Approval.objects.select_for_update()
                .filter(municipality=code, theme=theme, status="approved")
                .first()
            )
            if (0 if current is None else current.pk) != replaces:
                raise overtaken
            if current is not None:
                if (current.model_name, current.version) == (model_name, str(version)):
                    raise OperationsError(
                        "this model version is approved already", where=f"municipality {code}, theme {theme}"
                    )
                current.status = "retired"
                current.ended_at = timezone.now()
                current.ended_by = act.actor
                current.ended_reason = f"replaced by version {version}"
                current.save()
            database.municipality_row(code)
            row = models.Approval.objects.create(
                municipality_id=code,
                theme=theme,
                model_name=model_name,
                version=str(version),
                mlflow_run_id=run_id,
                artifact_sha256=artifact_sha256,
                status="approved",
                decided_by=act.actor,
                reason=act.reason,
            )
            append(act, "model approve", f"{theme} version {version}", municipality=code, detail=artifact_sha256)
    except OperationsError as error:
        if isinstance(error.__cause__, IntegrityError):
            raise overtaken from error
        raise
    return _approval(row)


def reject_model(
    code: str, theme: str, model_name: str, version: str, run_id: str, artifact_sha256: str, act: Act
) -> Approval:
    """Record that one version was looked at and refused. A version that is approved must be retired instead."""
    with database.transaction():
        from kodomo_platform.operations import models

        current = _current(code, theme)
        if current is not None and (current.model_name, current.version) == (model_name, str(version)):
            raise OperationsError(
                "this model version is approved; it can be retired, not rejected",
                where=f"municipality {code}, theme {theme}",
            )
        database.municipality_row(code)
        row = models.Approval.objects.create(
            municipality_id=code,
            theme=theme,
            model_name=model_name,
            version=str(version),
            mlflow_run_id=run_id,
            artifact_sha256=artifact_sha256,
            status="rejected",
            decided_by=act.actor,
            reason=act.reason,
        )
        append(act, "model reject", f"{theme} version {version}", municipality=code, detail=artifact_sha256)
    return _approval(row)


def retire_model(code: str, theme: str, act: Act) -> Approval:
    """Take the approved version out of use; from then on the theme scores by criteria alone."""
    with database.transaction():
        from django.utils import timezone

        from kodomo_platform.operations import models

        row = (
            models.Approval.objects.select_for_update()
            .filter(municipality=code, theme=theme, status="approved")
            .first()
        )
        if row is None:
            raise OperationsError("there is no approved model to retire", where=f"municipality {code}, theme {theme}")
        row.status = "retired"
        row.ended_at = timezone.now()
        row.ended_by = act.actor
        row.ended_reason = act.reason
        row.save()
        append(act, "model retire", f"{theme} version {row.version}", municipality=code, detail=row.artifact_sha256)
    return _approval(row)


def model_history(code: str, theme: str | None = None) -> list[Approval]:
    """All decisions, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.Approval.objects.filter(municipality=code)
    if theme is not None:
        rows = rows.filter(theme=theme)
    return [_approval(row) for row in rows.order_by("-pk")]
