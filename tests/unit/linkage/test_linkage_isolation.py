"""A cluster that contradicts itself loses its weakest record, and only that."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from kodomo_platform.linkage.assignment import Names
from kodomo_platform.linkage.isolation import Link, Member, separate

REGISTER, SCHOOL, HOSPITAL, CASE = "resident.register", "education.enrolment", "medical.flag", "welfare.case"
DAY = date(2015, 5, 20)


def member(rid: int, source: str, **other: Any) -> Member:
    told: dict[str, Any] = {"number": None, "birth": DAY, "sex": "female", "names": Names("花", "ハナ", "佐藤花")}
    return Member(rid, source, **told | other)


def child() -> list[Member]:
    return [member(1, REGISTER, number="1"), member(2, SCHOOL), member(3, HOSPITAL)]


LINKS = [Link(2, 1, "number", 99.0), Link(3, 1, "probabilistic", 20.0)]
TWIN_NAMES = Names("花菜", "ハナナ", "佐藤花菜")


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (member(4, CASE, birth=date(2012, 7, 2)), "two_birth_years"),
        (member(4, CASE, sex="male"), "two_sexes"),
        (member(4, CASE, number="2"), "two_numbers"),
        (member(4, SCHOOL), "two_records_of_one_source"),
        (member(4, REGISTER, number="2"), "two_register_records"),
    ],
)
def test_the_odd_record_goes_and_the_rest_stays(odd: Member, why: str) -> None:
    found = separate([*child(), odd], [*LINKS, Link(4, 3, "probabilistic", 14.0)])
    assert found == {(4, 3): why}


def test_what_a_number_or_a_person_vouches_for_is_no_contradiction() -> None:
    odd = member(4, CASE, birth=date(2012, 7, 2), sex="male", names=TWIN_NAMES)
    for kind in ("number", "review"):
        assert separate([*child(), odd], [*LINKS, Link(4, 1, kind, 99.0)]) == {}
    # but whom it brings along is looked at for itself
    other = member(5, "welfare.consultation", birth=date(2012, 7, 2))
    found = separate([*child(), odd, other], [*LINKS, Link(4, 1, "number", 99.0), Link(5, 4, "probabilistic", 15.0)])
    assert found == {(5, 4): "two_birth_years"}


def test_a_year_mistyped_once_stays() -> None:
    slip = member(4, CASE, birth=date(2014, 5, 20))
    assert separate([*child(), slip], [*LINKS, Link(4, 1, "probabilistic", 12.0)]) == {}


def test_a_return_to_the_register_is_one_child() -> None:
    back = member(4, REGISTER, number="2")
    assert separate([*child(), back], [*LINKS, Link(4, 1, "register_return", 0.0)]) == {}


def test_a_record_that_says_the_same_may_come_twice_and_may_have_its_sex_mistyped() -> None:
    again = member(4, SCHOOL, sex="male")
    assert separate([*child(), again], [*LINKS, Link(4, 1, "probabilistic", 25.0, same=True)]) == {}


def test_where_a_twin_is_known_no_name_may_contradict_another_record_s() -> None:
    # Regression: a twin without kana in the register drew the brother's record into its cluster
    twin = member(1, REGISTER, number="1", names=Names("花", None, "佐藤花"), has_twin=True)
    school = member(2, SCHOOL, names=Names("花", "ハナ", "佐藤花"))
    sister = member(3, HOSPITAL, names=Names(None, "ハル", None))
    links = [Link(2, 1, "exact", 50.0), Link(3, 1, "probabilistic", 9.0)]
    assert separate([twin, school, sister], links) == {(3, 1): "twins_known"}
    alone = member(1, REGISTER, number="1", names=Names("花", None, "佐藤花"))
    assert separate([alone, school, sister], links) == {}


def test_the_surest_links_are_laid_first() -> None:
    two = [member(1, CASE, birth=DAY), member(2, HOSPITAL, birth=DAY), member(3, "x", birth=date(2010, 1, 2))]
    found = separate(two, [Link(1, 3, "probabilistic", 10.0), Link(1, 2, "probabilistic", 20.0)])
    assert found == {(1, 3): "two_birth_years"}
