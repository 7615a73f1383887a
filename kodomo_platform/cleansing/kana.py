"""The matching form of readings in kana, and the kana of a name in the Latin alphabet. Kanji belong in `names`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from kodomo_platform.cleansing.characters import in_one_width

_HIRAGANA = {code: chr(code + 0x60) for code in range(0x3041, 0x3097)}
_SINGLE = {
    **dict(zip("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ", strict=True)),
    "ヂ": "ジ",
    "ヅ": "ズ",
    "ヰ": "イ",
    "ヱ": "エ",
    "ヲ": "オ",
    "ヴ": "ブ",
    "ヷ": "バ",
    "ヸ": "ビ",
    "ヹ": "ベ",
    "ヺ": "ボ",
    **dict.fromkeys("ー-‐‑‒–—―−'’`.,、。"),
}
_FOLD = str.maketrans(_SINGLE)
_V_SOUNDS = re.compile(r"ヴ([ァィェォ])")
_V_TO_B = {"ァ": "バ", "ィ": "ビ", "ェ": "ベ", "ォ": "ボ"}
_ITERATION = re.compile(r"(.)([ヽヾ])")
_VOICED = dict(zip("カキクケコサシスセソタチツテトハヒフヘホ", "ガギグゲゴザジズゼゾダヂヅデドバビブベボ", strict=True))
_BREAKS = re.compile(r"[\s・･=/_]+")
_DOTS = re.compile(r"[・･=]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


@dataclass(frozen=True, slots=True)
class KanaForm:
    """``match`` without blanks (a foreign name's parts keep one between them); ``surname`` and ``given`` only if the
    text divides them."""

    match: str | None
    surname: str | None
    given: str | None


@lru_cache(maxsize=200_000)
def fold_kana(text: str) -> str:
    """Katakana in one spelling: width, hiragana, small kana, ー, ヴ, ヂ, ヅ. Blanks stay."""
    kana = text.translate(_HIRAGANA)
    if "ヴ" in kana:
        kana = _V_SOUNDS.sub(lambda found: _V_TO_B[found[1]], kana)
    if "ヽ" in kana or "ヾ" in kana:
        kana = _ITERATION.sub(
            lambda found: found[1] + (_VOICED.get(found[1], found[1]) if found[2] == "ヾ" else found[1]), kana
        )
    return kana.translate(_FOLD)


def match_kana(text: str) -> KanaForm:
    """Matching form of a reading. Three parts and more, middle dots or an alphabet mark a foreign name: order-free."""
    one_width = in_one_width(text)
    latin = _LATIN.search(one_width) is not None
    parts = [kana for part in _BREAKS.split(one_width) if (kana := latin_to_kana(part) if latin else fold_kana(part))]
    if not parts:
        return KanaForm(None, None, None)
    order_free = latin or len(parts) > 2 or _DOTS.search(one_width) is not None
    match = " ".join(sorted(parts)) if order_free else "".join(parts)
    if len(parts) == 1:
        return KanaForm(match, None, None)
    return KanaForm(match, parts[0], "".join(parts[1:]))


# Family names whose Japanese reading no spelling rule gives; from the frequent names among foreign residents.
_KNOWN = {
    "NGUYEN": "グエン", "TRAN": "チャン", "PHAM": "ファム", "HOANG": "ホアン", "HUYNH": "フイン", "THI": "ティ", "VAN": "バン",
    "WANG": "ワン", "LI": "リ", "LEE": "リ", "ZHANG": "チャン", "LIU": "リウ", "CHEN": "チェン", "YANG": "ヤン", "HUANG": "ファン",
    "ZHAO": "チャオ", "WU": "ウ", "ZHOU": "チョウ", "XU": "シュ", "SUN": "スン", "KIM": "キム", "PARK": "パク", "CHOI": "チェ",
    "JOHN": "ジョン", "MICHAEL": "マイケル", "JAMES": "ジェイムズ", "DAVID": "デイビッド", "SMITH": "スミス", "MARY": "メアリ",
    "CRUZ": "クルス", "REYES": "レイエス", "GARCIA": "ガルシア", "JOSE": "ホセ", "JUAN": "フアン", "SANTOS": "サントス",
}  # fmt: skip
_ROWS = {
    "": "アイウエオ", "K": "カキクケコ", "C": "カシクセコ", "Q": "カキクケコ", "S": "サシスセソ", "T": "タティトゥテト",
    "N": "ナニヌネノ", "H": "ハヒフヘホ", "F": "ファフィフフェフォ", "M": "マミムメモ", "Y": "ヤイユイェヨ", "R": "ラリルレロ",
    "L": "ラリルレロ", "W": "ワウィウウェウォ", "G": "ガギグゲゴ", "Z": "ザジズゼゾ", "J": "ジャジジュジェジョ",
    "D": "ダディドゥデド", "B": "バビブベボ", "V": "バビブベボ", "P": "パピプペポ", "X": "ザジズゼゾ",
    "SH": "シャシシュシェショ", "CH": "チャチチュチェチョ", "TS": "ツァツィツツェツォ", "TH": "タティトゥテト", "PH": "ファフィフフェフォ",
    "KH": "カキクケコ", "GH": "ガギグゲゴ", "NH": "ニャニニュニェニョ", "NY": "ニャニニュニェニョ", "KY": "キャキキュキェキョ",
    "RY": "リャリリュリェリョ", "MY": "ミャミミュミェミョ", "HY": "ヒャヒヒュヒェヒョ", "BY": "ビャビビュビェビョ", "GY": "ギャギギュギェギョ",
    "PY": "ピャピピュピェピョ", "LL": "リャリリュリェリョ", "ZH": "ジャジジュジェジョ", "QU": "クァクィククェクォ",
}  # fmt: skip
_SMALL = "ァィゥェォャュョ"
_ENDINGS = {"T": "ト", "D": "ド", "N": "ン", "M": "ム", "J": "ジ", "CH": "チ", "SH": "シ", "NG": "ン", "H": ""}


def _moras(row: str) -> list[str]:
    """Split a row of five syllables, each a kana with an optional small one."""
    found: list[str] = []
    for character in row:
        if character in _SMALL and found:
            found[-1] += character
        else:
            found.append(character)
    return found


_SYLLABLES = {
    consonant + vowel: mora
    for consonant, row in _ROWS.items()
    for vowel, mora in zip("AIUEO", _moras(row), strict=True)
}
_SYLLABLE = re.compile("|".join(sorted((re.escape(key) for key in _SYLLABLES), key=len, reverse=True)))


@lru_cache(maxsize=100_000)
def latin_to_kana(text: str) -> str:
    """A spelling in the Latin alphabet as folded katakana: known names from a list, the rest by syllable.

    An approximation: it makes NGUYEN and グエン meet and brings others near; it is no pronunciation.
    """
    plain = "".join(part for part in unicodedata.normalize("NFD", text.upper()) if not unicodedata.combining(part))
    plain = re.sub(r"[^A-Z]", "", plain.replace("Đ", "D"))
    if not plain:
        return fold_kana(text)
    if plain in _KNOWN:
        return fold_kana(_KNOWN[plain])
    plain = re.sub(r"([BCDFGHJKMPQRSTVWXZ])\1", r"\1", plain)
    kana: list[str] = []
    place = 0
    while place < len(plain):
        if match := _SYLLABLE.match(plain, place):
            kana.append(_SYLLABLES[match[0]])
            place = match.end()
            continue
        pair = plain[place : place + 2]
        if pair in _ENDINGS:
            kana.append(_ENDINGS[pair])
            place += 2
            continue
        letter = plain[place]
        kana.append(_ENDINGS.get(letter, _SYLLABLES.get(letter + "U", "イ" if letter == "Y" else "")))
        place += 1
    return fold_kana("".join(kana))
