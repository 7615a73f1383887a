"""Municipalities: one YAML file each says what it looks for and how its extracts look; no code names one.

Reading the extracts themselves belongs to `kodomo_platform.extracts`; what an item *is* belongs to the catalogue.
"""

from __future__ import annotations

from kodomo_platform.municipalities.checking import check_digit, check_file
from kodomo_platform.municipalities.configuration import write_configuration
from kodomo_platform.municipalities.loading import (
    load_each,
    load_file,
    load_municipality,
    municipality_codes,
    municipality_file,
    onboard,
)
from kodomo_platform.municipalities.models import (
    AbsenceDecision,
    Column,
    ConsentRule,
    DateStyle,
    FileFormat,
    IgnoredColumn,
    Municipality,
    MunicipalityTheme,
    QualityOverride,
    Schedule,
    SourceConfig,
)
from kodomo_platform.municipalities.schema import json_schema

__all__ = [
    "AbsenceDecision",
    "Column",
    "ConsentRule",
    "DateStyle",
    "FileFormat",
    "IgnoredColumn",
    "Municipality",
    "MunicipalityTheme",
    "QualityOverride",
    "Schedule",
    "SourceConfig",
    "check_digit",
    "check_file",
    "json_schema",
    "load_each",
    "load_file",
    "load_municipality",
    "municipality_codes",
    "municipality_file",
    "onboard",
    "write_configuration",
]
