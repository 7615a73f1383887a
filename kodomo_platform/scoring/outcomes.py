"""What became of the scores: realised precision at capacity, time to support, and why people decided otherwise.

Joins published scores with the assessments that came back as a source (welfare.support) and with the outcomes of the
marts; only scores whose horizon has passed are judged. Also what speaks for retiring a model: it proposes, and a person
retires (`review`).
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.scoring import artifacts
from kodomo_platform.scoring.changes import published_scores
from kodomo_platform.scoring.evaluation import DRIFT, SMALL, stability_index
from kodomo_platform.scoring.scores import load_cohort
from kodomo_platform.scoring.themes import load_themes
from kodomo_platform.warehouse import table_exists

_SUPPORT = "staging.stg_welfare__support"


@dataclass(frozen=True)
class OutcomeRow:
    """One theme and scoring date: how many were shown, looked at, and found to need support.

    Shares are None where fewer than ten children stand behind them.
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
    recall: float | None
    prevalence: float | None
    alerts_assessed: int
    median_days_to_support: float | None
    overrides: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Proposal:
    """A ground for retiring the approved model of one theme, for a person to weigh."""

    theme: str
    version: str
    reason_ja: str
    reason_en: str


def report(con: duckdb.DuckDBPyConnection, code: str, today: dt.date) -> list[OutcomeRow]:
    """One row per theme and published date, oldest first. Empty while nothing was published."""
    files = [str(path) for path in published_scores(code)]
    if not files:
        return []
    themes = load_themes()
    con.execute(
        "create or replace temp table shown_score as select child_id, theme, as_of_date, alert, "
        "model_name || ' ' || coalesce(model_version, '') as model "
        "from read_parquet($files, filename = true) "
        "qualify row_number() over (partition by child_id, theme, as_of_date order by filename desc) = 1",
        {"files": files},
    )
    support = table_exists(con, _SUPPORT)
    out = []
    try:
        for theme, date, model in con.execute(
            "select theme, as_of_date, any_value(model) from shown_score group by theme, as_of_date order by 1, 2"
        ).fetchall():
            if theme not in themes:
                continue
            given = {"theme": theme, "date": date, "months": themes[theme].horizon_months, "today": today}
            counts = con.execute(
                """
                with judged as (
                    select s.child_id, s.alert, bool_or(o.child_id is not null) as outcome
                    from shown_score as s
                    left join marts.mart_outcome as o
                        on s.child_id = o.child_id and o.theme = s.theme and o.outcome_date > s.as_of_date
                        and o.outcome_date <= least(s.as_of_date + to_months($months::int), $today::date)
                    where s.theme = $theme and s.as_of_date = $date
                    group by s.child_id, s.alert
                )
                select count(*), count(*) filter (where alert), count(*) filter (where outcome),
                    count(*) filter (where alert and outcome), $date::date + to_months($months::int) <= $today::date
                from judged
                """,
                given,
            ).fetchone()
            assert counts is not None
            children, alerts, outcomes, hits, passed = counts
            assessed, days, overrides = _assessments(con, given) if support else (0, None, {})
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
                    hits / outcomes if passed and outcomes >= SMALL else None,
                    outcomes / children if passed and children >= SMALL else None,
                    assessed,
                    days,
                    overrides,
                )
            )
    finally:
        con.execute("drop table if exists shown_score")
    return out


def _assessments(con: duckdb.DuckDBPyConnection, given: dict[str, Any]) -> tuple[int, float | None, dict[str, int]]:
    """(alerted children assessed, median days to support when at least ten began, reasons for deciding otherwise)."""
    con.execute(
        f"""
        create or replace temp table assessed_alert as
        select s.child_id, w.assessed_on, w.support_started_on, w.override_reason
        from shown_score as s
        inner join linkage.lnk_crosswalk as c on s.child_id = c.child_id and c.source = 'welfare.support'
        inner join {_SUPPORT} as w on c.source_record_id = w.source_record_id and w.theme = s.theme
        where s.theme = $theme and s.as_of_date = $date and s.alert and w.assessed_on > s.as_of_date
            and w.assessed_on <= least(s.as_of_date + to_months($months::int), $today::date)
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
    finally:
        con.execute("drop table if exists assessed_alert")
    return int(found[0]), float(found[1]) if found[2] >= SMALL else None, {str(a): int(b) for a, b in reasons}


def retirement_proposals(con: duckdb.DuckDBPyConnection, code: str, as_of: dt.date) -> list[Proposal]:
    """Grounds for retiring an approved model: drift, outcomes no better than chance, alerts that nobody used.

    Nothing is retired here. Raises ScoringError when an approved model's file was altered.
    """
    rows = report(con, code, as_of)
    out = []
    for theme in load_themes().values():
        approval = operations.approved_model(code, theme.key)
        if approval is None:
            continue
        use = artifacts.approved(code, theme)
        assert use is not None
        version = str(approval.version)
        known = use.model.facts.get("score_reference")
        cohort = load_cohort(con, theme, as_of)
        if isinstance(known, dict) and len(cohort.child_ids) >= 50:
            index = stability_index(known["edges"], known["shares"], use.model.logits(cohort.values))
            if index > DRIFT:
                out.append(
                    Proposal(
                        theme.key,
                        version,
                        f"子どもの分布が学習時と違います（PSI {index:.2f}）",
                        f"the children are no longer those learned from (PSI {index:.2f})",
                    )
                )
        mine = [row for row in rows if row.theme == theme.key and row.horizon_passed]
        mine = [row for row in mine if row.model == f"{use.model.name} {version}"]
        alerts, hits = sum(row.alerts for row in mine), sum(row.outcomes_among_alerts for row in mine)
        children, outcomes = sum(row.children for row in mine), sum(row.outcomes for row in mine)
        if outcomes >= SMALL and alerts >= SMALL:
            lift = (hits / alerts) / (outcomes / children)
            if lift < theme.floor.lift_at_capacity:
                out.append(
                    Proposal(
                        theme.key,
                        version,
                        f"新しい結果でのリフト {lift:.2f} が下限 {theme.floor.lift_at_capacity} を下回ります",
                        f"lift on fresh outcomes {lift:.2f} is below the floor of {theme.floor.lift_at_capacity}",
                    )
                )
        if alerts >= SMALL and sum(row.alerts_assessed for row in mine) < 0.1 * alerts:
            out.append(
                Proposal(
                    theme.key,
                    version,
                    "アラートの9割以上が、誰にも確認されていません",
                    "nine in ten alerts were never looked at",
                )
            )
    return out
