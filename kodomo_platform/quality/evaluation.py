"""How well the suites find the faults that a digital twin put in: the only code here that reads a truth folder.

``faults.csv`` (source, extract_date, row_number, item, kind) is compared with the rows that the expectations point at.
"""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import UsageError
from kodomo_platform.quality.availability import Availability, availability, status_columns
from kodomo_platform.quality.engine import compile_check, read_configuration, table_columns, validate
from kodomo_platform.quality.locating import faulty_rows, row_expectations, table_level_expectations
from kodomo_platform.warehouse import connect

Place = tuple[str, str, int]


@dataclass
class Evaluation:
    """Detection figures. Shares are 0-1; ``row_precision`` counts alarms above info alone."""

    municipality: str
    kinds_found: int
    kinds_total: int
    row_recall: float
    row_precision: float
    false_alarms: int
    faults: int
    located: int
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    unexplained: dict[str, int] = field(default_factory=dict)
    claimed_wrongly: dict[str, int] = field(default_factory=dict)
    false_alarm_ids: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for ``--json``."""
        return asdict(self)


def _true_blanks(truth: Path) -> set[tuple[str, str]]:
    """(source, item) with blanks that the twin knows of."""
    file = truth / "absence.csv"
    if not file.exists():
        return set()
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return {(row["source"], row["item"]) for row in csv.DictReader(stream) if row["kind"] == "blank"}


def _judged(
    con: duckdb.DuckDBPyConnection, faults: list[tuple[Place, str, str]], as_of: dt.date
) -> list[tuple[Place, str, str]]:
    whole = read_configuration(con, as_of).whole_extracts
    newest: dict[str, str] = {}
    if "raw.files" in table_columns(con):
        newest = {
            source: day.isoformat()
            for source, day in con.execute(
                "select source, max(extract_date) from raw.files where active and extract_date <= ? group by 1", [as_of]
            ).fetchall()
        }
    return [
        fault for fault in faults if fault[0][0] not in whole or fault[0][1] == newest.get(fault[0][0], fault[0][1])
    ]


@dataclass
class AbsenceEvaluation:
    """Cells of the staged extracts, held and not held, whose kind of absence was told rightly (``accuracy`` 0-1)."""

    municipality: str
    cells: int
    right: int
    confusion: dict[str, int] = field(default_factory=dict)
    wrong_items: dict[str, int] = field(default_factory=dict)

    @property
    def accuracy(self) -> float:
        """Share of cells told rightly."""
        return self.right / self.cells if self.cells else 1.0

    def as_dict(self) -> dict[str, Any]:
        """The figures by name, for ``--json``."""
        return {**asdict(self), "accuracy": self.accuracy}


def evaluate_absence(municipality: str, truth: Path, *, warehouse: Path | None = None) -> AbsenceEvaluation:
    """Compare the kind of absence of every staged cell with ``absence.csv`` of a twin's truth.

    Cells of rows that the twin spoilt afterwards (their key, their date or the cell itself) are left out: what they
    would have held says nothing about what was delivered. Cells of a key and period that stands on several rows are
    compared as counts per kind.
    """
    file = truth / "absence.csv"
    if not file.exists():
        raise UsageError(
            "no absence.csv in the truth folder", where=str(truth), action="give the DIR of `kodomo synth`"
        )
    from kodomo_platform.settings import get_settings

    con = connect(warehouse or get_settings().warehouse(municipality), read_only=True)
    confusion: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    try:
        for name in ("absence", "faults"):
            con.execute(
                f"create temp table truth_{name} as select * from read_csv(?, header = true, all_varchar = true)",
                [str(truth / f"{name}.csv")],
            )
        tables = table_columns(con)
        matrix = availability(con)
        for source in load_catalog().sources.values():
            columns = tables.get(f"staging.{source.staging_table}", frozenset())
            statuses = status_columns(con, source, columns)
            if not statuses:
                continue
            event = source.event_date if source.event_date in columns else None
            cells = " union all by name ".join(
                f"select source_record_id as id, {f'coalesce({event}::varchar, {chr(39) * 2})' if event else chr(39) * 2} "
                f"as period, '{item}' as item, {sql} as told, _extract_date as day, _row_number as n "
                f"from staging.{source.staging_table} where source_record_id not like '~%'"
                for item, sql in statuses.items()
            )
            spoilt = (source.record_key, event or "", "*", *source.natural_key)
            listed = ", ".join("'" + name.replace("'", "''") + "'" for name in spoilt if name)
            rows = con.execute(
                f"""
                with cells as ({cells}), bad as (
                    select extract_date::date as day, row_number::bigint as n, item from truth_faults
                    where source = '{source.key}'
                ), kept as (
                    select c.* from cells as c
                    anti join bad on bad.day = c.day and bad.n = c.n and (bad.item = c.item or bad.item in ({listed}))
                ), every as (
                    select item, any_value(kind) as kind from truth_absence
                    where source = '{source.key}' and source_record_id = '*' and period = '*' group by item
                ), single as (
                    select source_record_id as id, item, coalesce(period, '') as period, kind, count(*) as n
                    from truth_absence where source = '{source.key}' and source_record_id <> '*' group by all
                ), told as (
                    select id, item, period, told, count(*) as n, sum(count(*)) over (partition by id, item, period) as size
                    from kept group by id, item, period, told
                )
                select t.item, t.told, t.n, t.size, coalesce(e.kind, s.kind), case when e.kind is null then s.n end
                from told as t left join every as e on e.item = t.item or e.item = '*'
                left join single as s on s.id = t.id and s.item = t.item and s.period = t.period
                """
            ).fetchall()
            for item, told, number, size, kind, stated in rows:
                truly = {kind: size if stated is None else min(int(stated), int(size))} if kind else {}
                truly["present"] = int(size) - sum(truly.values())
                right = min(int(number), int(truly.get(told, 0)))
                confusion[f"{told} as {told}"] += right
                if number > right:
                    other = next((k for k, n in truly.items() if k != told and n), "present")
                    confusion[f"{other} as {told}"] += int(number) - right
                    wrong[f"{source.key}.{item}"] += int(number) - right
        _not_delivered(con, matrix, confusion, wrong)
    finally:
        con.close()
    right = sum(n for pair, n in confusion.items() if len(set(pair.split(" as "))) == 1)
    return AbsenceEvaluation(
        municipality, sum(confusion.values()), right, dict(confusion.most_common()), dict(wrong.most_common(20))
    )


def _not_delivered(
    con: duckdb.DuckDBPyConnection, matrix: list[Availability], confusion: Counter[str], wrong: Counter[str]
) -> None:
    """Sources that are not held, and months before a system began: no rows stand for them, the matrix tells."""
    told = {cell.source: set(cell.counts) for cell in matrix if cell.month is None}
    begun: dict[str, list[str]] = defaultdict(list)
    rows: dict[str, int] = defaultdict(int)
    for cell in matrix:
        if cell.month is not None:
            rows[cell.source] += cell.rows
            if set(cell.counts) == {"before_start"}:
                begun[cell.source].append(str(cell.month))
    for source, kind, period in con.execute(
        "select source, kind, period from truth_absence where item = '*' and source_record_id = '*'"
    ).fetchall():
        if kind == "not_held":
            hit = told.get(source) == {"not_held"}
        else:
            # delivered since its start only: every month before it that the matrix shows must say so
            start = period.removeprefix("..")
            hit = bool(begun[source]) and all(month < start for month in begun[source])
        confusion[f"{kind} as {kind}" if hit else f"{kind} as present"] += 1
        if not hit:
            wrong[source] += 1


def read_faults(truth: Path) -> list[tuple[Place, str, str]]:
    """((source, extract date, row number), item, kind) of every fault in ``truth``; row number 0: of the file."""
    file = truth / "faults.csv"
    if not file.exists():
        raise UsageError(
            "no faults.csv in the truth folder", where=str(truth), action="give the DIR of `kodomo synth --truth`"
        )
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        missing = {"source", "extract_date", "row_number", "item", "kind"} - set(reader.fieldnames or ())
        if missing:
            raise UsageError(
                f"faults.csv lacks {', '.join(sorted(missing))}",
                where=str(file),
                expected="source, extract_date, row_number (0: the file), item (* : the row), kind",
            )
        faults = []
        for line, row in enumerate(reader, start=2):
            number, item = (row["row_number"] or "0").strip(), (row["item"] or "*").strip()
            if not number.isdecimal():
                raise UsageError(
                    "not a row number", where=f"{file}, line {line}", expected="a whole number, 0 for the file"
                )
            place = (row["source"].strip(), row["extract_date"].strip(), int(number))
            # what a fault is called is the truth's own affair: any name is a kind
            faults.append((place, "" if item == "*" else item.removeprefix(f"{place[0]}."), row["kind"].strip() or "?"))
        return faults


def _whole_columns(
    con: duckdb.DuckDBPyConnection, faults: list[tuple[Place, str, str]]
) -> set[tuple[str, str, str, str]]:
    """(source, extract date, item, kind) of faults that at least half of an extract's rows have: the column's, not theirs."""
    if "raw.files" not in table_columns(con):
        return set()
    rows = {
        (source, day.isoformat()): int(number)
        for source, day, number in con.execute(
            "select source, extract_date, sum(rows_in) from raw.files where active group by all"
        ).fetchall()
    }
    counts = Counter((place[0], place[1], item, kind) for place, item, kind in faults if place[2] and item)
    return {key for key, number in counts.items() if number >= 20 and 2 * number >= rows.get(key[:2], number + 1)}


def _faulty_records(con: duckdb.DuckDBPyConnection, places: Iterable[Place]) -> dict[str, set[str]]:
    """Staging table → record ids (and residents' numbers) of its faulty rows: who is compared with them is not blamed."""
    tables = table_columns(con)
    by_source: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for name, day, number in places:
        by_source[name].add((day, number))
    answer: dict[str, set[str]] = {}
    for key, rows in by_source.items():
        source = load_catalog().sources.get(key)
        columns = tables.get(f"staging.{source.staging_table}", frozenset()) if source else frozenset()
        if source is None or not columns:
            continue
        other = "resident_number" if "resident_number" in columns else "null"
        answer[f"staging.{source.staging_table}"] = {
            str(value)
            for day, number, *ids in con.execute(
                f"select _extract_date, _row_number, source_record_id, {other} from staging.{source.staging_table}"
            ).fetchall()
            if (day.isoformat(), number) in rows
            for value in ids
            if value is not None
        }
    return answer


def _records(con: duckdb.DuckDBPyConnection, table: str) -> dict[tuple[str, int], tuple[str, ...]]:
    """(extract date, row number) → the ids by which a staging row is compared with other tables."""
    columns = table_columns(con).get(table, frozenset())
    if "source_record_id" not in columns:
        return {}
    other = "resident_number" if "resident_number" in columns else "null"
    return {
        (day.isoformat(), number): tuple(str(value) for value in ids if value is not None)
        for day, number, *ids in con.execute(
            f"select _extract_date, _row_number, source_record_id, {other} from {table}"
        ).fetchall()
    }


def evaluate_quality(municipality: str, truth: Path, *, warehouse: Path | None = None) -> Evaluation:
    """Compare what the suites find in a twin's loaded extracts with the faults its truth lists.

    A fault is found when an expectation of any severity, or the door's rejects, points at its row (and at its item
    when the pointer names one of that row's faulty items). A fault that half of a file's rows share is the column's: an
    alarm about the column finds it in every row. A false alarm is a failed expectation above info none of whose rows
    carries a fault; where a row is compared with another table, the fault may be that of the row it is compared with. Of a source that delivers whole extracts the newest is judged, as it is in a run: the
    truth's faults of its former extracts are left out.
    """
    from kodomo_platform.settings import get_settings

    path = warehouse or get_settings().warehouse(municipality)
    if not path.exists():
        raise UsageError("this municipality has no warehouse yet", where=municipality, action="run `kodomo run` first")
    faults = read_faults(truth)
    blanks = _true_blanks(truth)
    con = connect(path, read_only=True)
    try:
        present = table_columns(con)
        row = con.execute("select max(as_of_date) from cfg.run").fetchone() if "cfg.run" in present else None
        as_of = row[0] if row and row[0] else dt.date.today()
        results = validate(con, municipality, None, "evaluation", as_of, record=False, engine="sql")
        # an alarm is an expectation that failed: rows within a threshold are counted, but nobody is called
        faults = _judged(con, faults, as_of)
        by_row: dict[Place, set[str]] = defaultdict(set)
        by_file: set[tuple[str, str]] = set()
        for place, item, _ in faults:
            by_row[place].add(item)
            by_file.add(place[:2])
        table_level = table_level_expectations(con, as_of)
        failing = {result.expectation_id for result in results if not result.passed}
        pointers: dict[Place, set[str]] = defaultdict(set)
        alarmed: dict[Place, set[str]] = defaultdict(set)
        explained: Counter[str] = Counter()
        unexplained: Counter[str] = Counter()
        claimed: Counter[str] = Counter()
        catalog, reading = load_catalog(), read_configuration(con, as_of)
        compared = {e.key: compile_check(e, reading, catalog).other_tables for e in row_expectations()}
        faulty = _faulty_records(con, by_row)
        records: dict[str, dict[tuple[str, int], tuple[str, ...]]] = {}
        columns_spoilt = _whole_columns(con, faults)
        for found in faulty_rows(con, as_of, row_expectations()):
            place = (found.source, found.extract_date.isoformat(), found.row_number)
            pointers[place].update((found.item or "", *found.involved))
            others = [faulty[table] for table in compared[found.expectation.key] if table in faulty]
            if place not in by_row and others:
                table = found.expectation.table
                ids = records.setdefault(table, _records(con, table) if table not in records else {})
                if any(one in theirs for one in ids.get(place[1:], ()) for theirs in others):
                    explained[found.expectation.key] += 1
                    continue
            # a true blank is no fault of the twin (its truth lists blanks as absences): found, not claimed
            blank = found.expectation.expect == "expect_values_to_be_present"
            if (
                found.expectation.severity != "info"
                and found.expectation.key in failing
                and not (blank and place not in by_row)
            ):
                alarmed[place].add(found.item or "")
                if place not in by_row:
                    claimed[found.expectation.key] += 1
            (explained if place in by_row else unexplained)[found.expectation.key] += 1
        # what is wrong with a file or a whole column points at no row
        whole: set[tuple[str, str]] = {
            (result.source, result.item or "")
            for result in results
            if result.source and result.status == "failed" and result.expectation_id in table_level
        }
        door: set[tuple[str, str]] = set()
        if "raw.rejects" in present:
            for source, day, number, item in con.execute(
                "select source, extract_date, row_number, item from raw.rejects"
            ).fetchall():
                pointers[(source, day.isoformat(), number)].add(item or "")
                alarmed[(source, day.isoformat(), number)].add(item or "")
        for table in ("raw.dropped_columns", "raw.gaiji"):
            if table in present and "raw.files" in present:
                door.update(
                    (source, day.isoformat())
                    for source, day in con.execute(
                        f"select distinct t.source, f.extract_date from {table} as t "
                        "inner join raw.files as f on f.source = t.source and f.sha256 = t.source_file_sha256"
                    ).fetchall()
                )
    finally:
        con.close()
    by_kind: dict[str, dict[str, int]] = {}
    hits = 0
    for place, item, kind in faults:
        items = pointers.get(place, set())
        hit = bool(items) and (not item or item in items or "" in items)
        if (*place[:2], item, kind) in columns_spoilt:
            hit = hit or bool({(place[0], ""), (place[0], item)} & whole)
        if place[2] == 0:
            hit = hit or place[:2] in door or bool({(place[0], ""), (place[0], item)} & whole)
        counts = by_kind.setdefault(kind, {"total": 0, "found": 0})
        counts["total"] += 1
        counts["found"] += hit
        hits += hit
    pairs = [(place, item) for place, items in alarmed.items() for item in items]
    right = sum(place in by_row for place, _ in pairs)
    faulty_sources = {source for source, _ in by_file}
    false_alarms: list[str] = []
    for result in results:
        if result.passed or result.severity == "info":
            continue
        if explained[result.expectation_id]:
            continue
        # too many blanks: the twin lists true blanks as absences, not as faults
        if result.expectation == "expect_values_to_be_present" and (result.source, result.item) in blanks:
            continue
        # an alarm about a whole table or file is explained by any fault of its source
        if result.source is None and faulty_sources:
            continue  # linkage, marts and scores are made of all sources: a fault in any of them may show there
        rows_point_elsewhere = unexplained[result.expectation_id] > 0
        if rows_point_elsewhere or result.source not in faulty_sources:
            false_alarms.append(result.expectation_id)
    return Evaluation(
        municipality=municipality,
        kinds_found=sum(counts["found"] > 0 for counts in by_kind.values()),
        kinds_total=len(by_kind),
        row_recall=hits / len(faults) if faults else 1.0,
        row_precision=right / len(pairs) if pairs else 1.0,
        false_alarms=len(false_alarms),
        faults=len(faults),
        located=len(pairs),
        by_kind=dict(sorted(by_kind.items())),
        unexplained=dict(unexplained.most_common(20)),
        claimed_wrongly=dict(claimed.most_common(20)),
        false_alarm_ids=false_alarms,
    )
