"""Rows refer to municipalities and children by foreign key, words are checked, and the audit log becomes a chain."""
# ruff: noqa: RUF012

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from kodomo_platform.operations import auditing

TOWN_TABLES = ("Approval", "Child", "ChildEvent", "ChildRecord", "Load", "Publication", "ReviewDecision")
# who is not free text but one of these words; a word that was never allowed stops the migration
CHOICES = {
    ("Approval", "status", 10): ("operations_approval_status", [("approved", "Approved"), ("rejected", "Rejected"), ("retired", "Retired")]),
    ("Child", "status", 10): ("operations_child_status", [("active", "Active"), ("merged", "Merged")]),
    ("ChildEvent", "kind", 20): ("operations_event_kind_known", [("merged", "Merged"), ("split", "Split"), ("corrected", "Corrected"), ("merge_undone", "Merge Undone")]),
    ("Load", "status", 20): ("operations_load_status", [("loaded", "Loaded"), ("refused", "Refused")]),
    ("ReviewDecision", "decision", 10): ("operations_decision_known", [("same", "Same"), ("different", "Different")]),
}  # fmt: skip
DEFAULTS = {("Child", "status"): "active", ("Load", "status"): "loaded"}


def _choice(model: str, field: str, length: int, choices: list[tuple[str, str]]) -> models.CharField:
    default = {"default": DEFAULTS[(model, field)]} if (model, field) in DEFAULTS else {}
    return models.CharField(max_length=length, choices=choices, **default)


def enter_municipalities(apps: Any, schema_editor: Any) -> None:
    """Whoever is referred to is entered first."""
    towns = apps.get_model("operations", "Municipality")
    for table in TOWN_TABLES:
        codes = apps.get_model("operations", table).objects.values_list("municipality", flat=True).distinct()
        for code in list(codes):
            towns.objects.get_or_create(code=code, defaults={"name_ja": code})


def blank_to_null(apps: Any, schema_editor: Any) -> None:
    apps.get_model("operations", "Child").objects.filter(merged_into="").update(merged_into=None)
    apps.get_model("operations", "ChildEvent").objects.filter(other_child="").update(other_child=None)


def chain(apps: Any, schema_editor: Any) -> None:
    """The entries so far become the beginning of the chain, in the order they were written."""
    entries = apps.get_model("operations", "AuditEntry")
    openings = apps.get_model("operations", "AuditOpening")
    previous, sequence = auditing.START, 0
    for old in apps.get_model("operations", "OldAuditEntry").objects.order_by("pk"):
        sequence += 1
        person = old.subject if old.action == "linkage undo" else ""
        subject = "" if person else old.subject
        salt = auditing.secrets.token_hex(16)
        commitment = auditing._commitment(salt, person, "")
        texts = (old.municipality, old.actor, old.action, subject, old.purpose, "", "", commitment)
        digest = auditing._entry_hash(sequence, (auditing._instant(old.at), *texts), previous)
        entry = entries.objects.create(
            sequence=sequence, at=old.at, municipality=old.municipality, actor=old.actor, action=old.action,
            subject=subject, purpose=old.purpose, commitment=commitment, previous_hash=previous, entry_hash=digest,
        )  # fmt: skip
        openings.objects.create(entry=entry, salt=salt, person=person, reason="")
        previous = digest
    apps.get_model("operations", "AuditHead").objects.create(pk=1, sequence=sequence, entry_hash=previous)


def guard(apps: Any, schema_editor: Any) -> None:
    for statement in auditing.guard_statements(schema_editor.connection.vendor):
        schema_editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("operations", "0001_initial")]

    operations = [
        migrations.RunPython(enter_municipalities, migrations.RunPython.noop),
        migrations.RemoveIndex("ChildRecord", "operations_child_record_child"),
        migrations.RemoveIndex("ChildEvent", "operations_event_child"),
        migrations.RemoveIndex("ChildEvent", "operations_event_other"),
        migrations.RenameField("ChildRecord", "child_id", "child"),
        migrations.RenameField("ChildEvent", "child_id", "child"),
        migrations.RenameField("ChildEvent", "other_child_id", "other_child"),
        migrations.AlterField("Child", "merged_into", models.CharField(max_length=40, null=True)),
        migrations.AlterField("ChildEvent", "other_child", models.CharField(max_length=40, null=True)),
        migrations.RunPython(blank_to_null, migrations.RunPython.noop),
        *(
            migrations.AlterField(
                table,
                "municipality",
                models.ForeignKey(
                    db_column="municipality",
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="operations.municipality",
                ),
            )
            for table in TOWN_TABLES
        ),
        migrations.AlterField(
            "Child",
            "merged_into",
            models.ForeignKey(
                blank=True,
                db_column="merged_into",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="merged",
                to="operations.child",
            ),
        ),
        migrations.AlterField(
            "ChildRecord",
            "child",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="records", to="operations.child"
            ),
        ),
        migrations.AlterField(
            "ChildEvent",
            "child",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="events", to="operations.child"
            ),
        ),
        migrations.AlterField(
            "ChildEvent",
            "other_child",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="other_events",
                to="operations.child",
            ),
        ),
        *(
            migrations.AlterField(model, field, _choice(model, field, length, choices))
            for (model, field, length), (_, choices) in CHOICES.items()
        ),
        *(
            migrations.AddConstraint(
                model,
                models.CheckConstraint(
                    condition=models.Q((f"{field}__in", [word for word, _ in choices])), name=constraint
                ),
            )
            for (model, field, _), (constraint, choices) in CHOICES.items()
        ),
        # the audit log
        migrations.RemoveIndex("AuditEntry", "operations_audit_subject"),
        migrations.RenameModel("AuditEntry", "OldAuditEntry"),
        migrations.CreateModel(
            name="AuditEntry",
            fields=[
                ("sequence", models.BigIntegerField(primary_key=True, serialize=False)),
                ("at", models.DateTimeField()),
                ("municipality", models.CharField(blank=True, max_length=6)),
                ("actor", models.CharField(max_length=200)),
                ("action", models.CharField(max_length=100)),
                ("subject", models.CharField(max_length=300)),
                ("purpose", models.TextField()),
                ("run_id", models.CharField(blank=True, max_length=100)),
                ("detail", models.TextField(blank=True)),
                ("commitment", models.CharField(max_length=64)),
                ("previous_hash", models.CharField(max_length=64)),
                ("entry_hash", models.CharField(max_length=64)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["subject"], name="operations_audit_of_subject"),
                    models.Index(fields=["municipality", "at"], name="operations_audit_of_town"),
                    models.Index(fields=["action"], name="operations_audit_of_action"),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuditOpening",
            fields=[
                (
                    "entry",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="opening",
                        serialize=False,
                        to="operations.auditentry",
                    ),
                ),
                ("salt", models.CharField(max_length=32)),
                ("person", models.CharField(blank=True, max_length=300)),
                ("reason", models.TextField(blank=True)),
            ],
            options={"indexes": [models.Index(fields=["person"], name="operations_audit_person")]},
        ),
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("sequence", models.BigIntegerField(default=0)),
                ("entry_hash", models.CharField(max_length=64)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="operations_one_head")]
            },
        ),
        migrations.RunPython(chain, migrations.RunPython.noop),
        migrations.DeleteModel("OldAuditEntry"),
        migrations.RunPython(guard, migrations.RunPython.noop),
    ]
