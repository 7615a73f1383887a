"""Municipalities served, files loaded, snapshots published: plain records, no rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from kodomo_platform.errors import OperationsError
from kodomo_platform.operations import database
from kodomo_platform.operations.acts import Act
from kodomo_platform.operations.auditing import append


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


def register_municipality(code: str, name_ja: str, act: Act, *, name_en: str = "", file_sha256: str = "") -> None:
    """Enter a municipality, or bring its names up to date."""
    with database.transaction():
        from kodomo_platform.operations import models

        models.Municipality.objects.update_or_create(
            code=code, defaults={"name_ja": name_ja, "name_en": name_en, "file_sha256": file_sha256}
        )
        append(act, "municipality register", code, municipality=code)


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
    act: Act,
    *,
    rows_in: int,
    rows_loaded: int,
    rows_rejected: int,
    status: str = "loaded",
) -> None:
    """Record one file. The same file with the same outcome is recorded once, however often the step is retried."""
    with database.transaction():
        from kodomo_platform.operations import models

        database.municipality_row(code)
        _, created = models.Load.objects.get_or_create(
            municipality_id=code,
            source=source,
            extract_date=extract_date,
            sha256=sha256,
            status=status,
            defaults={
                "file_name": file_name,
                "rows_in": rows_in,
                "rows_loaded": rows_loaded,
                "rows_rejected": rows_rejected,
                "run_id": act.run_id,
            },
        )
        if created:
            counts = f"rows {rows_in}, loaded {rows_loaded}, rejected {rows_rejected}"
            append(act, f"file {status}", f"{source} {sha256}", municipality=code, detail=counts)


def loads(code: str, source: str | None = None) -> list[Load]:
    """Files taken in, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    rows = models.Load.objects.filter(municipality=code)
    if source is not None:
        rows = rows.filter(source=source)
    return [
        Load(
            row.municipality_id,
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
    act: Act,
    *,
    code_version: str = "",
) -> None:
    """Record a snapshot; recording the same version again is refused if its manifest differs."""
    with database.transaction():
        from kodomo_platform.operations import models

        database.municipality_row(code)
        row, created = models.Publication.objects.get_or_create(
            municipality_id=code,
            as_of_date=as_of_date,
            version=version,
            defaults={
                "path": path,
                "manifest_sha256": manifest_sha256,
                "dagster_run_id": act.run_id,
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
        if created:
            append(act, "publish", f"{as_of_date} {version}", municipality=code, detail=manifest_sha256)


def publications(code: str) -> list[Publication]:
    """Snapshots published, newest first."""
    database.ready()
    from kodomo_platform.operations import models

    return [
        Publication(
            row.municipality_id,
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
