"""Scores of one municipality at one date, with interval, rank, reasons and versions, into ``marts.risk_scores``.

A score depends on the child's own row and the model alone; only `rank` and `alert` look at the other children. The model
is the version that a person approved, its bytes checked; without one the criteria score alone and the row says so. JSON is
built inside DuckDB from arrays: no loop over children.

Fitting models and deciding which may score do not belong here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.errors import ScoringError
from kodomo_platform.municipalities import Municipality
from kodomo_platform.scoring.additive import (
    INTERVAL_Z,
    AdditiveModel,
    Floats,
    criteria_model,
    holds,
    sigmoid,
    sum_terms,
)
from kodomo_platform.scoring.artifacts import approved
from kodomo_platform.scoring.changes import add_changes, previous_scores
from kodomo_platform.scoring.conformal import certainty, entries
from kodomo_platform.scoring.stable_order import make_stable_order
from kodomo_platform.scoring.themes import Feature, Theme, digest, load_features, load_themes

# The order is the codes' order in a cohort: further kinds are added at the end.
STATUSES = (
    "present", "blank", "not_applicable", "not_linked", "not_held", "before_start", "unreadable", "left_out", "no_consent",
)  # fmt: skip
# Kinds that a reader is told of even where the rest of a source could be used.
TOLD_IN_PART = ("unreadable", "left_out", "no_consent")
REASONS_SHOWN = 6
# Children whose reasons are written at a time.
_PIECE = 50_000
# Children of equal score are ordered by a hash, so that nobody is always first because of an old id.
TIE_BREAK = "score descending, then md5(number of the child || '|' || as_of_date) ascending"

_ABSENT_JA = {
    "blank": "欠損",
    "not_applicable": "非該当",
    "not_linked": "未連携",
    "not_held": "保有なし",
    "before_start": "システム開始前",
    "unreadable": "読み取れない値",
    "left_out": "判断により使わない",
    "no_consent": "同意なし",
}
_ABSENT_EN = {
    "blank": "blank",
    "not_applicable": "not applicable",
    "not_linked": "not linked",
    "not_held": "not held",
    "before_start": "before the system began",
    "unreadable": "cannot be read",
    "left_out": "left out by decision",
    "no_consent": "no consent",
}

# Which compression suits a text is otherwise tried out anew, and costs more than writing it.
_COLUMNS = """
    municipality varchar, child_id varchar, theme varchar, as_of_date date,
    score double, score_low double, score_high double, rank bigint, band varchar, alert boolean,
    determinable boolean, undetermined_reason varchar,
    reasons varchar using compression fsst, rule_hits varchar using compression fsst,
    score_version varchar, model_name varchar, model_version varchar, mlflow_run_id varchar, dagster_run_id varchar,
    feature_hash varchar, criteria_hash varchar, code_version varchar,
    list varchar, known_since date
