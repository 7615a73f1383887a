"""Linking on DuckDB and the operations database, without dbt: hand-made identity records."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
from openpyxl import load_workbook

from kodomo_platform import operations
from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage import link_records, load_known_ids, name_clusters, save_ids
from kodomo_platform.linkage.review import export_sheet, import_sheet, queue
from tests.integration.linked_town import COLUMNS

# splink's SQL parser warns about its own accelerator when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")

CODE = "112241"
AS_OF = date(2026, 10, 1)
REGISTER, SCHOOL, HOSPITAL, CASE = "resident.register", "education.enrolment", "medical.flag", "welfare.case"


def person(source: str, record: str, surname: str = "佐藤", given: str = "花", **other: Any) -> dict[str, Any]:
    kana = {"佐藤": "サトウ", "鈴木": "スズキ", "花": "ハナ", "太郎": "タロウ", "華子": "ハナコ"}
    row: dict[str, Any] = {
        "source": source,
        "source_record_id": record,
        "name_match": surname + given,
        "surname_match": surname,
        "given_match": given,
        "kana_match": kana[surname] + kana[given],
        "surname_kana_match": kana[surname],
        "given_kana_match": kana[given],
        "sex": "female",
        "birth_date": date(2015, 5, 5),
        "address_town": "本町",
        "address_block": "1-2-3",
        "_extract_date": AS_OF,
        "_source_file_sha256": "f" * 64,
        "_row_number": 1,
    }
    if source == REGISTER:
        row |= {"resident_number": record, "household_number": "H" + record, "relationship": "child"}
    row |= other
    row.setdefault("birth_date__earliest", row["birth_date"])
    row.setdefault("birth_date__latest", row["birth_date"])
    return row


class House:
    """One municipality's warehouse in memory and its operations database."""

    def __init__(self) -> None:
        self.con = duckdb.connect()
        self.con.execute("create schema cfg; create schema linkage")
        self.con.execute("create table cfg.run as select '112241' as municipality, date '2026-10-01' as as_of_date")

    def run(self, *rows: dict[str, Any], run_id: str = "r1") -> dict[tuple[str, str], str]:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        self.con.execute(f"create or replace table linkage.lnk_identity ({columns})")
        self.con.executemany(
            f"insert into linkage.lnk_identity values ({', '.join('?' * len(COLUMNS))})",
            [[row.get(name) for name in COLUMNS] for row in rows],
        )
        load_known_ids(self.con, CODE)
        for name, table in (("lnk_edge", link_records), ("lnk_cluster", name_clusters)):
            self.con.register("made", table(self.con))
            self.con.execute(f"create or replace table linkage.{name} as select * from made")
            self.con.unregister("made")
        self.con.execute(
            "create or replace table linkage.lnk_review_queue as select * from linkage.lnk_edge "
            "where outcome = 'review'"
        )
        self.report = save_ids(self.con, CODE, AS_OF, run_id)
        return {
            (source, record): child
            for source, record, child in self.con.execute(
                "select source, source_record_id, child_id from linkage.lnk_cluster where child_id is not null"
            ).fetchall()
        }


@pytest.fixture
def house(home: Path) -> Iterator[House]:
    made = House()
    yield made
    made.con.close()
    operations.close()


def test_number_links_and_a_twin_s_number_does_not(house: House) -> None:
    ids = house.run(
        person(REGISTER, "1"),
        person(REGISTER, "2", given="華子", household_number="H1"),
        person(SCHOOL, "s1", resident_number="1"),
        person(SCHOOL, "s2", given="華子", resident_number="1"),
    )
    assert ids[(SCHOOL, "s1")] == ids[(REGISTER, "1")]
    assert ids[(SCHOOL, "s2")] != ids[(REGISTER, "1")]
    kinds = house.con.execute("select kind, right_record from linkage.lnk_review_queue").fetchall()
    assert ("conflict", "1") in kinds


def test_adults_of_the_register_bear_no_id(house: House) -> None:
    ids = house.run(
        person(REGISTER, "1"),
        person(REGISTER, "9", given="太郎", birth_date=date(1980, 1, 1), relationship="head", household_number="H1"),
    )
    assert list(ids) == [(REGISTER, "1")]


