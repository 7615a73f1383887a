"""Which code made an output."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from kodomo_platform import __file__ as package_file
from kodomo_platform.shipped import INSTALLED, shipped_folder

# .tsv: the tables that say which characters and places are the same decide links as much as any code
_DECIDES = {".py", ".sql", ".yaml", ".yml", ".json", ".tsv"}
# what only shows results: a corrected word in a help text does not make other scores
_ONLY_SHOWS = {"cli", "portal", "messages.py", "messages_ja.yaml"}


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash of every file that decides an output, 16 hex digits: the same in a checkout and in an installed wheel.

    The rooms, the dbt project, the expectations, the tables that cleansing looks up, and the locked versions of the
    libraries. A commit id would miss uncommitted changes and is absent from an installed package.
    """
    return hash_of(Path(package_file).parent, shipped_folder("dbt_project"), shipped_folder("expectations"))


def hash_of(package: Path, dbt_project: Path, expectations: Path) -> str:
    """The hash of `code_version` over these folders and the ``uv.lock`` next to the last two."""
    digest = hashlib.sha256()
    for name, path in _deciding_files(package, dbt_project, expectations):
        digest.update(name.encode())
        digest.update(b"\0")
        digest.update(path.read_bytes())
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def _deciding_files(package: Path, dbt_project: Path, expectations: Path) -> Iterator[tuple[str, Path]]:
    folders = (package, dbt_project / "models", dbt_project / "macros", expectations)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            inside = path.relative_to(folder)
            if path.suffix not in _DECIDES or not path.is_file():
                continue
            if folder == package and inside.parts[0] in {*_ONLY_SHOWS, INSTALLED.name}:
                continue
            yield f"{folder.name}/{inside.as_posix()}", path
    lock = expectations.parent / "uv.lock"
    if lock.is_file():
        yield "uv.lock", lock
