"""What people do with a child's case. Each page reads its form, calls one function of `cases` and goes back."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from kodomo_platform.errors import ConflictError, WrongStepError
from kodomo_platform.portal import cases
from kodomo_platform.portal.cases import Step
from kodomo_platform.portal.desk import Desk, page
from kodomo_platform.portal.looks import written
from kodomo_platform.portal.models import Note, Person, Referral, Task
from kodomo_platform.portal.rights import Permission


def step_of(request: HttpRequest) -> Step:
    """Revision and reason of a form."""
    text = request.POST.get("revision", "0")
    return Step(int(text) if text.isdigit() and len(text) < 9 else 0, request.POST.get("reason", ""))


def day_of(desk: Desk, text: str, what: str) -> date:
    """A day from a form: a date field's ISO, or as people write it (令和8年4月1日). Raises WrongStepError."""
    from kodomo_platform.cleansing.dates import read_date

    value = read_date(text[:40]).value if text else None
    if not isinstance(value, date):
        raise WrongStepError(
            "a date is missing or cannot be read", where=what, expected="a day such as 2026-10-01 or 令和8年10月1日"
        )
    return value


def person_of(desk: Desk, text: str) -> Person:
    """A colleague chosen in a form."""
    person = (
        Person.objects.filter(pk=int(text), municipality=desk.actor.municipality).select_related("user").first()
        if text.isdigit() and len(text) < 10
        else None
    )
    if person is None:
        raise WrongStepError("no such person", expected="a person of this municipality who is still here")
    return person


def _back(request: HttpRequest, child_id: str, text: str) -> HttpResponse:
    messages.success(request, text)
    return redirect("child", child_id=child_id)


@page(Permission.DECIDE_CASE, "POST")
def decide(request: HttpRequest, child_id: str, theme: str) -> HttpResponse:
    """Agree or disagree with a proposal."""
    desk: Desk = request.desk
    answer = request.POST.get("answer")
    if answer not in ("agree", "disagree"):
        raise WrongStepError("an answer is missing", expected="agree or disagree")
    cases.decide(desk, child_id, theme, answer == "agree", step_of(request), blind=request.POST.get("blind") == "1")
    return _back(request, child_id, desk.t("判断を記録しました", "The decision is recorded"))


@page(Permission.RECORD_CONTACT, "POST")
def note(request: HttpRequest, child_id: str) -> HttpResponse:
    """Record a contact, visit, call, conference or remark."""
    desk: Desk = request.desk
    asked = request.POST
    amends_id = asked.get("amends", "")
    amends = None
    if amends_id:
        amends = Note.objects.filter(
            pk=int(amends_id) if amends_id.isdigit() and len(amends_id) < 10 else 0,
            municipality=desk.actor.municipality,
            child_id=child_id,
        ).first()
        if amends is None:
            raise Http404
    day = day_of(desk, asked.get("happened_on", ""), desk.t("日付", "day"))
    cases.add_note(
        desk, child_id, asked.get("kind", "note"), day, asked.get("text", ""), seen=asked.get("seen", ""), amends=amends
    )
    return _back(request, child_id, desk.t("記録しました", "Recorded"))


@page(Permission.KEEP_TASKS, "POST")
def task(request: HttpRequest, child_id: str) -> HttpResponse:
    """Promise something for a day."""
    desk: Desk = request.desk
    owner = person_of(desk, request.POST.get("owner", str(desk.person.pk)))
    due = day_of(desk, request.POST.get("due_on", ""), desk.t("期限", "due"))
    cases.add_task(desk, request.POST.get("title", ""), due, owner, child_id=child_id)
    return _back(request, child_id, desk.t("予定を入れました", "The task is set"))


@page(Permission.KEEP_TASKS, "POST")
def task_done(request: HttpRequest, pk: int) -> HttpResponse:
    """A task is done: by its owner, or by whoever assigns."""
    desk: Desk = request.desk
    mine = Task.objects.filter(pk=pk, municipality=desk.actor.municipality, done_at=None)
    if not desk.actor.may(Permission.ASSIGN_CASE):
        mine = mine.filter(owner=desk.person)
    row = mine.first()
    if row is None:
        raise Http404
    if row.child_id and row.owner_id != desk.person.pk:
        desk.reach(Permission.KEEP_TASKS, row.child_id)
    with transaction.atomic():
        Task.objects.filter(pk=row.pk, done_at=None).update(done_at=timezone.now(), done_by=desk.actor.login)
        written(desk.actor.login, "portal task done", "task", "support", desk.actor.municipality, person=row.child_id)
    messages.success(request, desk.t("完了にしました", "Marked as done"))
    return redirect("today")


