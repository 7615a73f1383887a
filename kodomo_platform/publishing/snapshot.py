"""Write one snapshot: whole, immutable, and last.

Everything is written into a hidden folder beside its place, flushed to the disk, made read-only and renamed; only then
does ``current`` move. Killed at any moment, this leaves the last good snapshot in use, and the next run clears away
what was left. What the files hold is in `shelf.contract`.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb

from kodomo_platform import operations
from kodomo_platform.errors import PublishingError
from kodomo_platform.settings import get_settings, municipality_code
from kodomo_platform.shelf.contract import (
    CHECKSUMS,
    CONTRACT_VERSION,
    MANIFEST,
    QUALITY_RESULTS,
    RISK_SCORES,
    SOURCE_ROWS,
    TABLES,
    Column,
    Table,
)
from kodomo_platform.shelf.snapshots import (
    CURRENT,
    Snapshot,
    content_hash,
    file_sha256,
    open_snapshot,
    version_name,
    version_sequence,
)
from kodomo_platform.shelf.verification import verify

_TEMPORARY = ".tmp-"
# the expectation that compares with the snapshot before
FACTS_STAY = "expect_facts_to_stay"
# Parquet knows no 128-bit integer: DuckDB would write a double and lose digits without a word
_PORTABLE = {"HUGEINT": "BIGINT", "UHUGEINT": "BIGINT", "JSON": "VARCHAR", "UUID": "VARCHAR"}


class Configured(Protocol):
    """What publishing needs to know of a municipality."""

    @property
    def code(self) -> str: ...

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


def publish(
    con: duckdb.DuckDBPyConnection,
    municipality: Configured,
    as_of: date,
    *,
    dagster_run_id: str,
    code_version: str,
    mlflow_runs: Mapping[str, str] | None = None,
    lineage: Mapping[str, Any] | None = None,
    quality_run_id: str | None = None,
) -> Snapshot:
    """Publish the warehouse's marts as of ``as_of`` and move ``current`` to them.

    Args:
        con: the municipality's warehouse.
        mlflow_runs: theme → MLflow run of the model that scored it, beyond what the scores say themselves.
        lineage: column lineage of the dbt models, kept in the manifest as it is given.
        quality_run_id: run whose quality results decide; ``dagster_run_id`` by default.

    Returns:
        The snapshot. The same content as before is not published twice: the snapshot that is there comes back, with
        ``created`` False. ``current`` never goes back to an earlier as-of date.

    Raises:
        PublishingError: a critical expectation failed or quality was not checked; a table is missing, empty or does
            not keep the contract; the disk is full. Nothing has changed then.
    """
    code = municipality_code(municipality.code)
    root = get_settings().published / code
    with _alone(code), _plain_errors(code):
        _clear_leftovers(root)
        verdict = _require_quality(con, code, as_of, quality_run_id or dagster_run_id)
        day = root / as_of.isoformat()
        day.mkdir(parents=True, exist_ok=True)
        aside = day / f"{_TEMPORARY}{os.getpid()}-{uuid.uuid4().hex[:8]}"
        aside.mkdir()
        try:
            tables = {table.name: _write_table(con, table, as_of, aside) for table in TABLES}
            _require_integrity(con, aside)
            manifest = {
                "contract_version": CONTRACT_VERSION,
                "municipality": code,
                "as_of_date": as_of.isoformat(),
                "version": "",
                "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
                "content_sha256": "",
                "quality": verdict,
                "tables": dict(sorted(tables.items())),
                "governed_by": _governing_hashes(con, municipality, as_of),
                "lineage": {
                    "dagster_run_id": dagster_run_id,
                    "quality_run_id": quality_run_id or dagster_run_id,
                    "code_version": code_version,
                    "duckdb_version": duckdb.__version__,
                    "mlflow_runs": dict(mlflow_runs or {}),
                    "models": _models(con, code, as_of),
                    "source_files": _source_files(con),
                    "column_lineage": dict(lineage or {}),
                },
            }
            manifest["content_sha256"] = content_hash(manifest)
            snapshot = _shelve(aside, day, manifest)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        operations.record_publication(
            code,
            as_of,
            snapshot.version,
            str(snapshot.path.relative_to(get_settings().published)),
            snapshot.manifest_sha256,
            operations.by_pipeline("a run published", dagster_run_id, purpose="publishing"),
            code_version=code_version,
        )
        return _make_current(snapshot)


# --- what must hold before anything is written ------------------------------------------------------------------------


def _require_quality(con: duckdb.DuckDBPyConnection, code: str, as_of: date, run_id: str) -> dict[str, Any]:
    """The verdict of the checks that stand; PublishingError if a critical one failed or this run made none."""
    from kodomo_platform.quality.results import standing_results

    made = con.execute("select count(*) from quality.results where run_id = ?", [run_id]).fetchone()
    rows = con.execute(
        f"""
        select severity, coalesce(passed, false) or status = 'not_applicable' as ok, count(*),
               list(distinct table_name || '.' || coalesce(item, '') || ' ' || expectation)
        from ({standing_results(as_of)}) group by all
        """
    ).fetchall()
    if not rows or not made or not made[0]:
        raise PublishingError(
            "the quality of this run's tables was not checked",
            where=f"municipality {code}, run {run_id}",
            expected="results of this run in quality.results",
            action="run the quality step, then publish",
        )
    failed = {severity: (number, names) for severity, ok, number, names in rows if not ok}
    if "critical" in failed:
        number, names = failed["critical"]
        shown = ", ".join(sorted(names)[:5]) + (" …" if len(names) > 5 else "")
        raise PublishingError(
            f"{number} critical expectation(s) failed: {shown}",
            where=f"municipality {code}, run {run_id}",
            action="`kodomo quality show` says what is wrong; the snapshot in use has not changed",
        )
    return {
        "verdict": "passed_with_warnings" if failed else "passed",
        "evaluated": sum(number for _, _, number, _ in rows),
        "failed": {severity: number for severity, (number, _) in sorted(failed.items())},
    }


def _require_integrity(con: duckdb.DuckDBPyConnection, aside: Path) -> None:
    """Every score and every linked record belongs to a child of the register, once."""
    register = _sql_text(str(aside / "child_register.parquet"))
    if _number(con, f"select count(*) from read_parquet({register})") == 0:
        raise PublishingError(
            "the child register is empty",
            where="marts.mart_child",
            expected="at least one child",
            action="see the row counts of the extracts and of the linkage step",
        )
    for name in ("risk_scores", "child_features", "crosswalk"):
        file = _sql_text(str(aside / f"{name}.parquet"))
        strangers = _number(
            con,
            f"select count(*) from read_parquet({file}) as t"
            f" where not exists (select 1 from read_parquet({register}) as r where r.child_id = t.child_id)",
        )
        if strangers:
            raise PublishingError(
                f"{strangers} row(s) belong to a child that is not in the register",
                where=name,
                expected="child ids of child_register only",
                action="run linkage, marts and scoring again in one run",
            )


# --- tables ---------------------------------------------------------------------------------------------------------


def _write_table(con: duckdb.DuckDBPyConnection, table: Table, as_of: date, folder: Path) -> dict[str, Any]:
    """Write one table and return its entry in the manifest."""
    columns, rows = _source_rows(con) if table is SOURCE_ROWS else _selected(con, table, as_of)
    order = [*table.key, *(name for name, _ in columns if table.log and name not in table.key)]
    file = folder / table.file
    select = f"select * from ({rows}) order by " + ", ".join(f"{_name(name)} nulls first" for name in order)
    _copy(con, select, file, table)
    volatile = [column.name for column in table.columns if column.volatile]
    digest = file_sha256(file)
    entry = {
        "file": table.file,
        "sha256": digest,
        "content_sha256": _stable_digest(con, table, file, as_of, volatile) if volatile else digest,
        "bytes": file.stat().st_size,
        "rows": _number(con, f"select count(*) from read_parquet({_sql_text(str(file))})"),
        "zone": table.zone.value,
        "in_contract": table.in_contract,
        "key": list(table.key),
        "columns": [
            {"name": name, "type": type_}
            for name, type_, *_ in con.execute("describe select * from read_parquet(?)", [str(file)]).fetchall()
        ],
        "volatile_columns": volatile,
        "note": table.note,
    }
    if not table.log:
        _require_key(con, table, file)
    return entry


def _selected(con: duckdb.DuckDBPyConnection, table: Table, as_of: date) -> tuple[list[tuple[str, str]], str]:
    """Published columns (name, type) of ``table`` and the query for its rows."""
    there = _columns_of(con, table)
    missing = [column.warehouse_name for column in table.columns if column.warehouse_name not in there]
    if missing:
        raise PublishingError(
            f"column(s) missing: {', '.join(missing)}",
            where=table.origin,
            expected=f"the columns of the contract's {table.name}",
            action="run the step that builds this table again, with the code of this version",
        )
    known = {column.warehouse_name for column in table.columns}
    further = sorted(set(there) - known) if table.open else []
    columns = [*table.columns, *(Column(name, None) for name in further)]
    chosen = [(column, column.type or _portable(there[column.warehouse_name])) for column in columns]

    def value(column: Column) -> str:
        name = _name(column.warehouse_name)
        return (
            f"case when not coalesce({table.hidden_where}, true) then {name} end"
            if column.name in table.hidden
            else name
        )

    expressions = ", ".join(f"cast({value(column)} as {type_}) as {_name(column.name)}" for column, type_ in chosen)
    conditions = [f"as_of_date = date '{as_of.isoformat()}'"] if table.dated else []
    if table.only:
        conditions.append(table.only)
    if table.name == "crosswalk":
        # grown-ups of the household have no child id, and no business in a register of children
        conditions.append("child_id is not null")
    where = f" where {' and '.join(conditions)}" if conditions else ""
    return [(column.name, type_) for column, type_ in chosen], f"select {expressions} from {table.origin}{where}"


def _source_rows(con: duckdb.DuckDBPyConnection) -> tuple[list[tuple[str, str]], str]:
    """The rows behind each record of the crosswalk, from every staging table that has both."""
    found = con.execute(
        """
        select table_name from duckdb_columns() where schema_name = 'staging' and table_name like 'stg\\_%' escape '\\'
          and column_name in ('source_record_id', '_source_file_sha256', '_row_number', '_extract_date')
        group by table_name having count(*) = 4 order by table_name
        """
    ).fetchall()
    parts = []
    for (table,) in found:
        domain, _, source = str(table).removeprefix("stg_").partition("__")
        key = _sql_text(f"{domain}.{source}")
        parts.append(
            f"""
            select {key} as source, cast(t.source_record_id as varchar) as source_record_id,
              cast(t._source_file_sha256 as varchar) as source_file_sha256,
              cast(t._extract_date as date) as extract_date,
              list(cast(t._row_number as bigint) order by t._row_number) as row_numbers
            from staging.{_name(str(table))} as t
            semi join linkage.lnk_crosswalk as c
              on c.source = {key} and c.source_record_id = t.source_record_id and c.child_id is not null
            group by all
            """
        )
    columns = [(column.name, column.type or "") for column in SOURCE_ROWS.columns]
    if not parts:
        empty = ", ".join(f"cast(null as {type_}) as {name}" for name, type_ in columns)
        return columns, f"select {empty} where false"
    return columns, " union all ".join(parts)


def _columns_of(con: duckdb.DuckDBPyConnection, table: Table) -> dict[str, str]:
    schema, _, name = table.origin.partition(".")
    rows = con.execute(
        "select column_name, data_type from duckdb_columns() where schema_name = ? and table_name = ?"
        " and database_name = current_database() order by column_index",
        [schema, name],
    ).fetchall()
    if not rows:
        raise PublishingError(
            "the table is missing from the warehouse",
            where=table.origin,
            action="run the steps before publishing; `kodomo run` runs them all",
        )
    return dict(rows)


def _portable(type_: str) -> str:
    """A type that Parquet keeps exactly and every reader knows."""
    if type_.startswith("DECIMAL"):
        return "DOUBLE"
    if type_.startswith("ENUM"):
        return "VARCHAR"
    return _PORTABLE.get(type_, type_)


def _copy(con: duckdb.DuckDBPyConnection, select: str, file: Path, table: Table) -> None:
    # Fixed settings: with the rows in order, DuckDB writes the same bytes whatever the number of threads
    try:
        con.execute(
            f"copy ({select}) to {_sql_text(str(file))} (format parquet, compression zstd, row_group_size 122880)"
        )
    except (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException):
        # the message would quote the value, and the log would keep it
        raise PublishingError(
            "a value does not fit its column's type",
            where=table.origin,
            expected=", ".join(f"{column.name} {column.type}" for column in table.columns if column.type),
            action="look at the table in the warehouse",
        ) from None


def _stable_digest(con: duckdb.DuckDBPyConnection, table: Table, file: Path, as_of: date, volatile: list[str]) -> str:
    """Hash of the table without the columns that differ from run to run; of the quality log, the results that stand.

    What compares with the snapshot before is left out: it says how this one differs from another, not what is in it.
    """
    from kodomo_platform.quality.results import standing_results

    stable = file.with_name(f"{table.name}.stable")
    if table.name == QUALITY_RESULTS.name:
        names = [column.warehouse_name for column in table.columns if not column.volatile]
        listed = ", ".join(_name(name) for name in names)
        select = (
            f"select {listed} from ({standing_results(as_of)}) where expectation != {_sql_text(FACTS_STAY)} "
            f"order by {listed}"
        )
    else:
        excluded = ", ".join(_name(name) for name in volatile)
        select = f"select * exclude ({excluded}) from read_parquet({_sql_text(str(file))})"
    _copy(con, select, stable, table)
    digest = file_sha256(stable)
    stable.unlink()
    return digest


def _require_key(con: duckdb.DuckDBPyConnection, table: Table, file: Path) -> None:
    key = ", ".join(_name(name) for name in table.key)
    rows = f"read_parquet({_sql_text(str(file))})"
    doubled = _number(con, f"select count(*) from (select 1 from {rows} group by {key} having count(*) > 1)")
    if doubled:
        raise PublishingError(
            f"{doubled} key(s) stand in more than one row",
            where=table.origin,
            expected=f"one row per {', '.join(table.key)}",
            action="run the step that builds this table again",
        )


# --- lineage --------------------------------------------------------------------------------------------------------


def _source_files(con: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Every file that the warehouse holds, superseded ones too (``active`` false)."""
    names = ("source", "extract_date", "file_name", "sha256", "rows_in", "rows_loaded", "rows_rejected", "active")
    rows = con.execute(f"select {', '.join(names)} from raw.files order by source, extract_date, loaded_at, sha256")
    return [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in zip(names, row, strict=True)}
        for row in rows.fetchall()
    ]


