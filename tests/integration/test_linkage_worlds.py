"""The family of worlds: reproducible, its seeds kept apart, and small ones linked as the large ones are measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.bench_linkage_worlds import calibration_error, measure_world, world_folder
from tests.benchmarks.worlds import FLAWED, NOTE, TUNING, UNSEEN, draw_world

# splink's SQL parser warns about its own accelerator when it is imported
pytestmark = pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning")


def test_a_seed_is_in_one_set_alone() -> None:
    sets = [set(TUNING), set(UNSEEN), set(NOTE), set(FLAWED)]
    assert sum(map(len, sets)) == len(set().union(*sets))
    assert len(UNSEEN) >= 30


def test_a_seed_draws_one_world_and_others_draw_others(tmp_path: Path) -> None:
    one, again, other = draw_world(3), draw_world(3), draw_world(4)
    assert one == again
    assert one.rates != other.rates
    written = [(world_folder(tmp_path / name, 3, "typical", 60) / "truth.parquet").read_bytes() for name in ("a", "b")]
    assert written[0] == written[1]


def test_a_small_world_is_linked_without_a_false_pair(tmp_path: Path) -> None:
    found = measure_world(world_folder(tmp_path, 3, "bad", 400), ("ours",))["ours"]
    assert found["fp"] == 0
    assert found["recall"] > 0.95
    assert calibration_error(found["pairs"]) < 0.03
    assert found["recall_reviewed"] >= found["recall"]
    assert found["watch"]["expected_precision_low"] <= 1.0


@pytest.mark.parametrize(("flaw", "told"), [("school_phones", "shared_phone"), ("day_off", "shifted_dates")])
def test_the_watch_says_what_is_wrong_with_a_source(tmp_path: Path, flaw: str, told: str) -> None:
    found = measure_world(world_folder(tmp_path, FLAWED[0], "typical", 300, flaw), ("ours",))["ours"]
    assert found["fp"] == 0
    assert any(name.startswith(told) for name in found["watch"])
