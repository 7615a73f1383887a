"""Which pairs hold, which a person must see."""

from __future__ import annotations

from datetime import date

from kodomo_platform.linkage.assignment import Assignment, Names, Node, Pair, assign, link_threshold, names_contradict

REGISTER = "resident.register"
SCHOOL = "education.enrolment"


def node(source: str, given: str | None = "花", kana: str | None = "ハナ", number: str | None = None) -> Node:
    return Node(source == REGISTER, source, number, given, kana)


def settle(nodes: list[Node], pairs: list[Pair], decided: list[tuple[int, int, str]] | None = None) -> Assignment:
    return assign(
        nodes,
        pairs,
        decided=decided or [],
        duplicate_free=(REGISTER, SCHOOL),
        match=0.99,
        review=0.2,
        margin_bits=4.0,
    )


def like(left: int, right: int, weight: float, given: int = 5) -> Pair:
    return Pair(left, right, "probabilistic", 1 / (1 + 2**-weight), weight, given)


def test_best_link_wins_and_the_register_stays_one_to_one() -> None:
    nodes = [node(REGISTER, number="1"), node(REGISTER, number="2"), node(SCHOOL)]
    pairs = [like(2, 0, 20), like(2, 1, 10)]
    state = settle(nodes, pairs)
    assert state.find(2) == state.find(0) != state.find(1)
    assert [pair.outcome for pair in pairs] == ["link", "apart"]


def test_a_second_candidate_nearly_as_good_is_asked_about() -> None:
    nodes = [node(REGISTER, number="1"), node(REGISTER, number="2"), node(SCHOOL)]
    pairs = [like(2, 0, 20), like(2, 1, 18)]
    state = settle(nodes, pairs)
    assert state.find(2) == 2
    assert [pair.outcome for pair in pairs] == ["review", "review"]


def test_twins_never_merge_by_likeness() -> None:
    nodes = [node(REGISTER, "花", "ハナ", "1"), node(SCHOOL, "華子", "ハナコ")]
    pairs = [like(1, 0, 30, given=0)]
    state = settle(nodes, pairs)
    assert state.find(0) != state.find(1)


def test_a_link_may_not_join_two_given_names_through_a_third_record() -> None:
    nodes = [node(REGISTER, "花", None, "1"), node(SCHOOL, None, "ハナ"), node("medical.flag", "華", "ハナ")]
    pairs = [like(1, 0, 30, given=5), like(2, 1, 25, given=3)]
    state = settle(nodes, pairs)
    assert state.find(0) == state.find(1) != state.find(2)


def test_decisions_hold_against_any_weight_and_through_third_records() -> None:
    nodes = [node(REGISTER, number="1"), node(SCHOOL), node("medical.flag")]
    pairs = [like(1, 0, 40), like(2, 1, 39)]
    state = settle(nodes, pairs, [(0, 2, "different")])
    assert state.find(0) == state.find(1) != state.find(2)
    assert pairs[1].outcome == "apart"  # decided: not asked again
    joined = settle(nodes, [], [(0, 2, "same")])
    assert joined.find(0) == joined.find(2)


def test_two_numbers_that_the_register_knows_never_meet_by_likeness() -> None:
    nodes = [node(REGISTER, number="1"), node("welfare.case", number="2")]
    state = settle(nodes, [like(1, 0, 40)])
    assert state.find(0) != state.find(1)


def test_a_number_conflict_is_queued_not_merged() -> None:
    nodes = [node(REGISTER, number="1"), node(SCHOOL, "太", "フトシ")]
    pairs = [Pair(1, 0, "conflict", 0.5, 0.0, 0)]
    state = settle(nodes, pairs)
    assert state.find(0) != state.find(1)
    assert pairs[0].outcome == "review"


def test_names_contradict_only_when_nothing_agrees() -> None:
    assert names_contradict(Names("花", "ハナ"), Names("太", "フトシ"))
    assert not names_contradict(Names("花", "ハナ"), Names("華", "ハナ"))
    assert not names_contradict(Names("花", None), Names(None, "ハナ"))


def test_a_name_written_without_a_blank_contradicts_nobody_of_the_same_whole_name() -> None:
    assert not names_contradict(Names("花菜", "ハナナ", "深津花菜"), Names(None, "ハハナナ", "深津花菜"))
    assert names_contradict(Names("花菜", "ハナナ", "深津花菜"), Names(None, "ハナミ", "深津花美"))


