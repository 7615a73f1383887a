"""cfg tables on a real DuckDB, onboarding into a real home, and the commands."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kodomo_platform.catalog import load_catalog
from kodomo_platform.cli.catalog import app as catalog_app
from kodomo_platform.cli.municipality import app as municipality_app
from kodomo_platform.errors import MunicipalityError
from kodomo_platform.municipalities import load_municipality, municipality_codes, onboard, write_configuration
from kodomo_platform.municipalities.loading import SHIPPED
from kodomo_platform.warehouse import connect, create_schemas

AS_OF = dt.date(2026, 10, 1)


def _new_municipality(tmp_path: Path) -> Path:
    """千代田区's code on 府中町's file: a municipality that nobody shipped."""
    text = (SHIPPED / "343021.yaml").read_text(encoding="utf-8")
    file = tmp_path / "new.yaml"
    file.write_text(text.replace("'343021'", "'131016'").replace("府中町", "千代田区"), encoding="utf-8")
    return file


def test_configuration_tables(home: Path) -> None:
    catalog = load_catalog()
    con = connect(":memory:")
    create_schemas(con)
    earlier = dt.date(2025, 10, 1)
    for _ in range(2):  # written anew by every run
        write_configuration(con, load_municipality("112241"), catalog, AS_OF, train_as_of=[earlier, earlier])
    assert con.sql("select * from cfg.run").fetchall() == [("112241", AS_OF)]
    assert con.sql("select * from cfg.as_of order by 1").fetchall() == [(earlier, "train"), (AS_OF, "score")]
    assert con.sql("select count(*), count(*) filter (held) from cfg.source").fetchall() == [(25, 14)]
    assert con.sql("select count(*) from cfg.item").fetchall() == [(len(catalog.items),)]
    assert con.sql(
        "select date_style, era_codes from cfg.item where item = 'birth_date' and held order by 1"
    ).fetchall()
    assert con.sql(
        "select token from cfg.null_token where source = 'resident.register' and item = 'name' order by 1"
    ).fetchall() == [("",), ("99999999",)]
    assert con.sql(
        "select local_code, code from cfg.code_map where source = 'resident.register' and item = 'sex' order by 1"
    ).fetchall() == [
        ("1", "male"), ("2", "female"), ("9", "unknown"),
        ("female", "female"), ("male", "male"), ("unknown", "unknown"),
    ]  # fmt: skip
    # a source that is not held still has its rows, so that models need no exception
    assert con.sql("select held, system_start from cfg.source where source = 'medical.flag'").fetchall() == [
        (False, None)
    ]


def test_onboarding(home: Path, tmp_path: Path) -> None:
    assert "131016" not in municipality_codes()
    assert onboard(_new_municipality(tmp_path)).name_ja == "千代田区"
    assert "131016" in municipality_codes()
    assert load_municipality("131016").by_source["welfare.case"].file.format == "xlsx"
    assert [file.name for file in (home / "municipalities").iterdir()] == ["131016.yaml"]


def test_a_wrong_file_changes_nothing(home: Path, tmp_path: Path) -> None:
    file = _new_municipality(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("'131016'", "'131017'"), encoding="utf-8")
    with pytest.raises(MunicipalityError, match="check digit"):
        onboard(file)
    assert not (home / "municipalities").exists()


def test_a_file_under_another_name_is_refused(home: Path, tmp_path: Path) -> None:
    onboard(_new_municipality(tmp_path))
    (home / "municipalities" / "131016.yaml").rename(home / "municipalities" / "131024.yaml")
    with pytest.raises(MunicipalityError, match="differ"):
        load_municipality("131024")


def test_check_command(home: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(municipality_app, ["check", str(SHIPPED / "401307.yaml")]).exit_code == 0
    file = tmp_path / "bad.yaml"
    file.write_text("code: '112242'\ncolour: red\n", encoding="utf-8")
    result = runner.invoke(municipality_app, ["check", str(file)])
    assert result.exit_code == 1
    assert "bad.yaml:1: code: 検査数字が違います。正しくは 112241 です" in result.output
    assert "bad.yaml:2: colour: 使えないキー `colour` です" in result.output
    rows = json.loads(runner.invoke(municipality_app, ["check", str(file), "--json"]).output)
    assert {row["line"] for row in rows} >= {1, 2}


def test_list_commands(home: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    rows = json.loads(runner.invoke(municipality_app, ["list", "--json"]).output)
    assert [row["code"] for row in rows] == municipality_codes()
    items = json.loads(runner.invoke(catalog_app, ["list", "--json", "--domain", "survey"]).output)
    assert {item["source"] for item in items} == {"survey.wellbeing"}
    assert "最重度" in runner.invoke(catalog_app, ["show", "welfare.case.severity"]).output
    assert runner.invoke(catalog_app, ["export", str(tmp_path / "c.xlsx")]).exit_code == 0
    assert runner.invoke(catalog_app, ["export", str(tmp_path / "c.doc")]).exit_code != 0
    assert '"$defs"' in runner.invoke(municipality_app, ["schema"]).output


def test_local_codes_are_found_whichever_character_a_decoder_writes(tmp_path: Path) -> None:
    # Regression: a local code of 「3〜4か月児健診」 met the text 「3～4か月児健診」 and a third of the check-ups was unreadable
    con = connect(tmp_path / "town.duckdb")
    create_schemas(con)
    write_configuration(con, load_municipality("172065"), load_catalog(), AS_OF)
    rows = con.execute(
        "select local_code from cfg.code_map where source = 'health.infant_checkup' and item = 'checkup' and code = 'm4'"
    ).fetchall()
    con.close()
    assert {code for (code,) in rows} >= {"m4", "3〜4か月児健診", "3～4か月児健診"}