def _models(con: duckdb.DuckDBPyConnection, code: str, as_of: date) -> list[dict[str, Any]]:
    """Per theme, the versions behind its scores, and who approved the model when and why."""
    names = ("theme", "model_name", "model_version", "mlflow_run_id", "score_version", "criteria_hash", "code_version")
    rows = con.execute(
        f"select distinct {', '.join(names)} from {RISK_SCORES.origin} where as_of_date = ? order by all", [as_of]
    ).fetchall()
    decisions = operations.model_history(code) if rows else []
    found = []
    for row in rows:
        model = dict(zip(names, row, strict=True))
        approval = next(
            (
                decision
                for decision in decisions
                if decision.theme == model["theme"]
                and decision.model_name == model["model_name"]
                and decision.version == str(model["model_version"])
                and decision.status in ("approved", "retired")
            ),
            None,
        )
        model["approval"] = approval and {
            "by": approval.by,
            "reason": approval.reason,
            "at": approval.decided_at.isoformat(),
            "artifact_sha256": approval.artifact_sha256,
        }
        found.append(model)
    return found


def _governing_hashes(con: duckdb.DuckDBPyConnection, municipality: Configured, as_of: date) -> dict[str, Any]:
    """Hashes of the catalogue, the municipality's file and the criteria that made these tables."""
    from kodomo_platform.catalog import load_catalog

    criteria = con.execute(
        f"select distinct theme, criteria_hash from {RISK_SCORES.origin} where as_of_date = ? order by all", [as_of]
    ).fetchall()
    return {
        "catalog_sha256": _digest(load_catalog().model_dump(mode="json")),
        "municipality_sha256": _digest(municipality.model_dump(mode="json")),
        "criteria": {str(theme): value for theme, value in criteria},
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=False, default=str).encode()).hexdigest()


