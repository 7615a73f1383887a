"""The matching form of readings in kana, and the kana of a name in the Latin alphabet. Kanji belong in `names`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from kodomo_platform.cleansing.characters import GETA, HYPHENS, in_one_width

_HIRAGANA = {code: chr(code + 0x60) for code in [*range(0x3041, 0x3097), 0x309D, 0x309E]}
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
    **dict.fromkeys(HYPHENS + "'’ʼ`.,、。"),
}
_FOLD = str.maketrans(_SINGLE)
_V_SOUNDS = re.compile(r"ヴ([ァィェォ])")
_V_TO_B = {"ァ": "バ", "ィ": "ビ", "ェ": "ベ", "ォ": "ボ"}
_ITERATION = re.compile(r"([ァ-ヺぁ-ゖ])([ヽヾゝゞ々])")
_VOICED = dict(
    zip(
        "カキクケコサシスセソタチツテトハヒフヘホかきくけこさしすせそたちつてとはひふへほ",
        "ガギグゲゴザジズゼゾダヂヅデドバビブベボがぎぐげござじずぜぞだぢづでどばびぶべぼ",
        strict=True,
    )
)
BREAKS = re.compile(r"[\s・･=゠/_]+")
"""What divides the parts of a name."""
LATIN_LETTERS = "A-Za-z\u00c0-\u024f\u1e00-\u1eff\u0300-\u036f"
"""Letters of the alphabet with and without marks, as a class of a regular expression."""
_DOTS = re.compile(r"[・･=゠]")
_LATIN = re.compile(f"[{LATIN_LETTERS}]")
# letters that no decomposition takes apart, as passports and residence cards spell them (ICAO Doc 9303, part 3)
_LETTERS = str.maketrans(
    {
        "Ł": "L", "Ø": "O", "Æ": "AE", "Œ": "OE", "ẞ": "SS", "Þ": "TH", "Đ": "D", "Ð": "D", "Ħ": "H", "Ŋ": "NG", "Ŧ": "T",
        "Ɖ": "D", "Ɓ": "B", "Ɗ": "D", "Ƙ": "K", "Ƴ": "Y", "Ə": "A", "Ɨ": "I", "Ʉ": "U", "Ɵ": "O", "Ĳ": "IJ",
    }
)  # fmt: skip

# one character of a name that is lost: a question mark where an encoding lacked it, what a printer blackened, a mark that
# stands for a kanji nobody could type, and private characters, which every system draws as it likes
_LOST = re.compile(f"[{GETA}?\ufffd\ufffc●○◯■□◆◇★☆▲△▼▽◎※＊*▇█☐\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_BRACKETED = re.compile(r"[(（\[［【〔〈《「『<{｛][^)）\]］】〕〉》」』>}｝]*(?:[)）\]］】〕〉》」』>}｝]|$)")
_BRACKETS = re.compile(r"[()（）\[\]［］【】〔〕〈〉《》「」『』<>{}｛｝]")
# what another name of the same person is announced by: 本名 is a surname too, so it needs its colon
_ANOTHER = re.compile(
    r"(?<=\S)\s+(?:(?:旧姓|旧氏|旧名|通称名?)\s*:?|(?:本名|別名|通名)\s*:)\s*\S.*$|^(?:旧姓|旧氏)\s*:?\s*(?=\S)"
)
# marks of a footnote, not of a lost character
_MARKS_AROUND = " *※◎☆★"


@dataclass(frozen=True, slots=True)
class KanaForm:
    """``match`` without blanks (a foreign name's parts keep one between them); ``surname`` and ``given`` only if the
    text divides them."""

    match: str | None
    surname: str | None
    given: str | None


def tidy_name(text: str) -> tuple[str, bool]:
    """A name or reading in one width without what stands beside it (a reading, a former or another name in brackets or
    behind 旧姓, 通称 …), every lost character as 〓; and whether one was lost."""
    tidy = in_one_width(text)
    if _BRACKETS.search(tidy):
        outside = _BRACKETED.sub(" ", tidy).strip()
        # a name that stands in brackets as a whole is the name
        tidy = _BRACKETS.sub(" ", outside or tidy).strip()
    if "旧" in tidy or "名" in tidy or "通称" in tidy:
        tidy = _ANOTHER.sub("", tidy)
    tidy = tidy.strip(_MARKS_AROUND)
    lost = _LOST.search(tidy) is not None
    return (_LOST.sub(GETA, tidy) if lost else tidy), lost


def repeat_kana(text: str) -> str:
    """ゝ ゞ ヽ ヾ, and 々 behind a kana, spelled out: みすゞ is みすず."""
    while (
        repeated := _ITERATION.sub(
            lambda match: match[1] + (_VOICED.get(match[1], match[1]) if match[2] in "ヾゞ" else match[1]), text
        )
    ) != text:
        text = repeated
    return text


@lru_cache(maxsize=200_000)
def fold_kana(text: str) -> str:
    """Katakana in one spelling: width, hiragana, small kana, ー, ヴ, ヂ, ヅ. Blanks stay."""
    kana = text.translate(_HIRAGANA)
    if "ヴ" in kana:
        kana = _V_SOUNDS.sub(lambda found: _V_TO_B[found[1]], kana)
    if "ヽ" in kana or "ヾ" in kana or "々" in kana:
        kana = repeat_kana(kana)
    return kana.translate(_FOLD)


def match_kana(text: str) -> KanaForm:
    """Matching form of a reading. Three parts and more, middle dots or an alphabet mark a foreign name: order-free.

    A reading is no evidence where a character of it is lost: such a part is None, and so is the whole.
    """
    one_width, lost = tidy_name(text)
    latin = _LATIN.search(one_width) is not None
    parts = [kana for part in BREAKS.split(one_width) if (kana := latin_to_kana(part) if latin else fold_kana(part))]
    if not parts:
        return KanaForm(None, None, None)
    if lost:
        if len(parts) == 1:
            return KanaForm(None, None, None)
        surname, given = parts[0], "".join(parts[1:])
        return KanaForm(None, None if GETA in surname else surname, None if GETA in given else given)
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
    plain = unicodedata.normalize("NFD", text.upper().translate(_LETTERS))
    plain = re.sub(r"[^A-Z']", "", re.sub("[’ʼ`]", "'", plain))
    # the apostrophe of Hepburn's n' parts ン from a vowel (SHIN'ICHI); any other says nothing
    plain = re.sub(r"(?<!N)'|'(?![AIUEOY])", "", plain)
    if not plain:
        return fold_kana(text)
    if plain in _KNOWN:
        return fold_kana(_KNOWN[plain])
    plain = re.sub(r"([BCDFGHJKMPQRSTVWXZ])\1", r"\1", plain)
    kana: list[str] = []
    place = 0
    while place < len(plain):
        if plain.startswith("N'", place):
            kana.append("ン")
            place += 2
            continue
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
