"""Withdrawal of consent and stop of use (利用停止) reach every copy in a home, with a receipt.

Source files (landing, archive), warehouse, snapshots, reports, logs, MLflow's files and the operations database. The
receipt says for every store what was held before and after, what stays and why. Killed in the middle, the command goes on
where it stopped: each store is done when nothing is found in it.

What it cannot do, and says: bytes on a copy outside the home (a backup, an export that was handed over) are listed for a
person to deal with; a model trained with the child is named with the day by which it has to be trained again; a sibling's
earlier score may rest on the household's facts until the next run.

Sources: Act on the Protection of Personal Information, arts. 98-103 (stop of use), 69(2) i (consent); guideline, chapter 5.
"""

from __future__ import annotations

import datetime as dt
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.governance import source_files
from kodomo_platform.governance.scanning import scan, sqlite_vacuum
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.operations import Act
from kodomo_platform.policy.suppression import folded, suppression_hash
from kodomo_platform.publishing.removal import publish_without
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf import snapshots

KIND = "receipt"
RETRAIN_DAYS = 90
_LOOSE = ("reports", "logs", "dbt", "dagster", "mlflow", "exports")


@dataclass(frozen=True)
class Target:
    """Of whom everything goes: ids (also those merged into one another), records, and numbers by number system."""

    municipality: str
    child_ids: frozenset[str]
    records: frozenset[tuple[str, str]]
    numbers: dict[str, frozenset[str]]
    values: frozenset[str]


@dataclass
class Receipt:
    """What every store held, what it holds, and what stays. Counts only, so that it can be shown and kept."""

    key: str
    child_id: str
    dry_run: bool
    before: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    stays: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    retrain_by: str = ""
    found_in: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def target_of(code: str, child_id: str) -> Target:
    """Everything by which a child is known here.

    Raises:
        OperationsError: this installation never gave the id out.
    """
    ids, waiting = set(), [child_id]
    records: set[tuple[str, str]] = set()
    while waiting:
        known = operations.child_history(waiting.pop())
        if known.municipality != code:
            raise GovernanceError("this child belongs to another municipality", where=f"municipality {code}")
        ids.add(known.child_id)
        records |= {(record.source, record.source_record_id) for record in known.records}
        others = {known.merged_into} | {e.other_child_id for e in known.events if e.kind == "merged" and not e.undone}
        waiting += [other for other in others - ids if other]
    identity: set[str] = set()
    for snapshot in snapshots(code):
        found_records, found_values = _published(snapshot.file("crosswalk"), snapshot.file("child_register"), ids)
        records |= found_records
        identity |= found_values
    numbers: dict[str, set[str]] = {}
    catalog = load_catalog()
    for source, record in records:
        if source in catalog.sources:
            numbers.setdefault(catalog.sources[source].id_system, set()).add(folded(record))
    values = {value for value in identity | {record for _, record in records} if len(value) >= 5} | ids
    return Target(
        code,
        frozenset(ids),
        frozenset(records),
        {system: frozenset(found) for system, found in numbers.items()},
        frozenset(values),
    )


def _published(crosswalk: Path, register: Path, ids: set[str]) -> tuple[set[tuple[str, str]], set[str]]:
    records: set[tuple[str, str]] = set()
    values: set[str] = set()
    with duckdb.connect(":memory:") as con:
        if crosswalk.is_file():
            query = "select source, source_record_id from read_parquet(?) where list_contains(?, child_id)"
            records = set(con.execute(query, [str(crosswalk), sorted(ids)]).fetchall())
        if register.is_file():
            # a name that another child bears as well points at nobody
            query = (
                "with said as (select list_contains($ids, child_id) as own, unnest([name, name_kana, resident_number]) "
                "as value from read_parquet($file)) select value from said where value is not null "
                "group by value having bool_and(own)"
            )
            rows = con.execute(query, {"file": str(register), "ids": sorted(ids)}).fetchall()
            values = {str(value) for (value,) in rows}
    return records, values


