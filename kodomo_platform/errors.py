"""The errors a user of the platform may see, and nothing else.

An error says what was found, where, what was expected and what to do. It never holds a value that could be
personal: callers pass file names, line numbers and item keys, not cell contents.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path


class KodomoError(Exception):
    """Base of every error that is somebody's to mend, not a defect of the platform."""

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        expected: str | None = None,
        action: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.expected = expected
        self.action = action
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.action:
            lines.append(f"  what to do: {self.action}")
        return "\n".join(lines)


class UsageError(KodomoError):
    """A command was called in a way it does not know."""

    exit_code = 2


class ConfigurationError(KodomoError):
    """A setting or an environment variable is wrong."""


class CatalogError(KodomoError):
    """The catalogue does not hold together."""


class MunicipalityError(KodomoError):
    """A municipality's file is wrong or missing."""


class ExtractError(KodomoError):
    """A source file cannot be taken in."""


class WorkbookError(KodomoError):
    """A file is no workbook that can be read, or one that would cost more than any register. Rooms say it in their words."""


class LinkageError(KodomoError):
    """Identity records cannot be linked."""


class QualityError(KodomoError):
    """A quality suite cannot be loaded or run."""


class ScoringError(KodomoError):
    """A theme, a model or a score cannot be used or made."""


class PublishingError(KodomoError):
    """A snapshot cannot be written, found or verified."""


class WithheldError(KodomoError):
    """Nothing may be shown of this child: consent is the ground and is not there."""


class PolicyError(KodomoError):
    """A use of data that no ground or purpose covers, or a duty that is nobody's."""


class GovernanceError(KodomoError):
    """An act of governance cannot be carried out as asked."""


class OperationsError(KodomoError):
    """The operations database cannot be reached or refuses a change."""


class PortalError(KodomoError):
    """The portal refuses something that a person asked for."""


class NoSnapshotError(PortalError):
    """There is no snapshot that can be shown: none is published, or it was changed after it was published."""


class ReadOnlyError(PortalError):
    """Nothing may be decided now: the snapshot is missing, damaged or too old."""


class ConflictError(PortalError):
    """Somebody else wrote in the meantime; nothing of theirs was touched."""


class WrongStepError(PortalError):
    """A step is not one of the way, or something that it needs is missing."""


class FormError(PortalError):
    """A form could not be set."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one file, for commands that report all faults instead of the first."""

    file: Path
    line: int | None
    where: str
    message: str

    def __str__(self) -> str:
        position = f"{self.file}:{self.line}" if self.line is not None else str(self.file)
        return f"{position}: {self.where}: {self.message}" if self.where else f"{position}: {self.message}"


# how SQLite and DuckDB say it; SQLite calls a write beyond the room or the quota an I/O error
_NO_ROOM = (
    "database or disk is full",
    "disk i/o error",
    "no space left on device",
    "disk quota exceeded",
    "file too large",
)


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error``, or what caused it, is a disk (or a quota) without room."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        if any(words in str(cause).lower() for words in _NO_ROOM):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
