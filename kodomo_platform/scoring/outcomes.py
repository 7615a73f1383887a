"""What became of the scores: realised precision at capacity, time to support, and why people decided otherwise.

Joins published scores with the assessments that came back as a source (welfare.support) and with the outcomes of the
marts; only scores whose horizon has passed are judged. Also what speaks for retiring a model: it proposes, and a person
retires (`review`). The page for people is `outcome_report`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from kodomo_platform import operations
from kodomo_platform.scoring import artifacts
from kodomo_platform.scoring.additive import Floats
from kodomo_platform.scoring.candidates import Ints, measures
from kodomo_platform.scoring.changes import published_scores
from kodomo_platform.scoring.conformal import ERROR
from kodomo_platform.scoring.evaluation import DRIFT, SMALL, Group, group_counts, judge_groups, stability_index
from kodomo_platform.scoring.groups import areas, group_name, kinds, postal_towns
from kodomo_platform.scoring.scores import load_cohort
from kodomo_platform.scoring.themes import Theme, load_features, load_themes
from kodomo_platform.warehouse import table_exists

_SUPPORT = "staging.stg_welfare__support"
# What the worker had thought before the score was seen, against what was decided after it.
BEFORE_AFTER = ("same", "to_support", "from_support", "otherwise", "not_written")


# The children that training learns from and every measure is about: not yet known at the date of the score.
_NOT_KNOWN = """
    not exists (
        select 1 from marts.mart_outcome as k
        where k.child_id = s.child_id and k.theme = s.theme and k.outcome_date <= s.as_of_date
            and k.outcome_date > s.as_of_date - to_months($known::int)
    )
