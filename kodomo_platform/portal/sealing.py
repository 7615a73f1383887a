"""A text column that is sealed on its way into the database. The key is `sealing_key`'s business."""

from __future__ import annotations

from typing import Any

from django.db import models

from kodomo_platform.portal.sealing_key import seal, unseal


class SealedText(models.TextField):  # type: ignore[misc]
    """A text column that is sealed on its way into the database."""

    def get_prep_value(self, value: Any) -> Any:
        """Seal what is stored."""
        return None if value is None else seal(str(value))

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Open what was stored."""
        return None if value is None else unseal(value)
