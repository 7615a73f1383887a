"""Where extracts land, which of them are whole, and the archive of their bytes.

``<landing>/<code>/<YYYY-MM-DD>/<file>`` is written by the holders of the sources; nothing here changes it. Reading
what is in a file belongs to the format modules.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import normalize

from kodomo_platform.errors import ExtractError
from kodomo_platform.settings import get_settings, municipality_code

if TYPE_CHECKING:
    from kodomo_platform.municipalities import Municipality

DONE_MARKER = ".done"
SETTLE_SECONDS = 60.0
"""A folder without a `.done` marker is whole once nothing in it has changed for this long."""

_JAPAN = dt.timezone(dt.timedelta(hours=9))
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEARLY_A_DATE = re.compile(
    r"\s*(?:\d{8}|\d{4}[-_./年 ]\d{1,2}[-_./月 ]\d{1,2}日?|(?:[RH]|令和|平成)\d{1,2}[-_./年]\d{1,2}[-_./月]\d{1,2}日?)(?:\D.*)?\s*",
    re.IGNORECASE,
)
_IN_TRANSFER = re.compile(r".*\.(part|partial|tmp|temp|filepart|crdownload|writing)|~\$.*|\..*", re.IGNORECASE)
_CHUNK = 1 << 20


@dataclass(frozen=True, order=True)
class LandedFile:
    """One extract in the landing folder; ordered by date, then by when it was written, then by name."""

    extract_date: dt.date
    modified_ns: int
    name: str
    path: Path

    @property
    def where(self) -> str:
        """Date folder and file name, for messages."""
        return f"{self.extract_date.isoformat()}/{self.name}"


def today_in_japan() -> dt.date:
    """The date where the municipalities are, whatever the machine's clock is set to."""
    return dt.datetime.now(_JAPAN).date()


def extract_folders(landing: Path, code: str, *, today: dt.date | None = None) -> dict[dt.date, Path]:
    """The date folders of municipality ``code``, oldest first.

    Raises ExtractError for a folder whose name is shaped like a date and is none, and for one dated in the future: a
    mistyped year would otherwise be "the latest extract" for good.
    """
    root = landing / municipality_code(code)
    if not root.is_dir():
        return {}
    today = today or today_in_japan()
    folders: dict[dt.date, Path] = {}
    for path in sorted(root.iterdir()):
        if not path.is_dir():
            continue
        if not _DATE.fullmatch(path.name):
            if _NEARLY_A_DATE.fullmatch(normalize("NFKC", path.name)) and any(path.iterdir()):
                raise ExtractError(
                    "the folder's name looks like a date and is not written as one",
                    where=f"{code}/{shown_name(path)}",
                    expected="YYYY-MM-DD, the day on which the extract was made",
                    action="rename the folder",
                )
            continue
        try:
            date = dt.date.fromisoformat(path.name)
        except ValueError:
            raise ExtractError(
                "the folder's name is not a date",
                where=f"{code}/{path.name}",
                expected="YYYY-MM-DD, the day on which the extract was made",
                action="rename the folder",
            ) from None
        if date > today:
            raise ExtractError(
                "the folder is dated in the future",
                where=f"{code}/{path.name}",
                expected=f"a date up to {today.isoformat()}",
                action="rename the folder to the day on which the extract was made",
            )
        folders[date] = path
    return folders


def landed_files(landing: Path, code: str, pattern: str, *, today: dt.date | None = None) -> list[LandedFile]:
    """All files of a source (their name matches the glob ``pattern``), oldest extract first.

    Names are compared in NFC: a file that came by way of a Mac carries its ガ in two code points.
    """
    found = []
    wanted = normalize("NFC", pattern)
    for date, folder in extract_folders(landing, code, today=today).items():
        for path in sorted(folder.iterdir()):
            if _IN_TRANSFER.fullmatch(path.name) or not fnmatchcase(normalize("NFC", path.name), wanted):
                continue
            if not is_plain_name(path.name):
                raise ExtractError(
                    "the file's name is not UTF-8",
                    where=f"{code}/{date.isoformat()}/{shown_name(path)}",
                    expected="a file name in UTF-8",
                    action="rename the file (an archive made on Windows was unpacked without its encoding)",
                )
            if path.is_symlink() or not path.is_file():
                raise ExtractError(
                    "not a regular file",
                    where=f"{code}/{date.isoformat()}/{path.name}",
                    expected="the extract itself, not a link or a folder",
                )
            found.append(LandedFile(date, path.stat().st_mtime_ns, path.name, path))
    return sorted(found)