"""
# Which list a child stands on: `first` (a sign that comes before any score), `ranked` (not yet known: rank, capacity and
# alert are theirs) or `known` (known already: a list of their own, what is new about them beside what is running).
LISTS = ("first", "ranked", "known")


@dataclass(frozen=True)
class ThemeReport:
    """What was scored for one theme, and by what."""

    theme: str
    children: int
    alerts: int
    undetermined: int
    capacity: int
    model_name: str
    model_version: str
    mlflow_run_id: str | None
    score_version: str
    note: str
    not_seen: int = 0
    changed: int = 0


@dataclass(frozen=True)
class ScoreReport:
    """What one call of `score` wrote."""

    municipality: str
    as_of: dt.date
    themes: list[ThemeReport] = field(default_factory=list)

    @property
    def children(self) -> int:
        """Rows written, over all themes."""
        return sum(theme.children for theme in self.themes)


@dataclass(frozen=True)
class Cohort:
    """The children of one theme at one date: ids, feature columns (NaN = absent) and status codes."""

    child_ids: npt.NDArray[np.object_]
    values: dict[str, Floats]
    statuses: dict[str, npt.NDArray[np.int8]]

    def pieces(self) -> Iterator[Cohort]:
        """The same children a piece at a time: reasons of a million at once would need more memory than a machine has."""
        for start in range(0, max(len(self.child_ids), 1), _PIECE):
            part = slice(start, start + _PIECE)
            yield Cohort(
                self.child_ids[part],
                {name: column[part] for name, column in self.values.items()},
                {name: column[part] for name, column in self.statuses.items()},
            )


@lru_cache(maxsize=1)
def scoring_code_hash() -> str:
    """SHA-256 of the scoring code itself, so that a changed formula is a new version even without a commit."""
    here = Path(__file__).parent
    parts = [(here / name).read_bytes() for name in ("additive.py", "changes.py", "conformal.py", "scores.py")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def score(
    con: duckdb.DuckDBPyConnection, municipality: Municipality, as_of: dt.date, run_id: str, code_version: str
) -> ScoreReport:
    """Score every theme of ``municipality`` at ``as_of`` and rebuild ``marts.risk_scores``.

    All themes or none: the table changes in one transaction. Raises ScoringError when the features of that date are not
    in ``marts.mart_child_features`` or an approved model's file was altered.
    """
    themes, features = load_themes(), load_features()
    known = con.execute("select count(*) from marts.mart_child_features where as_of_date = ?", [as_of]).fetchone()
    reference = con.execute(
        "select count(*) from cfg.as_of where purpose = 'score' and as_of_date = ?", [as_of]
    ).fetchone()
    if known == (0,) and reference == (0,):
        raise ScoringError(
            "there are no features at the date to score",
            where=f"municipality {municipality.code}, as of {as_of}",
            expected="rows in marts.mart_child_features",
            action="build the marts with this as-of date first",
        )
    reports: list[ThemeReport] = []
    con.execute("begin")
    try:
        con.execute("create schema if not exists marts")
        con.execute(f"create or replace table marts.risk_scores ({_COLUMNS})")
        con.execute(
            "create or replace table marts.score_version (score_version varchar, theme varchar, as_of_date date, "
            "component varchar, value varchar)"
        )
        con.execute(
            "create or replace table marts.unseen (municipality varchar, child_id varchar, theme varchar, as_of_date date, "
            "kind varchar, alarm boolean, days_since_seen double, sentence_ja varchar, sentence_en varchar)"
        )
        for chosen in municipality.themes:
            if chosen.key not in themes:
                raise ScoringError(
                    f"the municipality asks for a theme that does not exist: {chosen.key}",
                    where=f"municipality {municipality.code}",
                    expected=f"one of {', '.join(sorted(themes))}",
                )
            reports.append(
                _score_theme(
                    con, municipality, themes[chosen.key], chosen.capacity, features, as_of, run_id, code_version
                )
            )
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    return ScoreReport(municipality.code, as_of, reports)


def left_out(municipality: Municipality, theme: Theme, features: Mapping[str, Feature]) -> frozenset[str]:
    """The theme's features that may not speak for it.

    Those that use an item which the municipality has decided to leave out (`kodomo quality decide`), which is closed
    today, or whose purpose does not cover scoring; and those that look further back than an item of theirs allows.
    """
    from kodomo_platform.policy import grounds, purposes
    from kodomo_platform.quality.decisions import excluded_items

    made_of = {name: features[name].items for name in theme.features}
    items = set(excluded_items(municipality, theme.key)) | grounds.closures(municipality, dt.date.today()).keys()
    every = {item for used in made_of.values() for item in used}
    items.update(purposes.refused(every, purposes.Use.SCORING, municipality, theme=theme.key))
    lookbacks = {name: features[name].lookback_months for name in theme.features}
    too_far = grounds.beyond_lookback(lookbacks, made_of, municipality)
    return frozenset(name for name in theme.features if name in too_far or items.intersection(made_of[name]))


def leave_out(cohort: Cohort, unwanted: frozenset[str]) -> None:
    """Take the features ``unwanted`` out of ``cohort``, in criteria and model alike. Where a value was absent anyhow it
    says so still: nobody decided about what was never there.
    """
    for name in unwanted.intersection(cohort.values):
        cohort.statuses[name][cohort.statuses[name] == 1] = 1 + STATUSES.index("left_out")
        cohort.values[name][:] = np.nan


def _score_theme(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    theme: Theme,
    capacity: int,
    features: dict[str, Feature],
    as_of: dt.date,
    run_id: str,
    code_version: str,
) -> ThemeReport:
    code = municipality.code
    use = approved(code, theme)
    model = use.model if use is not None else criteria_model(theme)
    model_version = use.version if use is not None else theme.criteria_hash[:12]
    mlflow_run_id = use.run_id if use is not None else None
    note = use.note if use is not None else "no model is approved: the criteria score alone"
    unwanted = left_out(municipality, theme, features)
    cohort = load_cohort(con, theme, features, as_of)
    leave_out(cohort, unwanted)
    versions = {
        "feature_hash": theme.feature_hash(features),
        "criteria_hash": theme.criteria_hash,
        "model_sha256": model.sha256,
        "code_version": code_version,
        "scoring_code_sha256": scoring_code_hash(),
        "tie_break": TIE_BREAK,
    }
    if unwanted:
        versions["left_out"] = digest(sorted(unwanted))
    score_version = digest(versions)[:16]
    for component, value in versions.items():
        con.execute(
            "insert into marts.score_version values (?, ?, ?, ?, ?)",
            [score_version, theme.key, as_of, component, value],
        )
    if gone := absent_for_all(cohort, theme, features):
        note += "; absent for every child this time: " + ", ".join(gone)
    parts = list(cohort.pieces())
    with ThreadPoolExecutor(max_workers=2) as both:
        pieces = list(zip(parts, both.map(lambda piece: evaluate(piece, theme, model, features), parts), strict=True))
    con.register("_scored", pa.concat_tables([scored.arrow for _, scored in pieces]))
    con.register("_known", _known_children(con, theme, as_of))
    make_stable_order(con)
    try:
        con.execute(
            """
            create or replace temp table ranked_score as
            with listed as (
                select
                    s.*,
                    -- the order among equals is the same in every home: ids are made from each one's own secret
                    coalesce(c.position::varchar, s.child_id) as tie,
                    k.known_since,
                    case
                        when s.foremost then 'first'
                        when k.child_id is not null and $apart then 'known'
                        else 'ranked'
                    end as list
                from _scored as s
                left join _known as k on s.child_id = k.child_id
                left join stable_child as c on s.child_id = c.stable_id
            ),
            ranked as (
                select
                    *,
                    row_number() over (
                        order by
                            list_position(['first', 'ranked', 'known'], list),
                            foremost_key desc nulls last,
                            determinable desc, score desc, md5(tie || '|' || $as_of::varchar)
                    ) as rank,
                    row_number() over (
                        partition by list
                        order by determinable desc, score desc, md5(tie || '|' || $as_of::varchar)
                    ) as place
                from listed
            )
            select
                child_id, score, score_low, score_high, rank,
                case
                    when not determinable then 'undetermined'
                    when score >= $high then 'high'
                    when score >= $middle then 'middle'
                    else 'low'
                end as band,
                -- the line of the alert is the line of the band: what is called low raises none
                always_alert or (list = 'ranked' and determinable and place <= $capacity and score >= $middle) as alert,
                determinable, undetermined_reason, list, known_since
            from ranked
            """,
            {
                "as_of": as_of,
                "high": min(theme.bands.high * model.base_rate, 0.9),
                "middle": min(theme.bands.middle * model.base_rate, 0.8),
                "capacity": capacity,
                "apart": theme.outcome.known == "apart",
            },
        )
    finally:
        for name in ("_scored", "_known"):
            con.unregister(name)
    changed = 0
    before = previous_scores(code, as_of)
    # one piece is put into words while the database writes the one before it; never more than one waits
    for (_, scored), (reasons, rule_hits) in zip(pieces, _worded(con, pieces, theme, model, features), strict=True):
        con.register(
            "_piece", pa.table({"child_id": scored.arrow["child_id"], "reasons": reasons, "rule_hits": rule_hits})
        )
        target = "marts.risk_scores"
        if before is not None:
            target = "scored_piece"
            con.execute(f"create or replace temp table scored_piece ({_COLUMNS})")
        try:
            con.execute(
                f"""
                insert into {target}
                select
                    $code, r.child_id, $theme, $as_of::date,
                    r.score, r.score_low, r.score_high, r.rank, r.band, r.alert, r.determinable, r.undetermined_reason,
                    p.reasons,
                    case
                        when r.known_since is null then p.rule_hits
                        when p.rule_hits = '[]' then '[' || $known || ']'
                        else left(p.rule_hits, length(p.rule_hits) - 1) || ',' || $known || ']'
                    end as rule_hits,
                    $score_version, $model_name, $model_version, $mlflow_run_id, $run_id,
                    $feature_hash, $criteria_hash, $code_version, r.list, r.known_since
                from _piece as p
                inner join ranked_score as r on p.child_id = r.child_id
                """,
                {
                    "code": code,
                    "theme": theme.key,
                    "as_of": as_of,
                    "known": _known_rule(theme),
                    "score_version": score_version,
                    "model_name": model.name,
                    "model_version": model_version,
                    "mlflow_run_id": mlflow_run_id,
                    "run_id": run_id,
                    "feature_hash": versions["feature_hash"],
                    "criteria_hash": versions["criteria_hash"],
                    "code_version": code_version,
                },
            )
        finally:
            con.unregister("_piece")
        if before is not None:
            changed += add_changes(con, "scored_piece", before, theme)
            con.execute("insert into marts.risk_scores select * from scored_piece")
    con.execute("drop table if exists scored_piece; drop table ranked_score")
    not_seen = _raise_not_seen(con, code, theme, as_of, cohort)
    counts = con.execute(
        "select count(*), count(*) filter (where alert), count(*) filter (where not determinable) "
        "from marts.risk_scores where theme = ?",
        [theme.key],
    ).fetchone()
    assert counts is not None
    return ThemeReport(
        theme.key,
        counts[0],
        counts[1],
        counts[2],
        capacity,
        model.name,
        model_version,
        mlflow_run_id,
        score_version,
        note,
        not_seen,
        changed,
    )


def _worded(
    con: duckdb.DuckDBPyConnection,
    pieces: Sequence[tuple[Cohort, Evaluated]],
    theme: Theme,
    model: AdditiveModel,
    features: dict[str, Feature],
) -> Iterator[tuple[pa.Array, pa.Array]]:
    """`render` of each piece in turn, begun one piece ahead in a thread and a connection of its own."""
    with closing(con.cursor()) as aside, ThreadPoolExecutor(max_workers=1) as worker:

        def begin(number: int) -> Future[tuple[pa.Array, pa.Array]]:
            piece, scored = pieces[number]
            return worker.submit(render, aside, scored, piece, theme, model, features)

        coming = begin(0)
        for number in range(len(pieces)):
            ready = coming.result()
            if number + 1 < len(pieces):
                coming = begin(number + 1)
            yield ready


def _alarmed(cohort: Cohort, theme: Theme) -> npt.NDArray[np.bool_]:
    """Whom somebody should have seen and nobody has, for long or ever: the one meaning of `not_seen`."""
    seen = cohort.values["days_since_seen"]
    nobody_could = cohort.statuses["days_since_seen"] == 1 + STATUSES.index("not_held")
    return np.asarray(~nobody_could & (np.isnan(seen) | (seen > theme.determinable.stale_days)), dtype=bool)


def _raise_not_seen(con: duckdb.DuckDBPyConnection, code: str, theme: Theme, as_of: dt.date, cohort: Cohort) -> int:
    """Children whom nobody has seen, a list of its own beside the ranking; how many of them raise the alarm.

    ``marts.unseen``: one row per child, theme and date. ``kind``: `never` (sources that see children of this age are held,
    and none has ever seen this one), `long` (last seen more than `stale_days` ago), `no_source` (none that is held could
    have seen the child: a statement about the data, never an alarm).
    """
    seen = cohort.values["days_since_seen"]
    nobody = cohort.statuses["days_since_seen"] == 1 + STATUSES.index("not_held")
    kinds = np.select([nobody, ~_alarmed(cohort, theme)], ["no_source", ""], default="never")
    kinds[(kinds == "never") & ~np.isnan(seen)] = "long"
    chosen = np.flatnonzero(kinds != "")
    con.register(
        "_unseen",
        pa.table(
            {
                "child_id": pa.array(cohort.child_ids[chosen], type=pa.string()),
                "kind": pa.array(kinds[chosen].tolist(), type=pa.string()),
                "days_since_seen": pa.array(seen[chosen], type=pa.float64(), from_pandas=True),
            }
        ),
    )
    try:
        con.execute(
            """
            insert into marts.unseen
            select
                $code, child_id, $theme, $as_of::date, kind, kind <> 'no_source', days_since_seen,
                case kind
                    when 'never' then '姿を確認した記録が一度もありません'
                    when 'long' then '最終確認日から' || format('{:,.0f}', days_since_seen) || '日経過しています'
                    else 'この年齢、または出生・転入からの期間では、保有する情報から姿を確認できません（異常の知らせではありません）'
                end,
                case kind
                    when 'never' then 'No source has ever seen this child'
                    when 'long' then 'Last seen ' || format('{:,.0f}', days_since_seen) || ' days ago'
                    else 'No source held sees children of this age, or so soon after birth or moving in (this is no alarm)'
                end
            from _unseen order by child_id
            """,
            {"code": code, "theme": theme.key, "as_of": as_of},
        )
    finally:
        con.unregister("_unseen")
    return int((kinds[chosen] != "no_source").sum())


def population_condition(theme: Theme) -> str:
    """SQL over the feature marts: is this row one of the children the theme asks about?

    An unknown age does not exclude: the child is listed and, where too little is known, undetermined.
    """
    parts = [
        f"coalesce(age_years between {theme.population.age_min} and {theme.population.age_max}, true)",
    ]
    if theme.population.school_age_only:
        parts.append("is_school_age")
    if theme.population.resident_only:
        parts.append("is_resident")
    # consent may name the purposes it is for: a child who consented to others is not asked about here, now or in training
    parts.append(
        "child_id not in (select child_id from linkage.lnk_child_consent "
        f"where themes is not null and not list_contains(themes, '{theme.key}'))"
    )
    return " and ".join(parts)


def load_cohort(
    con: duckdb.DuckDBPyConnection,
    theme: Theme,
    features: Mapping[str, Feature],
    as_of: dt.date,
) -> Cohort:
    """The theme's children at ``as_of``, in the order of their ids."""
    beside = {str(features[name].beside) for name in theme.features if features[name].beside is not None}
    names = sorted({*theme.features, *beside, "days_since_seen"})
    status = ", ".join(
        f"list_position({list(STATUSES)!r}, {name}__status)::tinyint as {name}__status" for name in names
    )
    data = con.execute(
        f"select child_id, {', '.join(names)}, {status} from marts.mart_child_features "
        f"where as_of_date = ? and {population_condition(theme)} order by child_id",
        [as_of],
    ).fetchnumpy()
    values = {name: _filled(data[name]) for name in names}
    statuses = {name: np.asarray(np.ma.filled(data[f"{name}__status"], 2), dtype=np.int8) for name in names}
    return Cohort(np.asarray(data["child_id"], dtype=object), values, statuses)


