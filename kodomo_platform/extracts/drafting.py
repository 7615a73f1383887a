"""A municipality's file proposed from delivered files: how they are read, which column is which item, what only people know.

No value of a person stands in a draft: only headers that speak of what a column holds, and the texts of columns taken for
codes. It proposes; a person decides, and `kodomo municipality try` shows what would come of it.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

from kodomo_platform.catalog import Item, Source, load_catalog
from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.columns import folded, looks_like_data, may_be_shown
from kodomo_platform.extracts.encoding import SAMPLE_BYTES, looks_like
from kodomo_platform.extracts.landing import read_chunks

# what headers are called besides the catalogue's label, by item; a draft takes the first source whose items fit
_WORDS: Mapping[str, str] = {
    "resident_number": "宛名番号 宛名コード 住民番号 住民コード 識別番号 個人番号（宛名）",
    "household_number": "世帯番号 世帯コード 世帯",
    "student_number": "学籍番号 児童生徒番号 生徒番号 児童番号 学生番号",
    "name": "氏名 名前 児童氏名 生徒氏名 児童生徒氏名 漢字氏名 氏名漢字 お名前",
    "name_kana": "カナ 氏名カナ カナ氏名 フリガナ ふりがな かな 氏名フリガナ 児童氏名カナ",
    "alias_name": "通称 通称名",
    "former_surname": "旧氏 旧姓",
    "birth_date": "生年月日 誕生日 生まれ",
    "sex": "性別 性別コード 男女",
    "relationship": "続柄 続柄コード 続柄表記",
    "postal_code": "郵便番号 〒 郵便",
    "address": "住所 現住所 所在地 居住地",
    "guardian_name": "保護者氏名 保護者名 保護者 世帯主氏名",
    "guardian_phone": "電話番号 電話 保護者電話 連絡先 保護者電話番号 TEL",
    "school_code": "学校コード 学校番号 在籍校コード 学校",
    "grade": "学年 学年コード 等級",
    "class": "学級 組 クラス",
    "month": "対象年月 年月 対象月",
    "absent_days": "欠席日数 欠席",
    "late_days": "遅刻日数 遅刻 遅刻回数",
    "early_leave_days": "早退日数 早退 早退回数",
    "school_days": "出席すべき日数 授業日数",
    "became_resident_on": "住民となった日 住民となった年月日 転入日 住定日",
    "left_on": "転出日 消除日 転退学日 転退学年月日 退園日",
    "started_on": "開始日 開始年月日 受給開始日 保護開始日",
    "ended_on": "終了日 廃止日 廃止年月日 受給終了日",
    "updated_on": "更新日 更新年月日 異動日",
    "result": "判定 結果 判定結果",
    "protection_measure": "支援措置 支援措置区分",
}  # fmt: skip
_DATES = (
    ("iso", r"\d{4}-\d{1,2}-\d{1,2}"),
    ("slash", r"\d{4}/\d{1,2}/\d{1,2}"),
    ("wareki_kanji", r"(?:明治|大正|昭和|平成|令和)(?:\d{1,2}|元)年\d{1,2}月\d{1,2}日"),
    ("wareki_dot", r"[MTSHR]\d{1,2}\.\d{1,2}\.\d{1,2}"),
    ("compact", r"(?:19|20)\d{6}"),
    ("wareki_code", r"[1-9]\d{6}"),
    ("excel_serial", r"[1-6]\d{4}"),
)
_MOST_CODES = 20
_ROWS_LOOKED_AT = 2_000


@dataclass(frozen=True)
class DraftedColumn:
    """A column of a file: ``item`` is None where nothing of the catalogue fits; ``codes`` only of items with a code list."""

    header: str
    item: str | None
    date_style: str | None = None
    codes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DraftedFile:
    """What was seen of one file. ``question``: why a person has to say more."""

    name: str
    source: str | None
    encoding: str = ""
    delimiter: str = ","
    columns: tuple[DraftedColumn, ...] = ()
    question: str = ""


def draft_file(path: Path) -> DraftedFile:
    """Look at one delivered file. Raises ExtractError if it cannot be read at all."""
    if not path.is_file():
        raise ExtractError("no such file", where=str(path), expected="a delivered file")
    sample = next(read_chunks(path, chunk_bytes=SAMPLE_BYTES), b"")
    if sample.startswith(b"PK\x03\x04") and not path.name.lower().endswith(".xlsx"):
        return DraftedFile(path.name, "education.enrolment", question="ZIP: OneRoster?  zip: {member: …}?")
    if sample.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return DraftedFile(path.name, None, question="XLSX: sheet? skip_rows?")
    seen = looks_like(sample) or "utf-8"
    if seen not in ("utf-8", "cp932", "utf-16-le", "utf-16-be"):
        return DraftedFile(path.name, None, seen, question=f"encoding: {seen}")
    text = sample.decode(seen, errors="replace").lstrip("\ufeff")
    delimiter = max(",\t;|", key=text[:4000].count)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))[: _ROWS_LOOKED_AT + 1]
    declared = "utf-16" if seen.startswith("utf-16") else seen
    if len(rows) < 2 or len(rows[0]) < 2 or looks_like_data(rows[0]) or not any(map(may_be_shown, rows[0])):
        return DraftedFile(path.name, None, declared, delimiter, question="header: false? format: fixed?")
    header, records = rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]
    source = _source(header)
    columns = tuple(_column(name, [row[at] for row in records], source) for at, name in enumerate(header))
    return DraftedFile(path.name, source.key if source else None, declared, delimiter, columns)


def _names(source: Source) -> dict[str, str]:
    """Folded header → item."""
    known: dict[str, str] = {}
    for item in source.items:
        for name in (item.label_ja, item.name, *_WORDS.get(item.name, "").split()):
            known.setdefault(folded(name), item.name)
    return known


def _source(header: Sequence[str]) -> Source | None:
    names = [folded(name) for name in header]
    best: tuple[float, Source] | None = None
    for source in load_catalog().sources.values():
        items = {_names(source).get(name) for name in names} - {None}
        if not set(source.natural_key) & items:
            continue
        share = len(items) + len(items) / len(source.items)
        if best is None or share > best[0]:
            best = (share, source)
    return best[1] if best else None


def _column(header: str, texts: Sequence[str], source: Source | None) -> DraftedColumn:
    name = _names(source).get(folded(header)) if source else None
    if source is None or name is None:
        return DraftedColumn(header if may_be_shown(header) else "", None)
    item = source.by_name[name]
    filled = [normalize("NFKC", text).strip() for text in texts if text.strip()]
    return DraftedColumn(header, name, _date_style(item, filled), _codes(item, filled))


def _date_style(item: Item, texts: Sequence[str]) -> str | None:
    if item.type != "date" or not texts:
        return None
    counts = {style: sum(re.fullmatch(pattern, text) is not None for text in texts) for style, pattern in _DATES}
    style = max(counts, key=lambda name: counts[name])
    return style if counts[style] * 2 > len(texts) else None


def _codes(item: Item, texts: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(texts)
    if item.type != "code" or len(counts) > _MOST_CODES or any(len(text) > 10 for text in counts):
        return ()
    return tuple(sorted(counts))


def draft_text(files: Sequence[DraftedFile]) -> str:
    """The sources of a municipality's file in YAML, with what a person has to say as comments."""
    lines = ["# 下書き。人が確かめて直してください。/ A draft: a person checks and mends it.", "sources:"]
    for file in files:
        stem, _, ending = file.name.rpartition(".")
        pattern = re.sub(r"[0-9０-９]+", "*", stem) + "." + ending if stem else file.name
        lines.append(f"  - source: {file.source or '?'}  # {file.name}")
        lines.append("    holder: '?'  # どの課が抽出しますか / which office extracts it?")
        if file.question:
            lines.append(f"    # ? {file.question}")
            continue
        delimiter = "" if file.delimiter in ",\t" else f", delimiter: '{file.delimiter}'"
        kind = "tsv" if file.delimiter == "\t" else "csv"
        lines.append(f"    file: {{pattern: '{pattern}', format: {kind}, encoding: {file.encoding}{delimiter}}}")
        styles = Counter(column.date_style for column in file.columns if column.date_style)
        common = styles.most_common(1)[0][0] if styles else None
        if common:
            era = ", era_codes: jis" if common == "wareki_code" else ""
            lines.append(f"    dates: {{style: {common}{era}}}" + ("  # ? era_codes: jis / odd" if era else ""))
        lines.append("    columns:")
        taken: set[str] = set()
        for column in file.columns:
            if column.item is None or column.item in taken:
                continue
            taken.add(column.item)
            own = f", date_style: {{style: {column.date_style}}}" if column.date_style not in (None, common) else ""
            lines.append(f"      - {{item: {column.item}, column: '{column.header}'{own}}}")
        left = [column.header or "?" for column in file.columns if column.item is None]
        if left:
            lines.append(f"    # 取り込まない列 / columns without an item: {', '.join(left)}")
        coded = [column for column in file.columns if column.codes]
        if coded and file.source:
            lines.append("    code_maps:")
            for column in coded:
                item = load_catalog().sources[file.source].by_name[column.item or ""]
                choices = " | ".join(item.codes or {})
                lines.append(f"      # {column.item}: {choices}")
                pairs = ", ".join(f"'{code}': {_guess(code, item)}" for code in column.codes)
                lines.append(f"      {column.item}: {{{pairs}}}")
    return "\n".join(lines) + "\n"


def _guess(code: str, item: Item) -> str:
    """The catalogue's code of that label, or a question."""
    for name, label in (item.codes or {}).items():
        if code == name or code == str(getattr(label, "label_ja", "")):
            return name
    return {"男": "male", "女": "female"}.get(code, "'?'") if item.name == "sex" else "'?'"