def test_a_slip_in_one_record_does_not_keep_another_from_the_register() -> None:
    nodes = [
        node(REGISTER, "美咲", "ミサキ", "1"),
        node(SCHOOL, "美咲", "ミサギ"),
        node("medical.flag", "美佐", "ミサキ"),
    ]
    pairs = [like(1, 0, 25, given=5), like(2, 0, 15, given=2)]
    state = settle(nodes, pairs)
    assert state.find(0) == state.find(1) == state.find(2)
    # without the register's word the two names stay two
    strangers = [node("welfare.case", "美咲", "ミサキ"), *nodes[1:]]
    state = settle(strangers, [like(1, 0, 25, given=5), like(2, 0, 15, given=2)])
    assert state.find(0) == state.find(1) != state.find(2)


def test_a_given_name_that_agrees_in_neither_writing_is_always_asked_about() -> None:
    # a twin whom the register lacks looks just so, however likely a slip is
    nodes = [node(REGISTER, "美咲", "ミサキ", "1"), node("medical.flag", "美先", "ミサギ")]
    pairs = [like(1, 0, 15, given=1)]
    assert settle(nodes, pairs).find(1) == 1
    assert (pairs[0].outcome, pairs[0].why) == ("review", "given_name_not_agreed")


def test_the_limit_of_a_link_follows_from_costs_and_from_the_town_s_own_doubts() -> None:
    # a clean town: what a false merge costs decides alone
    assert link_threshold([0.9999] * 50, 1000, false_merge_cost=99, precision=0.9999) == 0.99
    # one false merge as bad as a thousand missed links
    assert link_threshold([0.9999] * 50, 1000, false_merge_cost=999, precision=0.9999) == 0.999
    # a doubtful town: half of its links below certainty would be more false ones than it may expect
    doubtful = [0.9999] * 100 + [0.992] * 400
    assert link_threshold(doubtful, 1000, false_merge_cost=99, precision=0.9999) >= 0.992
    limit = link_threshold(
        sorted([0.9999] * 100 + [0.991 + place / 50_000 for place in range(400)]),
        1000,
        false_merge_cost=99,
        precision=0.9999,
    )
    assert 0.991 < limit < 0.9999


def test_twins_of_one_name_stay_two_everywhere() -> None:
    nodes = [node(REGISTER, number="1"), node(REGISTER, number="2"), node(SCHOOL), node(SCHOOL), node("medical.flag")]
    pairs = [like(a, b, 26) for a in (2, 3, 4) for b in (0, 1)] + [like(2, 3, 26), like(2, 4, 26), like(3, 4, 26)]
    state = settle(nodes, pairs)
    assert len({state.find(place) for place in range(5)}) == 5
    assert {pair.outcome for pair in pairs} <= {"review", "apart"}


def test_two_birth_years_that_no_slip_explains_are_asked_about() -> None:
    def born(source: str, day: date) -> Node:
        return Node(source == REGISTER, source, None, "花", "ハナ", birth=day)

    year_off = [born(REGISTER, date(2015, 5, 20)), born(SCHOOL, date(2014, 5, 20))]
    assert settle(year_off, [like(1, 0, 20)]).find(1) == 0
    other = [born(REGISTER, date(2015, 5, 20)), born("medical.flag", date(2013, 7, 2))]
    pairs = [like(1, 0, 20)]
    assert settle(other, pairs).find(1) == 1
    assert (pairs[0].outcome, pairs[0].why) == ("review", "two_birth_years")
    # nor through third records: each is a slip away from the next, and no date explains all
    days = (date(2014, 6, 5), date(2014, 5, 6), date(2015, 5, 6), date(2012, 6, 5))
    sources = ("medical.flag", SCHOOL, "welfare.case", "welfare.consultation")
    chain = [born(source, day) for source, day in zip(sources, days, strict=True)]
    state = settle(chain, [like(0, 1, 20), like(1, 2, 18), like(0, 3, 16)])
    assert state.find(0) == state.find(1) == state.find(2) != state.find(3)


def test_a_record_between_two_twins_is_asked_about_even_where_another_record_takes_its_side() -> None:
    def twin(given: str, kana: str, number: str) -> Node:
        return Node(True, REGISTER, number, given, kana, twins="H1|2019-10-03")

    # kanji of the one, kana of the other; the school's record has no kana
    nodes = [
        twin("遥馬", "ハルマ", "1"),
        twin("遥樹", "ハルキ", "2"),
        node("medical.flag", "遥馬", "ハルキ"),
        node(SCHOOL, "遥馬", None),
    ]
    pairs = [like(2, 3, 25, given=7), like(3, 0, 18, given=7), like(2, 0, 17, given=5), like(2, 1, 10, given=2)]
    state = settle(nodes, pairs)
    assert state.find(3) == state.find(0)
    assert state.find(2) == 2
    assert "review" in {pair.outcome for pair in pairs if 2 in (pair.left, pair.right)}