def _filled(column: Any) -> Floats:
    return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan), dtype=np.float64)


@dataclass(frozen=True)
class Evaluated:
    """Scores of a cohort before ranking: one Arrow row per child, and the contributions behind them."""

    arrow: pa.Table
    contributions: Floats
    logit: Floats


def evaluate(cohort: Cohort, theme: Theme, model: AdditiveModel, features: dict[str, Feature]) -> Evaluated:
    """Score, interval and 判定不能 of every child of ``cohort``, each from its own row alone."""
    contributions, variance = model.contributions(cohort.values)
    logits = np.clip(sum_terms(contributions, model.base), -15.0, 15.0)
    spread = INTERVAL_Z * np.sqrt(sum_terms(variance, model.extra_std**2))
    reason = _undetermined(cohort, theme, model, features)
    always = np.zeros(len(cohort.child_ids), dtype=bool)
    for criterion in theme.criteria:
        if criterion.always_alert:
            always |= np.asarray(holds(criterion.op, cohort.values[criterion.feature], criterion.value), dtype=bool)
    foremost, key = _foremost(cohort, theme)
    arrow = pa.table(
        {
            "child_id": pa.array(cohort.child_ids, type=pa.string()),
            "foremost": pa.array(foremost),
            "foremost_key": key,
            "score": pa.array(sigmoid(logits)),
            "score_low": pa.array(sigmoid(logits - spread)),
            "score_high": pa.array(sigmoid(logits + spread)),
            "determinable": pa.array([why is None for why in reason], type=pa.bool_()),
            "undetermined_reason": pa.array(reason, type=pa.string()),
            "always_alert": pa.array(always),
        }
    )
    return Evaluated(arrow, contributions, logits)


