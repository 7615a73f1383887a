"""What people do at the portal: who they are, which roles they hold, what they looked at, decided, wrote and promised.

Nothing that a snapshot holds is copied here: children are named by their id and joined when a page is read. Texts about
people are sealed (`sealing`). Rules stand in the modules that write: `people`, `looks`, `cases`, `flags`, `exports`.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from kodomo_platform.portal.sealing import SealedText


class Person(models.Model):  # type: ignore[misc]
    """Somebody who may sign in, beside Django's account."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="person")
    municipality = models.CharField(max_length=6)
    display_name = models.CharField(max_length=100)
    office = models.CharField(max_length=100, blank=True)
    sees_protected = models.BooleanField(default=False)
    session_key = models.CharField(max_length=60, blank=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=["municipality"], name="portal_person_town"),)


class RoleAssignment(models.Model):  # type: ignore[misc]
    """A role held for a time. Ended, never deleted."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="assignments")
    role = models.CharField(max_length=40)
    schools = models.JSONField(default=list)
    #: [school_code, "grade-class"] pairs
    classes = models.JSONField(default=list)
    starts_on = models.DateField()
    ends_on = models.DateField(null=True, blank=True)
    granted_by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    recorded_at = models.DateTimeField(auto_now_add=True)


class Look(models.Model):  # type: ignore[misc]
    """Something was shown, or was refused. Only ever added to; the audit log holds a digest of each."""

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    login = models.CharField(max_length=150)
    roles = models.CharField(max_length=200, blank=True)
    municipality = models.CharField(max_length=6)
    kind = models.CharField(max_length=20)
    path = models.CharField(max_length=300)
    purpose = models.CharField(max_length=300)
    detail = models.CharField(max_length=300, blank=True)
    children = models.PositiveIntegerField(default=0)
    refused = models.BooleanField(default=False)
    address = models.CharField(max_length=45, blank=True)
    snapshot = models.CharField(max_length=60, blank=True)

    class Meta:
        indexes = (
            models.Index(fields=["municipality", "-id"], name="portal_look_town"),
            models.Index(fields=["login", "-id"], name="portal_look_login"),
        )


class LookedAt(models.Model):  # type: ignore[misc]
    """One child of a look."""

    look = models.ForeignKey(Look, on_delete=models.PROTECT, related_name="looked_at")
    child_id = models.CharField(max_length=40)

    class Meta:
        indexes = (models.Index(fields=["child_id", "-id"], name="portal_looked_at_child"),)


class Case(models.Model):  # type: ignore[misc]
    """One child's way through the four phases for one theme."""

    municipality = models.CharField(max_length=6)
    child_id = models.CharField(max_length=40)
    theme = models.CharField(max_length=50)
    state = models.CharField(max_length=20)
    owner = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="cases")
    review_on = models.DateField(null=True, blank=True)
    opened_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    outcome = models.CharField(max_length=30, blank=True)
    ended_on = models.DateField(null=True, blank=True)
    #: raised with every change: whoever writes says which one they read
    revision = models.PositiveIntegerField(default=1)
    snapshot = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "child_id", "theme"], condition=~Q(state="ended"), name="portal_one_open_case"
            ),
        )
        indexes = (models.Index(fields=["municipality", "state"], name="portal_case_state"),)


class CaseStep(models.Model):  # type: ignore[misc]
    """One transition: from where to where, who, when, why."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="steps")
    before = models.CharField(max_length=20, blank=True)
    after = models.CharField(max_length=20)
    by = models.CharField(max_length=150)
    by_name = models.CharField(max_length=100)
    reason = SealedText(blank=True)
    #: judged before the score was shown (blind), as the working group advises
    blind = models.BooleanField(default=False)
    at = models.DateTimeField(auto_now_add=True)


class Note(models.Model):  # type: ignore[misc]
    """A contact, visit, call, conference or remark. Amended by another note, never overwritten."""

    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.PROTECT, related_name="notes")
    municipality = models.CharField(max_length=6)
    child_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=20)
    happened_on = models.DateField()
    seen = models.CharField(max_length=10, blank=True)
    text = SealedText(blank=True)
    by = models.CharField(max_length=150)
    by_name = models.CharField(max_length=100)
    at = models.DateTimeField(auto_now_add=True)
    amends = models.OneToOneField("self", null=True, blank=True, on_delete=models.PROTECT, related_name="amended_by")

    class Meta:
        indexes = (models.Index(fields=["municipality", "child_id"], name="portal_note_child"),)


class Plan(models.Model):  # type: ignore[misc]
    """One revision of a support plan (サポートプラン)."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="plans")
    number = models.PositiveIntegerField()
    wishes = SealedText(blank=True)
    situation = SealedText(blank=True)
    goals = SealedText()
    measures = SealedText()
    review_on = models.DateField()
    by = models.CharField(max_length=150)
    by_name = models.CharField(max_length=100)
    at = models.DateTimeField(auto_now_add=True)
    approved_by = models.CharField(max_length=150, blank=True)
    approved_by_name = models.CharField(max_length=100, blank=True)
    approved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["case", "number"], name="portal_plan_number"),)


