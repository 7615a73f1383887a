"""The tables of the operations database. Rules about them stand in the functions beside this module.

No name, address or phone is ever stored here. Record numbers of source systems are (they tell which record bears which
child id), so the database belongs to the identity zone.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import F, Q


class LoadStatus(models.TextChoices):  # type: ignore[misc]
    LOADED = "loaded"
    REFUSED = "refused"


class ChildStatus(models.TextChoices):  # type: ignore[misc]
    ACTIVE = "active"
    MERGED = "merged"


class EventKind(models.TextChoices):  # type: ignore[misc]
    MERGED = "merged"
    SPLIT = "split"
    CORRECTED = "corrected"
    MERGE_UNDONE = "merge_undone"


class Decision(models.TextChoices):  # type: ignore[misc]
    SAME = "same"
    DIFFERENT = "different"


class ApprovalStatus(models.TextChoices):  # type: ignore[misc]
    APPROVED = "approved"
    REJECTED = "rejected"
    RETIRED = "retired"


class DecisionKind(models.TextChoices):  # type: ignore[misc]
    ABSENCE = "absence"
    THRESHOLD = "threshold"


class RecordKind(models.TextChoices):  # type: ignore[misc]
    GROUND = "ground"
    CONSENT = "consent"
    REQUEST = "request"
    HOLD = "hold"
    EXPORT = "export"
    INCIDENT = "incident"
    CERTIFICATE = "certificate"
    RECEIPT = "receipt"
    PAPER = "paper"
    OUTSOURCER = "outsourcer"
    TRAINING = "training"
    INSPECTION = "inspection"


def _of(choices: Any, field: str, name: str) -> models.CheckConstraint:
    """The database refuses a word that is not one of ``choices``, whoever writes it."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": list(choices.values)}), name=name)


def _municipality() -> models.ForeignKey:
    # no index of its own: every table has one that begins with the municipality
    return models.ForeignKey(
        "Municipality", on_delete=models.PROTECT, db_column="municipality", db_index=False, related_name="+"
    )


class Installation(models.Model):  # type: ignore[misc]
    """One row: the random secret from which this installation's opaque ids are made."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    secret = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="operations_one_installation"),)


class Municipality(models.Model):  # type: ignore[misc]
    """A municipality that this installation serves."""

    code = models.CharField(max_length=6, primary_key=True)
    name_ja = models.CharField(max_length=100)
    name_en = models.CharField(max_length=100, blank=True)
    file_sha256 = models.CharField(max_length=64, blank=True)
    registered_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    # how many child ids were ever given out: the counter behind the opaque ids
    child_counter = models.BigIntegerField(default=0)


class Load(models.Model):  # type: ignore[misc]
    """One source file that was taken in (or refused)."""

    municipality = _municipality()
    source = models.CharField(max_length=100)
    extract_date = models.DateField()
    file_name = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    rows_in = models.BigIntegerField()
    rows_loaded = models.BigIntegerField()
    rows_rejected = models.BigIntegerField()
    status = models.CharField(max_length=20, choices=LoadStatus.choices, default=LoadStatus.LOADED)
    run_id = models.CharField(max_length=100, blank=True)
    loaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=["municipality", "source", "extract_date"], name="operations_load_source"),)
        constraints = (_of(LoadStatus, "status", "operations_load_status"),)


class Child(models.Model):  # type: ignore[misc]
    """An id that was given out. It is never deleted and never given to another child."""

    child_id = models.CharField(max_length=40, primary_key=True)
    municipality = _municipality()
    number = models.BigIntegerField()
    status = models.CharField(max_length=10, choices=ChildStatus.choices, default=ChildStatus.ACTIVE)
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, db_column="merged_into", related_name="merged"
    )
    created_on = models.DateField()
    run_id = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["municipality", "number"], name="operations_child_number"),
            _of(ChildStatus, "status", "operations_child_status"),
        )


class ChildRecord(models.Model):  # type: ignore[misc]
    """Which child a record of an identity source belongs to, now."""

    municipality = _municipality()
    source = models.CharField(max_length=100)
    source_record_id = models.CharField(max_length=200)
    child = models.ForeignKey(Child, on_delete=models.PROTECT, related_name="records")
    since = models.DateField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "source", "source_record_id"], name="operations_child_record_key"
            ),
        )


class ChildEvent(models.Model):  # type: ignore[misc]
    """A merge, split or correction of ids: when, why, who, and which records moved."""

    municipality = _municipality()
    child = models.ForeignKey(Child, on_delete=models.PROTECT, related_name="events")
    kind = models.CharField(max_length=20, choices=EventKind.choices)
    other_child = models.ForeignKey(Child, null=True, blank=True, on_delete=models.PROTECT, related_name="other_events")
    happened_on = models.DateField()
    reason = models.TextField()
    actor = models.CharField(max_length=200)
    run_id = models.CharField(max_length=100, blank=True)
    records = models.JSONField(default=list)  # [[source, source_record_id], …] that moved
    undone_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="undoes")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=["municipality", "kind"], name="operations_event_kind"),)
        constraints = (_of(EventKind, "kind", "operations_event_kind_known"),)


class ReviewDecision(models.Model):  # type: ignore[misc]
    """What a person decided about a pair of records. Kept when revoked."""

    municipality = _municipality()
    pair_id = models.CharField(max_length=40)
    left_source = models.CharField(max_length=100)
    left_record = models.CharField(max_length=200)
    right_source = models.CharField(max_length=100)
    right_record = models.CharField(max_length=200)
    decision = models.CharField(max_length=10, choices=Decision.choices)
    decided_by = models.CharField(max_length=200)
    reason = models.TextField()
    decided_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=200, blank=True)
    revoke_reason = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "pair_id"], condition=Q(revoked_at__isnull=True), name="operations_one_decision"
            ),
            _of(Decision, "decision", "operations_decision_known"),
        )


class Approval(models.Model):  # type: ignore[misc]
    """A decision about one version of one theme's model."""

    municipality = _municipality()
    theme = models.CharField(max_length=50)
    model_name = models.CharField(max_length=200)
    version = models.CharField(max_length=50)
    mlflow_run_id = models.CharField(max_length=100, blank=True)
    artifact_sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=10, choices=ApprovalStatus.choices)
    decided_by = models.CharField(max_length=200)
    reason = models.TextField()
    decided_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.CharField(max_length=200, blank=True)
    ended_reason = models.TextField(blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "theme"], condition=Q(status="approved"), name="operations_one_approved_model"
            ),
            _of(ApprovalStatus, "status", "operations_approval_status"),
        )


