"""What changed since a child's last published score, added to its reasons.

Read from the newest snapshot of an earlier date, so that a rerun of the same date says the same. It adds nothing to the
score. Comparing whole versions belongs to `comparison`.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb

from kodomo_platform.scoring.themes import Theme
from kodomo_platform.shelf import published_tables

# A move of less than a tenth of the score is no news to a reader.
_NEWS = 0.1
_SHOWN = 3
_ENTRY = '[{"feature":"VARCHAR","contribution":"DOUBLE","sentence_ja":"VARCHAR","sentence_en":"VARCHAR"}]'


def published_scores(code: str) -> list[Path]:
    """The score files of one municipality, oldest date first, and within a date the newest snapshot last."""
    return published_tables(code, "risk_scores")


def previous_scores(code: str, as_of: dt.date) -> Path | None:
    """The scores last published for a date before ``as_of``, or None."""
    earlier = [path for path in published_scores(code) if path.parent.parent.name < as_of.isoformat()]
    return earlier[-1] if earlier else None


def add_changes(con: duckdb.DuckDBPyConnection, table: str, path: Path, theme: Theme) -> int:
    """Append one entry `change` to the reasons of every child of ``table`` who is in ``path``; how many of them moved.

    ``table`` has the columns of ``marts.risk_scores`` and holds rows of ``theme`` alone.
    """
    con.execute(
        "create or replace temp table previous_score as "
        "select child_id, as_of_date, score, band, reasons, model_name, model_version, criteria_hash, feature_hash "
        "from read_parquet($path) where theme = $theme "
        f"and child_id between (select min(child_id) from {table}) and (select max(child_id) from {table}) "
        "qualify row_number() over (partition by child_id order by as_of_date desc) = 1",
        {"path": str(path), "theme": theme.key},
    )
    try:
        con.execute(
            f"""
            create or replace temp table score_change as
            with pair as (
                select
                    n.child_id, p.as_of_date as before_on, p.score as before, n.score as after,
                    n.reasons as reasons_now, p.reasons as reasons_before,
                    abs(n.score - p.score) > {_NEWS} * p.score or n.band != p.band as moved,
                    list_filter([
                        case when (n.model_name, n.model_version) != (p.model_name, p.model_version) then 'model' end,
                        case when n.criteria_hash != p.criteria_hash then 'criteria' end,
                        case when n.feature_hash != p.feature_hash then 'features' end
                    ], lambda x: x is not null) as versions
                from {table} as n
                inner join previous_score as p on n.child_id = p.child_id
            ),
            now as (
                select child_id, unnest(from_json(reasons_now, '{_ENTRY}')) as e from pair where moved
            ),
            earlier as (
                select child_id, unnest(from_json(reasons_before, '{_ENTRY}')) as e from pair where moved
            ),
            delta as (
                select
                    coalesce(n.child_id, b.child_id) as child_id,
                    coalesce(n.e.feature, b.e.feature) as feature,
                    coalesce(n.e.contribution, 0) - coalesce(b.e.contribution, 0) as by_how_much,
                    case
                        when b.e.sentence_ja is null then n.e.sentence_ja
                        when n.e.sentence_ja is null then b.e.sentence_ja || '（前回の理由）'
                        else b.e.sentence_ja || ' → ' || n.e.sentence_ja
                    end as ja,
                    case
                        when b.e.sentence_en is null then n.e.sentence_en
                        when n.e.sentence_en is null then b.e.sentence_en || ' (a reason last time)'
                        else b.e.sentence_en || ' → ' || n.e.sentence_en
                    end as en
                from (select * from now where e.feature is not null) as n
                full outer join (select * from earlier where e.feature is not null) as b
                    on n.child_id = b.child_id and n.e.feature = b.e.feature
            ),
            told as (
                select
                    child_id,
                    string_agg(ja, '；' order by abs(by_how_much) desc, feature) as ja,
                    string_agg(en, '; ' order by abs(by_how_much) desc, feature) as en
                from (
                    select * from delta where abs(by_how_much) > 1e-6
                    qualify row_number() over (partition by child_id order by abs(by_how_much) desc, feature) <= {_SHOWN}
                )
                group by child_id
            )
            select
                p.child_id, p.moved,
                json_object(
                    'item', 'change', 'value', round(p.after - p.before, 6), 'status', 'present', 'contribution', 0.0,
                    'previous_as_of', p.before_on::varchar, 'previous_score', p.before,
                    'why', case when t.ja is null then p.versions else list_append(p.versions, 'data') end,
                    'sentence_ja',
                    '前回（' || p.before_on::varchar || '）の点数 ' || format('{{:.3f}}', p.before) || ' → 今回 '
                    || format('{{:.3f}}', p.after)
                    || case when not p.moved then '：大きな変化はありません' else coalesce('：' || t.ja, '') end
                    || case when len(p.versions) > 0 then '（判定の版も変わりました）' else '' end,
                    'sentence_en',
                    'Last time (' || p.before_on::varchar || ') ' || format('{{:.3f}}', p.before) || ', now '
                    || format('{{:.3f}}', p.after)
                    || case when not p.moved then ': no great change' else coalesce(': ' || t.en, '') end
                    || case when len(p.versions) > 0 then ' (the version that judges has changed too)' else '' end
                )::varchar as entry
            from pair as p
            left join told as t on p.child_id = t.child_id
            """
        )
        con.execute(
            f"update {table} as r set reasons = left(r.reasons, length(r.reasons) - 1) || ',' || c.entry || ']' "
            "from score_change as c where r.child_id = c.child_id"
        )
        moved = con.execute("select count(*) filter (where moved) from score_change").fetchone()
        assert moved is not None
        return int(moved[0])
    finally:
        con.execute("drop table if exists score_change")
        con.execute("drop table if exists previous_score")
