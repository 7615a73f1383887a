"""Lines of an extract that are no records: a header printed again, totals, units, page footers, lines of delimiters.

Printing programs and spreadsheets leave them behind. They are counted apart from rejects, because nothing is wrong with
them, and they never become children. Which fields a line has is the readers' work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from unicodedata import normalize

from kodomo_platform.extracts.columns import folded

Kind = Literal[
    "blank_line",  # delimiters and nothing else
    "repeated_header",
    "total_line",  # 合計, 小計, 件数 …
    "unit_line",  # (人), (日) … below a header
    "footer_line",  # 以上, page numbers, when and by whom it was printed, rules of dashes
]

_NUMBER = r"[-+△▲]?[\d,.]+(?:件|名|人|行|校|組|園|回|日|時間|分|円|歳|点|%|世帯)?"
_FRAME = r"[*※=\-–—―─━~・#○●◎■□◆◇<>\[\](){}【】《》〈〉「」『』:]*"
_SUM = r"総合計|合計|小計|中計|大計|総計|累計|通算|総数|総件数|件数|人数|平均|延べ|延|計"
_TOTAL = re.compile(
    rf"{_FRAME}(?:.{{0,24}}?(?:{_SUM})|(?:grand|sub)?total|sum|count|average){_FRAME}(?:\(.{{1,20}}\))?(?:{_NUMBER})?{_FRAME}|{_NUMBER}(?<=[件名人行])"
)
_COUNT_ALONE = re.compile(rf"{_FRAME}{_NUMBER}{_FRAME}")
_MADE = "出力|作成|印刷|抽出|処理|発行|集計|更新|ダウンロード|エクスポート"
_FOOTER = re.compile(
    rf"{_FRAME}(?:以上.{{0,30}}|.{{0,8}}余白|(?:end|eof)(?:of.{{0,20}})?|終了|終わり|おわり|.{{0,12}}(?:ページ|頁).{{0,12}}"
    rf"|page\d.{{0,20}}|p\.?\d+|\d+/\d+(?:ページ|頁|page)?|.{{0,12}}(?:{_MADE})(?:日|時|年|者|元|条件|担当|件|:|しました|済).{{0,60}}"
    rf"|.{{0,20}}(?:取扱注意|部外秘|持出禁止|複写禁止|個人情報).{{0,60}}|(?:総|全)?件数.{{0,20}}|[(]?\d+(?:件|名|人|行|rows?|records?).{{0,30}}"
    rf"|※.*|注[):意].*){_FRAME}|[-–—―]\d+[-–—―]"
)
_LABEL = re.compile(
    rf"{_FRAME}(?:(?:{_MADE})(?:日|時|年月日|日時|者|元|条件|担当者?)?|以上|ページ|頁|page|件数|総件数|全件数|レコード数){_FRAME}"
)
_RULE = re.compile(r"[-=_*+#~─━–—―・.|]{2,}")
_UNIT = re.compile(r"[(\[].{1,8}[)\]]|単位.{0,8}|[人日回円点歳件名組]|時間|分|cm|kg|℃|%|〒|yyyy.*|任意|必須")
_PLAIN_KEY = re.compile(r"[0-9A-Za-z_-]*[0-9][0-9A-Za-z_-]*", re.ASCII)
_OF_SUMS = re.compile(r"[計数件均延]|total|sum|count|average|[^\W\d_]*(?:頁|ページ)|以上", re.IGNORECASE)
_SAYS = re.compile(r"(?<![\d/:-])(\d[\d,]*)(?:件|行|rows?|records?)(?![\d])")


@dataclass(frozen=True)
class NotARecord:
    """A line that is no record, by its ordinal. ``says``: how many records it says there are, if it does."""

    row_number: int
    kind: Kind
    says: int | None = None


class Lines:
    """Knows a file's header and where its key stands, and tells what is no record."""

    def __init__(self, header: Sequence[str] | None, wanted: Mapping[str, int], key: str | None) -> None:
        self._header = None if header is None else [folded(name) for name in header]
        self._key_at = None if key is None else wanted.get(key)
        self._wanted = sorted(set(wanted.values()))

    @property
    def key_header(self) -> str | None:
        """The header over the key, as it is compared."""
        return None if self._header is None or self._key_at is None else self._header[self._key_at]

    def kind_of(self, fields: Sequence[str]) -> Kind | None:
        """What a line of these fields (all of the file's, as far as it has them) is; None for a record."""
        return self._kind(list(enumerate(fields)))

    def kind_of_wanted(self, cells: Mapping[int, str]) -> Kind | None:
        """The same for a line of which only some fields (position → text) were kept."""
        return self._kind(sorted(cells.items()))

    def _kind(self, cells: Sequence[tuple[int, str]]) -> Kind | None:
        if self._has_plain_key(cells):
            return None
        filled = [(at, folded(text)) for at, text in cells if text.strip()]
        filled = [(at, text) for at, text in filled if text]
        if not filled:
            return "blank_line"
        if self._is_header(filled, len(cells)):
            return "repeated_header"
        texts = [text for _, text in filled]
        if all(_RULE.fullmatch(text) for text in texts):
            return "footer_line"
        key = next((text for at, text in filled if at == self._key_at), "")
        if self._is_total(key, texts, len(cells)):
            return "total_line"
        alone = len(texts) == 1 and (len(cells) > 1 or (self._header is not None and len(self._header) > 1))
        if (alone or not key) and len(texts) <= 2 and _FOOTER.fullmatch("".join(texts)):
            return "footer_line"
        if 2 <= len(texts) <= 4 and len(cells) > len(texts) and _LABEL.fullmatch(texts[0]):
            return "footer_line"
        if all(_UNIT.fullmatch(text) for text in texts) and (len(texts) > 1 or not key):
            return "unit_line"
        return None

    def _has_plain_key(self, cells: Sequence[tuple[int, str]]) -> bool:
        """Whether a line is a record at first sight, as nearly all are: a plain number, something beside it, no word of sums
        before it."""
        if self._key_at is None or not cells:
            return False
        key = next((text for at, text in cells if at == self._key_at), "")
        return (
            _PLAIN_KEY.fullmatch(key) is not None
            and sum(map(bool, (text for _, text in cells))) > 1
            and (cells[0][0] == self._key_at or _OF_SUMS.search(cells[0][1]) is None)
        )

    def _is_header(self, filled: Sequence[tuple[int, str]], width: int) -> bool:
        if self._header is None or width < 1:
            return False
        same = sum(at < len(self._header) and text == self._header[at] for at, text in filled)
        return same == len(filled) if same * 2 >= min(len(self._wanted), width) else False

    def _is_total(self, key: str, texts: Sequence[str], width: int) -> bool:
        if key and _TOTAL.fullmatch(key) and not key.isdecimal():
            return True
        first, others = texts[0], texts[1:]
        if key and first == key:
            return False
        if not re.match(rf"{_FRAME}(?:.{{0,24}}?(?:{_SUM})|(?:grand|sub)?total)", first) or not _TOTAL.fullmatch(first):
            return False
        counts = all(_COUNT_ALONE.fullmatch(text) for text in others)
        return counts if key or width <= 2 else counts or len(texts) * 2 <= width


def says(kind: Kind | None, fields: Sequence[str]) -> int | None:
    """How many records a closing line says that there are (``以上 60件``)."""
    if kind not in ("total_line", "footer_line"):
        return None
    found = _SAYS.findall(normalize("NFKC", " ".join(fields)).lower())
    return int(found[0].replace(",", "")) if len(found) == 1 else None
