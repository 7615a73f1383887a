"""From scored pairs to links: which pairs hold, which a person must see. Pure Python, no database.

The surest pair goes first. A link is refused when it would give a cluster two register records, two trusted numbers,
two records of a source without duplicates, two birth years that no slip of the pen explains, or two given names that
contradict each other; when a person decided against it; or when a second candidate is nearly as good. Two records whose
given names agree neither in kanji nor in kana are never linked without a person: brothers and sisters, and twins of whom
the register lacks one, look just so.

What a decision costs says where the limits lie (`link_threshold`): a false merge shows somebody else's facts on a child, a
missed link is found later, and a question takes a clerk minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from kodomo_platform.linkage.evidence import DAYS_NEAR, GIVEN_AGREES, GIVEN_SURE

# a second record of one child in one source (a pupil of two schools) must be this certain
SECOND_RECORD_BITS = 13.0
LINK = "link"
REVIEW = "review"
APART = "apart"
# objections that a person may know better
_ASKED = frozenset({"", "names_contradict", "two_birth_years", "two_records_of_one_source"})


@dataclass(frozen=True)
class Node:
    """What assignment must know of a record."""

    register: bool
    source: str
    number: str | None
    given: str | None
    given_kana: str | None
    # a foreign name's whole readings (as spelled and as read), each with its parts in one order
    foreign: tuple[str, ...] = ()
    # surname and given name together: of a name written without a blank nobody knows where the given name begins
    whole: str | None = None
    # where the day is sure
    birth: date | None = None
    # of a register's child who has a twin there: what the two have in common
    twins: str | None = None
    # where there is no kana: how the kanji may be read
    readings: tuple[str, ...] = ()


class Names(NamedTuple):
    """What a record says of its person's name: given name in kanji and kana, and the whole name."""

    given: str | None
    kana: str | None
    whole: str | None = None
    # where there is no kana: how the kanji may be read
    readings: tuple[str, ...] = ()


@dataclass
class Pair:
    """A pair of records (positions in the node list), why it is there and what became of it."""

    left: int
    right: int
    kind: str  # number | exact | probabilistic | review | conflict | register_duplicate
    probability: float
    weight: float
    given_level: int = -1
    outcome: str = APART
    why: str = ""


@dataclass
class _Cluster:
    registers: int = 0
    sources: set[str] = field(default_factory=set)
    numbers: set[str] = field(default_factory=set)
    names: list[Names] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    births: set[date] = field(default_factory=set)
    forbidden: set[int] = field(default_factory=set)
    members: list[int] = field(default_factory=list)


def names_contradict(left: Names, right: Names) -> bool:
    """Both have a given name, and neither kanji nor kana agree, nor is the one's kanji read as the other's kana says."""
    if left.whole and left.whole == right.whole:
        return False
    if left.kana in right.readings or right.kana in left.readings:
        return False
    comparable = [(a, b) for a, b in zip(left[:2], right[:2], strict=True) if a and b]
    return bool(comparable) and all(a != b for a, b in comparable)


def births_near(left: date, right: date) -> bool:
    """What `evidence.birth_date` calls equal or near, in plain Python."""
    parts = (left.year == right.year) + (left.month == right.month) + (left.day == right.day)
    same_year = left.year == right.year
    swapped = same_year and (left.month, left.day) == (right.day, right.month)
    filled = same_year and (1, 1) in ((left.month, left.day), (right.month, right.day))
    return parts >= 2 or abs((left - right).days) <= DAYS_NEAR or swapped or filled


def one_birth(births: set[date]) -> bool:
    """Dates of one year; or of several, one of which every other is a slip of the pen away from: a year mistyped in one
    record is frequent and honest, two years that each stand alone are two people."""
    return len({day.year for day in births}) < 2 or any(
        all(births_near(centre, other) for other in births) for centre in births
    )


def readings_contradict(left: set[str], right: set[str]) -> bool:
    """Both hold foreign names, and none is a part of one of the other's (a middle name left out)."""
    if not left or not right:
        return False
    ours, theirs = [set(name.split(" ")) for name in left], [set(name.split(" ")) for name in right]
    return not any(a <= b or b <= a for a in ours for b in theirs)


