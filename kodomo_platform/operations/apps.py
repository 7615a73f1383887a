"""The Django application's name card."""

from __future__ import annotations

from django.apps import AppConfig


class OperationsConfig(AppConfig):  # type: ignore[misc]
    """Registered in ``INSTALLED_APPS`` by the pipeline and by the portal alike."""

    name = "kodomo_platform.operations"
    label = "operations"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "kodomo operations"
