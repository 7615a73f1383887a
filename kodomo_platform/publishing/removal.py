"""Publish a snapshot again without some children, and remove the version that held them.

A published file never changes: what is left of a snapshot is a version of its own, with its own hashes, and the manifest
says which version it comes from and how many rows went. Who may be removed, and why, belongs to governance.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform import operations
from kodomo_platform.operations import Act
from kodomo_platform.publishing.snapshot import _alone, _clear_leftovers, _make_current, _shelve
from kodomo_platform.settings import get_settings
from kodomo_platform.shelf.contract import CHECKSUMS, MANIFEST
from kodomo_platform.shelf.snapshots import Snapshot, content_hash, file_sha256

_SETTINGS = "format parquet, compression zstd, row_group_size 122880"


def publish_without(
    snapshot: Snapshot, child_ids: Collection[str], records: Collection[tuple[str, str]], act: Act
) -> tuple[Snapshot, dict[str, int]]:
    """The snapshot without the rows of these children and records, in place of the one that held them.

    Killed in the middle, either the old version or both are there; running it again ends with the new one alone.

    Returns:
        The version that stands now, and the rows removed by table (empty: it held none, nothing was done).
    """
    with _alone(snapshot.municipality):
        root = get_settings().published / snapshot.municipality
        _clear_leftovers(root)
        counts = _held(snapshot, child_ids, records)
        if not counts:
            return snapshot, {}
        day = snapshot.path.parent
        aside = day / f".tmp-without-{os.getpid()}"
        aside.mkdir()
        try:
            manifest = _filtered(snapshot, aside, child_ids, records, counts)
            left = _shelve(aside, day, manifest)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        lineage = left.manifest["lineage"]
        operations.record_publication(
            snapshot.municipality,
            snapshot.as_of,
            left.version,
            str(left.path.relative_to(get_settings().published)),
            left.manifest_sha256,
            act,
            code_version=str(lineage.get("code_version", "")),
        )
        if snapshot.is_current:
            left = _make_current(left)
        for file in snapshot.path.iterdir():
            file.chmod(0o600)
        shutil.rmtree(snapshot.path)
        return left, counts


def _condition(columns: list[str], records: Collection[tuple[str, str]]) -> str:
    if "child_id" in columns:
        return "child_id in (select id from gone)"
    if {"source", "source_record_id"} <= set(columns) and records:
        return "(source, source_record_id) in (select source, record from gone_record)"
    return "false"


def _connect(child_ids: Collection[str], records: Collection[tuple[str, str]]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:")
    con.execute("create table gone (id varchar); create table gone_record (source varchar, record varchar)")
    con.executemany("insert into gone values (?)", [[child] for child in child_ids] or [[None]])
    con.executemany("insert into gone_record values (?, ?)", [list(record) for record in records] or [[None, None]])
    return con


def _held(snapshot: Snapshot, child_ids: Collection[str], records: Collection[tuple[str, str]]) -> dict[str, int]:
    counts = {}
    with _connect(child_ids, records) as con:
        for name, entry in snapshot.manifest["tables"].items():
            condition = _condition([column["name"] for column in entry["columns"]], records)
            (count,) = con.execute(
                f"select count(*) from read_parquet(?) where {condition}", [str(snapshot.path / entry["file"])]
            ).fetchone() or (0,)
            if count:
                counts[name] = int(count)
    return counts


def _filtered(
    snapshot: Snapshot,
    aside: Path,
    child_ids: Collection[str],
    records: Collection[tuple[str, str]],
    counts: dict[str, int],
) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads(json.dumps(snapshot.manifest))
    with _connect(child_ids, records) as con:
        for name, entry in manifest["tables"].items():
            source, target = snapshot.path / entry["file"], aside / entry["file"]
            if name not in counts:
                shutil.copyfile(source, target)
                continue
            condition = _condition([column["name"] for column in entry["columns"]], records)
            con.execute(
                f"copy (select * from read_parquet('{source}') where ({condition}) is not true) to '{target}' ({_SETTINGS})"
            )
            entry["rows"] -= counts[name]
            entry["bytes"], entry["sha256"] = target.stat().st_size, file_sha256(target)
            # what a rerun would give is not known any more: the bytes that are left stand for the content
            entry["content_sha256"] = hashlib.sha256(
                f"{snapshot.manifest['tables'][name]['content_sha256']} without {entry['sha256']}".encode()
            ).hexdigest()
    manifest["removed"] = {"from_version": snapshot.version, "rows": counts}
    manifest["content_sha256"] = content_hash(manifest)
    for leftover in (MANIFEST, CHECKSUMS):
        (aside / leftover).unlink(missing_ok=True)
    return manifest
