"""What to watch after a run: limits on `linkage.lnk_metric`, and how the metrics went from run to run.

A child whose records contradict each other is never published: `isolation` takes such a cluster apart, asks about it and
counts it. One odd record is therefore told and stops nothing. What stops a run is a share of children (`ODD_SHARE`) that no
slip of the pen explains: then a column was converted wrongly, or numbers were given out anew, and every link of that
source is in doubt. Honest data hold slips: of 1,000 children of invented towns without any number three or four have a
year mistyped in one of their records. So slips are told when they are many, for then a conversion of eras broke somewhere;
they stop nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

Metrics = Mapping[tuple[str, str], float]
CRITICAL, WARNING, PASSED = "critical", "warning", "passed"
_HISTORY = "linkage.lnk_metric_history"
_HISTORY_DDL = (
    f"create table if not exists {_HISTORY} (place bigint, run_id varchar, as_of_date date, metric varchar, "
    "source varchar, value double)"
)
_BLOCKS = "▁▂▃▄▅▆▇█"
_TREND_RUNS = 12

_FEW = 2
# contradictions of one kind are set apart and told; beyond so many, and this share of children, a system is broken
ODD_FEW, ODD_SHARE = 5, 0.01
# open questions beyond this share of records are more than an office can work through
BACKLOG_SHARE = 0.015
# a source that lost this much of its linked share since the last run changed somehow
SHARE_LOST = 0.05
LARGEST_CLUSTER = 12
# slips in the year of birth beyond this share of children are no slips any more
BIRTH_SLIP_SHARE = 0.02
IDS_CHANGED_SHARE = 0.01
# shares of links expected to be false, and of pairs expected to be missed, that are told
EXPECTED_FALSE, EXPECTED_MISSED = 0.0005, 0.02

CHECKS = {
    "two_resident_numbers": "宛名番号の異なる記録が一人にまとめられそうになり、分けて確認中の件が多すぎないこと / few records of two resident "
    "numbers had to be set apart and asked about",
    "two_birth_years": "書き誤りとは見られない二つの生年の記録が一人にまとめられそうになり、分けて確認中の件が多すぎないこと / few records of "
    "two birth years that no slip of the pen explains had to be set apart and asked about",
    "birth_year_slips": "生年の書き誤りとみられる記録が多すぎないこと / few children with a year of birth mistyped in a record",
    "second_record": "重複のない資料の記録が、似ているだけで二つ結ばれたこどもが多すぎないこと / few children with a second record of a "
    "duplicate-free source by likeness alone, joined or set apart",
    "names_or_sexes": "性別や双子の名が食い違う記録が一人にまとめられそうになっていないこと / no records of two sexes or of known "
    "twins had to be set apart",
    "largest_cluster": "一人にまとめられた記録が多すぎないこと / no child of implausibly many records",
    "linked_share": "資料ごとの名寄せ率が前回より大きく下がっていないこと / no source lost much of its linked share",
    "review_backlog": "人の判断を待つ組がたまりすぎていないこと / the review queue can be worked through",
    "expected_precision": "誤って結ばれたと見込まれる記録の割合が大きくないこと（真実なしの見込み） / few of the links are expected to be "
    "false, by their own probabilities",
    "expected_recall": "結ばれずに残ったと見込まれる記録の割合が大きくないこと（真実なしの見込み） / few pairs of one child are expected to be "
    "missed",
    "evidence_usable": "生年月日・カナ・電話などが照合の手がかりとして使えること / birth dates, readings, phones are what they are taken for",
    "ids_changed": "前回からIDの変わった記録が多すぎないこと / few ids changed since the last run",
}  # fmt: skip
BLOCKING = ("two_resident_numbers", "two_birth_years", "second_record")


@dataclass(frozen=True)
class Finding:
    """One check: what was counted, the limits, and what follows."""

    check: str
    outcome: str  # passed | warning | critical
    found: float
    limit: float
    source: str = ""


def read_metrics(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], float]:
    """(metric, source or '') → value, of the last run."""
    return {
        (str(metric), str(source)): float(value) for metric, source, value in con.execute(_all_metrics(con)).fetchall()
    }


def _all_metrics(con: duckdb.DuckDBPyConnection) -> str:
    """SQL: `linkage.lnk_metric`, and what linking itself said of its run (`estimate`)."""
    there = {
        str(name)
        for (name,) in con.execute(
            "select table_name from information_schema.tables where table_schema = 'linkage'"
        ).fetchall()
    }
    parts = ["select metric, source, value from linkage.lnk_metric"]
    if "lnk_estimate" in there:
        parts.append("select metric, '', value from linkage.lnk_estimate")
    if "lnk_symptom" in there:
        parts.append("select 'symptom_' || symptom, source, share from linkage.lnk_symptom")
    return " union all ".join(parts)


def judge(metrics: Metrics, before: Metrics | None = None) -> list[Finding]:
    """Every check of `CHECKS` once, the worst source standing for all; ``before``: the metrics of the former run."""
    children = metrics.get(("children", ""), 0.0)
    records = sum(value for (metric, _), value in metrics.items() if metric == "records")
    many = max(ODD_FEW, ODD_SHARE * children)

    def isolated(*reasons: str) -> float:
        return sum(metrics.get((f"isolated_{reason}", ""), 0.0) for reason in reasons)

    def graded(check: str, found: float, critical: float, source: str = "") -> Finding:
        outcome = CRITICAL if found > critical else WARNING if found > 0 else PASSED
        return Finding(check, outcome, found, critical, source)

    def warned(check: str, found: float, limit: float, source: str = "") -> Finding:
        return Finding(check, WARNING if found > limit else PASSED, found, limit, source)

    second = max(
        ((value, source) for (metric, source), value in metrics.items()
         if metric == "clusters_with_second_record_unexplained"),
        default=(0.0, ""),
    )  # fmt: skip
    lost = max(
        ((before[(metric, source)] - value, source) for (metric, source), value in metrics.items()
         if metric == "share_linked" and (metric, source) in before),
        default=(0.0, ""),
    ) if before else (0.0, "")  # fmt: skip
    known = metrics.get(("ids_known_before", ""), 0.0)
    symptom = max(
        ((value, f"{metric.removeprefix('symptom_')} {source}".strip()) for (metric, source), value in metrics.items()
         if metric.startswith("symptom_")),
        default=(0.0, ""),
    )  # fmt: skip
    return [
        graded(
            "two_resident_numbers",
            metrics.get(("clusters_with_two_numbers_unexplained", ""), 0.0)
            + isolated("two_register_records", "two_numbers"),
            many,
        ),
        graded(
            "two_birth_years",
            metrics.get(("clusters_with_two_birth_years_unexplained", ""), 0.0) + isolated("two_birth_years"),
            many,
        ),
        warned(
            "birth_year_slips",
            metrics.get(("clusters_with_birth_year_slip", ""), 0.0),
            max(_FEW, BIRTH_SLIP_SHARE * children),
        ),
        graded("second_record", second[0] + isolated("two_records_of_one_source"), many, second[1]),
        warned("names_or_sexes", isolated("two_sexes", "twins_known"), 0),
        warned("largest_cluster", metrics.get(("largest_cluster", ""), 0.0), LARGEST_CLUSTER),
        warned("linked_share", lost[0], SHARE_LOST, lost[1]),
        warned("review_backlog", metrics.get(("review_queue", ""), 0.0), max(5.0, BACKLOG_SHARE * records)),
        warned("expected_precision", 1 - metrics.get(("expected_precision", ""), 1.0), EXPECTED_FALSE),
        warned("expected_recall", 1 - metrics.get(("expected_recall", ""), 1.0), EXPECTED_MISSED),
        warned("evidence_usable", symptom[0], 0.0, symptom[1]),
        warned("ids_changed", metrics.get(("ids_changed", ""), 0.0), max(5.0, IDS_CHANGED_SHARE * known)),
    ]


def keep_history(con: duckdb.DuckDBPyConnection, run_id: str, as_of: date) -> None:
    """Add this run's metrics to the warehouse's history; a run that is repeated replaces its own."""
    con.execute(_HISTORY_DDL)
    con.execute(f"delete from {_HISTORY} where run_id = ?", [run_id])
    con.execute(
        f"insert into {_HISTORY} select (select coalesce(max(place), 0) + 1 from {_HISTORY}), ?, ?, metric, source, value "
        f"from ({_all_metrics(con)})",
        [run_id, as_of],
    )


def put_back_history(con: duckdb.DuckDBPyConnection, code: str) -> int:
    """Fill the history from the operations database where this warehouse has none; how many rows."""
    from kodomo_platform import operations

    return operations.put_back(con, code, _HISTORY, _HISTORY_DDL)


def save_history(con: duckdb.DuckDBPyConnection, code: str, run_id: str) -> None:
    """Keep this run's metrics in the operations database: no run could make them again."""
    from kodomo_platform import operations

    act = operations.by_pipeline("linkage metrics of a run", run_id, purpose="linkage")
    operations.keep_rows(con, code, _HISTORY, act, by="run_id", key=run_id)


