"""Guardians and households as persons and places: several guardians, joint custody, ids that stay."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from kodomo_platform.linkage import link_guardians
from tests.integration import linked_town as town

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")


def grown(record: str, surname: str, given: str, household: str, relationship: str, **other: Any) -> dict[str, Any]:
    return town.identity(
        town.REGISTER, record, 0, name_match=surname + given, surname_match=surname, given_match=given, kana_match=None,
        surname_kana_match=None, given_kana_match=None, household_number=household, relationship=relationship,
        birth_date=date(1985, 3, 3), address_town="本町", address_block=household,
    ) | other  # fmt: skip


def guardians(con: duckdb.DuckDBPyConnection, *rows: dict[str, Any]) -> list[dict[str, Any]]:
    town.write_identity(con, list(rows))
    town.link(con)
    found: list[dict[str, Any]] = link_guardians(con).to_pylist()
    assert found == link_guardians(con).to_pylist()
    return found


CHILD = town.identity(town.REGISTER, "c1", 0, household_number="H1", address_town="本町", address_block="H1")
MOTHER = grown("m1", "佐藤", "花子", "H1", "head")
FATHER = grown("f1", "鈴木", "太郎", "H2", "head")


def school(guardian: str | None, record: str = "s1", number: str = "c1", **other: Any) -> dict[str, Any]:
    return (
        town.identity(
            town.SCHOOL,
            record,
            0,
            resident_number=number,
            guardian_match=guardian,
            address_town="本町",
            address_block="H1",
        )
        | other
    )


def by_record(found: list[dict[str, Any]]) -> dict[str | None, dict[str, Any]]:
    return {row["register_record"]: row for row in found}


def test_both_parents_of_the_household_stand_beside_a_child(con: duckdb.DuckDBPyConnection) -> None:
    father = grown("f1", "佐藤", "太郎", "H1", "spouse")
    lodger = grown("x1", "田中", "一", "H1", "cohabitant")
    gone = grown("x2", "佐藤", "次郎", "H1", "spouse", left_on=date(2020, 1, 1))
    found = by_record(guardians(con, CHILD, MOTHER, father, lodger, gone, school("佐藤太郎")))
    assert set(found) == {"m1", "f1"}
    assert (found["m1"]["basis"], found["m1"]["named_by"]) == ("register", 0)
    assert (found["f1"]["basis"], found["f1"]["named_by"], found["f1"]["sources"]) == (
        "register_and_named",
        1,
        town.SCHOOL,
    )
    assert all(row["lives_with_child"] for row in found.values())


def test_separated_parents_who_share_custody_stand_in_two_households(con: duckdb.DuckDBPyConnection) -> None:
    # the child bore the father's surname before: the one adult of his name is he
    child = CHILD | {"former_surname_match": "鈴木"}
    found = by_record(guardians(con, child, MOTHER, FATHER, school("鈴木太郎")))
    assert set(found) == {"m1", "f1"}
    assert (found["f1"]["match"], found["f1"]["lives_with_child"]) == ("only_one", False)
    assert found["f1"]["household_id"] != found["m1"]["household_id"]


def test_a_namesake_somewhere_in_town_is_not_taken_for_the_guardian(con: duckdb.DuckDBPyConnection) -> None:
    found = guardians(con, CHILD, MOTHER, FATHER, school("鈴木太郎"))
    stranger = next(row for row in found if not row["in_register"])
    assert (stranger["match"], stranger["lives_with_child"], stranger["household_id"]) == ("none", None, None)
    assert "f1" not in by_record(found)
    # at the address that the record tells he is
    found = guardians(con, CHILD, MOTHER, FATHER, school("鈴木太郎", address_block="H2"))
    assert by_record(found)["f1"]["match"] == "address"


def test_two_of_one_name_in_a_household_are_nobody_s_answer(con: duckdb.DuckDBPyConnection) -> None:
    other = grown("m2", "佐藤", "花子", "H1", "parent", birth_date=date(1955, 1, 1))
    found = guardians(con, CHILD, MOTHER, other, school("佐藤花子"))
    assert {row["register_record"]: row["basis"] for row in found} == {"m1": "register", None: "named"}


def test_a_mother_who_took_her_name_back_is_one_person(con: duckdb.DuckDBPyConnection) -> None:
    mother = MOTHER | {"name_match": "鈴木花子", "surname_match": "鈴木", "former_surname_match": "佐藤"}
    found = guardians(con, CHILD, mother, school("佐藤花子"), school("鈴木花子", "s2"))
    assert len(found) == 1
    assert (found[0]["basis"], found[0]["named_by"]) == ("register_and_named", 2)


def test_a_child_or_somebody_too_young_is_nobody_s_parent(con: duckdb.DuckDBPyConnection) -> None:
    brother = town.identity(
        town.REGISTER, "c2", 0, name_match="佐藤大翔", given_match="大翔", given_kana_match="ヒロト", kana_match="サトウヒロト",
        household_number="H1", birth_date=date(2012, 1, 1), relationship="head",
    )  # fmt: skip
    found = guardians(con, CHILD, brother, school("佐藤大翔"))
    assert [row["in_register"] for row in found] == [False]


def test_a_grandchild_of_the_head_has_the_head_s_child_for_a_parent(con: duckdb.DuckDBPyConnection) -> None:
    child = CHILD | {"relationship": "grandchild"}
    grandmother = grown("g1", "佐藤", "梅", "H1", "head", birth_date=date(1955, 1, 1))
    found = by_record(guardians(con, child, grandmother, MOTHER | {"relationship": "child"}))
    assert set(found) == {"m1"}


def test_an_id_stays_through_a_surname_change_a_move_and_a_new_source(con: duckdb.DuckDBPyConnection) -> None:
    before = guardians(con, CHILD, MOTHER)
    moved = {"household_number": "H9", "address_block": "H9"}
    mother = MOTHER | moved | {"name_match": "鈴木花子", "surname_match": "鈴木", "former_surname_match": "佐藤"}
    after = guardians(con, CHILD | moved, mother, school("鈴木花子", address_block="H9"))
    assert [row["guardian_id"] for row in after] == [before[0]["guardian_id"]]
    assert before[0]["guardian_id"].startswith("g")


def test_one_guardian_outside_the_register_has_one_id_for_all_children_of_a_home(
    con: duckdb.DuckDBPyConnection,
) -> None:
    sister = town.identity(
        town.REGISTER, "c2", 0, name_match="佐藤凛", given_match="凛", given_kana_match="リン", kana_match="サトウリン",
        household_number="H1", birth_date=date(2013, 1, 1), sex="female", address_town="本町", address_block="H1",
    )  # fmt: skip
    of_sister = sister | {
        "source": town.SCHOOL,
        "source_record_id": "s2",
        "resident_number": "c2",
        "household_number": None,
    }
    found = guardians(
        con, CHILD, sister, school("高木里"), of_sister | {"guardian_match": "高木里", "relationship": None}
    )
    assert len({row["child_id"] for row in found}) == 2
    assert len({row["guardian_id"] for row in found}) == 1


def test_a_child_outside_the_register_lives_with_its_guardian_s_household(con: duckdb.DuckDBPyConnection) -> None:
    newcomer = town.identity(
        town.HOSPITAL, "h9", 3, guardian_match="佐藤花子", address_town="本町", address_block="H1", phone_match=None
    )
    guardians(con, CHILD, MOTHER, newcomer)
    homes = dict(con.execute("select source_record_id, household_id from linkage.lnk_cluster").fetchall())
    assert homes["h9"] == homes["c1"] == homes["m1"]
