"""The tables of the operations database. Rules about them stand in the functions beside this module.

No name, address or phone is ever stored here. Record numbers of source systems are (they tell which record bears which
child id), so the database belongs to the identity zone.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q


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

    municipality = models.CharField(max_length=6)
    source = models.CharField(max_length=100)
    extract_date = models.DateField()
    file_name = models.CharField(max_length=300)
    sha256 = models.CharField(max_length=64)
    rows_in = models.BigIntegerField()
    rows_loaded = models.BigIntegerField()
    rows_rejected = models.BigIntegerField()
    status = models.CharField(max_length=20, default="loaded")
    run_id = models.CharField(max_length=100, blank=True)
    loaded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (models.Index(fields=["municipality", "source", "extract_date"], name="operations_load_source"),)


class Child(models.Model):  # type: ignore[misc]
    """An id that was given out. It is never deleted and never given to another child."""

    child_id = models.CharField(max_length=40, primary_key=True)
    municipality = models.CharField(max_length=6)
    number = models.BigIntegerField()
    status = models.CharField(max_length=10, default="active")  # active | merged
    merged_into = models.CharField(max_length=40, blank=True)
    created_on = models.DateField()
    run_id = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["municipality", "number"], name="operations_child_number"),)


class ChildRecord(models.Model):  # type: ignore[misc]
    """Which child a record of an identity source belongs to, now."""

    municipality = models.CharField(max_length=6)
    source = models.CharField(max_length=100)
    source_record_id = models.CharField(max_length=200)
    child_id = models.CharField(max_length=40)
    since = models.DateField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["municipality", "source", "source_record_id"], name="operations_child_record_key"
            ),
        )
        indexes = (models.Index(fields=["child_id"], name="operations_child_record_child"),)


class ChildEvent(models.Model):  # type: ignore[misc]
    """A merge, split or correction of ids: when, why, who, and which records moved."""

    municipality = models.CharField(max_length=6)
    child_id = models.CharField(max_length=40)
    kind = models.CharField(max_length=20)  # merged | split | corrected | merge_undone
    other_child_id = models.CharField(max_length=40, blank=True)
    happened_on = models.DateField()
    reason = models.TextField()
    actor = models.CharField(max_length=200)
    run_id = models.CharField(max_length=100, blank=True)
    records = models.JSONField(default=list)  # [[source, source_record_id], …] that moved
    undone_by = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="undoes")
    recorded_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = (
            models.Index(fields=["child_id"], name="operations_event_child"),
            models.Index(fields=["other_child_id"], name="operations_event_other"),
            models.Index(fields=["municipality", "kind"], name="operations_event_kind"),
        )


class ReviewDecision(models.Model):  # type: ignore[misc]
    """What a person decided about a pair of records. Kept when revoked."""

    municipality = models.CharField(max_length=6)
    pair_id = models.CharField(max_length=40)
    left_source = models.CharField(max_length=100)
    left_record = models.CharField(max_length=200)
    right_source = models.CharField(max_length=100)
    right_record = models.CharField(max_length=200)
    decision = models.CharField(max_length=10)  # same | different
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
        )


class Approval(models.Model):  # type: ignore[misc]
    """A decision about one version of one theme's model."""

    municipality = models.CharField(max_length=6)
    theme = models.CharField(max_length=50)
    model_name = models.CharField(max_length=200)
    version = models.CharField(max_length=50)
    mlflow_run_id = models.CharField(max_length=100, blank=True)
    artifact_sha256 = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=10)  # approved | rejected | retired
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
        )


class Publication(models.Model):  # type: ignore[misc]
    """A snapshot that was published."""

    municipality = models.CharField(max_length=6)
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
    """Who did what to whose data, and for what purpose. Only ever added to."""

    at = models.DateTimeField(auto_now_add=True)
    municipality = models.CharField(max_length=6, blank=True)
    actor = models.CharField(max_length=200)
    action = models.CharField(max_length=100)
    subject = models.CharField(max_length=300)
    purpose = models.TextField()

    class Meta:
        indexes = (models.Index(fields=["subject"], name="operations_audit_subject"),)
