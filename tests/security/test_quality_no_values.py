"""No value of a cell may leave the quality room: results, groups, report, sheets and errors are scanned for plants."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from pathlib import Path

import duckdb
import pytest

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, write_configuration
from kodomo_platform.quality import group_results, html_report, validate
from kodomo_platform.quality.sheets import write_sheets

AS_OF = dt.date(2026, 10, 1)
CODE = "112241"
PLANTS = ("秘密花子", "ヒミツハナコ", "99887766554", "=秘密cmd()", "<b>秘密</b>", "秘密町1-2-3", "秘密の月")


@pytest.fixture
def planted() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(":memory:")
    for schema in ("cfg", "raw", "quality"):
        con.execute(f"create schema {schema}")
    catalog = load_catalog()
    write_configuration(con, load_municipality(CODE), catalog, AS_OF)
    for source in catalog.sources.values():
        names = [item.name for item in source.items]
        items = ", ".join(f'"{name}" varchar' for name in names)
        con.execute(
            f"create table raw.{source.raw_table} ({items}, _municipality varchar, _extract_date date, "
            "_source_file_sha256 varchar, _row_number bigint)"
        )
        for number, plant in enumerate(PLANTS * 2, start=1):
            con.execute(
                f"insert into raw.{source.raw_table} values ({', '.join('?' * (len(names) + 4))})",
                [*[plant] * len(names), CODE, AS_OF, "a" * 64, number],
            )
    return con


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("engine", ["sql", "gx"])
def test_no_planted_value_leaves(
    planted: duckdb.DuckDBPyConnection, tmp_path: Path, engine: str, capfd: pytest.CaptureFixture[str]
) -> None:
    town = load_municipality(CODE)
    results = validate(planted, town, None, "r1", AS_OF, engine=engine)  # type: ignore[arg-type]
    assert any(not result.passed for result in results)
    out = [json.dumps([result.as_dict() for result in results], default=str, ensure_ascii=False)]
    out += [json.dumps(group.metadata, ensure_ascii=False) for group in group_results(results)]
    out.append(html_report(planted, town, "r1", tmp_path / "report.html").read_text(encoding="utf-8"))
    out.append(str(planted.execute("select * from quality.results").fetchall()))
    for sheet in write_sheets(planted, town, AS_OF, tmp_path):
        with zipfile.ZipFile(sheet) as archive:
            out += [archive.read(name).decode("utf-8") for name in archive.namelist()]
    printed = capfd.readouterr()
    out += [printed.out, printed.err]
    for plant in ("秘密", "ヒミツ", "99887766554"):
        assert not any(plant in text for text in out), f"a planted value left by engine {engine}"


def test_report_fetches_nothing_from_outside(planted: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    validate(planted, CODE, None, "r1", AS_OF, engine="sql")
    text = html_report(planted, load_municipality(CODE), "r1", tmp_path / "report.html").read_text(encoding="utf-8")
    for mark in ("http://", "https://", "<script", "@import", "url("):
        assert mark not in text


def test_names_from_files_are_escaped() -> None:
    from kodomo_platform.quality.report import render

    text = render(code="1", name_ja="<img src=x onerror=alert(1)>", name_en='"><script>', results=[])
    assert "<img" not in text
    assert "<script" not in text
