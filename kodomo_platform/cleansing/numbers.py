"""Numbers: those that identify (width, check digits, telephone numbers) and those that count.

A failed check digit is a warning and never a reason to drop a number: only newly issued numbers carry one.
"""

from __future__ import annotations

import re
import unicodedata

_SPACES = re.compile(r"\s+")
_HYPHENS = re.compile(r"[-‐‑‒–—―−ーｰ﹣－]")
_MINUS = re.compile(r"^[-‐‑‒–—―−△▲]")
_INTEGER = re.compile(r"([+-]?[0-9]{1,15})(?:\.0*)?")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]*)?")
_NOT_DIGIT = re.compile(r"\D+")
_EXTENSION = re.compile(r"(?:内線|EXT\.?|X)\s*\d+.*$", re.IGNORECASE)


def normalise_number(text: str) -> str:
    """A record number in one width: ASCII digits and letters, no spaces, leading zeros kept."""
    return _HYPHENS.sub("-", _SPACES.sub("", unicodedata.normalize("NFKC", text)))


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
    """A Japanese telephone number as bare domestic digits (``0484411800``), or None.

    +81 becomes 0; a number of one repeated digit is a filler.
    """
    plain = _EXTENSION.sub("", unicodedata.normalize("NFKC", text))
    international = plain.lstrip(" (").startswith("+81")
    digits = _NOT_DIGIT.sub("", plain.replace("(0)", "") if international else plain)
    if international or (digits.startswith("81") and len(digits) in (11, 12)):
        digits = "0" + digits.removeprefix("81")
    if len(digits) not in (10, 11) or not digits.startswith("0") or len(set(digits[1:])) == 1:
        return None
    return digits
