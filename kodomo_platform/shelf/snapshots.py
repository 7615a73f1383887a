"""Find published snapshots, in the order they were published, and read their manifests.

``published/<municipality>/<as_of_date>/<version>/`` holds one snapshot, ``published/<municipality>/current`` points to
the one in use. Which of one date is the newest is the sequence number in its version, never the time of a file: a
restored backup has the times of the restoring.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from kodomo_platform.errors import PublishingError
from kodomo_platform.settings import get_settings, municipality_code
from kodomo_platform.shelf.contract import MANIFEST

_VERSION = re.compile(r"v(?P<sequence>[0-9]{4,})-(?P<content>[0-9a-f]{12})")
CURRENT = "current"


@dataclass(frozen=True)
class Snapshot:
    """One published snapshot. ``created`` is False where `publish` found the same content published already."""

    municipality: str
    as_of: date
    version: str
    path: Path
    manifest: dict[str, Any]
    is_current: bool = False
    created: bool = False

    @property
    def created_at(self) -> datetime:
        return datetime.fromisoformat(str(self.manifest["created_at"]))

    @property
    def content_hash(self) -> str:
        return str(self.manifest["content_sha256"])

    @property
    def manifest_sha256(self) -> str:
        return file_sha256(self.path / MANIFEST)

    @property
    def row_counts(self) -> dict[str, int]:
        return {name: int(entry["rows"]) for name, entry in self.manifest["tables"].items()}

    def file(self, table: str) -> Path:
        """The Parquet file of ``table``."""
        return self.path / f"{table}.parquet"


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def version_name(sequence: int, content_hash: str) -> str:
    """``v0001-<12 hex>``: sorts by age, and says whether two snapshots hold the same."""
    return f"v{sequence:04d}-{content_hash[:12]}"


def version_sequence(name: str) -> int | None:
    """The sequence number of a version's name, None if the name is no version."""
    match = _VERSION.fullmatch(name)
    return int(match["sequence"]) if match else None


def content_hash(manifest: dict[str, Any]) -> str:
    """What makes two snapshots the same: their tables without run ids, and everything that governed them."""
    parts = {
        "contract_version": manifest["contract_version"],
        "municipality": manifest["municipality"],
        "as_of_date": manifest["as_of_date"],
        "tables": {name: entry["content_sha256"] for name, entry in manifest["tables"].items()},
        "governed_by": manifest["governed_by"],
        "code_version": manifest["lineage"]["code_version"],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def snapshots(code: str) -> list[Snapshot]:
    """All snapshots of municipality ``code``, by as-of date and age, oldest first. A damaged one is listed too."""
    root = get_settings().published / municipality_code(code)
    if not root.is_dir():
        return []
    now = _current_target(root)
    found = []
    for day in sorted(root.iterdir()):
        as_of = _date(day.name)
        if as_of is None or day.is_symlink() or not day.is_dir():
            continue
        versions = [(version_sequence(path.name), path) for path in day.iterdir() if path.is_dir()]
        for _, path in sorted((number, path) for number, path in versions if number is not None):
            manifest = _manifest_or_empty(path)
            found.append(Snapshot(code, as_of, path.name, path, manifest, is_current=path == now))
    return found


def published_tables(code: str, table: str) -> list[Path]:
    """The Parquet files of ``table`` in all snapshots of a municipality, oldest date first, newest version last."""
    files = [snapshot.file(table) for snapshot in snapshots(code)]
    return [file for file in files if file.is_file()]


def current_snapshot(code: str) -> Snapshot:
    """The snapshot in use. Raises PublishingError where nothing has been published."""
    root = get_settings().published / municipality_code(code)
    path = _current_target(root)
    if path is None:
        raise PublishingError(
            "nothing has been published for this municipality",
            where=f"municipality {code}",
            action=f"`kodomo run --municipality {code}` publishes; `kodomo snapshots list` shows what there is",
        )
    return open_snapshot(path)


def published_files(code: str) -> frozenset[str] | None:
    """SHA-256 of the source files that the snapshot in use rests on; empty where nothing is published.

    None where its manifest cannot be read: what it rests on is not known then, and nothing follows from that.
    """
    path = _current_target(get_settings().published / municipality_code(code))
    if path is None:
        return frozenset()
    lineage = _manifest_or_empty(path).get("lineage")
    if not isinstance(lineage, dict) or not isinstance(lineage.get("source_files"), list):
        return None
    return frozenset(str(file["sha256"]) for file in lineage["source_files"] if file.get("active"))


def snapshot_as_of(code: str, as_of: date | None) -> Snapshot:
    """The newest snapshot of ``as_of``; the one in use where no date is given."""
    if as_of is None:
        return current_snapshot(code)
    on_that_day = [snapshot for snapshot in snapshots(code) if snapshot.as_of == as_of]
    if not on_that_day:
        raise PublishingError(
            f"nothing has been published as of {as_of}",
            where=f"municipality {code}",
            action="`kodomo snapshots list` shows the dates there are",
        )
    return open_snapshot(on_that_day[-1].path)


def open_snapshot(path: Path) -> Snapshot:
    """The snapshot in folder ``path``, which must have a readable manifest."""
    path = path.resolve()
    manifest = read_manifest(path)
    as_of = date.fromisoformat(str(manifest["as_of_date"]))
    now = _current_target(path.parent.parent)
    return Snapshot(str(manifest["municipality"]), as_of, path.name, path, manifest, is_current=path == now)


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the snapshot in ``path``; PublishingError if it cannot be read."""
    file = path / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(manifest, dict) or not {"municipality", "as_of_date", "tables"} <= manifest.keys():
            raise ValueError
    except (OSError, ValueError) as error:
        raise PublishingError(
            "the manifest of this snapshot cannot be read",
            where=str(file),
            expected="a JSON object as `kodomo run` writes it",
            action="`kodomo snapshots verify` says what else is wrong; publish again with `kodomo run`",
        ) from error
    return manifest


def _manifest_or_empty(path: Path) -> dict[str, Any]:
    try:
        return read_manifest(path)
    except PublishingError:
        return {}


def _current_target(root: Path) -> Path | None:
    """Folder that ``current`` points to, None if there is none (or it points nowhere)."""
    link = root / CURRENT
    target = link.resolve()
    return target if link.is_symlink() and target.is_dir() else None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
