"""No cell of any file we write can run."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.catalog import load_catalog
from kodomo_platform.catalog.export import COLUMNS, export_catalog
from kodomo_platform.cli import main
from kodomo_platform.spreadsheets import neutralise, restore, write_csv, write_xlsx

DANGEROUS = ["=1+1", "+81", "-5", "@SUM(A1)", "\tx", "\rx", "＝1"]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert neutralise(text) == "'" + text


@given(st.text())
def test_no_text_is_left_that_starts_a_formula_and_none_is_lost(text: str) -> None:
    safe = neutralise(text)
    assert isinstance(safe, str)
    assert not safe.startswith(("=", "+", "-", "@", "\t", "\r"))
    if not text.startswith("'"):
        assert restore(safe) == text


def test_numbers_stay_numbers() -> None:
    assert neutralise(-5) == -5


def test_csv(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", ["=h", "b"], [[text, dt.date(2026, 4, 1)] for text in DANGEROUS])
    with file.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][0] == "'=h"
    assert [row[0] for row in rows[1:]] == ["'" + text for text in DANGEROUS]
    assert rows[1][1] == "2026-04-01"


def test_xlsx(tmp_path: Path) -> None:
    file = write_xlsx(tmp_path / "a.xlsx", {"s": (["h"], [["=1+1"], [-5], [None], ["a\x00b"], [True]])})
    sheet = openpyxl.load_workbook(file)["s"]
    cells = [sheet.cell(row, 1) for row in range(1, 7)]
    assert [cell.value for cell in cells] == ["h", "'=1+1", -5, None, "a\ufffdb", True]
    assert all(cell.data_type != "f" for cell in cells)


@pytest.mark.parametrize("ending", ["csv", "xlsx", "json"])
def test_the_catalogue_is_exported_whole(tmp_path: Path, ending: str) -> None:
    catalog = load_catalog()
    file = export_catalog(catalog, tmp_path / f"c.{ending}")
    if ending == "csv":
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.reader(stream))
        assert len(rows) == len(catalog.items) + 1
        assert rows[0] == [title for _, title in COLUMNS]
    elif ending == "xlsx":
        assert openpyxl.load_workbook(file)["データ項目"].max_row == len(catalog.items) + 1
    else:
        assert "education.attendance.absent_days" in file.read_text(encoding="utf-8")


def test_show_keeps_what_stands_in_brackets(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Regression: rich took the evidence's kind for markup and left it out
    monkeypatch.setattr("sys.argv", ["kodomo", "catalog", "show", "education.attendance.absent_days"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "[論文] Kearney" in said
    assert "学校教育法施行規則第25条" in said
    assert "③分析用" in said
