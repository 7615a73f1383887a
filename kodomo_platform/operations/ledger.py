"""Municipalities served, files loaded, snapshots published, and the audit log: plain records, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database


@dataclass(frozen=True)
class RegisteredMunicipality:
    """A municipality this installation serves."""

    code: str
    name_ja: str
    name_en: str
    file_sha256: str
    registered_at: datetime
    child_ids_given: int


@dataclass(frozen=True)
class Load:
    """One file taken in: counts of data records."""

    municipality: str
    source: str
    extract_date: date
    file_name: str
    sha256: str
    rows_in: int
    rows_loaded: int
    rows_rejected: int
    status: str
    run_id: str
    loaded_at: datetime


@dataclass(frozen=True)
class Publication:
    """One published snapshot."""

    municipality: str
    as_of_date: date
    version: str
    path: str
    manifest_sha256: str
    dagster_run_id: str
    code_version: str
    published_at: datetime


@dataclass(frozen=True)
class AuditEntry:
    """Who did what, to which subject, for which purpose."""

    at: datetime
    municipality: str
    actor: str
    action: str
    subject: str
    purpose: str


def register_municipality(code: str, name_ja: str, name_en: str = "", file_sha256: str = "") -> None:
    """Enter a municipality, or bring its names up to date."""
    with database.transaction():
        from kodomo_platform.operations import models

        models.Municipality.objects.update_or_create(
            code=code, defaults={"name_ja": name_ja, "name_en": name_en, "file_sha256": file_sha256}
        )


def registered_municipalities() -> list[RegisteredMunicipality]:
    """All municipalities entered, by code."""
    database.ready()
    from kodomo_platform.operations import models

    return [
        RegisteredMunicipality(
            row.code, row.name_ja, row.name_en, row.file_sha256, row.registered_at, row.child_counter
        )
        for row in models.Municipality.objects.order_by("code")
    ]


def record_load(
    code: str,
    source: str,
    extract_date: date,
    file_name: str,
    sha256: str,
    *,
    rows_in: int,
    rows_loaded: int,
    rows_rejected: int,
    status: str = "loaded",
    run_id: str = "",
) -> None:
    """Record one file. The same file with the same outcome is recorded once, however often the step is retried."""
    with database.transaction():
        from kodomo_platform.operations import models

        models.Load.objects.get_or_create(
            municipality=code,
            source=source,
            extract_date=extract_date,
            sha256=sha256,
            status=status,
            defaults={
                "file_name": file_name,
                "rows_in": rows_in,
                "rows_loaded": rows_loaded,
                "rows_rejected": rows_rejected,
                "run_id": run_id,
            },
        )


def loads(code: str, source: str | None = None) -> list[Load]:
    """Files taken in, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.Load.objects.filter(municipality=code)
    if source is not None:
        rows = rows.filter(source=source)
    return [
        Load(
            row.municipality,
            row.source,
            row.extract_date,
            row.file_name,
            row.sha256,
            row.rows_in,
            row.rows_loaded,
            row.rows_rejected,
            row.status,
            row.run_id,
            row.loaded_at,
        )
        for row in rows.order_by("-pk")
    ]


def record_publication(
    code: str,
    as_of_date: date,
    version: str,
    path: str,
    manifest_sha256: str,
    *,
    dagster_run_id: str = "",
    code_version: str = "",
) -> None:
    """Record a snapshot; recording the same version again is refused if its manifest differs."""
    with database.transaction():
        from kodomo_platform.operations import models

        row, created = models.Publication.objects.get_or_create(
            municipality=code,
            as_of_date=as_of_date,
            version=version,
            defaults={
                "path": path,
                "manifest_sha256": manifest_sha256,
                "dagster_run_id": dagster_run_id,
                "code_version": code_version,
            },
        )
        if not created and row.manifest_sha256 != manifest_sha256:
            raise OperationsError(
                "this snapshot version was published before with other contents",
                where=f"municipality {code}, as of {as_of_date}, version {version}",
                expected="snapshots that never change",
                action="publish under a new version",
            )


def publications(code: str) -> list[Publication]:
    """Snapshots published, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    return [
        Publication(
            row.municipality,
            row.as_of_date,
            row.version,
            row.path,
            row.manifest_sha256,
            row.dagster_run_id,
            row.code_version,
            row.published_at,
        )
        for row in models.Publication.objects.filter(municipality=code).order_by("-pk")
    ]


def audit(actor: str, action: str, subject: str, purpose: str, *, municipality: str = "") -> None:
    """Add one entry to the audit log. ``subject`` is an id or a name of a thing, never a person's name."""
    with database.transaction():
        from kodomo_platform.operations import models

        models.AuditEntry.objects.create(
            actor=actor, action=action, subject=subject, purpose=purpose, municipality=municipality
        )


def audit_log(*, subject: str | None = None, municipality: str | None = None) -> list[AuditEntry]:
    """The audit log, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.AuditEntry.objects.all()
    if subject is not None:
        rows = rows.filter(subject=subject)
    if municipality is not None:
        rows = rows.filter(municipality=municipality)
    return [
        AuditEntry(row.at, row.municipality, row.actor, row.action, row.subject, row.purpose)
        for row in rows.order_by("-pk")
    ]
