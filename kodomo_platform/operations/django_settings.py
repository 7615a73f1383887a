"""Django's settings for a process that needs the operations database and no web application.

A web application adds its own: its settings module begins with
``from kodomo_platform.operations.django_settings import *``, puts its applications behind ``INSTALLED_APPS``, and names
itself in ``DJANGO_SETTINGS_MODULE`` before anything touches the database. Both then share one database, one set of
migrations and one transaction. Where the database lies is read from `kodomo_platform.settings`, never from here.
"""

from __future__ import annotations

from typing import Any

from kodomo_platform.operations.database import database_settings
from kodomo_platform.settings import get_settings

INSTALLED_APPS: list[str] = ["kodomo_platform.operations.apps.OperationsConfig"]

DATABASES: dict[str, dict[str, Any]] = {"default": database_settings(get_settings().operations_url)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "Asia/Tokyo"

# nothing is signed without a web application; one that signs sets its own
SECRET_KEY = "unused-by-the-pipeline"
# logging is the process's business
LOGGING_CONFIG: str | None = None
