"""`kodomo model bench` on tables as they come: text, dates, gaps, constants, few rows; wrong use says what is wrong."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.errors import KodomoError, ScoringError, UsageError
from kodomo_platform.scoring.bench import MEASURES, _at_most, _day, _days, _moments, _number, _numbers, bench
from kodomo_platform.scoring.candidates import Table, fit_boosting


def write(path: Path, rows: list[dict[str, Any]], *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def pupils(count: int = 120, seed: int = 1) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    out = []
    for n in range(count):
        days = int(rng.integers(0, 30))
        out.append(
            {
                "pupil": f"p{n:05d}",
                "school": f"s{n % 7}" if n % 11 else "",
                "year": 9 + n % 4,
                "enrolled": f"202{n % 5}/0{1 + n % 9}/1{n % 10}",
                "absent": days if n % 10 else "",
                "fee": f"{1000 + n:,}",
                "mood": ["良い", "普通", "悪い"][n % 3],
                "town": "same",
                "empty": "",
                "left": "退学" if rng.random() < 0.1 + 0.025 * days else "在学",
            }
        )
    return out


def test_a_table_as_it_comes(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", pupils(), encoding="cp932", delimiter=";")
    report = bench(
        file, "left", positive="退学", group="school", blocks={"days": ["absent"], "void": ["town"]}, folds="1x3"
    )
    assert set(report.candidates) == {"logistic", "ebm", "boosting", "blend"}
    for measured in report.candidates.values():
        assert all(0 <= measured[name] <= 1 for name in MEASURES)
        assert set(measured["masked"]) == {"days", "void"}
        assert all(0 <= measured["masked"]["days"][name] <= 1 for name in MEASURES)
    assert report.chosen in report.candidates
    assert set(report.left_out) == {"pupil", "town", "empty"}
    assert report.notes == ["block void holds no column that says anything"]
    # Regression: as text, year "9" came after year "12"
    later = bench(file, "left", positive="退学", time="year", exclude=["pupil"], folds="1x2")
    assert later.folds == "2 by time"


def test_few_rows_get_fewer_folds_and_say_so(tmp_path: Path) -> None:
    rows = [{"a": n % 5, "b": "x" if n % 2 else "y", "t": int(n in (1, 4, 9))} for n in range(18)]
    report = bench(write(tmp_path / "t.csv", rows), "t", folds="1x5")
    assert report.folds == "1x3"
    assert report.notes == ["3 folds instead of 5: no more have both kinds of outcome"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"target": "nowhere"}, UsageError, "no column named nowhere"),
        ({"target": "mood"}, UsageError, "which value of mood is the outcome"),
        ({"target": "left", "positive": "卒業"}, UsageError, "no row of left has the value 卒業"),
        ({"target": "left", "positive": ["退学,卒業"]}, UsageError, "no row of left has the value 卒業"),
        ({"target": "left", "positive": "退学", "blocks": {"a": ["absent", "zz"]}}, UsageError, "no column named zz"),
        ({"target": "empty"}, ScoringError, "empty holds no value"),
        ({"target": "left", "positive": "退学", "folds": "five"}, UsageError, "folds cannot be"),
        ({"target": "left", "positive": "退学", "exclude": ["left"]}, UsageError, "cannot also be excluded"),
        ({"target": "left", "positive": "退学", "time": "town"}, ScoringError, "holds one moment"),
        ({"target": "left", "positive": "退学", "group": "town"}, ScoringError, "holds one group"),
        ({"target": "town", "positive": "same"}, ScoringError, "nothing can be learned"),
    ],
)
def test_wrong_use_says_what_is_wrong(
    tmp_path: Path, options: dict[str, Any], error: type[KodomoError], message: str
) -> None:
    file = write(tmp_path / "t.csv", pupils(40))
    with pytest.raises(error, match=message):
        bench(file, **options)


@pytest.mark.parametrize("data", [b"", b"a,b\n", b"\x00\x01\x02", b"a,a\n1,2\n", b"a,b\n1\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(data)
    with pytest.raises(KodomoError):
        bench(file, "a")
    with pytest.raises(UsageError, match="cannot be read"):
        bench(tmp_path, "a")


@given(st.text(max_size=12))
def test_reading_a_value_never_fails(text: str) -> None:
    for read in (_number, _day):
        value = read(text)
        assert value is None or np.isnan(value) or np.isfinite(value)


@pytest.mark.parametrize(
    ("column", "days"),
    [
        (["31/12/2020", "01/02/2021"], [18627, 18659]),
        (["12/31/2020", "01/02/2021"], [18627, 18629]),
        (["01.02.2021", "03.04.2021"], [18659, 18720]),
        (["2021.02.01", "2021.04.03"], [18659, 18720]),
        (["令和4年12月20日", "平成30年1月2日"], [19346, 17533]),
        (["2020-12", "2021-01"], [18597, 18628]),
        # Regression: bands were taken for months of the first years
        (["1-3", "4-6", "10-12"], None),
        (["1年", "2年", "3年"], None),
    ],
)
def test_dates_are_read_as_they_are_written_anywhere(column: list[str], days: list[int] | None) -> None:
    found = _days(column, np.zeros(len(column), dtype=bool))
    assert (None if found is None else found.tolist()) == days


def test_boosting_sees_parts_of_a_column_and_lives_with_constants() -> None:
    rng = np.random.default_rng(3)
    x = np.column_stack([rng.normal(size=400), np.full(400, np.nan), np.full(400, 2.0), rng.integers(0, 2, 400)])
    y = (rng.random(400) < 1 / (1 + np.exp(-2 * x[:, 0]))).astype(np.int64)
    table = Table(x, y, ("a", "b", "c", "d"), {"all": (0, 1)}, np.arange(400))
    fitted = fit_boosting(table, "")
    assert fitted.model is None
    z = fitted.predict(np.array([[-2.0, np.nan, 2.0, 0.0], [2.0, np.nan, 2.0, 0.0], [np.nan, 1.0, np.nan, np.nan]]))
    assert z[0] < z[2] < z[1]


def test_values_are_read_as_people_mean_them() -> None:
    assert _number("1,234.5") == 1234.5
    assert _number("12%") == 12
    assert _number("a,b") is None
    there = np.zeros(2, dtype=bool)
    assert _numbers(["3,5", "1234,25"], there).tolist() == [3.5, 1234.25]  # type: ignore[union-attr]
    assert _numbers(["3,500", "12"], there).tolist() == [3500, 12]  # type: ignore[union-attr]
    assert _day("1970/01/02") == 1
    assert _day("2026-10-01T12:00:00Z") == _day("2026-10-01T12:00:00")
    assert list(np.argsort(_moments(["9", "10", "", "8"]))) == [3, 0, 1, 2]
    assert list(np.argsort(_moments(["b term", "a term"]))) == [1, 0]


def test_learning_leaves_out_whole_groups() -> None:
    group = np.arange(100) // 5
    table = Table(np.zeros((100, 1)), np.zeros(100, dtype=np.int64), ("a",), {}, group)
    kept = _at_most(table, 42, seed=0)
    assert len(kept.y) == 40
    assert all((kept.group == name).sum() == 5 for name in set(kept.group))


def signs(count: int, seed: int = 4, rate: float = 0.25) -> list[dict[str, Any]]:
    """Rows with three columns that tell something about ``result`` and one that tells nothing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4)).round(3)
    logit = x[:, 0] + 0.8 * x[:, 1] - 0.6 * x[:, 2]
    y = logit + rng.logistic(size=count)
    cut = np.quantile(y, 1 - rate)
    return [
        {"First Sign": a, "second sign": b, "third": c, "noise": d, "result": "Fail" if v > cut else "Pass"}
        for (a, b, c, d), v in zip(x.tolist(), y.tolist(), strict=True)
    ]


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ","), ("latin-1", ";"), ("cp932", "\t")])
def test_the_same_table_however_it_was_exported(tmp_path: Path, encoding: str, delimiter: str) -> None:
    rows = [
        {"note, one; two": "café" if encoding == "latin-1" else "x", **row}
        | {"noise": " " if n % 9 == 0 else row["noise"]}
        for n, row in enumerate(signs(80))
    ]
    if encoding == "cp932":
        rows = [{"名": f"髙{n % 3}", **row} for n, row in enumerate(rows)]
    report = bench(write(tmp_path / "t.csv", rows, encoding=encoding, delimiter=delimiter), "Result", folds="1x2")
    assert (report.rows, report.outcomes) == (80, 20)
    assert report.notes == ["result = fail is taken as the outcome; name another with --positive"]


