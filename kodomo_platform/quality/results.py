"""What one expectation found, kept per run, judged again and compared between runs.

Counts only: no value of a cell ever enters a result. Running the expectations belongs to `engine`; which expectations
there are belongs to `suites`.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

import duckdb

from kodomo_platform.errors import QualityError

Kind = Literal["completeness", "conformance", "plausibility"]
Severity = Literal["critical", "warning", "info"]
Status = Literal["passed", "failed", "not_applicable", "error"]

KINDS: tuple[Kind, ...] = ("completeness", "conformance", "plausibility")
SEVERITIES: tuple[Severity, ...] = ("critical", "warning", "info")
GROUPS = ("critical", *KINDS)


@dataclass(frozen=True)
class ExpectationResult:
    """One expectation in one run. ``percent`` and ``threshold`` are percents (0-100) of ``evaluated``."""

    run_id: str
    as_of_date: dt.date
    table_name: str
    item: str | None
    expectation: str
    kind: Kind
    severity: Severity
    evaluated: int
    unexpected: int
    percent: float
    threshold: float
    status: Status
    passed: bool
    label_ja: str
    label_en: str
    extract_date: dt.date | None
    expectation_id: str
    source: str | None = None
    municipality: str | None = None
    reason: str | None = None
    recorded_at: dt.datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


_COLUMNS = tuple(field.name for field in fields(ExpectationResult))
RESULTS_DDL = """
create table if not exists quality.results (
    run_id varchar not null, as_of_date date not null, table_name varchar not null, item varchar,
    expectation varchar not null, kind varchar not null, severity varchar not null, evaluated bigint not null,
    unexpected bigint not null, percent double not null, threshold double not null, status varchar not null,
    passed boolean not null, label_ja varchar, label_en varchar, extract_date date, expectation_id varchar not null,
    source varchar, municipality varchar, reason varchar, recorded_at timestamp
)
"""


def judge(evaluated: int, unexpected: int, threshold: float, spare: int = 0) -> tuple[float, Status]:
    """Percent of unexpected, and whether it is within ``threshold`` (percent). Nothing to judge: not applicable.

    ``spare``: so many rows pass whatever their share is. One odd row of eight is a slip, not an eighth of a system.
    """
    if evaluated == 0:
        return 0.0, "not_applicable"
    percent = 100.0 * unexpected / evaluated
    return round(percent, 6), "passed" if percent <= threshold + 1e-9 or unexpected <= spare else "failed"


def grew_beyond_chance(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """Whether the share ``(unexpected, evaluated)`` grew by more than chance makes it (one-sided test of two proportions
    at 1 %), and more rows break it than did: a smaller extract alone makes nothing worse.
    """
    (bad, n), (worse, m) = before, after
    if not n or not m or worse <= bad or worse / m <= bad / n:
        return False
    pooled = (bad + worse) / (n + m)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return spread == 0 or 0.5 * math.erfc((worse / m - bad / n) / spread / math.sqrt(2)) < 0.01


def write_results(con: duckdb.DuckDBPyConnection, results: Sequence[ExpectationResult]) -> None:
    """Add ``results`` to ``quality.results`` in one transaction; the same run and expectation is replaced, not doubled.

    A process killed halfway leaves the former state: delete and insert are one transaction.
    """
    con.execute("create schema if not exists quality")
    con.execute(RESULTS_DDL)
    if not results:
        return
    import pyarrow as pa

    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    rows = [replace(result, recorded_at=result.recorded_at or now).as_dict() for result in results]
    schema = pa.schema(
        [
            (name, pa.int64() if name in ("evaluated", "unexpected") else pa.float64())
            if name in ("evaluated", "unexpected", "percent", "threshold")
            else (name, pa.date32())
            if name in ("as_of_date", "extract_date")
            else (name, pa.timestamp("us"))
            if name == "recorded_at"
            else (name, pa.bool_())
            if name == "passed"
            else (name, pa.string())
            for name in _COLUMNS
        ]
    )
    batch = pa.Table.from_pylist(rows, schema=schema)
    columns = ", ".join(_COLUMNS)
    con.execute("begin")
    try:
        con.register("kodomo_new_results", batch)
        con.execute(
            "delete from quality.results as r using kodomo_new_results as n "
            "where r.run_id = n.run_id and r.expectation_id = n.expectation_id"
        )
        con.execute(f"insert into quality.results ({columns}) select {columns} from kodomo_new_results")
        con.execute("commit")
    except BaseException:
        con.execute("rollback")
        raise
    finally:
        con.unregister("kodomo_new_results")


def has_results(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether this warehouse holds any quality results."""
    row = con.execute(
        "select count(*) from information_schema.tables where table_schema = 'quality' and table_name = 'results'"
    ).fetchone()
    return bool(row and row[0])


def runs(con: duckdb.DuckDBPyConnection) -> list[tuple[str, dt.date, dt.datetime]]:
    """``(run_id, as_of_date, recorded_at)`` of every run, oldest first."""
    if not has_results(con):
        return []
    return [
        (str(run), as_of, at)
        for run, as_of, at in con.execute(
            "select run_id, max(as_of_date), max(recorded_at) as recorded from quality.results group by run_id order by recorded"
        ).fetchall()
    ]


