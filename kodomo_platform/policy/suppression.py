"""Numbers of people who were taken out: kept as hashes alone, so that the next extract does not bring them back."""

from __future__ import annotations

import hashlib
import unicodedata
from typing import TYPE_CHECKING

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog

if TYPE_CHECKING:
    import duckdb


def folded(value: object) -> str:
    """A number as it is compared: width, case and blanks do not count; a spreadsheet's 12.0 is 12."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    return "".join(unicodedata.normalize("NFKC", text).split()).lower()


def suppression_hash(code: str, system: str, number: str) -> str:
    """What is kept of a number (``system``: resident, school, …): a hash with this installation's own key."""
    return marked(operations.id_state(code).key, system, number)


def marked(key: str, system: str, number: str) -> str:
    """The hash of a folded number with a municipality's key (`operations.id_state`)."""
    return hashlib.sha256(f"{key}|{system}|{number}".encode()).hexdigest()


def suppressed(code: str) -> frozenset[str]:
    """Hashes of all numbers that were taken out and not let in again."""
    receipts = operations.governance_records(code, "receipt", state="done")
    return frozenset(mark for receipt in receipts for mark in receipt.body.get("suppressed", []))


def drop_suppressed(con: duckdb.DuckDBPyConnection, code: str, source_key: str) -> int:
    """Delete rows of suppressed numbers from a source's raw table; how many."""
    marks = suppressed(code)
    source = load_catalog().sources[source_key]
    if not marks:
        return 0
    import pyarrow as pa

    key = operations.id_state(code).key
    rows = con.execute(f'select distinct "{source.record_key}" from raw.{source.raw_table}').fetchall()
    gone = [
        str(number)
        for (number,) in rows
        if number is not None and marked(key, source.id_system, folded(number)) in marks
    ]
    if not gone:
        return 0
    con.register("kodomo_gone", pa.table({"number": pa.array(gone, pa.string())}))
    try:
        deleted = con.execute(
            f'delete from raw.{source.raw_table} where "{source.record_key}"::varchar in (select number from kodomo_gone)'
        ).fetchone()
    finally:
        con.unregister("kodomo_gone")
    return int(deleted[0]) if deleted else 0
