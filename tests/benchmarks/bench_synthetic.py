"""How fast a digital twin is written: the pilot with the most sources, 12 months, typical quality.

Sizes: ``KODOMO_BENCH_SIZES`` (default 300,10000,100000).
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import kodomo, measured

_CODE = "401307"
_TARGETS = {100_000: "≤ 180 s"}


def run() -> list[dict[str, Any]]:
    """One row per size."""
    rows: list[dict[str, Any]] = []
    for size in (int(text) for text in os.environ.get("KODOMO_BENCH_SIZES", "300,10000,100000").split(",")):
        with tempfile.TemporaryDirectory() as folder:
            out, truth = Path(folder) / "landing", Path(folder) / "truth"
            arguments = ["synth", "--municipality", _CODE, "--children", str(size), "--months", "12", "--seed", "1"]
            arguments += ["--quality", "typical", "--out", str(out), "--truth", str(truth), "--json"]
            figures = measured(kodomo(*arguments))
            written = json.loads(figures.output.strip().splitlines()[-1])
            megabytes = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6
        rows.append(
            {
                "what": f"twin of {size:,} children × 12 months",
                "seconds": figures.seconds,
                "peak_mb": figures.peak_mb,
                "target": _TARGETS.get(size, ""),
                "note": f"{sum(written['rows'].values()):,} rows, {megabytes:,.0f} MB",
            }
        )
    return rows