"""


@dataclass(frozen=True)
class OutcomeRow:
    """One theme and scoring date: how many were shown, looked at, and found to need support.

    All counts are of children not yet known at the date, as in training; ``known`` says how many were left out for that.

    Alerts are the list up to capacity, so ``precision`` is the realised precision at capacity, with a 90 % interval
    (Wilson). Shares are None where fewer than ten children stand behind them, or before the horizon has passed.
    """

    theme: str
    as_of_date: str
    model: str
    children: int
    alerts: int
    horizon_passed: bool
    outcomes: int
    outcomes_among_alerts: int
    precision: float | None
    precision_low: float | None
    precision_high: float | None
    recall: float | None
    prevalence: float | None
    alerts_assessed: int
    median_days_to_support: float | None
    overrides: dict[str, int] = field(default_factory=dict)
    before_after: dict[str, int] = field(default_factory=dict)
    known: int = 0


@dataclass(frozen=True)
class MonthRow:
    """One theme (purpose) and month: outcomes that came true, how many had been on a list, and what people did."""

    theme: str
    month: str
    outcomes: int
    listed_before: int
    assessed: int
    needs_support: int
    support_started: int
    median_days_to_support: float | None
    decided_otherwise: int


@dataclass(frozen=True)
class Proposal:
    """A ground for retiring the approved model of one theme, for a person to weigh."""

    theme: str
    version: str
    reason_ja: str
    reason_en: str


def report(con: duckdb.DuckDBPyConnection, code: str, today: dt.date) -> list[OutcomeRow]:
    """One row per theme and published date, oldest first. Empty while nothing was published.

    A horizon has passed when it lies before ``today`` and before the newest extracts: what happened since, nobody knows.
    """
    files = [str(path) for path in published_scores(code)]
    if not files:
        return []
    today = _known_until(con, today)
    themes = load_themes()
    con.execute(
        "create or replace temp table shown_score as select child_id, theme, as_of_date, alert, "
        "model_name || ' ' || coalesce(model_version, '') as model "
        "from read_parquet($files, filename = true) "
        "qualify row_number() over (partition by child_id, theme, as_of_date order by filename desc) = 1",
        {"files": files},
    )
    _forget_withheld(con, "shown_score")
    support = table_exists(con, _SUPPORT)
    out = []
    try:
        for theme, date, model in con.execute(
            "select theme, as_of_date, any_value(model) from shown_score group by theme, as_of_date order by 1, 2"
        ).fetchall():
            if theme not in themes:
                continue
            given = {"theme": theme, "date": date, "months": themes[theme].horizon_months, "today": today}
            within = {"known": themes[theme].outcome.known_months}
            counts = con.execute(
                f"""
                with judged as (
                    select s.child_id, s.alert, {_NOT_KNOWN} as is_new, bool_or(o.child_id is not null) as outcome
                    from shown_score as s
                    left join marts.mart_outcome as o
                        on s.child_id = o.child_id and o.theme = s.theme and o.outcome_date > s.as_of_date
                        and o.outcome_date <= least(s.as_of_date + to_months($months::int), $today::date)
                    where s.theme = $theme and s.as_of_date = $date
                    group by s.child_id, s.theme, s.as_of_date, s.alert
                )
                select count(*) filter (where is_new), count(*) filter (where is_new and alert),
                    count(*) filter (where is_new and outcome), count(*) filter (where is_new and alert and outcome),
                    $date::date + to_months($months::int) <= $today::date, count(*) filter (where not is_new)
                from judged
                """,
                given | within,
            ).fetchone()
            assert counts is not None
            children, alerts, outcomes, hits, passed, known = counts
            assessed, days, overrides, seen = _assessments(con, given | within) if support else (0, None, {}, {})
            spread: tuple[float, float] | tuple[None, None] = (None, None)
            if passed and alerts >= SMALL:
                spread = _wilson(hits, alerts)
            out.append(
                OutcomeRow(
                    theme,
                    str(date),
                    model,
                    children,
                    alerts,
                    bool(passed),
                    outcomes,
                    hits,
                    hits / alerts if passed and alerts >= SMALL else None,
                    spread[0],
                    spread[1],
                    hits / outcomes if passed and outcomes >= SMALL else None,
                    outcomes / children if passed and children >= SMALL else None,
                    assessed,
                    days,
                    overrides,
                    seen,
                    known,
                )
            )
    finally:
        con.execute("drop table if exists shown_score")
    return out


def _forget_withheld(con: duckdb.DuckDBPyConnection, table: str) -> None:
    """Take out of ``table`` whom consent leaves out today: what was published of them before counts nowhere any more."""
    if table_exists(con, "marts.mart_withheld"):
        con.execute(f"delete from {table} where child_id in (select child_id from marts.mart_withheld)")


def _known_until(con: duckdb.DuckDBPyConnection, today: dt.date) -> dt.date:
    """``today``, or the date of the extracts that the marts were built from where that is earlier."""
    newest = con.execute("select max(as_of_date) from cfg.as_of where purpose = 'score'").fetchone()
    return today if newest is None or newest[0] is None else min(today, newest[0])


def _wilson(hits: int, n: int) -> tuple[float, float]:
    """90 % interval of a share (Wilson 1927), sensible for few children too."""
    z = 1.645
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    spread = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(middle - spread, 0.0), min(middle + spread, 1.0)


def _assessments(
    con: duckdb.DuckDBPyConnection, given: dict[str, Any]
) -> tuple[int, float | None, dict[str, int], dict[str, int]]:
    """(alerted children assessed, median days to support when at least ten began, reasons for deciding otherwise,
    judgements before seeing the score against those after).
    """
    con.execute(
        f"""
        create or replace temp table assessed_alert as
        select s.child_id, w.assessed_on, w.support_started_on, w.override_reason, w.result, w.result_before
        from shown_score as s
        inner join linkage.lnk_crosswalk as c on s.child_id = c.child_id and c.source = 'welfare.support'
        inner join {_SUPPORT} as w on c.source_record_id = w.source_record_id and w.theme = s.theme
        where s.theme = $theme and s.as_of_date = $date and s.alert and w.assessed_on > s.as_of_date
            and w.assessed_on <= least(s.as_of_date + to_months($months::int), $today::date) and {_NOT_KNOWN}
        """,
        given,
    )
    try:
        found = con.execute(
            "select count(distinct child_id), median(date_diff('day', $date::date, support_started_on)), "
            "count(support_started_on) from assessed_alert",
            {"date": given["date"]},
        ).fetchone()
        assert found is not None
        reasons = con.execute(
            "select override_reason, count(*) from assessed_alert "
            "where override_reason is not null and override_reason != 'none' group by 1 order by 2 desc, 1"
        ).fetchall()
        seen = con.execute(
            """
            select
                case
                    when result_before is null then 'not_written'
                    when result_before = result then 'same'
                    when result = 'needs_support' then 'to_support'
                    when result_before = 'needs_support' then 'from_support'
                    else 'otherwise'
                end as how, count(*)
            from assessed_alert where result is not null group by 1
            """
        ).fetchall()
    finally:
        con.execute("drop table if exists assessed_alert")
    counted = {str(a): int(b) for a, b in seen}
    return (
        int(found[0]),
        float(found[1]) if found[2] >= SMALL else None,
        {str(a): int(b) for a, b in reasons},
        {how: counted[how] for how in BEFORE_AFTER if how in counted},
    )


def by_month(con: duckdb.DuckDBPyConnection, code: str, today: dt.date, months: int = 12) -> list[MonthRow]:
    """The last ``months`` months per theme that the municipality has published, oldest first.

    An outcome counts as listed before when the child was on a published list within the theme's horizon before it.
    """
    files = [str(path) for path in published_scores(code)]
    if not files:
        return []
    today = _known_until(con, today)
    themes = load_themes()
    con.execute(
        "create or replace temp table listed as select distinct child_id, theme, as_of_date "
        "from read_parquet($files) where alert",
        {"files": files},
    )
    _forget_withheld(con, "listed")
    known = [
        row[0]
        for row in con.execute(
            "select distinct theme from read_parquet($files) order by 1", {"files": files}
        ).fetchall()
    ]
    support = table_exists(con, _SUPPORT)
    out = []
    try:
        for theme in (key for key in known if key in themes):
            given = {"theme": theme, "today": today, "months": months, "horizon": themes[theme].horizon_months}
            given["known"] = themes[theme].outcome.known_months
            rows = con.execute(
                f"""
                with month as (
                    select date_trunc('month', $today::date)::date - to_months(n::int) as starts
                    from range($months::int) as t(n)
                ),
                outcome as (
                    select date_trunc('month', o.outcome_date) as starts, o.child_id, bool_or(l.child_id is not null) as listed
                    from marts.mart_outcome as o
                    left join listed as l
                        on o.child_id = l.child_id and l.theme = o.theme and o.outcome_date > l.as_of_date
                        and o.outcome_date <= l.as_of_date + to_months($horizon::int)
                    where o.theme = $theme and o.outcome_date <= $today::date
                        -- of a child known already an outcome is no news
                        and not exists (
                            select 1 from marts.mart_outcome as k
                            where k.child_id = o.child_id and k.theme = o.theme and k.outcome_date < o.outcome_date
                                and k.outcome_date > o.outcome_date - to_months($known::int)
                        )
                    group by 1, 2
                ),
                outcomes as (
                    select starts, count(*) as n, count(*) filter (where listed) as listed from outcome group by 1
                ),
                work as (
                    {_WORK if support else _NO_WORK}
                )
                select
                    strftime(m.starts, '%Y-%m'), coalesce(o.n, 0), coalesce(o.listed, 0), coalesce(w.assessed, 0),
                    coalesce(w.needed, 0), coalesce(w.started, 0), w.days, coalesce(w.otherwise, 0)
                from month as m
                left join outcomes as o on m.starts = o.starts
                left join work as w on m.starts = w.starts
                order by m.starts
                """,
                given,
            ).fetchall()
            out += [MonthRow(theme, *row) for row in rows]
    finally:
        con.execute("drop table if exists listed")
    return out


_WORK = f"""
    select
        date_trunc('month', assessed_on) as starts,
        count(*) as assessed,
        count(*) filter (where result = 'needs_support') as needed,
        count(support_started_on) as started,
        case
            when count(support_started_on) >= {SMALL}
                then median(date_diff('day', assessed_on, support_started_on))
        end as days,
        count(*) filter (where override_reason is not null and override_reason != 'none') as otherwise
    from {_SUPPORT}
    where theme = $theme and assessed_on <= $today::date
    group by 1