def read_results(
    con: duckdb.DuckDBPyConnection, run_id: str | None = None, *, standing: bool = False
) -> list[ExpectationResult]:
    """The results of ``run_id`` (None: the latest run), in the order of their tables.

    With ``standing``, what an earlier run of the same as-of date found in tables that this one did not check again is
    there too: a run that only scores and publishes has not made the extracts sound.
    """
    if run_id is None:
        known = runs(con)
        if not known:
            return []
        run_id = known[-1][0]
    elif run_id not in {run for run, _, _ in runs(con)}:
        raise QualityError(
            "no results of this run",
            where=f"run {run_id}",
            expected="a run that `kodomo quality show` lists",
            action="run the quality checks first, or choose another run",
        )
    own = con.execute("select max(as_of_date), max(rowid) from quality.results where run_id = ?", [run_id]).fetchone()
    assert own is not None
    found = standing_results(*own) if standing else "select * from quality.results where run_id = $run"
    rows = con.execute(
        f"select {', '.join(_COLUMNS)} from ({found}) order by table_name, expectation_id",
        {} if standing else {"run": run_id},
    ).fetchall()
    return [ExpectationResult(*row) for row in rows]


def standing_results(as_of: dt.date, last: int | None = None) -> str:
    """Query for the results that stand as of ``as_of``: of each table, those of the run that checked it last.

    A run that only scores and publishes again checks the scores alone; what an earlier run found wrong with the tables
    below still stands. Results are only ever appended, so the highest row id is the latest; ``last``: as it was at that row.
    """
    day = f"date '{as_of.isoformat()}'"
    until = "" if last is None else f"and rowid <= {last}"
    return f"""
        select r.* from quality.results as r
        inner join (
            select table_name, arg_max(run_id, rowid) as run_id from quality.results
            where as_of_date = {day} {until} group by table_name
        ) as latest on r.table_name = latest.table_name and r.run_id = latest.run_id
        where r.as_of_date = {day}
    """


def rethreshold(results: Iterable[ExpectationResult], thresholds: Mapping[str, float]) -> list[ExpectationResult]:
    """``results`` judged by other ``thresholds`` (expectation id → percent), without running anything again."""
    judged = []
    for result in results:
        threshold = thresholds.get(result.expectation_id)
        if threshold is None or result.status in ("error", "not_applicable"):
            judged.append(result)
            continue
        percent, status = judge(result.evaluated, result.unexpected, threshold)
        judged.append(replace(result, threshold=threshold, percent=percent, status=status, passed=status != "failed"))
    return judged


@dataclass(frozen=True)
class Difference:
    """What changed from one run to the next. ``worse`` failed in both, and by more than chance alone now."""

    new: list[ExpectationResult]
    resolved: list[ExpectationResult]
    persisting: list[ExpectationResult]
    worse: list[ExpectationResult]


def compare(before: Iterable[ExpectationResult], after: Iterable[ExpectationResult]) -> Difference:
    """New, resolved and persisting failures of ``after`` against ``before``."""
    former = {result.expectation_id: result for result in before}
    difference = Difference([], [], [], [])
    for result in after:
        old = former.get(result.expectation_id)
        failed_before = old is not None and not old.passed
        if not result.passed and not failed_before:
            difference.new.append(result)
        elif not result.passed and old is not None:
            difference.persisting.append(result)
            if grew_beyond_chance((old.unexpected, old.evaluated), (result.unexpected, result.evaluated)):
                difference.worse.append(result)
        elif result.status == "passed" and failed_before:
            difference.resolved.append(result)
    return difference


@dataclass(frozen=True)
class GroupResult:
    """One check of the orchestrator: a table's expectations of one group, as counts.

    ``severity`` is ``ERROR`` for the critical group (blocking), else ``WARN``. ``passed`` ignores ``info``.
    """

    table: str
    group: str
    severity: Literal["ERROR", "WARN"]
    passed: bool
    metadata: dict[str, int | str]


def group_of(result: ExpectationResult) -> str:
    """The group a result belongs to: ``critical``, or its kind."""
    return "critical" if result.severity == "critical" else result.kind


def group_results(results: Iterable[ExpectationResult]) -> list[GroupResult]:
    """One `GroupResult` per table and group, in a stable order. Metadata holds counts and expectation ids alone."""
    groups: dict[tuple[str, str], list[ExpectationResult]] = {}
    for result in results:
        groups.setdefault((result.table_name, group_of(result)), []).append(result)
    answer = []
    for (table, group), members in sorted(groups.items()):
        failing = [member for member in members if not member.passed]
        alarms = [member for member in failing if member.severity != "info"]
        metadata: dict[str, int | str] = {
            "expectations": len(members),
            "passed": sum(member.status == "passed" for member in members),
            "failed": sum(member.status == "failed" for member in members),
            "errors": sum(member.status == "error" for member in members),
            "not_applicable": sum(member.status == "not_applicable" for member in members),
            "rows_evaluated": max((member.evaluated for member in members), default=0),
            "unexpected": sum(member.unexpected for member in failing),
        }
        if failing:
            metadata["failing"] = ", ".join(
                f"{member.expectation_id.split(':', 1)[1]} ({member.unexpected}/{member.evaluated})"
                for member in sorted(failing, key=lambda m: -m.percent)[:20]
            )
        if failing and group == "critical":
            metadata["blocked_by"] = "\n".join(
                f"{member.label_ja} / {member.label_en} ({member.unexpected}/{member.evaluated})"
                for member in failing[:20]
            )
        answer.append(GroupResult(table, group, "ERROR" if group == "critical" else "WARN", not alarms, metadata))
    return answer
