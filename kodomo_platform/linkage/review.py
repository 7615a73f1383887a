"""Clerical review (人手による名寄せ確認): the queue, a pair's evidence in words, and sheets for offices off the network.

Decisions themselves are kept by `kodomo_platform.operations`. Values of a pair are shown only on demand, on the
reviewer's own terminal or sheet; the queue table holds levels alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import comparisons

if TYPE_CHECKING:
    import duckdb

_SHEET = "名寄せ確認"
_FORMAT = "kodomo-review/1"
_HEADER = (
    "pair_id", "kind", "probability", "left_source", "left_record", "right_source", "right_record",
    "given_name", "birth_date", "sex", "household", "why", "checksum", "decision", "by", "reason",
)  # fmt: skip
_LOCKED = _HEADER[:12]  # what the checksum covers
_SHOWN = (
    "name_match", "kana_match", "alias_match", "former_surname_match", "sex", "birth_date", "birth_date__precision",
    "resident_number", "address_match", "phone_match", "guardian_match",
)  # fmt: skip


@dataclass(frozen=True)
class QueuedPair:
    """One open question."""

    pair_id: str
    left: tuple[str, str]
    right: tuple[str, str]
    kind: str
    probability: float
    evidence: dict[str, str]
    touches: int


@dataclass
class ImportReport:
    """What a returned sheet brought: decisions taken over, rows left open, decisions that stood already."""

    taken: int = 0
    open: int = 0
    already: int = 0
    refused: list[str] = field(default_factory=list)


def queue(con: duckdb.DuckDBPyConnection, code: str) -> list[QueuedPair]:
    """Open questions of the last run that nobody has decided since; those that touch most records first."""
    from kodomo_platform import operations

    decided = {decision.pair_id for decision in operations.review_decisions(code)}
    rows = con.execute(
        "select pair_id, left_source, left_record, right_source, right_record, kind, probability, evidence, touches "
        "from linkage.lnk_review_queue order by touches desc, probability desc, pair_id"
    ).fetchall()
    return [
        QueuedPair(row[0], (row[1], row[2]), (row[3], row[4]), row[5], float(row[6]), json.loads(row[7]), int(row[8]))
        for row in rows
        if row[0] not in decided
    ]


def find(con: duckdb.DuckDBPyConnection, code: str, pair_id: str) -> QueuedPair:
    """The open question called ``pair_id``; raises `LinkageError` when there is none."""
    for pair in queue(con, code):
        if pair.pair_id == pair_id:
            return pair
    raise LinkageError(
        "there is no open pair of this name",
        where=f"municipality {code}, pair {pair_id}",
        action="`kodomo review list` shows the open ones; a decided one can be taken back with `kodomo review revoke`",
    )


def words(evidence: dict[str, str]) -> list[tuple[str, str, str]]:
    """Evidence as (comparison, level in Japanese, level in English)."""
    found = []
    for comparison in comparisons():
        level = next((x for x in comparison.levels if x.name == evidence.get(comparison.name)), None)
        if level is not None:
            found.append((comparison.label_ja, level.label_ja, level.label_en))
    return found


def side_by_side(con: duckdb.DuckDBPyConnection, pair: QueuedPair) -> list[tuple[str, str, str]]:
    """The two records' matching forms: (item, left, right). Personal: for the reviewer's eyes only."""
    sides: list[tuple[Any, ...]] = []
    for source, record in (pair.left, pair.right):
        row = con.execute(
            f"select {', '.join(_SHOWN)} from linkage.lnk_identity where source = ? and source_record_id = ?",
            [source, record],
        ).fetchone()
        sides.append(row or (None,) * len(_SHOWN))
    return [
        (item, "" if left is None else str(left), "" if right is None else str(right))
        for item, left, right in zip(_SHOWN, *sides, strict=True)
    ]


def _checksum(code: str, values: tuple[str, ...]) -> str:
    from kodomo_platform import operations

    key = operations.id_state(code).key
    text = "\x1f".join((_FORMAT, code, *values))
    return hmac.new(bytes.fromhex(key), text.encode(), hashlib.sha256).hexdigest()[:24]


def _locked(pair: QueuedPair) -> tuple[str, ...]:
    labels = {comparison.name: pair.evidence.get(comparison.name, "") for comparison in comparisons()}
    return (
        pair.pair_id, pair.kind, f"{pair.probability:.4f}", *pair.left, *pair.right,
        labels["given_name"], labels["birth_date"], labels["sex"], labels["household"], pair.evidence.get("why", ""),
    )  # fmt: skip


def export_sheet(con: duckdb.DuckDBPyConnection, code: str, path: Path) -> int:
    """Write the open queue as an XLSX to print or fill in; returns how many pairs. Columns decision, by, reason are
    open; everything else is protected by a checksum per row."""
    from openpyxl import Workbook
    from openpyxl.styles import Protection
    from openpyxl.worksheet.datavalidation import DataValidation

    from kodomo_platform.spreadsheets import neutralise

    pairs = queue(con, code)
    book = Workbook()
    sheet = book.create_sheet(_SHEET, 0)
    book.remove(book.worksheets[-1])
    sheet.append([_FORMAT, code])
    sheet.append(list(_HEADER))
    for pair in pairs:
        values = _locked(pair)
        sheet.append([*(neutralise(value) for value in values), _checksum(code, values), "", "", ""])
    choice = DataValidation(type="list", formula1='"same,different"', allow_blank=True)
    sheet.add_data_validation(choice)
    for row in range(3, 3 + len(pairs)):
        for column in range(14, 17):
            sheet.cell(row, column).protection = Protection(locked=False)
        choice.add(sheet.cell(row, 14))
    sheet.protection.sheet = True
    sheet.freeze_panes = "A3"
    sheet.print_title_rows = "2:2"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.fitToWidth = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return len(pairs)


def import_sheet(code: str, path: Path) -> ImportReport:
    """Take the decisions of a returned sheet over, all or none.

    A sheet of another municipality or installation, a row that was altered, a decision without name or reason, a word
    that is no decision: the whole sheet is refused and every fault named by its row. Importing a sheet twice changes
    nothing; a decision that contradicts a standing one is reported and left out.
    """
    from kodomo_platform import operations
    from kodomo_platform.errors import OperationsError

    rows = _read_sheet(code, path)
    faults: list[str] = []
    wanted: list[tuple[int, tuple[str, ...], str, str, str]] = []
    report = ImportReport()
    seen: set[str] = set()
    for number, row in rows:
        values, checksum = row[: len(_LOCKED)], row[len(_LOCKED)]
        decision, by, reason = (value.strip() for value in row[len(_LOCKED) + 1 :])
        if not hmac.compare_digest(checksum, _checksum(code, values)):
            faults.append(f"row {number}: altered, or made for another municipality or installation")
        elif values[0] in seen:
            faults.append(f"row {number}: this pair stands twice in the sheet")
        elif not decision:
            report.open += 1
        elif decision not in operations_decisions():
            faults.append(f"row {number}: the decision is neither 'same' nor 'different'")
        elif not by or not reason:
            faults.append(f"row {number}: a decision needs a name and a reason")
        else:
            wanted.append((number, values, decision, by, reason))
        seen.add(values[0])
    if faults:
        raise LinkageError(
            "the review sheet cannot be taken over; nothing was changed\n  " + "\n  ".join(faults),
            where=str(path),
            expected="the sheet as exported, with only decision, by and reason filled in",
            action="correct the rows, or export the sheet again",
        )
    standing = {decision.pair_id: decision.decision for decision in operations.review_decisions(code)}
    for number, values, decision, by, reason in wanted:
        before = standing.get(values[0])
        if before == decision:
            report.already += 1
            continue
        left, right = (values[3], values[4]), (values[5], values[6])
        try:
            operations.review_decide(code, left, right, decision, by, reason)
        except OperationsError as error:
            report.refused.append(f"row {number}: {error.what}")
            continue
        report.taken += 1
    return report


def operations_decisions() -> tuple[str, ...]:
    """The words a decision may be."""
    from kodomo_platform.operations.reviews import DECISIONS

    return DECISIONS


def _read_sheet(code: str, path: Path) -> list[tuple[int, tuple[str, ...]]]:
    import zipfile

    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    from kodomo_platform.spreadsheets import restore

    if not path.is_file():
        raise LinkageError("there is no such review sheet", where=str(path))
    try:
        book = load_workbook(path, read_only=True, data_only=True)
        table = [["" if cell is None else str(cell) for cell in row] for row in book.worksheets[0].values]
        book.close()
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise LinkageError("the review sheet cannot be opened", where=str(path), expected="an XLSX file") from error
    if len(table) < 2 or table[0][:1] != [_FORMAT] or tuple(table[1][: len(_HEADER)]) != _HEADER:
        raise LinkageError(
            "this is no review sheet of this version", where=str(path), expected="a file of `kodomo review export`"
        )
    if table[0][1] != code:
        raise LinkageError(
            "the review sheet belongs to another municipality", where=str(path), expected=f"municipality {code}"
        )
    width = len(_HEADER)
    return [
        (number, tuple(restore(value) for value in (row + [""] * width)[:width]))
        for number, row in enumerate(table[2:], start=3)
        if any(row)
    ]
