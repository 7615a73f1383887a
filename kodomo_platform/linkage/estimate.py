"""What a run says of its own precision and recall where nobody knows the truth, with an interval, and what looks wrong.

Calibrated probabilities say how many of the links are expected to be false, and how many of the pairs that were asked about
or left apart are expected to be one child's. What no probability can see is added as doubt: a model that is wrong by as much
as it was on worlds that it was not learnt on (`CALIBRATION_DOUBT`), and pairs that were never compared (`sampling` sees those
no better). The clerical sample (`sampling.estimate`) is the check on this estimate: it asks people.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kodomo_platform.linkage.preparation import REGISTER

if TYPE_CHECKING:
    import duckdb

# on unseen worlds as many links were false, and pairs missed, as the probabilities said, within this factor
CALIBRATION_DOUBT = 3.0
# pairs of one child that share no key of any block, measured on unseen worlds
NEVER_COMPARED = 0.0005


@dataclass(frozen=True)
class Expected:
    """Shares with the interval in which they are expected to lie."""

    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_low: float
    recall_high: float

    def as_rows(self) -> list[tuple[str, float]]:
        return [(f"expected_{name}", value) for name, value in vars(self).items()]


def expected(links: float, doubt_in_links: float, missed: float) -> Expected:
    """From how many links there are, how many of them are expected to be false, and how many true pairs to be missed."""
    if not links:
        return Expected(1.0, 0.0, 1.0, 1.0, 0.0, 1.0)

    def precision(false: float) -> float:
        return max(0.0, 1 - false / links)

    def recall(lost: float) -> float:
        right = links - doubt_in_links
        return right / (right + lost) if right + lost else 1.0

    def upper(count: float) -> float:
        # a count that is expected may come out higher by chance (three are the 95 % limit of none)
        return CALIBRATION_DOUBT * count + 3 * math.sqrt(count + 0.25)

    return Expected(
        precision(doubt_in_links),
        precision(upper(doubt_in_links)),
        1.0,
        recall(missed + NEVER_COMPARED * links),
        recall(upper(missed) + 3 * NEVER_COMPARED * links),
        recall(missed / CALIBRATION_DOUBT),
    )


def write_estimate(con: duckdb.DuckDBPyConnection) -> Expected:
    """Table ``linkage.lnk_estimate(metric, value)`` of the pairs in ``lnk_settled``.

    A pair of records in one cluster counts as a link whether or not the two were compared; a chain is as doubtful as its most
    doubtful link.
    """
    row = con.execute(
        """
        with sizes as (select root, count(*) as size from lnk_group group by root),
        links as (select coalesce(sum(size * (size - 1) / 2), 0) as pairs from sizes),
        doubts as (
            select coalesce(sum((1 - e.probability) * greatest(z.size - 1, 1)), 0) as false
            from lnk_settled as e join lnk_group as g on g.rid = e.a join sizes as z on z.root = g.root
            where e.outcome = 'link' and e.kind = 'probabilistic'
                -- of a record's links the surest holds it
                and e.probability = (select max(s.probability) from lnk_settled as s where s.a = e.a and s.outcome = 'link')
        ),
        lost as (
            -- what is missed is a record that is not with its own: its likeliest pair tells, times the records that it lacks
            select coalesce(sum(likeliest * lacking), 0) as missed
            from (
                select greatest(x.root, y.root) as newcomer, max(e.probability) as likeliest,
                    max(l.size * r.size) as lacking
                from lnk_settled as e
                join lnk_group as x on x.rid = e.a join lnk_group as y on y.rid = e.b
                join sizes as l on l.root = x.root join sizes as r on r.root = y.root
                where e.outcome <> 'link' and e.kind = 'probabilistic' and x.root <> y.root
                group by 1
            )
        )
        select links.pairs, doubts.false, lost.missed from links, doubts, lost
        """
    ).fetchone() or (0, 0, 0)
    made = expected(float(row[0]), float(row[1]), float(row[2]))
    con.execute("create schema if not exists linkage")
    con.execute("create or replace table linkage.lnk_estimate (metric varchar, value double)")
    con.executemany("insert into linkage.lnk_estimate values (?, ?)", [list(entry) for entry in made.as_rows()])
    return made


# limits beyond which evidence is not what it is taken for: a share of the records of a source
_SYMPTOMS = {
    "no_birth_date": 0.5,  # most records without a usable birth date
    "no_kana": 0.9,  # in every source together: no reading to compare
    "shared_phone": 0.2,  # phones that many families share: an office's or the school's
    "one_surname": 0.2,  # one surname on so many children says little about a home
    "register_twice": 0.01,  # children of the register who stand there twice
    "shifted_dates": 0.2,  # linked records whose birth date differs from the register's by one and the same number of days
}


def write_symptoms(con: duckdb.DuckDBPyConnection, identity: str) -> list[tuple[str, str, float]]:
    """Table ``linkage.lnk_symptom(symptom, source, share)``: evidence that is not what it is taken for, beyond its limit.

    Returns:
        Its rows.
    """
    found = con.execute(
        f"""
        with shares as (
            select 'no_birth_date' as symptom, source, avg((birth_earliest is null)::int) as share, count(*) as records
            from lnk_prepared where is_young group by source
            union all
            select 'no_kana', '', avg((kana_match is null)::int), count(*) from lnk_prepared where is_young
            union all
            select 'shared_phone', p.source, avg((p.phone_match is null)::int), count(*)
            from lnk_prepared as p join {identity} as i on i.source = p.source and i.source_record_id = p.source_record_id
            where p.is_young and i.phone_match is not null group by p.source
            union all
            select 'one_surname', '', max(n) / sum(n), sum(n)
            from (select surname_match, count(*) as n from lnk_prepared where is_young and surname_match is not null group by 1)
            union all
            select 'register_twice', '{REGISTER}', count(e.a) / count(*), count(*)
            from lnk_prepared as p left join (
                select distinct a from lnk_settled where kind in ('register_duplicate', 'register_return')
            ) as e on e.a = p.rid
            where p.is_register and p.is_young
        )
        select symptom, source, share, records from shares where records >= 50
        """
    ).fetchall()
    shifted = con.execute(
        """
        with linked as (
            select o.source, o.birth_date - r.birth_date as days, count(*) as n
            from lnk_group as g join lnk_prepared as r on r.rid = g.rid and r.is_register and r.birth_exact
            join lnk_group as h on h.root = g.root join lnk_prepared as o on o.rid = h.rid
            where not o.is_register and o.birth_exact group by 1, 2
        )
        select 'shifted_dates', source, coalesce(max(n) filter (where days <> 0), 0) / sum(n), sum(n)
        from linked group by source having sum(n) >= 20
        """
    ).fetchall()
    rows = [
        (str(symptom), str(source), float(share))
        for symptom, source, share, _ in [*found, *shifted]
        if share is not None and share > _SYMPTOMS[symptom]
    ]
    con.execute("create schema if not exists linkage")
    con.execute("create or replace table linkage.lnk_symptom (symptom varchar, source varchar, share double)")
    if rows:
        con.executemany("insert into linkage.lnk_symptom values (?, ?, ?)", [list(row) for row in rows])
    return rows


__all__ = ["Expected", "expected", "write_estimate", "write_symptoms"]