class Assignment:
    """Clusters that grow link by link."""

    def __init__(self, nodes: Sequence[Node], duplicate_free: Iterable[str]) -> None:
        self._parent = list(range(len(nodes)))
        self._nodes = nodes
        self._duplicate_free = frozenset(duplicate_free)
        self._clusters: dict[int, _Cluster] = {}

    def find(self, node: int) -> int:
        parent = self._parent
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def _cluster(self, root: int) -> _Cluster:
        cluster = self._clusters.get(root)
        if cluster is None:
            node = self._nodes[root]
            cluster = _Cluster(
                registers=int(node.register),
                sources={node.source} & self._duplicate_free,
                numbers={node.number} if node.number else set(),
                names=[self._own_names(root)],
                foreign=set(node.foreign),
                births={node.birth} if node.birth else set(),
                members=[root],
            )
            self._clusters[root] = cluster
        return cluster

    def forbid(self, left: int, right: int) -> None:
        """The two records are different people."""
        self._cluster(self.find(left)).forbidden.add(right)
        self._cluster(self.find(right)).forbidden.add(left)

    def forbidden(self, left: int, right: int) -> bool:
        first, second = self._cluster(self.find(left)), self._cluster(self.find(right))
        return any(node in first.forbidden for node in second.members) if first.forbidden else False

    def objection(self, left: int, right: int, *, likeness: bool, weight: float = 0.0) -> str:
        """Why the two may not be one person, or an empty string.

        ``likeness``: the pair rests on likeness alone, so that the stricter rules hold. What is compared with a record of
        the register itself is held against the register's names alone: that another record of the child has a slip of
        its own in the name says nothing against it.
        """
        one, two = self.find(left), self.find(right)
        if one == two:
            return ""
        a, b = self._cluster(one), self._cluster(two)
        if self.forbidden(left, right):
            return "decided_different"
        if a.registers and b.registers:
            return "two_register_records"
        if not likeness:
            return ""
        if a.numbers and b.numbers and not a.numbers & b.numbers:
            return "two_numbers"
        if a.sources & b.sources and weight < SECOND_RECORD_BITS:
            return "two_records_of_one_source"
        if not one_birth(a.births | b.births):
            return "two_birth_years"
        ours, theirs = self._names_for(left, a), self._names_for(right, b)
        if any(names_contradict(x, y) for x in ours for y in theirs):
            return "names_contradict"
        if readings_contradict(a.foreign, b.foreign):
            return "names_contradict"
        return ""

    def _own_names(self, node: int) -> Names:
        one = self._nodes[node]
        return Names(one.given, one.given_kana, one.whole, one.readings)

    def _names_for(self, node: int, cluster: _Cluster) -> list[Names]:
        return [self._own_names(node)] if self._nodes[node].register else cluster.names

    def union(self, left: int, right: int) -> None:
        one, two = sorted((self.find(left), self.find(right)))
        if one == two:
            return
        a, b = self._cluster(one), self._cluster(two)
        self._parent[two] = one
        a.registers += b.registers
        a.sources |= b.sources
        a.numbers |= b.numbers
        a.names += [name for name in b.names if name not in a.names]
        a.foreign |= b.foreign
        a.births |= b.births
        a.forbidden |= b.forbidden
        a.members += b.members
        del self._clusters[two]

    def has_register(self, node: int) -> bool:
        return self._cluster(self.find(node)).registers > 0

    def size(self, node: int) -> int:
        return len(self._cluster(self.find(node)).members)


def link_threshold(probabilities: Sequence[float], sure: int, *, false_merge_cost: float, precision: float) -> float:
    """The probability from which a town's likely pairs are linked.

    Two limits, both from what the town's own pairs say. A link pays when what a false merge costs times its chance stays
    below what a missed link costs: p ≥ cost / (1 + cost). And all links together may hold no more than a share of
    ``1 - precision`` of expected false ones: in a town with many doubtful pairs the limit is higher.

    Args:
        probabilities: of the likely pairs.
        sure: links that need no likeness (numbers, exact keys).
        false_merge_cost: how many missed links one false merge outweighs.
    """
    least = false_merge_cost / (1 + false_merge_cost)
    expected, links = 0.0, sure
    limit = 1.0
    for probability in sorted((p for p in probabilities if p >= least), reverse=True):
        expected, links = expected + 1 - probability, links + 1
        # half an expected false pair is none: a hamlet could else link nobody
        if expected > max((1 - precision) * links, 0.5):
            return limit
        limit = probability
    return least


