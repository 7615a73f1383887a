"""How long cleansing takes: a million names, readings and addresses, and three million attendance rows' dates.

Run by ``make bench``; prints a table and, with ``--json FILE``, writes it. No assertion: timings are looked at.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.cleansing import addresses, characters, kana, names, register

_RECORDS = """
create temp table records as
select
    ['渡邉', '髙橋', '佐藤', '齋藤', '濵田', '吉田', '𠮷田', '佐々木'][1 + i % 8] || '　'
        || ['太郎', '花子', '結衣', '大翔', '蓮'][1 + i % 5] || chr(19968 + (i % 997)::int) as name,
    ['ﾜﾀﾅﾍﾞ', 'ﾀｶﾊｼ', 'サトウ', 'サイトウ', 'はまだ', 'ヨシダ'][1 + i % 6] || ' '
        || ['ﾀﾛｳ', 'ハナコ', 'ゆい', 'ヒロト'][1 + i % 4] || chr(12449 + (i % 83)::int) as name_kana,
    ['埼玉県戸田市大字新曽', '戸田市新曽', '東京都昭島市田中町', '兵庫県尼崎市東園田町', '府中町本町'][1 + i % 5]
        || (1 + i % 9) || ['丁目', '－', 'ー'][1 + i % 3] || (1 + i % 30) || ['番', '-', '−'][1 + i % 3]
        || (1 + i // 7 % 40) || ['号', '', ' コーポ' || (i % 211) || '号室'][1 + i % 3] as address,
    '令和' || (1 + i % 8) || '年' || (1 + i % 12) || '月' || (1 + i % 28) || '日' as day
from range({rows}) as r (i)
"""

_WORK = {
    "names and addresses": "(kodomo_name(name).match, kodomo_address(address).match)",
    "names": "kodomo_name(name).match",
    "readings": "kodomo_kana(name_kana).match",
    "addresses": "kodomo_address(address).match",
    "dates": "kodomo_date(day, 'wareki_kanji', 'jis')",
}
_TARGETS = {"names and addresses": "≤ 60 s together on 2 cores"}


def _forget() -> None:
    """Every kind of work starts cold: what another one remembered must not help it."""
    for module in (addresses, characters, kana, names):
        for function in vars(module).values():
            if hasattr(function, "cache_clear"):
                function.cache_clear()


def measure(rows: int) -> list[dict[str, float | int | str]]:
    """Seconds of wall clock and CPU for each kind of work on ``rows`` texts."""
    found: list[dict[str, float | int | str]] = []
    for work, expression in _WORK.items():
        _forget()
        con = duckdb.connect(config={"threads": 2})
        register(con)
        con.execute(_RECORDS.format(rows=rows))
        wall, cpu = time.perf_counter(), time.process_time()
        distinct = con.execute(f"select count(distinct {expression}) from records").fetchone()
        found.append(
            {
                "work": work,
                "rows": rows,
                "distinct": distinct[0] if distinct else 0,
                "seconds": round(time.perf_counter() - wall, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
            }
        )
    return found


def run() -> list[dict[str, Any]]:
    """A row per kind of work on a million texts."""
    return [
        {
            "what": f"{found['rows']:,} {found['work']} ({found['distinct']:,} distinct)",
            "seconds": found["seconds"],
            "cpu_seconds": found["cpu_seconds"],
            "target": _TARGETS.get(str(found["work"]), ""),
        }
        for found in measure(1_000_000)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = measure(arguments.rows)
    print(f"{'work':<22}{'rows':>12}{'distinct':>12}{'seconds':>10}{'cpu':>10}")
    for row in found:
        print(f"{row['work']:<22}{row['rows']:>12,}{row['distinct']:>12,}{row['seconds']:>10}{row['cpu_seconds']:>10}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
