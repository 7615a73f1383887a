"""The whole chain: loading the definitions, one small municipality, one large, growth, and the floor beside it.

The floor is what DuckDB alone needs to read the same landing files and write them back as Parquet: no chain that
reads every byte can be faster. Sizes: ``KODOMO_BENCH_SIZES`` (default 300,10000,100000); ``KODOMO_BENCH_MUNICIPALITY``
(default 112241); ``KODOMO_BENCH_MONTHS`` (default 12). Models are trained apart and not measured: without an approved
one the criteria score alone, with ``KODOMO_BENCH_TRAIN=1`` the smallest town trains first.
"""

from __future__ import annotations

import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Measured, kodomo, measured

_TARGETS = {300: "≤ 40 s", 100_000: "≤ 360 s, ≤ 6,000 MB"}
_FLOOR = """
import sys, duckdb
from pathlib import Path
from duckdb_extensions import import_extension
con = duckdb.connect()
import_extension("encodings"); con.execute("load encodings")
out = Path(sys.argv[2]); out.mkdir()
for number, file in enumerate(sorted(Path(sys.argv[1]).rglob("*"))):
    if not file.is_file() or file.stat().st_size == 0 or file.suffix.lower() in (".xlsx", ".done"):
        continue
    wide = file.open("rb").read(2) in (b"\\xff\\xfe", b"\\xfe\\xff")
    # strict first: read as CP932 with errors ignored, UTF-8 would quietly lose its lines
    for encoding, careless in (("utf-16", True),) if wide else (("utf-8", False), ("windows-932-2000", True)):
        try:
            con.execute(f"copy (select * from read_csv(?, header = false, all_varchar = true, delim = '\\t', quote = '',"
                        f" strict_mode = false, null_padding = true, ignore_errors = {careless}, encoding = '{encoding}'))"
                        f" to '{out / str(number)}.parquet' (format parquet)", [str(file)])
            break
        except duckdb.Error:
            continue
"""


def run() -> list[dict[str, Any]]:
    """Figures of the chain, smallest size first."""
    sizes = [int(size) for size in os.environ.get("KODOMO_BENCH_SIZES", "300,10000,100000").split(",")]
    rows = [
        _row("load the definitions", measured([sys.executable, "-c", "from kodomo_platform.definitions import defs"]))
    ]
    rows[0]["target"] = "≤ 6 s"
    chains: dict[int, Measured] = {}
    for size in sorted(sizes):
        with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as folder:
            rows += _chain(size, Path(folder), chains)
    done = sorted(chains)
    for small, large in pairwise(done):
        growth = chains[large].seconds / chains[small].seconds
        rows.append(
            {
                "what": f"growth {small:,} → {large:,} children",
                "target": f"≤ {large / small:.0f}×",
                "growth": round(growth, 2),
            }
        )
    return rows


def _chain(size: int, home: Path, chains: dict[int, Measured]) -> list[dict[str, Any]]:
    code = os.environ.get("KODOMO_BENCH_MUNICIPALITY", "112241")
    months = os.environ.get("KODOMO_BENCH_MONTHS", "12")
    env = {"KODOMO_HOME": str(home)}
    landing = home / "landing"
    synthetic = measured(
        kodomo(
            "synth", "--municipality", code, "--children", str(size), "--months", months, "--seed", "1",
            "--quality", "typical", "--out", str(landing), "--truth", str(home / "truth" / code),
        ),
        env=env,
    )  # fmt: skip
    measured(kodomo("setup"), env=env)
    if os.environ.get("KODOMO_BENCH_TRAIN") and not chains:
        measured(kodomo("run", "--municipality", code, "--job", "training"), env=env)
    chain = measured(kodomo("run", "--municipality", code), env=env)
    chains[size] = chain
    floor = measured([sys.executable, "-c", _FLOOR, str(landing), str(home / "floor")])
    megabytes = sum(file.stat().st_size for file in landing.rglob("*") if file.is_file()) / 1e6
    name = f"{size:,} children × {months} months"
    return [
        {**_row(f"{name}: synthetic extracts", synthetic), "target": "≤ 180 s" if size == 100_000 else ""},
        {**_row(f"{name}: whole chain", chain), "target": _TARGETS.get(size, ""), "landing_mb": round(megabytes, 1)},
        _row(f"{name}: floor (DuckDB reads and writes the same files, without XLSX)", floor),
    ]


def _row(what: str, one: Measured) -> dict[str, Any]:
    return {"what": what, "seconds": round(one.seconds, 2), "peak_mb": round(one.peak_mb, 1)}
