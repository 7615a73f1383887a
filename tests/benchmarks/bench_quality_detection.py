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


# Faults that no twin puts in and no threshold was set by, written for this measurement alone: (kind, table, items of
# which one must be named, new value in SQL, condition). A tenth of a percent to some percent of the rows each.
UNLISTED: tuple[tuple[str, str, tuple[str, ...], str, str], ...] = (
    ("digit lost", "raw_education__fees", ("student_number",), "substr(student_number, 2)", "true"),
    ("number as 1.2E+09", "raw_education__enrolment", ("resident_number",), "'1.23457E+09'", "true"),
    ("height in metres", "raw_education__school_checkup", ("height_cm",), "(height_cm::double / 100)::varchar", "true"),
    ("weight in grams", "raw_education__school_checkup", ("weight_kg",), "(weight_kg::double * 1000)::varchar", "true"),
    ("digit of height mistyped", "raw_education__school_checkup", ("height_cm", "weight_kg"),
     "(height_cm::double - 60)::varchar", "height_cm::double > 125"),
    ("another era", "raw_health__vaccination", ("vaccinated_on",), "replace(vaccinated_on, '令和', '昭和')",
     "vaccinated_on like '令和%'"),
    ("text of a wrong conversion", "raw_resident__register", ("name",), "'縺ゅｊ縺'", "true"),
    ("title beside the name", "raw_education__enrolment", ("name",), "name || '様'", "true"),
    ("guardian's name is the child's", "raw_education__enrolment", ("guardian_name",), "name", "guardian_name <> name"),
    ("telephone cut off", "raw_education__enrolment", ("guardian_phone",), "left(guardian_phone, 6)", "true"),
    ("postal code of six digits", "raw_resident__register", ("postal_code",), "'123-456'", "true"),
    ("no end written as a far day", "raw_welfare__child_benefit", ("ended_on",), "'令和99年12月31日'", "true"),
    ("late on days of absence", "raw_education__attendance", ("absent_days", "late_days"),
     "school_days", "absent_days::int between 1 and school_days::int - 1 and school_days::int > 5"),
    ("two numbers run together", "raw_education__fees", ("unpaid_yen",), "unpaid_yen || '0500'", "unpaid_yen::int > 999"),
    ("entity of a web page", "raw_resident__register", ("address",), "address || '&amp;101'", "true"),
    ("mark of no width", "raw_resident__register", ("name_kana",), "name_kana || chr(8203)", "true"),
    ("a child of fifty", "raw_education__enrolment", ("birth_date",), "replace(birth_date, '平成', '昭和')",
     "birth_date like '平成%'"),
    ("digits in a name", "raw_childcare__enrolment", ("name",), "name || '2'", "true"),
    ("filler of nines", "raw_education__enrolment", ("guardian_phone",), "'999-9999-9999'", "true"),
)  # fmt: skip


def unlisted(clean: Path, folder: Path, target: Path, code: str) -> dict[str, Any]:
    """Put faults of no list into a staged clean twin, stage it again, and count what the suites point at."""
    import datetime as dt
    import shutil

    from kodomo_platform.quality.locating import faulty_rows, row_expectations
    from kodomo_platform.settings import use_home
    from kodomo_platform.warehouse import connect

    use_home(folder / "home")
    work = target.parent / "work.duckdb"
    work.unlink(missing_ok=True)
    shutil.copy(clean, work)
    put: dict[str, set[tuple[str, int]]] = {}
    con = connect(work)
    try:
        for place, (kind, table, items, value, condition) in enumerate(UNLISTED):
            item = "late_days" if kind.startswith("late") else items[0]
            filled = f"{item} is not null and trim({item}) <> '' and _row_number % 40 = {place + 3} and ({condition})"
            rows = con.execute(f"select _row_number from raw.{table} where {filled} order by 1 limit 12").fetchall()
            numbers = [number for (number,) in rows]
            con.execute(f"update raw.{table} set {item} = {value} where list_contains(?, _row_number)", [numbers])
            put[kind] = {(table, number) for number in numbers}
    finally:
        con.close()
    _dbt(work, target)
    con = connect(work, read_only=True)
    try:
        pointed: dict[tuple[str, int], set[str]] = {}
        for found in faulty_rows(con, dt.date(2026, 10, 1), row_expectations()):
            table = load_catalog().sources[found.source].raw_table
            pointed.setdefault((table, found.row_number), set()).update((found.item or "", *found.involved))
    finally:
        con.close()
    work.unlink()
    hits = {
        kind: sum(bool(pointed.get(place, set()) & set(items)) for place in put[kind])
        for kind, _, items, _, _ in UNLISTED
    }
    sizes = {kind: len(places) for kind, places in put.items() if places}
    return {
        "what": f"{code}: faults of no list",
        "kinds": f"{sum(hits[kind] > 0 for kind in sizes)}/{len(sizes)}",
        "faults": sum(sizes.values()),
        "recall": round(sum(hits[kind] for kind in sizes) / max(1, sum(sizes.values())), 4),
        "missed": ", ".join(
            f"{kind} {size - hits[kind]} of {size}" for kind, size in sizes.items() if hits[kind] < size
        ),
    }


def _dbt(work: Path, target: Path) -> None:
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
        raise RuntimeError(f"dbt could not stage: {done.stdout[-2000:]}")


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
    con = connect(work)
    try:
        create_schemas(con)
        write_configuration(con, town, catalog, dt.date(2026, 10, 1))
        for source in catalog.sources:
            load_source(con, town, source, folder / "landing")
    finally:
        con.close()
    _dbt(work, target)
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
        if "clean" in qualities:
            code = codes[0]
            folder = base / f"{code}_clean_{children}_{seed}"
            rows.append(unlisted(folder / "twin.duckdb", folder, base / "target", code))
            print(json.dumps(rows[-1], ensure_ascii=False), file=sys.stderr)
    return rows


if __name__ == "__main__":
    for row in run():
        print(json.dumps(row))
