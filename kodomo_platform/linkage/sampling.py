"""How good the links are where nobody knows the truth: a stratified sample that people judge (人手による標本確認).

Links are drawn by pass and by how sure they were, open questions as they are, and pairs that were not linked by how
likely they seemed. Whoever judges a pair does not see which it is. From the answers follow precision and recall of the
links, each stratum counting for as many pairs as it stands for. Intervals are those of Jeffreys' prior per stratum,
drawn together; a stratum that was judged whole adds no doubt.

What the estimate cannot see: two records of one child that share no block of keys were never compared, so they are in
no stratum, and recall is that among compared pairs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import comparisons
from kodomo_platform.linkage.review import QueuedPair, read_answers, read_design, write_sheet

if TYPE_CHECKING:
    import duckdb

LINKED, QUEUED, APART = "linked", "queued", "apart"
# below this the estimate of a stratum says little
LEAST_PER_STRATUM = 10
_DRAWS = 20_000


@dataclass(frozen=True)
class Stratum:
    """A kind of pair, how many there are, and which were drawn."""

    name: str
    part: str  # linked | queued | apart
    size: int
    drawn: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """Shares with 95 % intervals; ``strata``: per stratum its size and what was judged."""

    precision: float
    precision_ci95: tuple[float, float]
    recall: float
    recall_ci95: tuple[float, float]
    judged: int
    open: int
    strata: tuple[dict[str, Any], ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def draw_sample(con: duckdb.DuckDBPyConnection, code: str, path: Path, *, size: int, seed: int = 1) -> list[Stratum]:
    """Draw about ``size`` pairs of the last run into a review sheet at ``path``; the same seed draws the same pairs.

    Pairs that a person decided before are not asked again: they are no links of the machine.

    Raises:
        LinkageError: nothing was linked yet, or ``size`` is too small for the strata there are.
    """
    found = _population(con, code)
    if not found:
        raise LinkageError(
            "there is no pair to draw from",
            where=f"municipality {code}",
            action=f"`kodomo run --municipality {code}` first",
        )
    if size < LEAST_PER_STRATUM * len(found):
        raise LinkageError(
            f"a sample of {size} is too small for {len(found)} strata",
            expected=f"at least {LEAST_PER_STRATUM * len(found)}",
            action="ask for a larger --size",
        )
    drawn: dict[str, list[QueuedPair]] = {}
    for name, wanted in _allocation({name: len(pairs) for name, (_, pairs) in found.items()}, size).items():
        drawn[name] = sorted(found[name][1], key=lambda pair: _lot(seed, pair.pair_id))[:wanted]
    strata = [
        Stratum(name, part, len(pairs), tuple(pair.pair_id for pair in drawn[name]))
        for name, (part, pairs) in found.items()
    ]
    mixed = sorted((pair for pairs in drawn.values() for pair in pairs), key=lambda pair: _lot(seed + 1, pair.pair_id))
    as_of = con.execute("select max(as_of_date) from cfg.run").fetchone()
    design = {"seed": seed, "as_of": str(as_of[0]) if as_of else "", "strata": [asdict(stratum) for stratum in strata]}
    write_sheet(con, code, path, mixed, design=design)
    return strata


def _lot(seed: int, pair_id: str) -> str:
    return hashlib.sha256(f"{seed}\x1f{pair_id}".encode()).hexdigest()


def _allocation(sizes: dict[str, int], total: int) -> dict[str, int]:
    """As many from each stratum as there are to go round; what a small one leaves goes to the others."""
    given = dict.fromkeys(sizes, 0)
    left = min(total, sum(sizes.values()))
    while left:
        open_ = [name for name in sizes if given[name] < sizes[name]]
        share = max(left // len(open_), 1)
        for name in open_:
            more = min(share, sizes[name] - given[name], left)
            given[name] += more
            left -= more
    return given


def _population(con: duckdb.DuckDBPyConnection, code: str) -> dict[str, tuple[str, list[QueuedPair]]]:
    """Strata: name → (part, its pairs), in a fixed order."""
    from kodomo_platform import operations

    there = {
        str(name)
        for (name,) in con.execute(
            "select table_name from information_schema.tables where table_schema = 'linkage'"
        ).fetchall()
    }
    if "lnk_edge" not in there:
        return {}
    decided = {decision.pair_id for decision in operations.review_decisions(code)}
    strata: dict[str, tuple[str, list[QueuedPair]]] = {}

    def add(name: str, part: str, pair: QueuedPair) -> None:
        if pair.pair_id not in decided:
            strata.setdefault(name, (part, []))[1].append(pair)

    columns = (
        "pair_id, left_source, left_record, right_source, right_record, kind, probability, evidence, touches, outcome"
    )
    for row in con.execute(f"select {columns} from linkage.lnk_edge order by kind, pair_id").fetchall():
        pair = _pair(row)
        if row[9] == "review":
            add("queue", QUEUED, pair)
        elif pair.kind == "probabilistic":
            add(f"probabilistic {_band(pair.probability)}", LINKED, pair)
        elif pair.kind != "review":
            add(pair.kind, LINKED, pair)
    if "lnk_apart" in there:
        for row in con.execute(f"select {columns} from linkage.lnk_apart order by pair_id").fetchall():
            pair = _pair(row)
            add("apart >= 0.5" if pair.probability >= 0.5 else "apart < 0.5", APART, pair)
    known = {pair.pair_id for _, pairs in strata.values() for pair in pairs} | decided
    if {"lnk_pair_memory", "lnk_record_memory", "lnk_cluster"} <= there:
        for pair in _far(con):
            if pair.pair_id not in known:
                add("apart, compared", APART, pair)
    return dict(strata)


def _band(probability: float) -> str:
    return ">= 0.9999" if probability >= 0.9999 else ">= 0.999" if probability >= 0.999 else "< 0.999"


def _pair(row: Sequence[Any]) -> QueuedPair:
    return QueuedPair(
        row[0], (row[1], row[2]), (row[3], row[4]), row[5], float(row[6]), json.loads(row[7]), int(row[8])
    )


def _far(con: duckdb.DuckDBPyConnection) -> list[QueuedPair]:
    """Pairs that Splink compared, of two children, less likely than those that are kept by name."""
    from kodomo_platform.operations import pair_id

    names = {comparison.name: {level.number: level.name for level in comparison.levels} for comparison in comparisons()}
    rows = con.execute(
        f"""
        select l.source, l.source_record_id, r.source, r.source_record_id, {", ".join("m." + name for name in names)}
        from linkage.lnk_pair_memory as m
        join linkage.lnk_record_memory as l on l.seq = m.left_seq
        join linkage.lnk_record_memory as r on r.seq = m.right_seq
        join linkage.lnk_cluster as a on a.source = l.source and a.source_record_id = l.source_record_id
        join linkage.lnk_cluster as b on b.source = r.source and b.source_record_id = r.source_record_id
        where a.child_id <> b.child_id
        order by 1, 2, 3, 4
        """
    ).fetchall()
    found = []
    for row in rows:
        left, right = sorted(((row[0], row[1]), (row[2], row[3])))
        evidence = {name: names[name][level] for name, level in zip(names, row[4:], strict=True)}
        found.append(QueuedPair(pair_id(left, right), left, right, "probabilistic", 0.0, evidence, 0))
    return found


def estimate(code: str, path: Path) -> Estimate:
    """Precision and recall of the links from a judged sample; rows left open count as not drawn.

    Recall counts open questions that are one person as missed: it is that of the links before review.

    Raises:
        LinkageError: the sheet was altered, is no sample, or nothing in it was judged.
    """
    import numpy as np

    answers = {answer.pair_id: answer.decision for answer in read_answers(code, path)}
    strata = [Stratum(**{**row, "drawn": tuple(row["drawn"])}) for row in read_design(code, path)["strata"]]
    missing = {pair for stratum in strata for pair in stratum.drawn} - set(answers)
    if missing:
        raise LinkageError(
            f"{len(missing)} rows of the sample are missing from the sheet",
            where=str(path),
            expected="every row that was drawn, open ones too: leaving pairs out would bend the estimate",
            action="fill in the sheet as it was written",
        )
    random = np.random.default_rng(0)
    sums = {part: np.zeros(_DRAWS) for part in ("right", "linked", "missed")}
    exact = dict.fromkeys(sums, 0.0)
    told: list[dict[str, Any]] = []
    for stratum in strata:
        judged = [answers[pair] for pair in stratum.drawn if answers[pair]]
        same = sum(decision == "same" for decision in judged)
        told.append(
            {"stratum": stratum.name, "part": stratum.part, "pairs": stratum.size, "judged": len(judged), "same": same}
        )
        if len(judged) == stratum.size:
            share = np.full(_DRAWS, same / stratum.size)
        else:
            # Jeffreys' prior for the pairs that nobody judged; those judged are known
            rest = random.beta(same + 0.5, len(judged) - same + 0.5, _DRAWS)
            share = (same + rest * (stratum.size - len(judged))) / stratum.size
        middle = same / len(judged) if judged else 0.5
        for part, drawn, value in _parts(stratum.part, share, middle):
            sums[part] = sums[part] + stratum.size * drawn
            exact[part] += stratum.size * value
    judged_in_all = sum(row["judged"] for row in told)
    if not judged_in_all:
        raise LinkageError("nothing in this sample was judged yet", where=str(path), action="fill in the decisions")
    precision = _share(exact["right"], exact["linked"])
    recall = _share(exact["right"], exact["right"] + exact["missed"])
    return Estimate(
        precision=precision,
        precision_ci95=_interval(sums["right"] / np.maximum(sums["linked"], 1), precision),
        recall=recall,
        recall_ci95=_interval(sums["right"] / np.maximum(sums["right"] + sums["missed"], 1e-9), recall),
        judged=judged_in_all,
        open=len(answers) - judged_in_all,
        strata=tuple(told),
    )


def _parts(part: str, share: Any, middle: float) -> list[tuple[str, Any, float]]:
    """What a stratum adds to: links that are right and links made, or pairs missed."""
    if part == LINKED:
        return [("right", share, middle), ("linked", 1.0, 1.0)]
    return [("missed", share, middle)]


def _share(hits: float, of: float) -> float:
    return hits / of if of else 1.0


def _interval(values: Any, middle: float) -> tuple[float, float]:
    """The middle 95 % of ``values``, and what was found itself: where no fault was seen, none may be the truth."""
    import numpy as np

    low, high = np.quantile(values, (0.025, 0.975))
    return min(float(low), middle), max(float(high), middle)
