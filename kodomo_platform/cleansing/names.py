"""thin"""
from __future__ import annotations
from dataclasses import dataclass
import re, unicodedata
@dataclass(frozen=True, slots=True)
class NameForm:
    match: str | None
    surname: str | None
    given: str | None
    has_gaiji: bool
def match_name(text: str) -> NameForm:
    g = "〓" in text
    t = unicodedata.normalize("NFKC", re.sub(r"〓\{[0-9A-F]+\}", "〓", text)).strip()
    a, _, b = t.partition(" ")
    return NameForm(t.replace(" ", ""), a or None if b else None, b.replace(" ", "") or None, g)
