"""No cluster that contradicts itself is left standing: the weaker record is separated, asked about and counted.

What belongs here: the last look at finished clusters, each as a whole. Which pairs are likely is `likeness`' business, which
of them are linked `assignment`'s. A chain of links, each good in itself, can still join two people: a record of an
exclusive source twice, two years of birth, two numbers of the register, two sexes, a twin's given name. One such record
must neither stand on the child (somebody else's facts) nor stop the town (nobody's facts are shown). So its link becomes a
question, and until it is answered the record is a child of its own.

What a number or a person vouches for is no contradiction: a mistyped year in a record that bears the child's number, and
whose name agrees, is that child's record with a slip in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from kodomo_platform.linkage.assignment import LINK, REVIEW, Names, names_contradict, one_birth
from kodomo_platform.linkage.preparation import DUPLICATE_FREE, REGISTER

if TYPE_CHECKING:
    import duckdb

# why a link was taken apart; `watch` counts them, `review` shows them
TWO_REGISTER_RECORDS = "two_register_records"
TWO_NUMBERS = "two_numbers"
TWO_BIRTH_YEARS = "two_birth_years"
TWO_RECORDS = "two_records_of_one_source"
TWO_SEXES = "two_sexes"
TWINS_KNOWN = "twins_known"
REASONS = (TWO_REGISTER_RECORDS, TWO_NUMBERS, TWO_BIRTH_YEARS, TWO_RECORDS, TWO_SEXES, TWINS_KNOWN)
# before the reason, so that a link that was taken apart is told from one that was never made
PREFIX = "isolated_"

# what vouches for a record whatever it says: a person, the number that both bear, a return to the register
VOUCHED = frozenset({"review", "number", "register_return"})
_TRUST = {"review": 0, "register_return": 1, "number": 2, "exact": 3}
# SQL: numbers of the register that other records bear; one that is another person's by name and date says nothing here
_KNOWN_NUMBERS = """
    select p.rid, r.source_record_id as number
    from lnk_prepared as p join lnk_prepared as r on r.is_register and r.source_record_id = p.resident_number
    anti join (select a from lnk_pair where kind = 'conflict') as c on c.a = p.rid
    where not p.is_register
"""


@dataclass(frozen=True)
class Member:
    """What the last look must know of a record."""

    rid: int
    source: str
    # the register's number, or one that the register knows
    number: str | None
    birth: date | None
    sex: str | None
    names: Names
    # of a register's child who has a twin there
    has_twin: bool = False


@dataclass(frozen=True)
class Link:
    """A standing link; ``same``: name, birth date, home and sex are said alike on both sides."""

    left: int
    right: int
    kind: str
    weight: float
    same: bool = False


@dataclass
class _Part:
    members: list[Member]
    # records that are here because a number or a person says so
    vouched: set[int] = field(default_factory=set)
    # records that say the same as another one of the part
    repeated: set[int] = field(default_factory=set)
    # records that say the same as another one but for the sex: mistyped
    excused: set[int] = field(default_factory=set)
    returns: int = 0


def contradiction(part: _Part) -> str:
    """Why the records cannot all be one person's, or an empty string."""
    members = part.members
    registers = sum(member.source == REGISTER for member in members)
    if registers - 1 > part.returns:
        return TWO_REGISTER_RECORDS
    numbers = {member.number for member in members if member.number and member.rid not in part.vouched}
    if len(numbers) - 1 > part.returns:
        return TWO_NUMBERS
    doubted = [member for member in members if member.source == REGISTER or member.rid not in part.vouched]
    if not one_birth({member.birth for member in doubted if member.birth}):
        return TWO_BIRTH_YEARS
    for source in DUPLICATE_FREE:
        of_source = [member.rid for member in members if member.source == source]
        unsure = [rid for rid in of_source if rid not in part.vouched and rid not in part.repeated]
        if source != REGISTER and len(of_source) > 1 and unsure:
            return TWO_RECORDS
    if len({member.sex for member in doubted if member.sex and member.rid not in part.excused}) > 1:
        return TWO_SEXES
    if any(member.has_twin for member in members):
        names = [member.names for member in doubted]
        if any(names_contradict(one, other) for place, one in enumerate(names) for other in names[place + 1 :]):
            return TWINS_KNOWN
    return ""


