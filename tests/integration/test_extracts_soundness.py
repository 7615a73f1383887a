"""What makes a delivery unsound is found, named by its own column or part, and nothing of anybody is shown."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import load_source, refuse_empty_delivery
from kodomo_platform.municipalities import Municipality
from kodomo_platform.warehouse import connect

CODE, TODAY = "112241", dt.date(2026, 11, 20)
SEPTEMBER, OCTOBER = "2026-09-01", "2026-10-01"
ENROLMENT = ["student_number", "name", "name_kana", "birth_date", "school_code"]
HEADER = ["学籍番号", "氏名", "フリガナ", "生年月日", "学校コード"]
EVENTS = ["student_number", "visited_on", "visit_seq", "reason"]
KANJI, KANA = "山川田中森林本村井上", "アイウエオカキクケコ"


def town(source: str = "education.enrolment", items: Sequence[str] = ENROLMENT, **more: Any) -> Municipality:
    names = HEADER if source == "education.enrolment" else [f"列{n}" for n in range(len(items))]
    described = {
        "source": source,
        "holder": "学務課",
        "file": {"pattern": "G_*.csv", "format": "csv", "encoding": "utf-8", **more.pop("file", {})},
        "dates": {"style": "slash"},
        "columns": [
            {"item": item, "column": name, **more.pop(item, {})} for item, name in zip(items, names, strict=True)
        ],
        "code_maps": more.pop("code_maps", {}),
    }
    return Municipality.model_validate(
        {
            "code": CODE, "name_ja": "試験市", "name_en": "Test", "population": 1000, "consent": {"rule": "none"},
            "themes": [{"key": "school_refusal", "display_mode": "score", "capacity": 10}], "schedule": {"cron": "0 5 * * 1"},
            "sources": [described],
        }
        | more
    )  # fmt: skip


def child(n: int, school: str = "101") -> list[str]:
    name = f"{KANJI[n % 10]}{KANJI[n // 10 % 10]} {KANJI[n * 7 % 10]}{n % 97}子".replace(str(n % 97), KANJI[n % 7])
    return [
        f"{n:08d}",
        name,
        f"{KANA[n % 10]}{KANA[n // 10 % 10]} {KANA[n % 7]}コ",
        f"{2010 + n % 9}/4/{n % 28 + 1}",
        school,
    ]


def children(count: int, first: int = 1, school: str = "101") -> list[list[str]]:
    return [child(n, school) for n in range(first, first + count)]


def land(
    home: Path,
    rows: Sequence[Sequence[str]],
    date: str = SEPTEMBER,
    name: str = "G_1.csv",
    header: Sequence[str] = HEADER,
) -> Path:
    folder = home / "landing" / CODE / date
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("".join(",".join(row) + "\n" for row in [header, *rows]), encoding="utf-8")
    return path


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(home / "warehouse" / f"{CODE}.duckdb") as connection:
        yield connection


def load(con: duckdb.DuckDBPyConnection, of: Municipality | None = None) -> Any:
    of = of or town()
    return load_source(con, of, of.sources[0].source, today=TODAY)


def refused(con: duckdb.DuckDBPyConnection, match: str, of: Municipality | None = None) -> str:
    with pytest.raises(ExtractError, match=match) as error:
        load(con, of)
    assert not any(part in str(error.value) for part in ("00000001", KANJI[1], "アイ", "2011/4"))
    return str(error.value)


# ------------------------------------------------------------------------------------------------ columns


def test_swapped_names_and_kana_are_told_by_their_headers(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, [[number, kana, name, born, school] for number, name, kana, born, school in children(40)])
    refused(con, r"氏名 \(name\) holds readings and フリガナ \(name_kana\) holds names: the two are swapped")


@pytest.mark.parametrize(
    ("at", "value", "column"),
    [(3, "さくら学級{n}組", "生年月日"), (2, "漢字{n}", "フリガナ"), (0, "なし山", "学籍番号"), (3, "048-441-18{n:02}", "生年月日"), (1, "{n:07}", "氏名")],
)  # fmt: skip
def test_a_column_of_another_kind_is_blamed_itself(
    con: duckdb.DuckDBPyConnection, home: Path, at: int, value: str, column: str
) -> None:
    rows = children(40)
    for n, row in enumerate(rows):
        row[at] = value.format(n=n) + ("" if at else KANJI[n % 10])
    land(home, rows)
    refused(con, rf"{column} \(\w+\) does not hold what the item is")


def test_a_column_of_blanks_and_unknowns_is_no_wrong_column(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, [[*row[:2], "", "不詳", row[4]] for row in children(40)])
    assert load(con).rows_loaded == 40


# ---------------------------------------------------------------------------------------------------- key


def test_one_number_in_all_rows(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, [["202601000001", *row[1:]] for row in children(3)])
    text = refused(con, r"学籍番号 \(student_number\) is no key: all 3 records have the same number")
    assert "Excel" in text


def test_a_number_shared_by_many_names(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    rows = children(200)
    land(home, [[f"{n // 10 * 10:08d}", *row[1:]] for n, row in enumerate(rows)])
    refused(con, "records share their number with a record of another name")


def test_a_few_slips_of_the_holder_pass(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    rows = children(200)
    rows[7][0] = rows[8][0]
    land(home, rows)
    assert load(con).rows_loaded == 200


def test_numbers_of_more_than_fifteen_digits_that_a_spreadsheet_rounded(
    con: duckdb.DuckDBPyConnection, home: Path
) -> None:
    land(home, [[f"{10**14 + n}00", *row[1:]] for n, row in enumerate(children(40))])
    refused(con, "all 40 numbers of more than 15 digits end in zeros")


def events(count: int, number: str | None = None) -> list[list[str]]:
    return [[number or f"{n % 30 + 1:08d}", f"2026/{n % 6 + 3}/{n % 28 + 1}", str(n), "01"] for n in range(count)]


def test_one_number_with_a_hundred_times_the_usual_records(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    of = town("education.health_room", EVENTS, code_maps={"reason": {"01": "injury"}})
    names = [f"列{n}" for n in range(4)]
    land(home, events(60), header=names)
    assert load(con, of).rows_loaded == 60
    land(home, [*events(60), *events(250, "00000099")], OCTOBER, header=names)
    refused(con, "one number has 250 of 310 records; others have about 2", of)
    land(home, events(300, "00000099"), OCTOBER, header=names)
    refused(con, "all 300 records have the same number", of)


# ------------------------------------------------------------------------------------------- volume, parts


def test_half_a_register_is_not_taken_and_a_small_change_is(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, children(667))
    load(con)
    land(home, children(333), OCTOBER)
    refused(con, "the extract has 333 records; the last one .2026-09-01. had 667")
    land(home, children(650), OCTOBER)
    assert load(con).rows_loaded == 650


def test_a_cut_transfer_by_its_last_line(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = land(home, children(50))
    path.write_bytes(path.read_bytes()[:-12])
    refused(con, r"the last line .record 50. ends in the middle: the transfer was cut")


def test_a_last_line_that_says_there_should_be_more(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, [*children(30), ["以上 60件"]])
    refused(con, "last lines say that it has 60 records; it has 30")


def parts(home: Path, date: str, *schools: int, rows: int = 30) -> None:
    for school in schools:
        land(home, children(rows, 1000 * school, f"{100 + school}"), date, f"G_{date[:7]}_学校{school}.csv")


def test_a_missing_part_is_named(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    parts(home, SEPTEMBER, 1, 2, 3)
    load(con)
    parts(home, OCTOBER, 1, 3, rows=31)
    refused(con, "1 of the 3 parts of the last extract .2026-09-01. did not arrive: G_2026-09_学校2.csv")
    parts(home, OCTOBER, 2)  # unchanged since September, and part of October all the same
    assert load(con).rows_loaded == 92
    assert load(con, town(shrink_limit_percent=100)).rows_in == 0


def test_half_a_part_is_named(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    parts(home, SEPTEMBER, 1, 2, rows=120)
    load(con)
    parts(home, OCTOBER, 1, rows=121)
    parts(home, OCTOBER, 2, rows=70)
    refused(con, "G_2026-10_学校2.csv has 70 records; the same part")


def test_a_school_that_is_gone_from_one_file(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, [*children(400), *children(15, 5000, "102")])
    load(con)
    land(home, children(400, 2), OCTOBER)
    refused(con, r"1 codes in 学校コード \(school_code\) of the last extract .2026-09-01, 15 records. are gone: 102")


def test_a_copy_of_a_part_is_read_once(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    # Regression: rows are known by date, hash and number, and the copy's and the original's cancelled each other out
    parts(home, SEPTEMBER, 1, 2)
    folder = home / "landing" / CODE / SEPTEMBER
    (folder / "G_2026-09_学校1 - コピー.csv").write_bytes((folder / "G_2026-09_学校1.csv").read_bytes())
    report = load(con, town(file={"several": "parts"}))
    assert report.rows_loaded == 60
    assert any("so it is read once" in warning for warning in report.warnings)
    assert load(con, town(file={"several": "parts"})).rows_in == 0


def test_one_part_sent_under_two_names(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    parts(home, SEPTEMBER, 1, 2)
    load(con)
    parts(home, OCTOBER, 1, rows=31)
    folder = home / "landing" / CODE / OCTOBER
    (folder / "G_2026-10_学校2.csv").write_bytes((folder / "G_2026-10_学校1.csv").read_bytes())
    refused(con, "part was sent under two names", town(file={"several": "parts"}))
    refused(
        con, "did not arrive: G_2026-09_学校2.csv; G_2026-10_学校2.csv is byte for byte the same as G_2026-10_学校1.csv"
    )


def test_lost_zeros_are_told_and_put_back(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, children(80))
    load(con)
    land(home, [[row[0].lstrip("0"), *row[1:]] for row in children(80)], OCTOBER)
    text = refused(con, r"学籍番号 \(student_number\) have 1 to 2 digits; .* up to 8: zeros in front were lost")
    assert "digits: 8" in text
    assert load(con, town(student_number={"digits": 8})).rows_loaded == 80


# ------------------------------------------------------------------------------------------- what did not arrive


@pytest.mark.parametrize("name", ["G_1.CSV", "Ｇ＿１.csv", "g_1.csv", "G_1.csv.txt", "G_1.txt", "G-1.csv"])
def test_a_file_that_nearly_has_the_right_name(con: duckdb.DuckDBPyConnection, home: Path, name: str) -> None:
    land(home, children(30))
    load(con)
    land(home, children(31), OCTOBER, name)
    refused(con, "nearly has the name that is waited for .G_.*csv., and no other came")
    land(home, children(31), OCTOBER)
    assert load(con).rows_loaded == 31


def test_another_file_is_nobodys_near_miss(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, children(30))
    land(home, children(30), OCTOBER, "読んでください.txt")
    assert load(con).rows_loaded == 30


@pytest.mark.parametrize(
    "name", ["20261101", "2026-11-1", "2026_11_01", "2026年11月1日", "２０２６-１１-０１", "2026-11-01_再送", "R8.11.1"]
)
def test_a_folder_that_nearly_is_a_date(con: duckdb.DuckDBPyConnection, home: Path, name: str) -> None:
    land(home, children(30), name)
    refused(con, "looks like a date and is not written as one")


def test_a_folder_with_nothing_but_its_mark(home: Path) -> None:
    land(home, children(30))
    refuse_empty_delivery(town(), today=TODAY)
    folder = home / "landing" / CODE / OCTOBER
    folder.mkdir()
    refuse_empty_delivery(town(), today=TODAY)  # nothing was sent yet
    (folder / ".done").touch()
    with pytest.raises(ExtractError, match="the latest folder holds no extract: 0 files"):
        refuse_empty_delivery(town(), today=TODAY)


def test_a_file_name_that_is_no_utf8_is_named(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = land(home, children(30))
    path.rename(os.fsdecode(os.fsencode(path.parent) + b"/G_" + "学校".encode("cp932") + b".csv"))
    text = refused(con, "the file's name is not UTF-8")
    assert "G_学校.csv" in text
    text.encode("utf-8")


# ------------------------------------------------------------------------------------ no content in a message


def test_a_file_without_line_ends_shows_nothing_of_anybody(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = land(home, children(400))
    path.write_text(path.read_text(encoding="utf-8").replace("\n", ","), encoding="utf-8")
    text = refused(con, "the first row has .* fields, and dates or long numbers among them: it is no header")
    assert len(text) < 600


def test_unknown_headers_are_shown_only_as_far_as_they_are_headers(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, children(30), header=["学籍番号", "氏名", "フリガナ", "山川アイ子", "児童備考"])
    text = refused(con, "lacks 2 of 5 mapped columns.*not mapped: 児童備考 ")
    assert "山川" not in text


# ------------------------------------------------------------------------------------- records without their last fields


def test_a_few_records_without_their_last_field_are_read_if_it_is_blank_elsewhere(
    con: duckdb.DuckDBPyConnection, home: Path
) -> None:
    rows = [[*row[:4], ""] for row in children(60)]
    rows[40] = rows[40][:4]
    land(home, rows)
    report = load(con)
    assert (report.rows_loaded, report.files[0].rows_padded) == (60, 1)


def test_a_few_records_without_a_field_that_others_have_are_damaged(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    rows = children(60)
    rows[40], rows[41] = rows[40][:4], rows[41][:4]
    land(home, rows)
    # one alone would be set apart: an extract of twenty records or more is not refused for it
    refused(con, "2 of 60 records cannot be read: wrong_field_count 2 .records 41, 42.")
    assert load(con, town(reject_limit_percent=4)).rejects == {"wrong_field_count": 2}
