"""How fast extracts become raw rows: three million attendance records, by format, beside the floor.

The floor is DuckDB reading and storing the same text as UTF-8, which does none of the work around it: no decoding of
CP932, no archive, no hash, no reject, no record numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.measuring import measured

_HEADER = "学籍番号,対象年月,出席すべき日数,欠席日数,遅刻日数,早退日数\r\n"
_CASES = {
    "CP932, clean (fast path)": ("cp932", 0),
    "UTF-8, clean (fast path)": ("utf-8", 0),
    "CP932, one bad record in 500 (careful path)": ("cp932", 500),
}
_PROGRAM = """
import datetime as dt, os, sys
from pathlib import Path
os.environ["KODOMO_HOME"] = sys.argv[1]
from kodomo_platform.extracts import load_source
from kodomo_platform.municipalities import Municipality
from kodomo_platform.warehouse import connect
municipality = Municipality.model_validate_json(Path(sys.argv[1], "municipality.json").read_text())
con = connect(Path(sys.argv[1], "warehouse.duckdb"))
print(load_source(con, municipality, "education.attendance").rows_loaded)
"""
_FLOOR = """
import sys
from pathlib import Path
from kodomo_platform.warehouse import connect
file = next(Path(sys.argv[1], "landing").rglob("SHUKKETSU*"))
con = connect(Path(sys.argv[1], "floor.duckdb"))
con.execute(f"create table t as select * from read_csv('{file}', header = true, all_varchar = true)")
"""


def _municipality(encoding: str) -> str:
    columns = zip(
        ["student_number", "month", "school_days", "absent_days", "late_days", "early_leave_days"],
        _HEADER.strip().split(","),
        strict=True,
    )
    return json.dumps(
        {
            "code": "112241",
            "name_ja": "計測市",
            "name_en": "Bench",
            "population": 1000,
            "themes": [{"key": "school_refusal", "display_mode": "score", "capacity": 10}],
            "consent": {"rule": "none"},
            "schedule": {"cron": "0 5 * * 1"},
            "sources": [
                {
                    "source": "education.attendance",
                    "holder": "教育委員会",
                    "file": {"pattern": "SHUKKETSU*", "format": "csv", "encoding": encoding},
                    "columns": [{"item": item, "column": column} for item, column in columns],
                }
            ],
        }
    )


def _write(home: Path, encoding: str, rows: int, bad_every: int) -> None:
    folder = home / "landing" / "112241" / "2026-10-01"
    folder.mkdir(parents=True)
    (home / "municipality.json").write_text(_municipality(encoding), encoding="utf-8")
    with (folder / "SHUKKETSU_1.csv").open("w", encoding=encoding, newline="") as file:
        file.write(_HEADER)
        for n in range(1, rows + 1):
            bad = ",9" if bad_every and n % bad_every == 0 else ""
            file.write(f"{n // 12:010d},令和8年{n % 12 + 1}月,20,{n % 5},{n % 3},{n % 2}{bad}\r\n")


def run(rows: int = 3_000_000) -> list[dict[str, Any]]:
    """Seconds, peak memory (MB) and records a second per format, and of the floor."""
    found: list[dict[str, Any]] = []
    for what, (encoding, bad_every) in _CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder)
            _write(home, encoding, rows, bad_every)
            result = measured([sys.executable, "-c", _PROGRAM, folder])
            found.append(_row(f"load {rows:,} records: {what}", result.seconds, result.peak_mb, rows))
            if encoding == "utf-8":
                floor = measured([sys.executable, "-c", _FLOOR, folder])
                found.append(_row(f"floor: DuckDB reads {rows:,} records of UTF-8", floor.seconds, floor.peak_mb, rows))
    return found


def _row(what: str, seconds: float, peak_mb: float, rows: int) -> dict[str, Any]:
    return {
        "what": what,
        "seconds": round(seconds, 1),
        "peak_mb": round(peak_mb),
        "records_per_second": round(rows / seconds),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    for row in run(parser.parse_args().rows):
        print(json.dumps(row, ensure_ascii=False))
