"""The register as a list, the search, and one child's page; the same rows as CSV and JSON."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.portal import looks
from kodomo_platform.portal.assessment import Assessment, assess
from kodomo_platform.portal.cases import NOTE_KINDS, OUTCOMES, SEEN, STATES, TRANSITIONS
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Case, Note, Person, Plan, SavedView, Task
from kodomo_platform.portal.reading import Filters
from kodomo_platform.portal.rights import Permission
from kodomo_platform.portal.timeline import timeline

_ONLY = ("alert", "new", "undetermined", "unseen", "protected")
_SORTS = ("rank", "name", "class", "seen")
_STATES = ("none", *STATES)


def filters_of(desk: Desk, asked: Any) -> tuple[Filters, dict[str, str]]:
    """Filters of a query; what is not understood is left out (the page shows what is in force)."""
    themes = desk.register.themes
    scored = desk.actor.may(Permission.FIELD_SCORE)
    theme = asked.get("theme", themes[0] if len(themes) == 1 and "theme" not in asked else "")
    theme = theme if theme in themes else ""
    grade = asked.get("grade", "")
    only = asked.get("only", "")
    band = asked.get("band", "")
    sort = asked.get("sort", "") or ("rank" if theme and scored else "class")
    state = asked.get("state", "")
    page_text = asked.get("page", "1")
    among: tuple[str, ...] | None = None
    not_among: tuple[str, ...] | None = None
    if state in _STATES:
        cases = Case.objects.filter(municipality=desk.actor.municipality)
        if theme:
            cases = cases.filter(theme=theme)
        if state in ("none", "proposed"):
            not_among = tuple(cases.exclude(state="ended").values_list("child_id", flat=True))
        else:
            among = tuple(cases.filter(state=state).values_list("child_id", flat=True))
    owner = asked.get("owner", "")
    if owner == "me":
        mine = set(Case.objects.filter(owner=desk.person).exclude(state="ended").values_list("child_id", flat=True))
        among = tuple(mine if among is None else mine & set(among))
    due = asked.get("due", "")
    if due == "overdue":
        late = Task.objects.filter(municipality=desk.actor.municipality, done_at=None, due_on__lt=desk.today)
        ids = {child for child in late.values_list("child_id", flat=True) if child}
        among = tuple(ids if among is None else ids & set(among))
    filters = Filters(
        theme=theme,
        school=asked.get("school", "")[:40],
        grade=int(grade) if grade.lstrip("-").isdigit() and len(grade) < 4 else None,
        # an alert town shows no bands, and nobody filters by what they may not see
        band=band
        if band in ("high", "middle", "low", "undetermined") and desk.mode(theme) == "score" and scored
        else "",
        only=only if only in _ONLY and (scored or only == "protected") else "",
        among=among,
        not_among=not_among,
        sort=sort if sort in _SORTS and (sort != "rank" or scored) else "class",  # type: ignore[arg-type]
        page=int(page_text) if page_text.isdigit() and len(page_text) < 7 else 1,
    )
    in_force = {
        "theme": filters.theme, "school": filters.school, "grade": "" if filters.grade is None else str(filters.grade),
        "band": filters.band, "only": filters.only, "state": state if state in _STATES else "", "sort": filters.sort,
        "owner": "me" if owner == "me" else "", "due": "overdue" if due == "overdue" else "",
    }  # fmt: skip
    return filters, in_force


def assessed(desk: Desk, row: dict[str, Any], theme: str) -> Assessment | None:
    """A listed row's assessment; None where no theme is chosen."""
    return assess(desk, row, theme) if theme else None