@pytest.mark.parametrize(
    ("yes", "no", "outcomes"), [("1", "2", 15), ("YES", "no", 15), ("2", "1", 15), ("1.0", "0.0", 15), ("b", "a", 15)]
)
def test_two_values_of_a_target_are_read_as_people_mean_them(tmp_path: Path, yes: str, no: str, outcomes: int) -> None:
    rows = [row | {"result": yes if row["result"] == "Fail" else no} for row in signs(60)]
    assert bench(write(tmp_path / "t.csv", rows), "result", folds="1x2").outcomes == outcomes


def test_rows_without_a_target_and_broken_records_are_left_out_and_told(tmp_path: Path) -> None:
    rows = signs(200)
    rows[3]["result"] = rows[7]["result"] = ""
    file = write(tmp_path / "t.csv", rows)
    file.write_text(file.read_text() + "1,2\n")
    report = bench(file, "result", positive="Fail", folds="1x2")
    assert report.rows == 198
    assert report.notes[:2] == [
        "1 record(s) of another number of fields were left out, the first is 202",
        "2 rows without a target were left out",
    ]


def test_a_column_written_after_the_outcome_is_told_loudly(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for n, row in enumerate(signs(160)):
        failed = row["result"] == "Fail"
        rows.append(row | {"grade": 3 + n % 2 if failed else 10 + n % 5, "resit": "2026-03-01" if failed else ""})
    report = bench(write(tmp_path / "t.csv", rows), "result", folds="1x2")
    assert [("grade" in told, "resit" in told) for told in report.warnings] == [(True, False), (False, True)]
    assert all(told.startswith("LEAK?") for told in report.warnings)
    clean = bench(write(tmp_path / "t.csv", rows), "result", exclude=["grade", "resit"], folds="1x2")
    assert clean.warnings == []


def test_numbers_of_rows_and_people_teach_nothing(tmp_path: Path) -> None:
    rows = [row | {"no.": 1000 + n, "student_id": 70001 + n // 2 * 13} for n, row in enumerate(signs(120))]
    file = write(tmp_path / "t.csv", rows)
    report = bench(file, "result", folds="1x2")
    assert report.left_out == {"no.": "numbers the rows", "student_id": "names whom the row is about"}
    assert ["--group student_id" in told for told in report.warnings] == [True]
    assert bench(file, "result", group="student_id", folds="1x2").warnings == []


def test_fifty_rows_and_two_in_a_hundred_can_be_measured(tmp_path: Path) -> None:
    few = bench(write(tmp_path / "few.csv", signs(50)), "result", folds="1x5")
    assert few.rows == 50
    rare = bench(write(tmp_path / "rare.csv", signs(1200, rate=0.02)), "result", folds="1x3")
    assert rare.outcomes == 24
    assert rare.candidates[rare.chosen]["ece"] < 0.02
    assert rare.candidates[rare.chosen]["auc"] > 0.7


@pytest.mark.parametrize(
    ("name", "outcome"),
    [pytest.param("breast_cancer", "0", marks=pytest.mark.slow), ("wine", "2"), ("diabetes", "high")],
)
def test_real_tables_the_chosen_one_ranks_about_as_well_as_the_best(tmp_path: Path, name: str, outcome: str) -> None:
    from sklearn import datasets

    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    if name == "diabetes":
        frame["target"] = np.where(frame["target"] > frame["target"].quantile(0.75), "high", "other")
    frame.to_csv(tmp_path / "t.csv", index=False)
    report = bench(tmp_path / "t.csv", "target", positive=outcome, folds="1x3")
    best = max(measured["auc"] for measured in report.candidates.values())
    assert report.candidates[report.chosen]["auc"] >= best - 0.01


def test_what_nothing_else_in_the_table_says_is_told(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", signs(300))
    report = bench(
        file, "result", blocks={"all": ["first sign", "SECOND SIGN", "third"], "noise": ["noise"]}, folds="1x3"
    )
    chosen = report.candidates[report.chosen]
    assert chosen["masked"]["noise"]["brier"] <= 1.15 * chosen["brier"]
    assert ["without block all" in told for told in report.warnings] == [True]


def test_several_values_are_one_outcome_however_they_are_named(tmp_path: Path) -> None:
    rows = [row | {"result": ["Dropout", "Enrolled", "Graduate, late"][n % 3]} for n, row in enumerate(signs(90))]
    file = write(tmp_path / "t.csv", rows)
    for positive in (["Dropout", "enrolled"], "Dropout, Enrolled", ["Dropout,Enrolled"]):
        assert bench(file, "result", positive=positive, folds="1x2").outcomes == 60
    assert bench(file, "result", positive="Graduate, late", folds="1x2").outcomes == 30
    with pytest.raises(UsageError, match="which value of result"):
        bench(file, "result")


def test_a_code_for_no_value_can_be_named(tmp_path: Path) -> None:
    rows = [row | {"third": -9 if n % 4 == 0 else row["third"]} for n, row in enumerate(signs(100))]
    rows[5]["result"] = "-9.0"
    file = write(tmp_path / "t.csv", rows)
    report = bench(file, "result", positive="Fail", missing=["-9"], folds="1x2")
    assert report.rows == 99
    assert report.notes == ["1 rows without a target were left out"]
    # as a number among the others it would have been the lowest of all
    assert report.candidates != bench(file, "result", positive="Fail", folds="1x2").candidates


@pytest.mark.parametrize("how", ["aligned", "one blank", "tabs and blanks"])
def test_blanks_between_values(tmp_path: Path, how: str) -> None:
    rows = [{"a sign": row["First Sign"], "b": row["third"], "left it": row["result"]} for row in signs(60)]
    between = {"aligned": "    ", "one blank": " ", "tabs and blanks": " \t"}[how]
    lines = [between.join(f'"{name}"' for name in rows[0])]
    lines += [" " * (how == "aligned") + between.join(str(value) for value in row.values()) for row in rows]
    file = tmp_path / "t.txt"
    file.write_text("\n".join(lines), encoding="utf-8")
    report = bench(file, "left it", blocks={"a": ["a sign"]}, folds="1x2")
    assert (report.rows, report.outcomes, report.features) == (60, 15, 2)


def test_a_column_that_stands_twice_is_told_and_used_only_as_an_input(tmp_path: Path) -> None:
    lines = ["sign,sign,result", *(f"{row['First Sign']},{row['third']},{row['result']}" for row in signs(60))]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    report = bench(tmp_path / "t.csv", "result", folds="1x2")
    assert report.features == 2
    assert report.notes[0] == "column sign stands more than once: another is called sign (2) here"
    with pytest.raises(UsageError, match="stands twice"):
        bench(tmp_path / "t.csv", "sign", positive="1")


def test_too_few_to_compare_is_told(tmp_path: Path) -> None:
    report = bench(write(tmp_path / "t.csv", signs(40)), "result", folds="1x2")
    assert any("mostly chance" in told for told in report.warnings)


def command(*arguments: str) -> Any:
    from typer.testing import CliRunner

    from kodomo_platform.cli.model import app

    return CliRunner().invoke(app, ["bench", *arguments])


def test_the_command_prints_json_and_nothing_else(tmp_path: Path) -> None:
    rows = [
        {"名前": f"児童{n}", "欠席": row["First Sign"], "遅刻": row["third"], "結果": row["result"]}
        for n, row in enumerate(signs(80))
    ]
    file = write(tmp_path / "t.csv", rows, encoding="cp932")
    asked = ["--target", "結果", "--block", "学校=欠席,遅刻", "--exclude", "名前", "--folds", "1x2", "--json"]
    done = command(str(file), *asked)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["chosen"] in report["candidates"]
    for measured in report["candidates"].values():
        assert all(math.isfinite(measured[name]) for name in MEASURES)
        assert set(measured["masked"]) == {"学校"}
        assert all(math.isfinite(measured["masked"]["学校"][name]) for name in MEASURES)
    table = command(str(file), *asked[:-1])
    assert table.exit_code == 0
    assert "選ばれた候補" in table.stdout
    wrong = command(str(file), "--target", "結果", "--block", "学校=欠席,何か", "--json")
    assert isinstance(wrong.exception, UsageError)
    assert "何か" in str(wrong.exception)
