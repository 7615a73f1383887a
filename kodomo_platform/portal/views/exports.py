"""Lists that leave the pages: a purpose, an approver above the municipality's limit, an end, a count, a trace."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import F
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.errors import WrongStepError
from kodomo_platform.portal import looks
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.choices import choices
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Export
from kodomo_platform.portal.reading import Filters
from kodomo_platform.portal.rights import DeniedError, Permission
from kodomo_platform.portal.views.children import as_plain, assessed

_CONTACT = ("address", "guardian_name", "guardian_phone")
_MOST_ROWS = 20_000


@page(Permission.TODAY, "GET", "POST")
def exports(request: HttpRequest) -> HttpResponse:
    """Ask for an export; see one's own; see what waits for an approver."""
    desk: Desk = request.desk
    asks, approves = desk.actor.may(Permission.ASK_EXPORT), desk.actor.may(Permission.APPROVE_EXPORT)
    if not asks and not approves:
        raise DeniedError(Permission.ASK_EXPORT, request.path)
    if request.method == "POST":
        desk.actor.require(Permission.ASK_EXPORT, request.path)
        ask(desk, request.POST)
        messages.success(request, desk.t("申請しました", "Asked for"))
        return redirect("exports")
    town = desk.actor.municipality
    content: dict[str, Any] = {
        "own": Export.objects.filter(person=desk.person).order_by("-pk")[:30],
        "waiting": Export.objects.filter(municipality=town, state="asked")
        .exclude(person=desk.person)
        .select_related("person")
        if approves
        else [],
        "asks": asks,
        "now": timezone.now(),
        "limit": choices(town).export_rows_without_approval,
        "themes": [] if desk.trouble else [(key, desk.theme_label(key)) for key in desk.register.themes],
        "schools": desk.register.schools(desk.actor, hide_records=desk.hide_records)
        if asks and not desk.trouble
        else [],
    }
    return render(request, "portal/exports.html", content)


def ask(desk: Desk, asked: Any) -> Export:
    """Enter an export; below the municipality's limit it may be fetched at once, above it somebody else approves."""
    purpose = clean(asked.get("purpose", ""), what=desk.t("目的", "purpose"), most=300)
    theme = asked.get("theme", "")
    if theme and theme not in desk.register.themes:
        raise WrongStepError("no such theme", expected="a theme of this municipality")
    filters = {
        "theme": theme,
        "only": "alert" if asked.get("only") == "alert" and theme else "",
        "school": asked.get("school", "")[:40],
    }
    rows = desk.register.listed(desk.actor, _filters(filters), hide_records=desk.hide_records, size=1).total
    if rows == 0:
        raise WrongStepError("nobody is on this list", expected="at least one child")
    if rows > _MOST_ROWS:
        raise WrongStepError(
            "too many children for one export", expected=f"at most {_MOST_ROWS}", action="narrow it first"
        )
    decided = choices(desk.actor.municipality)
    free = rows <= decided.export_rows_without_approval and asked.get("contact") != "1"
    with transaction.atomic():
        row = Export.objects.create(
            municipality=desk.actor.municipality,
            person=desk.person,
            purpose=purpose,
            filters=filters,
            with_contact=asked.get("contact") == "1",
            rows=rows,
            state="approved" if free else "asked",
            expires_at=timezone.now() + timedelta(days=decided.export_days) if free else None,
            decided_by="limit" if free else "",
        )
        looks.written(
            desk.actor.login, "portal export asked", f"export {row.pk}: {rows} rows", purpose, desk.actor.municipality
        )
    return row


def _filters(kept: dict[str, str]) -> Filters:
    return Filters(theme=kept["theme"], only=kept["only"], school=kept["school"], sort="class")  # type: ignore[arg-type]


@page(Permission.APPROVE_EXPORT, "POST")
def decide(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve or refuse somebody else's export."""
    desk: Desk = request.desk
    state = {"approve": "approved", "refuse": "refused"}.get(request.POST.get("answer", ""))
    if state is None:
        raise WrongStepError("an answer is missing", expected="approve or refuse")
    days = choices(desk.actor.municipality).export_days
    with transaction.atomic():
        done = (
            Export.objects.filter(pk=pk, municipality=desk.actor.municipality, state="asked")
            .exclude(person=desk.person)
            .update(
                state=state,
                decided_by=desk.actor.login,
                decided_at=timezone.now(),
                expires_at=timezone.now() + timedelta(days=days),
            )
        )
        if not done:
            raise Http404
        looks.written(desk.actor.login, f"portal export {state}", f"export {pk}", "export", desk.actor.municipality)
    messages.success(request, desk.t("記録しました", "Recorded"))
    return redirect("exports")


@page(Permission.ASK_EXPORT, "POST")
def fetch(request: HttpRequest, pk: int) -> HttpResponse:
    """The approved list as CSV, made now from what the person may see now; counted."""
    desk: Desk = request.desk
    row = Export.objects.filter(
        pk=pk, person=desk.person, municipality=desk.actor.municipality, state="approved"
    ).first()
    if row is None:
        raise Http404
    if row.expires_at is None or row.expires_at < timezone.now():
        Export.objects.filter(pk=pk).update(state="expired")
        raise WrongStepError("this export has expired", action="ask for it again")
    theme = row.filters["theme"]
    rows = desk.register.listed(desk.actor, _filters(row.filters), hide_records=desk.hide_records, size=None)
    if rows.total > max(row.rows * 1.2, row.rows + 10):
        raise WrongStepError(
            "the list has grown beyond what was approved",
            expected=f"about {row.rows} children",
            action="ask for it again",
        )
    content = as_csv(desk, rows.rows, theme, contact=row.with_contact)
    with transaction.atomic():
        Export.objects.filter(pk=pk).update(fetched=F("fetched") + 1)
        desk.look(
            looks.EXPORT,
            purpose=row.purpose,
            children=[entry["child_id"] for entry in rows.rows],
            detail=f"export {pk}",
        )
    response = HttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="export-{pk}.csv"'
    return response


def as_csv(desk: Desk, rows: list[dict[str, Any]], theme: str, *, contact: bool) -> bytes:
    """UTF-8 with BOM; nothing in it is a formula to a spreadsheet."""
    stream = io.StringIO()
    writer: Any = None
    for row in rows:
        plain = as_plain(desk, row, assessed(desk, row, theme))
        if not contact:
            for name in _CONTACT:
                plain.pop(name)
        flat = {key: "、".join(value) if isinstance(value, list) else value for key, value in plain.items()}
        if writer is None:
            writer = csv.DictWriter(stream, fieldnames=list(flat), lineterminator="\r\n")
            writer.writeheader()
        writer.writerow({key: harmless(value) for key, value in flat.items()})
    return b"\xef\xbb\xbf" + stream.getvalue().encode()


def harmless(value: Any) -> Any:
    """A cell that no spreadsheet reads as a formula."""
    text = str(value) if value is not None else ""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