def forget(code: str, child_id: str, act: Act, *, dry_run: bool = False, request: str = "") -> Receipt:
    """Take a child out of every store of this home.

    Args:
        dry_run: count and change nothing.
        request: key of the request that asks for it, where there is one.

    Raises:
        GovernanceError: a legal hold forbids it, or a source file cannot be read.
        OperationsError: this installation does not know the child.
    """
    municipality = load_municipality(code)
    target = target_of(code, child_id)
    if holds := [
        h.key
        for child in target.child_ids
        for h in operations.governance_records(code, "hold", person=child, state="active")
    ]:
        raise GovernanceError(
            f"a legal hold keeps this child's data: {', '.join(sorted(holds))}",
            where=f"municipality {code}",
            action="end the hold first, if the law lets you: `kodomo governance hold end`",
        )
    earlier = operations.governance_records(code, KIND, person=child_id)
    unfinished = next((r for r in earlier if r.state == "started"), None)
    if not target.records and unfinished is None and earlier:
        raise GovernanceError(
            "this child was taken out before and nothing has come back", where=f"receipt {earlier[-1].key}"
        )
    key = unfinished.key if unfinished else f"{child_id}-{len(earlier) + 1}"
    receipt = Receipt(key, child_id, dry_run)
    if unfinished is not None:
        target = _merged(target, unfinished.body)
    now = dict(_counted(municipality.code, target))
    receipt.before = dict(unfinished.body["before"]) if unfinished else now
    receipt.models = _models(code)
    receipt.retrain_by = (dt.date.today() + dt.timedelta(RETRAIN_DAYS)).isoformat() if receipt.models else ""
    receipt.stays = [
        "請求・この受領証・同意の記録（求めと対応を示すため）",
        "監査記録の枠（対象者と理由は消去済み）",
        "こどもIDそのもの（ほかのこどもに二度と付けないため）",
        *(
            f"提供済みのファイル {e.key}（人が回収する）"
            for e in operations.governance_records(code, "export", state="released")
        ),
    ]
    if dry_run:
        receipt.after = now
        operations.audit(act, "forget dry run", key, municipality=code, person=child_id)
        return receipt
    if unfinished is None:
        # numbers are kept while the work lasts, so that a killed run can go on; the finished receipt holds hashes alone
        operations.open_record(
            code, KIND, key, "started", act, effective_on=dt.date.today(), person=child_id,
            body={
                "before": receipt.before,
                "request": request,
                "numbers": {system: sorted(found) for system, found in target.numbers.items()},
                "records": sorted(map(list, target.records)),
                "values": sorted(target.values),
            },
        )  # fmt: skip
    _carry_out(municipality.code, target, act)
    receipt.after = dict(_counted(code, target))
    hashed = sorted(suppression_hash(code, system, n) for system, found in target.numbers.items() for n in found)
    operations.close_receipt(code, key, act, body={**receipt.as_dict(), "request": request, "suppressed": hashed})
    for child in target.child_ids:
        kept = [
            e.audit_entry
            for kind in ("request", KIND, "consent")
            for r in operations.governance_records(code, kind, person=child)
            for e in r.events
        ]
        operations.erase_person(child, act, municipality=code, keep=kept)
    _vacuum()
    receipt.found_in = dict(scan(get_settings().home, target.values - target.child_ids))
    return receipt


def _merged(target: Target, body: dict[str, Any]) -> Target:
    numbers = {system: frozenset(found) for system, found in body["numbers"].items()}
    return Target(
        target.municipality,
        target.child_ids,
        target.records | {(source, record) for source, record in body["records"]},
        {system: numbers.get(system, frozenset()) | target.numbers.get(system, frozenset()) for system in {*numbers, *target.numbers}},
        target.values | frozenset(body["values"]),
    )  # fmt: skip


