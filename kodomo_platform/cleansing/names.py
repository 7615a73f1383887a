"""The matching form of names in kanji, kana or the Latin alphabet. Readings (フリガナ) belong in `kana`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from kodomo_platform.cleansing.characters import GETA, fold, in_one_width
from kodomo_platform.cleansing.kana import fold_kana, latin_to_kana

_BREAKS = re.compile(r"[\s・･=/_]+")
_LATIN_NAME = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff][A-Za-z\u00c0-\u024f\u1e00-\u1eff\s.,'’\-・]*")
_KATAKANA_NAME = re.compile(r"[ァ-ヺー・\s=]+")
# small ヶ and ヵ in surnames are written large by half the systems (三ヶ島, 三ケ島)
_LARGE = str.maketrans("ヶヵゖゕ", "ケカケカ")


@dataclass(frozen=True, slots=True)
class NameForm:
    """``match`` without blanks (a foreign name's parts keep one between them, so that they can be told apart again);
    ``surname`` and ``given`` only if the text divides them. 〓 stands for any character."""

    match: str | None
    surname: str | None
    given: str | None
    has_gaiji: bool


@lru_cache(maxsize=200_000)
def _fold_part(part: str) -> str:
    return fold(part).translate(_LARGE).upper()


def match_name(text: str) -> NameForm:
    """Matching form of a name. The first blank divides surname and given name (half or full width).

    A name in the alphabet, or in katakana of several parts, is a foreign one: its parts become kana and its ``match``
    is free of their order, so that ``MARIA SILVA``, ``SILVA, MARIA`` and ``マリア・シルバ`` meet.
    """
    one_width = in_one_width(text)
    has_gaiji = GETA in one_width
    foreign = latin = False
    if one_width.isascii() or _LATIN_NAME.fullmatch(one_width):
        foreign = latin = _LATIN_NAME.fullmatch(one_width) is not None
    elif _KATAKANA_NAME.fullmatch(one_width):
        foreign = True
    parts = [part for part in _BREAKS.split(one_width.replace(",", " ") if latin else one_width) if part]
    if foreign:
        parts = [kana for part in parts if (kana := latin_to_kana(part) if latin else fold_kana(part))]
    else:
        parts = [_fold_part(part) for part in parts]
    if not parts:
        return NameForm(None, None, None, has_gaiji)
    match = " ".join(sorted(parts)) if foreign else "".join(parts)
    if len(parts) == 1:
        return NameForm(match, None, None, has_gaiji)
    return NameForm(match, parts[0], "".join(parts[1:]), has_gaiji)
