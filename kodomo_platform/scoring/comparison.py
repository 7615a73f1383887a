"""What changed between two versions of scores, read from published snapshots; and one child's score as people read it.

Snapshots are immutable, so this compares what was really published. Making scores does not belong here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.changes import published_scores
from kodomo_platform.scoring.model_card import CANDIDATES
from kodomo_platform.settings import get_settings, municipality_code
from kodomo_platform.shelf import require_open
from kodomo_platform.warehouse import connect

# A move of less than this share of a band's width is rounding, not news.
_MOVED = 1e-9
# Inputs told per child.
_REASONS = 3
_INPUT = '[{"feature":"VARCHAR","value":"DOUBLE","status":"VARCHAR"}]'
_CAUSES = {
    "model": {"ja": "モデル", "en": "model"},
    "criteria": {"ja": "判定基準", "en": "criteria"},
    "features": {"ja": "項目の定義", "en": "features"},
    "code": {"ja": "プログラム", "en": "code"},
    "data": {"ja": "データ", "en": "data"},
}


@dataclass(frozen=True)
class Move:
    """One child whose score moved."""

    child_id: str
    theme: str
    score_before: float | None
    score_after: float | None
    band_before: str | None
    band_after: str | None
    alert_before: bool | None
    alert_after: bool | None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Two score versions: why they differ (model, criteria, features, code, data), how many moved, and who."""

    before: str
    after: str
    theme: str
    causes: list[str]
    children: int
    moved: int
    bands_changed: int
    alerts_new: int
    alerts_gone: int
    # of those who moved: an input told on both sides has another value (with equal versions: any move of the score)
    inputs_changed: int
    moves: list[Move] = field(default_factory=list)


def _files(code: str | None) -> list[str]:
    root = get_settings().published
    pattern = f"{municipality_code(code) if code else '*'}/*/*/risk_scores.parquet"
    files = sorted(str(path) for path in root.glob(pattern) if not path.is_symlink() and not path.parent.is_symlink())
    if not files:
        raise ScoringError("nothing is published yet", where=root.name, action="run a municipality first")
    return files


def _why(causes: tuple[str, ...], before: str | None, after: str | None, language: str) -> tuple[str, ...]:
    """Why one child moved: what differs between the versions, and the inputs whose contribution changed most."""
    if before is None or after is None:
        absent = {"ja": ("前回は対象外", "今回は対象外"), "en": ("not asked about before", "not asked about any more")}
        return (absent[language][before is not None],)
    then, now = (
        {row["feature"]: row for row in json.loads(reasons) if "feature" in row} for reasons in (before, after)
    )
    moved = []
    for name in sorted({*then, *now}):
        old, new = then.get(name), now.get(name)
        by = (new["contribution"] if new else 0.0) - (old["contribution"] if old else 0.0)
        said = [row[f"sentence_{language}"] for row in (old, new) if row]
        # a reason that is not among the largest on one side is counted there as nothing, as `changes` does
        text = said[0] if len(set(said)) == 1 else " → ".join(said)
        if new is None:
            text += "（前回）" if language == "ja" else " (before)"
        moved.append((abs(by), f"{text}（{by:+.3f}）" if language == "ja" else f"{text} ({by:+.3f})"))
    moved.sort(key=lambda pair: -pair[0])
    because = ("、" if language == "ja" else ", ").join(causes)
    return (*([because] if because else []), *(text for by, text in moved[:_REASONS] if by > _MOVED))


def _model(name: str, version: str, language: str) -> str:
    """A model as people call it, with its version; of the criteria the beginning of their hash."""
    known = CANDIDATES.get(name, (name, name))[language != "ja"]
    number = version[:8] if name == "criteria" else version
    return f"{known}（版 {number}）" if language == "ja" else f"{known} (version {number})"