@page(Permission.LIST_CHILDREN)
def children(request: HttpRequest) -> HttpResponse:
    """The register: filters, sorting, fifty a page; counts equal the list."""
    desk: Desk = request.desk
    filters, in_force = filters_of(desk, request.GET)
    rows = desk.register.listed(desk.actor, filters, hide_records=desk.hide_records)
    ids = [row["child_id"] for row in rows.rows]
    cases = {
        (case.child_id, case.theme): case
        for case in Case.objects.filter(municipality=desk.actor.municipality, child_id__in=ids)
        .exclude(state="ended").select_related("owner")
    }  # fmt: skip
    lines = []
    for row in rows.rows:
        case = (
            cases.get((row["child_id"], filters.theme))
            if filters.theme
            else next((found for (child, _), found in cases.items() if child == row["child_id"]), None)
        )
        lines.append({"child": row, "view": assessed(desk, row, filters.theme), "case": case})
    kept = {name: value for name, value in in_force.items() if value}
    desk.look(
        looks.LIST,
        purpose=desk.theme_label(filters.theme) if filters.theme else desk.t("台帳の確認", "register"),
        children=ids,
        detail=urlencode(kept),
    )
    content = {
        "rows": rows,
        "lines": lines,
        "filters": in_force,
        "theme": filters.theme,
        "mode": desk.mode(filters.theme) if filters.theme else "",
        "themes": [(theme, desk.theme_label(theme)) for theme in desk.register.themes],
        "schools": desk.register.schools(desk.actor, hide_records=desk.hide_records),
        "states": STATES,
        "query": urlencode(kept),
        "saved": SavedView.objects.filter(person=desk.person).order_by("name"),
        "scored": desk.actor.may(Permission.FIELD_SCORE),
    }
    return render(request, "portal/children.html", content)


