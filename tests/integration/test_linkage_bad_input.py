"""What real extracts can be at their worst: nothing merges in silence, no run explodes."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import duckdb
import pytest

from kodomo_platform.linkage import link_records
from tests.integration import linked_town as town

# splink's SQL parser warns about its own accelerator when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")


def linked(con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(register's record, other record) of every link to the register."""
    town.write_identity(con, rows)
    return [
        (edge["right_record"], edge["left_record"])
        for edge in link_records(con).to_pylist()
        if edge["outcome"] == "link" and edge["right_source"] == town.REGISTER
    ]


def without_numbers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row | {"resident_number": None} if row["source"] != town.REGISTER else row for row in rows]


def right(pairs: list[tuple[str, str]]) -> list[bool]:
    """Whether each link joins records of one child (town: number 000012, s12, h12)."""
    return [int(register) == int(other[1:]) for register, other in pairs]


def test_a_register_without_kana(con: duckdb.DuckDBPyConnection) -> None:
    bare = {"kana_match": None, "surname_kana_match": None, "given_kana_match": None}
    rows = [row | bare if row["source"] == town.REGISTER else row for row in without_numbers(town.people(80))]
    pairs = linked(con, rows)
    assert all(right(pairs))
    assert len(pairs) > 90


def test_a_source_with_one_birth_date_for_all(con: duckdb.DuckDBPyConnection) -> None:
    same = dict.fromkeys(("birth_date", "birth_date__earliest", "birth_date__latest"), date(2015, 4, 1))
    rows = [row | same if row["source"] == town.SCHOOL else row for row in without_numbers(town.people(80))]
    pairs = linked(con, rows)
    assert all(right(pairs))
    assert len(pairs) > 70


def test_a_number_column_that_is_constant(con: duckdb.DuckDBPyConnection) -> None:
    rows = [row | {"resident_number": "000003"} if row["source"] == town.SCHOOL else row for row in town.people(40)]
    pairs = linked(con, rows)
    assert all(right(pairs))
    metrics = dict(con.execute("select metric, value from linkage.lnk_run_count").fetchall())
    assert metrics["placeholder_numbers"] == 40


def test_ten_thousand_records_of_one_placeholder_stay_alone(
    con: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture
) -> None:
    nobody = {
        "name_match": "不明", "surname_match": None, "given_match": None, "kana_match": "フメイ",
        "surname_kana_match": None, "given_kana_match": None, "address_town": "住所不定", "address_block": None,
        "phone_match": None, "sex": "unknown", "birth_date": date(1900, 1, 1),
        "birth_date__earliest": date(1900, 1, 1), "birth_date__latest": date(1900, 1, 1),
    }  # fmt: skip
    crowd = [town.identity(town.HOSPITAL, f"x{place}", place) | nobody for place in range(10_000)]
    pairs = linked(con, [*without_numbers(town.people(40)), *crowd])
    assert all(right(pairs))
    assert not any(other.startswith("x") for _, other in pairs)
    edges = con.execute("select count(*) from linkage.lnk_run_count where metric = 'blocks_over_cap' and value > 0")
    assert edges.fetchone() == (1,)
    assert "were not compared" in caplog.text


def test_a_stranger_s_number_is_no_question_once_the_record_found_its_person(con: duckdb.DuckDBPyConnection) -> None:
    rows = town.people(30)
    slipped = next(place for place, row in enumerate(rows) if row["source_record_id"] == "s5")
    rows[slipped] |= {"resident_number": "000012"}
    town.write_identity(con, rows)
    edges = [edge for edge in link_records(con).to_pylist() if "s5" in (edge["left_record"], edge["right_record"])]
    assert Counter((edge["outcome"], edge["right_record"]) for edge in edges) == {("link", "000005"): 1}