"""
_NO_WORK = (
    "select null::timestamp as starts, 0 as assessed, 0 as needed, 0 as started, null::double as days, 0 as otherwise "
    "where false"
)


def retirement_proposals(con: duckdb.DuckDBPyConnection, code: str, as_of: dt.date) -> list[Proposal]:
    """Grounds for retiring an approved model: drift, a floor broken on fresh outcomes, a gap between groups, alerts that
    nobody used.

    Nothing is retired here. Raises ScoringError when an approved model's file was altered.
    """
    rows = report(con, code, as_of)
    out: list[Proposal] = []
    for theme in load_themes().values():
        approval = operations.approved_model(code, theme.key)
        if approval is None:
            continue
        use = artifacts.approved(code, theme)
        assert use is not None
        version = str(approval.version)

        def propose(ja: str, en: str, theme: Theme = theme, version: str = version) -> None:
            out.append(Proposal(theme.key, version, ja, en))

        known = use.model.facts.get("score_reference")
        cohort = load_cohort(con, theme, load_features(), as_of)
        if isinstance(known, dict) and len(cohort.child_ids) >= 50:
            index = stability_index(known["edges"], known["shares"], use.model.logits(cohort.values))
            if index > DRIFT:
                propose(
                    f"こどもの分布が学習時と違います（PSI {index:.2f}）",
                    f"the children are no longer those learned from (PSI {index:.2f})",
                )
        mine = [row for row in rows if row.theme == theme.key and row.horizon_passed]
        mine = [row for row in mine if row.model == f"{use.model.name} {version}"]
        alerts, hits = sum(row.alerts for row in mine), sum(row.outcomes_among_alerts for row in mine)
        children, outcomes = sum(row.children for row in mine), sum(row.outcomes for row in mine)
        if outcomes >= SMALL and alerts >= SMALL:
            lift = (hits / alerts) / (outcomes / children)
            if lift < theme.floor.lift_at_capacity:
                propose(
                    f"新しい結果でのリフト {lift:.2f} が下限 {theme.floor.lift_at_capacity} を下回ります",
                    f"lift on fresh outcomes {lift:.2f} is below the floor of {theme.floor.lift_at_capacity}",
                )
        if outcomes >= SMALL:
            fresh = fresh_scores(con, code, theme, [row.as_of_date for row in mine])
            if outcomes >= theme.floor.outcomes:
                for ja, en in _floor_faults(theme, fresh):
                    propose(ja, en)
            for group in fresh_groups(fresh):
                if group.biased:
                    propose(
                        f"新しい結果で{group_name(group)}に差があります：{group.verdict}",
                        f"fresh outcomes, {group.kind} {group.name}: {group.verdict_en}",
                    )
        if alerts >= SMALL and sum(row.alerts_assessed for row in mine) < 0.1 * alerts:
            propose("アラートの9割以上が、誰にも確認されていません", "nine in ten alerts were never looked at")
    return out


@dataclass(frozen=True)
class Fresh:
    """Published scores whose horizon has passed, and what came of them: one row per child and date."""

    y: Ints
    score: Floats
    alert: npt.NDArray[np.bool_]
    unlike_outcome: npt.NDArray[np.bool_]  # the score alone was called unlike the outcome
    household: npt.NDArray[Any]
    kinds: dict[str, npt.NDArray[Any]]


def fresh_scores(con: duckdb.DuckDBPyConnection, code: str, theme: Theme, dates: Sequence[str]) -> Fresh:
    """The scores of ``dates`` as last published, with outcomes since; groups by what was known of the child at the date."""
    files = [str(path) for path in published_scores(code)]
    withheld = table_exists(con, "marts.mart_withheld")
    left_out = "anti join marts.mart_withheld as w on s.child_id = w.child_id" if withheld else ""
    rows = con.execute(
        f"""
        with shown as (
            select * from read_parquet($files, filename = true)
            where theme = $theme and list_contains($dates, as_of_date::varchar)
            qualify row_number() over (partition by child_id, as_of_date order by filename desc) = 1
        ),
        about as (
            select child_id, as_of_date, household_id, sex, age_years, single_parent, siblings_count
            from read_parquet($features, filename = true, union_by_name = true)
            where list_contains($dates, as_of_date::varchar)
            qualify row_number() over (partition by child_id, as_of_date order by filename desc) = 1
        )
        select
            s.child_id, s.score, s.alert, contains(s.reasons, '"says":"like_no_outcome"') as unlike_outcome,
            coalesce(a.household_id, s.child_id) as household, a.sex, a.age_years, a.single_parent, a.siblings_count,
            exists (
                select 1 from marts.mart_outcome as o
                where o.child_id = s.child_id and o.theme = s.theme and o.outcome_date > s.as_of_date
                    and o.outcome_date <= s.as_of_date + to_months($months::int)
            ) as outcome
        from shown as s
        {left_out}
        left join about as a on s.child_id = a.child_id and s.as_of_date = a.as_of_date
        where {_NOT_KNOWN}
        order by s.as_of_date, s.child_id
        """,
        {
            "files": files,
            # of the same snapshots: the warehouse holds the features of the newest date alone
            "features": [str(Path(file).with_name("child_features.parquet")) for file in files],
            "theme": theme.key,
            "dates": list(dates),
            "months": theme.horizon_months,
            "known": theme.outcome.known_months,
        },
    ).fetchnumpy()
    y = np.asarray(rows["outcome"]).astype(np.int64)
    age, single, siblings = (_numbers(rows[name]) for name in ("age_years", "single_parent", "siblings_count"))
    groups = kinds(rows["sex"], age, single, siblings)
    groups["area"] = areas(postal_towns(con, np.asarray(rows["child_id"])), y)
    return Fresh(
        y,
        _numbers(rows["score"]),
        np.asarray(rows["alert"]).astype(bool),
        np.asarray(rows["unlike_outcome"]).astype(bool),
        np.asarray(rows["household"]).astype(str),
        groups,
    )


def _numbers(column: Any) -> Floats:
    return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan), dtype=np.float64)


def fresh_groups(fresh: Fresh) -> list[Group]:
    """Each group against the others of its kind, those too small for a number hidden; none while nothing came true."""
    if not 0 < fresh.y.sum() < len(fresh.y):
        return []
    # a score that is too low or too high for everybody is said once (`global_calibration`), not as a gap between groups
    return judge_groups(group_counts(fresh.kinds, fresh.y, _centred(fresh), fresh.household, fresh.alert))


def global_calibration(fresh: Fresh) -> float:
    """Outcomes that the scores led to expect, divided by those that came (E/O); 1 is right, 2 twice too many."""
    return float(fresh.score.sum() / max(int(fresh.y.sum()), 1))


def _centred(fresh: Fresh) -> Floats:
    """The scores moved by one constant in log odds, so that as many outcomes are expected as came."""
    logit = np.log(np.clip(fresh.score, 1e-9, 1 - 1e-9)) - np.log1p(-np.clip(fresh.score, 1e-9, 1 - 1e-9))
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        if float((1 / (1 + np.exp(-(logit + middle)))).mean()) < float(fresh.y.mean()):
            low = middle
        else:
            high = middle
    return np.asarray(1 / (1 + np.exp(-(logit + (low + high) / 2))), dtype=np.float64)


def groups_by_theme(con: duckdb.DuckDBPyConnection, code: str, today: dt.date) -> dict[str, list[Group]]:
    """The groups of every theme over all published dates whose horizon has passed, whichever model scored them."""
    themes = load_themes()
    dates: dict[str, list[str]] = {}
    for row in report(con, code, today):
        if row.horizon_passed:
            dates.setdefault(row.theme, []).append(row.as_of_date)
    return {key: fresh_groups(fresh_scores(con, code, themes[key], found)) for key, found in dates.items()}


def _floor_faults(theme: Theme, fresh: Fresh) -> list[tuple[str, str]]:
    """What fresh outcomes say against the floor that was fixed beforehand, and against what the scores promised."""
    if not 0 < fresh.y.sum() < len(fresh.y):
        return []
    out = []
    measured = measures(fresh.y, fresh.score)
    if measured["auc"] < theme.floor.auc:
        out.append(
            (
                f"新しい結果でのAUC {measured['auc']:.3f} が下限 {theme.floor.auc} を下回ります",
                f"AUC on fresh outcomes {measured['auc']:.3f} is below the floor of {theme.floor.auc}",
            )
        )
    if measured["ece"] > theme.floor.calibration_error:
        out.append(
            (
                f"新しい結果での較正誤差 {measured['ece']:.3f} が上限 {theme.floor.calibration_error} を超えます",
                f"calibration error on fresh outcomes {measured['ece']:.3f} is above {theme.floor.calibration_error}",
            )
        )
    expected = global_calibration(fresh)
    if not 0.8 <= expected <= 1.25:
        out.append(
            (
                f"新しい結果に対し、点数は全体として{expected:.2f}倍の人数を見込んでいました（0.8～1.25倍が目安）",
                f"the scores expected {expected:.2f} times as many outcomes as came (0.8 to 1.25 is meant)",
            )
        )
    came = fresh.y == 1
    wrong = int(fresh.unlike_outcome[came].sum())
    if _wilson(wrong, int(came.sum()))[0] > ERROR:
        share = wrong / int(came.sum())
        out.append(
            (
                f"該当したこどもの{share:.0%}に「過去に該当したこどもの9割を下回る点数」と示していました（約束は1割まで）",
                f"{share:.0%} of the children with the outcome had been called unlike it (promised: at most {ERROR:.0%})",
            )
        )
    return out