def test_an_id_survives_a_surname_change_a_move_and_a_new_source(house: House) -> None:
    before = house.run(person(REGISTER, "1"), person(SCHOOL, "s1", resident_number="1"))
    after = house.run(
        person(REGISTER, "1", "鈴木", address_town="西町", address_block="9-9", former_surname_match="佐藤"),
        person(SCHOOL, "s1", resident_number="1"),
        person(HOSPITAL, "h1", "鈴木", address_town="西町", address_block="9-9"),
        run_id="r2",
    )
    assert set(after.values()) == set(before.values())
    assert after[(HOSPITAL, "h1")] == before[(REGISTER, "1")]
    assert house.report.events == {}


def test_linking_twice_is_identical_and_saving_twice_changes_nothing(house: House) -> None:
    rows = [person(REGISTER, "1"), person(SCHOOL, "s1"), person(HOSPITAL, "h1", birth_date=date(2015, 5, 6))]
    first = house.run(*rows)
    edges = house.con.execute("select * from linkage.lnk_edge order by pair_id").fetchall()
    again = save_ids(house.con, CODE, AS_OF, "r1")
    assert (again.children_new, again.records_new, again.records_moved) == (0, 0, 0)
    assert house.run(*reversed(rows), run_id="r2") == first
    assert house.con.execute("select * from linkage.lnk_edge order by pair_id").fetchall() == edges


def test_a_merge_is_an_event_and_can_be_undone_for_good(house: House) -> None:
    rows = [person(REGISTER, "1"), person(HOSPITAL, "h1", "鈴木", address_town="東町", address_block="5")]
    apart = house.run(*rows)
    assert len(set(apart.values())) == 2
    operations.review_decide(
        CODE, (REGISTER, "1"), (HOSPITAL, "h1"), "same", operations.Act("甲", "母子手帳で確認", "linkage")
    )
    merged = house.run(*rows, run_id="r2")
    assert set(merged.values()) == {apart[(REGISTER, "1")]}
    events = operations.child_history(apart[(REGISTER, "1")]).events
    assert [(event.kind, event.actor) for event in events] == [("merged", "甲")]
    operations.undo_merge(events[0].id, AS_OF, operations.Act("乙", "別人と判明", "linkage"))
    assert house.run(*rows, run_id="r3") == apart
    assert house.run(*rows, run_id="r4") == apart


def test_revoking_a_decision_gives_the_former_id_back(house: House) -> None:
    rows = [person(REGISTER, "1"), person(HOSPITAL, "h1", "鈴木", address_town="東町", address_block="5")]
    apart = house.run(*rows)
    decision = operations.review_decide(
        CODE, (REGISTER, "1"), (HOSPITAL, "h1"), "same", operations.Act("甲", "確認", "linkage")
    )
    house.run(*rows, run_id="r2")
    operations.review_revoke(CODE, decision.pair_id, operations.Act("甲", "取り違え", "linkage"))
    assert house.run(*rows, run_id="r3") == apart
    assert house.report.events == {"split": 1}


def test_placeholders_make_no_candidates_and_no_links(house: House) -> None:
    rows = [
        person(HOSPITAL, f"h{n}", kana_match="フメイ", name_match="不明", given_match=None, given_kana_match=None,
               surname_match=None, surname_kana_match=None, birth_date=date(1900, 1, 1), address_block=None,
               address_town=None)
        for n in range(1_000)
    ]  # fmt: skip
    ids = house.run(person(REGISTER, "1"), *rows)
    assert len(set(ids.values())) == 1_001


def test_review_sheet_goes_round(house: House, tmp_path: Path) -> None:
    house.run(
        person(REGISTER, "1"),
        person(SCHOOL, "s1", given="太郎", resident_number="1"),
        person(SCHOOL, "s2", given="華子", resident_number="1"),
    )
    sheet = tmp_path / "review.xlsx"
    assert export_sheet(house.con, CODE, sheet) == 2
    book = load_workbook(sheet)
    for column, value in (("M", "別人"), ("N", "甲"), ("O", "兄の番号")):
        book.active[f"{column}3"] = value
    book.save(sheet)
    book.close()
    report = import_sheet(CODE, sheet)
    assert (report.taken, report.open, report.refused) == (1, 1, [])
    assert import_sheet(CODE, sheet).already == 1
    assert len(queue(house.con, CODE)) == 1

    with pytest.raises(LinkageError, match="another municipality"):
        import_sheet("132071", sheet)
    book = load_workbook(sheet)
    book.active["H4"] = "2"
    book.save(sheet)
    book.close()
    with pytest.raises(LinkageError, match="row 4: altered"):
        import_sheet(CODE, sheet)


