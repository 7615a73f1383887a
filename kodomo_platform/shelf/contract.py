"""What a snapshot holds: its files, their columns, types and row order. The one place to look before reading one.

The first six tables are the contract with everybody outside the pipeline (portal, dashboards, case workers' tools);
changing them means raising `CONTRACT_VERSION`. ``source_rows`` is ours: it exists so that one score can be walked back
to the rows of the source files. How the files are written belongs to `publishing.snapshot`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CONTRACT_VERSION = "2.0"
#: snapshots of these versions are still read; a table that came later is then not there
READABLE = ("1.0", CONTRACT_VERSION)
MANIFEST = "manifest.json"
CHECKSUMS = "SHA256SUMS"


class Zone(StrEnum):
    """Who may see a file: the identity zone names people; the pseudonymous zone knows a child by its id alone."""

    IDENTITY = "identity"
    PSEUDONYMOUS = "pseudonymous"
    #: where people under protection live: for those who are asked for it by name, and log why
    PROTECTED = "protected"


@dataclass(frozen=True)
class Column:
    """One published column. ``type`` is DuckDB's; None keeps the warehouse's own (made portable)."""

    name: str
    type: str | None
    #: name in the warehouse, where it differs
    origin: str | None = None
    #: differs from run to run although nothing has changed, so it is no part of a snapshot's content hash
    volatile: bool = False

    @property
    def warehouse_name(self) -> str:
        return self.origin or self.name


@dataclass(frozen=True)
class Table:
    """One published file and where its rows come from."""

    name: str
    origin: str
    zone: Zone
    columns: tuple[Column, ...]
    #: unique, and the order of the rows
    key: tuple[str, ...]
    #: further columns of the warehouse table are published too, in alphabetical order
    open: bool = False
    #: only the rows of the snapshot's as-of date
    dated: bool = False
    #: rows with the same key are allowed (a log, not a register)
    log: bool = False
    in_contract: bool = True
    #: contract version that brought the table
    since: str = "1.0"
    #: SQL: the rows that are published; empty: all
    only: str = ""
    #: columns that are empty wherever this SQL holds, and where else they are published
    hidden: tuple[str, ...] = ()
    hidden_where: str = ""
    note: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}.parquet"


#: of the register: a row whose address is hidden. Whatever is not plainly "none" is protected
PROTECTED_ROW = "protection_measure is distinct from 'none'"


def _columns(spec: str) -> tuple[Column, ...]:
    """``name type`` pairs separated by commas; ``~`` after the name marks a volatile one."""
    found = []
    for part in spec.split(","):
        name, type_ = part.split()
        found.append(Column(name.rstrip("~"), None if type_ == "any" else type_, volatile=name.endswith("~")))
    return tuple(found)


CROSSWALK = Table(
    name="crosswalk",
    origin="linkage.lnk_crosswalk",
    zone=Zone.IDENTITY,
    columns=_columns(
        "source varchar, source_record_id varchar, child_id varchar, match_method varchar, match_probability double,"
        "source_file_sha256 varchar, source_row_number bigint"
    ),
    key=("source", "source_record_id"),
    note="which record of which source is which child; persons who are not children are left out",
)

CHILD_REGISTER = Table(
    name="child_register",
    origin="marts.mart_child",
    zone=Zone.IDENTITY,
    columns=_columns(
        "child_id varchar, name varchar, name_kana varchar, birth_date date, sex varchar, household_id varchar,"
        "address varchar, postal_code varchar, school_code varchar, grade any, class varchar, facility_code varchar,"
        "protection_measure varchar, resident_number varchar, guardian_name varchar, guardian_phone varchar,"
        "age_years any, is_resident boolean, sources any, last_seen_on date"
    ),
    key=("child_id",),
    open=True,
    hidden=("address", "postal_code", "guardian_phone"),
    hidden_where=PROTECTED_ROW,
    note="one row per child: identity and current facts; of a child whose protection_measure is not 'none' address, postal "
    "code and phone are empty here and stand in protected_addresses",
)

PROTECTED_ADDRESSES = Table(
    name="protected_addresses",
    origin="marts.mart_child",
    zone=Zone.PROTECTED,
    columns=_columns("child_id varchar, address varchar, postal_code varchar, guardian_phone varchar"),
    key=("child_id",),
    only=PROTECTED_ROW,
    since="2.0",
    note="支援措置: addresses that must be hidden from a violent person. Read it only for a named purpose, and say so in the log",
)

CHILD_FEATURES = Table(
    name="child_features",
    origin="marts.mart_child_features",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns("child_id varchar, as_of_date date, household_id varchar"),
    key=("child_id", "as_of_date"),
    open=True,
    dated=True,
    note="one row per child and as-of date: each feature's value and, in <feature>__status, present or why it is absent: "
    "blank, not_applicable, not_linked, not_held, before_start, unreadable, left_out or no_consent",
)

RISK_SCORES = Table(
    name="risk_scores",
    origin="marts.risk_scores",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns(
        "child_id varchar, theme varchar, as_of_date date, score double, score_low double, score_high double,"
        "rank bigint, band varchar, alert boolean, determinable boolean, undetermined_reason varchar, reasons varchar,"
        "rule_hits varchar, score_version varchar, model_name varchar, model_version varchar, mlflow_run_id varchar,"
        "dagster_run_id~ varchar, feature_hash varchar, criteria_hash varchar, code_version varchar,"
        "list varchar, known_since date"
    ),
    key=("theme", "child_id", "as_of_date"),
    dated=True,
    note="one row per child and theme; reasons and rule_hits are JSON texts. list: 'first' (a sign before any score), "
    "'ranked' (not yet known: rank, capacity and alert are theirs), 'known' (already known, since known_since)",
)

UNSEEN = Table(
    name="unseen",
    origin="marts.unseen",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns(
        "child_id varchar, theme varchar, as_of_date date, kind varchar, alarm boolean, days_since_seen double,"
        "sentence_ja varchar, sentence_en varchar"
    ),
    key=("theme", "child_id", "as_of_date"),
    dated=True,
    since="2.0",
    note="children whom nobody has seen for long ('long') or ever ('never'): an alarm; or nobody could ('no_source'): none",
)

CONSENTS = Table(
    name="consents",
    origin="linkage.lnk_child_consent",
    zone=Zone.IDENTITY,
    columns=_columns(
        "child_id varchar, state varchar, open_domains varchar[], open_items varchar[], themes varchar[], decided_on date,"
        "valid_until date, given_by varchar, route varchar, evidence varchar, source_file_sha256 varchar,"
        "source_row_number bigint"
    ),
    key=("child_id",),
    only="child_id in (select child_id from marts.mart_child)",
    since="2.0",
    note="what consent opens of each child on the as-of date, and the ledger's line that says so; 'not_needed': the law does",
)

FLAGS = Table(
    name="flags",
    origin="marts.mart_flag",
    zone=Zone.IDENTITY,
    columns=_columns(
        "child_id varchar, flagged_on date, flag varchar, severity varchar, department varchar, source_record_id varchar,"
        "source_file_sha256 varchar, source_row_number bigint, extract_date date"
    ),
    key=("child_id", "flagged_on", "flag", "source_record_id"),
    log=True,
    since="2.0",
    note="what hospitals noticed of each child, flag by flag",
)

QUALITY_RESULTS = Table(
    name="quality_results",
    origin="quality.results",
    zone=Zone.PSEUDONYMOUS,
    columns=(
        Column("run_id", "varchar", volatile=True),
        Column("as_of_date", "date"),
        Column("table", "varchar", origin="table_name"),
        *_columns(
            "item varchar, expectation varchar, kind varchar, severity varchar, evaluated bigint, unexpected bigint,"
            "percent double, threshold double, status varchar, passed boolean, label_ja varchar, label_en varchar,"
            "extract_date date"
        ),
    ),
    key=("as_of_date", "run_id", "table", "item", "expectation"),
    log=True,
    note="every expectation of every run of this municipality so far",
)

REJECTS = Table(
    name="rejects",
    origin="raw.rejects",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns(
        "source varchar, extract_date date, source_file varchar, source_file_sha256 varchar, row_number bigint,"
        "reason varchar, item varchar"
    ),
    key=("source", "extract_date", "source_file_sha256", "row_number", "reason", "item"),
    log=True,
    note="records that could not be read: where and why, never the value",
)

WITHHELD = Table(
    name="withheld",
    origin="marts.mart_withheld",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns("child_id varchar, state varchar, since date"),
    key=("child_id",),
    since="2.0",
    note="children of whom nothing is shown, also of older snapshots: consent is the ground and is not there",
)

QUARANTINE = Table(
    name="quarantine",
    origin="quality.quarantine",
    zone=Zone.PSEUDONYMOUS,
    columns=_columns(
        "as_of_date date, source varchar, extract_date date, source_file_sha256 varchar, row_number bigint,"
        "reason varchar, item varchar, extent varchar, asked_of varchar"
    ),
    key=("source", "extract_date", "source_file_sha256", "row_number", "reason", "item"),
    log=True,
    since="2.0",
    note="rows and values set apart: where, why and whom to ask, never the value; extent is row or value",
)

SOURCE_ROWS = Table(
    name="source_rows",
    origin="(every staging table)",
    zone=Zone.IDENTITY,
    columns=_columns(
        "source varchar, source_record_id varchar, source_file_sha256 varchar, extract_date date, row_numbers bigint[]"
    ),
    key=("source", "source_record_id", "source_file_sha256", "extract_date"),
    in_contract=False,
    note="all rows of each record of the crosswalk, for `kodomo lineage`; not in the contract",
)

#: in the order in which they are written: the small ones that can fail the checks first
TABLES: tuple[Table, ...] = (
    QUALITY_RESULTS,
    REJECTS,
    QUARANTINE,
    WITHHELD,
    RISK_SCORES,
    UNSEEN,
    FLAGS,
    CONSENTS,
    CHILD_REGISTER,
    PROTECTED_ADDRESSES,
    CHILD_FEATURES,
    CROSSWALK,
    SOURCE_ROWS,
)