def _foremost(cohort: Cohort, theme: Theme) -> tuple[npt.NDArray[np.bool_], pa.Array]:
    """(whose sign comes before any score; by what they are ordered: a list of numbers, the largest first, or null)."""
    rows = len(cohort.child_ids)
    if theme.foremost is None:
        return np.zeros(rows, dtype=bool), pa.nulls(rows, pa.list_(pa.float64()))
    first = np.asarray(np.nan_to_num(cohort.values[theme.foremost.sign], nan=0.0) >= 1, dtype=bool)
    keys = np.column_stack(
        [
            # unknown counts as nothing known, behind everything known
            np.nan_to_num(cohort.values[name.lstrip("-")] * (-1.0 if name.startswith("-") else 1.0), nan=-1e9)
            for name in theme.foremost.by
        ]
    )
    values = pa.array(keys.ravel(), type=pa.float64())
    lists = pa.FixedSizeListArray.from_arrays(values, keys.shape[1]).cast(pa.list_(pa.float64()))
    return first, pc.if_else(pa.array(first), lists, pa.nulls(rows, pa.list_(pa.float64())))


def _undetermined(
    cohort: Cohort, theme: Theme, model: AdditiveModel, features: Mapping[str, Feature]
) -> npt.NDArray[np.object_]:
    """Why no judgement is possible, per child, or None.

    An input that does not apply to the child (非該当) is not missing: a four-year-old has no school attendance.
    """
    rows = len(cohort.child_ids)
    reason: npt.NDArray[np.object_] = np.full(rows, None, dtype=object)
    weight_there, weight_all = np.zeros(rows), np.zeros(rows)
    unlike, there = np.zeros(rows), np.zeros(rows)
    importance: dict[str, float] = {}
    for term in model.terms:
        for name in term.features:
            importance[name] = importance.get(name, 0.0) + term.importance / len(term.features)
    for name, weight in importance.items():
        status = cohort.statuses[name]
        present = status == 1
        weight_there += weight * present
        weight_all += weight * (status != 3)
        if name in model.ranges:
            low, high = model.ranges[name]
            margin = 0.5 * max(high - low, 1e-9)
            value = np.where(present, cohort.values[name], low)
            unlike += (value < low - margin) | (value > high + margin)
            there += present
    coverage = np.divide(weight_there, weight_all, out=np.zeros(rows), where=weight_all > 0)
    sources, criteria = availability(cohort, theme, features)
    share_unlike = np.divide(unlike, there, out=np.zeros(rows), where=there > 0)
    reason[share_unlike > theme.determinable.max_unlike_training] = "unlike_training"
    reason[_alarmed(cohort, theme)] = "not_seen_recently"
    limits = theme.determinable
    reason[
        (coverage < limits.min_coverage)
        | (criteria < limits.min_coverage)
        # most sources absent, and what the criteria ask about not made up for by the rest
        | ((sources < limits.min_sources) & (criteria < limits.min_criteria))
    ] = "too_few_inputs"
    return reason


