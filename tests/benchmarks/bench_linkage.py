"""Our linkage beside plain Splink 5 on the same records, without any numbers: quality, queue and time.

``run()`` measures on records of `strangers` (other names, towns and faults than the twins'), typical and bad; sizes in
children from ``KODOMO_BENCH_PEOPLE`` (default 12000; 222000 gives a million records), seed from ``KODOMO_BENCH_SEED``
(default 1, which was also used to find errors: another one is a blind test). Both engines have the same DuckDB memory limit
(``KODOMO_BENCH_MEMORY``, default 3GB) and a folder of their own to spill to. One linked warehouse instead:

    python -m tests.benchmarks.bench_linkage WAREHOUSE TRUTH_CSV [--numbers] [--json OUT]

``WAREHOUSE`` is a linked municipality's DuckDB file (it is copied into memory, never changed), ``TRUTH_CSV`` its truth.
Resident numbers are taken from every source but the register, so that likeness alone decides, unless ``--numbers`` leaves
them there. Only children's records that name a person are counted. ``reviewed`` is what comes of it when a perfect reviewer
has worked the queue, up to 1.5 % of the records; ``unclear`` the share of queued pairs that are one person or a trap (twins,
or one name on two people).
"""

from __future__ import annotations

import argparse
import atexit
import json
import logging
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.linkage.engine import link_records
from kodomo_platform.linkage.evaluation import scores
from kodomo_platform.linkage.identifiers import name_clusters
from kodomo_platform.linkage.preparation import prepare


def _memory() -> duckdb.DuckDBPyConnection:
    """A database in memory, limited alike for every engine that is measured."""
    spill = tempfile.mkdtemp(prefix="kodomo-bench-spill-", dir=os.environ.get("KODOMO_BENCH_SPILL"))
    atexit.register(shutil.rmtree, spill, ignore_errors=True)
    return duckdb.connect(
        config={"memory_limit": os.environ.get("KODOMO_BENCH_MEMORY", "3GB"), "temp_directory": spill, "threads": 2}
    )


def load(warehouse: Path, truth: Path, *, numbers: bool = False) -> duckdb.DuckDBPyConnection:
    """Identity records (without ``numbers`` outside the register), the day of the run and the truth, in memory."""
    con = _memory()
    con.execute(f"attach '{warehouse}' as home (read_only)")
    con.execute("create schema cfg; create schema linkage; create schema ops")
    con.execute("create table cfg.run as from home.cfg.run")
    con.execute(
        "create table linkage.lnk_identity as select * replace "
        f"(case when {numbers} or source = 'resident.register' then resident_number end as resident_number) "
        "from home.linkage.lnk_identity"
    )
    con.execute(
        "create table truth as select t.* from read_csv(?, all_varchar = true) as t "
        "join home.linkage.lnk_cluster as c using (source, source_record_id) "
        "where c.source <> 'resident.register' or c.child_id is not null",
        [str(truth)],
    )
    con.execute("detach home")
    _empty_operations(con)
    return con


def load_strangers(folder: Path) -> duckdb.DuckDBPyConnection:
    """Records that `strangers.write_records` wrote, in memory."""
    con = _memory()
    con.execute("create schema cfg; create schema linkage; create schema ops")
    con.execute(f"create table cfg.run as from '{folder / 'run.parquet'}'")
    con.execute(f"create table linkage.lnk_identity as from '{folder / 'identity.parquet'}'")
    con.execute(f"create table truth as from '{folder / 'truth.parquet'}'")
    _empty_operations(con)
    return con


def _empty_operations(con: duckdb.DuckDBPyConnection) -> None:
    """No ids given out, nothing decided."""
    con.execute("create table ops.child_id (source varchar, source_record_id varchar, child_id varchar, number bigint)")
    con.execute("create table ops.former_child_id as from ops.child_id")
    con.execute(
        "create table ops.review_decision (pair_id varchar, left_source varchar, left_record varchar, "
        "right_source varchar, right_record varchar, decision varchar, decided_by varchar)"
    )
    con.execute(f"create table ops.id_state as select '' as municipality, '{'00' * 32}' as key, 1 as next_number")


