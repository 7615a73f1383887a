"""A draft says how delivered files are read and which column is which item, and holds nobody's data."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kodomo_platform.errors import ExtractError
from kodomo_platform.extracts.drafting import draft_file, draft_text

REGISTER = "宛名番号,世帯番号,氏名,フリガナ,生年月日,性別,住所,国籍\n" + "".join(
    f"{n:08},{n // 3},山田 花{n},ヤマダ ハナ,H28.5.{n % 28 + 1},{'男' if n % 2 else '女'},新曽{n},日本\n"
    for n in range(40)
)


def test_columns_styles_and_codes_are_proposed(tmp_path: Path) -> None:
    file = tmp_path / "JUKI_20261001.csv"
    file.write_bytes(REGISTER.encode("cp932"))
    text = draft_text([draft_file(file)])
    (source,) = yaml.safe_load(text)["sources"]
    assert source["source"] == "resident.register"
    assert source["file"] == {"pattern": "JUKI_*.csv", "format": "csv", "encoding": "cp932"}
    assert source["dates"] == {"style": "wareki_dot"}
    assert {column["item"]: column["column"] for column in source["columns"]} == {
        "resident_number": "宛名番号", "household_number": "世帯番号", "name": "氏名", "name_kana": "フリガナ",
        "birth_date": "生年月日", "sex": "性別", "address": "住所",
    }  # fmt: skip
    assert source["code_maps"]["sex"] == {"女": "female", "男": "male"}
    assert "山田" not in text
    assert "新曽" not in text
    assert "国籍" in text


def test_what_cannot_be_told_is_a_question(tmp_path: Path) -> None:
    fixed = tmp_path / "A.txt"
    fixed.write_bytes("00000001山田花子\n00000002林空\n".encode("cp932"))
    text = draft_text([draft_file(fixed)])
    assert "# ? header: false? format: fixed?" in text
    assert "山田" not in text
    with pytest.raises(ExtractError, match="no such file"):
        draft_file(tmp_path / "none.csv")
