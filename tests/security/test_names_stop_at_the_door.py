"""The scanner finds what is planted, in every form in which a home keeps things; and a published home holds nothing."""

from __future__ import annotations

import gzip
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.publishing import publish
from tests.security.personal_values import find_personal_values, values_of_csv, values_of_snapshot
from tests.unit.publishing.handmade import AS_OF, RUN, Town, fill

NAME = "﨑山 花子"
VALUES = [NAME, "サキヤマ ハナコ", "戸田市本町1-2-3", "048-123-4567", "10203040506"]


def _parquet(path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(f"copy (select 1 as a, ['x', '{NAME}'] as b) to '{path}' (format parquet, compression zstd)")


def _sqlite(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("create table t (a, b)")
    con.execute("insert into t values (1, ?)", [json.dumps({"name": NAME})])
    con.commit()
    con.close()


def _sqlite_packed(path: Path) -> None:
    con = sqlite3.connect(path)
    con.execute("create table t (a)")
    con.execute("insert into t values (?)", [gzip.compress(NAME.encode())])
    con.commit()
    con.close()


def _duckdb(path: Path) -> None:
    with duckdb.connect(str(path)) as con:
        con.execute(f"create table t as select '{NAME}' as a from range(5000)")


def _xlsx(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/sharedStrings.xml", f"<t>{NAME}</t>")


def _gz_in_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("logs/a.log.gz", gzip.compress(f"x {NAME} y".encode()))


PLANTS: dict[str, Callable[[Path], None]] = {
    "published/112241/2026-10-01/v0001-0123456789ab/child_features.parquet": _parquet,
    "mlflow/mlflow.db": _sqlite,
    "dagster/history/runs.db": _sqlite_packed,
    "reports/112241/quality.duckdb": _duckdb,
    "reports/112241/sheet.xlsx": _xlsx,
    "dagster/storage/logs.zip": _gz_in_zip,
    "reports/112241/quality.html": lambda path: path.write_text(f"<td>{NAME}</td>", encoding="utf-8") and None,
    "reports/112241/entities.html": lambda path: path.write_text("".join(f"&#{ord(c)};" for c in NAME)) and None,
    "reports/cp932.csv": lambda path: path.write_bytes(f"a,{NAME}\r\n".encode("cp932")) and None,
    "reports/utf16.csv": lambda path: path.write_bytes(f"a,{NAME}\r\n".encode("utf-16")) and None,
    "reports/escaped.json": lambda path: path.write_text(json.dumps([NAME])) and None,
    "logs/run.log": lambda path: path.write_text(NAME.replace(" ", ""), encoding="utf-8") and None,
    "logs/run.log.gz": lambda path: path.write_bytes(gzip.compress(NAME.encode())) and None,
}


@pytest.mark.parametrize("place", PLANTS)
def test_a_planted_name_is_found(tmp_path: Path, place: str) -> None:
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    PLANTS[place](path)
    found = find_personal_values(tmp_path, VALUES)
    assert found
    assert {one.which for one in found} == {0}
    assert all(one.where.startswith(place) for one in found)


def test_numbers_and_phones_are_found_as_whole_words(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("phone 0481234567 id=10203040506;")
    (tmp_path / "b.log").write_text("hash a10203040506f, count 102030405061, 0.10203040506")
    assert [(one.where, one.which) for one in find_personal_values(tmp_path, VALUES)] == [("a.log", 3), ("a.log", 4)]


def test_a_value_across_two_blocks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.security.personal_values._BLOCK", 64)
    (tmp_path / "a.log").write_bytes(b"x" * 60 + NAME.encode() + b"y" * 200)
    assert [one.which for one in find_personal_values(tmp_path, VALUES)] == [0]


def test_a_name_of_a_file_is_found(tmp_path: Path) -> None:
    (tmp_path / f"report_{NAME}.html").write_text("")
    assert [one.which for one in find_personal_values(tmp_path, VALUES)] == [0]


def test_the_identity_zone_is_left_alone_but_its_neighbours_are_not(tmp_path: Path) -> None:
    for place in ("published/1/2026-10-01/v1/child_register.parquet", "landing/1/2026-10-01/a.csv"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(NAME, encoding="utf-8")
    assert find_personal_values(tmp_path, VALUES) == []
    assert len(find_personal_values(tmp_path, VALUES, allowed=())) == 2


def test_values_that_stand_anywhere_by_chance_are_refused(tmp_path: Path) -> None:
    for value in ("森", "12345", "1-2-3"):
        with pytest.raises(ValueError, match="too short"):
            find_personal_values(tmp_path, [value])


def test_values_are_taken_from_a_landed_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"番号,氏名\n10203040506,{NAME}\n7,森\n", encoding="cp932")
    assert values_of_csv(tmp_path / "a.csv", ["番号", "氏名"], "cp932") == sorted(["10203040506", NAME])


def test_a_published_home_holds_names_in_the_identity_zone_alone(home: Path) -> None:
    with duckdb.connect() as con:
        fill(con)
        snapshot = publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc")
    values = values_of_snapshot(snapshot.path)
    assert "048-000-0000" in values
    assert find_personal_values(home, values) == []
