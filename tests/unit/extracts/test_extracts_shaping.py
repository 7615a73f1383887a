"""What a municipality's file can say of columns, on a real load: joined, taken apart, filtered, turned, unpacked."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import archives, create_raw_tables, load_source
from kodomo_platform.extracts.shaping import TRANSFORMS
from kodomo_platform.municipalities import Municipality

DATE = dt.date(2026, 6, 1)


def town(source: str, columns: list[dict[str, Any]], pattern: str = "X_*.csv", **more: Any) -> Municipality:
    """A municipality with one source in UTF-8 CSV."""
    file = {"pattern": pattern, "format": "csv", "encoding": "utf-8"} | more.pop("file", {})
    return Municipality.model_validate(
        {
            "code": "112241",
            "name_ja": "試験市",
            "name_en": "Test",
            "population": 1000,
            "themes": [{"key": "school_refusal", "display_mode": "score", "capacity": 10}],
            "consent": {"rule": "none", "basis": "test"},
            "schedule": {"cron": "0 5 * * 1"},
            "governance": {"roles": {"oversight": "a", "holding": "b", "analysis": "c", "use": "d"}},
            "sources": [{"source": source, "holder": "b", "file": file, "columns": columns, **more}],
        }
    )


def load(
    tmp_path: Path, one: Municipality, content: bytes | str, name: str = "X_1.csv"
) -> tuple[list[tuple[Any, ...]], Any]:
    """Rows as loaded, in the order of the file, and the report."""
    folder = tmp_path / "landing" / one.code / DATE.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    con = duckdb.connect()
    create_raw_tables(con)
    config = one.sources[0]
    report = load_source(
        con, one, config.source, tmp_path / "landing", archive=tmp_path / "archive", today=DATE + dt.timedelta(1)
    )
    table = "raw_" + config.source.replace(".", "__")
    items = ", ".join(config.by_item)
    return con.execute(f"select {items} from raw.{table} order by _row_number").fetchall(), report


REGISTER = "宛名番号,氏名,都道府県,町字,番地,方書,年,月,日,不詳フラグ,不詳表記,最新,履歴,削除"
REGISTER_COLUMNS: list[dict[str, Any]] = [
    {"item": "resident_number", "column": "宛名番号"},
    {"item": "name", "column": "氏名", "transform": ["before_brackets"]},
    {"item": "address", "columns": ["都道府県", "町字", "番地", "方書"], "take": "joined"},
    {
        "item": "birth_date",
        "columns": ["年", "月", "日"],
        "take": "date_parts",
        "unknown_flag": "不詳フラグ",
        "unknown_text": "不詳表記",
    },
]


def test_items_of_several_columns(tmp_path: Path) -> None:
    rows, _ = load(
        tmp_path,
        town("resident.register", REGISTER_COLUMNS),
        f"{REGISTER}\n1,山田 花（旧姓 鈴木）,埼玉県,新曽,1-2,,2016,5,3,0,,1,1,0\n2,林 空,,本町,3,コーポ,平成28,5,3,1,平成28年春,1,1,0\n",
    )
    assert rows == [
        ("1", "山田 花", "埼玉県新曽1-2", "2016-05-03"),
        ("2", "林 空", "本町3コーポ", "平成28年春"),
    ]


def test_a_flag_without_words_leaves_no_deemed_date(tmp_path: Path) -> None:
    columns = [REGISTER_COLUMNS[0], {"item": "birth_date", "column": "日付", "unknown_flag": "不詳"}]
    rows, _ = load(tmp_path, town("resident.register", columns), "宛名番号,日付,不詳\n1,2016-01-01,1\n2,2016-05-03,0\n")
    assert rows == [("1", "不詳"), ("2", "2016-05-03")]


def test_rows_are_filtered_and_counted_apart(tmp_path: Path) -> None:
    rules = [
        {"column": "最新", "keep": ["1"]},
        {"column": "削除", "drop": ["1"]},
        {"latest": "履歴", "of": ["宛名番号"]},
    ]
    rows, report = load(
        tmp_path,
        town("resident.register", [*REGISTER_COLUMNS[:1], {"item": "name", "column": "氏名"}], rows=rules),
        f"{REGISTER}\n1,旧,,,,,,,,,,0,1,0\n1,前,,,,,,,,,,1,9,0\n1,今,,,,,,,,,,1,10,0\n2,消,,,,,,,,,,1,1,1\n3,林,,,,,,,,,,1,1,0\n",
    )
    assert rows == [("1", "今"), ("3", "林")]
    assert (report.rows_in, report.rows_loaded, report.rows_rejected) == (2, 2, 0)
    assert sum("left out" in warning for warning in report.warnings) == 3


def test_first_filled_constants_file_names_and_numbers(tmp_path: Path) -> None:
    columns = [
        {"item": "student_number", "column": "番号"},
        {"item": "guardian_phone", "columns": ["携帯", "自宅"], "take": "first"},
        {"item": "school_code", "from_file_name": "NAMES_{}_*.csv"},
        {"item": "class", "constant": "1"},
        {"item": "grade", "column": "学年", "values": {"小１": "1", "中１": "7"}},
    ]
    rows, _ = load(
        tmp_path,
        town("education.enrolment", columns, "NAMES_*.csv"),
        "番号,携帯,自宅,学年\n1,,048-1,小１\n2,090-2,048-2,中１\n3,,,3\n",
        "NAMES_S01_2026.csv",
    )
    assert rows == [("1", "048-1", "S01", "1", "1"), ("2", "090-2", "S01", "1", "7"), ("3", "", "S01", "1", "3")]


def test_units_commas_and_offsets(tmp_path: Path) -> None:
    columns = [
        {"item": "student_number", "column": "番号"},
        {"item": "school_days", "column": "日数", "unit": "日"},
        {"item": "absent_days", "column": "欠席", "decimal_comma": True},
        {"item": "late_days", "column": "遅刻", "add": 6},
        {"item": "month", "constant": "2026-04"},
    ]
    rows, _ = load(
        tmp_path, town("education.attendance", columns), '番号,日数,欠席,遅刻\n1,20日,"1.200,5",１\n2,,なし,x\n'
    )
    assert rows == [("1", "20", "1200.5", "7", "2026-04"), ("2", "", "なし", "x", "2026-04")]


def test_a_column_per_month_becomes_a_record_per_month(tmp_path: Path) -> None:
    columns = [{"item": "student_number", "column": "番号"}]
    months = {"columns": {"absent_days": "{}月欠席", "late_days": "{}月遅刻"}, "of": [4, 5, 1], "school_year": "年度"}
    header = "番号,年度,4月欠席,4月遅刻,5月欠席,5月遅刻,1月欠席,1月遅刻"
    rows, report = load(
        tmp_path, town("education.attendance", columns, months=months), f"{header}\n1,令和7,1,0,,,2,3\n2,2025,,,4,,,\n"
    )
    # student_number, month, absent, late
    assert rows == [("1", "2025-04", "1", "0"), ("1", "2026-01", "2", "3"), ("2", "2025-05", "4", "")]
    assert report.rows_in == 3


def test_a_missing_column_of_a_made_item_stops_the_file(tmp_path: Path) -> None:
    with pytest.raises(ExtractError, match="方書"):
        load(
            tmp_path,
            town("resident.register", REGISTER_COLUMNS),
            "宛名番号,氏名,都道府県,町字,番地,年,月,日,不詳フラグ,不詳表記\n",
        )


def test_a_file_name_without_the_value_is_told(tmp_path: Path) -> None:
    columns = [{"item": "student_number", "column": "番号"}, {"item": "school_code", "from_file_name": "X_{}_*.csv"}]
    with pytest.raises(ExtractError, match="name holds no value"):
        load(tmp_path, town("education.enrolment", columns), "番号\n1\n")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("before_brackets", "山田 花（ヤマダ ハナ）", "山田 花"),
        ("in_brackets", "山田 花（ヤマダ ハナ）", "ヤマダ ハナ"),
        ("in_brackets", "山田 花", ""),
        ("in_brackets", "山田(ヤマダ", "ヤマダ"),
        ("first_part", "山田　花", "山田"),
        ("other_parts", "MARIA SILVA LOPES", "SILVA LOPES"),
        ("digits", "第１２号", "12"),
        ("one_width", "ﾔﾏﾀﾞ　", "ヤマダ"),
        ("before_colon", "父：090-1", "父"),
        ("behind_colon", "父：090-1", "090-1"),
        ("behind_colon", "090-1", ""),
    ],
)
def test_transformations(name: str, text: str, expected: str) -> None:
    assert TRANSFORMS[name](text) == expected


# ---------------------------------------------------------------------- ZIP

COLUMNS = [{"item": "student_number", "column": "番号"}, {"item": "name", "column": "氏名"}]
CONTENT = "番号,氏名\n1,山田 花\n"


def packed(members: dict[str, str | bytes], **how: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zipped() -> Municipality:
    return town("education.enrolment", COLUMNS, "X_*.zip", file={"zip": {"member": "名簿*.csv"}})


def test_a_packed_extract_is_read_and_nothing_stays_unpacked(tmp_path: Path) -> None:
    content = packed({"名簿1.csv": CONTENT, "readme.txt": "x"})
    rows, report = load(tmp_path, zipped(), content, "X_1.zip")
    assert rows == [("1", "山田 花")]
    assert report.files[0].file_name == "X_1.zip"
    kept = list((tmp_path / "archive" / "112241").iterdir())
    assert len(kept) == 1
    assert kept[0].read_bytes() == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packed({"../名簿1.csv": CONTENT}), "outside"),
        (packed({"/名簿1.csv": CONTENT}), "outside"),
        (packed({"名簿1.csv": CONTENT, "名簿2.csv": CONTENT}), "2 of the archive's 2 files"),
        (packed({"other.csv": CONTENT}), "0 of the archive's 1 files"),
        (packed({f"{number}.csv": "" for number in range(archives.MOST_MEMBERS + 1)}), "holds 501 files"),
        (packed({"名簿1.csv": packed({"名簿1.csv": CONTENT})}), "archive again"),
        (packed({"名簿1.csv": "0" * 60_000_000}, compresslevel=9), "beyond all measure"),
        (b"PK\x03\x04 broken", "no ZIP archive"),
        (packed({"名簿1.csv": CONTENT})[:-30], "no ZIP archive"),
    ],
)  # fmt: skip
def test_an_archive_that_may_do_harm_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ExtractError, match=message):
        load(tmp_path, zipped(), content, "X_1.zip")


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    content = bytearray(packed({"名簿1.csv": CONTENT}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + offset] |= 1
    with pytest.raises(ExtractError, match="encrypted"):
        load(tmp_path, zipped(), bytes(content), "X_1.zip")
