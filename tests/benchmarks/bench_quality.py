"""What quality costs: push-down against a pandas frame, all suites on a small town, report and sheets of a large one.

Sizes: ``KODOMO_BENCH_ROWS`` (default 1000000) for push-down; ``KODOMO_BENCH_SMALL`` (300) and ``KODOMO_BENCH_LARGE``
(100000) children. The towns are loaded and staged first, which is not measured. ``KODOMO_BENCH_KEEP`` keeps them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import duckdb

from tests.benchmarks.measuring import measured

CODE = "112241"

_ALL_SUITES = """
import sys, warnings
warnings.simplefilter("ignore")
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality import validate
from pathlib import Path
print(len(validate(Path(sys.argv[1]), load_municipality(sys.argv[2]), None, "bench", engine=sys.argv[3])))
"""
_REPORT = """
import sys, datetime as dt, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from kodomo_platform.municipalities import load_municipality
from kodomo_platform.quality import html_report
from kodomo_platform.quality.sheets import write_sheets
from kodomo_platform.warehouse import connect
con, town, out = connect(Path(sys.argv[1])), load_municipality(sys.argv[2]), Path(sys.argv[3])
paths = [html_report(con, town, "bench", out / "report.html"), *write_sheets(con, town, dt.date(2026, 10, 1), out, run_id="bench")]
print(sum(path.stat().st_size for path in paths))
"""


def run() -> list[dict[str, Any]]:
    """Figures, one row each."""
    pushed = push_down()
    rows: list[dict[str, Any]] = [
        {
            "what": f"30 expectations on {pushed['rows']:,} × 20 by push-down",
            "seconds": pushed["push_down_s"],
            "target": "≤ 1/6 of the frame",
            "note": f"pandas frame with its load {pushed['pandas_s']} s: {pushed['ratio']} times as long; "
            f"{pushed['above_mb']} MB above the table (≤ 1,000)",
        }
    ]
    from tests.benchmarks.bench_quality_detection import stage

    small, large = (int(os.environ.get(f"KODOMO_BENCH_{n}", d)) for n, d in (("SMALL", "300"), ("LARGE", "100000")))
    with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as temporary:
        base = Path(os.environ.get("KODOMO_BENCH_KEEP") or temporary)
        for children in (small, large):
            folder = base / f"{CODE}_typical_{children}_1"
            folder.mkdir(parents=True, exist_ok=True)
            file = stage(CODE, "typical", children, 1, folder, base / "target")
            env = {"KODOMO_HOME": str(folder / "home")}
            for engine in ("gx", "sql"):
                one = measured([sys.executable, "-c", _ALL_SUITES, str(file), CODE, engine], env=env)
                rows.append(
                    {
                        "what": f"all raw and staging suites, {children:,} children, engine {engine}, own process",
                        "seconds": round(one.seconds, 2),
                        "peak_mb": round(one.peak_mb),
                        "target": "≤ 8 s" if children == small else "",
                        "note": f"{one.output.split()[-1]} expectations",
                    }
                )
            one = measured([sys.executable, "-c", _REPORT, str(file), CODE, str(folder / "out")], env=env)
            rows.append(
                {
                    "what": f"report and correction sheets, {children:,} children, own process",
                    "seconds": round(one.seconds, 2),
                    "peak_mb": round(one.peak_mb),
                    "target": "≤ 20 s, ≤ 5 MB" if children == large else "",
                    "note": f"{int(one.output.split()[-1]) / 1e6:.2f} MB",
                }
            )
    return rows


def push_down() -> dict[str, Any]:
    """Seconds for both ways, and their ratio (the target: at least 6). The library's import is in neither."""
    rows = int(os.environ.get("KODOMO_BENCH_ROWS", "1000000"))
    con = duckdb.connect(":memory:")
    columns = ", ".join(f"((i * {place + 3}) % 1000)::int as c{place}" for place in range(20))
    con.execute(f"create table wide as select {columns} from range({rows}) as r(i)")

    import great_expectations as gx

    from kodomo_platform.quality.gx_engine import GreatExpectations
    from kodomo_platform.quality.vocabulary import Check

    checks = [
        Check("wide", f"c{place % 20} is not null", f"c{place % 20} not between 0 and 998", frozenset())
        if place % 2
        else Check("wide", "true", f"c{place % 20} is null", frozenset())
        for place in range(30)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    engine = GreatExpectations(con)
    engine.counts("wide", checks, [0.0] * 30)
    engine.close()
    pushed = time.perf_counter() - begun
    above = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024

    begun = time.perf_counter()
    frame = con.execute("select * from wide").df()
    context = gx.get_context(mode="ephemeral")
    batch = (
        context.data_sources.add_pandas("frame").add_dataframe_asset("wide").add_batch_definition_whole_dataframe("all")
    ).get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="wide")
    for place in range(30):
        column = f"c{place % 20}"
        suite.add_expectation(
            gx.expectations.ExpectColumnValuesToBeBetween(column=column, min_value=0, max_value=998)
            if place % 2
            else gx.expectations.ExpectColumnValuesToNotBeNull(column=column)
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch.validate(suite)
    framed = time.perf_counter() - begun
    return {
        "rows": rows,
        "push_down_s": round(pushed, 2),
        "pandas_s": round(framed, 2),
        "ratio": round(framed / pushed, 1),
        "above_mb": round(above),
    }


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row, ensure_ascii=False))
