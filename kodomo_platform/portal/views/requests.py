"""Residents' requests (disclosure, correction, stop of use): opened, dated, answered. Arts. 76–103 of the Act.

Deadlines: 30 days from receipt, once 30 more with notice (arts. 83, 94, 102 of the Act on the Protection of Personal
Information). The paper itself is made by `governance`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.errors import WrongStepError
from kodomo_platform.portal import looks
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Request
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.views.cases import day_of

KINDS = {
    "disclosure": ("開示請求", "disclosure"),
    "correction": ("訂正請求", "correction"),
    "stop": ("利用停止請求", "stop of use"),
    "withdrawal": ("同意の撤回", "withdrawal of consent"),
}
STATES = {
    "open": ("対応中", "open"),
    "extended": ("延長", "extended"),
    "answered": ("決定・通知済み", "answered"),
    "refused": ("不開示等の決定", "refused"),
}
_DAYS = 30


@page(Permission.KEEP_REQUESTS, "GET", "POST")
def requests(request: HttpRequest) -> HttpResponse:
    """The list with deadlines; enter one."""
    desk: Desk = request.desk
    if request.method == "POST":
        asked = request.POST
        if asked.get("kind") not in KINDS:
            raise WrongStepError("the kind of request is missing", expected=", ".join(KINDS))
        received = day_of(desk, asked.get("received_on", ""), desk.t("受付日", "received on"))
        if received > desk.today:
            raise WrongStepError("the day lies ahead", expected="today or earlier")
        with transaction.atomic():
            row = Request.objects.create(
                municipality=desk.actor.municipality,
                kind=asked["kind"],
                child_id=clean(asked.get("child_id", ""), what="child_id", required=False, most=40),
                claimant=clean(asked.get("claimant", ""), what=desk.t("請求者", "claimant"), most=300),
                identity_checked=clean(asked.get("identity", ""), what=desk.t("本人確認", "identity"), most=100),
                text=clean(asked.get("text", ""), what=desk.t("内容", "text"), required=False),
                received_on=received,
                due_on=received + timedelta(days=_DAYS),
                by=desk.actor.login,
            )
            looks.written(
                desk.actor.login,
                f"portal request {row.kind}",
                f"request {row.pk}",
                "resident's request",
                desk.actor.municipality,
            )
        return redirect("request", pk=row.pk)
    content: dict[str, Any] = {
        "rows": Request.objects.filter(municipality=desk.actor.municipality).order_by("answered_at", "due_on")[:100],
        "kinds": KINDS, "states": STATES, "today": desk.today,
    }  # fmt: skip
    return render(request, "portal/requests.html", content)


@page(Permission.KEEP_REQUESTS, "GET", "POST")
def request_page(request: HttpRequest, pk: int) -> HttpResponse:
    """One request: extend once, answer, refuse with the ground."""
    desk: Desk = request.desk
    row = Request.objects.filter(pk=pk, municipality=desk.actor.municipality).first()
    if row is None:
        raise Http404
    if request.method == "POST":
        state = request.POST.get("state", "")
        if state not in ("extended", "answered", "refused") or row.state in ("answered", "refused"):
            raise WrongStepError(
                "this step does not follow on the present state", expected="extended, answered or refused"
            )
        if state == "extended" and row.state == "extended":
            raise WrongStepError("the deadline was extended before", expected="one extension of 30 days")
        answer = clean(request.POST.get("answer", ""), what=desk.t("決定の内容・理由", "decision"))
        with transaction.atomic():
            changes: dict[str, Any] = {"state": state, "answer": "\n".join(filter(None, [row.answer, answer]))}
            if state == "extended":
                changes["due_on"] = row.due_on + timedelta(days=_DAYS)
            else:
                changes |= {"answered_by": desk.actor.login, "answered_at": timezone.now()}
            for name, value in changes.items():
                setattr(row, name, value)
            row.save(update_fields=list(changes))
            looks.written(
                desk.actor.login,
                f"portal request {state}",
                f"request {pk}",
                "resident's request",
                desk.actor.municipality,
            )
        messages.success(request, desk.t("記録しました", "Recorded"))
        return redirect("request", pk=pk)
    desk.look(looks.PAGE, purpose=desk.t("開示等の請求", "resident's request"), detail=f"request {pk}")
    return render(request, "portal/request.html", {"row": row, "kinds": KINDS, "states": STATES, "today": desk.today})
