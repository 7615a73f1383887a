"""A trial of files says what a run would meet, publishes nothing, and shows nobody's data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kodomo_platform.cleansing.trial import try_files
from kodomo_platform.cli.municipality import app
from kodomo_platform.errors import ExtractError
from kodomo_platform.municipalities import load_file

TOWN = Path(__file__).parents[3] / "docs" / "examples" / "479985.yaml"
CHECKUPS = "宛名番号,健診受診日,判定\n1,2026-05-01,要観察\n2,2026/5/2,未受診\n3,なし,健康\n4,,\n"


def files(tmp_path: Path) -> list[Path]:
    checkups = tmp_path / "3歳児健診_1.csv"
    checkups.write_text(CHECKUPS, encoding="utf-8")
    broken = tmp_path / "生活保護_1.csv"
    broken.write_text("宛名番号,開始\n1,山田花子\n", encoding="utf-8")
    other = tmp_path / "memo.txt"
    other.write_text("x", encoding="utf-8")
    return [checkups, broken, other]


def test_rows_blanks_unreadable_and_unknown_codes(tmp_path: Path) -> None:
    trial = try_files(load_file(TOWN), files(tmp_path))
    second, first = trial.sources
    assert (first.source, first.rows_in, first.rows_loaded) == ("health.infant_checkup", 4, 4)
    items = {item.item: item for item in first.items}
    assert (items["checked_on"].filled, items["checked_on"].blank, items["checked_on"].unreadable) == (3, 1, 1)
    assert items["result"].unknown_codes == ("未受診",)
    assert (items["checkup"].filled, items["checkup"].unreadable) == (4, 0)
    assert second.refused is not None
    assert trial.unmatched == ("memo.txt",)
    with pytest.raises(ExtractError, match="no such file"):
        try_files(load_file(TOWN), [tmp_path / "missing.csv"])


def test_the_command_prints_one_table_per_source_and_nobodys_data(tmp_path: Path) -> None:
    home = tmp_path / "home"
    arguments = ["try", str(TOWN), *map(str, files(tmp_path)), "--home", str(home)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 1  # one source refused
    assert "未受診" in shown.output
    assert "山田" not in shown.output
    as_json = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).output)
    assert [source["source"] for source in as_json["sources"]] == ["welfare.public_assistance", "health.infant_checkup"]
    assert not list(home.rglob("*.duckdb"))
