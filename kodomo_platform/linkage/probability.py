"""How probable it is that two records are one person's: a glass-box model over the evidence of a pair, calibrated.

Splink's weight adds what each comparison says, as if they said it independently, and knows no other candidate. Both bend
the probabilities: names, dates and homes go wrong together in one careless record; relatives share homes; and a record that
the register surely holds somewhere has, when one candidate fits and no other does, nowhere else to go. Here the weight is
one of several things that are looked at, beside the levels, what exactly agrees, what could be compared at all (a field
that a town lacks says nothing either way) and how much speaks for other candidates on either side.

The weight and its rivals are the start, which the model corrects. It is additive with pairs of features (an explainable boosting machine: Lou, Caruana, Gehrke, Hooker 2013): every
term is a table that can be read in the model file. It is learnt on worlds that are drawn anew per seed
(`tests/benchmarks/worlds.py`); towns only read it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import BIRTH_NEAR, OTHER_SURNAME_ONE, SURNAME_ONLY

if TYPE_CHECKING:
    import duckdb
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# what the model reads of a pair of records ``l`` and ``r``, beside the weight and the rivals: SQL
_SAME_TOWN = "(ends_with(l.address_town, r.address_town) or ends_with(r.address_town, l.address_town))"
PAIR_FEATURES = {
    # could be compared at all
    "has_address": "(l.address_block is not null and r.address_block is not null)::int",
    "has_phone": "(l.phone_match is not null and r.phone_match is not null)::int",
    "has_guardian": "(l.guardians is not null and r.guardians is not null)::int",
    "no_kana": "(l.given_kana_match is null or r.given_kana_match is null)::int",
    "no_kanji": "(l.given_match is null or r.given_match is null)::int",
    # agrees
    "same_address": f"coalesce(l.address_block = r.address_block and {_SAME_TOWN}, false)::int",
    "same_phone": "coalesce(l.phone_match = r.phone_match, false)::int",
    "same_guardian": "(coalesce(list_has_any(l.guardians, r.guardians), false) "
    "or coalesce(list_has_any(l.guardian_givens, r.guardian_givens), false))::int",
    "same_town": f"coalesce({_SAME_TOWN}, false)::int",
    "same_surname": "coalesce(l.surname_match = r.surname_match, false)::int",
    "same_surname_kana": "coalesce(l.surname_kana_match = r.surname_kana_match, false)::int",
    "same_given": "coalesce(l.given_match = r.given_match, false)::int",
    "same_given_kana": "coalesce(l.given_kana_match = r.given_kana_match, false)::int",
    # by how much the names differ
    "kana_edits": "coalesce(levenshtein(l.given_letters, r.given_letters), -1)",
    "shared_kanji": "coalesce(length(list_intersect(string_split(l.given_match, ''), string_split(r.given_match, ''))), 0)",
    # by how much the dates differ: days, digits, and which part of the date is wrong
    "days_apart": "coalesce(abs(date_diff('day', l.birth_date, r.birth_date)), -1)",
    "date_edits": "coalesce(levenshtein(strftime(l.birth_date, '%Y%m%d'), strftime(r.birth_date, '%Y%m%d')), -1)",
    "same_year": "coalesce((year(l.birth_date) = year(r.birth_date))::int, 2)",
    "same_month": "coalesce((month(l.birth_date) = month(r.birth_date))::int, 2)",
    "same_day": "coalesce((day(l.birth_date) = day(r.birth_date))::int, 2)",
    "years_apart": "coalesce(abs(year(l.birth_date) - year(r.birth_date)), 99)",
    # what kind of records they are
    "foreign": "(l.is_foreign or r.is_foreign)::int",
    "same_source": "(l.source = r.source)::int",
    "registers": "l.is_register::int + r.is_register::int",
}
LEVELS = ("given_name", "birth_date", "sex", "household")
FEATURES = ("weight", "rival_left", "rival_right", *LEVELS, *PAIR_FEATURES)
# log2 of what speaks for nobody else at all
_NO_RIVAL = 1e-6
_MOST_BITS = 40.0
_MOST_NATS = 25.0
# log-odds of 0.98: asked about, not linked
_MOST_WITHOUT_HOME = 3.9


@dataclass(frozen=True)
class Term:
    """One table: positions of its features, the cuts of each, and the scores (log-odds) of the cells between them."""

    features: tuple[int, ...]
    cuts: tuple[tuple[float, ...], ...]
    scores: Any  # nested lists of floats, one axis per feature


def start(rows: Floats) -> Floats:
    """Natural log-odds that the weight alone gives a pair, when all that speaks for other candidates speaks against it: the
    terms correct it. Where no doubtful pair was ever seen, it stands as it is."""
    import numpy as np

    rivals = np.exp2(np.clip(rows[:, 1:3], -30, 60)).sum(axis=1)
    return np.asarray(np.clip(np.log(2) * (rows[:, 0] - np.log2(1 + rivals)), -_MOST_NATS, _MOST_NATS))


@dataclass(frozen=True)
class GlassBox:
    """`start` and a sum of terms; `log_odds` of a matrix of `FEATURES`."""

    intercept: float
    terms: tuple[Term, ...]

    def log_odds(self, rows: Floats) -> Floats:
        """Natural log-odds per row."""
        import numpy as np

        total = self.intercept + start(rows)
        for term in self.terms:
            cells = tuple(
                np.searchsorted(np.asarray(cuts), rows[:, place], side="right")
                for place, cuts in zip(term.features, term.cuts, strict=True)
            )
            total += np.asarray(term.scores)[cells]
        return total


def read_glass_box(content: dict[str, Any], where: str) -> GlassBox:
    """The model that the section ``probability`` of a model file describes.

    Raises:
        LinkageError: it was learnt over other features, or a table has another shape than its cuts say.
    """
    import numpy as np

    if tuple(content.get("features", ())) != FEATURES:
        raise LinkageError(
            "the linkage model does not fit the evidence of this version",
            where=where,
            expected=", ".join(FEATURES),
            action="train again: `kodomo linkage train`",
        )
    terms = []
    try:
        for entry in content["terms"]:
            places = tuple(FEATURES.index(name) for name in entry["features"])
            cuts = tuple(tuple(float(cut) for cut in cuts) for cuts in entry["cuts"])
            scores = np.asarray(entry["scores"], dtype=float)
            if scores.shape != tuple(len(cut) + 1 for cut in cuts) or not np.isfinite(scores).all():
                raise ValueError("shape")
            terms.append(Term(places, cuts, scores))
        return GlassBox(float(content["intercept"]), tuple(terms))
    except (KeyError, TypeError, ValueError) as error:
        raise LinkageError(
            "the linkage model lacks a number or holds a wrong one",
            where=where,
            action="restore the file or train again",
        ) from error


def evidence_of_pairs(con: duckdb.DuckDBPyConnection, levels: str) -> tuple[Any, Floats]:
    """Positions (a, b) of the likely pairs of ``lnk_pair`` in a fixed order, and their `FEATURES`.

    Args:
        levels: SQL of the comparisons' levels over ``lnk_prepared`` as l and r.
    """
    import numpy as np

    con.execute(
        f"""
        create or replace temp table lnk_rival as
        with sides as (
            select e.a as me, r.source, e.a, e.b, pow(2, least(e.weight, {_MOST_BITS})) as strength
            from lnk_pair as e join lnk_prepared as r on r.rid = e.b where e.kind in ('number', 'exact', 'probabilistic')
            union all
            select e.b, l.source, e.a, e.b, pow(2, least(e.weight, {_MOST_BITS}))
            from lnk_pair as e join lnk_prepared as l on l.rid = e.a where e.kind in ('number', 'exact', 'probabilistic')
        )
        select me, source, sum(strength) as strength from sides group by all
        """
    )
    own = f"pow(2, least(e.weight, {_MOST_BITS}))"
    features = ", ".join(f"cast({sql} as double) as {name}" for name, sql in PAIR_FEATURES.items())
    found = con.execute(
        f"""
        select e.a, e.b, cast(e.weight as double) as weight,
            log2({_NO_RIVAL} + greatest(x.strength - {own}, 0)) as rival_left,
            log2({_NO_RIVAL} + greatest(y.strength - {own}, 0)) as rival_right,
            {levels}, {features}
        from lnk_pair as e join lnk_prepared as l on l.rid = e.a join lnk_prepared as r on r.rid = e.b
        join lnk_rival as x on x.me = e.a and x.source = r.source
        join lnk_rival as y on y.me = e.b and y.source = l.source
        where e.kind = 'probabilistic' order by e.a, e.b
        """
    ).fetchnumpy()
    con.execute("drop table lnk_rival")
    matrix = np.column_stack([np.asarray(found[name], dtype=float) for name in FEATURES])
    return (np.asarray(found["a"]), np.asarray(found["b"])), matrix


def calibrate(con: duckdb.DuckDBPyConnection, model: GlassBox, levels: str) -> None:
    """Give the likely pairs of ``lnk_pair`` their calibrated probability, and its log2 odds as weight."""
    import numpy as np
    import pyarrow as pa

    (left, right), matrix = evidence_of_pairs(con, levels)
    if not len(matrix):
        return
    odds = np.clip(model.log_odds(matrix), -30, 30)
    at = {name: matrix[:, place] for place, name in enumerate(FEATURES)}
    # neither surname nor address nor phone says that the two share a home: a namesake born on the same day looks just so
    homeless = (at["household"] <= OTHER_SURNAME_ONE) & (at["household"] != SURNAME_ONLY)
    homeless &= (at["same_address"] == 0) & (at["same_phone"] == 0) & (at["household"] >= 0)
    # a frequent name on two days, with no home in common though both tell theirs, is two children as often as one
    other_day = (at["birth_date"] >= 0) & (at["birth_date"] <= BIRTH_NEAR) & (at["has_address"] == 1)
    other_day &= (at["same_address"] == 0) & (at["same_phone"] == 0) & (at["same_guardian"] == 0)
    odds = np.where(homeless | other_day, np.minimum(odds, _MOST_WITHOUT_HOME), odds)
    con.register(
        "lnk_incoming",
        pa.table({"a": left, "b": right, "p": 1 / (1 + np.exp(-odds)), "bits": odds / np.log(2)}),
    )
    con.execute("create or replace temp table lnk_calibrated as from lnk_incoming")
    con.unregister("lnk_incoming")
    con.execute(
        """
        create or replace temp table lnk_pair as
        select e.a, e.b, e.kind, coalesce(c.p, e.probability) as probability, coalesce(c.bits, e.weight) as weight, e.given
        from lnk_pair as e
        -- a condition on one side alone would make this a nested loop
        left join lnk_calibrated as c on c.a = case when e.kind = 'probabilistic' then e.a end and c.b = e.b
        """
    )
    con.execute("drop table lnk_calibrated")


__all__ = ["FEATURES", "GlassBox", "Term", "calibrate", "evidence_of_pairs", "read_glass_box", "start"]