def availability(cohort: Cohort, theme: Theme, features: Mapping[str, Feature]) -> tuple[Floats, Floats]:
    """Of what applies to each child, what is there: (share of the sources held, share of the criteria's weight).

    The register is not counted: that a child lives here says nothing of how they fare. What does not apply (非該当) is not
    missing. What the municipality does not hold at all lacks for every child alike: it counts in the criteria's weight
    (what the theme asks about), not in the share of the sources (what is known of one child and not of another).
    """
    rows = len(cohort.child_ids)
    not_held = 1 + STATUSES.index("not_held")
    there: dict[str, npt.NDArray[np.bool_]] = {}
    applies: dict[str, npt.NDArray[np.bool_]] = {}
    for name in theme.features:
        group = features[name].group
        if group.startswith("resident."):
            continue
        status = cohort.statuses[name]
        there[group] = there.get(group, np.zeros(rows, dtype=bool)) | (status == 1)
        applies[group] = applies.get(group, np.zeros(rows, dtype=bool)) | ((status != 3) & (status != not_held))
    counted = sum((column.astype(float) for column in applies.values()), np.zeros(rows))
    present = sum((there[group] & applies[group] for group in applies), np.zeros(rows))
    weight_all, weight_there = np.zeros(rows), np.zeros(rows)
    for criterion in theme.criteria:
        status = cohort.statuses[criterion.feature]
        weight_all += abs(criterion.weight) * (status != 3)
        weight_there += abs(criterion.weight) * (status == 1)
    return (
        np.divide(present, counted, out=np.ones(rows), where=counted > 0),
        np.divide(weight_there, weight_all, out=np.ones(rows), where=weight_all > 0),
    )


def render(
    con: duckdb.DuckDBPyConnection,
    table: Evaluated,
    cohort: Cohort,
    theme: Theme,
    model: AdditiveModel,
    features: dict[str, Feature],
) -> tuple[pa.Array, pa.Array]:
    """`reasons` and `rule_hits` as JSON text, one of each per row.

    Reasons: the largest contributions, then `base` (what holds for everybody), then `remainder` (all other terms), so that
    the contributions add up to the log odds of the score; then how sure the score is, and `absent_inputs`, which adds
    nothing but says what was not there and how. Text is made once per distinct reason and then looked up.
    """
    rows, n_terms = table.contributions.shape
    if rows == 0:
        return pa.array([], pa.string()), pa.array([], pa.string())
    slots = min(REASONS_SHOWN, n_terms)
    contributions = _by_feature(table.contributions, model)
    # what is absent is no sign of anything: its contributions are one entry, however many inputs one source has
    missing = _missing(cohort, model)
    absence = np.round(np.where(missing, contributions, 0.0).sum(axis=1), 6)
    speaking = np.where(missing, 0.0, contributions)
    order = _largest(np.abs(speaking), slots)
    shown = np.round(np.take_along_axis(speaking, order, axis=1), 6)
    base = float(np.round(model.base, 6))
    remainder = table.logit - base - shown.sum(axis=1) - absence
    rest = speaking.copy()
    np.put_along_axis(rest, order, 0.0, axis=1)
    grouped, remainder = _grouped(
        rest, remainder, np.maximum(np.abs(shown).max(axis=1), np.abs(absence)), model, features
    )
    texts, entry_of = _entries(con, cohort, model, features, order, shown)
    patterns, pattern_of = _absence_patterns(cohort, theme, features)
    always = _text(
        {
            "item": "base",
            "value": None,
            "status": "present",
            "contribution": base,
            "sentence_ja": "基準点（全員共通）",
            "sentence_en": "Where every child starts",
        }
    )
    reasons = pc.binary_join_element_wise(
        "[",
        *(texts.take(pa.array(entry_of[:, slot])) for slot in range(slots)),
        grouped,
        _sum_entry("absence", "使えなかった情報の影響の合計", "All inputs that were not available together", absence),
        always + ',{"item":"remainder","value":null,"status":"present","contribution":',
        pa.array(remainder).cast(pa.string()),
        ',"sentence_ja":"上記以外の項目の合計","sentence_en":"All inputs not named above together"},',
        pa.array([_text(entry) for entry in entries()]).take(pa.array(certainty(model, table.logit))),
        ",",
        pa.array(patterns).take(pa.array(pattern_of)),
        "]",
        "",
    )
    return reasons, _rule_hits(cohort, theme)


def _missing(cohort: Cohort, model: AdditiveModel) -> npt.NDArray[np.bool_]:
    """(rows, terms): whether an input of the term is absent."""
    return np.column_stack(
        [np.any([cohort.statuses[name] != 1 for name in term.features], axis=0) for term in model.terms]
    )


def _sum_entry(item: str, ja: str, en: str, amount: Floats) -> pa.Array:
    """Per row the JSON of a sum that no single input stands for, with a comma behind it; nothing where it is zero."""
    head = _text({"item": item, "value": None, "status": "present"})[:-1] + ',"contribution":'
    tail = _text({"sentence_ja": ja, "sentence_en": en}).replace("{", ",", 1) + ","
    text = pc.binary_join_element_wise(head, pa.array(amount).cast(pa.string()), tail, "")
    return pc.if_else(pa.array(np.abs(amount) >= 5e-7), text, "")