def former_metrics(con: duckdb.DuckDBPyConnection, run_id: str) -> dict[tuple[str, str], float] | None:
    """The metrics of the run before ``run_id``; None when there was none."""
    if not _has_history(con):
        return None
    rows = con.execute(
        f"select metric, source, value from {_HISTORY} where place = "
        f"(select max(place) from {_HISTORY} where run_id <> ?)",
        [run_id],
    ).fetchall()
    return {(str(metric), str(source)): float(value) for metric, source, value in rows} or None


def _has_history(con: duckdb.DuckDBPyConnection) -> bool:
    (there,) = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'linkage' "
        "and table_name = 'lnk_metric_history'"
    ).fetchone() or (0,)
    return bool(there)


def sparkline(values: list[float]) -> str:
    """A bar per value, the highest full."""
    top = max(values, default=0.0)
    return "".join(_BLOCKS[round((len(_BLOCKS) - 1) * value / top)] if top > 0 else _BLOCKS[0] for value in values)


def trend(con: duckdb.DuckDBPyConnection) -> str:
    """The last runs as a Markdown table: a line per metric, from the oldest to the newest; no value of any person."""
    if not _has_history(con):
        return ""
    runs = [
        (int(place), str(day))
        for place, day in con.execute(
            f"select place, max(as_of_date) from {_HISTORY} group by place order by place desc limit {_TREND_RUNS}"
        ).fetchall()
    ][::-1]
    found: dict[tuple[str, str], dict[int, float]] = {}
    for place, metric, source, value in con.execute(
        f"select place, metric, source, value from {_HISTORY} where place >= ?", [runs[0][0] if runs else 0]
    ).fetchall():
        found.setdefault((str(metric), str(source)), {})[int(place)] = float(value)
    shown = [
        key
        for key in sorted(found)
        if key[0] in {"children", "review_queue", "ids_changed", "largest_cluster", "share_linked"}
        or key[0].startswith(("share_with", "records_", "clusters_with", "isolated_", "expected_", "symptom_"))
    ]
    lines = [
        f"| 指標 | 資料 | 推移（{runs[0][1]}–{runs[-1][1]}、{len(runs)}回） | 前回 | 今回 |",
        "|---|---|---|--:|--:|",
    ]
    for metric, source in shown:
        values = [found[(metric, source)].get(place, 0.0) for place, _ in runs]
        before = _number(values[-2]) if len(values) > 1 else ""
        lines.append(f"| {metric} | {source} | {sparkline(values)} | {before} | {_number(values[-1])} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.4f}"
