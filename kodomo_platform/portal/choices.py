"""What a municipality decides about its portal, in ``<home>/portal/<code>.yaml``; without the file, the careful way."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.settings import get_settings, municipality_code


class Choices(BaseModel):
    """One municipality's decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    hide_protected_records: bool = Field(
        default=False, description="Hide even the existence of a child under a protection measure."
    )
    export_rows_without_approval: int = Field(default=0, ge=0, description="Exports above this need an approver.")
    export_days: int = Field(default=7, ge=1, le=31)
    emergency_minutes: int = Field(default=60, ge=5, le=240)
    small_number: int = Field(default=5, ge=2, description="Counts below this are not shown on dashboards.")
    schools: dict[str, str] = Field(default_factory=dict, description="Names of schools by code.")


def file_of(code: str) -> Path:
    """Where a municipality's decisions lie."""
    return get_settings().home / "portal" / f"{municipality_code(code)}.yaml"


def choices(code: str) -> Choices:
    """The decisions, read anew each time: the file is small, and a stricter one must count at once.

    Raises:
        ConfigurationError: the file cannot be read or says what is not known. Then nothing is shown.
    """
    path = file_of(code)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Choices()
    except OSError as error:
        raise ConfigurationError("the portal's decisions cannot be read", where=str(path)) from error
    try:
        return Choices.model_validate(yaml.safe_load(text) or {})
    except (ValidationError, yaml.YAMLError) as error:
        raise ConfigurationError(
            "the portal's decisions are not understood",
            where=str(path),
            expected="the keys of the portal's decisions, each with a value of its kind",
            action="correct the file; nothing is shown until then",
        ) from error


def school_name(code: str, school: str | None) -> str:
    """A school's name, its code where the municipality gave none."""
    return "" if not school else choices(code).schools.get(school, school)
