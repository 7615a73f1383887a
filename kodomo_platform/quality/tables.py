"""Which tables and columns expectations may speak of, so that a suite with a slip is refused when it is loaded.

Raw and staging columns come from the catalogue; linkage and marts columns are the seam between the rooms. What the
columns mean belongs to the rooms that build them.
"""

from __future__ import annotations

from kodomo_platform.catalog import Catalog, Source

RAW_META = ("_municipality", "_extract_date", "_source_file_sha256", "_row_number")
STAGING_META = ("source_record_id", "_extract_date", "_source_file_sha256", "_row_number")

# The shape every identity source has in staging (columns a source lacks are NULL).
IDENTITY_COLUMNS = [
    "name",
    "name_match",
    "surname_match",
    "given_match",
    "name_kana",
    "kana_match",
    "surname_kana_match",
    "given_kana_match",
    "alias_match",
    "former_surname_match",
    "name_has_gaiji",
    "sex",
    "birth_date",
    "birth_date__raw",
    "birth_date__precision",
    "birth_date__earliest",
    "birth_date__latest",
    "resident_number",
    "household_number",
    "postal_code",
    "address",
    "address_match",
    "address_town",
    "address_block",
    "address_building",
    "address_room",
    "phone_match",
    "guardian_match",
    "guardian_kana_match",
]

OTHER_TABLES: dict[str, tuple[str, ...]] = {
    "raw.files": (
        "source",
        "extract_date",
        "file_name",
        "sha256",
        "rows_in",
        "rows_loaded",
        "rows_rejected",
        "encoding",
        "loaded_at",
        "active",
    ),
    "raw.rejects": (
        "source",
        "extract_date",
        "source_file",
        "source_file_sha256",
        "row_number",
        "reason",
        "item",
    ),
    "raw.gaiji": (
        "source",
        "code",
        "glyph_count",
        "first_row_number",
        "source_file_sha256",
    ),
    "raw.dropped_columns": (
        "source",
        "source_file_sha256",
        "column_ordinal",
        "reason",
        "header_name",
    ),
    "linkage.lnk_identity": ("source", *STAGING_META, *IDENTITY_COLUMNS),
    "linkage.lnk_crosswalk": (
        "source",
        "source_record_id",
        "child_id",
        "match_method",
        "match_probability",
        "source_file_sha256",
        "source_row_number",
    ),
    "linkage.lnk_household": ("child_id", "household_id"),
    "linkage.lnk_guardian": (
        "child_id",
        "guardian_id",
        "basis",
        "match",
        "in_register",
        "register_record",
        "relationship",
        "household_id",
        "lives_with_child",
        "named_by",
        "sources",
    ),
    "linkage.lnk_review_queue": (
        "pair_id",
        "left_source",
        "left_record",
        "right_source",
        "right_record",
        "probability",
        "kind",
        "evidence",
    ),
    "linkage.lnk_metric": ("metric", "source", "value"),
    "marts.mart_child": (
        "child_id",
        "name",
        "name_kana",
        "birth_date",
        "sex",
        "household_id",
        "address",
        "postal_code",
        "school_code",
        "grade",
        "class",
        "facility_code",
        "protection_measure",
        "resident_number",
        "guardian_name",
        "guardian_phone",
        "age_years",
        "is_resident",
        "sources",
        "last_seen_on",
    ),
    "marts.mart_child_features": ("child_id", "as_of_date", "household_id"),
    "marts.mart_training_features": ("child_id", "as_of_date", "household_id"),
    "marts.mart_outcome": ("child_id", "theme", "outcome_date", "source"),
    "marts.risk_scores": (
        "child_id",
        "theme",
        "as_of_date",
        "score",
        "score_low",
        "score_high",
        "rank",
        "band",
        "alert",
        "determinable",
        "undetermined_reason",
        "reasons",
        "rule_hits",
        "score_version",
        "model_name",
        "model_version",
        "mlflow_run_id",
        "dagster_run_id",
        "feature_hash",
        "criteria_hash",
        "code_version",
    ),
}

# Built with columns that depend on the criteria: a suite may name any column, the run says which are missing.
OPEN_TABLES = frozenset({"marts.mart_child_features", "marts.mart_training_features"})


def raw_columns(source: Source) -> frozenset[str]:
    """Columns of the source's raw table."""
    return frozenset((*(item.name for item in source.items), *RAW_META))


def staging_columns(source: Source) -> frozenset[str]:
    """Columns of the source's staging table."""
    columns = {*STAGING_META}
    for item in source.items:
        columns.update((item.name, f"{item.name}__status"))
        if item.uncertain:
            columns.update(f"{item.name}__{part}" for part in ("raw", "precision", "earliest", "latest"))
    if source.is_identity:
        columns.update(IDENTITY_COLUMNS)
    return frozenset(columns)


def known_columns(table: str, catalog: Catalog) -> frozenset[str] | None:
    """The columns ``schema.table`` may have; None when no such table is known."""
    if table in OTHER_TABLES:
        return frozenset(OTHER_TABLES[table])
    for source in catalog.sources.values():
        if table == f"raw.{source.raw_table}":
            return raw_columns(source)
        if table == f"staging.{source.staging_table}":
            return staging_columns(source)
    return None


def source_of(table: str, catalog: Catalog) -> Source | None:
    """The source a raw or staging table holds."""
    for source in catalog.sources.values():
        if table in (f"raw.{source.raw_table}", f"staging.{source.staging_table}"):
            return source
    return None
