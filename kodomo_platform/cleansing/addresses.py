"""thin"""
from __future__ import annotations
from dataclasses import dataclass
import unicodedata
@dataclass(frozen=True, slots=True)
class AddressForm:
    match: str | None
    town: str | None
    block: str | None
    building: str | None
    room: str | None
def match_address(text: str) -> AddressForm:
    return AddressForm(unicodedata.normalize("NFKC", text).strip(), None, None, None, None)
