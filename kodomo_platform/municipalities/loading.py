"""Find, read and add municipalities' files. What is wrong with one is found by `checking`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from kodomo_platform.errors import MunicipalityError
from kodomo_platform.municipalities.checking import examine
from kodomo_platform.municipalities.models import Municipality
from kodomo_platform.settings import get_settings, municipality_code

SHIPPED = Path(__file__).parent


def _files() -> dict[str, Path]:
    """Code to file; one onboarded in the home wins over the shipped one of the same code."""
    files: dict[str, Path] = {}
    for directory in (SHIPPED, get_settings().municipalities_dir):
        for file in sorted(directory.glob("[0-9][0-9][0-9][0-9][0-9][0-9].yaml")):
            files[file.stem] = file
    return files


def municipality_codes() -> list[str]:
    """Codes of all municipalities known here: shipped and onboarded, sorted."""
    return sorted(_files())


def municipality_file(code: str) -> Path:
    """The file of municipality ``code``: the one onboarded in the home, else the shipped one.

    Raises `MunicipalityError` if there is none.
    """
    name = f"{municipality_code(code)}.yaml"
    for directory in (get_settings().municipalities_dir, SHIPPED):
        if (directory / name).exists():
            return directory / name
    known = municipality_codes()
    raise MunicipalityError(
        f"no municipality {code}",
        expected="one of " + ", ".join(known[:20] + ["…"] * (len(known) > 20)),
        action="add it with `kodomo onboard FILE`",
    )


def load_municipality(code: str) -> Municipality:
    """The municipality ``code``. Raises `MunicipalityError` if it is unknown or its file has any fault."""
    file = municipality_file(code)
    try:
        status = file.stat()
        return _load(file, status.st_mtime_ns, status.st_size)
    except OSError as error:
        raise MunicipalityError(
            f"the file cannot be read ({error.strerror or type(error).__name__})",
            where=str(file),
            action="give the platform's user the right to read it, or onboard the municipality again",
        ) from error


def load_each(codes: Iterable[str] | None = None) -> tuple[dict[str, Municipality], dict[str, MunicipalityError]]:
    """Those of ``codes`` (None: all known here) that can be used, and the error of each that cannot.

    For whoever looks at several: a fault in one municipality's file is no reason to show nothing of the others.
    """
    usable: dict[str, Municipality] = {}
    broken: dict[str, MunicipalityError] = {}
    for code in municipality_codes() if codes is None else codes:
        try:
            usable[code] = load_municipality(code)
        except MunicipalityError as error:
            broken[code] = error
    return usable, broken


@lru_cache(maxsize=4096)
def _load(file: Path, _modified: int, _size: int) -> Municipality:
    municipality = load_file(file)
    if municipality.code != file.stem:
        raise MunicipalityError("the file's name and its `code` differ", where=str(file), expected=f"{file.stem}.yaml")
    return municipality


def load_file(file: Path) -> Municipality:
    """The municipality in ``file``. Raises `MunicipalityError` that lists every fault."""
    municipality, faults = examine(file)
    if faults or municipality is None:
        raise MunicipalityError(
            f"{len(faults)} fault(s)\n" + "\n".join(f"  {fault}" for fault in faults[:200]),
            where=str(file),
            action="mend the lines named above, then try `kodomo municipality check FILE`",
        )
    return municipality


def onboard(file: Path) -> Municipality:
    """Check ``file`` and copy it to ``<home>/municipalities/<code>.yaml``, whole or not at all; return its content."""
    municipality = load_file(file)
    directory = get_settings().municipalities_dir
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / f"{municipality_code(municipality.code)}.yaml"
    content = file.read_bytes()
    handle, name = tempfile.mkstemp(dir=directory, prefix=".onboarding-", suffix=".tmp")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        load_file(aside)  # what was checked is what is copied, even if somebody saved in between
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return municipality
