"""Data quality for the offices that hold the data, and the delivery of a corrected extract to landing."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from kodomo_platform.errors import WrongStepError
from kodomo_platform.portal import looks
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Upload
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.views.cases import day_of
from kodomo_platform.settings import get_settings

_MOST_BYTES = 200 * 1024 * 1024
_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".xlsx")


@page(Permission.VIEW_QUALITY)
def quality(request: HttpRequest) -> HttpResponse:
    """Results of the newest run, failed ones first; rejects by source and reason; deliveries."""
    desk: Desk = request.desk
    label = "label_en" if desk.language == "en" else "label_ja"
    results = desk.register.ask(
        f"""
        with newest as (select run_id from read_parquet($file) order by as_of_date desc, run_id desc limit 1)
        select "table" as name, item, {label} as label, severity, evaluated, unexpected, percent, threshold, status, passed
        from read_parquet($file) where run_id = (select run_id from newest)
        order by passed, case severity when 'critical' then 0 when 'warning' then 1 else 2 end, 1, 2, 3 limit 200
        """,
        {"file": desk.register.quality_file},
    )
    rejects = desk.register.ask(
        "select source, reason, item, count(*) as rows from read_parquet($file) group by all order by rows desc limit 100",
        {"file": desk.register.rejects_file},
    )
    sources = [] if desk.town is None else [source.source for source in desk.town.sources]
    desk.look(looks.OVERSIGHT, purpose=desk.t("データ品質", "data quality"))
    content = {
        "results": results,
        "rejects": rejects,
        "sources": sources,
        "uploads": Upload.objects.filter(municipality=desk.actor.municipality).order_by("-pk")[:30],
        "failed": sum(1 for row in results if not row["passed"]),
    }
    return render(request, "portal/quality.html", content)


@page(Permission.UPLOAD_EXTRACT, "POST")
def upload(request: HttpRequest) -> HttpResponse:
    """A corrected extract lands where the holders' files land; it is checked by the next run, never executed here."""
    desk: Desk = request.desk
    reason = clean(request.POST.get("reason", ""), what=desk.t("理由", "reason"), most=300)
    extract = day_of(desk, request.POST.get("extract_date", ""), desk.t("抽出日", "extract date"))
    source = request.POST.get("source", "")
    file = request.FILES.get("file")
    if file is None:
        raise WrongStepError("a file is missing", expected="one file")
    made = take(desk, source, extract, file, reason)
    if made.state == "landed":
        messages.success(request, desk.t("届きました。次の実行で検査されます", "Delivered; the next run checks it"))
    else:
        messages.warning(request, desk.t(f"隔離しました：{made.why}", f"Quarantined: {made.why}"))
    return redirect("quality")


def take(desk: Desk, source: str, extract: date, file: UploadedFile, reason: str) -> Upload:
    """Write an uploaded file to landing, or to quarantine with why. The name it came with is never a path of ours.

    Raises:
        WrongStepError: the source is none of the municipality's, the day is to come, the file is empty or too large.
    """
    town = desk.town
    known = {entry.source: entry for entry in town.sources} if town is not None else {}
    if source not in known:
        raise WrongStepError("this municipality has no such source", expected=", ".join(known) or "a source")
    if extract > desk.today or extract.year < 2000:
        raise WrongStepError("an extract cannot be of that day", expected="today or earlier")
    if not file.size or file.size > _MOST_BYTES:
        raise WrongStepError("the file is empty or too large", expected=f"1 byte to {_MOST_BYTES // 1024 // 1024} MB")
    name = safe_name(file.name or "")
    pattern = str(known[source].file.pattern)
    why = ""
    from fnmatch import fnmatch

    if not name.lower().endswith(_ENDINGS):
        why = desk.t("この種類のファイルは受け付けません", "this kind of file is not taken")
    elif not fnmatch(name, pattern):
        why = desk.t(f"ファイル名が {pattern} に合いません", f"the name does not fit {pattern}")
    settings = get_settings()
    folder = (
        settings.landing / desk.actor.municipality / extract.isoformat()
        if not why
        else settings.home / "portal" / "quarantine" / desk.actor.municipality
    )
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    # written aside under a name that no pattern of a source takes, then moved: a run never sees half a file
    part = folder / f".portal-{os.getpid()}-{os.urandom(6).hex()}.part"
    with part.open("xb") as stream:
        for chunk in file.chunks():
            digest.update(chunk)
            stream.write(chunk)
    with part.open("rb") as stream:
        head = stream.read(8)
    if not why and name.lower().endswith(".xlsx") != head.startswith(b"PK"):
        why = desk.t("中身が名前の種類と合いません", "the contents are not what the name says")
    if why:
        target = (
            settings.home / "portal" / "quarantine" / desk.actor.municipality / f"{digest.hexdigest()[:16]}.quarantined"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
    else:
        target = folder / name
        if target.exists():
            # what was delivered before stays: both are kept, and the newer counts
            stem, ending = Path(name).stem, Path(name).suffix
            target = folder / f"{stem}_{digest.hexdigest()[:8]}{ending}"
            if not fnmatch(target.name, pattern):
                part.unlink()
                raise WrongStepError(
                    "a file of this name was delivered for that day before", expected="another name or day"
                )
    part.chmod(0o640)
    part.replace(target)
    with transaction.atomic():
        row = Upload.objects.create(
            municipality=desk.actor.municipality,
            source=source,
            extract_date=extract,
            file_name=name,
            sha256=digest.hexdigest(),
            size=file.size,
            by=desk.actor.login,
            reason=reason,
            state="quarantined" if why else "landed",
            why=why[:300],
        )
        looks.written(
            desk.actor.login,
            f"portal upload {row.state}",
            f"{source} {extract} {digest.hexdigest()[:16]}",
            "corrected extract",
            desk.actor.municipality,
        )
    return row


def safe_name(name: str) -> str:
    """A file's own name without folders, control characters or a leading dot. Raises WrongStepError if nothing is left."""
    tidy = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1])
    tidy = re.sub(r"[^\w.\-（）()【】・ー ]", "_", tidy).strip(" .")[:150]
    if not tidy:
        raise WrongStepError("the file has no name", expected="a name such as the extract's own")
    return tidy


def quarantined(code: str) -> list[dict[str, Any]]:
    """Files set apart, newest first."""
    return list(Upload.objects.filter(municipality=code, state="quarantined").order_by("-pk").values()[:100])
