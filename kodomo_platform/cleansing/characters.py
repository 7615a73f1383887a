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

_GAIJI = re.compile(r"〓\{[0-9A-Fa-f]{4,6}\}")
_ODD = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u200b-\u200d\u2060\ufeff\u00ad\u309b\u309c]")
_REPEATED = re.compile(r"([^々〻])[々〻]")

# dropped: variation selectors, zero-width marks; joined: separate voiced and semi-voiced marks
_BEFORE_NFKC: dict[int, str | None] = {
    **dict.fromkeys([*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]),
    **dict.fromkeys([0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD]),
    0x309B: "\u3099",
    0x309C: "\u309a",
}


NEAR = "near"
"""Marks in the committed table what is compared as near and not folded."""


@lru_cache(maxsize=1)
def _table() -> tuple[dict[str, str], dict[str, str]]:
    fold: dict[str, str] = {}
    near: dict[str, str] = {}
    for line in (Path(__file__).parent / "fold_table.tsv").read_text(encoding="utf-8").splitlines():
        kanji, target, origin = line.split("\t")
        (near if origin == NEAR else fold)[kanji] = target
    return fold, near


def fold_map() -> dict[str, str]:
    """Kanji → level-1 kanji, from the committed table."""
    return _table()[0]


def near_map() -> dict[str, str]:
    """Kanji → the other form of it that stands for both where names are compared as near (斉 → 斎, 嶋 → 島).

    No matching form contains this step: 斎藤 and 斉藤 are two names, which somebody may have taken for each other.
    """
    return _table()[1]


def in_one_width(text: str) -> str:
    """NFKC without variation selectors, voiced marks joined, gaiji codes dropped (the geta stays), trimmed."""
    if text.isascii():
        return text.strip()
    if GETA in text:
        text = _GAIJI.sub(GETA, text)
    if _ODD.search(text):
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
