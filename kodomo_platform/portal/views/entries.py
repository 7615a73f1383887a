"""Entry for what is paper today: many short notes in a row, the child chosen by search; duplicates are warned of."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from kodomo_platform.errors import WrongStepError
from kodomo_platform.portal import cases, looks
from kodomo_platform.portal.cases import NOTE_KINDS, SEEN
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Note
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.views.cases import day_of


@page(Permission.RECORD_CONTACT, "GET", "POST")
def entries(request: HttpRequest) -> HttpResponse:
    """Search a child, write what the paper says; a second paper of the same day and kind asks to be confirmed."""
    desk: Desk = request.desk
    asked: Any = request.POST
    content: dict[str, Any] = {
        "kinds": NOTE_KINDS,
        "seen": SEEN,
        "form": asked,
        "rows": [],
        "searched": False,
        "double": False,
    }
    if request.method == "POST" and asked.get("do") == "search":
        text = asked.get("search", "")[:80]
        rows, understood, total = (
            desk.register.search(desk.actor, text, hide_records=desk.hide_records)
            if desk.actor.may(Permission.SEARCH_CHILDREN)
            else ([], "nothing", 0)
        )
        desk.look(
            looks.SEARCH,
            purpose=desk.t("記録の入力", "entry"),
            children=[row["child_id"] for row in rows],
            detail=f"{understood}: {total}",
        )
        content |= {"rows": rows[:20], "searched": True}
    elif request.method == "POST":
        child_id = asked.get("child_id", "")[:40]
        if not child_id:
            raise WrongStepError("no child is chosen", expected="one of the children found")
        desk.reach(Permission.RECORD_CONTACT, child_id)
        day = day_of(desk, asked.get("happened_on", ""), desk.t("日付", "day"))
        same = Note.objects.filter(
            municipality=desk.actor.municipality, child_id=child_id, kind=asked.get("kind", ""), happened_on=day
        ).exists()
        if same and asked.get("confirmed") != "1":
            content |= {"double": True, "rows": [desk.child(child_id)], "searched": True}
            return render(request, "portal/entries.html", content, status=409)
        cases.add_note(desk, child_id, asked.get("kind", ""), day, asked.get("text", ""), seen=asked.get("seen", ""))
        messages.success(request, desk.t("記録しました。次の紙へ", "Recorded. The next paper, please"))
        return redirect("entries")
    return render(request, "portal/entries.html", content)
