"""`kodomo model bench` on tables as they come: text, dates, gaps, constants, few rows; wrong use says what is wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kodomo_platform.errors import KodomoError, ScoringError, UsageError
from kodomo_platform.scoring.bench import MEASURES, _at_most, _day, _moments, _number, bench
from kodomo_platform.scoring.candidates import Table


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
        ({"target": "left"}, UsageError, "which value of left is the outcome"),
        ({"target": "left", "positive": "卒業"}, UsageError, "no row of left has the value"),
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


def test_values_are_read_as_people_mean_them() -> None:
    assert _number("1,234.5") == 1234.5
    assert _number("12%") == 12
    assert _number("a,b") is None
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
