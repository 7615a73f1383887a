"""The matching form of names in kanji, kana or the Latin alphabet. Readings (フリガナ) belong in `kana`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kodomo_platform.cleansing.characters import GETA, HYPHENS, fold
from kodomo_platform.cleansing.kana import BREAKS, LATIN_LETTERS, fold_kana, latin_to_kana, repeat_kana, tidy_name

_LATIN_NAME = re.compile(rf"[{LATIN_LETTERS}][{LATIN_LETTERS}\s.,'’ʼ`・{HYPHENS}]*")
# in katakana, or in hiragana that nothing divides: which part would be the surname, nobody can tell
_KANA_NAME = re.compile(r"[ァ-ヺー・\s=゠ヽヾ]+|[ぁ-ゖーゝゞ]+")
# a reading behind a stroke: 山田 花/ヤマダ ハナ
_READING_BEHIND = re.compile(r"^(.*[一-鿿].*?)\s*[/|]\s*[ァ-ヺーぁ-ゖゝゞヽヾ・\s]+$")
# small ヶ and ヵ in surnames are written large by half the systems (三ヶ島, 三ケ島)
_LARGE = str.maketrans("ヶヵゖゕ", "ケカケカ")


@dataclass(frozen=True, slots=True)
class NameForm:
    """``match`` without blanks (a foreign name's parts keep one between them, so that they can be told apart again);
    ``surname`` and ``given`` only if the text divides them. 〓 stands for any character, and ``has_gaiji`` says that one
    is there: as the source wrote it, or where it wrote ?, ●, ■ or the replacement character."""

    match: str | None
    surname: str | None
    given: str | None
    has_gaiji: bool


@lru_cache(maxsize=200_000)
def _fold_part(part: str) -> str:
    return repeat_kana(fold(part)).translate(_LARGE).upper()


def match_name(text: str) -> NameForm:
    """Matching form of a name. The first blank divides surname and given name (half or full width).

    A name in the alphabet, or in katakana of several parts, is a foreign one: its parts become kana and its ``match``
    is free of their order, so that ``MARIA SILVA``, ``SILVA, MARIA`` and ``マリア・シルバ`` meet.
    """
    one_width, has_gaiji = tidy_name(text)
    if "/" in one_width or "|" in one_width:
        one_width = _READING_BEHIND.sub(r"\1", one_width)
    foreign = latin = False
    if one_width.isascii() or _LATIN_NAME.fullmatch(one_width):
        foreign = latin = _LATIN_NAME.fullmatch(one_width) is not None
    elif _KANA_NAME.fullmatch(one_width):
        foreign = True
    parts = [part for part in BREAKS.split(one_width.replace(",", " ") if latin else one_width) if part]
    if foreign:
        parts = [kana for part in parts if (kana := latin_to_kana(part) if latin else fold_kana(part))]
    else:
        parts = [_fold_part(part) for part in parts]
    if not parts or (has_gaiji and not "".join(parts).strip(GETA)):
        # nothing but lost characters equals nobody's name
        return NameForm(None, None, None, has_gaiji)
    match = " ".join(sorted(parts)) if foreign else "".join(parts)
    if len(parts) == 1:
        return NameForm(match, None, None, has_gaiji)
    return NameForm(match, parts[0], "".join(parts[1:]), has_gaiji)
