"""The whole chain: loading the definitions, one small municipality, one large, growth, and the floor beside it.

Two floors: what a bare Dagster with dagster-dbt and two models needs to load and to run, and what DuckDB alone needs to
read the same landing files and write them back as Parquet. Sizes: ``KODOMO_BENCH_SIZES`` (default 300,10000,100000);
``KODOMO_BENCH_MUNICIPALITY`` (default 112241); ``KODOMO_BENCH_MONTHS`` (default 12). In a town of up to
``KODOMO_BENCH_TRAIN`` children (default 300) models are trained and approved first, which is not measured (it wants 24
months of history at least, as the demonstration has), and the chain then begins anew from the landing files; in larger ones
the criteria score alone. CPU is the process's and its children's: on a machine that others use it tells more than the clock.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import Measured, kodomo, measured

# train and approve, then throw away what can be rebuilt: the chain is measured from the landing files on
_APPROVED = """
import shutil, sys
from kodomo_platform.orchestration.runs import execute, require_success
from kodomo_platform.scoring import approve_challengers
from kodomo_platform.settings import get_settings
require_success(execute(sys.argv[1], "training"))
print(len(approve_challengers(sys.argv[1], by="bench", reason="made-up children: only to measure how long scoring takes")))
shutil.rmtree(get_settings().warehouse_dir); shutil.rmtree(get_settings().archive)
"""
_STEPS = """
import json
import dagster as dg
from kodomo_platform.orchestration.installation import dagster_instance_home
dagster_instance_home()
with dg.DagsterInstance.get() as instance:
    (run,) = instance.get_run_records(limit=1)
    steps = instance.get_run_step_stats(run.dagster_run.run_id)
took = {one.step_key: one.end_time - one.start_time for one in steps if one.start_time and one.end_time}
extracts = {key: seconds for key, seconds in took.items() if key.startswith("raw_")}
others = {key: round(seconds, 2) for key, seconds in took.items() if key not in extracts}
print(json.dumps({f"{len(extracts)} extracts": round(sum(extracts.values()), 2), **others}))
"""
_SKELETON = {
    "dbt_project.yml": "name: bare\nprofile: bare\nmodel-paths: [models]\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": "bare: {target: t, outputs: {t: {type: duckdb, path: bare.duckdb}}}\n",
    "models/one.sql": "select 1 as n",
    "models/two.sql": "select n + 1 as n from {{ ref('one') }}",
    "bare.py": """
import sys
from pathlib import Path
import dagster as dg
from dagster_dbt import DbtCliResource, dbt_assets
HERE = Path(__file__).parent
@dbt_assets(manifest=HERE / "target" / "manifest.json")
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource):
    yield from dbt.cli(["build"], context=context).stream()
dbt = DbtCliResource(str(HERE), profiles_dir=str(HERE), dbt_executable=str(Path(sys.executable).with_name("dbt")))
defs = dg.Definitions(assets=[models], resources={"dbt": dbt})
if __name__ == "__main__":
    with dg.DagsterInstance.local_temp(str(HERE)) as instance:
        assert defs.resolve_implicit_global_asset_job_def().execute_in_process(instance=instance).success
""",
}
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
    sizes = sorted(int(size) for size in os.environ.get("KODOMO_BENCH_SIZES", "300,10000,100000").split(","))
    code = os.environ.get("KODOMO_BENCH_MUNICIPALITY", "112241")
    loading = [sys.executable, "-c", "from kodomo_platform.definitions import defs"]
    rows = [{**_row("load the definitions", measured(loading)), "target": "≤ 6 s"}, *_skeleton()]
    chains: list[tuple[int, Measured]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as folder:
            found, chain = _chain(code, size, Path(folder))
            rows += found
            chains.append((size, chain))
    for (small, before), (large, after) in pairwise(chains):
        growth = {
            "what": f"growth {small:,} → {large:,} children",
            "target": f"≤ {large / small:.0f}×",
            "growth": round(after.seconds / before.seconds, 2),
            "cpu_growth": round(after.cpu_seconds / before.cpu_seconds, 2),
        }
        rows.append(growth)
    return rows


def _skeleton() -> list[dict[str, Any]]:
    """A project of two models, with nothing of the platform's: what its framework costs."""
    with tempfile.TemporaryDirectory(prefix="kodomo-bare-") as folder:
        home = Path(folder)
        for name, text in _SKELETON.items():
            (home / name).parent.mkdir(exist_ok=True)
            (home / name).write_text(text, encoding="utf-8")
        quiet = {"DAGSTER_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        project = ("--project-dir", folder, "--profiles-dir", folder)
        measured([str(Path(sys.executable).with_name("dbt")), "parse", *project], env=quiet)
        load = measured([sys.executable, "-c", "from bare import defs"], env={**quiet, "PYTHONPATH": folder})
        ran = measured([sys.executable, str(home / "bare.py")], env=quiet)
    name = "floor: bare Dagster and dagster-dbt, two models"
    return [_row(f"{name}: load", load), _row(f"{name}: run", ran)]


def _chain(code: str, size: int, home: Path) -> tuple[list[dict[str, Any]], Measured]:
    trained = size <= int(os.environ.get("KODOMO_BENCH_TRAIN", "300"))
    months = str(max(int(os.environ.get("KODOMO_BENCH_MONTHS", "12")), 24 if trained else 12))
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
    approved = 0
    if trained:
        approved = int(measured([sys.executable, "-c", _APPROVED, code], env=env).output.split()[-1])
    chain = measured(kodomo("run", "--municipality", code), env=env)
    steps = json.loads(measured([sys.executable, "-c", _STEPS], env=env).output.splitlines()[-1])
    slowest = sorted(steps.items(), key=lambda step: -step[1])[:5]
    floor = measured([sys.executable, "-c", _FLOOR, str(landing), str(home / "floor")])
    megabytes = sum(file.stat().st_size for file in landing.rglob("*") if file.is_file()) / 1e6
    name = f"{code}, {size:,} children × {months} months"
    rows = [
        {**_row(f"{name}: synthetic extracts", synthetic), "target": "≤ 180 s" if size == 100_000 else ""},
        {
            **_row(f"{name}: whole chain, {approved or 'no'} approved models", chain),
            "target": _TARGETS.get(size, ""),
            "landing_mb": round(megabytes, 1),
            "note": ", ".join(f"{step} {seconds:.1f} s" for step, seconds in slowest),
        },
        _row(f"{name}: floor (DuckDB reads and writes the same files, without XLSX)", floor),
    ]
    return rows, chain


def _row(what: str, one: Measured) -> dict[str, Any]:
    return {
        "what": what,
        "seconds": round(one.seconds, 2),
        "peak_mb": round(one.peak_mb, 1),
        "cpu_seconds": round(one.cpu_seconds, 2),
    }