# --- the shelf ------------------------------------------------------------------------------------------------------


def _shelve(aside: Path, day: Path, manifest: dict[str, Any]) -> Snapshot:
    """Give the folder its version's name, unless the same content is there already and sound."""
    versions = {number: path for path in day.iterdir() if (number := version_sequence(path.name)) is not None}
    for number in sorted(versions, reverse=True):
        path = versions[number]
        if path.name == version_name(number, manifest["content_sha256"]) and not verify(path):
            return open_snapshot(path)
    taken = [*versions, *_published_before(manifest["municipality"], manifest["as_of_date"])]
    version = version_name(max(taken, default=0) + 1, manifest["content_sha256"])
    manifest["version"] = version
    (aside / MANIFEST).write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    names = sorted(file.name for file in aside.iterdir())
    # `sha256sum -c SHA256SUMS` verifies a snapshot where the platform is not installed
    checksums = "".join(f"{file_sha256(aside / name)}  {name}\n" for name in names)
    (aside / CHECKSUMS).write_text(checksums, encoding="utf-8")
    for file in aside.iterdir():
        _flush(file)
        file.chmod(0o444)
    _flush(aside)
    final = day / version
    aside.rename(final)
    _flush(day)
    snapshot = open_snapshot(final)
    return Snapshot(snapshot.municipality, snapshot.as_of, version, final, snapshot.manifest, created=True)


