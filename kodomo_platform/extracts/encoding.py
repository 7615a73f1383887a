"""Bytes to text: declared encodings, what a file looks like instead, and gaiji.

A byte that cannot be read does not stop a file: it becomes `UNREADABLE`, a character that no text may hold, so that the
record around it can be rejected and the next one read. A gaiji (a character that a municipality drew itself, in the
user-defined area of CP932, F040 to F9FC) has no Unicode of its own; Python's codec turns it silently into U+E000 to
U+E757. Here it becomes ``〓{F040}``: the mark that Japanese registers print for it, and its code, so that it is never
lost.

Splitting the text into records belongs to `delimited` and `fixed_width`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kodomo_platform.errors import ExtractError

UNREADABLE = "\ufdd0"
"""A Unicode noncharacter ("for internal use"), standing where bytes could not be decoded."""

GETA = "〓"
SAMPLE_BYTES = 1 << 20

_ENCODINGS = {
    "cp932": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "utf-8": "utf-8",
    "utf-8-sig": "utf-8",
    "utf-16": "utf-16",
}
_BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}

# 0x80, 0xA0 and 0xFD-0xFF are no characters of Windows-31J; Python's codec passes them on as U+0080, U+00A0,
# U+F8F1-F8F3
_CP932_SPECIAL = re.compile("[\x80\xa0\ue000-\ue757\uf8f0-\uf8f3]")
_UNICODE_PRIVATE = re.compile("[\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd]")
_GAIJI = re.compile(r"〓\{((?:U\+)?[0-9A-F]{4,6})\}")
_ROWS_PER_LEAD_BYTE = 188


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return UNREADABLE, error.end


codecs.register_error("kodomo.unreadable", _stand_in)


@dataclass(frozen=True)
class Encoding:
    """How one file is decoded: ``codec`` is Python's name, ``bom_bytes`` are skipped at its beginning."""

    declared: str
    codec: str
    bom_bytes: int

    @property
    def is_utf16(self) -> bool:
        """Whether line ends are two bytes wide."""
        return self.codec.startswith("utf-16")


def gaiji_code(character: str) -> str:
    """The CP932 code (four hexadecimal digits) of a character that Python's codec put at U+E000 to U+E757."""
    index = ord(character) - 0xE000
    if not 0 <= index < 10 * _ROWS_PER_LEAD_BYTE:
        raise ValueError("not a user-defined character of CP932")
    lead, rest = divmod(index, _ROWS_PER_LEAD_BYTE)
    # the trail byte 0x7F is left out of every row
    return f"{0xF0 + lead:02X}{0x40 + rest + (rest >= 63):02X}"


def _mark_cp932(match: re.Match[str]) -> str:
    character = match.group()
    return f"{GETA}{{{gaiji_code(character)}}}" if "\ue000" <= character <= "\ue757" else UNREADABLE


def _mark_unicode(match: re.Match[str]) -> str:
    return f"{GETA}{{U+{ord(match.group()):04X}}}"


def mark_gaiji(text: str, codec: str) -> str:
    """``text`` with every gaiji as 〓 and its code: ``〓{F040}`` from CP932, ``〓{U+E000}`` from a Unicode file."""
    if text.isascii():
        return text
    if codec == "cp932":
        return _CP932_SPECIAL.sub(_mark_cp932, text) if _CP932_SPECIAL.search(text) else text
    return _UNICODE_PRIVATE.sub(_mark_unicode, text) if _UNICODE_PRIVATE.search(text) else text


def gaiji_codes(text: str) -> list[str]:
    """The codes of the gaiji in a marked text, in order: ``["F040"]``."""
    return _GAIJI.findall(text)


def decode(data: bytes, codec: str) -> str:
    """All of ``data``; what cannot be read becomes `UNREADABLE`, gaiji are marked."""
    return mark_gaiji(data.decode(codec, errors="kodomo.unreadable"), codec)


