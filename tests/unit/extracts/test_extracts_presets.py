"""Presets: an invented town whose systems write the national layouts, loaded; and what a roster may not be."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pytest

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts import create_raw_tables, load_source
from kodomo_platform.extracts.roster import NEEDED
from kodomo_platform.municipalities import Municipality, check_file, load_file
from kodomo_platform.municipalities.checking import unverified_presets
from kodomo_platform.municipalities.presets import preset_names, read_preset

TOWN = Path(__file__).parents[3] / "docs" / "examples" / "479985.yaml"
DATE = dt.date(2026, 6, 1)


def key(name: str) -> str:
    """A UUID (version 4) that a name always gets."""
    return str(uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_URL, name).bytes, version=4))


def roster(profile: str = "1.2_JP") -> dict[str, list[dict[str, str]]]:
    """A small roster: a school, a class, two pupils and a teacher."""
    number = "metadata.jp.shussekiNo" if profile == "1.2_JP" else "metadata.jp.ShussekiNo"
    files = dict.fromkeys(("academicSessions", "courses", "userProfiles", "results"), "absent")
    whole = {"status": "", "dateLastModified": ""}
    users = []
    for name, family, given, identifier, grades in (
        ("p1", "山田", "花", "1001", "P3"),
        ("p2", "林", "空", "1002", "J1"),
        ("t1", "森", "海", "", ""),
    ):
        users.append(
            {"sourcedId": key(name), **whole, "enabledUser": "true", "givenName": given, "familyName": family,
             "middleName": "", "identifier": identifier, "email": "x@example.jp", "grades": grades, "password": "secret",
             "userMasterIdentifier": key("m" + name), "primaryOrgSourcedId": key("school"),
             "metadata.jp.kanaGivenName": "ハナ", "metadata.jp.kanaFamilyName": "ヤマダ",
             "metadata.jp.homeClass": key("class") if name != "t1" else ""}
        )  # fmt: skip
    return {
        "manifest": [
            {"propertyName": "manifest.version", "value": "1.0"},
            {"propertyName": "oneroster.version", "value": profile},
            *({"propertyName": f"file.{name}", "value": mode} for name, mode in files.items()),
            *({"propertyName": f"file.{name}", "value": "bulk"} for name in NEEDED),
        ],
        "orgs": [
            {"sourcedId": key("school"), **whole, "name": "架空小学校", "type": "school", "identifier": "B147210000017"}
        ],
        "users": users,
        "roles": [
            {"sourcedId": key("r" + name), **whole, "userSourcedId": key(name), "roleType": "primary", "role": role,
             "orgSourcedId": key("school")}
            for name, role in (("p1", "student"), ("p2", "student"), ("t1", "teacher"))
        ],
        "demographics": [
            {"sourcedId": key("p1"), **whole, "birthDate": "2017-05-03", "sex": "female", "asian": "true"},
            {"sourcedId": key("p2"), **whole, "birthDate": "2013-08-09", "sex": "unspecified", "asian": "NULL"},
        ],
        "classes": [
            {"sourcedId": key("class"), **whole, "title": "3年1組", "classType": "homeroom",
             "schoolSourcedId": key("school")}
        ],
        "enrollments": [
            {"sourcedId": key("e" + name), **whole, "classSourcedId": key("class"), "schoolSourcedId": key("school"),
             "userSourcedId": key(name), "role": "student", "beginDate": "2026-04-01", "endDate": "", number: "7"}
            for name in ("p1", "p2")
        ],
    }  # fmt: skip


def packed(tables: dict[str, list[dict[str, str]]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, rows in tables.items():
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            archive.writestr(f"{name}.csv", text.getvalue())
    return buffer.getvalue()


@pytest.fixture(scope="module")
def town() -> Municipality:
    return load_file(TOWN)


def load(
    tmp_path: Path, town: Municipality, source: str, name: str, content: bytes
) -> tuple[list[tuple[Any, ...]], Any]:
    folder = tmp_path / "landing" / town.code / DATE.isoformat()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    con = duckdb.connect()
    create_raw_tables(con)
    report = load_source(con, town, source, tmp_path / "landing", archive=tmp_path / "archive", today=DATE)
    items = ", ".join(f'"{item}"' for item in town.by_source[source].by_item)
    rows = con.execute(f"select {items} from raw.raw_{source.replace('.', '__')} order by _row_number").fetchall()
    return rows, report


def test_the_shipped_town_is_short_and_without_fault(town: Municipality) -> None:
    assert len(TOWN.read_text(encoding="utf-8").splitlines()) < 60
    assert check_file(TOWN) == []
    assert [name for name in preset_names() if read_preset(name)["status"] not in ("verified", "unverified")] == []
    unverified = {preset for _, preset, _ in unverified_presets(town)}
    assert unverified == {"resident_register", "public_assistance", "physical_disability", "infant_checkup_record"}


@pytest.mark.parametrize("profile", ["1.2_JP", "1.2.1", "1.2"])
def test_a_roster_is_one_row_per_pupil(tmp_path: Path, town: Municipality, profile: str) -> None:
    rows, report = load(tmp_path, town, "education.enrolment", "oneroster.zip", packed(roster(profile)))
    config = town.by_source["education.enrolment"]
    named = [dict(zip(config.by_item, row, strict=True)) for row in rows]
    assert named[0] == {
        "student_number": "1001", "name": "山田 花", "name_kana": "ヤマダ ハナ", "birth_date": "2017-05-03",
        "sex": "female", "school_code": "B147210000017", "grade": "3", "class": "3年1組", "enrolled_on": "2026-04-01",
        "left_on": "",
    }  # fmt: skip
    assert [row["grade"] for row in named] == ["3", "7"]
    assert {"asian", "password"} <= {column.header for column in report.dropped_columns}
    kept = list((tmp_path / "archive" / town.code).iterdir())
    assert len(kept) == 1


def _changed(change: str) -> dict[str, list[dict[str, str]]]:
    tables = roster()
    if change == "lies":
        tables["users"][0]["status"] = "tobedeleted"
    elif change == "missing":
        del tables["classes"]
    elif change == "unannounced":
        tables["manifest"] = [row for row in tables["manifest"] if row["propertyName"] != "file.users"]
    elif change == "twice":
        tables["users"][1]["sourcedId"] = tables["users"][0]["sourcedId"]
    elif change == "no uuid":
        tables["enrollments"][0]["sourcedId"] = "E1"
    elif change == "reference":
        tables["enrollments"][0]["classSourcedId"] = key("elsewhere")
    elif change == "delta":
        for row in tables["manifest"]:
            row["value"] = "delta" if row["propertyName"] == "file.users" else row["value"]
    elif change == "version":
        tables["manifest"][1]["value"] = "2.0"
    elif change == "column":
        for row in tables["demographics"]:
            del row["birthDate"]
    elif change == "no manifest":
        del tables["manifest"]
    return tables


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("lies", "whole .bulk., but 1 of its 3 rows are changes"),
        ("missing", "classes.csv is there, and it is missing"),
        ("unannounced", "does not say that users.csv is there"),
        ("twice", "stand there twice"),
        ("no uuid", "are none"),
        ("reference", "classes.csv does not hold"),
        ("delta", "changes only"),
        ("version", "unknown version"),
        ("column", "lacks columns: birthDate"),
        ("no manifest", "no manifest"),
    ],
)
def test_a_roster_that_cannot_be_trusted_is_refused(
    tmp_path: Path, town: Municipality, change: str, message: str
) -> None:
    with pytest.raises(ExtractError, match=message) as caught:
        load(tmp_path, town, "education.enrolment", "oneroster.zip", packed(_changed(change)))
    assert "山田" not in str(caught.value)


def test_the_register_of_a_standard_system(tmp_path: Path, town: Municipality) -> None:
    columns = [header for column in town.by_source["resident.register"].columns for header in column.headers]
    columns = [*dict.fromkeys(columns), "最新フラグ", "履歴番号", "国籍名等"]
    person = dict.fromkeys(columns, "") | {
        "宛名番号": "000000000000019", "世帯番号": "1", "氏名": "山田　花", "性別": "2", "生年月日": "2017-05-03",
        "続柄表記": "子", "住所_都道府県": "沖縄県", "住所_市区郡町村名": "しおさい町", "住所_町字": "本町",
        "住所_番地号表記": "1-2", "最新フラグ": "1", "履歴番号": "2", "国籍名等": "日本",
    }  # fmt: skip
    old = person | {"最新フラグ": "0", "履歴番号": "1"}
    unsure = person | {
        "宛名番号": "2", "氏名": "", "氏名_外国人ローマ字": "SILVA MARIA", "生年月日": "2017-01-01", "生年月日_不詳フラグ": "1",
        "生年月日_不詳表記": "平成29年春",
    }  # fmt: skip
    text = io.StringIO()
    writer = csv.DictWriter(text, columns)
    writer.writeheader()
    writer.writerows([old, person, unsure])
    rows, report = load(tmp_path, town, "resident.register", "001o006_1.csv", text.getvalue().encode())
    named = [dict(zip(town.by_source["resident.register"].by_item, row, strict=True)) for row in rows]
    assert [row["name"] for row in named] == ["山田　花", "SILVA MARIA"]
    assert named[0]["address"] == "沖縄県 しおさい町 本町 1-2"
    assert named[1]["birth_date"] == "平成29年春"
    assert "国籍名等" in {column.header for column in report.dropped_columns}


def test_attendance_by_month_and_a_constant(tmp_path: Path, town: Municipality) -> None:
    months = town.by_source["education.attendance"].months
    assert months is not None
    header = ["学籍番号", "年度", *months.headers()]
    cells = {"学籍番号": "1001", "年度": "2025", "4月出席すべき日数": "18", "4月欠席": "1", "1月欠席": "3"}
    text = io.StringIO()
    writer = csv.DictWriter(text, header, restval="")
    writer.writeheader()
    writer.writerow(cells)
    rows, _ = load(tmp_path, town, "education.attendance", "出欠_A.csv", text.getvalue().encode("cp932"))
    assert [row[1] for row in rows] == ["2025-04", "2026-01"]
    content = "宛名番号,健診受診日,判定\n1,2026-05-01,要観察\n".encode()
    rows, _ = load(tmp_path, town, "health.infant_checkup", "3歳児健診_1.csv", content)
    assert rows == [("y3", "1", "2026-05-01", "要観察")]


@pytest.mark.parametrize(
    ("find", "replace", "message"),
    [
        ("preset: physical_disability", "preset: physical_disabilty", "unknown preset"),
        ("preset: physical_disability", "preset: public_assistance", "stands here twice"),
        (
            "preset: public_assistance",
            "preset: public_assistance\n    source: welfare.disability",
            "the preset is one of",
        ),
        ("{item: checkup, constant: y3}", "{item: checkupp, constant: y3}", "unknown item 'checkupp'"),
    ],
)
def test_faults_about_presets_name_their_line(tmp_path: Path, find: str, replace: str, message: str) -> None:
    text = TOWN.read_text(encoding="utf-8")
    assert find in text
    file = tmp_path / TOWN.name
    file.write_text(text.replace(find, replace), encoding="utf-8")
    faults = [fault for fault in check_file(file) if message in fault.message]
    assert faults
    assert all(fault.line and fault.line > 20 for fault in faults)
