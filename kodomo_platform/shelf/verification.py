"""Check that a published snapshot is what was published: contract, manifest, bytes, read-only. Nothing is mended here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.errors import Fault, PublishingError
from kodomo_platform.shelf.contract import CHECKSUMS, MANIFEST, READABLE, TABLES
from kodomo_platform.shelf.snapshots import content_hash, file_sha256, read_manifest


def verify(path: Path) -> list[Fault]:
    """Hash every file of a snapshot again and compare it with its manifest and with the contract.

    Returns every fault found, none for a sound snapshot. The manifest itself is checked against the operations
    database, which remembers the hash of each manifest published from this home.
    """
    path = path.resolve()
    if not path.is_dir():
        return [Fault(path, None, "", "there is no such snapshot")]
    try:
        manifest = read_manifest(path)
    except PublishingError as error:
        return [Fault(path / MANIFEST, None, "", error.what)]
    faults: list[Fault] = []
    try:
        faults += _manifest_faults(path, manifest)
        faults += _folder_faults(path, manifest)
        faults += _checksum_faults(path)
        with duckdb.connect(":memory:") as con:
            for table in TABLES:
                entry = manifest["tables"].get(table.name)
                if entry is None and table.since <= str(manifest["contract_version"]):
                    faults.append(Fault(path / MANIFEST, None, f"tables.{table.name}", "not in the manifest"))
                elif entry is not None:
                    faults += _table_faults(con, path / table.file, entry)
    except (KeyError, TypeError, AttributeError, ValueError):
        faults.append(Fault(path / MANIFEST, None, "", "the manifest lacks a part, or a part has the wrong form"))
    return sorted(set(faults), key=lambda fault: (str(fault.file), fault.where, fault.message))


def _manifest_faults(path: Path, manifest: dict[str, Any]) -> list[Fault]:
    file = path / MANIFEST
    faults = []
    if manifest["contract_version"] not in READABLE:
        faults.append(Fault(file, None, "contract_version", f"expected one of {', '.join(READABLE)}"))
    if manifest["version"] != path.name:
        faults.append(Fault(file, None, "version", "the folder has another name"))
    if manifest["as_of_date"] != path.parent.name or manifest["municipality"] != path.parent.parent.name:
        faults.append(Fault(file, None, "municipality, as_of_date", "the snapshot lies in another one's folder"))
    again = content_hash(manifest)
    if again != manifest["content_sha256"] or not path.name.endswith(again[:12]):
        faults.append(Fault(file, None, "content_sha256", "does not fit what the manifest lists"))
    remembered = _remembered_manifest(manifest, path.name)
    if remembered is not None and remembered != file_sha256(file):
        faults.append(Fault(file, None, "", "not the manifest that was published: its hash has changed"))
    return faults


def _remembered_manifest(manifest: dict[str, Any], version: str) -> str | None:
    """Hash of this version's manifest in the operations database; None if it does not know the version."""
    from kodomo_platform import operations

    for publication in operations.publications(str(manifest["municipality"])):
        if publication.version == version and publication.as_of_date.isoformat() == manifest["as_of_date"]:
            return publication.manifest_sha256
    return None


def _folder_faults(path: Path, manifest: dict[str, Any]) -> list[Fault]:
    expected = {entry["file"] for entry in manifest["tables"].values()} | {MANIFEST, CHECKSUMS}
    faults = []
    for file in path.iterdir():
        if file.name not in expected:
            faults.append(Fault(file, None, "", "does not belong to the snapshot"))
        elif file.is_symlink() or not file.is_file():
            faults.append(Fault(file, None, "", "not a plain file"))
        elif file.stat().st_mode & 0o222:
            faults.append(Fault(file, None, "", "can be written to; a published file is read-only"))
    return faults


def _checksum_faults(path: Path) -> list[Fault]:
    file = path / CHECKSUMS
    if not file.is_file():
        return [Fault(file, None, "", "missing")]
    faults = []
    for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        digest, _, name = line.partition("  ")
        target = path / name
        if not name or "/" in name or not target.is_file():
            faults.append(Fault(file, number, "", "names a file that is not there"))
        elif file_sha256(target) != digest:
            faults.append(Fault(file, number, name, "the file's bytes have changed"))
    return faults


def _table_faults(con: duckdb.DuckDBPyConnection, file: Path, entry: dict[str, Any]) -> list[Fault]:
    if not file.is_file():
        return [Fault(file, None, "", "missing")]
    faults = []
    if file.stat().st_size != entry["bytes"] or file_sha256(file) != entry["sha256"]:
        faults.append(Fault(file, None, "sha256", "the file's bytes have changed"))
    try:
        rows = con.execute("select count(*) from read_parquet(?)", [str(file)]).fetchone()
        columns = con.execute("describe select * from read_parquet(?)", [str(file)]).fetchall()
    except duckdb.Error:
        return [*faults, Fault(file, None, "", "cannot be read as Parquet")]
    if rows is None or rows[0] != entry["rows"]:
        faults.append(Fault(file, None, "rows", f"expected {entry['rows']}"))
    if [{"name": name, "type": type_} for name, type_, *_ in columns] != entry["columns"]:
        faults.append(Fault(file, None, "columns", "names, types or order are not those of the manifest"))
    return faults
