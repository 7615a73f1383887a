"""A small town made by hand and linked: children in the register and at school, hospital records without numbers."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.linkage import link_records, load_known_ids, name_clusters

CODE = "112241"
AS_OF = date(2026, 10, 1)
REGISTER, SCHOOL, HOSPITAL = "resident.register", "education.enrolment", "medical.flag"
COLUMNS = {
    "source": "varchar", "source_record_id": "varchar", "resident_number": "varchar", "household_number": "varchar",
    "name_match": "varchar", "surname_match": "varchar", "given_match": "varchar", "kana_match": "varchar",
    "surname_kana_match": "varchar", "given_kana_match": "varchar", "alias_match": "varchar",
    "former_surname_match": "varchar", "name_has_gaiji": "boolean", "sex": "varchar", "birth_date": "date",
    "birth_date__precision": "varchar", "birth_date__earliest": "date", "birth_date__latest": "date",
    "postal_code": "varchar", "address_match": "varchar", "address_town": "varchar", "address_block": "varchar",
    "address_building": "varchar", "address_room": "varchar", "phone_match": "varchar", "guardian_match": "varchar",
    "guardian_kana_match": "varchar", "relationship": "varchar", "became_resident_on": "date", "left_on": "date",
    "_extract_date": "date", "_source_file_sha256": "varchar", "_row_number": "bigint",
}  # fmt: skip
SURNAMES = {
    "佐藤": "サトウ",
    "鈴木": "スズキ",
    "髙橋": "タカハシ",
    "田中": "タナカ",
    "伊藤": "イトウ",
    "渡辺": "ワタナベ",
}
GIVEN = {
    "結衣": "ユイ", "大翔": "ヒロト", "蓮": "レン", "陽菜": "ヒナ", "湊": "ミナト", "凛": "リン", "葵": "アオイ", "樹": "イツキ",
    "咲良": "サクラ", "悠真": "ユウマ", "莉子": "リコ", "朝陽": "アサヒ", "杏": "アン",
}  # fmt: skip


def identity(source: str, record: str, place: int, **other: Any) -> dict[str, Any]:
    """One identity record of child ``place``: the same child has the same values in every source."""
    surname, given = list(SURNAMES)[place % len(SURNAMES)], list(GIVEN)[place * 7 % len(GIVEN)]
    born = AS_OF - timedelta(days=400 + (place * 131) % 5500)
    row: dict[str, Any] = {
        "source": source,
        "source_record_id": record,
        "name_match": surname + given,
        "surname_match": surname,
        "given_match": given,
        "kana_match": SURNAMES[surname] + GIVEN[given],
        "surname_kana_match": SURNAMES[surname],
        "given_kana_match": GIVEN[given],
        "sex": "female" if place % 2 else "male",
        "birth_date": born,
        "address_town": f"本町{place % 9}",
        "address_block": f"{place % 5 + 1}-{place % 23 + 1}-{place % 31 + 1}",
        "phone_match": f"048{place:07d}",
        "_extract_date": AS_OF,
        "_source_file_sha256": "f" * 64,
        "_row_number": place + 1,
    }
    if source == REGISTER:
        row |= {"resident_number": record, "household_number": f"H{place}", "relationship": "child"}
    row |= other
    row.setdefault("birth_date__earliest", row["birth_date"])
    row.setdefault("birth_date__latest", row["birth_date"])
    return row


def people(children: int) -> list[dict[str, Any]]:
    """Register, school (with numbers; a few records worn) and hospital (none) records of ``children`` children."""
    rows = []
    for place in range(children):
        rows.append(identity(REGISTER, f"{place:06d}", place))
        worn: dict[str, Any] = {}
        if place % 17 == 0:
            worn = {"kana_match": None, "given_kana_match": None, "surname_kana_match": None}
        elif place % 19 == 0:
            worn = {"address_town": "隣町", "address_block": "9-9-9", "phone_match": None}
        elif place % 23 == 0:
            worn = {"birth_date": None}
        rows.append(identity(SCHOOL, f"s{place}", place, resident_number=f"{place:06d}", **worn))
        if place % 3 == 0:
            rows.append(identity(HOSPITAL, f"h{place}", place, address_block=None))
    return rows


def write_identity(con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> None:
    """``linkage.lnk_identity`` with ``rows``."""
    import pyarrow as pa

    kinds = {
        "varchar": pa.string(), "boolean": pa.bool_(), "date": pa.date32(), "bigint": pa.int64(),
    }  # fmt: skip
    made = pa.table({name: pa.array([row.get(name) for row in rows], kinds[kind]) for name, kind in COLUMNS.items()})
    con.register("made_identity", made)
    con.execute("create or replace table linkage.lnk_identity as from made_identity")
    con.unregister("made_identity")


def link(con: duckdb.DuckDBPyConnection, code: str = CODE) -> None:
    """Known ids, edges, clusters and the queue, as a run makes them (without dbt)."""
    load_known_ids(con, code)
    for name, table in (("lnk_edge", link_records), ("lnk_cluster", name_clusters)):
        con.register("made", table(con))
        con.execute(f"create or replace table linkage.{name} as select * from made")
        con.unregister("made")
    con.execute(
        "create or replace table linkage.lnk_review_queue as select * from linkage.lnk_edge where outcome = 'review'"
    )


def empty_town(con: duckdb.DuckDBPyConnection, code: str = CODE) -> None:
    """Schemas and the day of the run."""
    con.execute("create schema if not exists cfg; create schema if not exists linkage")
    con.execute(f"create or replace table cfg.run as select '{code}' as municipality, date '{AS_OF}' as as_of_date")


def linked_town(path: Path, children: int) -> Path:
    """A warehouse file at ``path`` with ``children`` children, linked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(str(path))
    empty_town(con)
    write_identity(con, people(children))
    link(con)
    con.close()
    return path


def finish(con: duckdb.DuckDBPyConnection) -> None:
    """Crosswalk, persons and sources of a linked town of identity records, as dbt makes them."""
    con.execute(
        """
        create or replace table cfg.source as
        select distinct source, split_part(source, '.', 1) as id_system from linkage.lnk_identity;
        create or replace table linkage.lnk_crosswalk as
        select source, source_record_id, child_id, match_method, match_probability from linkage.lnk_cluster
        where child_id is not null;
        create or replace table linkage.lnk_person as
        select source, source_record_id, child_id, household_id, relationship, child_id is not null as is_child
        from linkage.lnk_cluster where source = 'resident.register'
        """
    )
