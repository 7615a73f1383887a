"""The same seed gives the same scores in two homes, though their children's ids differ."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.integration.command_line import kodomo

CODE = "172065"
SCORES = """
select c.source_record_id, s.theme, s.score, s.score_low, s.score_high, s.rank, s.band, s.alert
from '{home}/published/{code}/current/risk_scores.parquet' as s
join '{home}/published/{code}/current/crosswalk.parquet' as c on c.child_id = s.child_id
where c.source = 'resident.register' order by all
"""


@pytest.mark.slow
def test_two_homes_of_one_seed_have_the_same_scores(tmp_path: Path) -> None:
    """Regression: ids from each home's own secret decided folds and ties, and a demonstration could not be repeated."""
    scores, ids = [], []
    for name in ("first", "second"):
        home = tmp_path / name
        home.mkdir()
        kodomo(home, "demo", "-m", CODE, "--children", "80", "--months", "14")
        scores.append(duckdb.sql(SCORES.format(home=home, code=CODE)).fetchall())
        table = f"{home}/published/{CODE}/current/risk_scores.parquet"
        ids.append({row[0] for row in duckdb.sql(f"select child_id from '{table}'").fetchall()})
    assert len(scores[0]) > 30
    assert scores[0] == scores[1]
    assert not ids[0] & ids[1], "ids stay each home's own"