def test_a_record_that_belongs_to_another_child_after_all_is_a_correction(house: House) -> None:
    sister = person(REGISTER, "2", given="華子", household_number="H1", birth_date=date(2015, 5, 5))
    before = house.run(person(REGISTER, "1"), sister, person(SCHOOL, "s1", resident_number="1"))
    # the school had put the wrong child's name and number into the row
    after = house.run(
        person(REGISTER, "1"), sister, person(SCHOOL, "s1", given="華子", resident_number="2"), run_id="r2"
    )
    assert before[(SCHOOL, "s1")] == before[(REGISTER, "1")]
    assert after[(SCHOOL, "s1")] == after[(REGISTER, "2")] == before[(REGISTER, "2")]
    assert house.report.events == {"corrected": 1}
    (event,) = operations.child_history(before[(REGISTER, "1")]).events
    assert (event.kind, event.records, event.run_id) == ("corrected", ((SCHOOL, "s1"),), "r2")
    assert event.reason


def kinds(house: House) -> dict[tuple[str, str], tuple[str, str]]:
    """(left record, right record) → (kind, outcome) of every pair of the last run."""
    return {
        (left, right): (kind, outcome)
        for left, right, kind, outcome in house.con.execute(
            "select left_record, right_record, kind, outcome from linkage.lnk_edge"
        ).fetchall()
    }


def test_exact_keys_link_while_nobody_else_fits(house: House) -> None:
    school = person(SCHOOL, "s1")
    house.run(person(REGISTER, "1"), school)
    assert kinds(house) == {("s1", "1"): ("exact", "link")}
    # two of one name, born on one day, in one house: no key tells whose the record is
    ids = house.run(person(REGISTER, "1"), person(REGISTER, "2", household_number="H1"), school, run_id="r2")
    assert ids[(SCHOOL, "s1")] not in {ids[(REGISTER, "1")], ids[(REGISTER, "2")]}


def test_a_return_is_one_child_and_twins_of_one_name_are_asked_about(house: House) -> None:
    def resident(number: str, came: date | None, left: date | None = None) -> dict[str, Any]:
        return person(REGISTER, number, household_number="H1", became_resident_on=came, left_on=left)

    came = date(2015, 5, 5)
    back = house.run(resident("1", came, date(2020, 3, 1)), resident("2", date(2022, 4, 1)))
    assert len(set(back.values())) == 1
    # whose leaving was not delivered: two days of coming say it
    assert len(set(house.run(resident("3", came), resident("4", date(2022, 4, 1)), run_id="r2").values())) == 1
    twins = house.run(resident("5", came), resident("6", came), run_id="r3")
    assert len(set(twins.values())) == 2
    assert kinds(house) == {("5", "6"): ("register_duplicate", "review")}
    unknown = house.run(resident("7", None), resident("8", None), run_id="r4")
    assert len(set(unknown.values())) == 2


def test_a_given_name_a_character_off_is_asked_about_whether_or_not_a_twin_is_known(house: House) -> None:
    def child(source: str, record: str, given: str, kana: str, **other: Any) -> dict[str, Any]:
        return person(source, record) | {
            "name_match": "佐藤" + given, "given_match": given, "kana_match": "サトウ" + kana, "given_kana_match": kana,
            "phone_match": "0480000001",
        } | other  # fmt: skip

    # a crowd, so that the name is not the town's most frequent one
    crowd = [
        person(
            REGISTER,
            f"9{place}",
            "鈴木",
            "太郎",
            household_number=f"C{place}",
            birth_date=date(2012, 1, 1 + place % 28),
        )
        for place in range(60)
    ]
    register = child(REGISTER, "1", "美咲", "ミサキ", household_number="H1", phone_match=None, guardian_match=None)
    mother = person(
        REGISTER, "8", given="太郎", birth_date=date(1985, 1, 1), household_number="H1", relationship="head"
    )
    slip = child("medical.flag", "m1", "美先", "ミサギ", guardian_match="佐藤太郎")
    ids = house.run(register, mother, slip, *crowd)
    # a twin may be missing from the register
    assert ids[("medical.flag", "m1")] != ids[(REGISTER, "1")]
    asked = "select right_record, outcome from linkage.lnk_edge where left_record = 'm1'"
    assert house.con.execute(asked).fetchall() == [("1", "review")]
    twin = child(REGISTER, "2", "陽斗", "ハルト", household_number="H1", phone_match=None)
    ids = house.run(register, twin, mother, slip, *crowd, run_id="r2")
    assert house.con.execute("select outcome from linkage.lnk_edge where left_record = 'm1'").fetchall() == [
        ("review",)
    ]
