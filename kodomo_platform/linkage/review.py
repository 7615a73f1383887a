"""Clerical review (人手による名寄せ確認): the queue, a pair's evidence in words, and sheets for offices off the network.

Decisions themselves are kept by `kodomo_platform.operations`. Values of a pair are shown only on demand, on the
reviewer's own terminal or sheet; the queue table holds levels alone.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evidence import comparisons
from kodomo_platform.protection import HIDDEN, is_hidden

if TYPE_CHECKING:
    import duckdb

_SHEET = "名寄せ確認"
_DESIGN = "標本設計"
_FORMAT = "kodomo-review/2"
# what the sheet's columns hold; the heading is what people read
_COLUMNS = {
    "pair_id": "番号", "kind": "種類", "probability": "確率", "touches": "影響する記録数",
    "left_source": "左の資料", "left_record": "左の記録番号", "right_source": "右の資料", "right_record": "右の記録番号",
    "left": "左の記録", "right": "右の記録", "evidence": "証拠",
    "checksum": "検査値（変更不可）", "decision": "判断（同じ／別人）", "by": "判断者", "reason": "理由",
}  # fmt: skip
_HEADER = tuple(_COLUMNS.values())
_LOCKED = tuple(_COLUMNS)[:11]  # what the checksum covers
_WIDTHS = (14, 10, 7, 8, 14, 14, 14, 14, 34, 34, 46, 10, 11, 12, 24)
_SHOWN = {
    "name_match": "氏名", "kana_match": "カナ", "alias_match": "通称", "former_surname_match": "旧氏", "sex": "性別",
    "birth_date": "生年月日", "birth_date__precision": "生年月日の確かさ", "resident_number": "宛名番号",
    "address_match": "住所", "phone_match": "電話", "guardian_match": "保護者",
}  # fmt: skip
# where a person is found
_WHERE = ("address_match", "phone_match")
_VALUES_JA = {
    "sex": {"female": "女", "male": "男", "unknown": "不明"},
    "birth_date__precision": {"day": "日まで", "month": "月まで", "year": "年まで", "unknown": "不明"},
}  # fmt: skip
_DECISIONS_JA = {"同じ": "same", "別人": "different"}
KINDS_JA = {
    "conflict": "番号の食い違い", "register_duplicate": "住民記録の重複の疑い", "probabilistic": "似ている記録",
    "number": "番号", "exact": "完全一致", "sample": "標本",
}  # fmt: skip
WHY_JA = {
    "conflict": "同じ番号だが、名や生年月日が合わない", "register_duplicate": "住民記録に同じ人が二度あるように見える",
    "two_register_records": "結ぶと住民記録の二人が一つになる", "two_numbers": "異なる宛名番号を持つ",
    "two_records_of_one_source": "重複のないはずの資料の記録が二つになる", "names_contradict": "名が食い違う記録が間にある",
    "two_birth_years": "書き誤りでは説明できない生年の食い違いがある",
    "given_name_not_agreed": "名が一致していない", "second_candidate": "ほかにも同じくらい似た人がいる",
    "uncertain": "確率が自動で結ぶ基準に届かない",
    "isolated_two_register_records": "結ぶと住民記録の二人が一つになるため分けた",
    "isolated_two_numbers": "異なる宛名番号を持つため分けた",
    "isolated_two_birth_years": "書き誤りでは説明できない生年の食い違いがあるため分けた",
    "isolated_two_records_of_one_source": "重複のないはずの資料の記録が二つになるため分けた",
    "isolated_two_sexes": "性別が食い違うため分けた", "isolated_twins_known": "双子がいて、名が食い違うため分けた",
}  # fmt: skip


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
    """Open questions of the last run that nobody has decided since; those whose answer is expected to move most first."""
    from kodomo_platform import operations

    decided = {decision.pair_id for decision in operations.review_decisions(code)}
    rows = con.execute(
        "select pair_id, left_source, left_record, right_source, right_record, kind, probability, evidence, touches "
        "from linkage.lnk_review_queue order by probability * touches desc, pair_id"
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


def waterfall(con: duckdb.DuckDBPyConnection, pair: QueuedPair) -> list[tuple[str, str, float, str]]:
    """What speaks for and against one person, step by step: (step, what was found, bits, in words), in Japanese.

    Bits are log2 of how much likelier the finding is among records of one person than among strangers. The last steps
    are how rare the values are in this town, set against how many people could be meant, and the sum.
    """
    from kodomo_platform.linkage.engine import standing_model

    model = standing_model(con)
    steps: list[tuple[str, str, float, str]] = []
    total = 0.0
    for comparison in comparisons():
        level = next((x for x in comparison.levels if x.name == pair.evidence.get(comparison.name)), None)
        if level is None:
            continue
        m, u = model.pair(comparison, level.name) if level.number >= 0 else (1.0, 1.0)
        bits = math.log2(m / u)
        total += bits
        steps.append((comparison.label_ja, level.label_ja, bits, _strength(bits)))
    row = con.execute("select weight, kind from linkage.lnk_edge where pair_id = ?", [pair.pair_id]).fetchone()
    if row is not None and row[1] == "probabilistic":
        rest = float(row[0]) - total
        steps.append(
            ("珍しさと人口", "名前などの珍しさから、同じ人である見込みの低さを引いたもの", rest, _strength(rest))
        )
        steps.append(("合計", f"同じ人である確率 {pair.probability:.3f}", float(row[0]), _strength(float(row[0]))))
    return steps


def _strength(bits: float) -> str:
    size = abs(bits)
    if size < 1:
        return "どちらとも言えない"
    degree = "とても強く" if size >= 8 else "強く" if size >= 4 else "やや"
    return f"{degree}{'同じ人' if bits > 0 else '別人'}を示す"


def words(evidence: dict[str, str]) -> list[tuple[str, str, str]]:
    """Evidence as (comparison, level in Japanese, level in English)."""
    found = []
    for comparison in comparisons():
        level = next((x for x in comparison.levels if x.name == evidence.get(comparison.name)), None)
        if level is not None:
            found.append((comparison.label_ja, level.label_ja, level.label_en))
    return found


def side_by_side(con: duckdb.DuckDBPyConnection, pair: QueuedPair) -> list[tuple[str, str, str]]:
    """The two records' matching forms: (item in Japanese, left, right). Personal: for the reviewer's eyes only.

    Where one of the two is protected (支援措置), address and phone of both stay hidden: the evidence says whether they agree.
    """
    hidden = is_hidden(con, (pair.left, pair.right))
    sides: list[tuple[Any, ...]] = []
    for source, record in (pair.left, pair.right):
        row = con.execute(
            f"select {', '.join(_SHOWN)} from linkage.lnk_identity where source = ? and source_record_id = ?",
            [source, record],
        ).fetchone()
        sides.append(row or (None,) * len(_SHOWN))

    def shown(item: str, value: Any) -> str:
        if hidden and item in _WHERE and value is not None:
            return HIDDEN["ja"]
        return "" if value is None else _VALUES_JA.get(item, {}).get(str(value), str(value))

    return [
        (label, shown(item, left), shown(item, right))
        for (item, label), left, right in zip(_SHOWN.items(), *sides, strict=True)
    ]


def _checksum(code: str, values: tuple[str, ...]) -> str:
    from kodomo_platform import operations

    key = operations.id_state(code).key
    text = "\x1f".join((_FORMAT, code, *values))
    return hmac.new(bytes.fromhex(key), text.encode(), hashlib.sha256).hexdigest()[:24]


def _locked(con: duckdb.DuckDBPyConnection, pair: QueuedPair, *, blind: bool) -> tuple[str, ...]:
    sides = side_by_side(con, pair)
    left, right = ("\n".join(f"{row[0]}：{row[side]}" for row in sides if row[1] or row[2]) for side in (1, 2))
    if blind:
        evidence = [f"{name}：{ja}" for name, ja, _ in words(pair.evidence)]
    else:
        evidence = [WHY_JA.get(pair.evidence.get("why", ""), "")] + [
            f"{step}：{found}（{strength or f'{bits:+.0f}ビット'}）"
            for step, found, bits, strength in waterfall(con, pair)
        ]
    return (
        pair.pair_id, KINDS_JA["sample"] if blind else KINDS_JA.get(pair.kind, pair.kind),
        "" if blind else f"{pair.probability:.4f}", "" if blind else str(pair.touches), *pair.left, *pair.right,
        left, right, "\n".join(line for line in evidence if line),
    )  # fmt: skip


def export_sheet(con: duckdb.DuckDBPyConnection, code: str, path: Path) -> int:
    """Write the open queue as an XLSX to print or fill in; returns how many pairs.

    Both records stand side by side with the evidence in words: the sheet is personal. Decision, name and reason are open;
    everything else is protected by a checksum per row.
    """
    pairs = queue(con, code)
    write_sheet(con, code, path, pairs)
    return len(pairs)


def write_sheet(
    con: duckdb.DuckDBPyConnection,
    code: str,
    path: Path,
    pairs: Sequence[QueuedPair],
    *,
    design: dict[str, Any] | None = None,
) -> None:
    """Write ``pairs`` as a review sheet. With the ``design`` of a sample, whoever judges does not see what the machine
    made of a pair: kind, probability and reason stay out, and the design lies on a hidden page under a checksum."""
    from openpyxl import Workbook
    from openpyxl.styles import Alignment, Border, Font, Protection, Side
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    from kodomo_platform.spreadsheets import neutralise

    book = Workbook()
    sheet = book.create_sheet(_SHEET, 0)
    book.remove(book.worksheets[-1])
    sheet.append([_FORMAT, code])
    sheet.append(list(_HEADER))
    for pair in pairs:
        values = _locked(con, pair, blind=design is not None)
        sheet.append([*(neutralise(value) for value in values), _checksum(code, values), "", "", ""])
    choice = DataValidation(type="list", formula1=f'"{",".join(_DECISIONS_JA)}"', allow_blank=True)
    sheet.add_data_validation(choice)
    line = Side(style="thin", color="999999")
    for row in sheet.iter_rows(min_row=2, max_row=2 + len(pairs)):
        for place, cell in enumerate(row):
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            cell.border = Border(left=line, right=line, top=line, bottom=line)
            if cell.row == 2:
                cell.font = Font(bold=True)
            elif place >= len(_LOCKED) + 1:
                cell.protection = Protection(locked=False)
    for row in range(3, 3 + len(pairs)):
        choice.add(sheet.cell(row, len(_LOCKED) + 2))
    for place, width in enumerate(_WIDTHS, start=1):
        sheet.column_dimensions[get_column_letter(place)].width = width
    sheet.protection.sheet = True
    sheet.freeze_panes = "A3"
    sheet.print_title_rows = "2:2"
    sheet.page_setup.orientation = "landscape"
    sheet.page_setup.paperSize = sheet.PAPERSIZE_A3
    sheet.sheet_properties.pageSetUpPr.fitToPage = True
    sheet.page_setup.fitToWidth = 1
    sheet.page_setup.fitToHeight = 0
    sheet.oddFooter.center.text = "取扱注意（個人情報）  &P / &N"
    if design is not None:
        text = json.dumps(design, ensure_ascii=False, sort_keys=True)
        page = book.create_sheet(_DESIGN)
        page.append([_checksum(code, (text,))])
        # a cell holds 32,767 characters
        for start in range(0, len(text), 30_000):
            page.append(["|" + text[start : start + 30_000]])
        page.sheet_state = "veryHidden"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)


def read_design(code: str, path: Path) -> dict[str, Any]:
    """The design of a sample's sheet.

    Raises:
        LinkageError: the sheet is no sample, or its design was altered.
    """
    _read_sheet(code, path)  # its faults first
    rows = [row[0] for _, row in _cells(path, _DESIGN, 1) if row[0]]
    text = "".join(row[1:] for row in rows[1:])
    if not rows or not hmac.compare_digest(rows[0], _checksum(code, (text,))):
        raise LinkageError(
            "this sheet is no clerical sample, or its design was altered",
            where=str(path),
            expected="a file of `kodomo review sample`",
        )
    found: dict[str, Any] = json.loads(text)
    return found


class _SheetRefusedError(Exception):
    """Takes back what a sheet has written so far."""


@dataclass(frozen=True)
class Answer:
    """What a person wrote into one row of a sheet; ``decision`` is empty while the row is open."""

    row: int
    pair_id: str
    left: tuple[str, str]
    right: tuple[str, str]
    decision: str
    by: str
    reason: str


def import_sheet(code: str, path: Path) -> ImportReport:
    """Take the decisions of a returned sheet over, all or none.

    A sheet of another municipality or installation, a row that was altered, a decision without name or reason, a word
    that is no decision: the whole sheet is refused and every fault named by its row. So it is where a decision
    contradicts a standing one: nothing is taken, and ``refused`` names the rows. Importing a sheet twice changes nothing.
    """
    from kodomo_platform import operations
    from kodomo_platform.errors import OperationsError

    answers = read_answers(code, path)
    report = ImportReport(open=sum(not answer.decision for answer in answers))
    standing = {decision.pair_id: decision.decision for decision in operations.review_decisions(code)}
    try:
        with operations.transaction():
            for answer in answers:
                if not answer.decision:
                    continue
                if standing.get(answer.pair_id) == answer.decision:
                    report.already += 1
                    continue
                try:
                    act = operations.Act(answer.by, answer.reason, "linkage")
                    operations.review_decide(code, answer.left, answer.right, answer.decision, act)
                except OperationsError as error:
                    report.refused.append(f"row {answer.row}: {error.what}")
                    continue
                report.taken += 1
            if report.refused:
                raise _SheetRefusedError
    except _SheetRefusedError:
        report.taken = 0
    return report


def read_answers(code: str, path: Path) -> list[Answer]:
    """The rows of a returned sheet, every one as it was given out.

    Raises:
        LinkageError: as `import_sheet` says; every fault is named by its row.
    """
    faults: list[str] = []
    answers: list[Answer] = []
    seen: set[str] = set()
    for number, row in _read_sheet(code, path):
        values, checksum = row[: len(_LOCKED)], row[len(_LOCKED)]
        told, by, reason = (value.strip() for value in row[len(_LOCKED) + 1 :])
        decision = _DECISIONS_JA.get(told, told)
        if not hmac.compare_digest(checksum.encode(), _checksum(code, values).encode()):
            faults.append(f"row {number}: altered, or made for another municipality or installation")
        elif values[0] in seen:
            faults.append(f"row {number}: this pair stands twice in the sheet")
        elif decision and decision not in operations_decisions():
            faults.append(f"row {number}: the decision is neither 同じ (same) nor 別人 (different)")
        elif decision and (not by or not reason):
            faults.append(f"row {number}: a decision needs a name and a reason")
        else:
            left, right = (values[4], values[5]), (values[6], values[7])
            answers.append(Answer(number, values[0], left, right, decision, by, reason))
        seen.add(values[0])
    if faults:
        raise LinkageError(
            "the review sheet cannot be taken over; nothing was changed\n  " + "\n  ".join(faults),
            where=str(path),
            expected="the sheet as exported, with only decision, name and reason filled in",
            action="correct the rows, or export the sheet again",
        )
    return answers


def operations_decisions() -> tuple[str, ...]:
    """The words a decision may be."""
    from kodomo_platform.operations.reviews import DECISIONS

    return DECISIONS


def _read_sheet(code: str, path: Path) -> list[tuple[int, tuple[str, ...]]]:
    from kodomo_platform.spreadsheets import restore

    if not path.is_file():
        raise LinkageError("there is no such review sheet", where=str(path))
    width = len(_HEADER)
    table = _cells(path, None, width)
    if len(table) < 2 or table[0][1][:1] != [_FORMAT] or tuple(table[1][1]) != _HEADER:
        raise LinkageError(
            "this is no review sheet of this version", where=str(path), expected="a file of `kodomo review export`"
        )
    if table[0][1][1] != code:
        raise LinkageError(
            "the review sheet belongs to another municipality", where=str(path), expected=f"municipality {code}"
        )
    return [(number, tuple(restore(value) for value in row)) for number, row in table[2:] if any(row)]


def _cells(path: Path, name: str | None, width: int) -> list[tuple[int, list[str]]]:
    """(row number, the first ``width`` cells as text) of a sheet, or of the first one; empty if there is none."""
    from kodomo_platform.errors import WorkbookError
    from kodomo_platform.workbooks import LAST_ROW, opened

    try:
        with opened(path) as book:
            sheet = next((sheet for sheet in book.sheets if name in (None, sheet.name)), None)
            if sheet is None:
                return []
            return [
                (number, ["" if value is None else str(value) for value in row])
                for number, row in book.table(sheet, width, LAST_ROW)
            ]
    except WorkbookError as error:
        raise LinkageError(
            f"the review sheet cannot be opened ({error.what})", where=str(path), expected="an XLSX file"
        ) from error
