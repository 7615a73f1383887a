"""Runs suites on one municipality's warehouse and returns counts.

One bundle per relation: everything that can share a scan does. A table or column that is missing, or a condition that
fails, becomes a result with status ``error`` of its own and never hides the others. What is run belongs to `suites`;
keeping and comparing results belongs to `results`.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import duckdb

from kodomo_platform.catalog import Catalog, load_catalog
from kodomo_platform.errors import QualityError
from kodomo_platform.quality.decisions import thresholds
from kodomo_platform.quality.results import ExpectationResult, judge, write_results
from kodomo_platform.quality.suites import Expectation, Suite, load_suites, with_overrides
from kodomo_platform.quality.vocabulary import VOCABULARY, Check, Reading, Target, read_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kodomo_platform.municipalities.models import Municipality

LAYERS = ("raw", "staging", "linkage", "marts")


class Counter(Protocol):
    """Whatever answers the counts of a bundle: Great Expectations, or plain SQL for measuring beside it."""

    def counts(self, relation: str, checks: Sequence[Check], thresholds: Sequence[float]) -> list[tuple[int, int]]:
        """(evaluated, unexpected) per check."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


class PlainSql:
    """The same scans without the library: its start-up is measured against this."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def counts(self, relation: str, checks: Sequence[Check], thresholds: Sequence[float]) -> list[tuple[int, int]]:
        """(evaluated, unexpected) per check."""
        answers = ", ".join(
            f"count(*) filter (where {check.scope}), count(*) filter (where ({check.scope}) and ({check.violated}))"
            for check in checks
        )
        row = self._con.execute(f"select {answers} from {relation} as checked").fetchone()
        if row is None:
            raise RuntimeError("the query of this bundle gave nothing")
        return [(int(row[2 * place]), int(row[2 * place + 1])) for place in range(len(checks))]

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def opened(con_or_path: duckdb.DuckDBPyConnection | Path | str, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    """The connection itself, or the warehouse at a path opened and closed again."""
    if isinstance(con_or_path, duckdb.DuckDBPyConnection):
        yield con_or_path
        return
    from kodomo_platform.warehouse import connect

    con = connect(con_or_path, read_only=not write)
    try:
        yield con
    finally:
        con.close()


def table_columns(con: duckdb.DuckDBPyConnection) -> dict[str, frozenset[str]]:
    """``schema.table`` → its columns, for every table and view of the warehouse."""
    tables: dict[str, set[str]] = {}
    for schema, table, column in con.execute(
        "select schema_name, table_name, column_name from duckdb_columns() where database_name = current_database()"
    ).fetchall():
        tables.setdefault(f"{schema}.{table}", set()).add(column)
    return {table: frozenset(columns) for table, columns in tables.items()}


def read_configuration(con: duckdb.DuckDBPyConnection, as_of: dt.date | None) -> Reading:
    """How this warehouse's raw texts are read, from ``cfg`` (nothing where a table is missing)."""
    reading = Reading(as_of=as_of)
    for source in load_catalog().sources.values():
        reading.days[source.key] = {
            item.name: (f"kodomo_{item.type}", None, None) for item in source.items if item.type in ("date", "month")
        }
    tables = table_columns(con)
    for source in load_catalog().sources.values():
        table = f"raw.{source.raw_table}"
        reading.items[table] = tuple(
            (item.name, item.type) for item in source.items if item.name in tables.get(table, frozenset())
        )
    if "cfg.source" in tables:
        whole = set()
        for key, held, start, kind in con.execute(
            "select source, held, system_start, extract_kind from cfg.source"
        ).fetchall():
            reading.sources_held[key] = bool(held)
            reading.system_start[key] = start
            if kind == "full":
                whole.add(key)
        reading.whole_extracts = frozenset(whole)
    if "cfg.item" in tables:
        for key, name, kind, held, style, eras in con.execute(
            "select source, item, type, held, date_style, era_codes from cfg.item"
        ).fetchall():
            place = (key, name.removeprefix(f"{key}."))
            if kind in ("date", "month"):
                reading.days.setdefault(key, {})[place[1]] = (f"kodomo_{kind}", style, eras)
            reading.items_held[place] = bool(held)
            reading.styles[place] = (style, eras)
    for table, column, target in (
        ("cfg.null_token", "token", reading.tokens),
        ("cfg.code_map", "local_code", reading.codes),
    ):
        if table in tables:
            for key, name, values in con.execute(
                f"select source, item, list(distinct {column} order by {column}) from {table} "
                f"where {column} is not null group by source, item"
            ).fetchall():
                target[(key, name.removeprefix(f"{key}."))] = tuple(values)
    return reading


