"""Landed files to raw rows in a real warehouse: what is taken, what is refused, and that nothing is ever left half."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from kodomo_platform import workbooks
from kodomo_platform.catalog import load_catalog
from kodomo_platform.errors import ConfigurationError, ExtractError
from kodomo_platform.extracts import complete_extract_dates, create_raw_tables, load_all, load_source, raw_columns
from kodomo_platform.municipalities import Municipality
from kodomo_platform.warehouse import connect

CODE = "112241"
DATE, LATER = "2026-09-01", "2026-10-01"
TODAY = dt.date(2026, 11, 1)
HEADER = ["学籍番号", "対象年月", "出席すべき日数", "欠席日数"]
ITEMS = ["student_number", "month", "school_days", "absent_days"]
SOURCE = "education.attendance"
TABLE = "raw.raw_education__attendance"


def municipality(file: dict[str, Any] | None = None, **more: Any) -> Municipality:
    """A municipality with one source, read by header unless the format says otherwise."""
    described = {"pattern": "SHUKKETSU*", "format": "csv", "encoding": "cp932"} | (file or {})
    places: list[dict[str, Any]]
    if described["format"] == "fixed":
        places = [{"start": at, "width": width} for at, width in ((1, 8), (9, 7), (16, 3), (19, 3))]
    elif described.get("header", True):
        places = [{"column": name} for name in HEADER]
    else:
        places = [{"position": n + 1} for n in range(4)]
    source = {
        "source": SOURCE,
        "holder": "教育委員会",
        "file": described,
        "extract_kind": more.pop("extract_kind", "full"),
        "columns": [{"item": item} | place for item, place in zip(ITEMS, places, strict=True)],
    }
    return Municipality.model_validate(
        {
            "code": CODE,
            "name_ja": "試験市",
            "name_en": "Test",
            "population": 1000,
            "themes": [{"key": "school_refusal", "display_mode": "score", "capacity": 10}],
            "consent": {"rule": "none"},
            "schedule": {"cron": "0 5 * * 1"},
            "sources": [source],
        }
        | more
    )


def record(n: int) -> list[str]:
    return [f"{n:08d}", "2026/09", "20", str(n % 5)]


def lines(rows: Sequence[Sequence[str]], header: Sequence[str] | None = HEADER, end: str = "\r\n") -> str:
    return "".join(",".join(row) + end for row in ([header] if header else []) + list(rows))


def records(count: int, first: int = 1) -> list[list[str]]:
    return [record(n) for n in range(first, first + count)]


def land(home: Path, content: bytes | str, date: str = DATE, name: str = "SHUKKETSU_1.csv") -> Path:
    folder = home / "landing" / CODE / date
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode("cp932") if isinstance(content, str) else content)
    return path


@pytest.fixture
def con(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = connect(home / "warehouse" / f"{CODE}.duckdb")
    yield connection
    connection.close()


def load(con: duckdb.DuckDBPyConnection, of: Municipality | None = None, today: dt.date = TODAY, **more: Any) -> Any:
    return load_source(con, of or municipality(), SOURCE, today=today, **more)


def rows(con: duckdb.DuckDBPyConnection, what: str = "*", table: str = TABLE, tail: str = "") -> list[tuple[Any, ...]]:
    return con.execute(f"select {what} from {table} {tail}").fetchall()


def count(con: duckdb.DuckDBPyConnection, table: str = TABLE) -> int:
    return int(rows(con, "count(*)", table)[0][0])


# --------------------------------------------------------------------------------------------------- what is taken


def test_rows_carry_their_text_and_where_they_came_from(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = land(home, lines([["001 ", "2026/09", "", "0"], ["002", "2026/09", "20", "1"]]))
    report = load(con)
    (sha256,) = rows(con, "sha256", "raw.files")[0]
    assert rows(con, "student_number, month, school_days, absent_days, late_days, _municipality, _extract_date, "
                "_source_file_sha256, _row_number", tail="order by _row_number") == [
        ("001 ", "2026/09", "", "0", None, CODE, dt.date(2026, 9, 1), sha256, 1),
        ("002", "2026/09", "20", "1", None, CODE, dt.date(2026, 9, 1), sha256, 2),
    ]  # fmt: skip
    assert (home / "archive" / CODE / sha256).read_bytes() == path.read_bytes()
    assert (report.rows_in, report.rows_loaded, report.rows_rejected) == (2, 2, 0)
    assert report.absent_items == ["late_days", "early_leave_days"]
    assert report.extract_dates == [dt.date(2026, 9, 1)]


@pytest.mark.parametrize("encoding", ["cp932", "utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_every_encoding_and_delimiter(con: duckdb.DuckDBPyConnection, home: Path, encoding: str, kind: str) -> None:
    text = lines([["髙﨑①㈱～", "2026/09", "20", "1"], *records(5)])
    land(home, (text.replace(",", "\t") if kind == "tsv" else text).encode(encoding))
    load(con, municipality({"encoding": encoding, "format": kind}))
    assert rows(con, "student_number", tail="where _row_number = 1") == [("髙﨑①㈱～",)]
    assert count(con) == 6


def test_fixed_width_is_cut_by_bytes(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, "髙橋\x20\x20\x20\x202026/09 20  1\r\n" + "0000002 2026/09 20  2\r\n")
    load(con, municipality({"format": "fixed", "header": False}))
    assert rows(con, "student_number, month, school_days, absent_days", tail="order by _row_number") == [
        ("髙橋", "2026/09", " 20", "  1"),
        ("0000002", "2026/09", " 20", "  2"),
    ]


def test_fixed_width_rejects_bad_lengths_cut_characters_and_nul(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    good = [f"{n:08d}2026/09 20  1\r\n".encode() for n in range(1000)]
    good[3] = b"short\r\n"
    good[5] = "あいう0".encode("cp932") + b"\x81" + b"2026/09 20  1\r\n"
    good[7] = b"0000000\x002026/09 20  1\r\n"
    good[9] = b" " * 21 + b"\r\n"
    land(home, b"".join(good))
    load(con, municipality({"format": "fixed", "header": False, "record_bytes": 21}))
    assert rows(con, "row_number, reason, item", "raw.rejects", "order by 1") == [
        (4, "wrong_length", None),
        (6, "undecodable", "student_number"),
        (8, "nul_byte", None),
    ]
    assert rows(con, "row_number, kind", "raw.not_records") == [(10, "blank_line")]
    assert rows(con, "min(_row_number), max(_row_number), count(*)") == [(1, 1000, 996)]
    assert rows(con, "rows_in, rows_loaded, rows_rejected, rows_not_records", "raw.files") == [(999, 996, 3, 1)]


def test_a_fixed_width_record_of_another_length_than_agreed_is_refused(
    con: duckdb.DuckDBPyConnection, home: Path
) -> None:
    land(home, "000000012026/09 20  1 \r\n")
    with pytest.raises(ExtractError, match="22 bytes long"):
        load(con, municipality({"format": "fixed", "header": False, "record_bytes": 21}))


def test_title_lines_and_no_header(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, "出欠,一覧\r\n\r\n" + lines(records(3), header=None))
    load(con, municipality({"header": False, "skip_rows": 2}))
    assert rows(con, "student_number", tail="order by _row_number") == [("00000001",), ("00000002",), ("00000003",)]


def test_headers_match_whatever_their_width(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3), ["学籍番号 ", "対象年月", "　出席すべき日数", "欠席日数"]))
    assert load(con).rows_loaded == 3


def test_gaiji_keep_their_codes_on_both_paths(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    content = lines(records(200)).encode("cp932").replace(b"00000007", b"\xf0\x40\x92\x87\xf0\x40")
    land(home, content)
    load(con)
    land(home, content.replace(b"00000009,2026/09", b"\xf9\xfc,2026/09,"), LATER)  # one bad record: the careful path
    load(con)
    assert rows(con, "distinct student_number", tail="where _row_number = 7") == [("〓{F040}仲〓{F040}",)]
    assert rows(con, "code, glyph_count, first_row_number", "raw.gaiji") == [("F040", 2, 7), ("F040", 2, 7)]
    assert rows(con, "row_number, reason", "raw.rejects") == [(9, "wrong_field_count")]


def test_unregistered_columns_end_at_the_door(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([[*record(1), "秘密の国", "メモ"]], [*HEADER, "国籍", "備考"]))
    report = load(con)
    assert [(d.ordinal, d.header) for d in report.dropped_columns] == [(5, "国籍"), (6, "備考")]
    assert rows(con, "column_ordinal, header, reason", "raw.dropped_columns", "order by 1") == [
        (5, "国籍", "not in the catalogue"),
        (6, "備考", "not in the catalogue"),
    ]
    for (table,) in con.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall():
        assert "秘密の国" not in str(rows(con, "*", f"raw.{table}"))


def test_every_source_of_the_catalogue_has_its_table(con: duckdb.DuckDBPyConnection) -> None:
    create_raw_tables(con)
    create_raw_tables(con)
    for source in load_catalog().sources.values():
        described = con.execute(f"describe raw.{source.raw_table}").fetchall()
        assert [row[0] for row in described] == list(raw_columns(source))


def test_an_older_table_gets_the_columns_it_lacks(con: duckdb.DuckDBPyConnection) -> None:
    create_raw_tables(con)
    con.execute(f"alter table {TABLE} drop column late_days")
    create_raw_tables(con)
    assert "late_days" in [row[0] for row in con.execute(f"describe {TABLE}").fetchall()]


def test_a_source_that_is_not_held_is_all_absent(con: duckdb.DuckDBPyConnection) -> None:
    report = load_source(con, municipality(), "education.fees")
    assert report.absent_items == [item.name for item in load_catalog().sources["education.fees"].items]


# ------------------------------------------------------------------------------------- again, corrected, taken back


def test_the_same_bytes_are_not_loaded_again(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(5)))
    load(con)
    land(home, lines(records(5)), LATER)
    report = load(con)
    assert report.skipped_already_loaded == [f"{DATE}/SHUKKETSU_1.csv", f"{LATER}/SHUKKETSU_1.csv"]
    assert (count(con), report.rows_in) == (5, 0)


def test_a_correction_supersedes_and_the_history_stays(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([*records(300), ["x"]]))
    load(con)
    land(home, lines(records(299)))
    report = load(con)
    assert report.files[0].supersedes == "SHUKKETSU_1.csv"
    assert count(con) == 299
    assert rows(con, "rows_loaded, active", "raw.files", "order by loaded_at") == [(300, False), (299, True)]
    assert count(con, "raw.rejects") == 0
    assert len(list((home / "archive" / CODE).iterdir())) == 2


def land_again(home: Path, content: bytes | str, name: str, date: str = DATE) -> None:
    """A further file of the same date, written later than what is there."""
    for path in (home / "landing" / CODE / date).iterdir():
        os.utime(path, (path.stat().st_mtime - 100, path.stat().st_mtime - 100))
    land(home, content, date, name)


def test_a_correction_under_another_name_supersedes(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([*records(40), ["x"]]))
    land_again(home, lines(records(39)), "SHUKKETSU_再送.csv")
    report = load(con, municipality(reject_limit_percent=5))
    assert any("replaced by SHUKKETSU_再送.csv" in warning for warning in report.warnings)
    assert count(con) == 39
    assert sorted(rows(con, "file_name, rows_loaded, active", "raw.files")) == [
        ("SHUKKETSU_1.csv", 40, False),
        ("SHUKKETSU_再送.csv", 39, True),
    ]
    assert count(con, "raw.rejects") == 0
    assert load(con).rows_in == 0
    assert count(con) == 39


def test_a_broken_file_beside_a_good_one_waits_for_a_word(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    # it may be a part: what is in it would be lost without a word
    land(home, "学籍番号\r\nbroken\r\n")
    land_again(home, lines(records(4)), "SHUKKETSU_再送.csv")
    with pytest.raises(
        ExtractError, match=r"(?s)SHUKKETSU_1.csv: the header lacks.*if SHUKKETSU_再送.csv replaces this file"
    ):
        load(con)
    assert count(con) == 0
    corrections = municipality({"several": "corrections"})
    report = load(con, corrections)
    assert report.rows_loaded == 4
    assert "replaced by" in report.warnings[0]
    assert sorted(rows(con, "file_name, active", "raw.files")) == [
        ("SHUKKETSU_1.csv", False),
        ("SHUKKETSU_再送.csv", True),
    ]
    assert load(con, corrections).rows_in == 0


def test_a_delivery_in_two_files_is_loaded_whole(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    # Regression: the file written first was taken for a superseded one, and its rows were lost
    land(home, lines(records(30)))
    land_again(home, lines(records(30, first=31)), "SHUKKETSU_2.csv")
    report = load(con)
    assert (report.rows_loaded, count(con)) == (60, 60)
    assert "another part" in report.warnings[0]
    assert rows(con, "count(*)", "raw.files", "where active") == [(2,)]
    assert load(con).rows_in == 0
    land_again(home, lines(records(25, first=36)), "SHUKKETSU_2_再送.csv")  # corrects one part alone
    assert load(con).files[0].supersedes == "SHUKKETSU_2.csv"
    assert rows(con, "count(*), count(distinct student_number)") == [(55, 55)]
    land_again(home, lines(records(31)), "SHUKKETSU_1.csv")  # the other part again, under its own name
    load(con)
    assert rows(con, "count(*), count(distinct student_number)") == [(56, 56)]
    assert load(con).rows_in == 0


def test_parts_of_one_child_each_month_are_no_correction(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(30)))
    land_again(home, lines(records(30)).replace("2026/09", "2026/08"), "SHUKKETSU_8月.csv")
    load(con)
    assert rows(con, "count(*), count(distinct student_number)") == [(60, 30)]


def test_a_part_that_did_not_change_belongs_to_the_new_extract_too(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    for date in (DATE, LATER):
        land(home, lines(records(30)), date)
        land_again(home, lines(records(30 if date == DATE else 29, first=31)), "SHUKKETSU_2.csv", date)
        load(con)
    assert rows(con, "_extract_date, count(*)", tail="group by 1 order by 1") == [
        (dt.date(2026, 9, 1), 60),
        (dt.date(2026, 10, 1), 59),
    ]
    assert load(con).rows_in == 0


def test_files_that_share_some_records_are_refused_until_somebody_says_what_they_are(
    con: duckdb.DuckDBPyConnection, home: Path
) -> None:
    land(home, lines(records(30)))
    land_again(home, lines(records(30, first=21)), "SHUKKETSU_2.csv")
    with pytest.raises(
        ExtractError, match=r"(?s)shares 10 of 30 records with SHUKKETSU_1.csv.*`several: parts`"
    ) as refused:
        load(con)
    assert "000000" not in str(refused.value)
    assert count(con) == 0
    assert load(con, municipality({"several": "parts"})).rows_loaded == 60
    shutil.rmtree(home / "landing" / CODE / DATE)
    land(home, lines(records(40)), LATER)
    land_again(home, lines(records(30, first=15)), "SHUKKETSU_2.csv", LATER)
    assert load(con, municipality({"several": "corrections"})).rows_loaded == 30


def test_a_correction_taken_back_is_loaded_again(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    for content in (records(5), records(4), records(5)):
        land(home, lines(content))
        load(con)
    assert count(con) == 5
    assert rows(con, "count(*)", "raw.files", "where active") == [(1,)]


def test_every_date_is_kept(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(5)))
    land(home, lines(records(6)), LATER)
    load(con)
    assert rows(con, "_extract_date, count(*)", tail="group by 1 order by 1") == [
        (dt.date(2026, 9, 1), 5),
        (dt.date(2026, 10, 1), 6),
    ]


# ------------------------------------------------------------------------------------------------------- bad records


def test_bad_records_are_counted_with_reason_and_never_shown(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    content = [",".join(record(n)).encode() for n in range(1, 1001)]
    content[1] = b"SECRET,2026/09,20"
    content[3] = b"SECRET,2026/09,20,1,1"
    content[5] = b"SECRET\x81,2026/09,20,1"
    content[7] = b"SEC\0RET,2026/09,20,1"
    content[9] = b'"SECRET,2026/09,20,1'
    land(home, ",".join(HEADER).encode("cp932") + b"\r\n" + b"\r\n".join(content) + b"\n")
    report = load(con)
    assert rows(con, "row_number, reason, item", "raw.rejects", "order by 1") == [
        (2, "wrong_field_count", None),
        (4, "wrong_field_count", None),
        (6, "undecodable", "student_number"),
        (8, "nul_byte", None),
        (10, "unclosed_quote", None),
    ]
    assert (report.rows_in, report.rows_loaded, report.rows_rejected) == (1000, 995, 5)
    assert report.rejects == {"wrong_field_count": 2, "undecodable": 1, "nul_byte": 1, "unclosed_quote": 1}
    assert rows(con, "student_number", tail="where _row_number = 1000") == [("00001000",)]
    assert "SECRET" not in str([rows(con, "*", f"raw.{t}") for t in ("rejects", "files", "gaiji", "dropped_columns")])


def test_too_many_rejects_fail_and_the_last_good_state_stays(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(100)))
    load(con)
    land(home, lines([*records(98), ["SECRET"], ["SECRET"]]), LATER)
    with pytest.raises(ExtractError, match=r"2 of 100 records.*wrong_field_count 2 \(records 99, 100\)") as refused:
        load(con)
    assert "SECRET" not in str(refused.value)
    assert (count(con), count(con, "raw.files"), count(con, "raw.rejects")) == (100, 1, 0)
    assert load(con, municipality(reject_limit_percent=2)).rows_loaded == 98


@pytest.mark.slow
def test_a_line_of_200_mb(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = land(home, lines(records(200)))
    with path.open("ab") as file:
        for _ in range(200):
            file.write(b"x" * (1 << 20))
        file.write(b"\r\n" + ",".join(record(202)).encode() + b"\r\n")
    load(con)
    assert rows(con, "row_number, reason", "raw.rejects") == [(201, "over_long")]
    assert rows(con, "max(_row_number)") == [(202,)]


# ----------------------------------------------------------------------------------------------------- refused files


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\r\n\r\n", b"\x1a"])
def test_an_empty_file(con: duckdb.DuckDBPyConnection, home: Path, content: bytes) -> None:
    land(home, content)
    with pytest.raises(ExtractError, match="the file is empty"):
        load(con)


def test_a_header_alone_is_a_warning_first_and_refused_later(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([]))
    assert "no records" in load(con).warnings[0]
    land(home, lines(records(3)), LATER)
    load(con)
    land(home, lines([]).rstrip(), "2026-10-15")
    with pytest.raises(ExtractError, match=r"has 0 records; the last one .2026-10-01. had 3"):
        load(con)
    assert count(con) == 3


def test_a_header_alone_is_fine_for_changes(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(30)))
    land(home, lines([]), LATER)
    assert load(con, municipality(extract_kind="delta")).rows_loaded == 30


@pytest.mark.parametrize(
    ("declared", "actual"),
    [("cp932", "utf-8"), ("cp932", "utf-16"), ("utf-8", "cp932"), ("utf-16", "cp932"), ("utf-8", "utf-16")],
)
@pytest.mark.parametrize("header", [True, False])
def test_a_wrong_encoding(con: duckdb.DuckDBPyConnection, home: Path, declared: str, actual: str, header: bool) -> None:
    body = [["髙橋花子", "2026/09", "20", "二日"] for _ in range(50)]
    land(home, lines(body, HEADER if header else None).encode(actual))
    with pytest.raises(ExtractError, match=f"declared as {declared} but looks like {actual}") as refused:
        load(con, municipality({"encoding": declared, "header": header}))
    assert "花子" not in str(refused.value)
    assert count(con) == 0


def test_a_renamed_header_names_what_is_missing_and_what_is_new(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3), ["学籍番号", "対象年月", "出席すべき日数", "欠席した日"]))
    with pytest.raises(ExtractError, match=r"lacks 1 of 4.*欠席日数 \(absent_days\).*not mapped: 欠席した日"):
        load(con)


def test_a_missing_column(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([row[1:] for row in records(3)], HEADER[1:]))
    with pytest.raises(ExtractError, match=r"学籍番号 \(student_number\).*not mapped: none"):
        load(con)


def test_a_missing_header_shows_nobodys_data(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([["SECRET", "2026/09", "20", "1"]], header=None))
    with pytest.raises(ExtractError, match="the first row has 4 fields and may not be the header") as refused:
        load(con)
    assert "SECRET" not in str(refused.value)


def test_a_duplicate_header(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([[*record(1), "1"]], [*HEADER, "欠席日数"]))
    with pytest.raises(ExtractError, match="more than once: 欠席日数"):
        load(con)


def test_positions_beyond_the_record(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([row[:3] for row in records(3)], header=None))
    with pytest.raises(ExtractError, match="all 3 records have fewer than 4 fields"):
        load(con, municipality({"header": False}))


def test_an_extract_far_smaller_than_the_last(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(100)))
    load(con)
    land(home, lines(records(49)), LATER)
    with pytest.raises(ExtractError, match=r"has 49 records; the last one .* had 100"):
        load(con)
    assert count(con) == 100
    assert load(con, municipality(shrink_limit_percent=60)).rows_loaded == 49


def test_what_was_never_published_does_not_make_its_correction_look_foreign(
    con: duckdb.DuckDBPyConnection, home: Path
) -> None:
    # Regression: another town's first delivery was loaded and blocked by quality; then the right file was refused at the
    # door, because it shared no number with the wrong one
    land(home, lines(records(100, first=50_000)))
    load(con)
    land(home, lines(records(100)))
    with pytest.raises(ExtractError, match="only 0 were in the last extract"):
        load(con)
    assert load(con, trusted=frozenset()).rows_loaded == 100
    # what is published is what the next one is held against, and a correction of it too
    published = frozenset(sha256 for (sha256,) in rows(con, "sha256", "raw.files", "where active"))
    land(home, lines(records(100, first=70_000)), LATER)
    for trusted in (published, None):
        with pytest.raises(ExtractError, match="only 0 were in the last extract"):
            load(con, trusted=trusted)
    (home / "landing" / CODE / LATER / "SHUKKETSU_1.csv").unlink()
    land(home, lines(records(40)))
    with pytest.raises(ExtractError, match="has 40 records"):
        load(con, trusted=published)


def test_a_file_of_another_municipality_by_its_name(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3)), name="SHUKKETSU_132071_20260901.csv")
    with pytest.raises(ExtractError, match=r"another municipality .132071."):
        load(con)


def test_a_file_of_another_municipality_by_its_column(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines([[*record(n), "13207"] for n in range(9)], [*HEADER, "市区町村コード"]))
    with pytest.raises(ExtractError, match="9 of 9 records carry the code of another municipality"):
        load(con)
    land(home, lines([[*record(n), "11224"] for n in range(9)], [*HEADER, "市区町村コード"]))
    assert load(con).rows_loaded == 9


def test_a_file_of_another_municipality_by_its_numbers(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(100)))
    load(con)
    land(home, lines(records(100, first=500_000)), LATER)
    with pytest.raises(ExtractError, match="of 100 numbers in `student_number` only 0"):
        load(con)
    assert count(con) == 100


@pytest.mark.parametrize("source", ["resident.register", "education.enrolment", "medical.flag"])
def test_the_first_file_of_another_municipality_by_its_addresses(
    con: duckdb.DuckDBPyConnection, home: Path, source: str
) -> None:
    # Regression: the first delivery had nothing to be compared with, and a neighbour's file was loaded
    own, key = municipality(), load_catalog().sources[source].record_key
    columns = [{"item": key, "column": "番号"}, {"item": "postal_code", "column": "郵便番号"}]
    described = own.sources[0].model_dump() | {"source": source, "columns": columns}
    toda = Municipality.model_validate(own.model_dump() | {"name_ja": "戸田市", "sources": [described]})

    def landed(*codes: str) -> None:
        land(home, lines([[str(n), codes[n % len(codes)]] for n in range(40)], ["番号", "郵便番号"]))

    elsewhere = "戸田市 or its prefecture" if source == "medical.flag" else "戸田市"
    landed(
        "196-0001", "１９６００１１", "1960002", "1960012", "", "335-0011", "不明", "196-0021"
    )  # 昭島市 but for one in eight
    with pytest.raises(ExtractError, match=f"of 30 addresses with a postal code only 5 lie in {elsewhere}"):
        load_source(con, toda, source, today=TODAY)
    assert count(con, f"raw.{load_catalog().sources[source].raw_table}") == 0
    landed("330-0061", "3300062")  # a city of the same prefecture: patients come from around, residents do not
    if source == "medical.flag":
        assert load_source(con, toda, source, today=TODAY).rows_loaded == 40
    else:
        with pytest.raises(ExtractError, match=f"only 0 lie in {elsewhere}"):
            load_source(con, toda, source, today=TODAY)
    landed("335-0011", "3350022", "３３５００２３", "330-0061")
    assert load_source(con, toda, source, today=TODAY).rows_loaded == 40


def test_a_folder_dated_in_the_future(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3)), "2027-01-01")
    with pytest.raises(ExtractError, match="dated in the future"):
        load(con)
    assert load(con, today=dt.date(2027, 1, 1)).rows_loaded == 3


def test_a_folder_that_is_no_date(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3)), "2026-13-01")
    with pytest.raises(ExtractError, match="not a date"):
        load(con)


def test_a_link_out_of_the_landing_folder(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    elsewhere = home / "elsewhere.csv"
    elsewhere.write_text("x")
    folder = home / "landing" / CODE / DATE
    folder.mkdir(parents=True)
    (folder / "SHUKKETSU_1.csv").symlink_to(elsewhere)
    with pytest.raises(ExtractError, match="not a regular file"):
        load(con)


@pytest.mark.parametrize("code", ["../112241", "11224/", "..", "112241\n"])
def test_a_code_that_is_a_path(con: duckdb.DuckDBPyConnection, home: Path, code: str) -> None:
    escaping = municipality().model_copy(update={"code": code})
    with pytest.raises(ConfigurationError, match="not a municipality code"):
        load(con, escaping)
    with pytest.raises(ConfigurationError, match="not a municipality code"):
        complete_extract_dates(escaping)


def test_an_unknown_source(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(ExtractError, match="no source of the catalogue"):
        load_source(con, municipality(), "education.secrets")


def test_a_workbook_where_text_is_agreed(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, b"PK\x03\x04 something")
    with pytest.raises(ExtractError, match="Excel workbook or a ZIP"):
        load(con)


def test_load_all_takes_what_it_can_and_lists_every_fault(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, b"")
    with pytest.raises(ExtractError, match="1 of 1 sources refused"):
        load_all(con, municipality(), today=TODAY)
    land(home, lines(records(3)))
    assert [report.rows_loaded for report in load_all(con, municipality(), today=TODAY)] == [3]


# -------------------------------------------------------------------------------------------------------------- XLSX

XLSX = {"pattern": "SHUKKETSU*.xlsx", "format": "xlsx", "encoding": None}


def workbook(
    home: Path, change: Callable[[openpyxl.Workbook], None] | None = None, rows: int = 200, title: bool = False
) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "出欠"
    if title:
        sheet.append(["出欠一覧（令和8年9月）"])
        sheet.merge_cells("A1:D1")
        sheet.append([])
    sheet.append(HEADER)
    for n in range(1, rows + 1):
        sheet.append([f"{n:08d}", "2026/09", 20, n % 5])
    if change:
        change(book)
    path = home / "landing" / CODE / DATE / "SHUKKETSU_1.xlsx"
    path.parent.mkdir(parents=True, exist_ok=True)
    book.save(path)
    return path


def test_a_workbook_with_merged_title_rows(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    workbook(home, title=True, rows=3)
    load(con, municipality(XLSX | {"skip_rows": 2}))
    assert rows(con, "student_number, school_days, absent_days, _row_number", tail="order by 4") == [
        ("00000001", "20", "1", 1),
        ("00000002", "20", "2", 2),
        ("00000003", "20", "3", 3),
    ]


def test_dates_numbers_and_gaiji_in_cells(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet["A2"], sheet["B2"], sheet["C2"], sheet["D2"] = "辻\ue000", dt.date(2026, 9, 1), 0.5, True

    workbook(home, change)
    load(con, municipality(XLSX))
    assert rows(con, "student_number, month, school_days, absent_days", tail="where _row_number = 1") == [
        ("辻〓{U+E000}", "2026-09-01", "0.5", "TRUE")
    ]


def test_formulas_give_what_they_last_showed_or_are_rejected(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        sheet = book.active
        sheet["D3"] = "=1+1"
        sheet["D4"] = "=2+2"
        sheet["D5"] = "#N/A"
        sheet["F6"] = "=1+1"  # in a column that is dropped: no matter

    path = workbook(home, change, rows=400)
    with_values = path.with_suffix(".rewritten")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(with_values, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            content = old.read(part)
            new.writestr(part, re.sub(rb"<f>2\+2</f><v(?: ?/>|></v>)", b"<f>2+2</f><v>4</v>", content))
    with_values.replace(path)
    load(con, municipality(XLSX))
    assert rows(con, "absent_days", tail="where _row_number = 3") == [("4",)]
    assert rows(con, "row_number, reason, item", "raw.rejects", "order by 1") == [
        (2, "formula_without_value", "absent_days"),
        (4, "cell_error", "absent_days"),
    ]


def test_merged_cells_among_the_records_are_rejected(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    workbook(home, lambda book: book.active.merge_cells("D10:D11"), rows=300)
    load(con, municipality(XLSX))
    assert rows(con, "row_number, reason, item", "raw.rejects", "order by 1") == [
        (9, "merged_cell", "absent_days"),
        (10, "merged_cell", "absent_days"),
    ]


def test_a_merged_header_is_refused(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    workbook(home, lambda book: book.active.merge_cells("C1:D1"))
    with pytest.raises(ExtractError, match=r"header row .1. has merged cells"):
        load(con, municipality(XLSX))


def test_hidden_sheets_are_refused_unless_one_is_named(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        book.create_sheet("内部用").sheet_state = "hidden"

    workbook(home, change)
    with pytest.raises(ExtractError, match="2 sheets, 1 of them hidden"):
        load(con, municipality(XLSX))
    with pytest.raises(ExtractError, match="none of them is the one wanted"):
        load(con, municipality(XLSX | {"sheet": "出席"}))
    assert load(con, municipality(XLSX | {"sheet": "出欠"})).rows_loaded == 200


def test_empty_rows_of_a_sheet_are_no_records(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    def change(book: openpyxl.Workbook) -> None:
        book.active.insert_rows(3)
        book.active["G250"] = " "

    workbook(home, change, rows=3)
    load(con, municipality(XLSX | {"pattern": "SHUKKETSU*.xlsx"}, reject_limit_percent=50))
    assert rows(con, "_row_number", tail="order by 1") == [(1,), (2,), (3,)]


def test_a_zip_bomb_is_refused_unopened(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    path = workbook(home, rows=1)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/bomb.xml", "w") as part:
        for _ in range(300):
            part.write(b"0" * (1 << 20))
    with pytest.raises(ExtractError, match="refused unopened: it unpacks to more than 200 times"):
        load(con, municipality(XLSX))


def test_a_zip_bomb_that_lies_about_its_size_is_refused(
    con: duckdb.DuckDBPyConnection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "RATIO_COUNTS_FROM_BYTES", 1 << 20)
    path = workbook(home, rows=1)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/bomb.xml", b"0" * (16 << 20))
    content = path.read_bytes()
    path.write_bytes(content.replace((16 << 20).to_bytes(4, "little"), (100).to_bytes(4, "little")))
    with pytest.raises(ExtractError, match="refused unopened: it unpacks to more than 200 times"):
        load(con, municipality(XLSX))


@pytest.mark.parametrize("content", [b"not a zip", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, b"PK\x03\x04"])
def test_what_is_no_workbook(con: duckdb.DuckDBPyConnection, home: Path, content: bytes) -> None:
    land(home, content, name="SHUKKETSU_1.xlsx")
    with pytest.raises(ExtractError, match="not a readable XLSX"):
        load(con, municipality(XLSX))


# --------------------------------------------------------------------------------- half-written, full disk, killed


def test_half_written_folders_are_not_complete(home: Path) -> None:
    land(home, lines(records(3)))
    land(home, lines(records(3)), LATER)
    assert complete_extract_dates(municipality(), today=TODAY) == []
    (home / "landing" / CODE / LATER / ".done").touch()
    assert complete_extract_dates(municipality(), today=TODAY) == [dt.date(2026, 10, 1)]
    later = time.time() + 120
    assert complete_extract_dates(municipality(), now=later, today=TODAY) == [dt.date(2026, 9, 1), dt.date(2026, 10, 1)]
    land(home, "x", name="SHUKKETSU_2.csv.part")
    assert complete_extract_dates(municipality(), now=later, today=TODAY) == [dt.date(2026, 10, 1)]


def test_a_file_whose_marker_is_required_waits_for_it(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3)))
    wants = municipality({"required_marker": True})
    assert "waits for its .done" in load(con, wants).warnings[0]
    (home / "landing" / CODE / DATE / ".done").touch()
    assert load(con, wants).rows_loaded == 3


def test_a_file_in_transfer_is_not_an_extract(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(3)), name="SHUKKETSU_1.csv.part")
    assert load(con).files == []


_LOAD = """
import datetime as dt, resource, signal, sys
sys.path.insert(0, {tests!r})
from test_extracts_loading import CODE, SOURCE, TODAY, municipality
from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import load_source
from kodomo_platform.settings import get_settings
from kodomo_platform.warehouse import connect
limit = int(sys.argv[1])
con = connect(get_settings().warehouse(CODE))
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
print("ready", flush=True)
try:
    load_source(con, municipality(), SOURCE, today=TODAY)