def _published_before(code: str, as_of: str) -> list[int]:
    """Sequence numbers given before, also of snapshots that have since been removed: a version is never used twice."""
    numbers = [
        version_sequence(publication.version)
        for publication in operations.publications(code)
        if publication.as_of_date.isoformat() == as_of
    ]
    return [number for number in numbers if number is not None]


def _make_current(snapshot: Snapshot) -> Snapshot:
    """Point ``current`` at the snapshot, unless it is of an earlier as-of date than the one in use."""
    root = snapshot.path.parent.parent
    link = root / CURRENT
    in_use = link.resolve()
    moves = not link.is_symlink() or not in_use.is_dir() or in_use.parent.name <= snapshot.path.parent.name
    if moves:
        new = root / f".{CURRENT}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        new.symlink_to(Path(snapshot.path.parent.name) / snapshot.version)
        new.replace(link)
        _flush(root)
    return Snapshot(
        snapshot.municipality,
        snapshot.as_of,
        snapshot.version,
        snapshot.path,
        snapshot.manifest,
        is_current=moves,
        created=snapshot.created,
    )


def _clear_leftovers(root: Path) -> None:
    """Remove what a killed run left behind. Safe under the lock: nobody else is publishing for this municipality."""
    for pattern in (f".{CURRENT}-*", f"*/{_TEMPORARY}*"):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _flush(path: Path) -> None:
    """Make sure that a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(code: str) -> Iterator[None]:
    """One publication of a municipality at a time; the lock goes with the process, however that ends."""
    folder = get_settings().locks
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"publish-{code}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _plain_errors(code: str) -> Iterator[None]:
    """Turn what the disk and the database say into an error that says what to do, without quoting any value."""
    action = "the snapshot in use has not changed; make room or mend the disk, then run again"
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        what = (
            "the disk is full" if full else f"the snapshot cannot be written: {error.strerror or type(error).__name__}"
        )
        raise PublishingError(what, where=str(get_settings().published / code), action=action) from error
    except duckdb.IOException as error:
        full = "No space left" in str(error) or "File too large" in str(error)
        what = "the disk is full" if full else "the snapshot cannot be written or read back"
        raise PublishingError(what, where=str(get_settings().published / code), action=action) from error
    except (duckdb.CatalogException, duckdb.BinderException) as error:
        raise PublishingError(
            "the warehouse lacks a table or column that publishing needs",
            where=f"municipality {code}",
            expected="raw.files, quality.results, linkage.lnk_crosswalk and the marts",
            action="run the steps before publishing; `kodomo run` runs them all",
        ) from error


# --- small SQL ------------------------------------------------------------------------------------------------------


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _number(con: duckdb.DuckDBPyConnection, query: str) -> int:
    row = con.execute(query).fetchone()
    return int(row[0]) if row else 0