def line_ends(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[int, int]]:
    """Source → (text files in the archive, files whose lines end in more than one way). Archived bytes never change."""
    from kodomo_platform.settings import get_settings

    if "raw.files" not in table_columns(con):
        return {}
    row = con.execute("select max(municipality) from cfg.run").fetchone() if "cfg.run" in table_columns(con) else None
    if row is None or row[0] is None:
        return {}
    found: dict[str, tuple[int, int]] = {}
    for source, sha256, encoding in con.execute(
        "select source, sha256, encoding from raw.files where active order by source, sha256"
    ).fetchall():
        mixed = _ends_mixed(get_settings().archive / str(row[0]) / str(sha256), str(encoding or "").lower())
        if mixed is not None:
            files, bad = found.get(source, (0, 0))
            found[source] = (files + 1, bad + mixed)
    return found


@lru_cache(maxsize=4096)
def _ends_mixed(file: Path, encoding: str) -> bool | None:
    """Whether a text file's lines end both with and without a carriage return; None for a workbook or no file."""
    if not file.is_file():
        return None
    feeds = pairs = 0
    before = b""
    with file.open("rb") as stream:
        while block := stream.read(1 << 24):
            if not before and block.startswith(b"PK\x03\x04"):
                return None
            text = block
            if encoding.startswith("utf-16"):
                # one byte for each line feed, whichever half of the character comes first
                text = block.decode("utf-16-be" if encoding.endswith("be") else "utf-16-le", errors="ignore").encode()
            feeds += text.count(b"\n")
            pairs += (before + text).count(b"\r\n")
            before = text[-1:] if text.endswith(b"\r") else b"\x00"
    return 0 < pairs < feeds


def register_functions(con: duckdb.DuckDBPyConnection) -> None:
    """The cleansing room's functions, by which raw texts are read exactly as staging reads them."""
    from kodomo_platform.cleansing import register

    register(con)


def target_of(expectation: Expectation, reading: Reading, catalog: Catalog) -> Target:
    """Where an expectation is put."""
    source = catalog.sources.get(expectation.source or "")
    item = source.by_name.get(expectation.item or "") if source else None
    return Target(
        expectation.table,
        expectation.source or expectation.arguments.get("source"),
        expectation.item,
        expectation.arguments,
        reading,
        item.type if item else None,
        item.uncertain if item else False,
    )


def compile_check(expectation: Expectation, reading: Reading, catalog: Catalog) -> Check:
    """The SQL of an expectation in this municipality."""
    return VOCABULARY[expectation.expect].compile(target_of(expectation, reading, catalog))


def not_held(expectation: Expectation, reading: Reading) -> str | None:
    """Why the expectation has nothing to look at in this municipality, or None."""
    if expectation.source is None:
        return None
    if reading.sources_held.get(expectation.source) is False:
        return "source not held"
    if expectation.item and reading.items_held.get((expectation.source, expectation.item)) is False:
        return "item not held"
    for name in ("not_after", "not_above", "birth_date", "order"):
        other = expectation.arguments.get(name)
        if isinstance(other, str) and reading.items_held.get((expectation.source, other)) is False:
            return "item not held"
    return None


@dataclass
class _Planned:
    expectation: Expectation
    check: Check | None = None
    outcome: tuple[int, int] | None = None
    status: Literal["not_applicable", "error"] | None = None
    reason: str | None = None


def _plan(
    expectation: Expectation, reading: Reading, catalog: Catalog, tables: dict[str, frozenset[str]], optional: bool
) -> _Planned:
    absent = not_held(expectation, reading)
    if absent:
        return _Planned(expectation, status="not_applicable", reason=absent)
    columns = tables.get(expectation.table)
    if columns is None:
        if optional:
            return _Planned(expectation, status="not_applicable", reason="table not built")
        return _Planned(expectation, status="error", reason="table missing")
    check = compile_check(expectation, reading, catalog)
    missing = sorted(check.columns - columns)
    if missing:
        return _Planned(expectation, status="error", reason=f"column missing: {', '.join(missing)}")
    absent_tables = [table for table in check.other_tables if table not in tables]
    if absent_tables:
        return _Planned(expectation, status="not_applicable", reason=f"table not built: {', '.join(absent_tables)}")
    return _Planned(expectation, check=check)


def _run(planned: list[_Planned], counter: Counter, reading: Reading) -> None:
    bundles: dict[str, list[_Planned]] = {}
    for plan in planned:
        if plan.check is not None:
            bundles.setdefault(plan.check.relation, []).append(plan)
    for relation, members in bundles.items():
        try:
            _count(relation, members, counter, reading)
        except Exception:
            # one condition broke the shared scan: each alone, so that the others keep their result
            for member in members:
                try:
                    _count(relation, [member], counter, reading)
                except Exception as error:
                    # the type alone: a database's message may quote a cell
                    member.status, member.reason = "error", f"the check could not run ({type(error).__name__})"


def _count(relation: str, members: list[_Planned], counter: Counter, reading: Reading) -> None:
    checks = [member.check for member in members if member.check is not None]
    relation = read_once(relation, (sql for check in checks for sql in (check.scope, check.violated)), reading)
    outcomes = counter.counts(relation, checks, [member.expectation.threshold for member in members])
    for member, outcome in zip(members, outcomes, strict=True):
        member.outcome = outcome