@page(Permission.LIST_CHILDREN, "POST")
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the filters in force under a name."""
    desk: Desk = request.desk
    name = request.POST.get("name", "").strip()[:60]
    _, in_force = filters_of(desk, request.POST)
    query = urlencode({key: value for key, value in in_force.items() if value})
    if name:
        SavedView.objects.update_or_create(person=desk.person, name=name, defaults={"query": query[:500]})
    from django.urls import reverse

    return redirect(f"{reverse('children')}?{query}")


@page(Permission.LIST_CHILDREN)
def children_json(request: HttpRequest) -> HttpResponse:
    """The list for programs of the municipality: the same rows and the same hidden fields."""
    desk: Desk = request.desk
    filters, _ = filters_of(desk, request.GET)
    rows = desk.register.listed(desk.actor, filters, hide_records=desk.hide_records)
    desk.look(looks.LIST, purpose="json", children=[row["child_id"] for row in rows.rows], detail=filters.theme)
    return _json(
        {
            "as_of": desk.register.as_of.isoformat(),
            "total": rows.total,
            "page": rows.page,
            "pages": rows.pages,
            "children": [as_plain(desk, row, assessed(desk, row, filters.theme)) for row in rows.rows],
        }
    )


def as_plain(desk: Desk, row: dict[str, Any], view: Assessment | None) -> dict[str, Any]:
    """One child for CSV and JSON: what the page shows, nothing else."""
    plain: dict[str, Any] = {
        "child_id": row["child_id"],
        "name": row["name"],
        "name_kana": row["name_kana"],
        "birth_date": row["birth_date"].isoformat() if row["birth_date"] else None,
        "sex": row["sex"],
        "school": row["school_code"],
        "grade": row["grade"],
        "class": row["class"],
        "address": row["address"],
        "guardian_name": row["guardian_name"],
        "guardian_phone": row["guardian_phone"],
        "contact": row["contact_state"],
        "last_seen_on": row["last_seen_on"].isoformat() if row["last_seen_on"] else None,
    }
    if view is not None:
        plain |= {
            "theme": view.theme,
            "shown": view.mark,
            "words": view.words,
            "reasons": [reason.text for reason in view.reasons],
            "rules": list(view.rules),
            "new": view.new,
        }
    return plain


@page(Permission.SEARCH_CHILDREN, "GET", "POST")
def search(request: HttpRequest) -> HttpResponse:
    """Search by kana, kanji, birth date, number. The text comes by POST: names have no business in addresses and logs."""
    desk: Desk = request.desk
    content: dict[str, Any] = {"text": "", "searched": False}
    if request.method == "POST":
        text = request.POST.get("text", "")[:80]
        rows, understood, total = desk.register.search(desk.actor, text, hide_records=desk.hide_records)
        # what was typed is a name: the look holds how it was understood and whom it showed, not the text
        desk.look(
            looks.SEARCH,
            purpose=desk.t("検索", "search"),
            children=[row["child_id"] for row in rows],
            detail=f"{understood}: {total}",
        )
        content = {"text": text, "searched": True, "rows": rows, "understood": understood, "total": total}
    return render(request, "portal/search.html", content)


@page(Permission.VIEW_CHILD)
def child(request: HttpRequest, child_id: str) -> HttpResponse:
    """One child: facts, household, results with reasons, the time-line, the case."""
    desk: Desk = request.desk
    content = child_content(desk, child_id)
    desk.look(looks.PAGE, purpose=content["purpose"], children=content["seen_ids"])
    return render(request, "portal/child.html", content)


@page(Permission.VIEW_CHILD)
def child_json(request: HttpRequest, child_id: str) -> HttpResponse:
    """One child for programs: what the page shows."""
    desk: Desk = request.desk
    found = desk.child(child_id)
    views = [assess(desk, row, row["theme"]) for row in found["scores"]]
    desk.look(looks.PAGE, purpose="json", children=[child_id])
    plain = as_plain(desk, found, None)
    plain["themes"] = [
        {
            "theme": v.theme,
            "shown": v.mark,
            "words": v.words,
            "reasons": [r.text for r in v.reasons],
            "rules": list(v.rules),
        }
        for v in views
    ]
    return _json(plain)


def child_content(desk: Desk, child_id: str) -> dict[str, Any]:
    """Everything that the child's page (and its forms) show."""
    found = desk.child(child_id)
    views = [assess(desk, row, row["theme"]) for row in found["scores"]]
    household = [
        other
        for other in desk.register.household(desk.actor, found["household_id"], hide_records=desk.hide_records)
        if other["child_id"] != child_id
    ]
    cases = list(
        Case.objects.filter(municipality=desk.actor.municipality, child_id=child_id)
        .select_related("owner").order_by("-opened_at")
    )  # fmt: skip
    reads_notes = desk.register.reached(desk.actor, Permission.FIELD_NOTES, child_id, hide_records=desk.hide_records)
    allowed = {
        permission.value: desk.actor.may(permission)
        and desk.register.reached(desk.actor, permission, child_id, hide_records=desk.hide_records)
        for permission in (
            Permission.DECIDE_CASE, Permission.PLAN_CASE, Permission.APPROVE_PLAN, Permission.ASSIGN_CASE, Permission.END_CASE,
            Permission.RECORD_CONTACT, Permission.REFER_CASE, Permission.KEEP_TASKS, Permission.PRINT_FORMS, Permission.FIELD_ROWS,
        )
    }  # fmt: skip
    open_by_theme = {case.theme: case for case in cases if case.state != "ended"}
    blocks: list[dict[str, Any]] = []
    for view in views:
        case = open_by_theme.get(view.theme)
        state = case.state if case else "proposed"
        steps = list(case.steps.order_by("pk")) if case else []
        blocks.append(
            {
                "view": view,
                "case": case,
                "state": state,
                "next": [after for after, needed in TRANSITIONS[state].items() if allowed.get(needed.value)],
                "steps": steps if reads_notes else [],
                "plans": list(Plan.objects.filter(case=case).order_by("-number")) if case and reads_notes else [],
                "referrals": list(case.referrals.select_related("to").order_by("-pk")) if case else [],
            }
        )
    notes = []
    if reads_notes:
        notes = list(
            Note.objects.filter(municipality=desk.actor.municipality, child_id=child_id)
            .select_related("amends").order_by("-happened_on", "-pk")[:100]
        )  # fmt: skip
    amended = {note.amends_id for note in notes if note.amends_id}
    tasks = Task.objects.filter(municipality=desk.actor.municipality, child_id=child_id).select_related("owner")
    return {
        "child": found,
        "blocks": blocks,
        "household": household,
        "cases": cases,
        "notes": notes,
        "amended": amended,
        "reads_notes": reads_notes,
        "tasks": list(tasks.order_by("done_at", "due_on")[:50]) if allowed["keep_tasks"] else [],
        "allowed": allowed,
        "events": timeline(desk, child_id),
        "states": STATES,
        "outcomes": OUTCOMES,
        "note_kinds": NOTE_KINDS,
        "seen": SEEN,
        "colleagues": colleagues(desk),
        "purpose": "、".join(block["view"].label for block in blocks) or desk.t("支援の検討", "support"),
        "seen_ids": [child_id, *(other["child_id"] for other in household)],
        "now": timezone.now(),
    }


def colleagues(desk: Desk) -> list[Person]:
    """People of the municipality who are still here."""
    return list(
        Person.objects.filter(municipality=desk.actor.municipality, user__is_active=True).order_by(
            "office", "display_name"
        )
    )


def one_child(desk: Desk, child_id: str) -> dict[str, Any]:
    """A child, or Http404."""
    if not child_id:
        raise Http404
    return desk.child(child_id)


def _json(value: Any) -> HttpResponse:
    """JSON in which no text can be taken for markup, whatever reads it."""
    text = json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return HttpResponse(text, content_type="application/json")
