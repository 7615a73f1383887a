"""The way of a child through the four phases: proposed by the data, narrowed by people, planned, supported, ended.

People move cases, the platform never does: a new snapshot neither closes nor opens one. Every transition says who, when
and why; two people who write at once are told of each other and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from kodomo_platform.errors import ConflictError, WrongStepError
from kodomo_platform.portal.desk import Desk
from kodomo_platform.portal.looks import written
from kodomo_platform.portal.models import Case, CaseStep, Note, Person, Plan, Referral, Task
from kodomo_platform.portal.rights import Permission

PROPOSED, AGREED, DISAGREED, PLANNED, SUPPORTING, ENDED = (
    "proposed", "agreed", "disagreed", "planned", "supporting", "ended",
)  # fmt: skip
STATES = {
    PROPOSED: ("提案（一次絞り込み）", "proposed"),
    AGREED: ("人が同意・対応の検討", "agreed, to be planned"),
    DISAGREED: ("人が不同意", "disagreed"),
    PLANNED: ("計画あり・承認待ち", "planned, to be approved"),
    SUPPORTING: ("支援中", "supported"),
    ENDED: ("終了", "ended"),
}
#: from → to → the right that it needs
TRANSITIONS: dict[str, dict[str, Permission]] = {
    PROPOSED: {AGREED: Permission.DECIDE_CASE, DISAGREED: Permission.DECIDE_CASE},
    DISAGREED: {AGREED: Permission.DECIDE_CASE},
    AGREED: {PLANNED: Permission.PLAN_CASE, DISAGREED: Permission.DECIDE_CASE, ENDED: Permission.END_CASE},
    PLANNED: {PLANNED: Permission.PLAN_CASE, SUPPORTING: Permission.APPROVE_PLAN, ENDED: Permission.END_CASE},
    SUPPORTING: {PLANNED: Permission.PLAN_CASE, ENDED: Permission.END_CASE},
    ENDED: {},
}
OUTCOMES = {
    "improved": ("状況が改善した", "improved"),
    "handed_over": ("ほかの機関に引き継いだ", "handed over to another body"),
    "moved": ("転出した", "moved away"),
    "declined": ("本人・保護者が希望しない", "declined by child or guardians"),
    "no_need": ("支援の必要がなかった", "no need was seen"),
    "not_met": ("会えないまま終えた", "ended without meeting the child"),
}
NOTE_KINDS = {
    "contact": ("面談", "meeting"),
    "visit": ("訪問", "visit"),
    "phone": ("電話", "phone call"),
    "conference": ("会議", "conference"),
    "consultation": ("相談", "consultation"),
    "questionnaire": ("アンケート（紙）", "questionnaire on paper"),
    "note": ("記録", "note"),
}
SEEN = {
    "seen": ("会えた", "child was seen"),
    "not_seen": ("会えなかった", "child was not seen"),
    "": ("該当しない", "does not apply"),
}
_MOST = 4000


@dataclass(frozen=True)
class Step:
    """What a form sends with every change of a case."""

    revision: int
    reason: str


def clean(text: str, *, what: str, required: bool = True, most: int = _MOST) -> str:
    """A text as it may be kept: no control characters, not longer than ``most``. Raises WrongStepError."""
    tidy = "".join(
        c for c in text.replace("\r\n", "\n") if c == "\n" or c == "\t" or (ord(c) >= 32 and ord(c) != 127)
    ).strip()
    if required and not tidy:
        raise WrongStepError(
            "a text is missing", where=what, expected="a few words", action="fill it in; nothing was written"
        )
    if len(tidy) > most:
        raise WrongStepError(
            f"a text is too long: {len(tidy)} characters", where=what, expected=f"at most {most} characters",
            action="shorten it; nothing was written",
        )  # fmt: skip
    return tidy


def case_of(desk: Desk, child_id: str, theme: str) -> Case | None:
    """The open case of a child and theme."""
    return (
        Case.objects.filter(municipality=desk.actor.municipality, child_id=child_id, theme=theme)
        .exclude(state=ENDED)
        .select_related("owner")
        .first()
    )


def open_case(desk: Desk, pk: int) -> Case:
    """A case of this municipality by its number; children out of reach answer as if there were none (Http404)."""
    from django.http import Http404

    case = Case.objects.filter(pk=pk, municipality=desk.actor.municipality).select_related("owner").first()
    if case is None:
        raise Http404
    desk.child(case.child_id)
    return case


def decide(desk: Desk, child_id: str, theme: str, agree: bool, step: Step, *, blind: bool) -> Case:
    """A person agrees or disagrees with a proposal, with a reason; the first decision opens the case."""
    desk.require_fresh()
    desk.reach(Permission.DECIDE_CASE, child_id)
    reason = clean(step.reason, what=desk.t("理由", "reason"))
    after = AGREED if agree else DISAGREED
    case = case_of(desk, child_id, theme)
    if case is not None:
        return _move(desk, case, after, step, reason, blind=blind)
    if theme not in desk.register.themes:
        raise WrongStepError("no such theme", where=theme[:50], expected="a theme of this municipality")
    try:
        with transaction.atomic():
            case = Case.objects.create(
                municipality=desk.actor.municipality,
                child_id=child_id,
                theme=theme,
                state=after,
                snapshot=desk.register.version,
            )
            _step(desk, case, PROPOSED, after, reason, blind)
    except IntegrityError as error:
        raise _conflict() from error
    return case


def save_plan(desk: Desk, case: Case, step: Step, texts: dict[str, str], review_on: date) -> Plan:
    """A further revision of the plan; the case waits for its approval."""
    desk.reach(Permission.PLAN_CASE, case.child_id)
    goals = clean(texts.get("goals", ""), what=desk.t("目標", "goals"))
    measures = clean(texts.get("measures", ""), what=desk.t("支援の内容", "measures"))
    wishes = clean(texts.get("wishes", ""), what=desk.t("本人・保護者の意向", "wishes"), required=False)
    situation = clean(texts.get("situation", ""), what=desk.t("状況", "situation"), required=False)
    _future(desk, review_on)
    with transaction.atomic():
        _move(desk, case, PLANNED, step, step.reason or desk.t("計画を書いた", "a plan was written"))
        number = (case.plans.order_by("-number").values_list("number", flat=True).first() or 0) + 1
        plan = Plan.objects.create(
            case=case,
            number=number,
            goals=goals,
            measures=measures,
            wishes=wishes,
            situation=situation,
            review_on=review_on,
            by=desk.actor.login,
            by_name=desk.person.display_name,
        )
        Case.objects.filter(pk=case.pk).update(review_on=review_on)
    return plan


def approve_plan(desk: Desk, case: Case, step: Step) -> None:
    """Somebody else than the author approves the newest plan; support begins."""
    from django.utils import timezone

    desk.reach(Permission.APPROVE_PLAN, case.child_id)
    plan = case.plans.order_by("-number").first()
    if plan is None:
        raise WrongStepError("there is no plan to approve", expected="a plan", action="write one first")
    if plan.by == desk.actor.login:
        raise WrongStepError(
            "nobody approves their own plan", expected="another person with the right", action="ask a colleague"
        )
    with transaction.atomic():
        _move(desk, case, SUPPORTING, step, step.reason or desk.t("計画を承認した", "the plan was approved"))
        Plan.objects.filter(pk=plan.pk).update(
            approved_by=desk.actor.login, approved_by_name=desk.person.display_name, approved_at=timezone.now()
        )


def end(desk: Desk, case: Case, step: Step, outcome: str) -> None:
    """Support ends with an outcome and a reason."""
    if outcome not in OUTCOMES:
        raise WrongStepError(
            "an outcome is missing", expected=", ".join(OUTCOMES), action="choose one; nothing was written"
        )
    desk.reach(Permission.END_CASE, case.child_id)
    reason = clean(step.reason, what=desk.t("理由", "reason"))
    with transaction.atomic():
        _move(desk, case, ENDED, step, reason)
        Case.objects.filter(pk=case.pk).update(outcome=outcome, ended_on=desk.today)


def assign(desk: Desk, case: Case, step: Step, owner: Person) -> None:
    """Give a case to a colleague of the same municipality."""
    desk.reach(Permission.ASSIGN_CASE, case.child_id)
    if owner.municipality != desk.actor.municipality or not owner.user.is_active:
        raise WrongStepError("no such person", expected="a person of this municipality who is still here")
    with transaction.atomic():
        _raise_revision(case, step.revision, owner=owner)
        reason = desk.t(f"担当：{owner.display_name}", f"assigned to {owner.display_name}")
        _step(desk, case, case.state, case.state, f"{reason}\n{step.reason}".strip(), False)


def add_note(
    desk: Desk,
    child_id: str,
    kind: str,
    happened_on: date,
    text: str,
    *,
    seen: str = "",
    case: Case | None = None,
    amends: Note | None = None,
) -> Note:
    """A contact, visit, call, conference or remark; an amended one stays readable below."""
    desk.reach(Permission.RECORD_CONTACT, child_id)
    if kind not in NOTE_KINDS or seen not in SEEN:
        raise WrongStepError("no such kind of note", expected=", ".join(NOTE_KINDS))
    if happened_on > desk.today:
        raise WrongStepError(
            "the day lies ahead", expected="today or earlier", action="for what is to come, make a task"
        )
    if happened_on.year < 2000:
        raise WrongStepError("the day lies too far back", expected="a day of this century")
    # "could not see the child today" takes one tick: the words may follow
    body = clean(text, what=desk.t("内容", "text"), required=seen != "not_seen")
    if amends is not None and (amends.child_id != child_id or hasattr(amends, "amended_by")):
        raise _conflict()
    try:
        with transaction.atomic():
            note = Note.objects.create(
                municipality=desk.actor.municipality,
                child_id=child_id,
                case=case,
                kind=kind,
                happened_on=happened_on,
                seen=seen,
                text=body,
                by=desk.actor.login,
                by_name=desk.person.display_name,
                amends=amends,
            )
            written(
                desk.actor.login, f"portal note: {kind}", "child", "support", desk.actor.municipality, person=child_id
            )
    except IntegrityError as error:
        raise _conflict() from error
    return note


def add_task(
    desk: Desk, title: str, due_on: date, owner: Person, *, child_id: str = "", case: Case | None = None
) -> Task:
    """Something promised for a day, for oneself or a colleague."""
    desk.actor.require(Permission.KEEP_TASKS)
    if child_id:
        desk.reach(Permission.KEEP_TASKS, child_id)
    if owner.municipality != desk.actor.municipality or not owner.user.is_active:
        raise WrongStepError("no such person", expected="a person of this municipality who is still here")
    _future(desk, due_on)
    with transaction.atomic():
        task = Task.objects.create(
            municipality=desk.actor.municipality,
            child_id=child_id,
            case=case,
            title=clean(title, what=desk.t("すること", "task"), most=200),
            owner=owner,
            due_on=due_on,
            by=desk.actor.login,
        )
        written(desk.actor.login, "portal task", "task", "support", desk.actor.municipality, person=child_id)
    return task


def refer(desk: Desk, case: Case, to: Person, reason: str) -> Referral:
    """Offer a case to somebody of another office; they see nothing of it before they accept."""
    desk.reach(Permission.REFER_CASE, case.child_id)
    if to.municipality != desk.actor.municipality or not to.user.is_active or to.pk == desk.person.pk:
        raise WrongStepError("no such person", expected="another person of this municipality who is still here")
    if case.referrals.filter(to=to, state__in=("offered", "accepted")).exists():
        raise WrongStepError("this case was offered to this person already", action="wait for the answer, or revoke it")
    with transaction.atomic():
        made = Referral.objects.create(
            case=case,
            to=to,
            reason=clean(reason, what=desk.t("理由", "reason")),
            by=desk.actor.login,
            by_name=desk.person.display_name,
        )
        written(desk.actor.login, "portal referral", "child", "support", desk.actor.municipality, person=case.child_id)
    return made


def answer_referral(desk: Desk, referral: Referral, state: str, text: str) -> None:
    """The person asked accepts or rejects; whoever offered it, or a lead, revokes."""
    from django.utils import timezone

    mine = referral.to_id == desk.person.pk
    offered = referral.by == desk.actor.login or desk.actor.may(Permission.ASSIGN_CASE)
    if (state in ("accepted", "rejected") and not mine) or (state == "revoked" and not offered):
        raise WrongStepError("this answer is not yours to give", expected="the person asked, or the one who offered")
    before = ("offered",) if state != "revoked" else ("offered", "accepted")
    if state not in ("accepted", "rejected", "revoked"):
        raise WrongStepError("no such answer", expected="accepted, rejected or revoked")
    reason = clean(text, what=desk.t("理由", "reason"), required=state != "accepted")
    with transaction.atomic():
        done = Referral.objects.filter(pk=referral.pk, state__in=before).update(
            state=state, answered_at=timezone.now(), answer=reason
        )
        if not done:
            raise _conflict()
        written(
            desk.actor.login,
            f"portal referral {state}",
            "child",
            "support",
            desk.actor.municipality,
            person=referral.case.child_id,
        )


def _move(desk: Desk, case: Case, after: str, step: Step, reason: str, *, blind: bool = False) -> Case:
    needed = TRANSITIONS[case.state].get(after)
    if needed is None:
        raise WrongStepError(
            "this step does not follow on the present state",
            where=f"{case.state} → {after}",
            expected=", ".join(TRANSITIONS[case.state]) or "nothing: the case has ended",
            action="open the page anew: somebody may have moved the case",
        )
    desk.reach(needed, case.child_id)
    with transaction.atomic():
        before = case.state
        _raise_revision(case, step.revision, state=after)
        _step(desk, case, before, after, reason, blind)
    return case


def _raise_revision(case: Case, read: int, **changes: Any) -> None:
    done = Case.objects.filter(pk=case.pk, revision=read).update(revision=F("revision") + 1, **changes)
    if not done:
        raise _conflict()
    case.refresh_from_db()


def _step(desk: Desk, case: Case, before: str, after: str, reason: str, blind: bool) -> None:
    CaseStep.objects.create(
        case=case,
        before=before,
        after=after,
        by=desk.actor.login,
        by_name=desk.person.display_name,
        reason=reason,
        blind=blind,
    )
    written(
        desk.actor.login,
        f"portal case: {before} to {after}",
        "child",
        case.theme,
        desk.actor.municipality,
        person=case.child_id,
    )


def _future(desk: Desk, day: date) -> None:
    if not desk.today <= day <= date(desk.today.year + 3, 12, 31):
        raise WrongStepError("the day is not one to come", expected="today or later, within three years")


def _conflict() -> ConflictError:
    return ConflictError(
        "somebody else has written here since you opened the page",
        expected="the state that you read",
        action="your text is still in the form below: read what was written, then send it again",
    )
