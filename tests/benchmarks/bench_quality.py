"""Thirty expectations on a million rows of twenty columns: push-down against a pandas frame with its load.

Run by hand or by `make bench`; prints JSON. ``KODOMO_BENCH_ROWS`` sets another size.
"""

from __future__ import annotations

import json
import os
import time
import warnings

import duckdb


def main() -> None:
    """Print seconds for both ways, and their ratio (the target: at least 6)."""
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
    begun = time.perf_counter()
    engine = GreatExpectations(con)
    engine.counts("wide", checks, [0.0] * 30)
    engine.close()
    pushed = time.perf_counter() - begun

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
    print(
        json.dumps(
            {
                "rows": rows,
                "push_down_s": round(pushed, 2),
                "pandas_s": round(framed, 2),
                "ratio": round(framed / pushed, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
