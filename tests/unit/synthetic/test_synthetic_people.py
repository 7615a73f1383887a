"""The people of a twin hold together, whatever the seed."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.municipalities import DateStyle
from kodomo_platform.synthetic import rates
from kodomo_platform.synthetic.places import kanji_number, towns_of, write_addresses
from kodomo_platform.synthetic.population import check_digit, draw_people, grade_on, issue_numbers, stream
from kodomo_platform.synthetic.writing import write_date


@pytest.fixture(scope="module")
def town():
    towns = towns_of("112241", "戸田市")
    return draw_people("112241", towns, 6000, date(2024, 10, 1), date(2026, 10, 1), 5)


def test_children_are_as_many_as_asked_and_born_before_the_end(town) -> None:
    people, _homes = town
    assert people.child.sum() == 6000
    assert (people.birth < np.datetime64("2026-10-01")).all()


def test_rates_are_near_the_public_figures(town) -> None:
    people, homes = town
    assert abs(people.twin[people.child].mean() - 2 * rates.TWIN_DELIVERIES) < 0.01
    assert abs(homes.single.mean() - rates.SINGLE_PARENT) < 0.02
    assert abs(homes.foreign.mean() - rates.FOREIGN_HOUSEHOLDS) < 0.012


def test_twins_share_their_birth_day_and_household_but_not_their_name(town) -> None:
    people, _homes = town
    twins = np.flatnonzero(people.twin)
    later = [i for i in twins if i > 0 and people.household[i] == people.household[i - 1] and people.twin[i - 1]]
    assert later
    same_day = [people.birth[i] == people.birth[i - 1] for i in later]
    assert np.mean(same_day) > 0.9
    assert all(people.given[i] + people.given_kana[i] != people.given[i - 1] + people.given_kana[i - 1] for i in later)


def test_nobody_leaves_before_coming(town) -> None:
    people, _homes = town
    gone = ~np.isnat(people.left_on)
    assert (people.left_on[gone] > people.resident_since[gone]).all() or (people.left_reason[gone] == "died").any()
    assert (people.resident_since >= people.birth).all()


def test_phones_cannot_be_real(town) -> None:
    _people, homes = town
    assert all(phone.startswith("000-") for phone in homes.phone)


def test_numbers_differ_and_carry_their_check_digit() -> None:
    numbers = issue_numbers(5000, 10, stream(1, "x"))
    assert len(set(numbers)) == 5000
    whole = numbers.astype(np.int64)
    assert (check_digit(whole // 10, 9) == whole % 10).all()


@pytest.mark.parametrize(
    ("birth", "grade"), [("2020-04-01", 1), ("2020-04-02", 0), ("2019-04-02", 1), ("2011-04-02", 9), ("2011-04-01", 10)]
)
def test_school_year_runs_from_the_second_of_april(birth: str, grade: int) -> None:
    assert grade_on(np.array([birth], dtype="datetime64[D]"), np.datetime64("2026-10-01"))[0] == grade


@pytest.mark.parametrize(
    ("style", "era", "text"),
    [
        ("iso", "jis", "2022-12-20"),
        ("slash", "jis", "2022/12/20"),
        ("compact", "jis", "20221220"),
        ("wareki_kanji", "jis", "令和4年12月20日"),
        ("wareki_dot", "jis", "R4.12.20"),
        ("wareki_code", "jis", "5041220"),
        ("wareki_code", "odd", "9041220"),
        ("excel_serial", "jis", "44915"),
    ],
)
def test_dates_in_every_style(style: str, era: str, text: str) -> None:
    assert write_date(date(2022, 12, 20), DateStyle(style=style, era_codes=era)) == text


def test_eras_change_on_their_day() -> None:
    kanji = DateStyle(style="wareki_kanji")
    assert write_date(date(2019, 4, 30), kanji) == "平成31年4月30日"
    assert write_date(date(2019, 5, 1), kanji) == "令和元年5月1日"
    assert write_date(date(1989, 1, 7), kanji) == "昭和64年1月7日"


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=1, max_value=99))
def test_kanji_numbers_read_back(number: int) -> None:
    digits = {c: i for i, c in enumerate("〇一二三四五六七八九")}
    text = kanji_number(number)
    tens, _, ones = text.rpartition("十")
    value = (10 * (digits[tens] if tens else 1) if "十" in text else 0) + (digits[ones] if ones else 0)
    assert value == number


@pytest.mark.parametrize(
    ("code", "name", "city"),
    [("401307", "福岡市", "福岡市"), ("343021", "府中町", "安芸郡府中町"), ("230006", "", "市")],
)
def test_every_kind_of_body_finds_its_towns(code: str, name: str, city: str) -> None:
    towns = towns_of(code, name)
    assert len(towns) > 5
    assert all(city in text for text in towns.city)


def test_addresses_stay_inside_cp932(town) -> None:
    _people, homes = town
    for style in ("formal", "wide", "hyphen", "short"):
        for text in write_addresses(homes.towns, homes.address, style)[:500]:
            text.encode("cp932")
