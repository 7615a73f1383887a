"""One form for a character that different systems write differently. Names and addresses build on it.

Order matters: separate voiced marks are joined before NFKC (which would turn ``カ゛`` into ``カ``, a space and U+3099),
variation selectors go before the fold, and the fold is one hop (see `fold_table`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

GETA = "〓"
"""Stands for a character that nobody can read (gaiji): a wildcard when names are compared."""

HYPHENS = "‐‑‒–—―−ー~〜∼─━╴╶╸╺˗⁃⎯⏤⁓゠➖⸺⸻〰᠆\u00ad-"
"""What is typed, pasted or converted where a hyphen belongs; the ASCII hyphen last, so that it can close a class of a
regular expression. Vertical, small and full-width forms become one of these in NFKC."""

_GAIJI = re.compile(r"〓\{(?:U\+)?[0-9A-Fa-f]{4,6}\}")
_ODD = re.compile(
    "[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\u309b\u309c"
    "\u115f\u1160\u2800\u3164\uffa0\u2e80-\u2ef3\x00-\x08\x0e-\x1f\x7f]"
)
_REPEATED = re.compile(r"([^々〻])[々〻]")
_SOFT_HYPHEN = re.compile(r"(?<=[0-9０-９])\u00ad(?=[0-9０-９])")

# CJK radicals that systems write for the kanji (from U+2E81 on; a dot: none). NFKC knows the Kangxi radicals alone.
# Source: EquivalentUnifiedIdeograph.txt of the Unicode Character Database; the simplified ones by their Japanese kanji.
_RADICALS = (
    "厂乛乚乙亻冂几刀刂卜㔾小小兀尣尢.巳幺彑彐忄心扌攵.旡日月歺母民氵氺灬爫爫丬牛犭王疋目示礻竹糹纟罓罒网网网羊羊羊耂肀"
    "聿肉臼艹艹艹虎衤覀西見角角讠貝足車辶辶辶邑钅長長長門阜阜雨青韋頁風飛食食飠饣首馬骨鬼魚鳥鹵麦黄黽斉斉歯歯竜竜亀亀亀"
)


# dropped: variation selectors, zero-width and direction marks, control characters; blank: fillers that show nothing;
# joined: separate voiced and semi-voiced marks; a radical becomes its kanji
_BEFORE_NFKC: dict[int, str | None] = {
    **dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0), *range(0x180B, 0x180F)]),
    **dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF, 0x00AD]),
    **dict.fromkeys([*range(0x09), *range(0x0E, 0x20), 0x7F]),
    **dict.fromkeys([0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0], " "),
    **{code: kanji for code, kanji in enumerate(_RADICALS, 0x2E81) if kanji != "."},
    0x309B: "\u3099",
    0x309C: "\u309a",
}


NEAR = "near"
"""Marks in the committed table what is compared as near and not folded."""
PLACE = "place"
"""Marks in the committed table what is folded in addresses alone."""


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    fold: dict[str, str] = {}
    near: dict[str, str] = {}
    place: dict[str, str] = {}
    for line in (Path(__file__).parent / "fold_table.tsv").read_text(encoding="utf-8").splitlines():
        kanji, target, origin = line.split("\t")
        (near if origin == NEAR else place if origin == PLACE else fold)[kanji] = target
    return fold, near, place


def fold_map() -> dict[str, str]:
    """Kanji → level-1 kanji, from the committed table."""
    return _table()[0]


def near_map() -> dict[str, str]:
    """Kanji → the other form of it that stands for both where names are compared as near (斉 → 斎, 嶋 → 島).

    No matching form contains this step: 斎藤 and 斉藤 are two names, which somebody may have taken for each other.
    """
    return _table()[1]


@lru_cache(maxsize=1)
def place_map() -> dict[int, str]:
    """Code point → kanji in addresses, for `str.translate`: the fold, near kanji, and what only places have as one."""
    fold, near, place = _table()
    either = near | place
    return {ord(kanji): either.get(target, target) for kanji, target in (fold | either).items()}


def in_one_width(text: str) -> str:
    """NFKC without variation selectors, voiced marks joined, gaiji codes dropped (the geta stays), trimmed.

    A soft hyphen between digits is a hyphen; elsewhere it shows nothing and goes.
    """
    if text.isascii() and text.isprintable():
        return text.strip()
    if GETA in text:
        text = _GAIJI.sub(GETA, text)
    if _ODD.search(text):
        if "\u00ad" in text:
            text = _SOFT_HYPHEN.sub("-", text)
        text = text.translate(_BEFORE_NFKC)
    return unicodedata.normalize("NFKC", text).strip()


def fold(text: str) -> str:
    """One-hop fold of kanji, 々 spelled out. Expects one width. Folding twice gives the same."""
    folds = fold_map()
    folded = "".join([folds.get(character, character) for character in text])
    if "々" in folded or "〻" in folded:
        while (repeated := _REPEATED.sub(r"\1\1", folded)) != folded:
            folded = repeated
    return folded
