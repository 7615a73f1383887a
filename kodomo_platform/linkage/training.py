"""Learning the linkage model's weights. Its own job, run when asked; weekly runs only use what was approved.

m (how often a level is seen among true pairs) is counted on labelled pairs of half of the people (the other half is
kept for `blind_test`): a truth where there is one, else the pairs that numbers linked, which need no likeness to be found. u is counted on random pairs of strangers (labelled, of two households); a level too rare to be counted
there keeps its former value, and the former model's m weighs as some labelled pairs more. Nothing random: pairs are drawn by hash, so the same input gives the same model.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import comparisons
from kodomo_platform.linkage.likeness import LEAST_PEOPLE
from kodomo_platform.linkage.model import SHIPPED, LinkageModel, load_model, write_model
from kodomo_platform.linkage.preparation import prepare

_FEWEST = 30  # a level seen less often than this among random pairs is too rare to be counted
_FEWEST_PAIRS = 100
_STRANGERS = 1500  # records per municipality whose pairs with each other are looked at
# the former model counts as so many labelled pairs more, so that few pairs move a weight little
_PRIOR_PAIRS = 50
# given names that differ must stay strong evidence, however dirty the labels are: siblings and twins
_MOST_DIFFERENT_GIVEN = 0.0005


def train_linkage_model(
    warehouses: Sequence[Path], out: Path, *, version: str, truths: Sequence[Path] = (), base: Path = SHIPPED
) -> LinkageModel:
    """Count levels over linked warehouses and write a model file to ``out``.

    Args:
        truths: per warehouse a CSV of source, source_record_id, person_id; without it number links are the labels.

    Raises:
        LinkageError: too few labelled pairs to learn from, or a truth for some warehouses only.
    """
    if truths and len(truths) != len(warehouses):
        raise LinkageError("a truth is needed for every municipality, or for none")
    before = load_model(base)
    true: dict[str, Counter[int]] = {comparison.name: Counter() for comparison in comparisons()}
    rest: dict[str, Counter[int]] = {comparison.name: Counter() for comparison in comparisons()}
    labelled = people = 0
    for place, path in enumerate(warehouses):
        pairs, strangers = _count(path, truths[place] if truths else None, true, rest)
        labelled, people = labelled + pairs, people + strangers
    if labelled < _FEWEST_PAIRS:
        raise LinkageError(
            f"{labelled} labelled pairs are too few to learn from",
            expected=f"at least {_FEWEST_PAIRS}",
            action="add municipalities, or keep the shipped model",
        )
    weights: dict[str, dict[str, list[float]]] = {}
    for comparison in comparisons():
        levels = [level for level in comparison.levels if level.number >= 0]
        total_true = sum(true[comparison.name][level.number] for level in levels)
        total_rest = sum(rest[comparison.name][level.number] for level in levels)
        weights[comparison.name] = {}
        for level in levels:
            m, u = before.pair(comparison, level.name)
            m = (true[comparison.name][level.number] + _PRIOR_PAIRS * m) / (total_true + _PRIOR_PAIRS)
            if rest[comparison.name][level.number] >= _FEWEST:
                # the few people of a small town say little about how common a name is among all
                seen = rest[comparison.name][level.number] / total_rest
                u = (people * seen + LEAST_PEOPLE * u) / (people + LEAST_PEOPLE)
            if comparison.name == "given_name" and level.number == 0:
                m = min(m, _MOST_DIFFERENT_GIVEN)
            weights[comparison.name][level.name] = [float(f"{m:.6g}"), float(f"{u:.6g}")]
    content: dict[str, Any] = {
        "version": version,
        "match": before.match,
        "review": before.review,
        "margin_bits": before.margin_bits,
        "weights": weights,
        "training": {"labelled_pairs": labelled, "labels": "truth" if truths else "numbers", "base": before.sha256},
    }
    # how probable a pair is, given its evidence, is learnt on many towns: a town's own pairs are too few for it
    probability = json.loads(before.text).get("probability")
    if probability is not None:
        content["probability"] = probability
    return write_model(out, content)


def _count(
    warehouse: Path, truth: Path | None, true: dict[str, Counter[int]], rest: dict[str, Counter[int]]
) -> tuple[int, int]:
    """Count levels into ``true`` and ``rest``; returns how many labelled pairs and how many strangers were looked at."""
    from kodomo_platform.linkage.blind_test import TRAINING_HALF, hidden_numbers, label_by_number

    con = hidden_numbers(warehouse)
    try:
        prepare(con, "linkage.lnk_identity")
        if truth is None:
            label_by_number(con)
        else:
            con.execute(
                "create or replace temp table labels as select p.rid, t.person_id as person, hash(t.person_id) % 2 "
                "as half from lnk_prepared as p "
                "join read_csv(?, all_varchar = true) as t using (source, source_record_id)",
                [str(truth)],
            )
        cases = ", ".join(case.case_sql() for case in comparisons())
        labelled = con.execute(
            f"select {cases} from labels as a join labels as b on a.person = b.person and a.rid < b.rid "
            "join lnk_prepared as l on l.rid = a.rid join lnk_prepared as r on r.rid = b.rid "
            f"where l.source <> r.source and a.half = {TRAINING_HALF}"
        ).fetchall()
        (strangers,) = con.execute(
            f"select least(count(*), {_STRANGERS}) from labels join lnk_prepared as p using (rid) where p.is_young"
        ).fetchone() or (0,)
        random = con.execute(
            f"""
            -- strangers: siblings share a household by nature, and given names, not households, tell them apart
            with home as (
                select a.rid, a.person, r.household_number
                from labels as a
                join lnk_prepared as p on p.rid = a.rid
                left join (select person, min(household_number) as household_number
                    from labels join lnk_prepared using (rid) group by person) as r on r.person = a.person
                where p.is_young order by hash(a.rid) limit {_STRANGERS}
            )
            select {cases} from home as a join home as b on a.rid < b.rid and a.person <> b.person
                and a.household_number is distinct from b.household_number
            join lnk_prepared as l on l.rid = a.rid join lnk_prepared as r on r.rid = b.rid
            """
        ).fetchall()
    finally:
        con.close()
    names = [comparison.name for comparison in comparisons()]
    for rows, counters in ((labelled, true), (random, rest)):
        for row in rows:
            for name, value in zip(names, row, strict=True):
                counters[name][int(value)] += 1
    return len(labelled), strangers