def _grouped(
    rest: Floats, remainder: Floats, largest: Floats, model: AdditiveModel, features: Mapping[str, Feature]
) -> tuple[pa.Array, Floats]:
    """(JSON of sums by source, what is then left). Where the inputs not shown weigh more together than the largest reason
    shown, their sums by source are told, the largest first, until what is left does not: "others" hide nothing large.

    ``rest`` is (rows, terms) without what is shown, ``largest`` the size of the largest entry shown.
    """
    rows = len(remainder)
    left = remainder.copy()
    wanting = np.flatnonzero(np.abs(left) > largest + 1e-9)
    if not len(wanting):
        return pa.array([""] * rows, pa.string()), left
    groups = sorted({features[term.features[0]].group for term in model.terms})
    member = np.array([groups.index(features[term.features[0]].group) for term in model.terms])
    sums = np.column_stack([rest[wanting][:, member == n].sum(axis=1) for n in range(len(groups))]).round(6)
    places = np.argsort(-np.abs(sums), axis=1, kind="stable")
    heads = [
        _text({"item": "group", "group": group, "value": None, "status": "present"})[:-1] + ',"contribution":'
        for group in groups
    ]
    tails = [
        _text(
            {
                "sentence_ja": f"{_group_ja(group)}のほかの項目の合計",
                "sentence_en": f"All other inputs of {group} together",
            }
        ).replace("{", ",", 1)
        + ","
        for group in groups
    ]
    open_, size = left[wanting], largest[wanting].astype(float)
    columns: list[Any] = [pa.array([""] * len(wanting))]
    for slot in range(len(groups)):
        amount = np.take_along_axis(sums, places[:, slot : slot + 1], axis=1)[:, 0]
        told = (np.abs(open_) > size + 1e-9) & (amount != 0.0)
        if not told.any():
            break
        group = pa.array(places[:, slot])
        text = pc.binary_join_element_wise(
            pa.array(heads).take(group), pa.array(amount).cast(pa.string()), pa.array(tails).take(group), ""
        )
        columns.append(pc.if_else(pa.array(told), text, ""))
        open_ = open_ - amount * told
        size = np.where(told, np.maximum(size, np.abs(amount)), size)
    left[wanting] = open_
    texts = pa.concat_arrays([pa.array([""]), pc.binary_join_element_wise(*columns, "").cast(pa.string())])
    of_row = np.zeros(rows, dtype=np.int64)
    of_row[wanting] = np.arange(1, len(wanting) + 1)
    return texts.take(pa.array(of_row)), left


def _by_feature(contributions: Floats, model: AdditiveModel) -> Floats:
    """Contributions with those of several terms of one feature (the two halves of a mean) added up in the first of them:
    a child's reason stands once.
    """
    first: dict[tuple[str, ...], int] = {}
    again = [(n, at) for n, term in enumerate(model.terms) if (at := first.setdefault(term.features, n)) != n]
    if not again:
        return contributions
    added = contributions.copy()
    for n, at in again:
        added[:, at] += added[:, n]
        added[:, n] = 0.0
    return added


