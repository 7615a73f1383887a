"""Names to draw from: surnames by population, given names by spelling, foreign names; and the two written forms.

The register writes names in their formal characters (髙, 﨑, 邊), schools and clinics in display form (高, 崎, 辺).
Folding for matching does not belong here: that is linkage's work, and sharing a table would make the test a mirror.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ConfigurationError

Texts = npt.NDArray[np.object_]

# display → formal forms with the share of families that write it so (order of magnitude of the Juki-net MJ survey)
FORMAL: dict[str, tuple[tuple[str, float], ...]] = {
    "高": (("髙", 0.18),),
    "崎": (("﨑", 0.22), ("碕", 0.01)),
    "渡辺": (("渡邉", 0.18), ("渡邊", 0.14)),
    "浜": (("濵", 0.2), ("濱", 0.3)),
    "斎": (("齋", 0.3),),
    "斉": (("齊", 0.2),),
    "沢": (("澤", 0.35),),
    "広": (("廣", 0.3),),
    "吉": (("𠮷", 0.08),),
    "桜": (("櫻", 0.2),),
    "国": (("國", 0.2),),
    "辻": (("辻\U000e0101", 0.06),),
    "柳": (("栁", 0.1),),
    "黒": (("黑", 0.05),),
    "槙": (("槇", 0.2),),
    "富": (("冨", 0.1),),
}

# Gaiji: characters CP932 lacks live in the user-defined area F040–F9FC, which Python maps to U+E000–U+E757.
GAIJI: dict[str, str] = {"𠮷": "\ue000", "黑": "\ue001", "辻\U000e0101": "\ue002", "栁": "\ue003"}

# (alphabet, katakana) of family and given names: invented combinations of common parts, no real persons
_FOREIGN: dict[str, tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]] = {
    "latin_vn": (
        (
            ("NGUYEN", "グエン"),
            ("TRAN", "チャン"),
            ("LE", "レ"),
            ("PHAM", "ファム"),
            ("HOANG", "ホアン"),
            ("VU", "ヴー"),
        ),
        (
            ("MINH QUAN", "ミン クアン"),
            ("DUC ANH", "ドゥック アイン"),
            ("VAN NAM", "ヴァン ナム"),
            ("GIA HUY", "ザー フイ"),
        ),
        (
            ("THI LAN", "ティ ラン"),
            ("THI MAI", "ティ マイ"),
            ("NGOC ANH", "ゴック アイン"),
            ("BAO NGOC", "バオ ゴック"),
        ),
    ),
    "latin_br": (
        (
            ("SILVA SANTOS", "シルバ サントス"),
            ("OLIVEIRA", "オリベイラ"),
            ("PEREIRA COSTA", "ペレイラ コスタ"),
            ("SOUZA", "ソウザ"),
        ),
        (
            ("LUCAS GABRIEL", "ルーカス ガブリエル"),
            ("PEDRO", "ペドロ"),
            ("MATEUS", "マテウス"),
            ("JOAO VITOR", "ジョアン ヴィトール"),
        ),
        (
            ("MARIA CLARA", "マリア クララ"),
            ("ANA BEATRIZ", "アナ ベアトリス"),
            ("JULIA", "ジュリア"),
            ("LARISSA", "ラリッサ"),
        ),
    ),
    "latin_ph": (
        (
            ("DELA CRUZ", "デラ クルス"),
            ("REYES", "レイエス"),
            ("SANTOS", "サントス"),
            ("GARCIA", "ガルシア"),
            ("MENDOZA", "メンドーサ"),
        ),
        (
            ("JOHN PAUL", "ジョン ポール"),
            ("MARK ANTHONY", "マーク アンソニー"),
            ("JOSHUA", "ジョシュア"),
            ("ANGELO", "アンジェロ"),
        ),
        (
            ("MARY JANE", "メアリー ジェーン"),
            ("ANGELICA", "アンジェリカ"),
            ("CHRISTINE", "クリスティン"),
            ("JASMINE", "ジャスミン"),
        ),
    ),
    "latin_np": (
        (("GURUNG", "グルン"), ("SHRESTHA", "シュレスタ"), ("TAMANG", "タマン"), ("RAI", "ライ"), ("THAPA", "タパ")),
        (("SURAJ", "スラズ"), ("BIBEK", "ビベク"), ("AAYUSH", "アユシュ"), ("PRABIN KUMAR", "プラビン クマル")),
        (("SITA", "シタ"), ("ANJALI", "アンジャリ"), ("SUSHMITA", "スシュミタ"), ("PRATIKSHA", "プラティクシャ")),
    ),
    "kanji_cn": (
        (
            ("王", "ワン"),
            ("李", "リ"),
            ("張", "チャン"),
            ("劉", "リュウ"),
            ("陳", "チェン"),
            ("楊", "ヤン"),
            ("趙", "チャオ"),
        ),
        (
            ("子軒", "ズーシュアン"),
            ("浩然", "ハオラン"),
            ("宇航", "ユーハン"),
            ("明", "ミン"),
            ("偉", "ウェイ"),
            ("俊杰", "ジュンジエ"),
        ),
        (
            ("思涵", "スーハン"),
            ("雨桐", "ユートン"),
            ("欣怡", "シンイー"),
            ("麗", "リー"),
            ("佳琪", "ジャーチー"),
            ("静", "ジン"),
        ),
    ),
    "kanji_kr": (
        (("金", "キム"), ("朴", "パク"), ("李", "イ"), ("崔", "チェ"), ("鄭", "チョン"), ("姜", "カン")),
        (("民俊", "ミンジュン"), ("智勲", "ジフン"), ("賢宇", "ヒョヌ"), ("東賢", "ドンヒョン"), ("成民", "ソンミン")),
        (("瑞妍", "ソヨン"), ("智媛", "ジウォン"), ("秀彬", "スビン"), ("恩智", "ウンジ"), ("美英", "ミヨン")),
    ),
}
FOREIGN_KINDS = tuple(_FOREIGN)
FOREIGN_WEIGHTS = (0.19, 0.08, 0.12, 0.07, 0.37, 0.17)


def katakana(hiragana: str) -> str:
    """Hiragana → full-width katakana."""
    return "".join(chr(ord(c) + 0x60) if "ぁ" <= c <= "ゖ" else c for c in hiragana)


@dataclass(frozen=True)
class NamePool:
    """Kanji and kana of equal length, and the cumulative weight to draw by."""

    kanji: Texts
    kana: Texts
    cumulative: npt.NDArray[np.float64]

    def draw(self, rng: np.random.Generator, size: int) -> npt.NDArray[np.int64]:
        """``size`` indices into the pool."""
        picked = np.searchsorted(self.cumulative, rng.random(size) * self.cumulative[-1], side="right")
        return np.asarray(np.minimum(picked, len(self.kanji) - 1), dtype=np.int64)


def _dataset(name: str) -> list[list[str]]:
    spec = find_spec("japanese_personal_name_dataset")
    if spec is None or spec.origin is None:
        raise ConfigurationError("the name data package is missing", action="run `make setup`")
    path = Path(spec.origin).parent / "dataset" / name
    with path.open(encoding="utf-8", newline="") as handle:
        return [row for row in csv.reader(handle) if row]


def _encodable(text: str) -> bool:
    try:
        text.encode("cp932")
    except UnicodeEncodeError:
        return False
    return True


def _pool(rows: list[tuple[str, str, float]]) -> NamePool:
    kanji = np.array([row[0] for row in rows], dtype=object)
    kana = np.array([row[1] for row in rows], dtype=object)
    return NamePool(kanji, kana, np.cumsum([row[2] for row in rows]))


@lru_cache(maxsize=1)
def surnames() -> NamePool:
    """Japanese surnames in display form, weighted by how many people bear them."""
    rows = []
    for kanji, count, kana, *_ in _dataset("last_name_org.csv"):
        display = kanji
        for shown, formals in FORMAL.items():
            for formal, _share in formals:
                display = display.replace(formal, shown)
        if _encodable(display):
            rows.append((display, katakana(kana), float(count)))
    return _pool(rows)


@lru_cache(maxsize=2)
def given_names(female: bool) -> NamePool:
    """Given names; a reading weighs as much as it has spellings (popular readings collect spellings)."""
    rows = []
    name = "first_name_woman_opti.csv" if female else "first_name_man_opti.csv"
    for kana, _latin, *spellings in _dataset(name):
        usable = [s for s in spellings if s and len(s) <= 3 and _encodable(s)]
        for rank, spelling in enumerate(usable):
            # the square root keeps one reading from swallowing the town; later spellings are rarer
            rows.append((spelling, katakana(kana), len(usable) ** 0.5 / (1 + rank * 0.15)))
    return _pool(rows)


def formal_surnames(display: Texts, rng: np.random.Generator) -> Texts:
    """The register's form of each family's surname; whether a family uses it is drawn per family."""
    formal = display.copy()
    chance = rng.random(len(display))
    for shown, forms in FORMAL.items():
        has = np.fromiter((shown in name for name in display), dtype=bool, count=len(display))
        low = 0.0
        for form, share in forms:
            chosen = np.flatnonzero(has & (chance >= low) & (chance < low + share))
            for index in chosen:
                formal[index] = formal[index].replace(shown, form)
            low += share
    return formal


def foreign_pool(kind: str, part: int) -> tuple[Texts, Texts]:
    """(alphabet or kanji, katakana) of family names (0), men's (1) or women's given names (2) of one kind."""
    pairs: Any = _FOREIGN[kind][part]
    return np.array([p[0] for p in pairs], dtype=object), np.array([p[1] for p in pairs], dtype=object)
