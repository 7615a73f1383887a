"""What would come of some files by a municipality's file, without a warehouse and without publishing anything.

For whoever writes the file: rows in and out, and per item how much is blank, unreadable or a code that the map lacks. No
name, number or address is in it: of values only codes are shown, and only where most of the item's are known.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from unicodedata import normalize

import duckdb

from kodomo_platform.catalog import Item, Source, load_catalog
from kodomo_platform.cleansing.functions import register
from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import create_raw_tables, load_source
from kodomo_platform.extracts.landing import today_in_japan
from kodomo_platform.municipalities import Municipality, SourceConfig

MOST_CODES = 8
"""Codes without a place in the map that are shown of one item."""
_KNOWN_SHARE = 0.5
_LONGEST_CODE = 8


@dataclass(frozen=True)
class ItemTrial:
    """Cells of one item: ``filled`` + ``blank`` is all of them; ``unreadable`` is part of ``filled``."""

    item: str
    filled: int
    blank: int
    unreadable: int
    unknown_codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceTrial:
    """What came of one source. ``refused``: why nothing was taken; ``rows_in`` = ``rows_loaded`` + ``rows_rejected``."""

    source: str
    files: tuple[str, ...]
    rows_in: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    rejects: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    items: tuple[ItemTrial, ...] = ()
    refused: ExtractError | None = None


@dataclass(frozen=True)
class Trial:
    """All sources that a file was given for; ``unmatched``: files that no source's pattern names."""

    sources: tuple[SourceTrial, ...]
    unmatched: tuple[str, ...]


def try_files(municipality: Municipality, files: Sequence[Path]) -> Trial:
    """Load ``files`` as ``municipality`` says, in memory, as if they had landed today.

    A source that refuses its file does not keep the others out. Raises ExtractError for a file that cannot be read.
    """
    names = {file: normalize("NFC", file.name) for file in files}
    for file in files:
        if not file.is_file():
            raise ExtractError("no such file", where=str(file), expected="a delivered file")
    matched: set[Path] = set()
    tried = []
    with tempfile.TemporaryDirectory(prefix="kodomo-try-") as folder:
        day = today_in_japan()
        landing = Path(folder) / "landing"
        landed = landing / municipality.code / day.isoformat()
        landed.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, landed / file.name)
        for config in municipality.sources:
            own = [file for file in files if fnmatchcase(names[file], normalize("NFC", config.file.pattern))]
            if not own:
                continue
            matched.update(own)
            with duckdb.connect() as con:
                create_raw_tables(con)
                register(con)
                tried.append(_try(con, municipality, config, landing, Path(folder) / "archive", own))
    return Trial(tuple(tried), tuple(file.name for file in files if file not in matched))


def _try(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    config: SourceConfig,
    landing: Path,
    archive: Path,
    files: Sequence[Path],
) -> SourceTrial:
    names = tuple(file.name for file in files)
    source = load_catalog().sources[config.source]
    config = config.model_copy(update={"file": config.file.model_copy(update={"required_marker": False})})
    municipality = municipality.model_copy(update={"sources": [config]})
    municipality.__dict__.pop("by_source", None)
    try:
        report = load_source(con, municipality, config.source, landing, archive=archive)
    except ExtractError as error:
        return SourceTrial(config.source, names, refused=error)
    items = tuple(_try_item(con, source, source.by_name[name], config) for name in config.by_item)
    return SourceTrial(
        config.source,
        names,
        report.rows_in,
        report.rows_loaded,
        report.rows_rejected,
        report.rejects,
        tuple(report.warnings),
        items,
    )


def _try_item(con: duckdb.DuckDBPyConnection, source: Source, item: Item, config: SourceConfig) -> ItemTrial:
    style = config.dates_of(item.name)
    tokens = ["", *(token.strip() for token in config.null_tokens_of(item.name))]
    codes = {*(item.codes or {}), *(local.strip() for local in config.code_maps.get(item.name, {}))}
    readable = {
        "date": "kodomo_uncertain_date(v, $style, $eras).note is distinct from 'unreadable'",
        "month": "kodomo_month(v, $style, $eras) is not null",
        "int": "kodomo_int(v) is not null",
        "decimal": "kodomo_decimal(v) is not null",
        "postal": "kodomo_postal(v) is not null",
        "phone": "kodomo_phone(v) is not null",
        "code": "list_contains($codes, v)",
    }.get(item.type, "true")
    known = {"tokens": tokens, "style": style.style, "eras": style.era_codes, "codes": sorted(codes)}
    used = {name: value for name, value in known.items() if f"${name}" in readable or name == "tokens"}
    con.execute(
        f"""
        create or replace temp table cells as
        select v, v is null or list_contains($tokens, v) as is_blank, n
        from (select trim("{item.name}", ' \t\u3000') as v, count(*) as n from raw.{source.raw_table} group by 1)
        """,
        {"tokens": tokens},
    )
    used.pop("tokens")
    rows = con.execute(
        f"select v, n from cells where not is_blank and not coalesce({readable}, false)", used
    ).fetchall()
    filled, blank = con.execute(
        "select coalesce(sum(n) filter (where not is_blank), 0), coalesce(sum(n) filter (where is_blank), 0) from cells"
    ).fetchone() or (0, 0)
    unreadable = sum(n for _, n in rows)
    shown: tuple[str, ...] = ()
    if item.type == "code" and rows and (unreadable <= filled * _KNOWN_SHARE or not config.code_maps.get(item.name)):
        texts = sorted(rows, key=lambda row: (-row[1], row[0]))
        few = len(rows) <= 40
        shown = (
            tuple(text for text, n in texts if len(text) <= _LONGEST_CODE and (n > 1 or few))[:MOST_CODES]
            if few
            else ()
        )
    return ItemTrial(item.name, int(filled), int(blank), int(unreadable), shown)