def _sources(code: str, target: Target) -> Iterator[tuple[Path, bytes, int, bool]]:
    municipality = load_municipality(code)
    names = {load.sha256: load.source for load in operations.loads(code)}
    for files, archived in (
        (source_files.landed_files(municipality), False),
        (source_files.archived_files(municipality, names), True),
    ):
        for path, config in files:
            keys = source_files.keys_of(config, target.numbers)
            if not keys:
                continue
            content, removed = source_files.without(path, config, keys)
            if removed:
                yield path, content, removed, archived


def _counted(code: str, target: Target) -> Iterator[tuple[str, int]]:
    """Store → rows (or files) that hold the child now."""
    rows: Counter[str] = Counter({"landing": 0, "archive": 0, "warehouse": 0, "published": 0, "operations": 0})
    for _, _, removed, archived in _sources(code, target):
        rows["archive" if archived else "landing"] += removed
    rows["warehouse"] = _in_warehouse(code, target)
    for snapshot in snapshots(code):
        with duckdb.connect(":memory:") as con:
            for name in snapshot.manifest.get("tables", {}):
                columns = [c["name"] for c in snapshot.manifest["tables"][name]["columns"]]
                if "child_id" in columns and snapshot.file(name).is_file():
                    (count,) = con.execute(
                        "select count(*) from read_parquet(?) where list_contains(?, child_id)",
                        [str(snapshot.file(name)), sorted(target.child_ids)],
                    ).fetchone() or (0,)
                    rows["published"] += int(count)
    rows["operations"] = operations.count_child(code, target.child_ids, target.records)
    for store in _LOOSE:
        rows[store] = len(list(_loose_files(store, target)))
    yield from rows.items()


def _in_warehouse(code: str, target: Target) -> int:
    path = get_settings().warehouse(code)
    if not path.exists():
        return 0
    count = 0
    with duckdb.connect(str(path), read_only=True) as con:
        for schema, table in con.execute(
            "select schema_name, table_name from duckdb_columns() where column_name = 'child_id' and not internal "
            "and database_name = current_database() and table_name in (select table_name from duckdb_tables())"
        ).fetchall():
            (rows,) = con.execute(
                f'select count(*) from "{schema}"."{table}" where list_contains(?, child_id::varchar)',
                [sorted(target.child_ids)],
            ).fetchone() or (0,)
            count += int(rows)
    return count


def _loose_files(store: str, target: Target) -> Iterator[Path]:
    from kodomo_platform.governance.scanning import holds

    root = get_settings().home / store
    for path in sorted(root.rglob("*")) if root.is_dir() else []:
        if path.is_file() and not path.is_symlink() and holds(path, target.values):
            yield path


def _models(code: str) -> list[str]:
    return sorted(
        {f"{a.theme} {a.model_name} {a.version}" for a in operations.model_history(code) if a.status == "approved"}
    )


def _carry_out(code: str, target: Target, act: Act) -> None:
    for path, content, _, archived in list(_sources(code, target)):
        source_files.replace(path, content, named_by_hash=archived)
    for snapshot in snapshots(code):
        publish_without(snapshot, target.child_ids, target.records, act)
    # rebuilt whole by the next run from what is left: rows deleted in place would leave bytes in free pages
    warehouse = get_settings().warehouse(code)
    for path in warehouse.parent.glob(f"{warehouse.name}*"):
        path.unlink()
    shutil.rmtree(get_settings().dbt_target(code), ignore_errors=True)
    for store in _LOOSE:
        for path in list(_loose_files(store, target)):
            if not _is_database(path):
                path.unlink()
    operations.forget_child(code, target.child_ids, target.records, act)


def _is_database(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(16).startswith(b"SQLite format 3")


def _vacuum() -> None:
    """Deleted rows leave bytes in SQLite's free pages: write those files afresh."""
    operations.close()
    for path in get_settings().home.rglob("*"):
        if path.suffix in {".db", ".sqlite3"} and path.is_file() and _is_database(path):
            sqlite_vacuum(path)
