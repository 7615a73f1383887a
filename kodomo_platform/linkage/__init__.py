"""名寄せ: identity records of every system → one child, one id. Precision first; a person decides the rest.

What belongs here: preparing identity records, the passes, assignment, stable ids, clerical review, evaluation. What
does not: matching forms of names and addresses (`kodomo_platform.cleansing`) and anything that reads a fact table.
Importing this package is cheap; Splink is imported only when something is left to compare by likeness.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kodomo_platform.linkage.engine import link_records
from kodomo_platform.linkage.guardians import link_guardians
from kodomo_platform.linkage.identifiers import load_known_ids, name_clusters, save_ids

if TYPE_CHECKING:
    import duckdb

__all__ = ["link_guardians", "link_records", "load_known_ids", "metrics", "name_clusters", "save_ids"]


def metrics(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, float]]:
    """What to watch after a run: (metric, source or '', value), from `linkage.lnk_metric`."""
    return [
        (str(metric), str(source), float(value))
        for metric, source, value in con.execute(
            "select metric, source, value from linkage.lnk_metric order by metric, source"
        ).fetchall()
    ]
