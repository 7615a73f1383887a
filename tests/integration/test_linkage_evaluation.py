"""Linkage measured against truths that do and do not fit; the report holds values only when asked for."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from kodomo_platform import operations
from kodomo_platform.cli.evaluate import app
from kodomo_platform.errors import LinkageError
from kodomo_platform.linkage.evaluation import evaluate
from kodomo_platform.settings import get_settings
from tests.integration import linked_town as town

pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")
CHILDREN = 60


@pytest.fixture
def linked(home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    path = get_settings().warehouse(town.CODE)
    path.parent.mkdir(parents=True, exist_ok=True)
    con = duckdb.connect(str(path))
    town.empty_town(con)
    twins = [
        town.identity(source, record + str(place), 70, name_match=f"佐藤{given}", given_match=given, kana_match="サトウ" + kana,
                      given_kana_match=kana, household_number="HT", resident_number=f"t{place}")
        for place, (given, kana) in enumerate((("海", "カイ"), ("空", "ソラ")))
        for source, record in ((town.REGISTER, "t"), (town.SCHOOL, "st"))
    ]  # fmt: skip
    adult = town.identity(town.REGISTER, "a1", 5, birth_date=date(1985, 2, 2), relationship="head")
    town.write_identity(con, [*town.people(CHILDREN), *twins, adult])
    town.link(con)
    town.finish(con)
    yield con
    con.close()
    operations.close()


def truth_rows() -> list[dict[str, str]]:
    rows = [
        {"source": row["source"], "source_record_id": row["source_record_id"], "person_id": f"P{row['_row_number']}"}
        for row in town.people(CHILDREN)
    ]
    return rows + [
        {"source": source, "source_record_id": f"{record}{place}", "person_id": f"T{place}"}
        for place in (0, 1)
        for source, record in ((town.REGISTER, "t"), (town.SCHOOL, "st"))
    ]


def write_truth(path: Path, rows: list[dict[str, str]], *, encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_truth_without_tags_gives_kinds_read_from_the_records(linked: Any, tmp_path: Path) -> None:
    found = evaluate(linked, write_truth(tmp_path / "truth.csv", truth_rows()))
    pairwise = found["pairwise"]
    assert (pairwise["precision"], pairwise["fp"]) == (1.0, 0)
    assert pairwise["recall"] > 0.9
    assert pairwise["tp"] + pairwise["fn"] == 60 + 2 + 20 + 20  # register–school, twins, register– and school–hospital
    assert pairwise["precision_ci95"][0] < 1.0 == pairwise["precision_ci95"][1]
    assert found["types_from"] == "records"
    assert {"twin", "moved", "no_kana", "no_address", "no_birth_date"} <= set(found["by_type"])
    assert found["cluster"]["false_merges"] == 0
    assert found["counts"]["linked_records_not_in_truth"] == 0


def test_a_wrong_truth_shows_as_false_pairs_and_splits(linked: Any, tmp_path: Path) -> None:
    rows = truth_rows()
    first, second = (next(row for row in rows if row["source_record_id"] == name) for name in ("s1", "s2"))
    first["person_id"], second["person_id"] = second["person_id"], first["person_id"]
    before = evaluate(linked, write_truth(tmp_path / "right.csv", truth_rows()))
    after = evaluate(linked, write_truth(tmp_path / "wrong.csv", rows))
    assert after["pairwise"]["fp"] == 2
    assert after["pairwise"]["fn"] == before["pairwise"]["fn"] + 2
    assert after["cluster"]["false_merges"] == 2


def test_a_truth_that_does_not_fit_is_counted_not_refused(linked: Any, tmp_path: Path) -> None:
    rows = [row | {"note": "x", "tags": "own_kind" if row["source_record_id"] == "s1" else ""} for row in truth_rows()]
    blank = {"note": "", "tags": ""}
    rows += [
        {"source": town.SCHOOL, "source_record_id": "never-loaded", "person_id": "P1"} | blank,
        {"source": "library.card", "source_record_id": "9", "person_id": "P9"} | blank,
        {"source": town.SCHOOL, "source_record_id": "s2", "person_id": "P999"} | blank,  # two people for one record
        {"source": town.SCHOOL, "source_record_id": "s3", "person_id": ""} | blank,  # beside a row that tells one
        {"source": town.SCHOOL, "source_record_id": "unknown", "person_id": ""} | blank,
        {"source": town.REGISTER, "source_record_id": "a1", "person_id": "ADULT"} | blank,
        dict(rows[0]),
    ]
    found = evaluate(linked, write_truth(tmp_path / "truth.txt", rows, encoding="utf-8-sig"))
    counts = found["counts"]
    assert counts["truth_rows"] == len(rows)
    assert counts["truth_records_of_two_people"] == 1
    assert counts["truth_records_incomplete"] == 1
    assert counts["truth_records_of_adults"] == 1
    assert counts["records_without_child_id"] == 2
    assert counts["linked_records_not_in_truth"] == 1  # s2
    assert found["types_from"] == "tags"
    assert "own_kind" in found["by_type"]
    assert found["pairwise"]["fp"] == 0


def test_parquet_of_other_types_is_read(linked: Any, tmp_path: Path) -> None:
    rows = truth_rows()
    numbers = {person: at for at, person in enumerate(sorted({row["person_id"] for row in rows}))}
    table = pa.table(
        {
            "person_id": pa.array([numbers[row["person_id"]] for row in rows], pa.int32()),
            "SOURCE": pa.array([row["source"] for row in rows]).dictionary_encode(),
            "source_record_id": [row["source_record_id"] for row in rows],
        }
    )
    pq.write_table(table, tmp_path / "truth.pq")
    by_csv = evaluate(linked, write_truth(tmp_path / "truth.csv", rows))
    assert evaluate(linked, tmp_path / "truth.pq")["pairwise"] == by_csv["pairwise"]


@pytest.mark.parametrize("text", ["", "source,person_id\na,b\n", "source,source_record_id,person_id\n", "PAR1 broken"])
def test_a_truth_that_cannot_be_used_is_refused(linked: Any, tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.csv").write_text(text, encoding="utf-8")
    with pytest.raises(LinkageError, match="truth"):
        evaluate(linked, tmp_path / "truth.csv")


def test_the_report_holds_values_only_when_asked_for(linked: Any, home: Path, tmp_path: Path) -> None:
    rows = truth_rows()
    rows[1]["person_id"] = "P-other"
    truth = write_truth(tmp_path / "truth.csv", rows)
    linked.close()
    command = ["linkage", "--municipality", town.CODE, "--truth", str(truth), "--home", str(home)]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.output)
    assert {"precision", "recall", "f1", "tp", "fp", "fn"} <= set(printed["pairwise"]) & set(printed["cluster"])
    assert {"count", "true"} <= set(printed["queue"])
    report = Path(printed["report"])
    text = report.read_text(encoding="utf-8")
    shown = CliRunner().invoke(app, [*command, "--show-values", "--out", str(tmp_path / "values.html")])
    assert shown.exit_code == 0, shown.output
    with_values = (tmp_path / "values.html").read_text(encoding="utf-8")
    names = [surname + given for surname in town.SURNAMES for given in town.GIVEN]
    assert not any(name in text + done.output + shown.output for name in names)
    assert any(name in with_values for name in names)
    assert (tmp_path / "values.html").stat().st_mode & 0o077 == 0


def test_an_unlinked_warehouse_is_a_plain_error(home: Path, tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "truth.csv", truth_rows())
    with duckdb.connect() as con, pytest.raises(LinkageError, match="nothing was linked"):
        evaluate(con, truth)