def compare(
    before: str, after: str, *, municipality: str | None = None, explained: int = 20, language: str = "ja"
) -> Difference:
    """The difference between two score versions (prefixes do), each as last published.

    ``VERSION@DATE`` takes a version as published for that date: one version scores many months. The ``explained``
    children who moved most are told why.

    Raises ScoringError when a version is unknown, ambiguous, or the two answer different themes.
    """
    con = connect(":memory:")
    try:
        con.execute(
            "create view scores as select * from read_parquet($files, filename = true)".replace(
                "$files", repr(_files(municipality))
            )
        )
        for name, asked in (("a", before), ("b", after)):
            version, _, date = asked.partition("@")
            found = con.execute(
                "select distinct score_version, theme from scores where starts_with(score_version, $version) "
                "and ($date = '' or as_of_date::varchar = $date)",
                {"version": version, "date": date},
            ).fetchall()
            if len(found) != 1:
                raise ScoringError(
                    "no such score version" if not found else f"{len(found)} score versions begin like this",
                    where=asked,
                    action="see `kodomo scores show` or the risk_scores of a snapshot for the versions",
                )
            con.execute(
                f"create table {name} as select * from scores where score_version = $version "
                "and ($date = '' or as_of_date::varchar = $date) qualify row_number() over (partition by child_id order by as_of_date desc, filename desc) = 1",
                {"version": found[0][0], "date": date},
            )
        facts = con.execute(
            "select a.theme, b.theme, (a.model_name, coalesce(a.model_version, '')), "
            "(b.model_name, coalesce(b.model_version, '')), "
            "a.criteria_hash, b.criteria_hash, a.feature_hash, b.feature_hash, a.code_version, b.code_version, "
            "a.as_of_date, b.as_of_date from (select * from a limit 1) as a, (select * from b limit 1) as b"
        ).fetchone()
        assert facts is not None
        if facts[0] != facts[1]:
            raise ScoringError(
                f"the versions answer different themes: {facts[0]} and {facts[1]}", where=f"{before}, {after}"
            )
        causes = []
        for key, value in (("model", 2), ("criteria", 4), ("features", 6), ("code", 8), ("data", 10)):
            if facts[value] != facts[value + 1]:
                both = (facts[value], facts[value + 1])
                pair = [_model(one[0], one[1], language) if key == "model" else str(one)[:20] for one in both]
                changed = " → ".join(pair)
                hashed = key in ("criteria", "features")
                causes.append(_CAUSES[key][language] if hashed else f"{_CAUSES[key][language]}: {changed}")
        versions_differ = any(facts[value] != facts[value + 1] for value in (2, 4, 6, 8))
        rows = con.execute(
            f"""
            select
                coalesce(a.child_id, b.child_id), coalesce(a.theme, b.theme),
                a.score, b.score, a.band, b.band, a.alert, b.alert
            from a full outer join b on a.child_id = b.child_id
            where a.score is null or b.score is null or abs(a.score - b.score) > {_MOVED}
                or a.band != b.band or a.alert != b.alert
            -- first who comes onto the list or leaves it, then who changes band, then by how far
            order by
                coalesce(a.alert, false) != coalesce(b.alert, false) desc,
                a.band is distinct from b.band desc,
                abs(coalesce(b.score, 0) - coalesce(a.score, 0)) desc,
                1
            """
        ).fetchall()
        reasons = {
            row[0]: (row[1], row[2])
            for row in con.execute(
                "select coalesce(a.child_id, b.child_id), a.reasons, b.reasons "
                "from a full outer join b on a.child_id = b.child_id "
                "where list_contains($children, coalesce(a.child_id, b.child_id))",
                {"children": [row[0] for row in rows[:explained]]},
            ).fetchall()
        }
        inputs = con.execute(
            f"""
            with told as (
                select 'a' as side, child_id, unnest(from_json(reasons, '{_INPUT}')) as e from a
                union all
                select 'b' as side, child_id, unnest(from_json(reasons, '{_INPUT}')) as e from b
            )
            select count(distinct x.child_id)
            from told as x
            inner join told as y
                on x.side = 'a' and y.side = 'b' and x.child_id = y.child_id and x.e.feature = y.e.feature
            inner join a on x.child_id = a.child_id
            inner join b on x.child_id = b.child_id
            where (x.e.value is distinct from y.e.value or x.e.status != y.e.status)
                and (abs(a.score - b.score) > {_MOVED} or a.band != b.band or a.alert != b.alert)
            """
        ).fetchone()
        assert inputs is not None
        total = con.execute("select count(*) from (select child_id from a union select child_id from b)").fetchone()
        assert total is not None
    finally:
        con.close()
    if rows and not causes:
        other = {"ja": "同じ基準日の、別の抽出", "en": "other extracts at the same date"}
        causes.append(f"{_CAUSES['data'][language]}: {other[language]}")
    kinds = tuple(cause.partition(":")[0] for cause in causes)
    moves = [
        replace(Move(*row), why=_why(kinds, *reasons[row[0]], language) if row[0] in reasons else ()) for row in rows
    ]
    return Difference(
        before, after, facts[0], causes, total[0], len(moves),
        sum(move.band_before != move.band_after for move in moves),
        sum(bool(move.alert_after) and not move.alert_before for move in moves),
        sum(bool(move.alert_before) and not move.alert_after for move in moves),
        int(inputs[0]) if versions_differ else sum(move.score_before != move.score_after for move in moves),
        moves,
    )  # fmt: skip