def decode_stream(chunks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    """The text of a stream of bytes (its byte order mark already skipped); characters cut by a chunk's end are
    joined.
    """
    decoder = codecs.getincrementaldecoder(encoding.codec)(errors="kodomo.unreadable")
    for chunk in chunks:
        text = decoder.decode(chunk)
        if text:
            yield mark_gaiji(text, encoding.codec)
    rest = decoder.decode(b"", final=True)
    if rest:
        yield mark_gaiji(rest, encoding.codec)


def _decodes(sample: bytes, codec: str) -> str | None:
    """The sample's text if every byte fits ``codec`` (a character cut at the sample's end is no fault)."""
    try:
        text = codecs.getincrementaldecoder(codec)().decode(sample)
    except UnicodeDecodeError:
        return None
    return None if codec == "cp932" and re.search("[\x80\xa0\uf8f0-\uf8f3]", text) else text


def _is_japanese(text: str, *, beyond_ascii: bool = True) -> bool:
    """Whether the characters (beyond ASCII alone, or all) are mostly those of Japanese text, and not only a chance
    hit.
    """
    characters = [c for c in text if ord(c) > 0x7F] if beyond_ascii else list(text)
    likely = sum(
        1
        for c in characters
        if "\u3000" <= c <= "\u30ff" or "\u4e00" <= c <= "\u9fff" or "\uf900" <= c <= "\uffef" or c < "\x7f"
    )
    return len(characters) >= 2 and likely >= 0.8 * len(characters)


def looks_like(sample: bytes) -> str | None:
    """The encoding that the first bytes of a file speak for, or None if they are ASCII or nothing known.

    Byte order marks first; then NUL bytes that make sense as halves of UTF-16; then strict decoding, UTF-8 before
    CP932, because Japanese text in CP932 is hardly ever valid UTF-8.
    """
    for bom, name in _BOMS.items():
        if sample.startswith(bom):
            return name
    head = sample[:4096]
    if head.count(0) * 50 >= max(len(head), 50):  # commas and line ends alone make more than two in a hundred
        for codec in ("utf-16-le", "utf-16-be"):
            text = _decodes(head, codec)
            if text is not None and "\0" not in text and _is_japanese(text, beyond_ascii=False):
                return codec
    if sample.isascii():
        return None
    text = _decodes(sample, "utf-8")
    if text is not None and _is_japanese(text):
        return "utf-8"
    for codec in ("cp932", "euc_jp"):
        text = _decodes(sample, codec)
        if text is not None:
            return codec
    return None


def resolve(declared: str, sample: bytes, where: str) -> Encoding:
    """How to decode a file that is declared as ``declared`` and begins with ``sample``.

    Raises ExtractError if the bytes speak against the declaration: another byte order mark, or Japanese text that is
    valid only in another encoding. Single bad bytes are not decided here (their records are rejected).
    """
    codec = _ENCODINGS.get(declared.lower())
    if codec is None:
        raise ExtractError(f"unknown encoding {declared!r}", where=where, expected=", ".join(_ENCODINGS))
    seen = looks_like(sample)
    bom_bytes = next((len(bom) for bom in _BOMS if sample.startswith(bom)), 0)
    if codec == "utf-16":
        if seen in ("utf-16-le", "utf-16-be"):
            return Encoding(declared, seen, bom_bytes)
        raise wrong_encoding(declared, seen, where)
    if seen in (None, codec):
        return Encoding(declared, codec, bom_bytes)
    # damaged bytes make valid text of one encoding look like another (any bytes at all are nearly valid CP932):
    # only a byte order mark, UTF-16's NULs and valid Japanese UTF-8 are proof enough before a record is read
    if bom_bytes or seen in ("utf-8", "utf-16-le", "utf-16-be"):
        raise wrong_encoding(declared, seen, where)
    return Encoding(declared, codec, bom_bytes)


def wrong_encoding(declared: str, seen: str | None, where: str) -> ExtractError:
    """The error for a file whose bytes are not what its municipality's file says."""
    return ExtractError(
        f"the file is declared as {declared} but looks like {seen or 'another encoding'}",
        where=where,
        expected=f"text in {declared}",
        action="ask the holder how the file was made, and set `encoding` of this source in the municipality's file",
    )