def chosen_suites(tables: Iterable[str] | None, present: Iterable[str]) -> list[Suite]:
    """The suites of ``tables`` (None: of every table that stands in the warehouse). Names may lack the schema."""
    suites = load_suites()
    if tables is None:
        there = set(present)
        return [suite for table, suite in suites.items() if table in there]
    by_name = {table.split(".", 1)[1]: table for table in suites}
    standing = {name for table in present for name in (table, table.split(".", 1)[1])}
    chosen = []
    for table in tables:
        full = table if table in suites else by_name.get(table)
        if full is None and table in standing:
            continue  # a table that nobody wrote expectations for: nothing to check, no slip
        if full is None:
            raise QualityError(
                "no suite for this table", where=table, expected="a table that has a file in expectations/"
            )
        chosen.append(suites[full])
    return chosen


def validate(
    con_or_path: duckdb.DuckDBPyConnection | Path | str,
    municipality: Municipality | str,
    tables: Iterable[str] | None = None,
    run_id: str = "manual",
    as_of: dt.date | None = None,
    *,
    engine: Literal["gx", "sql"] = "gx",
    record: bool = True,
) -> list[ExpectationResult]:
    """Run the suites of ``tables`` on a warehouse; the results, one per expectation, in suite order.

    ``con_or_path``: an open connection (kept open) or the warehouse's file (opened and closed). ``municipality``: its
    model (whose threshold overrides count) or its code. ``tables``: ``schema.table`` or bare names; None: every table
    that is there. ``record`` writes `quality.results` (False lets a read-only connection do). ``engine='sql'`` runs the
    same scans without Great Expectations. Results hold counts only.
    """
    code = municipality if isinstance(municipality, str) else municipality.code
    # what was decided by command is newer than the town's file, so it comes last
    overrides: Any = [] if isinstance(municipality, str) else [*municipality.quality_overrides, *thresholds(code)]
    catalog = load_catalog()
    with opened(con_or_path, write=record) as con:
        present = table_columns(con)
        if as_of is None:
            row = con.execute("select max(as_of_date) from cfg.run").fetchone() if "cfg.run" in present else None
            as_of = row[0] if row and row[0] else dt.date.today()
        reading = read_configuration(con, as_of)
        suites = chosen_suites(tables, present)
        if any(suite.table.startswith("raw.") for suite in suites):
            reading.line_ends = line_ends(con)
        register_functions(con)
        planned: list[_Planned] = []
        for suite in suites:
            for expectation in with_overrides(suite.expectations, overrides):
                planned.append(_plan(expectation, reading, catalog, present, suite.optional))
        if any(plan.check for plan in planned):
            counter = _counter(con, engine)
            try:
                _run(planned, counter, reading)
            finally:
                counter.close()
        extracts = _extract_dates(con, suites, present, as_of)
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        results = [_result(plan, run_id, as_of, code, extracts, now) for plan in planned]
        if record:
            write_results(con, results)
            if not isinstance(municipality, str):
                from kodomo_platform.quality.decisions import keep

                keep(con, municipality)
    return results


def _counter(con: duckdb.DuckDBPyConnection, engine: Literal["gx", "sql"]) -> Counter:
    if engine == "sql":
        return PlainSql(con)
    _postpone("scipy.stats")
    from kodomo_platform.quality.gx_engine import GreatExpectations

    return GreatExpectations(con)


def _postpone(name: str) -> None:
    """Let a submodule be loaded when something of it is first used, not when it is imported.

    Great Expectations imports SciPy's statistics for expectations that no suite has: a fourth of its second-long import.
    """
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)


def _extract_dates(
    con: duckdb.DuckDBPyConnection, suites: Iterable[Suite], present: dict[str, frozenset[str]], as_of: dt.date
) -> dict[str, dt.date]:
    dates = {}
    for suite in suites:
        if "_extract_date" in present.get(suite.table, frozenset()):
            row = con.execute(
                f"select max(_extract_date) from {suite.table} where _extract_date <= ?", [as_of]
            ).fetchone()
            if row and row[0]:
                dates[suite.table] = row[0]
    return dates


def _result(
    plan: _Planned, run_id: str, as_of: dt.date, code: str, extracts: dict[str, dt.date], now: dt.datetime
) -> ExpectationResult:
    expectation = plan.expectation
    evaluated, unexpected = plan.outcome or (0, 0)
    spare = int(expectation.arguments.get("spare", 0))
    percent, status = judge(evaluated, unexpected, expectation.threshold, spare)
    final = plan.status or status
    return ExpectationResult(
        run_id=run_id,
        as_of_date=as_of,
        table_name=expectation.table,
        item=expectation.item,
        expectation=expectation.expect,
        kind=expectation.kind,
        severity=expectation.severity,
        evaluated=evaluated,
        unexpected=unexpected,
        percent=percent,
        threshold=expectation.threshold,
        status=final,
        passed=final in ("passed", "not_applicable"),
        label_ja=expectation.ja,
        label_en=expectation.en,
        extract_date=extracts.get(expectation.table),
        expectation_id=expectation.key,
        source=expectation.source,
        municipality=code,
        reason=plan.reason,
        recorded_at=now,
    )
