"""What the suites find of the faults that the twins put in, and how the four kinds of absence are told apart.

Each twin is written, loaded and staged in this process (no linkage, no scoring): the figures are of the suites on raw and
staging tables, as ``kodomo evaluate quality`` prints them. Sizes: ``KODOMO_BENCH_CHILDREN`` (default 1000),
``KODOMO_BENCH_SEED`` (default 1), ``KODOMO_BENCH_QUALITIES`` (clean,typical,bad), ``KODOMO_BENCH_MUNICIPALITIES`` (all).
``KODOMO_BENCH_KEEP`` names a folder in which the staged twins stay, so that a second run measures at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kodomo_platform.catalog import load_catalog
from kodomo_platform.municipalities import load_municipality, municipality_codes, write_configuration
from kodomo_platform.quality.evaluation import evaluate_absence, evaluate_quality

PROJECT = Path(__file__).parents[2] / "dbt_project"


def stage(code: str, quality: str, children: int, seed: int, folder: Path, target: Path) -> Path:
    """A twin loaded and staged in ``folder``; its truth stands in ``folder/truth``."""
    import datetime as dt

    from kodomo_platform.extracts import load_source
    from kodomo_platform.settings import use_home
    from kodomo_platform.synthetic import generate
    from kodomo_platform.warehouse import connect, create_schemas

    warehouse = folder / "twin.duckdb"
    if warehouse.exists():
        return warehouse
    use_home(folder / "home")
    town, catalog = load_municipality(code), load_catalog()
    generate(town, children, 12, seed, quality, folder / "landing", folder / "truth")
    work = target.parent / "work.duckdb"  # one path for all: dbt then parses its project once
    work.unlink(missing_ok=True)
    con = connect(work, encodings=True)
    try:
        create_schemas(con)
        write_configuration(con, town, catalog, dt.date(2026, 10, 1))
        for source in catalog.sources:
            load_source(con, town, source, folder / "landing")
    finally:
        con.close()
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("dbt")), "run", "--select", "staging", "--profiles-dir", "."),
            *("--target-path", str(target), "--log-path", str(target / "logs")),
            *("--vars", json.dumps({"warehouse": str(work)})),
        ],
        cwd=PROJECT,
        env={**os.environ, "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"dbt could not stage {code} {quality}: {done.stdout[-2000:]}")
    work.rename(warehouse)
    return warehouse


def run() -> list[dict[str, Any]]:
    """One row per municipality and quality, then the sums."""
    children = int(os.environ.get("KODOMO_BENCH_CHILDREN", "1000"))
    seed = int(os.environ.get("KODOMO_BENCH_SEED", "1"))
    qualities = os.environ.get("KODOMO_BENCH_QUALITIES", "clean,typical,bad").split(",")
    chosen = os.environ.get("KODOMO_BENCH_MUNICIPALITIES")
    codes = chosen.split(",") if chosen else [code for code in municipality_codes() if load_municipality(code)]
    kept = os.environ.get("KODOMO_BENCH_KEEP")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as temporary:
        base = Path(kept or temporary)
        base.mkdir(parents=True, exist_ok=True)
        for quality in qualities:
            for code in codes:
                folder = base / f"{code}_{quality}_{children}_{seed}"
                folder.mkdir(exist_ok=True)
                warehouse = stage(code, quality, children, seed, folder, base / "target")
                begin = time.perf_counter()
                found = evaluate_quality(code, folder / "truth", warehouse=warehouse)
                absence = evaluate_absence(code, folder / "truth", warehouse=warehouse)
                rows.append(
                    {
                        "what": f"{code} {quality} {children:,}",
                        "seconds": round(time.perf_counter() - begin, 2),
                        "kinds": f"{found.kinds_found}/{found.kinds_total}",
                        "faults": found.faults,
                        "recall": round(found.row_recall, 4),
                        "precision": round(found.row_precision, 4),
                        "false_alarms": found.false_alarms,
                        "absence": round(absence.accuracy, 5),
                        "cells": absence.cells,
                    }
                )
                print(json.dumps(rows[-1]), file=sys.stderr)
                (folder / "found.json").write_text(
                    json.dumps({"quality": found.as_dict(), "absence": absence.as_dict()}, indent=1, default=str)
                )
    return rows


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
