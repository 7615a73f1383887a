"""Every fault of a municipality's file is found, in one go, each with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.municipalities import check_digit, check_file, municipality_codes
from kodomo_platform.municipalities.checking import cron_faults
from kodomo_platform.municipalities.loading import SHIPPED

PILOTS = ["112241", "132071", "172065", "230006", "282022", "343021", "401307"]


@pytest.mark.parametrize("code", PILOTS)
def test_the_pilots_are_without_fault(code: str) -> None:
    file = SHIPPED / f"{code}.yaml"
    assert check_file(file) == []
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=./schema.json\n")


@pytest.mark.parametrize("code", PILOTS)
def test_check_digit_of_the_pilots(code: str) -> None:
    assert check_digit(code[:5]) == code[5]


@given(st.from_regex(r"[0-9]{5}", fullmatch=True).filter(str.isascii), st.integers(0, 4), st.integers(1, 9))
def test_one_wrong_digit_is_noticed_unless_two_remainders_share_a_digit(five: str, place: int, step: int) -> None:
    """Weights 6..2 are prime to 11, so the remainder always changes; only remainders 0 and 10 → digits 1 and 1."""
    wrong = five[:place] + str((int(five[place]) + step) % 10) + five[place + 1 :]
    remainder = [sum(int(d) * w for d, w in zip(text, (6, 5, 4, 3, 2), strict=True)) % 11 for text in (five, wrong)]
    assert remainder[0] != remainder[1]
    if {0, 10} != set(remainder):
        assert check_digit(five) != check_digit(wrong)


@pytest.mark.parametrize("text", ["1234", "123456", "１２３４５", "12a45", ""])
def test_check_digit_refuses_what_is_no_code(text: str) -> None:
    with pytest.raises(ValueError, match="five digits"):
        check_digit(text)


@pytest.mark.parametrize(
    ("code", "find", "replace", "message"),
    [
        ("112241", "code: '112241'", "code: '112242'", "the check digit is wrong; expected 112241"),
        ("112241", "code: '112241'", "code: '../../etc'", "not a municipality code"),
        ("112241", "population: 142000", "populaton: 142000", "unknown key `populaton`"),
        ("112241", "population: 142000\n", "", "`population` is missing"),
        ("112241", "  cron: '0 5 * * 1'", "  cron: '0 25 * * 1'", "cron field hour"),
        ("112241", "timezone: Asia/Tokyo", "timezone: Asia/Tokio", "unknown time zone"),
        ("112241", "source: resident.moves", "source: resident.movies", "unknown source 'resident.movies'"),
        ("112241", "source: resident.moves", "source: resident.register", "stands here twice"),
        ("112241", "{item: absent_days,", "{item: absent_dayz,", "unknown item 'absent_dayz'"),
        ("112241", "{item: late_days,", "{item: absent_days,", "the item 'absent_days' stands here twice"),
        ("112241", "      - {item: student_number, column: 学籍番号}\n", "", "no column for 'student_number'"),
        ("112241", "'1': male", "'1': man", "'man' is not a code of the catalogue; expected male, female, unknown"),
        ("112241", "encoding: cp932", "encoding: shift_jis", "Input should be 'cp932'"),
        ("112241", "      encoding: cp932\n", "", "`encoding` is missing"),
        ("112241", "pattern: 'JUKI_*.csv'", "pattern: '../JUKI_*.csv'", "not a path"),
        ("112241", "pattern: 'JUKI_*.csv'", "pattern: 'JUKI_[.csv'", "not a file pattern"),
        ("112241", "pattern: 'JUKI_*.csv'", "pattern: '*.csv'", "matches every file"),
        ("112241", "pattern: 'JUKI_*.csv'", "pattern: 'IDOU_*.csv'", "the same files as"),
        ("112241", "{item: event, position: 3}", "{item: event, position: 2}", "the same column as 'event_on'"),
        ("112241", "{item: event, position: 3}", "{item: event, column: 異動事由}", "`position` is missing"),
        ("112241", "display_mode: score", "display_mode: traffic_light", "Input should be 'alert'"),
        ("112241", "theme: school_refusal\n    include", "theme: abuse\n    include", "not a theme of this"),
        ("112241", "name_en: Toda\n", "name_en: Toda\nname_en: Toda\n", "stands here twice"),
        ("112241", "name_en: Toda\n", "name_en: &n Toda\n", "anchors"),
        ("112241", "source: resident.register", "source: resident.register\n   bad: [", "not valid YAML"),
        ("132071", "{item: name, start: 25, width: 60}", "{item: name, start: 20, width: 60}", "overlap"),
        # one byte is enough: it would be the last of one value and the first of the next
        ("132071", "{item: name, start: 25, width: 60}", "{item: name, start: 24, width: 60}", "overlap"),
        ("132071", "record_bytes: 480", "record_bytes: 470", "beyond `record_bytes` 470"),
        ("132071", "{item: name, start: 25, width: 60}", "{item: name, start: 25}", "`width` is missing"),
        ("172065", "  source: consent.record\n  applies", "  applies", "which source holds the consents"),
        (
            "172065",
            "      sheet: 同意者一覧\n",
            "      sheet: 同意者一覧\n      encoding: cp932\n",
            "an XLSX file has none",
        ),
        ("343021", "table: stg_health__infant_checkup", "table: stg_health__infant", "unknown table"),
        ("112241", "'1': male, '2'", "'unknown': male, '2'", "always means itself"),
        ("112241", "null_tokens: [' ', '99999999']", "null_tokens: [' ', '1']", "cannot be both a code and a blank"),
        ("112241", "null_tokens: ['-', '未受診']", "null_tokens: ['-', '0']", "would blank true zeros"),
        ("112241", "column: カナ氏名", "column: カナ氏名\U00020bb7", "cp932 has not"),
        ("343021", "item: health.pregnancy.concern", "item: health.pregnancy.mood", "unknown item"),
    ],
)
def test_a_fault_is_found_with_its_line(tmp_path: Path, code: str, find: str, replace: str, message: str) -> None:
    text = (SHIPPED / f"{code}.yaml").read_text(encoding="utf-8")
    assert find in text
    file = tmp_path / f"{code}.yaml"
    file.write_text(text.replace(find, replace, 1), encoding="utf-8")
    found = [fault for fault in check_file(file) if message in fault.message]
    assert found, [str(fault) for fault in check_file(file)]
    assert all(fault.line is not None for fault in found)


def test_all_faults_at_once(tmp_path: Path) -> None:
    text = (SHIPPED / "132071.yaml").read_text(encoding="utf-8")
    for find, replace in (
        ("code: '132071'", "code: '132079'"),
        ("population: 114000", "population: many"),
        ("source: resident.moves", "source: resident.movies"),
        ("{item: name, start: 25, width: 60}", "{item: name, start: 20, width: 60, colour: red}"),
        ("'1': male", "'1': man"),
        ("cron: '30 4 1 * *'", "cron: 'often'"),
    ):
        assert find in text
        text = text.replace(find, replace, 1)
    file = tmp_path / "132071.yaml"
    file.write_text(text, encoding="utf-8")
    faults = check_file(file)
    lines = text.splitlines()
    by_line = {fault.line: fault.message for fault in faults}
    for marked in ("132079", "population: many", "resident.movies", "colour: red", "'1': man", "often"):
        number = next(n for n, line in enumerate(lines, 1) if marked in line)
        assert number in by_line, (marked, [str(fault) for fault in faults])
    assert [fault.line for fault in faults] == sorted(fault.line or 0 for fault in faults)


@given(st.text(max_size=200))
def test_no_text_breaks_the_check(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.mktemp("any") / "any.yaml"
    file.write_bytes(
        ("sources: [{columns: [{item: a}], file: {pattern: x}}]\nname: " + text).encode("utf-8", "replace")
    )
    assert check_file(file)


@pytest.mark.parametrize("cron", ["0 5 * * 1", "*/15 0-6 1,15 jan-mar mon", "5 4 * * 0-7"])
def test_cron_good(cron: str) -> None:
    assert cron_faults(cron) == []


@pytest.mark.parametrize("cron", ["", "0 5 * *", "60 5 * * 1", "0 5 0 * 1", "0 5 * 13 1", "*/0 * * * *", "5-1 * * * *"])
def test_cron_bad(cron: str) -> None:
    assert cron_faults(cron)


def test_the_seven_are_shipped(home: Path) -> None:
    assert municipality_codes() == PILOTS


def test_no_personal_or_machine_detail_in_messages(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("code: 1\n", encoding="utf-8")
    assert all(re.match(r".*a\.yaml(:\d+)?: ", str(fault)) for fault in check_file(file))


def test_a_code_without_quotes_keeps_its_zeros(tmp_path: Path) -> None:
    """Hokkaido's codes begin with 0, which YAML would otherwise read as a number."""
    text = (SHIPPED / "343021.yaml").read_text(encoding="utf-8")
    file = tmp_path / "a.yaml"
    file.write_text(text.replace("code: '343021'", "code: 011002"), encoding="utf-8")
    assert check_file(file) == []