except ExtractError as error:
    print(error, flush=True)
    sys.exit(1)
"""


def loader(limit: int = 0) -> subprocess.Popen[str]:
    """Another process that loads; no file may grow beyond ``limit`` bytes, as on a full disk."""
    program = _LOAD.format(tests=str(Path(__file__).parent))
    return subprocess.Popen([sys.executable, "-c", program, str(limit)], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_leaves_the_last_good_state(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(100)))
    load(con)
    con.close()
    land(home, lines(records(100_000)), LATER)
    process = loader(limit=1 << 20)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "disk is full" in said
    with connect(home / "warehouse" / f"{CODE}.duckdb") as after:
        assert (count(after), count(after, "raw.files")) == (100, 1)
    assert [path.name for path in (home / "archive" / CODE).iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize("after_seconds", [0.0, 0.05, 0.15, 0.3, 0.5, 0.8])
def test_a_killed_load_leaves_the_last_good_state_and_the_next_one_finishes(
    con: duckdb.DuckDBPyConnection, home: Path, after_seconds: float
) -> None:
    land(home, lines(records(100)))
    load(con)
    con.close()
    land(home, lines(records(150_000)), LATER)
    process = loader()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after_seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with connect(home / "warehouse" / f"{CODE}.duckdb") as again:
        assert count(again) in (100, 150_100)
        load(again)
        assert rows(again, "_extract_date, count(*), count(distinct _row_number)", tail="group by 1 order by 1") == [
            (dt.date(2026, 9, 1), 100, 100),
            (dt.date(2026, 10, 1), 150_000, 150_000),
        ]
        assert count(again, "raw.files") == 2


def test_the_warehouse_can_be_rebuilt_from_the_landing_files(con: duckdb.DuckDBPyConnection, home: Path) -> None:
    land(home, lines(records(40)))
    land(home, lines(records(45)), LATER)
    load(con)
    before = rows(con, tail="order by _extract_date, _row_number")
    con.close()
    shutil.rmtree(home / "warehouse")
    with connect(home / "warehouse" / f"{CODE}.duckdb") as again:
        load(again)
        assert rows(again, tail="order by _extract_date, _row_number") == before


def test_why_duckdbs_own_cp932_reader_is_not_used(home: Path) -> None:
    from duckdb_extensions import import_extension

    # If this fails, the `encodings` extension was mended: look again at the fast path in extracts/delimited.py.
    path = home / "x.csv"
    path.write_bytes("123,髙橋\r\n".encode("cp932") * 20_000)
    import_extension("encodings")
    with connect(":memory:") as memory:
        memory.execute("load encodings")
        read = memory.execute(
            f"select distinct a from read_csv('{path}', header = false, all_varchar = true, auto_detect = false, "
            "columns = {'a': 'varchar', 'b': 'varchar'}, encoding = 'windows-932-2000')"
        ).fetchall()
    assert read == [("¹²³",)]