def separate(members: Iterable[Member], links: Iterable[Link]) -> dict[tuple[int, int], str]:
    """Links of one cluster that must not stand → why; the surest links are laid again one by one, and a link that would
    join what contradicts itself is left out, as are those that would only repeat it."""
    parts = {member.rid: _Part([member]) for member in members}
    known = {member.rid: member for rid, part in parts.items() for member in part.members}
    ordered = sorted(links, key=lambda link: (_TRUST.get(link.kind, 9), -link.weight, link.left, link.right))
    refused: dict[tuple[int, int], str] = {}
    for link in ordered:
        left, right = parts[link.left], parts[link.right]
        vouched = {link.left, link.right} if link.kind in VOUCHED else set()
        # the left side of a number's link is the record that bears it; its anchor is vouched for by the register alone
        if link.kind == "number":
            vouched = {link.left}
        repeated = {link.left, link.right} if link.same else set()
        excused: set[int] = set()
        if link.same and {known[link.left].sex, known[link.right].sex} == {"female", "male"}:
            excused = {link.right if known[link.left].source == REGISTER else link.left}
        returns = int(link.kind in {"review", "register_return"})
        if left is right:
            left.vouched |= vouched
            left.repeated |= repeated
            left.excused |= excused
            continue
        joined = _Part(
            left.members + right.members,
            left.vouched | right.vouched | vouched,
            left.repeated | right.repeated | repeated,
            left.excused | right.excused | excused,
            left.returns + right.returns + returns,
        )
        why = "" if link.kind == "review" else contradiction(joined)
        if why:
            refused[(link.left, link.right)] = why
            continue
        for member in joined.members:
            parts[member.rid] = joined
    return {(left, right): why for (left, right), why in refused.items() if parts[left] is not parts[right]}


def isolate(con: duckdb.DuckDBPyConnection, levels: str, same: str) -> dict[str, int]:
    """Turn links of ``lnk_settled`` that join what contradicts itself into questions.

    Args:
        levels: SQL of the comparisons' levels over ``lnk_prepared`` as l and r.
        same: SQL condition on these levels under which two records say the same.

    Returns:
        Counts of questions per reason (``isolated_`` and the reason).
    """
    _suspects(con)
    members, links = _read(con, levels, same)
    apart: list[tuple[int, int, str]] = []
    for root, of_cluster in members.items():
        found = separate(of_cluster, links.get(root, ()))
        asked: set[frozenset[int]] = set()
        places = _parts_without(of_cluster, links.get(root, ()), found)
        for (left, right), why in found.items():
            # one question per two parts: the surest link that was taken apart
            key = frozenset((places[left], places[right]))
            apart.append((left, right, PREFIX + why if key not in asked else ""))
            asked.add(key)
    counts = dict.fromkeys((PREFIX + reason for reason in REASONS), 0)
    for _, _, why in apart:
        if why:
            counts[why] += 1
    if apart:
        _take_apart(con, apart)
    con.execute("drop table if exists lnk_suspect")
    return counts


def _parts_without(
    members: Iterable[Member], links: Iterable[Link], refused: dict[tuple[int, int], str]
) -> dict[int, int]:
    above = {member.rid: member.rid for member in members}

    def root(rid: int) -> int:
        while above[rid] != rid:
            rid = above[rid]
        return rid

    for link in links:
        if (link.left, link.right) not in refused:
            one, two = sorted((root(link.left), root(link.right)))
            above[two] = one
    return {rid: root(rid) for rid in above}