def assign(
    nodes: Sequence[Node],
    pairs: list[Pair],
    *,
    decided: Sequence[tuple[int, int, str]],
    duplicate_free: Iterable[str],
    match: float,
    review: float,
    margin_bits: float,
) -> Assignment:
    """Settle every pair's ``outcome`` (in place) and return the clusters.

    Pairs must come in a fixed order; ties are broken by it, so the same input gives the same links.
    """
    state = Assignment(nodes, duplicate_free)
    known = {}
    for left, right, decision in decided:
        known[frozenset((left, right))] = decision
        if decision == "different":
            state.forbid(left, right)
    for left, right, decision in decided:
        if decision == "same" and not state.forbidden(left, right):
            state.union(left, right)

    for pair in sorted(pairs, key=lambda p: p.kind != "register_return"):
        if pair.kind in {"number", "exact", "register_return"}:
            objection = (
                ""
                if pair.kind == "register_return" and not state.forbidden(pair.left, pair.right)
                else state.objection(pair.left, pair.right, likeness=False)
            )
            if objection:
                pair.outcome, pair.why = (APART if objection == "decided_different" else REVIEW), objection
            else:
                state.union(pair.left, pair.right)
                pair.outcome = LINK
        elif pair.kind in {"conflict", "register_duplicate"}:
            pair.outcome, pair.why = REVIEW, pair.kind

    likely = sorted(
        (pair for pair in pairs if pair.kind == "probabilistic"), key=lambda p: (-p.weight, p.left, p.right)
    )
    by_record: dict[int, list[Pair]] = {}
    for pair in likely:
        by_record.setdefault(pair.left, []).append(pair)
        by_record.setdefault(pair.right, []).append(pair)
    between = _between_twins(nodes, likely)
    for pair in likely:
        if pair.probability < match:
            break
        if state.find(pair.left) == state.find(pair.right):
            pair.outcome = LINK
            continue
        if pair.given_level < GIVEN_AGREES:
            pair.outcome, pair.why = REVIEW, "given_name_not_agreed"
            continue
        objection = state.objection(pair.left, pair.right, likeness=True, weight=pair.weight)
        if objection:
            pair.outcome, pair.why = (APART if objection == "decided_different" else REVIEW), objection
            continue
        if {pair.left, pair.right} & between or _rivalled(state, pair, by_record, margin_bits):
            pair.outcome, pair.why = REVIEW, "second_candidate"
            continue
        state.union(pair.left, pair.right)
        pair.outcome = LINK
    for pair in likely:
        if pair.outcome == APART and not pair.why and pair.probability >= review:
            pair.outcome, pair.why = REVIEW, "uncertain"

    _thin_out(state, pairs, known)
    return state


def _rivalled(
    state: Assignment,
    pair: Pair,
    by_record: dict[int, list[Pair]],
    margin_bits: float,
) -> bool:
    """Another register person is nearly as good a partner for a record of this pair; or the register has two for each of
    two records (twins of one name): whose they are, nobody knows, so neither that they are one's."""
    if _torn(state, pair.left, by_record, margin_bits) and _torn(state, pair.right, by_record, margin_bits):
        return True
    for record, partner in ((pair.left, pair.right), (pair.right, pair.left)):
        if not state.has_register(partner) or state.has_register(record):
            continue
        for other in by_record[record]:
            if other.weight < pair.weight - margin_bits:
                break
            rival = other.right if other.left == record else other.left
            if (
                other is not pair
                and other.given_level >= GIVEN_AGREES
                and state.find(rival) != state.find(partner)
                and state.has_register(rival)
            ):
                return True
    return False


def _between_twins(nodes: Sequence[Node], likely: Sequence[Pair]) -> set[int]:
    """Records that agree with one of the register's twins in kanji and with the other in kana, however the weights stand:
    whose name the slip is in, nobody knows."""
    met: dict[tuple[int, str], dict[int, int]] = {}
    for pair in likely:
        if pair.given_level >= GIVEN_AGREES:
            for record, other in ((pair.left, pair.right), (pair.right, pair.left)):
                twins = nodes[other].twins
                if twins is not None and not nodes[record].register:
                    met.setdefault((record, twins), {})[other] = pair.given_level
    return {record for (record, _), levels in met.items() if len(levels) > 1 and max(levels.values()) < GIVEN_SURE}


def _torn(state: Assignment, record: int, by_record: dict[int, list[Pair]], margin_bits: float) -> bool:
    """The record has no register person yet, and two are nearly as good for it."""
    if state.has_register(record):
        return False
    found: set[int] = set()
    best = None
    for pair in by_record.get(record, ()):
        other = pair.right if pair.left == record else pair.left
        if pair.given_level < GIVEN_AGREES or not state.has_register(other):
            continue
        best = pair.weight if best is None else best
        if pair.weight < best - margin_bits:
            break
        found.add(state.find(other))
    return len(found) > 1


def _thin_out(state: Assignment, pairs: list[Pair], known: dict[frozenset[int], str]) -> None:
    """A person sees each open question once: the best pairs of a record that is not settled yet."""
    asked: dict[int, int] = {}
    for pair in sorted(
        (p for p in pairs if p.outcome == REVIEW), key=lambda p: (p.kind == "probabilistic", -p.weight, p.left, p.right)
    ):
        if frozenset((pair.left, pair.right)) in known or state.find(pair.left) == state.find(pair.right):
            pair.outcome = APART
            continue
        if pair.kind in {"conflict", "register_duplicate"}:
            # a stranger's number on a record that found its own person is no question
            if pair.probability == 0.0 and state.has_register(pair.left):
                pair.outcome = APART
            continue
        # where the link could not be made anyway, nobody is asked: a twin whose own record is settled is no question
        impossible = state.objection(pair.left, pair.right, likeness=True) not in _ASKED
        newcomer = min((side for side in (pair.left, pair.right) if not state.has_register(side)), default=pair.left)
        limit = 2 if pair.why == "second_candidate" else 1
        root = state.find(newcomer)
        if impossible or asked.get(root, 0) >= limit:
            pair.outcome = APART
            continue
        asked[root] = asked.get(root, 0) + 1
