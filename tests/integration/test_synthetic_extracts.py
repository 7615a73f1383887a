"""What a twin writes can be read back, is the same every time, and agrees with its truth."""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from kodomo_platform.cli import main
from kodomo_platform.errors import UsageError
from kodomo_platform.municipalities import load_municipality, municipality_codes, write_configuration
from kodomo_platform.synthetic import generate

RECORD_KINDS = {"short_row", "long_row", "undecodable_bytes", "truncated_character", "nul_byte"}


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.mark.parametrize("code", municipality_codes()[:7])
def test_every_pilot_reads_back_with_the_rejects_that_the_truth_names(code: str, home: Path, tmp_path: Path) -> None:
    from kodomo_platform.catalog import load_catalog
    from kodomo_platform.extracts import load_source
    from kodomo_platform.warehouse import connect, create_schemas

    place = load_municipality(code)
    out, truth = tmp_path / "landing", tmp_path / "truth"
    report = generate(place, 300, 14, 7, "bad", out, truth)
    con = connect(tmp_path / "w.duckdb")
    create_schemas(con)
    write_configuration(con, place, load_catalog(), date(2026, 10, 1))
    expected: dict[str, set[int]] = {}
    for row in _rows(truth / "faults.csv"):
        if row["kind"] in RECORD_KINDS:
            expected.setdefault(row["source"], set()).add(int(row["row_number"]))
    for config in place.sources:
        loaded = load_source(con, place, config.source, out)
        assert loaded.rows_in == report.rows[config.source], config.source
        found = {
            r[0] for r in con.execute("select row_number from raw.rejects where source = ?", [config.source]).fetchall()
        }
        assert found == expected.get(config.source, set()), config.source
    con.close()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    place = load_municipality("172065")
    for turn in ("a", "b"):
        generate(place, 150, 8, 3, "bad", tmp_path / turn, tmp_path / f"truth_{turn}", extracts=2)
    assert _digest(tmp_path / "a") == _digest(tmp_path / "b")
    assert _digest(tmp_path / "truth_a") == _digest(tmp_path / "truth_b")
    generate(place, 150, 8, 4, "bad", tmp_path / "c", tmp_path / "truth_c", extracts=2)
    assert _digest(tmp_path / "a") != _digest(tmp_path / "c")


def test_a_clean_twin_has_no_faults_and_a_bad_one_many_kinds(tmp_path: Path) -> None:
    place = load_municipality("401307")
    generate(place, 300, 12, 1, "clean", tmp_path / "o", tmp_path / "clean")
    assert _rows(tmp_path / "clean" / "faults.csv") == []
    generate(place, 300, 12, 1, "bad", tmp_path / "o", tmp_path / "bad")
    kinds = Counter(row["kind"] for row in _rows(tmp_path / "bad" / "faults.csv"))
    assert len(kinds) >= 30


def test_truth_names_every_record_once_and_outcomes_have_dates(tmp_path: Path) -> None:
    place = load_municipality("282022")
    generate(place, 300, 24, 2, "typical", tmp_path / "o", tmp_path / "t")
    records = _rows(tmp_path / "t" / "records.csv")
    keys = [(row["source"], row["source_record_id"]) for row in records]
    assert len(keys) == len(set(keys))
    assert {row["source"] for row in records} == {config.source for config in place.sources}
    outcomes = _rows(tmp_path / "t" / "outcomes.csv")
    assert len(outcomes) == 300 * len(place.themes)
    assert all(row["outcome_date"] for row in outcomes if row["observed"] == "1")
    absence = _rows(tmp_path / "t" / "absence.csv")
    assert {row["kind"] for row in absence} <= {"blank", "not_applicable", "not_held", "before_start"}
    held = {config.source for config in place.sources}
    assert any(row["source"] not in held and row["kind"] == "not_held" for row in absence)


def test_refusal_outcomes_follow_from_the_written_attendance(tmp_path: Path) -> None:
    place = load_municipality("112241")
    generate(place, 1500, 12, 1, "clean", tmp_path / "o", tmp_path / "t")
    person = {
        row["source_record_id"]: row["person_id"]
        for row in _rows(tmp_path / "t" / "records.csv")
        if row["source"] == "education.attendance"
    }
    absent: Counter[tuple[str, int]] = Counter()
    (file,) = (tmp_path / "o" / "112241" / "2026-10-01").glob("SHUKKETSU_*.csv")
    with file.open(encoding="utf-8-sig", newline="") as handle:
        for row in csv.DictReader(handle):
            year, month = (int(part) for part in row["対象年月"].split("/"))
            absent[person[row["学籍番号"]], year - (month < 4)] += int(row["欠席日数"])
    reached = {who for (who, _year), days in absent.items() if days >= 30}
    observed = {row["person_id"] for row in _rows(tmp_path / "t" / "outcomes.csv") if row["observed"] == "1"}
    assert reached == observed
    assert observed


def test_impossible_arguments_are_refused(tmp_path: Path) -> None:
    place = load_municipality("112241")
    for children, months, quality, extracts in (
        (1, 12, "clean", 1),
        (100, 0, "clean", 1),
        (100, 12, "good", 1),
        (100, 12, "bad", 99),
    ):
        with pytest.raises(UsageError):
            generate(place, children, months, 1, quality, tmp_path, tmp_path, extracts=extracts)


def test_the_command_prints_json(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["kodomo", "synth", "--municipality", "343021", "--children", "60", "--months", "6", "--seed", "1"]
    arguments += ["--quality", "clean", "--out", str(tmp_path / "o"), "--truth", str(tmp_path / "t"), "--json"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    said = json.loads(capsys.readouterr().out)
    assert said["municipality"] == "343021"
    assert said["files"] == len(load_municipality("343021").sources)
    assert (tmp_path / "o" / "343021" / "2026-10-01" / ".done").exists()
