"""What linking saves when a delivery changes little: a town linked for the first time, again unchanged, and with 1 in 300
pupils arriving at the hospital. Made-up records without numbers, so that likeness decides; children by
``KODOMO_BENCH_CHILDREN`` (default 40,000). The result of the last run is held against a full relink.
"""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kodomo_platform.linkage import engine, likeness, link_records
from tests.integration import linked_town as town

_SURNAMES, _GIVEN, _TOWNS, _BLOCKS, _DAYS, _PHONES = 5_000, 4_000, 300, 2_000, 6_500, 10**8
_WORN = {"surname": _SURNAMES, "town": _TOWNS, "block": _BLOCKS, "phone": _PHONES, "day": _DAYS}
People = dict[str, npt.NDArray[np.int64]]


def people(count: int, random: np.random.Generator) -> People:
    """Names as uneven as real ones: few that many bear, many that few bear."""

    def uneven(kinds: int) -> npt.NDArray[np.int64]:
        return np.minimum((random.pareto(1.1, count) * 3).astype(np.int64), kinds - 1)

    return {
        "surname": uneven(_SURNAMES),
        "given": uneven(_GIVEN),
        "day": random.integers(0, _DAYS, count),
        "town": random.integers(0, _TOWNS, count),
        "block": random.integers(0, _BLOCKS, count),
        "phone": random.integers(0, _PHONES, count),
        "sex": random.integers(0, 2, count),
    }


def records(
    known: People, who: npt.NDArray[np.int64], source: str, prefix: str, worn: float, random: np.random.Generator
) -> pa.Table:
    """Identity records of ``who`` in one source; each item is wrong in a share ``worn`` of them."""
    values = {name: column[who].copy() for name, column in known.items()}
    for name, kinds in _WORN.items():
        hit = random.random(len(who)) < worn
        values[name][hit] = random.integers(0, kinds, int(hit.sum()))
    surnames = [f"姓{place}" for place in values["surname"]]
    given = [f"名{place}" for place in values["given"]]
    born = [date(2009, 1, 1) + timedelta(days=int(day)) for day in values["day"]]
    numbers = [f"{prefix}{place:07d}" for place in who]
    is_register = source == town.REGISTER
    columns: dict[str, list[Any]] = {
        "source": [source] * len(who),
        "source_record_id": numbers,
        "name_match": [one + two for one, two in zip(surnames, given, strict=True)],
        "surname_match": surnames,
        "given_match": given,
        "kana_match": [f"カ{a}ナ{b}" for a, b in zip(values["surname"], values["given"], strict=True)],
        "surname_kana_match": [f"カ{place}" for place in values["surname"]],
        "given_kana_match": [f"ナ{place}" for place in values["given"]],
        "sex": ["male" if sex else "female" for sex in values["sex"]],
        "birth_date": born,
        "birth_date__earliest": born,
        "birth_date__latest": born,
        "address_town": [f"町{place}" for place in values["town"]],
        "address_block": [f"{place}-1" for place in values["block"]],
        "phone_match": [f"0{phone:09d}" for phone in values["phone"]],
        "_extract_date": [town.AS_OF] * len(who),
        "_source_file_sha256": ["f" * 64] * len(who),
        "_row_number": list(range(len(who))),
    }
    if is_register:
        columns |= {
            "resident_number": numbers,
            "household_number": [f"H{place}" for place in who],
            "relationship": ["child"] * len(who),
        }
    kinds = {"varchar": pa.string(), "boolean": pa.bool_(), "date": pa.date32(), "bigint": pa.int64()}
    return pa.table(
        {name: pa.array(columns.get(name, [None] * len(who)), kinds[kind]) for name, kind in town.COLUMNS.items()}
    )


def _link(con: duckdb.DuckDBPyConnection, identity: pa.Table) -> tuple[pa.Table, dict[str, float], dict[str, int]]:
    """Edges; seconds in all, of the processor, and of those in comparing by likeness; counts."""
    con.register("delivered", identity)
    con.execute("create or replace table linkage.lnk_identity as from delivered")
    con.unregister("delivered")
    compared = 0.0
    compare = likeness.likeness_pairs

    def timed(*arguments: Any, **options: Any) -> Any:
        nonlocal compared
        begin = time.process_time()
        found = compare(*arguments, **options)
        compared += time.process_time() - begin
        return found

    engine.likeness_pairs = timed
    try:
        begin, busy = time.perf_counter(), time.process_time()
        edges = link_records(con)
        spent = {"seconds": time.perf_counter() - begin, "cpu_seconds": round(time.process_time() - busy, 2)}
    finally:
        engine.likeness_pairs = compare
    spent["cpu_seconds_comparing"] = round(compared, 2)
    return edges, spent, dict(con.execute("select metric, value from linkage.lnk_run_count").fetchall())


def _empty(path: Path) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(str(path))
    town.empty_town(con)
    con.execute("create schema ops")
    con.execute(
        "create table ops.review_decision (pair_id varchar, left_source varchar, left_record varchar, "
        "right_source varchar, right_record varchar, decision varchar, decided_by varchar)"
    )
    return con


def run() -> list[dict[str, Any]]:
    """Rows for the bench table."""
    import splink  # noqa: F401  # imported here so that no run pays for it

    count = int(os.environ.get("KODOMO_BENCH_CHILDREN", "40000"))
    random = np.random.default_rng(1)
    known, everyone = people(count, random), np.arange(count)
    first = pa.concat_tables(
        [
            records(known, everyone, town.REGISTER, "", 0.0, random),
            records(known, everyone[: count * 2 // 3], town.SCHOOL, "s", 0.06, random),
            records(known, everyone[::3], "welfare.case", "w", 0.12, random),
            records(known, everyone[::2], town.HOSPITAL, "h", 0.12, random),
        ]
    )
    later = pa.concat_tables([first, records(known, everyone[1::300], town.HOSPITAL, "n", 0.12, random)])
    rows = []
    with TemporaryDirectory() as folder:
        con = _empty(Path(folder) / "town.duckdb")
        for name, delivered in (("first", first), ("nothing changed", first), ("1 in 300 arrive", later)):
            edges, spent, counts = _link(con, delivered)
            rows.append(
                {
                    "what": f"linking {delivered.num_rows:,} records: {name}",
                    **spent,
                    "compared_anew": counts["records_compared_anew"],
                }
            )
        con.close()
        fresh = _empty(Path(folder) / "fresh.duckdb")
        again, spent, _ = _link(fresh, later)
        rows.append(
            {
                "what": f"linking {later.num_rows:,} records: the same, all anew",
                **spent,
                "note": "equal to the incremental result" if again.equals(edges) else "DIFFERS",
            }
        )
        fresh.close()
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
