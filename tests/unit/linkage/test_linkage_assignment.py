"""Which pairs hold, which a person must see."""

from __future__ import annotations

from kodomo_platform.linkage.assignment import Assignment, Node, Pair, assign, names_contradict

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
    assert names_contradict(("花", "ハナ"), ("太", "フトシ"))
    assert not names_contradict(("花", "ハナ"), ("華", "ハナ"))
    assert not names_contradict(("花", None), (None, "ハナ"))
