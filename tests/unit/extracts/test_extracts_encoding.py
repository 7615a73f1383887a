"""Bytes to text: every gaiji keeps its code, every bad byte is marked, a wrong declaration is noticed."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.encoding import (
    UNREADABLE,
    Encoding,
    decode,
    decode_stream,
    gaiji_code,
    gaiji_codes,
    looks_like,
    mark_gaiji,
    resolve,
)

CP932 = Encoding("cp932", "cp932", 0)
JAPANESE = "宛名番号,氏名,住所\r\n1,髙橋﨑子,埼玉県戸田市上戸田一丁目\r\n"


def every_gaiji() -> list[bytes]:
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    return [bytes([lead, trail]) for lead in range(0xF0, 0xFA) for trail in trails]


def test_every_user_defined_character_keeps_its_code() -> None:
    for pair in every_gaiji():
        assert decode(pair, "cp932") == f"〓{{{pair.hex().upper()}}}"


def test_every_defined_character_of_windows_31j_is_read_as_pythons_codec_reads_it() -> None:
    for lead in (*range(0x81, 0xA0), *range(0xE0, 0xF0), *range(0xFA, 0xFD)):
        for trail in (*range(0x40, 0x7F), *range(0x80, 0xFD)):
            pair = bytes([lead, trail])
            try:
                expected = pair.decode("cp932")
            except UnicodeDecodeError:
                assert UNREADABLE in decode(pair, "cp932")
            else:
                assert decode(pair, "cp932") == expected


@pytest.mark.parametrize("byte", [0x80, 0xA0, 0xFD, 0xFE, 0xFF])
def test_bytes_that_are_no_characters_are_marked(byte: int) -> None:
    assert UNREADABLE in decode(bytes([byte]), "cp932")


def test_gaiji_code_refuses_what_is_none() -> None:
    with pytest.raises(ValueError, match="user-defined"):
        gaiji_code("あ")


def test_private_characters_of_a_unicode_file_are_gaiji_too() -> None:
    assert mark_gaiji("辻\ue000\U000f0001", "utf-8") == "辻〓{U+E000}〓{U+F0001}"
    assert gaiji_codes("辻〓{U+E000}〓{F040}〓") == ["U+E000", "F040"]


def test_variation_selectors_are_no_gaiji() -> None:
    assert mark_gaiji("辻\U000e0100", "utf-8") == "辻\U000e0100"


@given(st.binary(max_size=200), st.lists(st.integers(1, 7), max_size=40))
def test_a_stream_reads_as_the_whole_does_wherever_it_is_cut(data: bytes, cuts: list[int]) -> None:
    for codec in ("cp932", "utf-8", "utf-16-le"):
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(data[at : at + cut])
            at += cut
        pieces.append(data[at:])
        assert "".join(decode_stream(pieces, Encoding(codec, codec, 0))) == decode(data, codec)


@given(st.binary(max_size=200))
def test_bytes_after_a_line_end_are_never_swallowed(data: bytes) -> None:
    text = decode(data + b"\r\n123,abc\r\n", "cp932")
    assert text.endswith("\r\n123,abc\r\n")


def test_a_truncated_character_is_marked_and_its_line_end_kept() -> None:
    assert decode("氏名".encode("cp932")[:-1] + b"\r\nx", "cp932") == f"氏{UNREADABLE}\r\nx"
    assert decode("氏名".encode()[:-1] + b"\r\nx", "utf-8") == f"氏{UNREADABLE}\r\nx"
    assert "".join(decode_stream(["氏名".encode("cp932")[:-1]], CP932)) == f"氏{UNREADABLE}"


@pytest.mark.parametrize(
    ("data", "seen"),
    [
        (JAPANESE.encode("cp932"), "cp932"),
        (JAPANESE.encode(), "utf-8"),
        (JAPANESE.encode("utf-8-sig"), "utf-8"),
        (codecs.BOM_UTF16_LE + JAPANESE.encode("utf-16-le"), "utf-16-le"),
        (JAPANESE.encode("utf-16-le"), "utf-16-le"),
        (JAPANESE.encode("utf-16-be"), "utf-16-be"),
        ("ﾀﾅｶ,ﾊﾅｺ\r\n".encode("cp932"), "cp932"),
        ("宛名番号,氏名,住所".encode("euc_jp"), "euc_jp"),
        (b"1,2,3\r\n", None),
        (JAPANESE.encode()[:-40], "utf-8"),
    ],
)
def test_looks_like(data: bytes, seen: str | None) -> None:
    assert looks_like(data) == seen


@pytest.mark.parametrize(
    ("declared", "actual"),
    [
        ("cp932", "utf-8"),
        ("cp932", "utf-8-sig"),
        ("cp932", "utf-16"),
        ("utf-8", "utf-16"),
        ("utf-8-sig", "utf-16-le"),
        ("utf-16", "cp932"),
        ("utf-16", "utf-8"),
    ],
)
def test_a_wrong_declaration_is_refused_with_both_names(declared: str, actual: str) -> None:
    with pytest.raises(ExtractError, match=f"declared as {declared} but looks like {actual[:5]}"):
        resolve(declared, JAPANESE.encode(actual), "2026-10-01/x.csv")


@pytest.mark.parametrize(
    ("declared", "actual", "codec", "bom"),
    [
        ("cp932", "cp932", "cp932", 0),
        ("utf-8", "utf-8", "utf-8", 0),
        ("utf-8", "utf-8-sig", "utf-8", 3),
        ("utf-8-sig", "utf-8-sig", "utf-8", 3),
        ("utf-8-sig", "utf-8", "utf-8", 0),
        ("utf-16", "utf-16", "utf-16-le", 2),
        ("utf-16", "utf-16-be", "utf-16-be", 0),
    ],
)
def test_a_true_declaration_is_taken(declared: str, actual: str, codec: str, bom: int) -> None:
    assert resolve(declared, JAPANESE.encode(actual), "x") == Encoding(declared, codec, bom)


def test_a_single_bad_byte_does_not_refuse_the_file() -> None:
    assert resolve("utf-8", JAPANESE.encode() + b"\xff", "x").codec == "utf-8"
    assert resolve("cp932", JAPANESE.encode("cp932") + b"\x80\r\n", "x").codec == "cp932"


def test_half_width_kana_that_happen_to_be_valid_utf8_stay_cp932() -> None:
    assert resolve("cp932", "ﾅｶ".encode("cp932"), "x").codec == "cp932"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ExtractError, match="unknown encoding"):
        resolve("latin-9", b"", "x")