class Publication(models.Model):  # type: ignore[misc]
    """A snapshot that was published."""

    municipality = _municipality()
    as_of_date = models.DateField()
    version = models.CharField(max_length=100)
    path = models.TextField()
    manifest_sha256 = models.CharField(max_length=64)
    dagster_run_id = models.CharField(max_length=100, blank=True)
    code_version = models.CharField(max_length=100, blank=True)
    published_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "as_of_date", "version"], name="operations_publication_version"
            ),
        )


class AuditEntry(models.Model):  # type: ignore[misc]
    """Who did what, for which purpose, chained to the entry before. The database refuses to change or delete one."""

    sequence = models.BigIntegerField(primary_key=True)
    at = models.DateTimeField()
    municipality = models.CharField(max_length=6, blank=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=300)
    purpose = models.TextField()
    run_id = models.CharField(max_length=100, blank=True)
    detail = models.TextField(blank=True)
    commitment = models.CharField(max_length=64)
    previous_hash = models.CharField(max_length=64)
    entry_hash = models.CharField(max_length=64)

    class Meta:
        indexes = (
            models.Index(fields=["subject"], name="operations_audit_of_subject"),
            models.Index(fields=["municipality", "at"], name="operations_audit_of_town"),
            models.Index(fields=["action"], name="operations_audit_of_action"),
        )


class AuditOpening(models.Model):  # type: ignore[misc]
    """What an entry's commitment stands for: the person concerned and the reason in words. Deleted when erased."""

    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, primary_key=True, related_name="opening")
    salt = models.CharField(max_length=32)
    person = models.CharField(max_length=300, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        indexes = (models.Index(fields=["person"], name="operations_audit_person"),)


class AuditHead(models.Model):  # type: ignore[misc]
    """One row: the newest entry. Writers queue on it, and an end that was cut off shows."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(default=0)
    entry_hash = models.CharField(max_length=64)

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="operations_one_head"),)


class AnalysisDecision(models.Model):  # type: ignore[misc]
    """Whether an item enters the analysis of a theme, or which share of faults an expectation accepts. Only added to."""

    municipality = _municipality()
    kind = models.CharField(max_length=10, choices=DecisionKind.choices)
    subject = models.CharField(max_length=200)  # an item's key, or an expectation's id
    theme = models.CharField(max_length=50, blank=True)
    include = models.BooleanField(null=True, blank=True)
    threshold = models.FloatField(null=True, blank=True)
    reason = models.TextField()
    decided_by = models.CharField(max_length=200)
    decided_on = models.DateField()
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=["municipality", "kind"], name="operations_analysis_kind"),)
        constraints = (
            _of(DecisionKind, "kind", "operations_analysis_known"),
            models.CheckConstraint(
                condition=Q(kind="absence", include__isnull=False, threshold__isnull=True)
                | Q(kind="threshold", include__isnull=True, threshold__isnull=False),
                name="operations_analysis_value",
            ),
        )


class KeptRows(models.Model):  # type: ignore[misc]
    """Rows of a warehouse table that no run could make again: a run's quality results, a sheet's entries."""

    municipality = _municipality()
    table = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    columns = models.JSONField()
    rows = models.JSONField()
    kept_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["municipality", "table", "key"], name="operations_kept_rows"),)


class GovernanceRecord(models.Model):  # type: ignore[misc]
    """A ground, consent, request, hold, export, incident …: its state now. What happened to it is `GovernanceEvent`."""

    municipality = _municipality()
    kind = models.CharField(max_length=20, choices=RecordKind.choices)
    key = models.CharField(max_length=200)
    state = models.CharField(max_length=20)
    person = models.CharField(max_length=40, blank=True)  # child_id, where it is about one child
    valid_from = models.DateField(null=True, blank=True)
    valid_until = models.DateField(null=True, blank=True)
    due_on = models.DateField(null=True, blank=True)
    body = models.JSONField(default=dict)

    class Meta:
        indexes = (models.Index(fields=["person"], name="operations_record_person"),)
        constraints = (
            models.UniqueConstraint(fields=["municipality", "kind", "key"], name="operations_record_key"),
            _of(RecordKind, "kind", "operations_record_kind"),
            models.CheckConstraint(
                condition=Q(valid_from__isnull=True)
                | Q(valid_until__isnull=True)
                | Q(valid_until__gte=F("valid_from")),
                name="operations_record_period",
            ),
        )


class GovernanceEvent(models.Model):  # type: ignore[misc]
    """One step in a record's life: the state it came into, from which day, by whom. Only added to."""

    record = models.ForeignKey(GovernanceRecord, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField(auto_now_add=True)
    effective_on = models.DateField()
    state = models.CharField(max_length=20)
    actor = models.CharField(max_length=200)
    audit_entry = models.ForeignKey(AuditEntry, on_delete=models.PROTECT, related_name="+")
    body = models.JSONField(default=dict)
