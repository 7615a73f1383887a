"""支援措置: one decision, from the register's code to every sheet. An unreadable code protects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from openpyxl import load_workbook

from kodomo_platform import operations
from kodomo_platform.linkage.review import export_sheet, queue, side_by_side
from kodomo_platform.protection import HIDDEN, is_hidden
from tests.integration import linked_town as town
from tests.integration.dbt_sql import build

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
REGISTER, SCHOOL, HOSPITAL = town.REGISTER, town.SCHOOL, town.HOSPITAL


def protect(con: duckdb.DuckDBPyConnection, people: list[tuple[str, str | None, str | None, str, str]]) -> None:
    """`lnk_protected` for a register of (number, household, measure, its status, address)."""
    con.execute(
        "create schema if not exists staging; create or replace table staging.stg_resident__register (source_record_id "
        "varchar, household_number varchar, protection_measure varchar, protection_measure__status varchar, "
        "address_match varchar)"
    )
    con.executemany("insert into staging.stg_resident__register values (?, ?, ?, ?, ?)", people)
    build(con, "lnk_protected")


def test_one_protected_person_protects_household_links_numbers_and_addresses() -> None:
    con = duckdb.connect()
    con.execute("create schema linkage")
    identity = [
        (REGISTER, "1", "1", "本町1"),
        (REGISTER, "2", "2", "本町1"),
        (REGISTER, "3", "3", "本町3"),
        (REGISTER, "4", "4", "本町4"),
        (REGISTER, "5", "5", "本町5"),
        (SCHOOL, "s2", None, "旧町2"),  # linked to the sibling
        (SCHOOL, "s9", "1", "本町9"),  # bears the number, not linked
        (HOSPITAL, "h1", None, "本町1"),  # nobody knows whose, but this is the address
        (HOSPITAL, "h2", None, "旧町2"),  # the address of a linked record
        (HOSPITAL, "h3", None, "本町3"),
        (HOSPITAL, "h4", None, None),
    ]
    con.execute(
        "create table linkage.lnk_identity (source varchar, source_record_id varchar, resident_number varchar, "
        "address_match varchar)"
    )
    con.executemany("insert into linkage.lnk_identity values (?, ?, ?, ?)", identity)
    con.execute(
        "create table linkage.lnk_cluster as select source, source_record_id, source as cluster_source, "
        "source_record_id as cluster_record from linkage.lnk_identity"
    )
    con.execute(
        "update linkage.lnk_cluster set cluster_source = ?, cluster_record = '2' where source_record_id = 's2'",
        [REGISTER],
    )
    protect(
        con,
        [
            ("1", "h", "active", "present", "本町1"),
            ("2", "h", "none", "present", "本町1"),
            ("3", "i", "none", "present", "本町3"),
            ("4", "j", None, "unreadable", "本町4"),
            ("5", None, None, "blank", "本町5"),
        ],
    )
    found = {(row[0], row[1]): row[2] for row in con.execute("from linkage.lnk_protected").fetchall()}
    assert found == {
        (REGISTER, "1"): "measure",
        (REGISTER, "2"): "household",
        (REGISTER, "4"): "unreadable",
        (SCHOOL, "s2"): "linked",
        (SCHOOL, "s9"): "number",
        (HOSPITAL, "h1"): "address",
        (HOSPITAL, "h2"): "address",
    }
    assert is_hidden(con, [(REGISTER, "1")])
    assert not is_hidden(con, [(REGISTER, "3")])
    assert is_hidden(con, [(HOSPITAL, "h3"), (REGISTER, "1")])  # beside a protected one
    con.execute("drop table linkage.lnk_protected")
    assert is_hidden(con, [(REGISTER, "3")])  # nobody can say: hidden


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    con = duckdb.connect()
    town.empty_town(con)
    rows = town.people(60)
    rows.append(town.identity(SCHOOL, "s1000", 1000, resident_number="000002"))
    for row in rows:
        row["address_match"] = f"{row['address_town']}{row['address_block']}" if row["address_town"] else None
    town.write_identity(con, rows)
    town.link(con)
    yield con
    con.close()
    operations.close()


def test_no_sheet_and_no_screen_shows_a_hidden_address(con: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    pairs = queue(con, town.CODE)
    assert pairs
    register = con.execute(
        "select source_record_id, household_number, address_match from linkage.lnk_identity where source = ?",
        [REGISTER],
    ).fetchall()

    def texts() -> str:
        sheet = tmp_path / "sheet.xlsx"
        export_sheet(con, town.CODE, sheet)
        book = load_workbook(sheet)
        cells = [str(cell.value) for page in book.worksheets for row in page.iter_rows() for cell in row]
        shown: list[Any] = [side_by_side(con, pair) for pair in pairs]
        return "\n".join([*cells, repr(shown)])

    protect(con, [(number, household, "none", "present", address) for number, household, address in register])
    where = [text for text in texts().split("\n") if text]
    places = {
        row[0]
        for pair in pairs
        for source, record in (pair.left, pair.right)
        for row in con.execute(
            "select unnest([address_match, phone_match]) from linkage.lnk_identity where source = ? "
            "and source_record_id = ?",
            [source, record],
        ).fetchall()
        if row[0]
    }
    assert places
    assert all(any(place in text for text in where) for place in places)  # the test can see what it looks for
    protect(con, [(number, household, None, "unreadable", address) for number, household, address in register])
    after = texts()
    assert [place for place in places if place in after] == []
    assert HIDDEN["ja"] in after
