"""The matching forms: what must meet meets, what must stay apart stays apart."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kodomo_platform.cleansing.addresses import match_address
from kodomo_platform.cleansing.characters import fold, fold_map, in_one_width, near_map
from kodomo_platform.cleansing.fold_table import TABLE, build, read_variants, render
from kodomo_platform.cleansing.kana import KanaForm, fold_kana, match_kana
from kodomo_platform.cleansing.names import match_name
from kodomo_platform.cleansing.numbers import (
    check_digit,
    has_valid_check_digit,
    match_phone,
    match_phones,
    match_postal,
    normalise_number,
    read_decimal,
    read_int,
)


def test_the_committed_fold_table_is_current() -> None:
    assert TABLE.read_text(encoding="utf-8") == render(build())


def test_the_fold_is_one_hop() -> None:
    """No target is itself folded: a chain would merge 吉田 with 吉岡."""
    assert not set(fold_map()) & set(fold_map().values())


def test_pairs_kept_apart_stay_apart() -> None:
    for pair in read_variants().apart:
        assert len({fold(kanji) for kanji in pair}) == 2


def test_near_kanji_are_those_kept_by_hand_and_one_hop_apart() -> None:
    near = read_variants().near
    assert near_map() == near
    assert {"斉": "斎", "嶋": "島", "冨": "富", "竜": "龍"}.items() <= near.items()
    assert not set(near) & set(near.values())
    # a near kanji is one that the fold leaves, so that 齊藤, 斉藤 and 斎藤 all come near each other
    assert not (set(near) | set(near.values())) & set(fold_map())
    assert "告" not in near


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("渡邉　太郎", "渡辺 太郎"),
        ("渡邊 太郎", "渡辺 太郎"),
        ("渡邊\U000e0101 太郎", "渡辺 太郎"),
        ("髙﨑 花", "高崎 花"),
        ("濵田 花", "浜田 花"),
        ("𠮷澤 廣", "吉沢 広"),
        ("佐々木 花", "佐佐木 花"),
        ("三ヶ島 花", "三ケ島 花"),
        ("MARIA SILVA", "マリア・シルバ"),
        ("Silva, Maria", "MARIA SILVA"),
        ("NGUYEN THI LAN", "グエン ティ ラン"),
        ("LAN NGUYEN THI", "NGUYEN THI LAN"),
        # radicals that a converter put in the kanji's place
        ("⻑谷川 花", "長谷川 花"),
        ("⻘木 ⼀郎", "青木 一郎"),
        ("⻄⾕ 花", "西谷 花"),
        ("⻩ 花", "黄 花"),
        # what stands beside the name
        ("山田（旧姓 鈴木） 花", "山田 花"),
        ("山田 花【やまだ はな】", "山田 花"),
        ("山田 花 旧姓：鈴木", "山田 花"),
        ("山田　花／ヤマダ　ハナ", "山田 花"),
        ("山田 花（ヤマダ", "山田 花"),
        ("※山田 花", "山田 花"),
        # iteration marks
        ("山田 すゞ", "山田 すず"),
        ("みすゞ", "ミスズ"),
        ("なゝこ", "ナナコ"),
        # the alphabet with marks that nothing takes apart, hyphens and apostrophes of all kinds
        ("ŁUKASZ NOWAK", "LUKASZ NOWAK"),
        ("ØRSTED LIV", "ORSTED LIV"),
        ("ÞÓR ÆGIR", "THOR AEGIR"),
        ("WEIẞ IDA", "WEISS IDA"),
        ("ANNE‐MARIE O’NEIL", "ANNE-MARIE O'NEIL"),
        ("ジャン゠ポール", "ジャン・ポール"),
        # blanks that look like none, and none that look like blanks
        ("山田\u3164花", "山田 花"),
        ("山田\u00a0花\u200e", "山田 花"),
        ("山田\u2003花", "山田 花"),
    ],
)
def test_names_that_meet(one: str, other: str) -> None:
    assert match_name(one).match == match_name(other).match


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("斎藤 花", "斉藤 花"),
        ("島田 花", "嶋田 花"),
        ("富田 花", "冨田 花"),
        ("龍 花", "竜 花"),
        ("吉田 花", "吉岡 花"),
        ("西田 花", "平田 花"),
        # Regression: ja-itaiji alone makes these one
        ("山田 晨", "山田 辰"),
        ("山田 栞", "山田 刊"),
        ("山田 暉", "山田 輝"),
        ("すず", "すすず"),
    ],
)
def test_names_that_stay_apart(one: str, other: str) -> None:
    assert match_name(one).match != match_name(other).match


def test_name_parts_and_gaiji() -> None:
    form = match_name("〓{F040}田　太郎")
    assert (form.match, form.surname, form.given, form.has_gaiji) == ("〓田太郎", "〓田", "太郎", True)
    whole = match_name("山田太郎")
    assert (whole.match, whole.surname, whole.given) == ("山田太郎", None, None)
    assert match_name("　").match is None
    assert match_name("〓{U+E000}田 花").match == "〓田花"


@pytest.mark.parametrize("lost", ["?", "？", "\ufffd", "●", "■", "□", "〓", "\ue000", "\U0010de92"])
def test_a_lost_character_is_a_wild_one(lost: str) -> None:
    form = match_name(f"{lost}田 花")
    assert (form.match, form.surname, form.given, form.has_gaiji) == ("〓田花", "〓田", "花", True)
    nothing = match_name(lost * 3)
    assert (nothing.match, nothing.has_gaiji) == (None, True)
    # a reading has no wild character: what is damaged says nothing, what is not stays
    assert match_kana(f"{lost}マダ ハナ") == KanaForm(None, None, "ハナ")
    assert match_kana(f"{lost}マダハナ") == KanaForm(None, None, None)


def test_a_surname_that_looks_like_a_remark_is_a_surname() -> None:
    assert match_name("本名 陽子").surname == "本名"
    assert match_name("通 称子").surname == "通"
    assert match_name("(山田 花)").match == "山田花"
    assert match_name("旧姓 鈴木").match == "鈴木"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ﾜﾀﾅﾍﾞ ﾀﾛｳ", "ワタナベ　タロウ"),
        ("わたなべ たろう", "ワタナベ タロウ"),
        ("カ゛トウ", "ガトウ"),
        ("ショウコ", "シヨウコ"),
        ("ヴィクトル", "ビクトル"),
        ("ハヅキ", "ハズキ"),
        ("ヂロウ", "ジロウ"),
        ("マリー", "マリ"),
        ("マリア・シルバ・ロペス", "ロペス シルバ マリア"),
        ("ミスヾ", "ミスズ"),
        ("みすゞ", "ミスズ"),
        ("なゝこ", "ナナコ"),
        ("ヤマダ(スズキ) ハナコ", "ヤマダ ハナコ"),
        ("SHIN'ICHI", "シンイチ"),
        ("Shin’ya", "シンヤ"),
    ],
)
def test_readings_that_meet(one: str, other: str) -> None:
    assert match_kana(one).match == match_kana(other).match


@settings(deadline=None)
@given(st.text(alphabet=st.characters(min_codepoint=0x3041, max_codepoint=0x30FF), max_size=12))
def test_kana_folding_is_idempotent(text: str) -> None:
    once = fold_kana(in_one_width(text))
    assert fold_kana(once) == once


@settings(deadline=None)
@given(st.text(max_size=30))
def test_nothing_raises_and_width_does_not_matter(text: str) -> None:
    match_address(text)
    assert fold(fold(text)) == fold(text)
    if unicodedata.is_normalized("NFKC", text):
        assert match_name(text) == match_name(in_one_width(text))
        assert match_kana(text) == match_kana(in_one_width(text))


_KANJI = dict(zip(range(1, 10), "一二三四五六七八九", strict=True))


@settings(deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(1, 40),
    st.sampled_from(["-", "－", "−", "‐", "ー", "―", "の"]),
    st.sampled_from(["", "大字"]),
    st.sampled_from(["", "戸田市", "埼玉県戸田市"]),
)
def test_an_address_written_in_many_ways_is_one(
    chome: int, ban: int, go: int, hyphen: str, oaza: str, city: str
) -> None:
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    written = [
        f"{city}{oaza}新曽{chome}丁目{ban}番{go}号",
        f"{city}{oaza}新曽{_KANJI[chome]}丁目{ban}番地{go}",
        f"{city}{oaza}新曽{chome}{hyphen}{ban}{hyphen}{go}",
        f"{city}{oaza}新曽{chome}丁目{ban}{hyphen}{go}".translate(wide),
        f"{city}{oaza}新曽{chome}丁目{ban}番{go}号　コーポ戸田２０１号室",
    ]
    forms = [match_address(text) for text in written]
    assert {form.match for form in forms} == {f"新曽{chome}-{ban}-{go}"}
    assert (forms[-1].building, forms[-1].room) == ("コポ戸田", "201")


@pytest.mark.parametrize(
    ("text", "town", "block", "room"),
    [
        ("神奈川県茅が崎市東海岸北1-1", "東海岸北", "1-1", None),
        ("北海道札幌市中央区北一条西２丁目1", "北1条西", "2-1", None),
        ("東京都千代田区三番町5番地", "3番町", "5", None),
        ("戸田市新曽2-3-1-101", "新曽", "2-3-1", "101"),
        ("石川県加賀市大聖寺東町１丁目10番地の2", "大聖寺東町", "1-10-2", None),
        ("住所不定", None, None, None),
    ],
)
def test_address_parts(text: str, town: str | None, block: str | None, room: str | None) -> None:
    form = match_address(text)
    assert (form.town, form.block, form.room) == (town, block, room)


@pytest.mark.parametrize(
    "text",
    [
        "048-441-1800",
        "０４８－４４１－１８００",
        "(048)441-1800",
        "+81-48-441-1800",
        "0484411800 内線12",
        "048441-1800(内線12)",
        # a spreadsheet took the first 0, or showed a decimal
        "484411800",
        "48-441-1800",
        "484411800.0",
        '="0484411800"',
        "048─441─1800",
        "TEL:048-441-1800",
    ],
)
def test_phones_that_meet(text: str) -> None:
    assert match_phone(text) == "0484411800"


@pytest.mark.parametrize(
    "text",
    [
        "0000000000",
        "441-1800",
        "",
        "なし",
        "090-0000-0000",
        "080-0123-4567",
        "048-000-0000",
        "03-0000-0000",
        "090-1111-1111",
        "9999999999",
        "999-999-9999",
        "048-999-9999",
        "0120-000-000",
        "04844118000",
        "090-1234-567",
        "9.01235E+10",
        "00484411800",
    ],
)
def test_fillers_are_no_phone(text: str) -> None:
    assert match_phone(text) is None


def test_two_phones_in_a_cell_stay_two() -> None:
    assert match_phones("087-833-2280（087-839-2290）") == ("0878332280", "0878392290")
    assert match_phones("048-441-1800/090-1111-2222") == ("0484411800", "09011112222")
    assert match_phones("(048)441-1800　9011112222") == ("0484411800", "09011112222")
    assert match_phones("自宅 048-441-1800、携帯 090-0000-0000、母 ０９０－１１１１－２２２２") == (
        "0484411800",
        "09011112222",
    )
    assert match_phones("048-441-1800 048-441-1800") == ("0484411800",)


@settings(deadline=None)
@given(st.from_regex(r"0(?:48[2-8][0-9]{2}[1-9]{4}|90[1-9][0-9]{3}[1-8]{2}90)", fullmatch=True))
def test_a_phone_that_lost_its_zero_is_the_same(number: str) -> None:
    for text in (number, number[1:], f"{number[1:]}.0", f"+81 {number[1:]}", f"{number[:3]}-{number[3:]}"):
        assert match_phone(text) == number


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("335-0022", "3350022"),
        ("〒３３５－００２２", "3350022"),
        ("3350022.0", "3350022"),
        ('="0600042"', "0600042"),
        ("600042", "0600042"),
        ("60-0042", "0600042"),
        ("10010", "0010010"),
        # five digits that no code of Japan Post ends with are an old code or a mistake
        ("33522", None),
        ("000-0000", None),
        ("9999999", None),
        ("335", None),
        ("33500221", None),
        ("不明", None),
    ],
)
def test_postal_codes(text: str, code: str | None) -> None:
    assert match_postal(text) == code


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_check_digits(body: int) -> None:
    digit = check_digit(str(body))
    assert has_valid_check_digit(f"{body}{digit}") is True
    assert has_valid_check_digit(f"{body}{(digit + 1) % 10}") is False


def test_numbers() -> None:
    assert normalise_number("　００１２－３ ") == "0012-3"
    assert has_valid_check_digit("A12") is None
    assert [read_int(text) for text in ("３", "1,200", "△5", "3.0", "3.5", "-0", "x")] == [
        3,
        1200,
        -5,
        3,
        None,
        0,
        None,
    ]
    assert [read_decimal(text) for text in ("１２.５", "-3", "x", "1e3")] == [12.5, -3.0, None, None]
