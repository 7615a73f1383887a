"""Where the project's data folders are: ``dbt_project``, ``expectations``, ``mlflow``.

In a checkout they are top-level folders next to the package; in an installed wheel they are inside it, below
``_shipped`` (see ``force-include`` in pyproject.toml). Files that belong to one room stay in that room's folder.
"""

from __future__ import annotations

from pathlib import Path

from kodomo_platform import __file__ as _package_file

_PACKAGE = Path(_package_file).resolve().parent
INSTALLED = _PACKAGE / "_shipped"


def shipped_folder(name: str) -> Path:
    """Folder ``name`` of the project, in a wheel or in a checkout."""
    inside = INSTALLED / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def is_installed() -> bool:
    """Whether this is an installed wheel: then nothing may be written next to the shipped files."""
    return INSTALLED.is_dir()