def is_plain_name(name: str) -> bool:
    """Whether a file's name is text: bytes that are no UTF-8 stand in it as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def shown_name(path: Path) -> str:
    """A file's name for a message: one that is not UTF-8 as CP932, or its bytes written out."""
    if is_plain_name(path.name):
        return path.name
    raw = os.fsencode(path.name)
    try:
        return raw.decode("cp932")
    except UnicodeDecodeError:
        return raw.decode("ascii", errors="backslashreplace")


def _folded_name(name: str) -> str:
    """A name for comparing what looks alike: width, case, blanks, and what a copy or a second extension adds."""
    folded = re.sub(r"\s", "", normalize("NFKC", name)).lower()
    folded = re.sub(r"(?:-?コピー|のコピー|-?copy|\(\d{1,2}\))(?=\.)", "", folded)
    return re.sub(
        r"[‐‑–—―−ー_-]", "-", re.sub(r"(\.(?:csv|tsv|txt|dat|xlsx))\.(?:csv|tsv|txt|dat|xlsx)$", r"\1", folded)
    )


def refuse_near_misses(
    landing: Path, code: str, pattern: str, others: list[str], landed: list[LandedFile], *, today: dt.date | None = None
) -> None:
    """Raise ExtractError for a file that nearly has the name a source waits for, where nothing else came for it since.

    ``others``: the patterns of the municipality's other sources; ``landed``: what came under the right name. Without this a
    misnamed file would leave last month's extract standing as this month's.
    """
    wanted = _folded_name(pattern)
    patterns = [normalize("NFC", one) for one in (pattern, *others)]
    last = max((file.extract_date for file in landed), default=None)
    for date, folder in extract_folders(landing, code, today=today).items():
        if last is not None and date <= last:
            continue
        for path in sorted(folder.iterdir()):
            name = shown_name(path)
            if _IN_TRANSFER.fullmatch(path.name) or any(
                fnmatchcase(normalize("NFC", path.name), one) for one in patterns
            ):
                continue
            folded = _folded_name(name)
            stem, _, extension = wanted.rpartition(".")
            same_but_for_extension = (
                stem and fnmatchcase(folded.rpartition(".")[0], stem) and folded.endswith((".txt", ".dat"))
            )
            if fnmatchcase(folded, wanted) or (extension == "csv" and same_but_for_extension):
                raise ExtractError(
                    f"the file nearly has the name that is waited for ({pattern}), and no other came",
                    where=f"{code}/{date.isoformat()}/{name}",
                    expected=f"a name that fits {pattern}: capitals, width and extension count",
                    action="rename the file, or change `pattern` in the municipality's file",
                )


def refuse_empty_delivery(
    municipality: Municipality, landing: Path | None = None, *, today: dt.date | None = None
) -> None:
    """Raise ExtractError if the latest folder was called whole and holds nothing that any source waits for.

    Its month would be published with the extracts of the one before.
    """
    landing = get_settings().landing if landing is None else landing
    folders = extract_folders(landing, municipality.code, today=today)
    if not folders:
        return
    date, folder = max(folders.items())
    patterns = [normalize("NFC", source.file.pattern) for source in municipality.sources]
    names = [path.name for path in folder.iterdir()]
    files = [name for name in names if not _IN_TRANSFER.fullmatch(name)]
    if any(fnmatchcase(normalize("NFC", name), one) for name in files for one in patterns):
        return
    if DONE_MARKER in names or files:
        raise ExtractError(
            f"the latest folder holds no extract: {len(files)} files, none of which any source waits for",
            where=f"{municipality.code}/{date.isoformat()}",
            expected="the extracts of that day",
            action="put the extracts there, or take the folder away",
        )


