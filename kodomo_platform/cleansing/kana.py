"""thin"""
from __future__ import annotations
from dataclasses import dataclass
import unicodedata
@dataclass(frozen=True, slots=True)
class KanaForm:
    match: str | None
    surname: str | None
    given: str | None
def match_kana(text: str) -> KanaForm:
    t = unicodedata.normalize("NFKC", text).strip()
    a, _, b = t.partition(" ")
    return KanaForm(t.replace(" ", ""), a or None if b else None, b.replace(" ", "") or None)
