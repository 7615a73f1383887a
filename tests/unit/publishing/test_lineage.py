"""One score walked back: everything asked for is there, and no name."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from rich.console import Console
from typer.testing import CliRunner

from kodomo_platform import operations
from kodomo_platform.cli.lineage import app as lineage_app
from kodomo_platform.cli.snapshots import app as snapshots_app
from kodomo_platform.errors import PublishingError
from kodomo_platform.publishing import lineage, publish
from kodomo_platform.publishing.lineage import render
from tests.unit.publishing.handmade import AS_OF, CODE, FILE, NAME, OLD_FILE, RUN, Town, fill

THEME = "school_refusal"


@pytest.fixture
def published(home: Path) -> Iterator[Path]:
    operations.approve_model(
        CODE,
        THEME,
        "school_refusal_ebm",
        "3",
        "mlrun-9",
        "f" * 64,
        operations.Act("審査 太郎", "基準を満たす", "model approval"),
    )
    with duckdb.connect() as con:
        fill(con)
        snapshot = publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc123")
    (home / "archive" / CODE).mkdir(parents=True)
    (home / "archive" / CODE / FILE).touch()
    yield snapshot.path
    operations.close()


def test_a_score_is_walked_back_to_rows_law_model_and_approval(published: Path) -> None:
    tree = lineage(CODE, "C-1", THEME)
    assert tree.score["score"] == pytest.approx(0.7)
    assert tree.model["mlflow_run_id"] == "mlrun-9"
    assert tree.model["approval"]["by"] == "審査 太郎"
    assert tree.snapshot["verified"]
    first = tree.features[0]
    assert (first.feature, first.value, first.status, first.contribution) == ("absent_rate_3m", 12, "present", 0.8)
    assert "education.attendance" in first.sources
    assert all(item.legal_basis and item.holder and item.purpose for item in first.items)
    absent = tree.features[2]
    assert (absent.value, absent.status) == (None, "not_linked")
    attendance = next(record for record in tree.records if record.source == "education.attendance")
    assert (attendance.match_method, attendance.used) == ("probabilistic", True)
    (rows,) = attendance.files
    assert (rows.file_name, rows.sha256, rows.row_numbers, rows.bytes_kept) == ("kessek.csv", OLD_FILE, [1, 2], False)
    register = next(record for record in tree.records if record.source == "resident.register")
    assert register.files[0].bytes_kept


def test_what_was_decided_since_is_told(published: Path) -> None:
    operations.retire_model(CODE, THEME, operations.Act("審査 太郎", "新しい版に置き換え", "model approval"))
    tree = lineage(CODE, "C-1", THEME, AS_OF)
    assert tree.model["approval"]["reason"] == "基準を満たす"
    assert tree.model["decisions_today"][0]["status"] == "retired"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_tree_is_readable_and_holds_no_name(published: Path, language: str) -> None:
    console = Console(width=200, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(render(lineage(CODE, "C-1", THEME), "ja" if language == "ja" else "en"))
    text = capture.get()
    for expected in ("0.700", "mlrun-9", "審査 太郎", "kessek.csv", "2-3"):
        assert expected in text
    assert ("法的根拠" in text) == (language == "ja")
    assert NAME not in text
    assert "1001" not in text


def test_an_unknown_child_or_theme_is_not_repeated(published: Path) -> None:
    for child, theme in ((NAME, THEME), ("C-1", NAME)):
        with pytest.raises(PublishingError) as caught:
            lineage(CODE, child, theme)
        assert NAME not in str(caught.value)


def test_the_commands_answer_programs(published: Path) -> None:
    runner = CliRunner()
    asked = ["--municipality", CODE, "--child", "C-1", "--theme", THEME, "--as-of", "2026-10-01"]
    answer = json.loads(runner.invoke(lineage_app, [*asked, "--json"]).stdout)
    assert answer["records"][0]["files"][0]["row_numbers"]
    assert "kessek.csv" in runner.invoke(lineage_app, asked).stdout
    assert json.loads(runner.invoke(snapshots_app, ["list", "--json"]).stdout)[0]["is_current"]
    assert runner.invoke(snapshots_app, ["list"]).exit_code == 0
    assert json.loads(runner.invoke(snapshots_app, ["verify", "--json"]).stdout)[0]["sound"]
    (published / "more").touch()
    found = runner.invoke(snapshots_app, ["verify"])
    assert found.exit_code == 1
    assert "このスナップショットのものではありません" in found.stdout


def test_consent_household_and_lines_are_part_of_the_answer(home: Path) -> None:
    con = duckdb.connect()
    fill(con)
    con.execute(
        "update linkage.lnk_child_consent set state = 'given', decided_on = date '2026-04-01', given_by = 'guardian', "
        "route = 'paper', evidence = '同意書12' where child_id = 'C-1'"
    )
    reasons = (
        '[{"item": "education.attendance.late_days", "feature": "household_late_rate_24m", "value": 1, "status": "present", '
        '"contribution": 0.5, "sentence_ja": "x", "sentence_en": "x"}]'
    )
    con.execute("update marts.risk_scores set reasons = ? where child_id = 'C-1'", [reasons])
    publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc123")
    tree = lineage(CODE, "C-1", "school_refusal")
    assert (tree.consent["state"], tree.consent["given_by"], tree.consent["decided_on"]) == (
        "given",
        "guardian",
        "2026-04-01",
    )
    # a reason about the household names the rows of the others' records
    kin = [step for step in tree.records if step.whose == "household"]
    assert [step.source for step in kin] == ["education.attendance"]
    assert kin[0].files[0].row_numbers
    # rows as an editor counts them: below the header
    own = next(step for step in tree.records if step.whose == "own" and step.source == "education.attendance")
    assert [line - row for row, line in zip(own.files[0].row_numbers, own.files[0].line_numbers, strict=True)] == [1, 1]
    con.close()
    text = Console(width=200, file=io.StringIO(), record=True)
    text.print(render(tree))
    shown = text.export_text()
    assert "第69条第2項第1号" in shown
    assert "2026年4月1日" in shown
    assert "保護者" in shown
    assert "同じ世帯のこどもの" in shown
