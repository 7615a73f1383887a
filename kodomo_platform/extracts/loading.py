"""Landing files to raw rows, one source at a time, all or nothing.

Every file of a source is loaded in one transaction: whatever goes wrong, a full disk and a killed process included,
leaves the last good state. What values mean is not looked at here; that is staging's work.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kodomo_platform.catalog import Source, load_catalog
from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.archives import unpacked
from kodomo_platform.extracts.batches import Batch, Reject
from kodomo_platform.extracts.columns import DroppedColumn
from kodomo_platform.extracts.encoding import GETA, gaiji_codes, wrong_encoding
from kodomo_platform.extracts.files import MUNICIPALITY_COLUMN, OpenedFile, open_file
from kodomo_platform.extracts.landing import (
    DONE_MARKER,
    LandedFile,
    archive_file,
    disk_error,
    landed_files,
    refuse_near_misses,
    remove_leftovers,
    sha256_of,
)
from kodomo_platform.extracts.lines import NotARecord
from kodomo_platform.extracts.places import ENOUGH_ADDRESSES, OWN_SHARE, postal_codes, whose
from kodomo_platform.extracts.roster import flat_roster
from kodomo_platform.extracts.shaping import Shaper, physical
from kodomo_platform.extracts.soundness import (
    EVENT_LIMIT,
    FEW_ROWS,
    Delivery,
    columns_of,
    is_a_copy_by_name,
    is_shrunk,
    part_name,
    refuse_broken_key,
    refuse_missing_parts,
    refuse_missing_schools,
    refuse_wrong_columns,
    shrink_limit,
)
from kodomo_platform.extracts.tables import create_raw_tables
from kodomo_platform.municipalities import Municipality, SourceConfig, municipality_codes
from kodomo_platform.settings import get_settings, municipality_code

SAME_RECORDS, OTHER_RECORDS = 0.5, 0.02
"""Of the smaller of two files of one date: it is corrected if at least the first share of its records stands in the
other one too, and a part beside it if at most the second does (a child that moved between two schools' files)."""

HABIT_SHARE = 0.05
"""Of a file's records: so many without their last fields are a program that leaves empty cells out; fewer are torn."""

_REJECTS_KEPT_BEFORE_GIVING_UP = 100_000
# One rejected record says nothing about a file of at least so many records, whatever its share is.
_ODD_RECORDS, _ENOUGH_RECORDS = 1, 20


@dataclass(frozen=True)
class GaijiCount:
    """How often a gaiji stands in a file, and where first."""

    code: str
    glyph_count: int
    first_row_number: int


@dataclass(frozen=True)
class FileReport:
    """What came of one file. ``rows_in`` = ``rows_loaded`` + ``rows_rejected``; lines that are no records (a header printed
    again, totals, footers, blanks) are ``rows_not_records`` and in none of the three; ``rows_padded`` are loaded ones whose
    last, empty fields were left out."""

    file_name: str
    extract_date: dt.date
    sha256: str
    encoding: str
    rows_in: int
    rows_loaded: int
    rows_rejected: int
    supersedes: str | None = None
    rows_not_records: int = 0
    rows_padded: int = 0


@dataclass
class LoadReport:
    """What a load did; counts are of the files loaded now, not of those that were there already.

    ``rejects``: reason → records; ``not_records``: kind → lines that are none. ``absent_items``: items of the catalogue that the municipality's file does not map.
    """

    source: str
    files: list[FileReport] = field(default_factory=list)
    rows_in: int = 0
    rows_loaded: int = 0
    rows_rejected: int = 0
    dropped_columns: list[DroppedColumn] = field(default_factory=list)
    absent_items: list[str] = field(default_factory=list)
    gaiji: list[GaijiCount] = field(default_factory=list)
    skipped_already_loaded: list[str] = field(default_factory=list)
    extract_dates: list[dt.date] = field(default_factory=list)
    rejects: dict[str, int] = field(default_factory=dict)
    not_records: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def load_source(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    source_key: str,
    landing: Path | None = None,
    *,
    archive: Path | None = None,
    today: dt.date | None = None,
    trusted: frozenset[str] | None = None,
) -> LoadReport:
    """Load every new file of one source from ``<landing>/<code>/<date>/`` into ``raw``.

    ``landing`` and ``archive`` default to the settings' folders. A source that the municipality does not hold loads
    nothing (all its items are absent). Raises ExtractError, and changes nothing in the warehouse, if any file cannot
    be taken.

    A full extract is held against the last one, by size and by the numbers in it. ``trusted`` are the SHA-256 of the files
    that what is published rests on: what was loaded but blocked later (another town's first delivery) must not make its
    own correction look foreign. None: every extract loaded earlier is trusted.
    """
    code = municipality_code(municipality.code)
    settings = get_settings()
    landing = settings.landing if landing is None else landing
    archive = (settings.archive if archive is None else archive) / code
    source = load_catalog().sources.get(source_key)
    if source is None:
        raise ExtractError(f"{source_key!r} is no source of the catalogue", expected="see `kodomo catalog list`")
    create_raw_tables(con)
    config = municipality.by_source.get(source_key)
    report = LoadReport(source_key)
    if config is None:
        report.absent_items = [item.name for item in source.items]
        return report
    report.absent_items = [item.name for item in source.items if item.name not in config.by_item]
    remove_leftovers(archive)
    load = _SourceLoad(con, municipality, source, config, archive, report, trusted)
    landed = landed_files(landing, code, config.file.pattern, today=today)
    others = [other.file.pattern for other in municipality.sources if other is not config]
    refuse_near_misses(landing, code, config.file.pattern, others, landed, today=today)
    con.execute("begin transaction")
    try:
        load.run(landed)
        con.execute("commit")
    except BaseException as error:
        _roll_back(con)
        if isinstance(error, OSError):
            raise disk_error(error, source_key) from error
        if isinstance(error, duckdb.IOException | duckdb.OutOfMemoryException):
            raise ExtractError(
                "the warehouse cannot take the rows (disk or memory full)",
                where=source_key,
                action="free some space and run again; the last good state is untouched",
            ) from error
        raise
    return report


def load_all(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    landing: Path | None = None,
    *,
    archive: Path | None = None,
    today: dt.date | None = None,
) -> list[LoadReport]:
    """`load_source` for every source of the municipality.

    One source's fault does not keep the others out; afterwards one ExtractError lists them all.
    """
    reports: list[LoadReport] = []
    faults: list[str] = []
    for config in municipality.sources:
        try:
            reports.append(load_source(con, municipality, config.source, landing, archive=archive, today=today))
        except ExtractError as error:
            faults.append(str(error))
    if faults:
        raise ExtractError(f"{len(faults)} of {len(municipality.sources)} sources refused\n" + "\n".join(faults))
    return reports


def _roll_back(con: duckdb.DuckDBPyConnection) -> None:
    try:
        con.execute("rollback")
    except duckdb.Error:
        # DuckDB has ended the transaction itself (it does so when the disk is full)
        return


def _inside(path: Path, config: SourceConfig, where: str) -> AbstractContextManager[Path]:
    """The extract: the file itself, the one that is packed in it, or the flat one that is made of a roster's."""
    if config.file.format == "oneroster":
        return flat_roster(path, where)
    return nullcontext(path) if config.file.zip is None else unpacked(path, config.file.zip.member, where)


@dataclass(frozen=True)
class _ActiveFile:
    name: str
    sha256: str
    rows_loaded: int


@dataclass(frozen=True)
class _State:
    date: dt.date
    rows: int


class _SourceLoad:
    """One run over one source, inside its transaction."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        municipality: Municipality,
        source: Source,
        config: SourceConfig,
        archive: Path,
        report: LoadReport,
        trusted: frozenset[str] | None,
    ) -> None:
        self.con = con
        self.trusted = trusted
        self.municipality = municipality
        self.source = source
        self.config = config
        self.archive = archive
        self.report = report

    def run(self, landed: list[LandedFile]) -> None:
        by_date: dict[dt.date, list[LandedFile]] = {}
        for file in landed:
            if self.config.file.required_marker and not (file.path.parent / DONE_MARKER).exists():
                self.report.warnings.append(f"{file.where}: waits for its {DONE_MARKER} file")
                continue
            by_date.setdefault(file.extract_date, []).append(file)
        self.report.extract_dates = sorted(by_date)
        for date in sorted(by_date):
            self._take_delivery(date, by_date[date])

    def _take_delivery(self, date: dt.date, files: list[LandedFile]) -> None:
        """Take what is new of one date's files, oldest first. They may be parts of one extract, or one may correct
        another: `several` says which, or what they hold does. The checks are of the delivery as a whole, so that half
        an extract is no shrunk one.
        """
        copies: dict[str, str] = {}
        if self.config.file.several == "corrections":
            for file in files[:-1]:
                self._note_superseded(file, files[-1])
            files = files[-1:]
        elif len(files) > 1:
            files, copies = self._without_copies(files)
        new = [(file, sha256) for file in files if (sha256 := self._wanted(file, newest=file is files[-1]))]
        if not new:
            return
        # a part whose bytes did not change since an earlier date belongs to this date's extract all the same
        again = [(file, sha256) for file in files if (sha256 := self._unchanged_part(file, date))]
        self.report.skipped_already_loaded = [
            where for where in self.report.skipped_already_loaded if where not in {file.where for file, _ in again}
        ]
        before = self._state_up_to(date)
        for file, sha256 in sorted(new + again):
            try:
                self._take(file, sha256)
            except ExtractError as error:
                if file is files[-1] or self.config.file.several == "parts":
                    raise
                raise ExtractError(
                    error.what,
                    where=error.where,
                    expected=error.expected,
                    action=f"{error.action}; if {files[-1].name} replaces this file, take this one out of the folder, or "
                    "set `several: corrections` in the municipality's file",
                ) from error
        self._refuse_unsound(date, before, copies)

    def _refuse_unsound(self, date: dt.date, before: _State | None, copies: Mapping[str, str]) -> None:
        """The checks of a delivery as a whole: whose it is first, then what its columns hold, then how much is there."""
        where = f"{date.isoformat()}/{', '.join(file.name for file in self._active(date))}"
        delivery = Delivery(self.con, self.municipality, self.source, self.config, date, where)
        self._refuse_other_places(date)
        refuse_wrong_columns(delivery)
        refuse_broken_key(delivery, None if before is None else before.date)
        if before is not None and before.date < date and self._is_measured:
            now = {file.name: file.rows_loaded for file in self._active(date)}
            former = {file.name: file.rows_loaded for file in self._active(before.date)}
            if self.config.file.several != "corrections":
                refuse_missing_parts(delivery, now, former, before.date, copies)
        self._refuse_shrunk(date, before)
        self._refuse_strangers(date, before)
        if before is not None and before.date < date and self._is_measured:
            refuse_missing_schools(delivery, before.date)

    @property
    def _is_measured(self) -> bool:
        """Whether a delivery is held against the one before it: not for changes alone, nor where the municipality lets one
        run through."""
        limit = self.municipality.shrink_limit_percent
        return self.config.extract_kind == "full" and (limit is None or limit < 100)

    def _without_copies(self, files: list[LandedFile]) -> tuple[list[LandedFile], dict[str, str]]:
        """The files of a date without those that are byte for byte another one, and copy → original.

        Of two the one stays whose name the last delivery knew, else the first one written: a school's file that was sent
        under another school's name must not take that school's place. Parts that a municipality declares are each a school's
        own, so that a copy among them means one that did not arrive.
        """
        known = {
            part_name(name)
            for (name,) in self.con.execute(
                "select distinct file_name from raw.files where source = ? and active", [self.source.key]
            ).fetchall()
        }
        by_bytes: dict[str, list[LandedFile]] = {}
        for file in files:
            try:
                by_bytes.setdefault(sha256_of(file.path), []).append(file)
            except OSError as error:
                raise disk_error(error, file.where) from error
        copies: dict[str, str] = {}
        for same in by_bytes.values():
            same.sort(key=lambda file: (is_a_copy_by_name(file.name), part_name(file.name) not in known, file))
            for file in same[1:]:
                copies[file.name] = same[0].name
                if self.config.file.several == "parts" and not is_a_copy_by_name(file.name):
                    raise ExtractError(
                        f"it is byte for byte the same as {same[0].name}: one part was sent under two names",
                        where=file.where,
                        expected="a part of its own in every file",
                        action="ask the holder for the part that is missing, or take the copy out of the folder",
                    )
                self.report.warnings.append(
                    f"{file.where}: byte for byte the same as {same[0].name}, so it is read once"
                )
        return [file for file in files if file.name not in copies], copies

    def _wanted(self, file: LandedFile, *, newest: bool) -> str | None:
        """The hash of a file that is to be loaded; None for one that was, or that another one has replaced."""
        try:
            sha256 = sha256_of(file.path)
        except OSError as error:
            raise disk_error(error, file.where) from error
        known = self._known(sha256)
        if any(active for _, active in known):
            self.report.skipped_already_loaded.append(file.where)
            return None
        # a file that went out of use for a correction and is delivered again is wanted again
        if not newest and any(date == file.extract_date for date, _ in known):
            return None
        return sha256

    def _unchanged_part(self, file: LandedFile, date: dt.date) -> str | None:
        if file.where not in self.report.skipped_already_loaded:
            return None
        sha256 = sha256_of(file.path)
        return None if (date, True) in self._known(sha256) else sha256

    def _note_superseded(self, file: LandedFile, by: LandedFile) -> None:
        """Keep the bytes and the name of a file that another one of the same date replaces before it was ever
        loaded.
        """
        sha256 = sha256_of(file.path)
        if self._known(sha256):
            return
        _, sha256 = archive_file(file, self.archive)
        self.report.warnings.append(f"{file.where}: replaced by {by.name}, which was written later")
        self._book_file(FileReport(file.name, file.extract_date, sha256, "not read", 0, 0, 0), active=False)

    def _known(self, sha256: str) -> list[tuple[dt.date, bool]]:
        return self.con.execute(
            "select extract_date, active from raw.files where source = ? and sha256 = ?", [self.source.key, sha256]
        ).fetchall()

    def _take(self, file: LandedFile, sha256: str) -> None:
        self._refuse_named_for_another(file)
        path, sha256 = archive_file(file, self.archive)
        with _inside(path, self.config, file.where) as extract:
            opened = open_file(extract, physical(self.config), self.source, file.where)
            counter = _Counter(path.stat().st_size, self.municipality, self.source, self.config, file.where)
            shaper = Shaper(self.config, file)
            try:
                for batch in shaper.batches(opened.batches):
                    counter.add(batch, opened)
                    self._insert(batch, file, sha256)
            finally:
                opened.close()
        self._reject_torn(counter, opened, file, sha256)
        counter.finish(opened)
        self.report.warnings += [
            f"{file.where}: {count} records left out by the municipality's rule about {column}"
            for column, count in shaper.left_out.items()
        ]
        self._finish(file, sha256, opened, counter)

    def _reject_torn(self, counter: _Counter, opened: OpenedFile, file: LandedFile, sha256: str) -> None:
        """Records that lack their last fields are a program's habit if there are many; a few are damaged ones, unless they
        would cost the whole file and what they lack is blank in most others, too."""
        if not counter.padded or len(counter.padded) >= counter.rows_in * HABIT_SHARE:
            return
        rejected = len(counter.rejects) + len(counter.padded)
        too_many = rejected * 100 > counter.rows_in * self.municipality.reject_limit_percent
        if too_many and self._lack_only_blanks(counter, opened, file, sha256):
            return
        self.con.execute(
            f"delete from raw.{self.source.raw_table} where _extract_date = ? and _source_file_sha256 = ? "
            "and _row_number in (select unnest(?))",
            [file.extract_date, sha256, counter.padded],
        )
        known = {reject.row_number for reject in counter.rejects}
        counter.rejects += [Reject(row, "wrong_field_count") for row in counter.padded if row not in known]
        counter.rejects.sort(key=lambda reject: reject.row_number)
        counter.padded = []

    def _lack_only_blanks(self, counter: _Counter, opened: OpenedFile, file: LandedFile, sha256: str) -> bool:
        """Whether the items at the end that all padded records lack are blank in at least half of the others."""
        last_first = sorted(opened.plan.wanted, key=lambda item: opened.plan.wanted[item], reverse=True)
        given = ", ".join(
            f"count(*) filter (where is_padded and trim(\"{item}\") <> ''), avg((trim(\"{item}\") = '')::int) filter (where not is_padded)"
            for item in last_first
        )
        found = self.con.execute(
            f"select {given} from (select *, list_contains(?, _row_number) as is_padded from raw.{self.source.raw_table} "
            "where _extract_date = ? and _source_file_sha256 = ?)",
            [counter.padded, file.extract_date, sha256],
        ).fetchone()
        assert found is not None
        for filled, blank_elsewhere in zip(found[::2], found[1::2], strict=True):
            if filled:
                return True
            if (blank_elsewhere or 0) < 0.5:
                return False
        return True

    def _insert(self, batch: Batch, file: LandedFile, sha256: str) -> None:
        if not len(batch.row_numbers):
            return
        items = [item for item in batch.columns if not item.startswith("_")]
        table = pa.table(
            [*(batch.columns[item] for item in items), pa.array(batch.row_numbers)], [*items, "_row_number"]
        )
        columns = ", ".join(f'"{name}"' for name in table.column_names)
        self.con.register("_incoming", table)
        try:
            self.con.execute(
                f"insert into raw.{self.source.raw_table} (_municipality, _extract_date, _source_file_sha256, "
                f"{columns}) select ?, ?::date, ?, {columns} from _incoming",
                [self.municipality.code, file.extract_date, sha256],
            )
        finally:
            self.con.unregister("_incoming")

    def _finish(self, file: LandedFile, sha256: str, opened: OpenedFile, counter: _Counter) -> None:
        key = self.source.key
        if counter.rows_in == 0:
            self.report.warnings.append(f"{file.where}: a header and no records")
        replaced = self._replaced(file, sha256)
        for other in replaced:
            self._retire(other.sha256, file.extract_date)
            if other.name != file.name:
                self.report.warnings.append(
                    f"{file.extract_date.isoformat()}/{other.name}: replaced by {file.name}, which was written later"
                )
        done = FileReport(
            file.name,
            file.extract_date,
            sha256,
            opened.encoding,
            counter.rows_in,
            counter.rows_in - len(counter.rejects),
            len(counter.rejects),
            ", ".join(other.name for other in replaced) or None,
            len(counter.not_records),
            len(counter.padded),
        )
        self._book_file(done, active=True)
        self._book(
            "rejects",
            [(key, file.extract_date, file.name, sha256, r.row_number, r.reason, r.item) for r in counter.rejects],
        )
        self._book("not_records", [(key, file.extract_date, sha256, n.row_number, n.kind) for n in counter.not_records])
        self._remark(file, opened, counter)
        gaiji = counter.gaiji()
        self._book("gaiji", [(key, g.code, g.glyph_count, g.first_row_number, sha256) for g in gaiji])
        self._book("dropped_columns", [(key, sha256, d.ordinal, d.reason, d.header) for d in opened.plan.dropped])
        report = self.report
        report.files.append(done)
        report.rows_in += done.rows_in
        report.rows_loaded += done.rows_loaded
        report.rows_rejected += done.rows_rejected
        report.dropped_columns += [column for column in opened.plan.dropped if column not in report.dropped_columns]
        report.gaiji += gaiji
        report.rejects = dict(Counter(report.rejects) + Counter(r.reason for r in counter.rejects))
        report.not_records = dict(Counter(report.not_records) + Counter(n.kind for n in counter.not_records))

    def _remark(self, file: LandedFile, opened: OpenedFile, counter: _Counter) -> None:
        """Say what was read otherwise than it stands there."""
        if counter.not_records:
            kinds = Counter(line.kind for line in counter.not_records)
            listed = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
            self.report.warnings.append(
                f"{file.where}: {len(counter.not_records)} lines are no records and were left out: {listed}"
            )
        if counter.padded:
            self.report.warnings.append(
                f"{file.where}: {len(counter.padded)} records lack fields at their end, which were read as blank"
            )
        cells, items = counter.guarded
        if cells:
            self.report.warnings.append(
                f"{file.where}: the marks that keep a spreadsheet from changing {cells} cells ({items}) were taken off"
            )
        if opened.hidden_rows:
            self.report.warnings.append(
                f"{file.where}: {len(opened.hidden_rows)} rows of the sheet are hidden; they were read too"
            )

    def _active(self, date: dt.date) -> list[_ActiveFile]:
        rows = self.con.execute(
            "select file_name, sha256, rows_loaded from raw.files where source = ? and active and extract_date = ? "
            "order by loaded_at, file_name",
            [self.source.key, date],
        ).fetchall()
        return [_ActiveFile(*row) for row in rows]

    def _replaced(self, file: LandedFile, sha256: str) -> list[_ActiveFile]:
        """The files of the same date that this one corrects: the one of its name, and those whose records it holds
        again. Files that share next to no record are parts of one extract. Raises ExtractError between the two.
        """
        others = self._active(file.extract_date)
        if self.config.file.several == "corrections":
            return others
        replaced = [other for other in others if other.name == file.name]
        if self.config.file.several == "parts":
            return replaced
        for other in others:
            if other in replaced:
                continue
            new, old, shared = self._shared_keys(sha256, other.sha256, file.extract_date)
            share = shared / max(min(new, old), 1)
            if share >= SAME_RECORDS:
                replaced.append(other)
            elif share > OTHER_RECORDS:
                raise ExtractError(
                    f"it shares {shared} of {min(new, old)} records with {other.name} of the same date: a part of one "
                    "extract would share none, a correction nearly all",
                    where=file.where,
                    expected="parts of one extract, or a file that corrects another",
                    action="say which in the municipality's file: `several: parts` or `several: corrections`",
                )
            else:
                self.report.warnings.append(
                    f"{file.where}: shares no record with {other.name}, so it is taken as another part of the extract"
                )
        return replaced

    def _shared_keys(self, sha256: str, other_sha256: str, date: dt.date) -> tuple[int, int, int]:
        """(records of the one, of the other, of both) by the source's natural key, as far as the file has it."""
        names = [name for name in self.source.natural_key if name in self.config.by_item] or [self.source.record_key]
        keys = ", ".join(f'coalesce(trim("{name}"), \'\') as "{name}"' for name in names)
        held = f"select distinct {keys} from raw.{self.source.raw_table} where _source_file_sha256 = ? and _extract_date = ?"
        found = self.con.execute(
            f"with one as ({held}), other as ({held}) select (select count(*) from one), (select count(*) from other), "
            f"(select count(*) from one semi join other using ({', '.join(names)}))",
            [sha256, date, other_sha256, date],
        ).fetchone()
        assert found is not None
        return found

    def _trust(self) -> tuple[bool, list[str]]:
        """(whether every extract is trusted, hashes of the files that are).

        Every one is, too, where the published file itself was corrected: its rows are gone, its correction's are next best.
        """
        if self.trusted is None:
            return True, []
        known = self.con.execute(
            "select sha256, bool_or(active) from raw.files where source = ? group by 1", [self.source.key]
        ).fetchall()
        published = [(sha256, active) for sha256, active in known if sha256 in self.trusted]
        if published and not any(active for _, active in published):
            return True, []
        return False, [sha256 for sha256, _ in published] + [file.sha256 for file in self.report.files]

    def _state_up_to(self, date: dt.date) -> _State | None:
        """The last trusted extract up to ``date``: its date, its records, and (full extracts) its numbers in
        ``_last_keys``.
        """
        found = self.con.execute(
            "select extract_date, sum(rows_loaded)::bigint from raw.files where source = ? and active and extract_date <= ? "
            "group by 1 having ? or bool_and(list_contains(?, sha256)) order by 1 desc limit 1",
            [self.source.key, date, *self._trust()],
        ).fetchone()
        if found is None:
            return None
        key = self.source.record_key
        if self.config.extract_kind == "full":
            self.con.execute(
                f'create or replace temporary table _last_keys as select distinct trim("{key}") as record '
                f"from raw.{self.source.raw_table} where _extract_date = ? and trim(\"{key}\") <> ''",
                [found[0]],
            )
        return _State(*found)

    def _retire(self, sha256: str, date: dt.date) -> None:
        """Take a superseded file's rows out; its line in ``raw.files`` stays, and its bytes in the archive."""
        key = self.source.key
        self.con.execute(
            f"delete from raw.{self.source.raw_table} where _source_file_sha256 = ? and _extract_date = ?",
            [sha256, date],
        )
        self.con.execute(
            "delete from raw.rejects where source = ? and source_file_sha256 = ? and extract_date = ?",
            [key, sha256, date],
        )
        self.con.execute(
            "delete from raw.not_records where source = ? and source_file_sha256 = ? and extract_date = ?",
            [key, sha256, date],
        )
        self.con.execute(
            "update raw.files set active = false where source = ? and sha256 = ? and extract_date = ?",
            [key, sha256, date],
        )
        if not any(active for _, active in self._known(sha256)):
            for book in ("gaiji", "dropped_columns"):
                self.con.execute(f"delete from raw.{book} where source = ? and source_file_sha256 = ?", [key, sha256])

    def _book_file(self, done: FileReport, *, active: bool) -> None:
        self.con.execute(
            "insert into raw.files by name select ? as source, ? as extract_date, ? as file_name, ? as sha256, ? as rows_in, "
            "? as rows_loaded, ? as rows_rejected, ? as encoding, now() at time zone 'UTC' as loaded_at, ? as active, "
            "? as rows_not_records, ? as rows_padded",
            [
                self.source.key,
                done.extract_date,
                done.file_name,
                done.sha256,
                done.rows_in,
                done.rows_loaded,
                done.rows_rejected,
                done.encoding,
                active,
                done.rows_not_records,
                done.rows_padded,
            ],
        )

    def _book(self, book: str, rows: Iterable[tuple[object, ...]]) -> None:
        rows = list(rows)
        if not rows:
            return
        names = [f"c{i}" for i in range(len(rows[0]))]
        # a column may be all None (no item known): say text, or Arrow makes it a null column
        columns = [
            pa.array([row[i] for row in rows], pa.string() if all(row[i] is None for row in rows) else None)
            for i in range(len(names))
        ]
        self.con.register("_incoming", pa.table(columns, names))
        try:
            self.con.execute(f"insert into raw.{book} select * from _incoming")
        finally:
            self.con.unregister("_incoming")

    # ---------------------------------------------------------- plausibility

    def _refuse_named_for_another(self, file: LandedFile) -> None:
        own = self.municipality.code
        others = {code for code in municipality_codes() if code != own}
        numbers = set(re.findall(r"(?<![0-9])[0-9]{5,6}(?![0-9])", file.name))
        if numbers & {own, own[:5]}:
            return
        named = numbers & (others | {code[:5] for code in others})
        if named:
            raise ExtractError(
                f"the file's name carries the code of another municipality ({', '.join(sorted(named))})",
                where=file.where,
                expected=f"an extract of {own}",
                action="move the file to its own municipality's landing folder",
            )

    def _refuse_shrunk(self, date: dt.date, before: _State | None) -> None:
        if before is None or self.config.extract_kind != "full":
            return
        files = self._active(date)
        now = sum(file.rows_loaded for file in files)
        limit = shrink_limit(self.municipality, self.source, before.date, date)
        declared = self.municipality.shrink_limit_percent is not None
        too_small = (
            before.rows >= FEW_ROWS and now < before.rows * (1 - limit / 100)
            if declared or limit >= EVENT_LIMIT
            else is_shrunk(now, before.rows, limit)
        )
        if too_small or (now == 0 and before.rows > 0 and limit < 100):
            raise ExtractError(
                f"the extract has {now} records; the last one ({before.date.isoformat()}) had {before.rows}",
                where=f"{date.isoformat()}/{', '.join(file.name for file in files)}",
                expected=f"a full extract not smaller than the last by more than {limit:g} %",
                action="ask the holder whether it is whole; if it is, raise `shrink_limit_percent` in the "
                "municipality's file",
            )

    def _refuse_strangers(self, date: dt.date, before: _State | None) -> None:
        """Two full extracts of one source share most of their numbers; one that shares next to none is somebody
        else's.
        """
        if before is None or not self._is_measured:
            return
        key = self.source.record_key
        found = self.con.execute(
            f"""
            with new_keys as (
                select distinct trim("{key}") as record from raw.{self.source.raw_table}
                where _extract_date = ? and trim("{key}") <> ''
            )
            select
                (select count(*) from new_keys),
                (select count(*) from _last_keys),
                (select count(*) from new_keys semi join _last_keys using (record))
            """,
            [date],
        ).fetchone()
        assert found is not None
        new, old, shared = found
        if min(new, old) >= 50 and shared * 20 < min(new, old):
            self._refuse_lost_zeros(date, min(new, old))
            raise ExtractError(
                f"of {new} numbers in `{key}` only {shared} were in the last extract ({old} numbers)",
                where=f"{date.isoformat()}/{', '.join(file.name for file in self._active(date))}",
                expected="mostly the same people as in the last extract",
                action="check that the file is this municipality's and this source's; if all numbers were reissued, "
                "set `shrink_limit_percent: 100` in the municipality's file for one run",
            )

    def _refuse_lost_zeros(self, date: dt.date, fewest: int) -> None:
        """The same people under numbers of another length: zeros in front were lost, or are new."""
        key = self.source.record_key
        found = self.con.execute(
            f"""
            with new_keys as (
                select ltrim(trim("{key}"), '0') as record, length(trim("{key}")) as digits
                from raw.{self.source.raw_table} where _extract_date = ? and regexp_full_match(trim("{key}"), '[0-9]+')
            ),
            old_keys as (
                select ltrim(record, '0') as record, length(record) as digits
                from _last_keys where regexp_full_match(record, '[0-9]+')
            )
            select count(distinct record), min(new_keys.digits), max(new_keys.digits), max(old_keys.digits)
            from new_keys inner join old_keys using (record)
            """,
            [date],
        ).fetchone()
        assert found is not None
        shared, least, most, former = found
        if shared * 2 > fewest:
            raise ExtractError(
                f"the numbers in {columns_of(self.config, [key])} have {least} to {most} digits; in the last extract they had "
                f"up to {former}: zeros in front were lost",
                where=f"{date.isoformat()}/{', '.join(file.name for file in self._active(date))}",
                expected="the same numbers as in the last extract",
                action=f"ask the holder for the file as the system wrote it (not saved again in Excel), or set `digits: {former}` "
                "at this column in the municipality's file",
            )

    def _refuse_other_places(self, date: dt.date) -> None:
        """Refuse a delivery whose addresses lie elsewhere: another municipality's file in the same format."""
        postal = next((item.name for item in self.source.items if item.type == "postal"), None)
        if not self.source.is_identity or postal is None or postal not in self.config.by_item:
            return
        code, name = self.municipality.code, self.municipality.name_ja
        # a hospital's patients come from the towns around, too
        around = self.source.domain == "medical"
        own = postal_codes(code, name, whole_prefecture=around)
        if not own:
            return
        found = self.con.execute(
            f"""
            with read as (
                select regexp_replace(translate("{postal}", '０１２３４５６７８９', '0123456789'), '[^0-9]', '', 'g') as code
                from raw.{self.source.raw_table} where _extract_date = ?
            )
            select count(*), count(*) filter (where list_contains(?, code)) from read where code similar to '[0-9]{{7}}'
            """,
            [date, sorted(own)],
        ).fetchone()
        assert found is not None
        addresses, here = found
        if addresses >= ENOUGH_ADDRESSES and here < addresses * OWN_SHARE:
            raise ExtractError(
                f"of {addresses} addresses with a postal code only {here} lie in {name}"
                + (" or its prefecture" if around else ""),
                where=f"{date.isoformat()}/{', '.join(file.name for file in self._active(date))}",
                expected=f"records of {code}",
                action="check whose file it is, and move it to its own municipality's landing folder",
            )


class _Counter:
    """What is known about a file while its batches pass: counts, rejects, gaiji, whose data it is."""

    def __init__(self, size: int, municipality: Municipality, source: Source, config: SourceConfig, where: str) -> None:
        self.size = size
        self.municipality = municipality
        self.source = source
        self.config = config
        self.where = where
        self.records = 0
        self.rejects: list[Reject] = []
        self.not_records: list[NotARecord] = []
        self.padded: list[int] = []
        self._guarded: Counter[str] = Counter()
        self._gaiji: Counter[str] = Counter()
        self._gaiji_first: dict[str, int] = {}
        self._codes: dict[str, Counter[str]] = {}

    @property
    def rows_in(self) -> int:
        """Records that were met; lines that are none do not count."""
        return self.records - len(self.not_records)

    def add(self, batch: Batch, opened: OpenedFile) -> None:
        self.records += batch.records
        self.rejects += batch.rejects
        self.not_records += batch.not_records
        self.padded += batch.padded
        self._guarded.update({item: cells for item, cells in batch.guarded.items() if not item.startswith("_")})
        if batch.has_gaiji:
            self._count_gaiji(batch)
        for name, column in batch.columns.items():
            if name.startswith(MUNICIPALITY_COLUMN):
                counts = pc.value_counts(column).to_pylist()
                self._codes.setdefault(name, Counter()).update({str(pair["values"]): pair["counts"] for pair in counts})
        # no file holds more records than bytes: once even that could not bring the share down, reading on is idle
        if len(self.rejects) > max(
            _REJECTS_KEPT_BEFORE_GIVING_UP, self.size * self.municipality.reject_limit_percent / 100
        ):
            self._refuse(opened)

    def _count_gaiji(self, batch: Batch) -> None:
        for item, column in batch.columns.items():
            if item.startswith("_"):
                continue
            hits = np.flatnonzero(pc.match_substring(column, GETA + "{").to_numpy(zero_copy_only=False))
            for at in hits:
                row = int(batch.row_numbers[at])
                for code in gaiji_codes(column[int(at)].as_py()):
                    self._gaiji[code] += 1
                    self._gaiji_first[code] = min(row, self._gaiji_first.get(code, row))

    def gaiji(self) -> list[GaijiCount]:
        return [GaijiCount(code, n, self._gaiji_first[code]) for code, n in sorted(self._gaiji.items())]

    @property
    def guarded(self) -> tuple[int, str]:
        """How many cells were guarded against a spreadsheet, and in which items."""
        return self._guarded.total(), ", ".join(sorted(self._guarded))

    def finish(self, opened: OpenedFile) -> None:
        """Raise ExtractError if the file was cut, too many records were rejected, or most belong to somebody else."""
        if any(reject.reason == "cut_off" for reject in self.rejects):
            raise ExtractError(
                f"the last line (record {self.records}) ends in the middle: the transfer was cut",
                where=self.where,
                expected="a file that is wholly there",
                action="ask the holder to send it again; the last good state is untouched",
            )
        # one odd record is set apart, however small the extract is: only a share says that the file is broken
        odd = len(self.rejects) <= _ODD_RECORDS and self.rows_in >= _ENOUGH_RECORDS
        if not odd and len(self.rejects) * 100 > self.rows_in * self.municipality.reject_limit_percent:
            self._refuse(opened)
        if opened.plan.header is None and self.padded and len(self.padded) == self.rows_in - len(self.rejects):
            raise ExtractError(
                f"all {len(self.padded)} records have fewer than {opened.plan.fields} fields",
                where=self.where,
                expected=f"{opened.plan.fields} fields, by the positions in the municipality's file",
                action="compare the file with `columns` and `field_count` in the municipality's file",
            )
        said = [line.says for line in self.not_records[-3:] if line.says is not None]
        if said and max(said) > self.rows_in:
            raise ExtractError(
                f"the file's last lines say that it has {max(said)} records; it has {self.rows_in}",
                where=self.where,
                expected="a file that is wholly there",
                action="ask the holder to send it again; the last good state is untouched",
            )
        self._refuse_foreign()

    def _refuse_foreign(self) -> None:
        """Whose data the rows are, where a column says so. One column that names this municipality is enough."""
        if not self._codes or self.source.domain == "medical":
            return  # a hospital's patients come from everywhere
        counted = [whose(codes, self.municipality) for codes in self._codes.values()]
        foreign, named = min(counted, key=lambda pair: pair[0] / max(pair[1], 1))
        if 2 * foreign > named:
            raise ExtractError(
                f"{foreign} of {named} records carry the code of another municipality",
                where=self.where,
                expected=f"records of {self.municipality.code}",
                action="move the file to its own municipality's landing folder; if the column says something else than whose "
                "record it is (a former address, a place of birth), list it under `ignored_columns` with that reason",
            )

    def _refuse(self, opened: OpenedFile) -> None:
        reasons = Counter(reject.reason for reject in self.rejects)
        if opened.encoding != "xlsx" and reasons["undecodable"] * 2 > len(self.rejects):
            seen = opened.looks_like if opened.looks_like != opened.encoding else None
            raise wrong_encoding(opened.encoding, seen, self.where)
        if reasons["destroyed_number"] * 2 > len(self.rejects):
            items = Counter(reject.item for reject in self.rejects if reject.reason == "destroyed_number")
            raise ExtractError(
                f"{reasons['destroyed_number']} of {self.rows_in} records have a number that a spreadsheet rounded "
                f"(like 2.026E+11), in {columns_of(self.config, items)}",
                where=self.where,
                expected="every digit of the number",
                action="ask the holder for the file as the system wrote it: opening and saving it in Excel rounds long numbers "
                "and eats zeros in front",
            )
        listed = []
        for reason, count in reasons.most_common():
            rows = [str(reject.row_number) for reject in self.rejects if reject.reason == reason][:5]
            listed.append(f"{reason} {count} (records {', '.join(rows)}{' …' if count > len(rows) else ''})")
        raise ExtractError(
            f"{len(self.rejects)} of {self.rows_in} records cannot be read: {'; '.join(listed)}",
            where=self.where,
            expected=f"at most {self.municipality.reject_limit_percent:g} % (`reject_limit_percent`)",
            action="ask the holder to correct the extract; the last good state is untouched",
        )