@page(Permission.PLAN_CASE, "GET", "POST")
def plan(request: HttpRequest, pk: int) -> HttpResponse:
    """Write a support plan; on a conflict the text stays in the form beside what the other wrote."""
    desk: Desk = request.desk
    case = cases.open_case(desk, pk)
    desk.reach(Permission.PLAN_CASE, case.child_id)
    newest = case.plans.order_by("-number").first()
    names = ("wishes", "situation", "goals", "measures", "review_on")
    content: dict[str, Any] = {"case": case, "newest": newest, "child": desk.child(case.child_id), "error": None}
    content["form"] = {name: getattr(newest, name, "") if newest else "" for name in names}
    if newest:
        content["form"]["review_on"] = newest.review_on.isoformat()
    if request.method == "POST":
        texts = {name: request.POST.get(name, "") for name in names}
        try:
            day = day_of(desk, texts["review_on"], desk.t("見直しの日", "review on"))
            cases.save_plan(desk, case, step_of(request), texts, day)
        except (ConflictError, WrongStepError) as error:
            from kodomo_platform.messages import error_text

            say = str if desk.language == "en" else error_text
            case.refresh_from_db()
            content |= {"case": case, "form": texts, "newest": case.plans.order_by("-number").first()}
            content["error"] = {
                "what": say(error.what),
                "expected": say(error.expected or ""),
                "action": say(error.action or ""),
            }
            content["conflict"] = isinstance(error, ConflictError)
            return render(request, "portal/plan.html", content, status=409 if content["conflict"] else 400)
        return _back(
            request,
            case.child_id,
            desk.t("計画を保存しました。承認を待ちます", "The plan is saved and waits for approval"),
        )
    from kodomo_platform.portal import looks

    desk.look(looks.PAGE, purpose=desk.t("支援計画", "support plan"), children=[case.child_id])
    return render(request, "portal/plan.html", content)


@page(Permission.APPROVE_PLAN, "POST")
def approve(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve the newest plan."""
    desk: Desk = request.desk
    case = cases.open_case(desk, pk)
    cases.approve_plan(desk, case, step_of(request))
    return _back(request, case.child_id, desk.t("計画を承認しました", "The plan is approved"))


@page(Permission.ASSIGN_CASE, "POST")
def assign(request: HttpRequest, pk: int) -> HttpResponse:
    """Give the case to somebody."""
    desk: Desk = request.desk
    case = cases.open_case(desk, pk)
    cases.assign(desk, case, step_of(request), person_of(desk, request.POST.get("owner", "")))
    return _back(request, case.child_id, desk.t("担当を決めました", "The case is assigned"))


@page(Permission.END_CASE, "POST")
def end(request: HttpRequest, pk: int) -> HttpResponse:
    """End support with an outcome."""
    desk: Desk = request.desk
    case = cases.open_case(desk, pk)
    cases.end(desk, case, step_of(request), request.POST.get("outcome", ""))
    return _back(request, case.child_id, desk.t("支援の終了を記録しました", "The end of support is recorded"))


@page(Permission.REFER_CASE, "POST")
def refer(request: HttpRequest, pk: int) -> HttpResponse:
    """Offer the case to somebody of another office."""
    desk: Desk = request.desk
    case = cases.open_case(desk, pk)
    cases.refer(desk, case, person_of(desk, request.POST.get("to", "")), request.POST.get("reason", ""))
    return _back(request, case.child_id, desk.t("つなぎの依頼を送りました", "The referral is sent"))


@page(Permission.TODAY, "POST")
def referral(request: HttpRequest, pk: int) -> HttpResponse:
    """Accept, reject or revoke a referral."""
    desk: Desk = request.desk
    row = Referral.objects.filter(pk=pk, case__municipality=desk.actor.municipality).select_related("case").first()
    if row is None or (row.to_id != desk.person.pk and not desk.actor.may(Permission.REFER_CASE)):
        raise Http404
    cases.answer_referral(desk, row, request.POST.get("state", ""), request.POST.get("reason", ""))
    messages.success(request, desk.t("回答を記録しました", "The answer is recorded"))
    return redirect("today")
