"""How long scoring takes: made-up marts of N children, one theme by criteria, score with interval, reasons and JSON.

python tests/benchmarks/bench_scoring.py [children]
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace


def main(children: int) -> dict[str, float]:
    """Seconds of one scoring run of one theme."""
    os.environ["KODOMO_HOME"] = tempfile.mkdtemp()
    from kodomo_platform.scoring import score
    from kodomo_platform.settings import use_home
    from kodomo_platform.warehouse import connect

    use_home(None)
    path = Path(__file__).parents[1] / "integration" / "test_scoring_scores.py"
    spec = importlib.util.spec_from_file_location("made", path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    con = connect(":memory:")
    made.make_marts(con, children, [])
    town = SimpleNamespace(
        code="112241", themes=[SimpleNamespace(key="abuse", capacity=100, display_mode="score")], absence_decisions=[]
    )
    start = time.perf_counter()
    score(con, town, made.AS_OF, "bench", "bench")
    return {"children": float(children), "score_seconds": round(time.perf_counter() - start, 2)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)))
