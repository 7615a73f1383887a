"""What is no record is told from what is one: totals, headers printed again, footers, units; nobody is left out."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.extracts.batches import Batch
from kodomo_platform.extracts.lines import Kind, Lines, says
from kodomo_platform.extracts.sifting import Sieve, is_rounded, unguarded

HEADER = ["学籍番号", "氏名", "生年月日", "性別", "郵便番号", "住所", "転退学日"]
LINES = Lines(HEADER, {name: at for at, name in enumerate(HEADER)}, "学籍番号")


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (",,,,,,", "blank_line"), ("　, ,,,,,", "blank_line"),
        (",".join(HEADER), "repeated_header"), ("学籍番号 ,氏　名,生年月日,性別,郵便番号,住所,転退学日", "repeated_header"),
        ("合計,60名,,,,,", "total_line"), (",合計,60,,,,", "total_line"), ("計,,,,,,60", "total_line"), ("総　計,60,,,,,", "total_line"),
        ("小計（３年１組）,30名,,,,,", "total_line"), ("３年１組　計,30,,,,,", "total_line"), ("男女計,60,,,,,", "total_line"),
        ("Total,60,,,,,", "total_line"), ("合計60名", "total_line"), ("60件", "total_line"), ("件数,60", "total_line"),
        (",,（西暦）,,（〒）,,", "unit_line"), (",,,,,,(日)", "unit_line"),
        ("*** 以上 60件 ***", "footer_line"), ("以下余白", "footer_line"), ("(以上)", "footer_line"), ("[EOF]", "footer_line"),
        ("1/3ページ", "footer_line"), ("- 1 -", "footer_line"), ("Page 1 of 3", "footer_line"), ("60 rows selected.", "footer_line"),
        ("（60 行処理されました）", "footer_line"), ("-----,-----,-----,-----,--,--,--", "footer_line"), ("※個人情報につき取扱注意", "footer_line"),
        ("出力日：2026/10/01", "footer_line"), ("出力日,2026/10/01,,,,,", "footer_line"), ("作成者：学務課,,,,,,", "footer_line"),
    ],
)  # fmt: skip
def test_lines_that_are_no_records(line: str, kind: Kind) -> None:
    assert LINES.kind_of(line.split(",")) == kind


@pytest.mark.parametrize(
    "line",
    [
        "1001,山田 花1,2015/4/2,男,335-0022,上戸田1-2-1,", "1001,計 太郎,2015/4/2,男,,,", ",計 太郎,2015/4/2,男,,,", "1001", "1060,山田",
        "1001,,,,,,", "A-12,,,,,,", ",山田 花,,,,,", ",,2015/4/2,,,,", "x", "1001,合計 花子,2015/4/2,,,,", "１００１,以上 誠,2015/4/2,男,,,",
    ],
)  # fmt: skip
def test_records_that_look_a_little_like_it(line: str) -> None:
    assert LINES.kind_of(line.split(",")) is None


@given(st.integers(1, 10**9), st.text(min_size=1, max_size=8), st.dates())
def test_nobody_with_a_number_and_a_birth_date_is_left_out(number: int, name: str, born: object) -> None:
    assert LINES.kind_of([str(number), name, str(born), "男", "335-0022", "上戸田1-2-1", ""]) is None


def test_how_many_records_a_closing_line_says_there_are() -> None:
    assert says("footer_line", ["*** 以上 1,060件 ***"]) == 1060
    assert says("total_line", ["合計", "６０件"]) == 60
    assert says("total_line", ["合計", "60名"]) is None  # people, who may have several records
    assert says(None, ["60件"]) is None


def sifted(columns: dict[str, list[str]], digits: dict[str, int] | None = None) -> Batch:
    wanted = {name: at for at, name in enumerate(columns)}
    lines = Lines(list(columns), wanted, "number")
    sieve = Sieve(lines, wanted, {"number": "id", "phone": "phone", "text": "text"}, "number", digits or {})
    rows = len(columns["number"])
    arrays = {name: pa.array(values, pa.string()) for name, values in columns.items()}
    (batch,) = sieve.sift(iter([Batch(arrays, np.arange(1, rows + 1), rows)]))
    return batch


def test_guards_are_taken_off_every_column_and_counted() -> None:
    batch = sifted({"number": ['="0012"', "'0013", "0014"], "text": ['="a""b"', "x='y'", "3"]})
    assert batch.columns["number"].to_pylist() == ["0012", "0013", "0014"]
    assert batch.columns["text"].to_pylist() == ['a"b', "x='y'", "3"]
    assert batch.guarded == {"number": 2, "text": 1}


@given(st.text(max_size=12).filter(lambda text: '"' not in text and text.strip() == text and "'" not in text))
def test_a_guard_is_taken_off_whatever_is_in_it(text: str) -> None:
    assert unguarded(f'="{text}"') == unguarded(f' ＝"{text}" ') == unguarded(f"'{text}") == text


def test_rounded_numbers_are_rejected_and_other_texts_with_an_e_are_not() -> None:
    batch = sifted(
        {"number": ["2.02601E+11", "２．０Ｅ＋１１", "1e+16", "3E12", "12E+1X", "1"], "text": ["2.0E+11"] * 6}
    )
    assert [(r.row_number, r.reason, r.item) for r in batch.rejects] == [
        (n, "destroyed_number", "number") for n in (1, 2, 3)
    ]
    assert batch.columns["number"].to_pylist() == ["3E12", "12E+1X", "1"]
    assert batch.row_numbers.tolist() == [4, 5, 6]
    assert is_rounded("1.23456789012345e+16")
    assert not is_rounded("1.5")


def test_zeros_are_put_back_to_the_width_that_is_declared() -> None:
    batch = sifted({"number": ["12", " 345.0 ", "00000001", "A1", "", "123456789"]}, {"number": 8})
    assert batch.columns["number"].to_pylist() == ["00000012", "00000345", "00000001", "A1", "123456789"]


def test_totals_are_known_by_a_column_that_is_not_taken() -> None:
    batch = sifted({"_first_in_file": ["1", "合計", "2"], "number": ["1001", "", "1002"], "text": ["a", "60", "b"]})
    assert [(n.row_number, n.kind) for n in batch.not_records] == [(2, "total_line")]
