"""ZIP deliveries: the file inside that is meant, unpacked safely. What it holds belongs to `files`."""

from __future__ import annotations

import os
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

from kodomo_platform.errors import ExtractError

MOST_MEMBERS = 500
MOST_BYTES = 8 << 30
"""Of all members together, unpacked: far above a designated city's largest register."""
HIGHEST_RATIO = 300
"""Unpacked to packed: text of a register packs to a tenth or twentieth, a bomb to a thousandth."""
_CHUNK = 1 << 20
_UTF8_FLAG, _ENCRYPTED_FLAG = 0x800, 0x1


def open_archive(path: Path, where: str) -> zipfile.ZipFile:
    """The archive at ``path``, looked through before anything is unpacked.

    Raises ExtractError if it is none, is encrypted, holds too many or too large members, archives, links, or names with
    folders that lead outside.
    """
    try:
        archive = zipfile.ZipFile(path)
        members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, OverflowError):
        raise _refused("the file is no ZIP archive, or a broken one", where, "a whole ZIP archive") from None
    try:
        _look_through(members, where, path.stat().st_size)
    except BaseException:
        archive.close()
        raise
    return archive


def _look_through(members: list[zipfile.ZipInfo], where: str, size: int) -> None:
    if len(members) > MOST_MEMBERS:
        raise _refused(f"the archive holds {len(members):,} files", where, f"at most {MOST_MEMBERS}")
    names: set[str] = set()
    total = 0
    for member in members:
        name = member_name(member)
        if name.startswith(("/", "\\")) or ":" in name or ".." in name.replace("\\", "/").split("/"):
            raise _refused("a file of the archive lies outside of it", where, "file names without `..` or a drive")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _refused("a file of the archive is a link", where, "the files themselves")
        if member.flag_bits & _ENCRYPTED_FLAG:
            raise _refused("the archive is encrypted", where, "an archive without a password, on the agreed way")
        if name in names:
            raise _refused("the archive holds two files of one name", where, "each file once")
        names.add(name)
        total += member.file_size
        if member.file_size > HIGHEST_RATIO * max(member.compress_size, 1024):
            raise _refused("a file of the archive grows beyond all measure when it is unpacked", where, "an extract")
    if total > MOST_BYTES or total > HIGHEST_RATIO * max(size, 1024):
        raise _refused(f"the archive has {total:,} bytes unpacked", where, f"at most {MOST_BYTES:,}")


def member_name(member: zipfile.ZipInfo) -> str:
    """A member's name: without the UTF-8 flag Japanese Windows writes it in CP932."""
    if member.flag_bits & _UTF8_FLAG:
        return normalize("NFC", member.filename)
    try:
        return normalize("NFC", member.filename.encode("cp437").decode("cp932"))
    except UnicodeError:
        return normalize("NFC", member.filename)


@contextmanager
def unpacked(path: Path, member: str, where: str) -> Iterator[Path]:
    """The one file of the archive at ``path`` whose name matches ``member``, in a folder that is gone afterwards.

    Raises ExtractError as `open_archive` does, and unless exactly one file matches.
    """
    with open_archive(path, where) as archive:
        wanted = normalize("NFC", member)
        found = [one for one in archive.infolist() if not one.is_dir() and fnmatchcase(member_name(one), wanted)]
        if len(found) != 1:
            raise _refused(
                f"{len(found)} of the archive's {len(archive.infolist())} files are named like {member}", where, "one"
            )
        with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=path.parent) as folder:
            target = Path(folder) / "extract"
            unpack(archive, found[0], target, where)
            yield target


def unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, where: str) -> None:
    """Write one member to ``target``, readable by its owner alone; never more bytes than the archive declares."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    written = 0
    try:
        with os.fdopen(descriptor, "wb") as out, archive.open(member) as source:
            while chunk := source.read(_CHUNK):
                written += len(chunk)
                if written > member.file_size:
                    raise _refused("a file of the archive is larger than it says", where, "a whole ZIP archive")
                out.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError) as error:
        raise _refused("a file of the archive cannot be unpacked", where, "a whole ZIP archive") from error
    with target.open("rb") as content:
        if content.read(4) == b"PK\x03\x04" and not member_name(member).lower().endswith(".xlsx"):
            raise _refused("the file inside of the archive is an archive again", where, "the extract itself")


def _refused(what: str, where: str, expected: str) -> ExtractError:
    return ExtractError(
        what,
        where=where,
        expected=expected,
        action="ask the holder to pack the agreed files again; the last good state is untouched",
    )