def ours(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Child id per record."""
    con.register("edges", link_records(con))
    con.execute("create or replace table linkage.lnk_edge as from edges")
    clusters = name_clusters(con).to_pydict()
    return {
        (source, record): f"{root}|{number}"
        for source, record, root, number in zip(
            clusters["source"],
            clusters["source_record_id"],
            clusters["cluster_source"],
            clusters["cluster_record"],
            strict=True,
        )
    }


def plain(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Splink as its tutorial has it: a comparison per field on the matching forms, trained here, single best links."""
    import splink.internals.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    prepare(con)
    con.execute(
        "create or replace temp table plain_input as select rid as unique_id, replace(source, '.', '_') as source_dataset, given_match, "
        "surname_match, kana_match, sex, birth_date, address_town || '|' || address_block as address_key, phone_match "
        "from lnk_prepared as p "
        "where p.is_young"
    )
    api = DuckDBAPI(con)
    table = api.register("plain_input", dataset_display_name="plain_input")
    settings = SettingsCreator(
        link_type="link_and_dedupe",
        comparisons=[
            cl.ExactMatch("given_match").configure(term_frequency_adjustments=True),
            cl.ExactMatch("surname_match").configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("kana_match", [0.9]),
            cl.ExactMatch("birth_date"),
            cl.ExactMatch("sex"),
            cl.ExactMatch("address_key"),
            cl.ExactMatch("phone_match"),
        ],
        blocking_rules_to_generate_predictions=[
            block_on("birth_date"),
            block_on("kana_match"),
            block_on("given_match", "surname_match"),
            block_on("phone_match"),
        ],
    )
    linker = Linker(table, settings, log_level=None)
    # a town without any reading is trained on the names as they are written
    (kana,) = con.execute("select count(kana_match) from plain_input").fetchone() or (0,)
    names = block_on("kana_match") if kana > 1000 else block_on("given_match", "surname_match")
    sure = (
        block_on("kana_match", "birth_date") if kana > 1000 else block_on("given_match", "surname_match", "birth_date")
    )
    linker.training.estimate_probability_two_random_records_match([sure], recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (block_on("birth_date"), names):
        linker.training.estimate_parameters_using_expectation_maximisation(rule, record_sample_proportion=1.0)
    edges = linker.inference.predict(threshold_match_probability=0.5)
    clusters = linker.clustering.cluster_using_single_best_links(
        edges, duplicate_free_datasets=["resident_register"], threshold_match_probability=0.855
    )
    rows = con.execute(
        f"select p.source, p.source_record_id, c.cluster_id from {clusters.physical_name} as c "
        "join lnk_prepared as p on p.rid = c.unique_id"
    ).fetchall()
    return {(source, record): str(cluster) for source, record, cluster in rows}


def measure(con: duckdb.DuckDBPyConnection, clusters: dict[tuple[str, str], str]) -> dict[str, Any]:
    """Pairwise scores over the truth's records."""
    together: Counter[tuple[str, str]] = Counter()
    people: Counter[str] = Counter()
    made: Counter[str] = Counter()
    for source, record, person in con.execute("select source, source_record_id, person_id from truth").fetchall():
        cluster = clusters.get((source, record), f"-{source}|{record}")
        together[(person, cluster)] += 1
        people[person] += 1
        made[cluster] += 1

    def pairs(counts: Counter[Any]) -> int:
        return sum(n * (n - 1) // 2 for n in counts.values())

    tp = pairs(together)
    return scores(tp, pairs(made) - tp, pairs(people) - tp)


def review(con: duckdb.DuckDBPyConnection, share: float = 0.015) -> tuple[int, dict[tuple[str, str], str]]:
    """A perfect reviewer works the queue, in the product's order, up to ``share`` of the records; what is left after
    it is linked again. Returns how many pairs were asked and the clusters."""
    people = {(s, r): p for s, r, p in con.execute("select source, source_record_id, person_id from truth").fetchall()}
    budget, asked = int(len(people) * share), 0
    clusters: dict[tuple[str, str], str] = {}
    for _ in range(3):
        queue = con.execute(
            "select pair_id, left_source, left_record, right_source, right_record from linkage.lnk_edge "
            "where outcome = 'review' order by probability * touches desc, pair_id"
        ).fetchall()[: budget - asked]
        if not queue:
            break
        asked += len(queue)
        con.executemany(
            "insert into ops.review_decision values (?, ?, ?, ?, ?, ?, 'perfect')",
            [
                [*row, "same" if people.get(row[1:3], "?") == people.get(row[3:5], "!") else "different"]
                for row in queue
            ],
        )
        clusters = ours(con)
    return asked, clusters


def by_kind(con: duckdb.DuckDBPyConnection, clusters: dict[tuple[str, str], str]) -> dict[str, float]:
    """Recall of the true pairs that touch a record of each kind."""
    people: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for source, record, person, tags in con.execute(
        "select source, source_record_id, person_id, tags from truth"
    ).fetchall():
        kinds = frozenset((tags or "").split("|")) - {""}
        people[person].append((clusters.get((source, record), f"-{source}|{record}"), kinds))
    seen: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for records in people.values():
        for place, (one, kinds) in enumerate(records):
            for other, more in records[place + 1 :]:
                for kind in kinds | more:
                    seen[kind] += 1
                    found[kind] += one == other
    return {kind: round(found[kind] / count, 4) for kind, count in sorted(seen.items())}


def _one_side(folder: str, side: str) -> None:
    """Measure one engine in this process and print JSON: memory is then its own."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    con = load_strangers(Path(folder))
    import splink  # noqa: F401  # imported here so that neither side pays for it

    (records,) = con.execute("select count(*) from linkage.lnk_identity").fetchone() or (0,)
    begin, busy = time.perf_counter(), time.process_time()
    clusters = ours(con) if side == "ours" else plain(con)
    row: dict[str, Any] = {"records": records, "seconds": round(time.perf_counter() - begin, 1)}
    row["cpu_seconds"] = round(time.process_time() - busy, 1)
    row["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)
    row |= _figures(measure(con, clusters)) | {"recall_by_kind": json.dumps(by_kind(con, clusters))}
    if side == "ours":
        row |= queue(con)
        if os.environ.get("KODOMO_BENCH_REVIEW", "1") == "1":
            row |= reviewed(con, clusters)
    print(json.dumps(row))


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    """Scores as they are shown: shares with five digits, counts of pairs."""
    return {name: f"{found[name]:.5f}" for name in ("precision", "recall", "f1")} | {
        name: found[name] for name in ("tp", "fp", "fn")
    }


def queue(con: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """How many pairs wait for a person, how many are one child, and the share that is truly unclear."""
    row = con.execute(
        """
        select count(*), count(*) filter (where l.person_id = r.person_id), count(*) filter (where l.person_id = r.person_id
            or (list_has_any(string_split(l.tags, '|'), ['twin', 'twins']) and list_has_any(string_split(r.tags, '|'), ['twin', 'twins']))
            or a.name_match = b.name_match or a.kana_match = b.kana_match)
        from linkage.lnk_edge as e
        join linkage.lnk_identity as a on a.source = e.left_source and a.source_record_id = e.left_record
        join linkage.lnk_identity as b on b.source = e.right_source and b.source_record_id = e.right_record
        left join truth as l on l.source = e.left_source and l.source_record_id = e.left_record
        left join truth as r on r.source = e.right_source and r.source_record_id = e.right_record
        where e.outcome = 'review'
        """
    ).fetchone() or (0, 0, 0)
    return {"queued": row[0], "queued_true": row[1], "unclear": f"{row[2] / row[0]:.3f}" if row[0] else ""}


def reviewed(con: duckdb.DuckDBPyConnection, clusters: dict[tuple[str, str], str]) -> dict[str, Any]:
    """What a perfect reviewer makes of it: pairs asked, their share of records, recall and false pairs then."""
    (records,) = con.execute("select count(*) from truth").fetchone() or (0,)
    asked, after = review(con)
    found = measure(con, after if asked else clusters)
    return {
        "asked": asked,
        "asked_share": f"{asked / records:.4f}",
        "recall_reviewed": f"{found['recall']:.5f}",
        "false_reviewed": found["fp"],
    }


def run() -> list[dict[str, Any]]:
    """Ours and plain Splink on records of strangers, each in a process of its own."""
    from tests.benchmarks.measuring import measured
    from tests.benchmarks.strangers import write_records

    rows = []
    seed = int(os.environ.get("KODOMO_BENCH_SEED", "1"))
    for people in (int(size) for size in os.environ.get("KODOMO_BENCH_PEOPLE", "12000").split(",")):
        for quality, factor, target in (
            ("typical", 1.0, "precision ≥ 0.9999, recall ≥ 0.998"),
            ("bad", 2.5, "precision ≥ 0.9998, recall ≥ 0.985, reviewed ≥ 0.995"),
        ):
            with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as folder:
                write_records(Path(folder), people, seed=seed, factor=factor)
                for side in ("ours", "plain Splink 5"):
                    done = measured(
                        [sys.executable, "-m", "tests.benchmarks.bench_linkage", "--strangers", folder, "--side", side]
                    )
                    row = json.loads(done.output.splitlines()[-1])
                    what = f"{people:,} strangers, seed {seed}, {quality}: {side}"
                    rows.append({"what": what, "target": target if side == "ours" else "", **row})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warehouse", type=Path, nargs="?")
    parser.add_argument("truth", type=Path, nargs="?")
    parser.add_argument("--numbers", action="store_true", help="leave the resident numbers in the warehouse's records")
    parser.add_argument("--strangers", help="folder of `strangers.write_records` (with --side)")
    parser.add_argument("--side", choices=("ours", "plain Splink 5"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.strangers:
        _one_side(options.strangers, options.side)
        return
    if not (options.warehouse and options.truth):
        parser.error("a warehouse and its truth are needed")
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    con = load(options.warehouse, options.truth, numbers=options.numbers)
    import splink  # noqa: F401  # imported here so that neither side pays for it

    results: dict[str, dict[str, Any]] = {}
    for name, engine in (("ours", ours), ("plain Splink 5", plain)):
        start, busy = time.perf_counter(), time.process_time()
        clusters = engine(con)
        row = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - busy}
        results[name] = row | measure(con, clusters)
        if name == "ours":
            results[name] |= queue(con) | reviewed(con, clusters)
    print(f"{'':16}{'precision':>10}{'recall':>10}{'F1':>10}{'false':>8}{'missed':>8}{'seconds':>9}{'CPU':>7}")
    for name, found in results.items():
        print(
            f"{name:16}{found['precision']:>10.5f}{found['recall']:>10.5f}{found['f1']:>10.5f}"
            f"{found['fp']:>8}{found['fn']:>8}{found['seconds']:>9.1f}{found['cpu_seconds']:>7.1f}"
        )
    told = ("queued", "queued_true", "unclear", "asked", "asked_share", "recall_reviewed", "false_reviewed")
    print("queue: " + ", ".join(f"{name} {results['ours'][name]}" for name in told))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory {memory:.1f} GB")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
