"""The catalogue as a table for people who review it. How it looks in a terminal belongs to the command."""

from __future__ import annotations

import json
from pathlib import Path

from kodomo_platform.catalog.models import Catalog, Item
from kodomo_platform.spreadsheets import Cell, write_csv, write_xlsx

# field and the title reviewers know it by (report of 2022-12-20, guideline chapters 3 and 5)
COLUMNS: tuple[tuple[str, str], ...] = (
    ("key", "項目キー"),
    ("label_ja", "データ項目"),
    ("label_en", "Item"),
    ("type", "型"),
    ("unit", "単位"),
    ("codes", "コード"),
    ("identifier", "直接識別"),
    ("sensitivity", "機微性"),
    ("evidence", "根拠（文献等）"),
    ("handler", "取扱者"),
    ("holder", "保有部署"),
    ("obtained", "取得方法"),
    ("medium", "電子・紙"),
    ("handling", "取扱方法"),
    ("purpose", "利用目的"),
    ("necessity", "必要性"),
    ("legal_basis", "取得の法的根拠"),
    ("ground", "目的外利用の根拠（法69条2項）"),
    ("reasoning", "目的外利用の理由"),
    ("period", "目的外利用の期間"),
    ("approver", "承認者"),
    ("safety_measures", "安全管理措置"),
    ("notice", "住民への周知"),
    ("retention_class", "保存区分"),
    ("retention_years", "保存年数"),
    ("consent_needed", "同意の要否"),
    ("lookback_months", "遡及月数"),
    ("banned_as_input", "判定入力の禁止"),
)
_SENSITIVITY = {"special_care": "要配慮個人情報", "sensitive": "機微", "ordinary": "通常"}
_MEDIUM = {"electronic": "電子", "paper": "紙", "both": "電子・紙"}
_GROUND = {"i": "第1号 同意", "ii": "第2号 内部利用", "iii": "第3号 他機関", "iv": "第4号 統計・学術・明らかな利益"}
_EVIDENCE = {
    "guide": "手引・報告書",
    "statistics": "統計",
    "earlier_project": "先行事業",
    "paper": "論文",
    "expert": "有識者",
    "law": "法令",
}
_CLASS = {
    1: "①アウトリーチ用",
    2: "②ログ",
    3: "③分析用（個人情報を含む）",
    4: "④分析用（個人情報を含まない）",
    5: "⑤モデル・分析結果",
}


def record(item: Item) -> list[Cell]:
    """The cells of `COLUMNS` for ``item``."""
    beyond = item.beyond_purpose
    cells: dict[str, Cell] = {
        "codes": " / ".join(f"{code}={label.ja}" for code, label in (item.codes or {}).items()) or None,
        "sensitivity": _SENSITIVITY[item.sensitivity],
        "evidence": " ／ ".join(f"[{_EVIDENCE[evidence.kind]}] {evidence.citation}" for evidence in item.evidence),
        "medium": _MEDIUM[item.medium],
        "ground": "目的内" if beyond is None else _GROUND[beyond.ground],
        "reasoning": None if beyond is None else beyond.reasoning,
        "period": None if beyond is None else beyond.period,
        "approver": None if beyond is None else beyond.approver,
        "retention_class": _CLASS[item.retention.data_class],
        "identifier": _yes(item.identifier),
        "consent_needed": "要" if item.consent_needed else "不要",
        "banned_as_input": _yes(item.banned_as_input),
        "retention_years": item.retention.years,
    }
    return [cells[field] if field in cells else getattr(item, field) for field, _ in COLUMNS]


def _yes(value: bool) -> str:
    return "はい" if value else "いいえ"


def export_catalog(catalog: Catalog, file: Path) -> Path:
    """Write all items to ``file`` (.csv, .xlsx or .json, by its ending). Returns ``file``."""
    titles = [title for _, title in COLUMNS]
    rows = [record(item) for item in catalog.items.values()]
    if file.suffix.lower() == ".csv":
        return write_csv(file, titles, rows)
    if file.suffix.lower() == ".xlsx":
        return write_xlsx(file, {"データ項目": (titles, rows)})
    file.parent.mkdir(parents=True, exist_ok=True)
    shape = [source.model_dump() for source in catalog.sources.values()]
    file.write_text(json.dumps(shape, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return file
