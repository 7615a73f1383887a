"""Raw texts are read once a row, whatever the number of conditions, and read as one by one."""

from __future__ import annotations

import unicodedata

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.catalog import load_catalog
from kodomo_platform.quality.engine import compile_check, read_configuration, register_functions
from kodomo_platform.quality.suites import load_suites
from kodomo_platform.quality.vocabulary import Reading, Target, given_text, literal, narrowed, numeral, read_once

from .conftest import AS_OF, fill

SOURCE, TABLE = "education.fees", "raw.raw_education__fees"


def target(item: str, kind: str | None = None, reading: Reading | None = None) -> Target:
    return Target(TABLE, SOURCE, item, {}, reading or Reading(), kind)


def test_a_text_is_read_once_however_many_conditions_speak_of_it() -> None:
    yen = target("unpaid_yen")
    conditions = [f"{yen.number()} > 1", f"{yen.number()} is null", f"{yen.given()} = 'x'", f"{yen.plain()} = 'y'"] * 5
    sql = read_once(yen.base, conditions, yen.reading)
    assert sql.count(given_text("unpaid_yen", ())) == 1
    for part in ("text", "plain", "number"):
        assert sql.count(f'as "unpaid_yen__{part}"') == 1
    assert "student_number__" not in sql, "what nobody asks for is not read"
    assert "/*" not in sql


def test_a_number_brings_the_texts_it_is_read_from() -> None:
    yen = target("unpaid_yen")
    sql = read_once(yen.base, [f"{yen.number()} > 1"], yen.reading)
    places = [sql.index(f'as "unpaid_yen__{part}"') for part in ("text", "plain", "number")]
    assert places == sorted(places, reverse=True), "each level stands inside the one that reads it"


def test_a_relation_without_places_stays_as_it_is() -> None:
    assert read_once("staging.stg_education__fees", ['"month__day" > 1'], Reading()) == "staging.stg_education__fees"


def test_every_place_of_a_nested_relation_is_filled() -> None:
    yen = target("unpaid_yen")
    nested = f"(select * from {yen.base} where {yen.number()} > (select avg({yen.number()}) from {yen.base}))"
    sql = read_once(nested, [], yen.reading)
    assert sql.count('as "unpaid_yen__number"') == 2
    assert "/*" not in sql


def test_what_is_read_once_is_what_is_read_alone(warehouse: duckdb.DuckDBPyConnection) -> None:
    texts = [" 1,200 ", "１２００", "△30", "▲ 5", "五百", "", " 　", "12.5", "1.2E+09", None, "-", "+7"]
    months = ["令和8年4月", "令和8年13月", None, "", "R8.4", "平成31年4月", *["令和8年5月"] * 6]
    fill(
        warehouse,
        SOURCE,
        [{"unpaid_yen": text, "month": month} for text, month in zip(texts, months, strict=True)],
    )
    register_functions(warehouse)
    reading = read_configuration(warehouse, AS_OF)
    yen, month = target("unpaid_yen", "int", reading), target("month", "month", reading)
    tokens = reading.tokens.get((SOURCE, "unpaid_yen"), ())
    text = given_text("unpaid_yen", tokens)
    day = given_text("month", reading.tokens.get((SOURCE, "month"), ()))
    function, style, eras = reading.days[SOURCE]["month"]
    together = read_once(yen.base, [yen.number(), yen.given(), yen.plain(), '"month__day"'], reading)
    assert month.given() == '"month__text"'
    once = warehouse.execute(
        f"select {yen.given()}, {yen.plain()}, {yen.number()}, month__day from {together} order by _row_number"
    ).fetchall()
    alone = warehouse.execute(
        f"select {text}, {narrowed(text)}, {numeral(narrowed(text))}, "
        f"{function}({day}, {literal(style)}, {literal(eras)}) "
        f"from {TABLE} order by _row_number"
    ).fetchall()
    assert once == alone
    assert [row[2] for row in once] == [1200, 1200, -30, -5, None, None, None, 12.5, None, None, None, 7]
    assert [row[3] is not None for row in once][:4] == [True, False, False, False]


def test_the_newest_extract_alone_counts_of_whole_ones(warehouse: duckdb.DuckDBPyConnection) -> None:
    fill(warehouse, SOURCE, [{"unpaid_yen": "1"}, {"unpaid_yen": "2"}])
    warehouse.execute(f"update {TABLE} set _extract_date = date '2026-09-01' where _row_number = 1")
    for whole, expected in ((frozenset({SOURCE}), [2.0]), (frozenset(), [1.0, 2.0])):
        yen = target("unpaid_yen", "int", Reading(as_of=AS_OF, whole_extracts=whole))
        sql = read_once(yen.base, [yen.number()], yen.reading)
        rows = warehouse.execute(f"select {yen.number()} from {sql} order by 1").fetchall()
        assert [value for (value,) in rows] == expected


def test_no_statement_of_the_suites_reads_a_text_twice_in_one_scan(warehouse: duckdb.DuckDBPyConnection) -> None:
    # Regression: a bundle of one table was a statement of a hundred kilobytes, which took longer to plan than to run
    reading = read_configuration(warehouse, AS_OF)
    checks = [
        compile_check(e, reading, load_catalog()) for e in load_suites()["raw.raw_resident__register"].expectations
    ]
    bundles: dict[str, list[str]] = {}
    for check in checks:
        bundles.setdefault(check.relation, []).extend((check.scope, check.violated))
    for relation, conditions in bundles.items():
        sql = read_once(relation, conditions, reading)
        bases = relation.count("/*text ")
        assert sql.count('as "birth_date__day"') <= max(1, bases)
        assert not any("kodomo_date(" in condition for condition in conditions)


@pytest.fixture(scope="module")
def plain() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


@given(st.text(alphabet="0129AZaz.,-+ １９Ａｚ．，－　ー／一ア〓", max_size=12))
def test_narrowing_is_what_unicode_calls_compatible(plain: duckdb.DuckDBPyConnection, text: str) -> None:
    row = plain.execute(
        f"select {narrowed('t')}, {numeral(narrowed('t'))} from (select ?::varchar as t)", [text]
    ).fetchone()
    assert row is not None
    by_unicode = unicodedata.normalize("NFKC", text).replace(" ", "").replace("ー", "-")
    assert row[0] == by_unicode
    try:
        number: float | None = float(by_unicode.replace(",", ""))
    except ValueError:
        number = None
    if row[1] is not None:
        assert row[1] == number
    elif number is not None:
        # what Python reads and a ledger does not write: a number that begins with its point
        assert by_unicode.replace(",", "").lstrip("+-").startswith(".")
