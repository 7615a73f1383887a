"""The Django application's name card."""

from __future__ import annotations

from django.apps import AppConfig


class PortalConfig(AppConfig):  # type: ignore[misc]
    """What people do at the portal, in the operations database beside the rest."""

    name = "kodomo_platform.portal"
    label = "portal"
    default_auto_field = "django.db.models.BigAutoField"
    verbose_name = "kodomo portal"

    def ready(self) -> None:
        """Bind the signals of sign-in and sign-out."""
        from kodomo_platform.portal import signing_in

        signing_in.bind()
