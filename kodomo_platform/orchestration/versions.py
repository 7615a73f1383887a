"""Which code made an output."""

import hashlib
from functools import lru_cache
from pathlib import Path

from kodomo_platform import __file__ as package_file


@lru_cache(maxsize=1)
def code_version() -> str:
    """Hash of every source file that can change an output (Python, SQL, YAML, JSON), 16 hex digits.

    A commit id would miss uncommitted changes and is absent from an installed package.
    """
    package = Path(package_file).parent
    root = package.parent
    digest = hashlib.sha256()
    folders = [package, root / "dbt_project" / "models", root / "dbt_project" / "macros", root / "expectations"]
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in {".py", ".sql", ".yaml", ".yml", ".json"} and path.is_file():
                digest.update(str(path.relative_to(root)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