def _largest(size: Floats, slots: int) -> npt.NDArray[np.int64]:
    """Per row the columns of the ``slots`` largest values, the largest first; no row depends on another."""
    chosen = np.sort(np.argpartition(-size, slots - 1, axis=1)[:, :slots], axis=1)
    places = np.argsort(-np.take_along_axis(size, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, places, axis=1)


def _entries(
    con: duckdb.DuckDBPyConnection,
    cohort: Cohort,
    model: AdditiveModel,
    features: dict[str, Feature],
    order: npt.NDArray[np.int64],
    shown: Floats,
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """(the distinct reasons of these children as JSON, each with a comma behind it; which of them stands in each slot).

    ``order`` and ``shown`` are (rows, slots): the term in each slot and its contribution. One that adds nothing has no text.
    """
    # a term of one feature may have a second number told in brackets
    second = {
        n: str(features[term.features[0]].beside)
        for n, term in enumerate(model.terms)
        if len(term.features) == 1 and features[term.features[0]].beside in cohort.values
    }
    entry_of = np.empty(order.size, dtype=np.int64)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("term", "contribution", "value_a", "status_a", "value_b", "status_b", "value_beside")
    }
    flat, contribution = order.ravel(), shown.ravel()
    places = np.argsort(flat, kind="stable")
    ends = np.searchsorted(flat[places], np.arange(len(model.terms) + 1))
    found = 0
    for n, term in enumerate(model.terms):
        at = places[ends[n] : ends[n + 1]]
        row = at // order.shape[1]
        said = [
            (cohort.values[name][row], cohort.statuses[name][row]) for name in (term.features[0], term.features[-1])
        ]
        beside = cohort.values[second[n]][row] if n in second else np.full(len(row), np.nan)
        numbers = [_numbered(*said[0])]
        if len(term.features) > 1:
            numbers.append(_numbered(*said[1]))
        if n in second:
            numbers.append(_numbered(beside, np.zeros(len(row), dtype=np.int8)))
        _, chosen, which = np.unique(_combined(numbers), return_index=True, return_inverse=True)
        entry_of[at] = found + which
        found += len(chosen)
        columns["term"].append(np.full(len(chosen), n))
        columns["contribution"].append(contribution[at][chosen])
        for part, (value, status) in zip(("a", "b"), said, strict=True):
            columns[f"value_{part}"].append(value[chosen])
            columns[f"status_{part}"].append(status[chosen])
        columns["value_beside"].append(beside[chosen])
    told = {name: np.concatenate(parts) for name, parts in columns.items()}
    con.register(
        "_told",
        pa.table(
            {"entry": pa.array(np.arange(found))}
            | {name: pa.array(column, from_pandas=name.startswith("value")) for name, column in told.items()}
        ),
    )
    con.register("_terms", _term_table(model, features))
    try:
        texts = con.execute(
            f"""
            with spoken as (
                select
                    s.entry, s.contribution, s.value_a, s.status_a, t.head,
                    {_sentence("ja")} as sentence_ja,
                    {_sentence("en")} as sentence_en,
                    case
                        when s.value_beside is not null
                            then ',"beside":' || round(s.value_beside, 6)::varchar
                        else ''
                    end as beside
                from _told as s
                inner join _terms as t on s.term = t.term
            )
            select
                case when contribution = 0 then '' else
                    head || ',"value":' || coalesce(round(value_a, 6)::varchar, 'null')
                    || ',"status":"' || list_extract({list(STATUSES)!r}, status_a)
                    || '","contribution":' || contribution::varchar
                    || beside || ',"sentence_ja":"' || sentence_ja || '","sentence_en":"' || sentence_en || '"}},'
                end as text
            from spoken
            order by entry
            """
        ).to_arrow_table()
    finally:
        for name in ("_told", "_terms"):
            con.unregister(name)
    return texts["text"].combine_chunks(), entry_of.reshape(order.shape)


def _numbered(value: Floats, status: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The same number for the same value, and for the same way of being absent."""
    absent = np.isnan(value)
    _, number = np.unique(np.where(absent, 0.0, value), return_inverse=True)
    return np.where(absent, -1 - status.astype(np.int64), number)


def _combined(numbers: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """One number per row for several small ones."""
    out = np.zeros(len(numbers[0]), dtype=np.int64)
    for number in numbers:
        shifted = number + len(STATUSES) + 1
        out = out * (int(shifted.max(initial=0)) + 1) + shifted
    return out


def _rule_hits(cohort: Cohort, theme: Theme) -> pa.Array:
    """The rules that hold for each child, as JSON: text is made once per combination of rules."""
    rules = [
        {
            "key": criterion.key,
            "feature": criterion.feature,
            "weight": criterion.weight,
            "sentence_ja": criterion.sentence_ja,
            "sentence_en": criterion.sentence_en,
            "evidence": criterion.evidence,
        }
        for criterion in theme.criteria
    ]
    rules.append(
        {
            "key": "not_seen",
            "weight": 0.0,
            "sentence_ja": f"{theme.determinable.stale_days}日を超えて（または一度も）、姿を確認した記録がありません",
            "sentence_en": f"No source has seen this child for more than {theme.determinable.stale_days} days, or ever",
            "evidence": "三重県の事例（1年間目視なし）",
        }
    )
    hits = np.column_stack(
        [
            *(np.asarray(holds(c.op, cohort.values[c.feature], c.value), dtype=bool) for c in theme.criteria),
            _alarmed(cohort, theme),
        ]
    )
    _, chosen, which = np.unique(np.packbits(hits, axis=1), axis=0, return_index=True, return_inverse=True)
    texts = [_text([rule for rule, hit in zip(rules, hits[row].tolist(), strict=True) if hit]) for row in chosen]
    return pa.array(texts).take(pa.array(which.reshape(-1)))


def _sentence(language: str) -> str:
    """SQL of a reason's sentence: the template with its value, or how the value is absent."""

    def spoken(part: str) -> str:
        kinds = _ABSENT_JA if language == "ja" else _ABSENT_EN
        absent = [kinds.get(status, "") for status in STATUSES]
        yes, no = ("はい", "いいえ") if language == "ja" else ("yes", "no")
        value = f"s.value_{part}"
        form = f"t.format_{part}"
        size = f"format('{{:.1f}}', abs({value}) * 100)"
        up, down, same = (
            ("ポイント上昇", "ポイント低下", "変わりなし")
            if language == "ja"
            else (" points up", " points down", "unchanged")
        )
        points = f"case when abs({value}) < 0.0005 then '{same}' when {value} > 0 then {size} || '{up}' else {size} || '{down}' end"
        year = f"format('{{:.0f}}', {value} - if({value} > 6, 6, 0))"
        grade = (
            f"if({value} > 6, '中学', '小学') || {year} || '年生'"
            if language == "ja"
            else f"if({value} > 6, 'lower secondary school year ', 'elementary school year ') || {year}"
        )
        return (
            f"case when {value} is null then t.label_{part}_{language} || "
            f"'{'：' if language == 'ja' else ': '}' || list_extract({absent!r}, s.status_{part}) "
            f"else replace(t.sentence_{part}_{language}, '{{value}}', "
            f"case {form} "
            f"when 'percent' then format('{{:.1f}}', {value} * 100) "
            f"when 'points' then {points} "
            f"when 'grade' then {grade} "
            f"when 'decimal' then format('{{:,.1f}}', {value}) "
            f"when 'flag' then case when {value} > 0 then '{yes}' else '{no}' end "
            f"when 'level' then coalesce(list_extract(t.levels_{part}_{language}, {value}::int + 1), "
            f"format('{{:.0f}}', {value})) "
            f"else format('{{:,.0f}}', {value}) end) end"
        )

    joint = "、かつ" if language == "ja" else "; and "
    beside = (
        "case when s.value_a is null or s.value_beside is null then '' "
        f"else replace(t.beside_{language}, '{{value}}', case t.format_beside "
        "when 'percent' then format('{:.1f}', s.value_beside * 100) "
        "when 'decimal' then format('{:.1f}', s.value_beside) else format('{:.0f}', s.value_beside) end) end"
    )
    return f"{spoken('a')} || case when t.pair then '{joint}' || {spoken('b')} else {beside} end"


def _term_table(model: AdditiveModel, features: dict[str, Feature]) -> pa.Table:
    columns: dict[str, list[Any]] = {"term": [], "pair": [], "head": []}
    for n, term in enumerate(model.terms):
        parts = [features[name] for name in term.features]
        columns["term"].append(n)
        columns["pair"].append(len(parts) == 2)
        head = {
            "item": " & ".join(part.items[0] for part in parts),
            "feature": " & ".join(term.features),
            "label_ja": "×".join(part.label_ja for part in parts),
            "label_en": " × ".join(part.label_en for part in parts),
            "unit": parts[0].unit,
        }
        columns["head"].append(_text(head)[:-1])
        beside = features[parts[0].beside] if parts[0].beside is not None and len(parts) == 1 else None
        columns.setdefault("format_beside", []).append("int" if beside is None else beside.format)
        for language in ("ja", "en"):
            text = "" if beside is None else getattr(parts[0], f"beside_{language}")
            columns.setdefault(f"beside_{language}", []).append(_text(text)[1:-1])
        for part, feature in (("a", parts[0]), ("b", parts[-1])):
            columns.setdefault(f"format_{part}", []).append(feature.format)
            for language in ("ja", "en"):
                texts = {
                    "label": getattr(feature, f"label_{language}"),
                    "sentence": getattr(feature, f"sentence_{language}"),
                }
                for kind, text in texts.items():
                    columns.setdefault(f"{kind}_{part}_{language}", []).append(_text(text)[1:-1])
                columns.setdefault(f"levels_{part}_{language}", []).append(getattr(feature, f"levels_{language}"))
    arrays = {
        name: pa.array(column, type=pa.list_(pa.string())) if name.startswith("levels") else pa.array(column)
        for name, column in columns.items()
    }
    return pa.table(arrays)


def _absence_patterns(
    cohort: Cohort, theme: Theme, features: dict[str, Feature]
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Distinct ways in which groups of inputs are absent: their JSON, and each row's pattern.

    A group counts as absent when all its features are. Of one that is there in part only what cannot be read, was left out
    or lacks consent is told (``partly``): the rest of a source says nothing of it. Few patterns exist, so the text is made
    once per pattern.
    """
    groups: dict[str, list[str]] = {}
    for name in theme.features:
        groups.setdefault(features[name].group, []).append(name)
    kinds = []
    for names in groups.values():
        stacked = np.column_stack([cohort.statuses[name] for name in names])
        all_absent = (stacked != 1).all(axis=1)
        told = np.where(np.isin(stacked, [1 + STATUSES.index(kind) for kind in TOLD_IN_PART]), stacked, 1).max(axis=1)
        # a group that is there in part has the negative code of what is told of it
        kinds.append(np.where(all_absent, stacked.max(axis=1), np.where(told > 1, -told, 1)))
    matrix = np.column_stack(kinds).astype(np.int8)
    distinct, inverse = np.unique(matrix, axis=0, return_inverse=True)
    texts = []
    for row in distinct:
        absent = {group: STATUSES[code - 1] for group, code in zip(groups, row.tolist(), strict=True) if code > 1}
        partly = {group: STATUSES[-code - 1] for group, code in zip(groups, row.tolist(), strict=True) if code < 0}
        # what does not apply to a child is not missing: it is kept in `absent`, and not told as something that lacks
        lacking = {group: kind for group, kind in absent.items() if kind != "not_applicable"}
        asked = [group for group in groups if not group.startswith("resident.")]
        ja = [f"{_group_ja(group)}（{_ABSENT_JA[kind]}）" for group, kind in lacking.items()]
        ja += [f"{_group_ja(group)}の一部（{_ABSENT_JA[kind]}）" for group, kind in partly.items()]
        en = [f"{group} ({_ABSENT_EN[kind]})" for group, kind in lacking.items()]
        en += [f"part of {group} ({_ABSENT_EN[kind]})" for group, kind in partly.items()]
        texts.append(
            _text(
                {
                    "item": "absent_inputs",
                    "value": len(absent),
                    "status": "present",
                    "contribution": 0.0,
                    "absent": absent,
                    "lacking": sum(group in lacking for group in asked),
                    "applicable": sum(absent.get(group) != "not_applicable" for group in asked),
                    **({"partly": partly} if partly else {}),
                    "sentence_ja": f"使えなかった情報：{'、'.join(ja)}" if ja else "使えなかった情報はありません",
                    "sentence_en": f"Not available: {', '.join(en)}" if en else "Every source was available",
                }
            )
        )
    return texts, inverse.reshape(-1).astype(np.int64)


def absence_words(absent: Mapping[str, str], language: str) -> str:
    """Sources and how each is absent, in one line: 出欠（未連携）、登園（欠損）. Of what is not held the source alone."""
    kinds = _ABSENT_JA if language == "ja" else _ABSENT_EN
    told = [
        (_group_ja(group) if language == "ja" else group)
        + ("" if kind == "not_held" else f"（{kinds[kind]}）" if language == "ja" else f" ({kinds[kind]})")
        for group, kind in absent.items()
    ]
    return ("、" if language == "ja" else ", ").join(told)


def absent_for_all(cohort: Cohort, theme: Theme, features: Mapping[str, Feature]) -> list[str]:
    """Sources of which no child of the cohort has a single value, although they apply: a system that went missing."""
    there: dict[str, bool] = {}
    asked: dict[str, bool] = {}
    for name in theme.features:
        group, status = features[name].group, cohort.statuses[name]
        there[group] = there.get(group, False) or bool((status == 1).any())
        applies = bool(((status != 1 + STATUSES.index("not_applicable")) & (status != 1)).any())
        asked[group] = asked.get(group, False) or applies
    return sorted(group for group, seen in there.items() if not seen and asked[group])


@lru_cache(maxsize=64)
def _group_ja(group: str) -> str:
    from kodomo_platform.catalog import load_catalog

    source = load_catalog().sources.get(group)
    return group if source is None else str(source.label_ja)


def _known_children(con: duckdb.DuckDBPyConnection, theme: Theme, as_of: dt.date) -> pa.Table:
    return con.execute(
        "select child_id, max(outcome_date) as known_since from marts.mart_outcome where theme = $theme "
        f"and outcome_date <= $as_of and outcome_date > $as_of::date - interval {theme.outcome.known_months} month "
        "group by child_id",
        {"theme": theme.key, "as_of": as_of},
    ).to_arrow_table()


def _known_rule(theme: Theme) -> str:
    """Said of a child whom staff already know: no weight, because it is the outcome and not a sign of it."""
    return _text(
        {
            "key": "already_known",
            "weight": 0.0,
            "sentence_ja": f"この{theme.outcome.known_months}か月に既に把握済み（{theme.outcome.label_ja}）",
            "sentence_en": f"Already known within {theme.outcome.known_months} months: {theme.outcome.label_en}",
            "evidence": theme.outcome.source,
        }
    )


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
