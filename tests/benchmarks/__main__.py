"""``python -m tests.benchmarks [NAME …]``: run every ``bench_<name>.py``, print a table, write JSON.

Each module has ``run() -> list[dict]``; a dict has ``what`` and any of ``seconds``, ``peak_mb``, ``target``, ``note`` and
further figures. Nothing here fails on a slow machine: a benchmark measures, people judge. A benchmark that cannot run is
reported as such, the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
_SHOWN = ("what", "seconds", "peak_mb", "target", "note")


def benchmarks() -> list[str]:
    """Names of the benchmarks there are."""
    return sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))


def main() -> int:
    """Run what was asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"benchmarks to run (default: all): {', '.join(benchmarks())}")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), help="where to write the figures")
    parser.add_argument("--sizes", help="children, e.g. 300,10000,100000 (also KODOMO_BENCH_SIZES)")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(benchmarks()):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(benchmarks())}")
    if arguments.sizes:
        os.environ["KODOMO_BENCH_SIZES"] = arguments.sizes
    results: list[dict[str, Any]] = []
    failed = False
    for name in arguments.names or benchmarks():
        print(f"… {name}", file=sys.stderr)
        begin = time.perf_counter()
        try:
            rows = importlib.import_module(f"tests.benchmarks.bench_{name}").run()
        except Exception as error:  # one benchmark's failure must not hide the others' figures
            traceback.print_exc()
            failed = True
            rows = [
                {
                    "what": "FAILED",
                    "note": f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
                }
            ]
        results += [{"benchmark": name, **row} for row in rows]
        print(f"  {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "results": results,
    }
    arguments.json.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    Console().print(_table(results))
    print(f"written to {arguments.json}")
    return 1 if failed else 0


def _table(results: list[dict[str, Any]]) -> Table:
    table = Table("benchmark", "what", "seconds", "peak MB", "target", "note")
    for row in results:
        note = [str(row["note"])] if row.get("note") else []
        note += [f"{key} {_number(value)}" for key, value in row.items() if key not in (*_SHOWN, "benchmark")]
        table.add_row(
            row["benchmark"],
            str(row.get("what", "")),
            _number(row.get("seconds")),
            _number(row.get("peak_mb"), digits=0),
            str(row.get("target", "")),
            ", ".join(note),
        )
    return table


def _number(value: Any, digits: int = 2) -> str:
    if value is None:
        return ""
    return (
        f"{value:,.{digits}f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
    )


if __name__ == "__main__":
    sys.exit(main())
