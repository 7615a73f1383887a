"""What a municipality's file leaves out is told per theme, before anything runs."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from kodomo_platform.cli.municipality import app
from kodomo_platform.municipalities import check_file, load_file, load_municipality
from kodomo_platform.municipalities.loading import SHIPPED
from kodomo_platform.scoring.inputs import missing_inputs

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "479985.yaml"


def without(tmp_path: Path, code: str, line: str) -> Path:
    """The pilot's file without the line that holds ``line``."""
    lines = (SHIPPED / f"{code}.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [one for one in lines if line not in one]
    assert len(kept) == len(lines) - 1
    file = tmp_path / f"{code}.yaml"
    file.write_text("".join(kept), encoding="utf-8")
    return file


def test_a_column_that_features_need_is_named_per_theme(tmp_path: Path) -> None:
    whole = {(one.theme, one.source, one.item) for one in missing_inputs(load_municipality("401307"))}
    file = without(tmp_path, "401307", "{item: due_on, column: 受診予定日}")
    assert check_file(file) == []
    added = {(one.theme, one.source, one.item) for one in missing_inputs(load_file(file))} - whole
    assert added
    assert {(source, item) for _, source, item in added} == {("health.infant_checkup", "due_on")}
    shown = CliRunner().invoke(app, ["check", str(file), "--home", str(tmp_path / "home")])
    assert shown.exit_code == 0
    assert "health.infant_checkup.due_on" in shown.output


def test_a_source_that_is_not_held_is_no_omission() -> None:
    town = load_file(EXAMPLE)
    assert {one.source for one in missing_inputs(town)} <= set(town.by_source)


def test_a_register_without_birth_dates_is_a_fault(tmp_path: Path) -> None:
    file = without(tmp_path, "282022", "{item: birth_date, position: 7}")
    assert any("nobody is known to be a child" in fault.message for fault in check_file(file))
