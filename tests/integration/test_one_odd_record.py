"""One odd record of every kind in every text file of a town: published all the same, set apart, asked about, shown.

Many records are injected into one delivery to save runs; into the keys and days of a source never more than its spare rows,
since a share that means a broken system stops a delivery, and is meant to.
"""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.catalog import Item, Source, load_catalog
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality.quarantine import REASONS
from tests.integration.command_line import kodomo

CODE = "112241"
DAY = dt.date(2026, 10, 1)
# kind → the text that stands in the cell; "" only where a blank is a fault
KEYS = {"blank": "", "exponent": "2.02601E+11", "error": "#REF!", "formula": '="12', "unknown": "98765432109"}
DAYS = {"no day": "2026/13/45", "words": "去年の秋", "to come": "2062-09-01", "ancient": "1811-09-01", "number": "-1"}
VALUES: dict[str, dict[str, str]] = {
    "int": {"negative": "-5", "huge": "99999999", "words": "多数", "half": "2.55"},
    "decimal": {"negative": "-5", "huge": "99999999", "words": "多数"},
    "code": {"unmapped": "ZZ", "number": "9871", "words": "その他？"},
    "date": DAYS,
    "month": {"no month": "2026/13", "words": "先月"},
}


@dataclass(frozen=True)
class Odd:
    """One injected record: where, and what was done to it."""

    source: str
    item: str
    kind: str
    sha256: str = ""
    row: int = 0


def kinds(source: Source, item: Item, turn: int) -> list[tuple[str, str]]:
    """The odd texts of an item in this turn: one of a key or an event's day, all of other values."""
    if item.name == source.record_key:
        return [list(KEYS.items())[turn]] if not source.is_identity else []
    if item.name == source.event_date or (source.is_identity and item.name == "birth_date"):
        made = list(VALUES[item.type].items())
        return [made[turn]] if turn < len(made) else []
    return list(VALUES.get(item.type, {}).items()) if turn == 0 else []


def inject(home: Path, turn: int) -> list[Odd]:
    """Add odd records at the end of the town's text files; what was added, with file hash and row number."""
    town, catalog, made = load_municipality(CODE), load_catalog(), []
    for config in town.sources:
        source = catalog.sources[config.source]
        if config.file.format not in ("csv", "tsv") or not config.file.header:
            continue
        (file,) = (home / "landing" / CODE / DAY.isoformat()).glob(config.file.pattern)
        encoding = str(config.file.encoding or "utf-8")
        delimiter = config.file.delimiter or ("\t" if config.file.format == "tsv" else ",")
        text = file.read_bytes().decode(encoding)
        rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
        head, records = rows[config.file.skip_rows], rows[config.file.skip_rows + 1 :]
        added: list[tuple[list[str], Odd]] = []
        for column in config.columns:
            item = source.by_name.get(column.item)
            for kind, odd in kinds(source, item, turn) if item is not None else []:
                # of another record each, so that no two of them share a key
                record = list(records[(7 * (len(added) + turn) + 3) % len(records)])
                record[head.index(str(column.column))] = odd
                added.append((record, Odd(source.key, item.name, kind)))  # type: ignore[union-attr]
        if not added:
            continue
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n" if "\r\n" in text else "\n")
        writer.writerows(record for record, _ in added)
        content = text.encode(encoding) + out.getvalue().encode(encoding)
        if not text.endswith("\n"):
            raise AssertionError(f"{file.name} has no last line end")
        file.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        made += [
            Odd(odd.source, odd.item, odd.kind, sha256, len(records) + place)
            for place, (_, odd) in enumerate(added, start=1)
        ]
    return made


@pytest.fixture(
    scope="module",
    params=[pytest.param(turn, marks=pytest.mark.slow if turn else ()) for turn in range(len(KEYS))],
)
def odd_town(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Odd]]:
    home = tmp_path_factory.mktemp("odd")
    out = ("--out", str(home / "landing"), "--truth", str(home / "truth"))
    kodomo(home, "synth", "-m", CODE, "--children", "150", "--months", "12", "--quality", "clean", *out)
    injected = inject(home, request.param)
    done = kodomo(home, "run", "-m", CODE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return home, injected


def test_one_odd_record_of_each_kind_is_set_apart_asked_about_and_shown(odd_town: tuple[Path, list[Odd]]) -> None:
    home, injected = odd_town
    assert len(injected) >= 12
    (snapshot,) = (home / "published" / CODE / DAY.isoformat()).iterdir()
    con = duckdb.connect()
    apart = {
        (source, sha256, row): (reason, item, asked_of)
        for source, sha256, row, reason, item, asked_of in con.execute(
            "select source, source_file_sha256, row_number, reason, item, asked_of from read_parquet(?)",
            [str(snapshot / "quarantine.parquet")],
        ).fetchall()
    }
    rejects = set(
        con.execute(
            "select source, source_file_sha256, row_number from read_parquet(?)", [str(snapshot / "rejects.parquet")]
        ).fetchall()
    )
    lost = [odd for odd in injected if (odd.source, odd.sha256, odd.row) not in apart.keys() | rejects]
    assert lost == []
    holders = {config.source: config.holder for config in load_municipality(CODE).sources}
    assert all(asked_of == holders[source] for (source, _, _), (_, _, asked_of) in apart.items())
    # asked about: the office finds file and row on its sheet
    kodomo(home, "quality", "sheets", "--municipality", CODE)
    with duckdb.connect(str(home / "warehouse" / f"{CODE}.duckdb"), read_only=True) as warehouse:
        asked = {row[0] for row in warehouse.execute("select distinct source from quality.correction_entry").fetchall()}
        values = warehouse.execute("select count(*) from marts.risk_scores where score is not null").fetchone()
    assert {odd.source for odd in injected if (odd.source, odd.sha256, odd.row) in apart} <= asked
    assert values is not None
    assert values[0] > 0
    # shown: the report names reason and office, and none of the odd texts
    (report,) = (home / "reports" / CODE).glob("quality_*.html")
    page = report.read_text(encoding="utf-8")
    assert "隔離した記録と値" in page
    assert all(REASONS[reason].ja in page for reason, _, _ in apart.values())
    for text in ("2.02601E+11", "去年の秋", "98765432109"):
        assert text not in page
