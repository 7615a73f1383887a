"""Take a child's records out of the bytes of source files, in the landing folder and in the archive.

Text files lose whole records and keep every other byte; a workbook is written again. Which files are read how is the
municipality's file's business; only records of the child's own numbers are touched, never a sibling's.
"""

from __future__ import annotations

import csv
import fnmatch
import hashlib
import io
import zipfile
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import GovernanceError
from kodomo_platform.municipalities.models import Municipality, SourceConfig
from kodomo_platform.policy.suppression import folded
from kodomo_platform.settings import get_settings


def keys_of(config: SourceConfig, numbers: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """The record keys that the child has in a source; ``numbers``: number system → numbers as `folded` gives them."""
    return numbers.get(load_catalog().sources[config.source].id_system, frozenset())


def _key_column(config: SourceConfig) -> str:
    return load_catalog().sources[config.source].record_key


def without(path: Path, config: SourceConfig, keys: Container[str]) -> tuple[bytes, int]:
    """The file's bytes without the records of ``keys``, and how many these were.

    Raises:
        GovernanceError: the file cannot be read as the municipality's file says, so nobody can say what it holds.
    """
    try:
        return _workbook(path, config, keys) if config.file.format == "xlsx" else _text(path, config, keys)
    except (
        UnicodeError,
        ValueError,
        KeyError,
        IndexError,
        OSError,
        StopIteration,
        csv.Error,
        zipfile.BadZipFile,
    ) as error:
        raise GovernanceError(
            f"a source file cannot be read to take a child out of it ({type(error).__name__})",
            where=path.name,
            expected=f"{config.source} as the municipality's file describes it",
            action="remove or mend the file, then run the command again: it goes on where it stopped",
        ) from error


def _records(text: str, config: SourceConfig) -> Iterator[tuple[str, list[str]]]:
    lines = text.splitlines(keepends=True) if "\n" not in text else [line + "\n" for line in text.split("\n")]
    if "\n" in text:
        lines[-1] = lines[-1][:-1]
        lines = lines if lines[-1] else lines[:-1]
    if config.file.format == "fixed":
        encoding = config.file.encoding or "cp932"
        places = {column.item: column.byte_slice for column in config.columns}
        for line in lines:
            raw = line.encode(encoding, "surrogateescape")
            yield line, [raw[places[_key_column(config)]].decode(encoding, "replace")]
        return
    quote = config.file.quote
    taken: list[str] = []

    def feed() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    reader = csv.reader(
        feed(), delimiter=config.delimiter, quotechar=quote or '"',
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )  # fmt: skip
    for fields in reader:
        yield "".join(taken), fields
        taken.clear()


def _at(config: SourceConfig, header: list[str] | None) -> int:
    column = config.by_item[_key_column(config)]
    if config.file.format == "fixed":
        return 0
    if header is None:
        return column.index
    return [folded(name) for name in header].index(folded(column.column))


def _text(path: Path, config: SourceConfig, keys: Container[str]) -> tuple[bytes, int]:
    encoding = config.file.encoding or "utf-8"
    raw = path.read_bytes()
    codec = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    bom = b""
    if encoding == "utf-16":
        bom, codec = raw[:2], "utf-16-le" if raw[:2] == b"\xff\xfe" else "utf-16-be"
    elif raw.startswith(b"\xef\xbb\xbf"):
        bom, codec = raw[:3], "utf-8"
    # bytes that are no characters come back as they were
    text = raw[len(bom) :].decode(codec, "surrogateescape" if not codec.startswith("utf-16") else "strict")
    kept, removed, at = [], 0, None if config.file.header and config.file.format != "fixed" else _at(config, None)
    titles = config.file.skip_rows
    for number, (piece, fields) in enumerate(_records(text, config)):
        if number < titles or (at is None):
            if number >= titles:
                at = _at(config, fields)
            kept.append(piece)
        elif at < len(fields) and folded(fields[at]) in keys:
            removed += 1
        else:
            kept.append(piece)
    if not removed:
        return raw, 0
    errors = "surrogateescape" if not codec.startswith("utf-16") else "strict"
    return bom + "".join(kept).encode(codec, errors), removed


def _workbook(path: Path, config: SourceConfig, keys: Container[str]) -> tuple[bytes, int]:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(path.read_bytes()))
    sheet = (
        book[config.file.sheet] if config.file.sheet else next(s for s in book.worksheets if s.sheet_state == "visible")
    )
    first = config.file.skip_rows + 1
    header = [str(cell.value or "") for cell in sheet[first]] if config.file.header else None
    at = _at(config, header) + 1
    wrong = [
        row for row in range(first + (1 if config.file.header else 0), sheet.max_row + 1)
        if folded(sheet.cell(row, at).value or "") in keys
    ]  # fmt: skip
    if not wrong:
        return path.read_bytes(), 0
    for row in reversed(wrong):
        sheet.delete_rows(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue(), len(wrong)


def landed_files(municipality: Municipality) -> Iterator[tuple[Path, SourceConfig]]:
    """Every file in the landing folder of a municipality and the source whose pattern it has."""
    root = get_settings().landing / municipality.code
    for path in sorted(root.glob("*/*")) if root.is_dir() else []:
        for config in municipality.sources:
            if path.is_file() and fnmatch.fnmatchcase(path.name, config.file.pattern):
                yield path, config


def archived_files(municipality: Municipality, names: Mapping[str, str]) -> Iterator[tuple[Path, SourceConfig]]:
    """Every archived file and its source; ``names``: SHA-256 → source, as the loads on record say."""
    root = get_settings().archive / municipality.code
    for sha256, source in sorted(names.items()):
        path = root / sha256
        if path.is_file() and source in municipality.by_source:
            yield path, municipality.by_source[source]


def replace(path: Path, content: bytes, *, named_by_hash: bool) -> Path:
    """Write ``content`` in place of the file, aside and renamed; an archived file takes its new hash for a name."""
    target = path.with_name(hashlib.sha256(content).hexdigest()) if named_by_hash else path
    aside = path.with_name(f".forgetting-{path.name[:40]}")
    aside.write_bytes(content)
    aside.chmod(path.stat().st_mode & 0o777)
    aside.replace(target)
    if target != path:
        path.unlink()
    return target