def complete_extract_dates(
    municipality: Municipality,
    landing: Path | None = None,
    *,
    settle_seconds: float = SETTLE_SECONDS,
    now: float | None = None,
    today: dt.date | None = None,
) -> list[dt.date]:
    """The dates whose folders are wholly there, oldest first: for the sensor that asks for runs.

    A folder is complete when it holds a ``.done`` marker, or when it holds a file and nothing in it has changed for
    ``settle_seconds`` (the later of content and metadata change counts, so that a copy that keeps old times is seen
    too) and no name in it says that a transfer is under way (``.part``, ``.tmp`` …).
    """
    landing = get_settings().landing if landing is None else landing
    now = time.time() if now is None else now
    return [
        date
        for date, folder in extract_folders(landing, municipality.code, today=today).items()
        if _is_complete(folder, settle_seconds, now)
    ]


def latest_complete_extract_date(
    landing: Path, code: str, *, settle_seconds: float = SETTLE_SECONDS, now: float | None = None
) -> dt.date | None:
    """The newest of `complete_extract_dates`, without looking into the older folders; None if nothing is complete."""
    now = time.time() if now is None else now
    folders = extract_folders(landing, code)
    return next((day for day in sorted(folders, reverse=True) if _is_complete(folders[day], settle_seconds, now)), None)


def _is_complete(folder: Path, settle_seconds: float, now: float) -> bool:
    names = {path.name for path in folder.iterdir()}
    if DONE_MARKER in names:
        return True
    if not names or any(_IN_TRANSFER.fullmatch(name) for name in names):
        return False
    try:
        stats = [path.stat() for path in folder.iterdir()]
    except FileNotFoundError:  # renamed while we looked: still being written
        return False
    changed = max(max(stat.st_mtime, stat.st_ctime) for stat in stats)
    return now - changed >= settle_seconds and any(stat.st_size for stat in stats)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def archive_file(file: LandedFile, archive: Path) -> tuple[Path, str]:
    """Copy a landed file's bytes to ``<archive>/<sha256>`` (readable by its owner alone) and return path and hash.

    Written aside and renamed, so that the archive never holds half a file. Raises ExtractError if the file changes
    while it is read, or if it cannot be written (disk full).
    """
    aside = archive / f".incoming-{os.getpid()}"
    digest = hashlib.sha256()
    try:
        archive.mkdir(parents=True, exist_ok=True)
        before = file.path.stat()
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as target, file.path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        after = file.path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise ExtractError(
                "the file changed while it was read",
                where=file.where,
                expected="a file that is wholly there",
                action=f"wait for the transfer to end; a `{DONE_MARKER}` file in the folder says so",
            )
        sha256 = digest.hexdigest()
        kept = archive / sha256
        if kept.exists():
            aside.unlink()
        else:
            aside.replace(kept)
        return kept, sha256
    except OSError as error:
        raise disk_error(error, file.where) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def disk_error(error: OSError, where: str) -> ExtractError:
    """What to tell when the disk does not take or give a file's bytes."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return ExtractError(
        "the disk is full" if full else f"the file cannot be read or kept ({error.strerror or type(error).__name__})",
        where=where,
        expected="room for a copy of the file and for its rows",
        action="free some space and run again; the last good state is untouched",
    )


def remove_leftovers(archive: Path) -> None:
    """Delete what a killed process left half-copied in the archive."""
    if archive.is_dir():
        for path in archive.glob(".incoming-*"):
            with suppress(OSError):
                path.unlink()


def read_chunks(path: Path, *, skip: int = 0, chunk_bytes: int = 4 << 20) -> Iterator[bytes]:
    """The bytes of a file after the first ``skip``, in pieces."""
    with path.open("rb") as file:
        file.seek(skip)
        while chunk := file.read(chunk_bytes):
            yield chunk