def _suspects(con: duckdb.DuckDBPyConnection) -> None:
    """Temporary table ``lnk_suspect(rid, root)``: records of clusters worth the last look."""
    exclusive = [source for source in DUPLICATE_FREE if source != REGISTER]
    con.execute(
        f"""
        create or replace temp table lnk_suspect as
        with known as ({_KNOWN_NUMBERS}),
        members as (
            select g.rid, g.root, p.source, p.is_register, p.sex, p.birth_date, p.birth_exact,
                case when p.is_register then p.source_record_id else k.number end as number,
                coalesce(p.given_near, p.given_match) as given, p.given_kana_match as kana, t.rid is not null as has_twin
            from lnk_group as g join lnk_prepared as p on p.rid = g.rid
            left join known as k on k.rid = p.rid
            left join lnk_twin as t on t.rid = p.rid
        ),
        odd as (
            select root from members group by root
            having count(*) > 1 and (
                count(*) filter (where is_register) > 1
                or count(distinct number) > 1
                or count(distinct year(birth_date)) filter (where birth_exact) > 1
                or count(distinct sex) > 1
                or {" or ".join(f"count(*) filter (where source = '{source}') > 1" for source in exclusive)}
                or (bool_or(has_twin) and count(distinct given) > 1 and count(distinct kana) > 1)
            )
        )
        select rid, root from members semi join odd using (root)
        """
    )


def _read(
    con: duckdb.DuckDBPyConnection, levels: str, same: str
) -> tuple[dict[int, list[Member]], dict[int, list[Link]]]:
    members: dict[int, list[Member]] = {}
    for root, rid, source, number, birth, sex, given, kana, whole, has_twin, readings in con.execute(
        f"""
        with known as ({_KNOWN_NUMBERS})
        select s.root, s.rid, p.source,
            case when p.is_register then p.source_record_id else k.number end,
            case when p.birth_exact then p.birth_date end, p.sex,
            case when not p.is_foreign then coalesce(p.given_near, p.given_match) end,
            p.given_kana_match, case when not p.is_foreign then coalesce(p.name_near, p.name_match) end,
            t.rid is not null, coalesce(p.given_readings, [])
        from lnk_suspect as s join lnk_prepared as p on p.rid = s.rid
        left join known as k on k.rid = p.rid
        left join lnk_twin as t on t.rid = p.rid
        order by s.root, s.rid
        """
    ).fetchall():
        members.setdefault(root, []).append(
            Member(rid, source, number, birth, sex, Names(given, kana, whole, tuple(readings)), has_twin)
        )
    links: dict[int, list[Link]] = {}
    for root, left, right, kind, weight, alike in con.execute(
        f"""
        with standing as (
            select g.root, e.a, e.b, e.kind, e.weight, {levels}
            from lnk_settled as e join lnk_suspect as g on g.rid = e.a
            join lnk_prepared as l on l.rid = e.a join lnk_prepared as r on r.rid = e.b
            where e.outcome = '{LINK}'
        )
        select root, a, b, kind, weight, coalesce({same}, false) from standing order by root, a, b
        """
    ).fetchall():
        links.setdefault(root, []).append(Link(left, right, kind, float(weight), bool(alike)))
    return members, links


def _take_apart(con: duckdb.DuckDBPyConnection, apart: list[tuple[int, int, str]]) -> None:
    import pyarrow as pa

    left, right, why = zip(*apart, strict=True)
    con.register(
        "lnk_incoming",
        pa.table(
            {"a": pa.array(left, pa.int32()), "b": pa.array(right, pa.int32()), "why": pa.array(why, pa.string())}
        ),
    )
    con.execute("create or replace temp table lnk_apart_now as from lnk_incoming")
    con.unregister("lnk_incoming")
    con.execute(
        f"update lnk_settled set outcome = case when n.why = '' then 'apart' else '{REVIEW}' end, why = n.why "
        "from lnk_apart_now as n where n.a = lnk_settled.a and n.b = lnk_settled.b "
        f"and lnk_settled.outcome = '{LINK}'"
    )
    con.execute("drop table lnk_apart_now")


__all__ = ["REASONS", "Link", "Member", "contradiction", "isolate", "separate"]
