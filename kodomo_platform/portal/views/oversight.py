"""The overseer's pages: looks, refusals, odd patterns, emergency access, the table of rights; and people with roles."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.errors import WrongStepError
from kodomo_platform.portal import looks
from kodomo_platform.portal.cases import clean
from kodomo_platform.portal.choices import choices
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.models import Emergency, Export, Look, Person, RoleAssignment
from kodomo_platform.portal.rights import Permission, Scope, matrix
from kodomo_platform.portal.views.cases import day_of

_SCOPES = {
    Scope.MUNICIPALITY: ("範囲：自治体", "scope: municipality"),
    Scope.SCHOOL: ("範囲：学校", "scope: school"),
    Scope.CLASS: ("範囲：学級", "scope: class"),
    Scope.CASES: ("範囲：担当ケース", "scope: own cases"),
    Scope.NONE: ("範囲：こどもなし", "scope: no children"),
}
_KINDS = (looks.LIST, looks.SEARCH, looks.PAGE, looks.PRINT, looks.EXPORT, looks.EMERGENCY, looks.FLAG, looks.OVERSIGHT)


@page(Permission.VIEW_LOOKS)
def oversight(request: HttpRequest) -> HttpResponse:
    """Who looked, how often, at what kind of page; refused tries; odd patterns. Children by number alone."""
    desk: Desk = request.desk
    town = desk.actor.municipality
    kind = request.GET.get("kind", "")
    login = request.GET.get("login", "")[:150]
    child = request.GET.get("child", "")[:40]
    rows = Look.objects.filter(municipality=town)
    if kind in _KINDS:
        rows = rows.filter(kind=kind)
    if kind == "refused":
        rows = rows.filter(refused=True)
    if login:
        rows = rows.filter(login=login)
    if child:
        rows = rows.filter(looked_at__child_id=child)
    since = timezone.now() - timedelta(days=30)
    per_person = (
        Look.objects.filter(municipality=town, at__gte=since)
        .values("login")
        .annotate(
            looks=Count("pk"),
            pages=Count("pk", filter=Q(kind=looks.PAGE)),
            searches=Count("pk", filter=Q(kind=looks.SEARCH)),
            refused=Count("pk", filter=Q(refused=True)),
        )
        .order_by("-looks")[:50]
    )
    desk.look(
        looks.OVERSIGHT, purpose=desk.t("閲覧記録の点検", "review of looks"), detail=f"{kind} {login} {child}".strip()
    )
    content: dict[str, Any] = {
        "rows": rows.order_by("-pk")[:200],
        "per_person": per_person,
        "odd": odd_patterns(town),
        "emergencies": Emergency.objects.filter(municipality=town).select_related("person").order_by("-pk")[:50],
        "exports": Export.objects.filter(municipality=town).select_related("person").order_by("-pk")[:50],
        "kinds": (*_KINDS, "refused"),
        "asked": {"kind": kind, "login": login, "child": child},
    }
    return render(request, "portal/oversight.html", content)


def odd_patterns(town: str) -> list[dict[str, Any]]:
    """What an overseer should ask about: nights, volume, refusals in a row. Each names a login, none a child."""
    since = timezone.now() - timedelta(days=30)
    rows = Look.objects.filter(municipality=town, at__gte=since)
    odd: list[dict[str, Any]] = []
    counts = {entry["login"]: entry["n"] for entry in rows.values("login").annotate(n=Count("pk"))}
    usual = sorted(counts.values())[len(counts) // 2] if counts else 0
    for login, number in counts.items():
        if number > 100 and number > usual * 5:
            odd.append({"login": login, "kind": "volume", "number": number})
    # in the municipality's own time: before six, after ten in the evening
    night = rows.filter(Q(at__hour__lt=6) | Q(at__hour__gte=22)).values("login").annotate(n=Count("pk"))
    odd += [{"login": entry["login"], "kind": "night", "number": entry["n"]} for entry in night if entry["n"] > 3]
    refused = rows.filter(refused=True).values("login").annotate(n=Count("pk"))
    odd += [{"login": entry["login"], "kind": "refused", "number": entry["n"]} for entry in refused if entry["n"] >= 3]
    return sorted(odd, key=lambda entry: -entry["number"])


@page(Permission.VIEW_LOOKS, "POST")
def emergency_reviewed(request: HttpRequest, pk: int) -> HttpResponse:
    """The overseer has looked at an emergency access."""
    desk: Desk = request.desk
    with transaction.atomic():
        done = (
            Emergency.objects.filter(pk=pk, municipality=desk.actor.municipality, reviewed_at=None)
            .exclude(person=desk.person)
            .update(reviewed_at=timezone.now(), reviewed_by=desk.actor.login)
        )
        if not done:
            raise Http404
        looks.written(
            desk.actor.login, "portal emergency reviewed", f"emergency {pk}", "oversight", desk.actor.municipality
        )
    return redirect("oversight")


@page(Permission.BREAK_GLASS, "GET", "POST")
def emergency(request: HttpRequest, child_id: str) -> HttpResponse:
    """Emergency access to one child's protected contact: a reason, an end, a trace that the overseer sees."""
    desk: Desk = request.desk
    found = desk.child(child_id)
    minutes = choices(desk.actor.municipality).emergency_minutes
    if request.method == "POST":
        reason = clean(request.POST.get("reason", ""), what=desk.t("理由", "reason"))
        if len(reason) < 10:
            raise WrongStepError("the reason is too short", expected="what is at stake, in a sentence")
        with transaction.atomic():
            Emergency.objects.create(
                person=desk.person,
                municipality=desk.actor.municipality,
                child_id=child_id,
                reason=reason,
                until=timezone.now() + timedelta(minutes=minutes),
            )
            desk.look(looks.EMERGENCY, purpose=desk.t("緊急閲覧", "emergency access"), children=[child_id])
        return redirect("child", child_id=child_id)
    desk.look(looks.PAGE, purpose=desk.t("緊急閲覧の申出", "emergency access asked for"), children=[child_id])
    return render(request, "portal/emergency.html", {"child": found, "minutes": minutes})


