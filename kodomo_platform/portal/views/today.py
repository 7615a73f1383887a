"""The first page: what is mine today."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.portal import looks
from kodomo_platform.portal.assessment import assess
from kodomo_platform.portal.cases import ENDED, STATES
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Case, Emergency, Export, Flag, Plan, Referral, Request, Task
from kodomo_platform.portal.reading import Filters
from kodomo_platform.portal.rights import Permission


@page(Permission.TODAY)
def today(request: HttpRequest) -> HttpResponse:
    """New proposals, tasks due, referrals, flags, what waits for a decision: counts and the first of each."""
    desk: Desk = request.desk
    actor, town = desk.actor, desk.actor.municipality
    shown: set[str] = set()
    content: dict[str, Any] = {"states": STATES, "today": desk.today}

    tasks = list(
        Task.objects.filter(owner=desk.person, done_at=None, due_on__lte=desk.today + timezone.timedelta(days=7))
        .order_by("due_on", "pk")[:30]
    )  # fmt: skip
    content["tasks"] = tasks
    content["referrals"] = list(Referral.objects.filter(to=desk.person, state="offered").select_related("case"))
    content["my_cases"] = list(
        Case.objects.filter(owner=desk.person).exclude(state=ENDED).order_by("review_on", "pk")[:30]
    )
    if actor.may(Permission.APPROVE_PLAN):
        content["plans"] = list(
            Plan.objects.filter(case__municipality=town, case__state="planned", approved_at=None)
            .exclude(by=actor.login).select_related("case").order_by("at")[:30]
        )  # fmt: skip
    if actor.may(Permission.ASSIGN_CASE):
        content["overdue"] = list(
            Task.objects.filter(municipality=town, done_at=None, due_on__lt=desk.today)
            .exclude(owner=desk.person).select_related("owner").order_by("due_on")[:30]
        )  # fmt: skip
    if actor.may(Permission.RECEIVE_FLAGS):
        content["flags_open"] = (
            Flag.objects.filter(municipality=town).filter(Q(state="open") | Q(first_seen_at=None)).count()
        )
    if actor.may(Permission.APPROVE_EXPORT):
        content["exports_asked"] = (
            Export.objects.filter(municipality=town, state="asked").exclude(person=desk.person).count()
        )
    if actor.may(Permission.KEEP_REQUESTS):
        content["requests_due"] = list(
            Request.objects.filter(municipality=town, state__in=("open", "extended")).order_by("due_on")[:20]
        )
    if actor.may(Permission.VIEW_LOOKS):
        content["emergencies"] = Emergency.objects.filter(municipality=town, reviewed_at=None).count()
    if actor.may(Permission.LIST_CHILDREN):
        content["proposals"] = _proposals(desk, shown)
    ids = [task.child_id for task in tasks if task.child_id]
    ids += [case.child_id for case in content["my_cases"]]
    ids += [plan.case.child_id for plan in content.get("plans", [])]
    ids += [task.child_id for task in content.get("overdue", []) if task.child_id]
    names: dict[str, Any] = {}
    if actor.may(Permission.VIEW_CHILD) and desk.trouble is None:
        names = desk.register.which_exist(actor, ids, Permission.VIEW_CHILD, hide_records=desk.hide_records)
    content["names"] = names
    # what lies out of reach (a child moved to another school) is not named here either
    content["overdue"] = [task for task in content.get("overdue", []) if not task.child_id or task.child_id in names]
    content["my_cases"] = [case for case in content["my_cases"] if case.child_id in names]
    content["plans"] = [plan for plan in content.get("plans", []) if plan.case.child_id in names]
    shown |= set(names)
    if shown:
        desk.look(looks.LIST, purpose=desk.t("今日の仕事", "today's work"), children=shown)
    return render(request, "portal/today.html", content)


def _proposals(desk: Desk, shown: set[str]) -> list[dict[str, Any]]:
    """Per theme: new alerts that nobody has decided on, the first five and how many."""
    if desk.trouble is not None or not desk.actor.may(Permission.FIELD_SCORE):
        return []
    made = []
    for theme in desk.register.themes:
        decided = tuple(
            Case.objects.filter(municipality=desk.actor.municipality, theme=theme).values_list("child_id", flat=True)
        )
        filters = Filters(theme=theme, only="alert", not_among=decided)
        rows = desk.register.listed(desk.actor, filters, hide_records=desk.hide_records, size=5)
        views = [(row, assess(desk, row, theme)) for row in rows.rows]
        shown |= {row["child_id"] for row in rows.rows}
        made.append({"theme": theme, "label": desk.theme_label(theme), "rows": views, "total": rows.total})
    return made


def home(request: HttpRequest) -> HttpResponse:
    """``/`` leads to the first page, or to sign-in."""
    return redirect("today")