class Task(models.Model):  # type: ignore[misc]
    """Something promised for a day."""

    municipality = models.CharField(max_length=6)
    child_id = models.CharField(max_length=40, blank=True)
    case = models.ForeignKey(Case, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks")
    title = SealedText()
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="tasks")
    due_on = models.DateField()
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.CharField(max_length=150, blank=True)

    class Meta:
        indexes = (models.Index(fields=["owner", "due_on"], name="portal_task_owner"),)


class Referral(models.Model):  # type: ignore[misc]
    """A case offered to somebody of another body: accepted, rejected or revoked. A revoked one ends access at once."""

    case = models.ForeignKey(Case, on_delete=models.PROTECT, related_name="referrals")
    to = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="referrals")
    reason = SealedText()
    state = models.CharField(max_length=10, default="offered")  # offered | accepted | rejected | revoked
    by = models.CharField(max_length=150)
    by_name = models.CharField(max_length=100)
    at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    answer = SealedText(blank=True)


class Flag(models.Model):  # type: ignore[misc]
    """What a hospital noticed. The child as written stays sealed; the link is a decision."""

    municipality = models.CharField(max_length=6)
    child = SealedText()  # JSON: name, name_kana, birth_date, sex, address, phone
    kind = models.CharField(max_length=30)
    severity = models.PositiveSmallIntegerField()
    text = SealedText(blank=True)
    noticed_on = models.DateField()
    by = models.CharField(max_length=150)
    by_name = models.CharField(max_length=100)
    office = models.CharField(max_length=100, blank=True)
    at = models.DateTimeField(auto_now_add=True)
    #: sent twice by a nervous finger or a slow network: the form's own number
    form_id = models.CharField(max_length=40)
    state = models.CharField(max_length=12, default="open")  # open | linked | unknown
    child_id = models.CharField(max_length=40, blank=True)
    evidence = models.JSONField(default=list)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField(null=True, blank=True)
    first_seen_by = models.CharField(max_length=150, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["by", "form_id"], name="portal_flag_once"),)
        indexes = (models.Index(fields=["municipality", "state"], name="portal_flag_state"),)


class Emergency(models.Model):  # type: ignore[misc]
    """Emergency access to one child (break-glass): why, until when. Shown to the overseer."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="emergencies")
    municipality = models.CharField(max_length=6)
    child_id = models.CharField(max_length=40)
    reason = SealedText()
    at = models.DateTimeField(auto_now_add=True)
    until = models.DateTimeField()
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)


class Export(models.Model):  # type: ignore[misc]
    """Data asked for outside of the pages: purpose, rows, who approved, how often it was fetched."""

    municipality = models.CharField(max_length=6)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="exports")
    purpose = models.CharField(max_length=300)
    filters = models.JSONField(default=dict)
    with_contact = models.BooleanField(default=False)
    rows = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=10)  # asked | approved | refused | expired
    at = models.DateTimeField(auto_now_add=True)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    fetched = models.PositiveIntegerField(default=0)


class Form(models.Model):  # type: ignore[misc]
    """A form that was printed: its serial number and the hash of its bytes."""

    municipality = models.CharField(max_length=6)
    serial = models.PositiveIntegerField()
    kind = models.CharField(max_length=30)
    child_id = models.CharField(max_length=40, blank=True)
    by = models.CharField(max_length=150)
    purpose = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["municipality", "serial"], name="portal_form_serial"),)


class SavedView(models.Model):  # type: ignore[misc]
    """A list's filters under a name, for the person who saved them."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=500)
    at = models.DateTimeField(auto_now_add=True)


class Upload(models.Model):  # type: ignore[misc]
    """A corrected extract that a holder delivered to landing."""

    municipality = models.CharField(max_length=6)
    source = models.CharField(max_length=100)
    extract_date = models.DateField()
    file_name = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField()
    by = models.CharField(max_length=150)
    reason = models.CharField(max_length=300)
    state = models.CharField(max_length=12)  # landed | quarantined
    why = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField(auto_now_add=True)


class Request(models.Model):  # type: ignore[misc]
    """A resident's request (disclosure, correction, stop of use): opened, dated, answered."""

    municipality = models.CharField(max_length=6)
    kind = models.CharField(max_length=20)
    child_id = models.CharField(max_length=40, blank=True)
    claimant = SealedText()
    identity_checked = models.CharField(max_length=100)
    text = SealedText(blank=True)
    received_on = models.DateField()
    due_on = models.DateField()
    state = models.CharField(max_length=12, default="open")  # open | extended | answered | refused
    answer = SealedText(blank=True)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)
    answered_by = models.CharField(max_length=150, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
