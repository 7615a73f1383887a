"""Extracts: source files as they land become raw rows, and what cannot be read is counted and named.

Bytes are kept and hashed; text is decoded and split, never interpreted: dates, codes and numbers are staging's work
(`dbt_project/models/staging`). Columns that the catalogue does not know end here.
"""

from __future__ import annotations

from kodomo_platform.extracts.batches import MAX_RECORD_BYTES, Reject
from kodomo_platform.extracts.columns import DroppedColumn
from kodomo_platform.extracts.landing import (
    LandedFile,
    complete_extract_dates,
    landed_files,
    latest_complete_extract_date,
    refuse_empty_delivery,
)
from kodomo_platform.extracts.loading import FileReport, GaijiCount, LoadReport, load_all, load_source
from kodomo_platform.extracts.tables import create_raw_tables, raw_columns

__all__ = [
    "MAX_RECORD_BYTES",
    "DroppedColumn",
    "FileReport",
    "GaijiCount",
    "LandedFile",
    "LoadReport",
    "Reject",
    "complete_extract_dates",
    "create_raw_tables",
    "landed_files",
    "latest_complete_extract_date",
    "load_all",
    "load_source",
    "raw_columns",
    "refuse_empty_delivery",
]