def latest(municipality: str, child_id: str, theme: str | None = None) -> list[dict[str, Any]]:
    """The published scores of one child, newest first, with reasons and rules as lists.

    Raises WithheldError where consent was the ground and is not there any more: older scores are not shown either.
    """
    if published_scores(municipality):
        require_open(municipality, child_id)
    con = connect(":memory:")
    try:
        cursor = con.execute(
            f"select * from read_parquet({_files(municipality)!r}, filename = true) where child_id = $child "
            "and ($theme is null or theme = $theme) order by as_of_date desc, filename desc, theme",
            {"child": child_id, "theme": theme},
        )
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        con.close()
    if not rows:
        raise ScoringError(
            "no score was published for this child",
            where=f"municipality {municipality}",
            expected="a child_id of risk_scores",
        )
    for row in rows:
        row["reasons"], row["rule_hits"] = json.loads(row["reasons"]), json.loads(row["rule_hits"])
        row["snapshot"] = Path(row.pop("filename")).parent.name
    return rows


def beside(municipality: str, theme: str, as_of: str) -> dict[str, list[dict[str, Any]]]:
    """What stands beside the newest published list of ``theme``: ``unseen``, ``flags`` (what hospitals noticed) and
    ``withheld`` (children of whom nothing is shown, without any names of themes). Empty where an older snapshot has none.
    """
    newest = [path for path in published_scores(municipality) if path.parent.parent.name == as_of]
    out: dict[str, list[dict[str, Any]]] = {"unseen": [], "flags": [], "withheld": []}
    if not newest:
        return out
    con = connect(":memory:")
    try:
        for name, condition, order in (
            ("unseen", "theme = $theme", "days_since_seen desc nulls first, child_id"),
            ("flags", "$theme = $theme", "flagged_on desc, child_id"),
            ("withheld", "$theme = $theme", "child_id"),
        ):
            file = newest[-1].with_name(f"{name}.parquet")
            if not file.is_file():
                continue
            cursor = con.execute(
                f"select * from read_parquet($path) where {condition} order by {order}",
                {"path": str(file), "theme": theme},
            )
            names = [column[0] for column in cursor.description or []]
            out[name] = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        con.close()
    return out


def current(municipality: str, theme: str) -> list[dict[str, Any]]:
    """The newest published list of one theme in rank order, reasons and rules as lists.

    Raises ScoringError when nothing is published for the theme.
    """
    con = connect(":memory:")
    try:
        newest = [
            path
            for path in published_scores(municipality)
            if con.execute(
                "select 1 from read_parquet($path) where theme = $theme limit 1", {"path": str(path), "theme": theme}
            ).fetchone()
        ]
        if not newest:
            raise ScoringError(
                "nothing is published for this theme",
                where=f"municipality {municipality}, theme {theme}",
                action="run the municipality, or see `kodomo municipality show` for its themes",
            )
        cursor = con.execute(
            "select * from read_parquet($path) where theme = $theme order by rank, child_id",
            {"path": str(newest[-1]), "theme": theme},
        )
        names = [column[0] for column in cursor.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        con.close()
    for row in rows:
        row["reasons"], row["rule_hits"] = json.loads(row["reasons"]), json.loads(row["rule_hits"])
    return rows
