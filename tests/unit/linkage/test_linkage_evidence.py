"""Which level of evidence two records reach, from raw text to level."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.cleansing.addresses import match_address
from kodomo_platform.cleansing.characters import near_map
from kodomo_platform.cleansing.kana import match_kana
from kodomo_platform.cleansing.names import match_name
from kodomo_platform.linkage.evidence import comparisons
from kodomo_platform.linkage.model import load_model
from kodomo_platform.linkage.preparation import prepare
from tests.integration import linked_town as town

Levels = Callable[[dict[str, Any], dict[str, Any]], dict[str, str]]


def record(
    source: str, name: str, kana: str = "", birth: date | None = date(2015, 5, 6), **other: Any
) -> dict[str, Any]:
    """An identity record as staging makes it."""
    form, reading = match_name(name), match_kana(kana)
    place = match_address(other.pop("address", ""))
    row = town.identity(source, source[:3], 0, birth_date=birth) | {
        "name_match": form.match, "surname_match": form.surname, "given_match": form.given,
        "kana_match": reading.match, "surname_kana_match": reading.surname, "given_kana_match": reading.given,
        "address_town": place.town, "address_block": place.block, "phone_match": None, "sex": "female",
    }  # fmt: skip
    return row | other


@pytest.fixture
def levels() -> Iterator[Levels]:
    con = duckdb.connect()
    town.empty_town(con)

    def found(one: dict[str, Any], other: dict[str, Any]) -> dict[str, str]:
        # a few neighbours, so that the town knows which names are surnames
        crowd = [town.identity(town.REGISTER, f"n{place}", place) for place in range(40)]
        town.write_identity(con, [one, other, *crowd])
        prepare(con)
        read = comparisons()
        row = con.execute(
            f"select {', '.join(c.case_sql() for c in read)} from lnk_prepared as l, lnk_prepared as r "
            "where l.source_record_id = ? and r.source_record_id = ?",
            [one["source_record_id"], other["source_record_id"]],
        ).fetchone()
        assert row is not None
        return {c.name: c.level(level).name for c, level in zip(read, row, strict=True)}

    yield found
    con.close()


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        (("渡邉　結衣", "ﾜﾀﾅﾍﾞ ﾕｲ"), ("渡辺 結衣", "ワタナベ　ユイ"), "both"),
        (("渡邉　結衣", "ﾜﾀﾅﾍﾞ ﾕｲ"), ("渡辺 結衣", ""), "kanji"),
        (("渡辺　結衣", "ワタナベ ユイ"), ("渡辺 ゆい", ""), "kana_alone"),
        (("渡辺　結衣", "ワタナベ ユイ"), ("ワタナベ ユイ", ""), "kana"),
        (("渡辺　咲良", "ワタナベ サクラ"), ("渡辺 咲良", "ワタナベ サワラ"), "nearly_both"),
        (("渡辺　咲良", "ワタナベ サクラ"), ("渡辺 咲良", "ワタナベ エミ"), "kanji_alone"),
        (("渡辺　桜", "ワタナベ サクラ"), ("渡辺 咲良", "ワタナベ サクラ"), "kana_alone"),
        (("渡辺　陽斗", "ワタナベ ハルト"), ("渡辺 陽輝", "ワタナベ ハルキ"), "near"),
        # two forms of one character are near, and no more
        (("渡辺　凛", "ワタナベ リン"), ("渡辺 凜", "ワタナベ リン"), "variant"),
        (("渡辺　凛", "ワタナベ リン"), ("渡辺 凜", ""), "variant"),
        (("渡辺　龍太", ""), ("渡辺 竜太", ""), "variant"),
        (("渡辺　龍太", "ワタナベ リュウタ"), ("渡辺竜太", "ワタナベリュウタ"), "variant"),
        (("渡辺　遥", "ワタナベ ハルカ"), ("渡辺 遙", "ワタナベ ヨウ"), "different"),
        (("渡辺　吉", ""), ("渡辺 告", ""), "different"),
        (("渡辺　結衣", "ワタナベ ユイ"), ("渡辺 莉子", "ワタナベ リコ"), "different"),
        (("〓{F040}辺　結衣", ""), ("渡辺 結衣", ""), "kanji"),
        (("田中　結衣", "タナカ ユイ"), ("結衣 田中", "タナカ ユイ"), "both"),
        (("田中　結衣", "タナカ ユイ"), ("田中結衣", "タナカユイ"), "both"),
        # swapped columns: the reading stands where the name should
        (("田中　結衣", "タナカ ユイ"), ("タナカ ユイ", "田中 結衣"), "both"),
        # foreign names: alphabet or kana, any order, a middle name less
        (("MARIA CLARA SILVA", "マリア クララ シルバ"), ("シルバ・マリア・クララ", ""), "kana"),
        (("MARIA CLARA SILVA", "マリア クララ シルバ"), ("SILVA, MARIA CLARA", ""), "kana"),
        (("MARIA CLARA SILVA", "マリア クララ シルバ"), ("マリア シルバ", ""), "nearly_both"),
        (("DANYLO MOROZ", "ダニーロ モロズ"), ("MOROZ DANILO", ""), "kana"),
        # Regression: siblings written surname last shared what was taken for a given name
        (("ANA SILVA", "アナ シルバ"), ("PEDRO SILVA", "ペドロ シルバ"), "different"),
    ],
)
def test_given_names(levels: Levels, one: tuple[str, str], other: tuple[str, str], level: str) -> None:
    pair = record(town.REGISTER, *one), record(town.SCHOOL, *other)
    assert levels(*pair)["given_name"] == level
    assert levels(pair[1], pair[0])["given_name"] == level


@pytest.mark.parametrize(
    ("written", "level"),
    [
        (date(2015, 5, 6), "equal"),
        (date(2015, 6, 5), "near"),  # day and month swapped
        (date(2015, 1, 1), "near"),  # the day a system fills in
        (date(2016, 5, 6), "near"),  # era off by one
        (date(2015, 5, 7), "near"),
        (date(2015, 4, 26), "near"),  # ten days, over the end of a month
        (date(2015, 4, 25), "different"),
        (date(2011, 2, 9), "different"),
        (None, "not_comparable"),
        (date(1900, 1, 1), "not_comparable"),  # nobody alive
    ],
)
def test_birth_dates(levels: Levels, written: date | None, level: str) -> None:
    one = record(town.REGISTER, "田中 結衣", "タナカ ユイ")
    assert levels(one, record(town.SCHOOL, "田中 結衣", "タナカ ユイ", written))["birth_date"] == level


@pytest.mark.parametrize(
    ("address", "surname", "level"),
    [
        ("新曽二丁目３番１号　コーポ戸田201号室", "田中", "surname_and_one"),
        ("大字新曽２－３－１", "田中", "surname_and_one"),
        ("緑山市新曽2-3-1", "田中", "surname_and_one"),  # a city that no postal data knows
        ("新曽2-3-1", "鈴木", "other_surname_one"),
        ("新曽9-9-9", "田中", "surname_and_town"),
        ("本町1-1", "田中", "surname_only"),
        ("", "田中", "surname_alone"),
        ("本町1-1", "鈴木", "different"),
    ],
)
def test_households(levels: Levels, address: str, surname: str, level: str) -> None:
    one = record(town.REGISTER, "田中 結衣", address="埼玉県戸田市大字新曽2丁目3番1号")
    assert levels(one, record(town.SCHOOL, f"{surname} 結衣", address=address))["household"] == level


@pytest.mark.parametrize(
    ("one", "other", "address", "level"),
    [
        ("斎藤　結衣", "斉藤 結衣", "新曽2-3-1", "variant_surname_and_one"),
        ("斎藤　結衣", "斉藤結衣", "新曽2-3-1", "variant_surname_and_one"),
        ("島田　結衣", "嶋田 結衣", "本町1-1", "variant_surname_only"),
        ("島田　結衣", "嶋田 結衣", "", "variant_surname_only"),
        ("斎藤　結衣", "佐藤 結衣", "本町1-1", "different"),
    ],
)
def test_surnames_in_two_forms_are_near(levels: Levels, one: str, other: str, address: str, level: str) -> None:
    register = record(town.REGISTER, one, address="埼玉県戸田市大字新曽2丁目3番1号")
    assert levels(register, record(town.SCHOOL, other, address=address))["household"] == level


_NAMES = st.text("斎斉島嶋龍竜凛凜田太", min_size=1, max_size=3)


def near(text: str) -> str:
    """What the SQL must find, in plain Python."""
    return "".join(near_map().get(kanji, kanji) for kanji in text)


@settings(max_examples=40)
@given(st.lists(st.tuples(_NAMES, _NAMES), min_size=2, max_size=6, unique=True))
def test_near_forms_and_levels_are_those_of_plain_python(names: list[tuple[str, str]]) -> None:
    with duckdb.connect() as con:
        town.empty_town(con)
        rows = [
            record(town.HOSPITAL, f"{surname}　{given}", address=f"本町{place}-1") | {"source_record_id": str(place)}
            for place, (surname, given) in enumerate(names)
        ]
        town.write_identity(con, rows)
        prepare(con)
        kept = con.execute("select surname_match, surname_near, given_match, given_near from lnk_prepared").fetchall()
        given_level, household = comparisons()[0], comparisons()[3]
        found = con.execute(
            f"select l.surname_match, l.given_match, r.surname_match, r.given_match, {given_level.case_sql()}, "
            f"{household.case_sql()} from lnk_prepared as l, lnk_prepared as r where l.rid < r.rid"
        ).fetchall()
    for surname, surname_near, given_name, given_near in kept:
        for text, form in ((surname, surname_near), (given_name, given_near)):
            assert form == (near(text) if near(text) != text else None)
    for left_surname, left, right_surname, right, level, home in found:
        same_name = left_surname + left == right_surname + right
        assert (given_level.level(level).name == "kanji") == (left == right or same_name)
        if given_level.level(level).name == "variant":
            assert left != right
            assert near(left) == near(right) or near(left_surname + left) == near(right_surname + right)
        elif left != right and near(left) == near(right):
            assert same_name
        if household.level(home).name.startswith("variant"):
            assert left_surname != right_surname
            assert near(left_surname) == near(right_surname) or near(left_surname + left) == near(right_surname + right)
        elif left_surname != right_surname and near(left_surname) == near(right_surname):
            assert same_name


def test_an_alias_is_a_name_too(levels: Levels) -> None:
    register = record(town.REGISTER, "LI WEI", "リ ウェイ", alias_match=match_name("山田　花子").match)
    school = record(town.SCHOOL, "山田 花子", "ヤマダ ハナコ")
    found = levels(register, school)
    assert found["given_name"] in {"both", "kanji", "kanji_alone", "nearly_both"}
    assert found["household"].startswith("surname")
    assert levels(register | {"alias_match": None}, school)["given_name"] == "different"


def test_a_former_surname_is_a_surname(levels: Levels) -> None:
    home = "新曽2-3-1"
    register = record(town.REGISTER, "鈴木 結衣", address=home, former_surname_match="田中")
    school = record(town.SCHOOL, "田中 結衣", address=home)
    assert levels(register, school)["household"] == "surname_and_one"
    assert levels(register | {"former_surname_match": None}, school)["household"] == "other_surname_one"


def test_an_uncertain_birth_date_agrees_with_what_it_may_be(levels: Levels) -> None:
    one = record(town.REGISTER, "田中 結衣", "タナカ ユイ")
    month = {"birth_date__precision": "month"}
    may = month | {"birth_date__earliest": date(2015, 5, 1), "birth_date__latest": date(2015, 5, 31)}
    june = month | {"birth_date__earliest": date(2015, 6, 1), "birth_date__latest": date(2015, 6, 30)}
    school = record(town.SCHOOL, "田中 結衣", "タナカ ユイ", None)
    assert levels(one, school | may)["birth_date"] == "possible"
    assert levels(one, school | june)["birth_date"] == "different"


_FULL = {
    "name": "田中 結衣", "kana": "タナカ ユイ", "birth": date(2015, 5, 6), "address": "新曽2-3-1", "phone_match": "0480000001",
    "guardian_match": "田中恵子",
}  # fmt: skip


@settings(max_examples=30)
@given(st.sets(st.sampled_from(["kana", "birth", "address", "phone_match", "guardian_match", "sex"])))
def test_what_is_absent_never_counts_against_a_pair(absent: set[str]) -> None:
    values = _FULL | {item: None if item == "birth" else "" for item in absent if item != "sex"}
    name, kana, birth = values.pop("name"), values.pop("kana"), values.pop("birth")
    rest = {item: value or None for item, value in values.items() if item != "address"}
    model = load_model()
    with duckdb.connect() as con:
        town.empty_town(con)
        whole = {key: value for key, value in _FULL.items() if key not in {"name", "kana", "birth"}}
        one = record(town.HOSPITAL, str(_FULL["name"]), str(_FULL["kana"]), date(2015, 5, 6), **whole)
        other = record(town.SCHOOL, name, kana, birth, address=values["address"], **rest)
        town.write_identity(con, [one, other | ({"sex": "unknown"} if "sex" in absent else {})])
        prepare(con)
        read = comparisons()
        found = con.execute(
            f"select {', '.join(c.case_sql() for c in read)} from lnk_prepared as l, lnk_prepared as r where l.rid < r.rid"
        ).fetchone()
    assert found is not None
    for comparison, number in zip(read, found, strict=True):
        if number >= 0:
            m, u = model.pair(comparison, comparison.level(number).name)
            assert m > u, comparison.level(number).name


def test_a_guardian_s_given_name_holds_when_the_surname_changed(levels: Levels) -> None:
    home = "新曽2-3-1"
    child = record(town.REGISTER, "田中 結衣", household_number="H", address=home)
    school = record(town.SCHOOL, "鈴木 結衣", address=home, guardian_match="鈴木恵子")
    assert levels(child, school)["household"] == "other_surname_one"
    # the mother of the register is the guardian of the school under her former surname
    con = duckdb.connect()
    town.empty_town(con)
    mother = record(town.REGISTER, "田中 恵子", birth=date(1985, 3, 3), household_number="H", address=home)
    town.write_identity(con, [child, school, mother | {"source_record_id": "m", "relationship": "head"}])
    prepare(con)
    household = comparisons()[3]
    (level,) = con.execute(
        f"select {household.case_sql()} from lnk_prepared as l, lnk_prepared as r "
        "where l.source_record_id = 'res' and not r.is_register"
    ).fetchone() or (None,)
    con.close()
    assert household.level(level).name == "other_surname_two"