@pytest.mark.parametrize("content", [b"", b"\x00", b"- a\n", b"just text\n", b"\xef\xbb\xbf", b"PK\x03\x04\x00"])
def test_what_is_no_municipality_at_all(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(content)
    assert check_file(file)
    assert check_file(tmp_path)
    assert check_file(tmp_path / "missing.yaml")


_MADE = """code: '112241'
name_ja: 試験市
name_en: Test
population: 1000
themes: [{key: school_refusal, display_mode: score, capacity: 10}]
consent: {rule: none, basis: test}
schedule: {cron: '0 5 * * 1'}
governance: {roles: {oversight: a, holding: b, analysis: c, use: d}}
sources:
  - source: resident.register
    holder: b
    file: {pattern: 'JUMIN_*.zip', format: csv, encoding: utf-8, zip: {member: '001o006*.csv'}}
    rows:
      - {column: 最新フラグ, keep: ['1']}
      - {latest: 履歴番号, of: [宛名番号]}
    columns:
      - {item: resident_number, column: 宛名番号}
      - {item: address, columns: [町字, 番地], take: joined}
      - {item: birth_date, column: 生年月日, unknown_flag: 不詳フラグ, unknown_text: 不詳表記}
      - {item: sex, constant: male}
  - source: education.attendance
    holder: b
    file: {pattern: '出欠_*.csv', format: csv, encoding: cp932}
    columns:
      - {item: student_number, column: 番号}
    months: {columns: {absent_days: '{}月欠席'}}
"""


def test_items_made_of_several_columns_are_without_fault(tmp_path: Path) -> None:
    file = tmp_path / "112241.yaml"
    file.write_text(_MADE, encoding="utf-8")
    assert check_file(file) == []


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        (", take: joined", "", "`take` is missing"),
        ("take: joined}", "take: glued}", "Input should be"),
        ("take: joined}", "take: date_parts, column: 住所}", "an item comes from one place"),
        ("constant: male", "from_file_name: X.csv", "a pair of braces once"),
        ("constant: male", "column: 性別, take: first", "goes with `columns`"),
        ("constant: male", "column: 性別, transform: [exec]", "Input should be"),
        ("{item: resident_number, column: 宛名番号}", "{item: resident_number, constant: '1'}", "tells the records"),
        (", keep: ['1']", "", "either `keep` or `drop`"),
        (", of: [宛名番号]", "", "`of` is missing"),
        ("{latest: 履歴番号, of: [宛名番号]}", "{keep: ['1']}", "expected either `column`"),
        (", zip: {member: '001o006*.csv'}", "", "the files are ZIP archives"),
        ("'001o006*.csv'", "'a/*.csv'", "no folders"),
        ("JUMIN_*.zip", "JUMIN_*.csv", "these files are no ZIP archives"),
        ("出欠_*.csv", "出欠_*.xls", "an .xls workbook cannot be read"),
        ("encoding: cp932", "encoding: euc_jp", "is not read"),
        ("'{}月欠席'", "4月欠席", "where the month stands"),
        ("absent_days: ", "absent_dayz: ", "unknown item 'absent_dayz'"),
        ("{item: student_number, column: 番号}", "{item: absent_days, column: 番号}", "has a column of its own too"),
        ("encoding: cp932}", "encoding: cp932, header: false}", "months' columns are found by their headers"),
    ],
)
def test_faults_of_made_items_name_their_line(tmp_path: Path, find: str, replace: str, message: str) -> None:
    assert find in _MADE
    file = tmp_path / "112241.yaml"
    file.write_text(_MADE.replace(find, replace), encoding="utf-8")
    faults = check_file(file)
    assert any(message in fault.message and fault.line for fault in faults), faults
