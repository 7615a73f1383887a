"""Whether a record's address may be shown at all (支援措置: it is hidden from a violent person).

One answer for every screen, sheet, file and report. ``linkage.lnk_protected`` decides once per run; here it is asked.
Where it cannot be asked the answer is "hidden": an address that stays hidden for a day harms nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

TABLE = "linkage.lnk_protected"
#: what stands where an address or a phone would stand
HIDDEN = {"ja": "（支援措置のため非表示）", "en": "(hidden: protection measure)"}
#: of `protection_measure` in the register: anything else than this protects
UNPROTECTED = "none"


def is_hidden(con: duckdb.DuckDBPyConnection, records: Iterable[tuple[str, str]]) -> bool:
    """Whether the address of any of these records (source, record) is hidden. Two records that are looked at side by side
    are asked about together: the one may give the other's address away.
    """
    there = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'linkage' and table_name = 'lnk_protected'"
    ).fetchone()
    if there == (0,):
        return True
    for source, record in records:
        row = con.execute(
            f"select count(*) from {TABLE} where source = ? and source_record_id = ?", [source, record]
        ).fetchone()
        if row != (0,):
            return True
    return False
