"""Hospital flags: the form on a tablet, the desk's list, one flag with its candidates."""

from __future__ import annotations

import json
import secrets
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.errors import KodomoError, WrongStepError
from kodomo_platform.portal import flags as room
from kodomo_platform.portal import looks
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Flag
from kodomo_platform.portal.rights import Permission


@page(Permission.ENTER_FLAG, "GET", "POST")
def enter(request: HttpRequest) -> HttpResponse:
    """Enter a flag; below it the person's own entries, and nothing of any child beside what they wrote."""
    desk: Desk = request.desk
    content: dict[str, Any] = {"kinds": room.KINDS, "severities": room.SEVERITIES, "form": {}, "error": None}
    content["form_id"] = secrets.token_urlsafe(16)
    status = 200
    if request.method == "POST":
        try:
            room.enter(desk, request.POST)
        except WrongStepError as error:
            content |= {"form": request.POST, "error": _words(desk, error)}
            status = 400
        else:
            messages.success(request, desk.t("自治体に届きました", "The municipality has it"))
            return redirect("flag_enter")
    own = Flag.objects.filter(by=desk.actor.login).order_by("-pk")[:20]
    content["own"] = [(flag, json.loads(flag.child)) for flag in own]
    return render(request, "portal/flag_enter.html", content, status=status)


def _words(desk: Desk, error: KodomoError) -> dict[str, str]:
    from kodomo_platform.messages import error_text

    say = str if desk.language == "en" else error_text
    return {"what": say(error.what), "expected": say(error.expected or "")}


@page(Permission.RECEIVE_FLAGS)
def flags(request: HttpRequest) -> HttpResponse:
    """The municipality's flags, the unseen and the unlinked first."""
    desk: Desk = request.desk
    rows = list(Flag.objects.filter(municipality=desk.actor.municipality).order_by("-pk")[:200])
    ids = [flag.child_id for flag in rows if flag.child_id]
    names = (
        {}
        if desk.trouble
        else desk.register.which_exist(desk.actor, ids, Permission.VIEW_CHILD, hide_records=desk.hide_records)
    )
    lines = [
        (flag, json.loads(flag.child), names.get(flag.child_id))
        for flag in rows
        if not flag.child_id or flag.child_id in names
    ]
    lines.sort(
        key=lambda line: (line[0].first_seen_at is not None and line[0].state != "open", -line[0].severity, -line[0].pk)
    )
    desk.look(looks.FLAG, purpose=desk.t("医療機関の気づき", "hospital flags"), children=set(names))
    return render(request, "portal/flags.html", {"lines": lines, "kinds": room.KINDS, "severities": room.SEVERITIES})


@page(Permission.RECEIVE_FLAGS, "GET", "POST")
def flag(request: HttpRequest, pk: int) -> HttpResponse:
    """One flag: what the hospital wrote, whom it may be about and why; a person decides."""
    desk: Desk = request.desk
    row = Flag.objects.filter(pk=pk, municipality=desk.actor.municipality).first()
    if row is None:
        raise Http404
    candidates = [entry["child_id"] for entry in row.evidence]
    ids = [*candidates, *([row.child_id] if row.child_id else [])]
    names = (
        {}
        if desk.trouble
        else desk.register.which_exist(desk.actor, ids, Permission.VIEW_CHILD, hide_records=desk.hide_records)
    )
    if row.child_id and row.child_id not in names:
        raise Http404
    if request.method == "POST":
        room.link(desk, row, request.POST.get("child_id", "")[:40])
        messages.success(request, desk.t("結びつきを記録しました", "The link is recorded"))
        return redirect("flag", pk=pk)
    if row.first_seen_at is None:
        Flag.objects.filter(pk=pk, first_seen_at=None).update(
            first_seen_at=timezone.now(), first_seen_by=desk.actor.login
        )
    desk.look(looks.FLAG, purpose=desk.t("医療機関の気づき", "hospital flag"), children=set(names), detail=f"flag {pk}")
    content = {
        "flag": row,
        "written": json.loads(row.child),
        "kinds": room.KINDS,
        "severities": room.SEVERITIES,
        "candidates": [(entry, names[entry["child_id"]]) for entry in row.evidence if entry["child_id"] in names],
        "linked": names.get(row.child_id),
        "words": {
            "name": desk.t("氏名", "name"), "kana": desk.t("ふりがな", "reading"), "birth_date": desk.t("生年月日", "birth date"),
            "sex": desk.t("性別", "sex"), "address": desk.t("住所", "address"),
        },
    }  # fmt: skip
    return render(request, "portal/flag.html", content)