@page(Permission.VIEW_MATRIX)
def rights(request: HttpRequest) -> HttpResponse:
    """The table of rights, as the program uses it."""
    desk: Desk = request.desk
    table = matrix()
    english = desk.language == "en"
    lines = [
        (labels[1] if english else labels[0], [permission in role.may for role in table.roles.values()])
        for permission, labels in table.labels.items()
    ]
    roles = [
        {"name": role.en if english else role.ja, "body": role.body_en if english else role.body_ja, "scope": desk.t(*_SCOPES[role.scope]),
         "domains": "、".join(sorted(role.domains))}
        for role in table.roles.values()
    ]  # fmt: skip
    return render(request, "portal/rights.html", {"roles": roles, "lines": lines})


@page(Permission.MANAGE_PEOPLE, "GET", "POST")
def people(request: HttpRequest) -> HttpResponse:
    """People and their roles; enter a person."""
    from kodomo_platform.portal.people import create_person

    desk: Desk = request.desk
    made = None
    if request.method == "POST":
        asked = request.POST
        login = asked.get("login", "").strip()
        if not login.isascii() or not login.replace("-", "").replace(".", "").isalnum() or not 3 <= len(login) <= 60:
            raise WrongStepError("this is no login", expected="3 to 60 letters, digits, dots and hyphens")
        schools = tuple(part.strip() for part in asked.get("schools", "").split(",") if part.strip())
        pairs = tuple(
            (p.partition(":")[0].strip(), p.partition(":")[2].strip())
            for p in asked.get("classes", "").split(",")
            if ":" in p
        )
        ends = asked.get("ends_on", "")
        made = create_person(
            login,
            desk.actor.municipality,
            clean(asked.get("name", ""), what=desk.t("氏名", "name"), most=100),
            office=clean(asked.get("office", ""), what=desk.t("所属", "office"), required=False, most=100),
            role=asked.get("role", ""),
            schools=schools,
            classes=pairs,
            ends_on=day_of(desk, ends, desk.t("期限", "ends")) if ends else None,
            with_second_factor=False,
            by=desk.actor.login,
            reason=clean(asked.get("reason", ""), what=desk.t("理由", "reason"), most=300),
        )
    rows = (
        Person.objects.filter(municipality=desk.actor.municipality)
        .select_related("user")
        .prefetch_related("assignments")
    )
    table = matrix().roles
    english = desk.language == "en"
    lines = []
    for row in rows.order_by("office", "display_name"):
        roles = [
            (a, table[a.role].en if english else table[a.role].ja) for a in row.assignments.all() if a.role in table
        ]
        lines.append((row, roles))
    content = {
        "lines": lines, "made": made, "today": desk.today,
        "roles": [(key, role.en if english else role.ja, role.scope.value) for key, role in table.items()],
    }  # fmt: skip
    return render(request, "portal/people.html", content)


@page(Permission.MANAGE_PEOPLE, "POST")
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """End a role, or close an account. Nobody changes their own."""
    from kodomo_platform.portal.people import end_role

    desk: Desk = request.desk
    row = Person.objects.filter(pk=pk, municipality=desk.actor.municipality).select_related("user").first()
    if row is None:
        raise Http404
    if row.pk == desk.person.pk:
        raise WrongStepError("nobody changes their own roles", action="ask another administrator")
    reason = clean(request.POST.get("reason", ""), what=desk.t("理由", "reason"), most=300)
    assignment_id = request.POST.get("assignment", "")
    with transaction.atomic():
        if assignment_id:
            assignment = RoleAssignment.objects.filter(
                pk=int(assignment_id) if assignment_id.isdigit() else 0, person=row
            ).first()
            if assignment is None:
                raise Http404
            end_role(assignment, by=desk.actor.login, reason=reason)
        else:
            row.user.is_active = False
            row.user.save(update_fields=["is_active"])
            Person.objects.filter(pk=row.pk).update(session_key="")
            looks.written(desk.actor.login, "person closed", row.user.username, reason, desk.actor.municipality)
    messages.success(request, desk.t("変更しました", "Changed"))
    return redirect("people")
