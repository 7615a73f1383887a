"""Linkage over a family of worlds nobody tuned on, beside plain Splink 5 and a household-shaped plain Splink model.

``run()`` measures typical and bad worlds with the seeds of ``KODOMO_BENCH_WORLDS`` (``unseen`` by default; ``tuning``, or
``note`` for the one measurement of a release), so many of each (``KODOMO_BENCH_WORLD_COUNT``, default 30) with so many children
(``KODOMO_BENCH_PEOPLE``, default 2000), and each flaw of `worlds.FLAWS` on its own seeds. Numbers are nowhere but in the
register. Printed: pooled figures, median and worst decile of worlds per engine, recall by kind, the reliability of match
probabilities, and what the watch says about precision and recall without truth. ``KODOMO_BENCH_ENGINES=ours`` leaves the
baselines out, ``KODOMO_BENCH_FLAWS=0`` the flaws; ``KODOMO_BENCH_PICTURE=FILE.png`` draws the reliability curve.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import duckdb

from tests.benchmarks.bench_linkage import load_strangers, measure, ours, plain, review
from tests.benchmarks.worlds import FLAWED, FLAWS, NOTE, TUNING, UNSEEN, draw_world, write_world

SETS = {"tuning": TUNING, "unseen": UNSEEN, "note": NOTE}
KINDS = (
    "kanji_homophone", "kanji_slip", "kana_slip", "birth_slip", "era_slip", "no_birth_date", "surname_changed", "moved", "foreign", "twin", "no_kana", "unspaced",
    "given_in_kana", "reversed", "stale", "twice", "not_in_register", "no_address",
)  # fmt: skip
_BINS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 1.01)


def household(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """A plain Splink model shaped as a careful user would: given name, birth date, sex and home as one comparison each,
    near values as levels of their own, trained on the town itself, single best links."""
    import splink.internals.comparison_level_library as cll
    import splink.internals.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    from kodomo_platform.linkage.preparation import prepare

    prepare(con)
    con.execute(
        "create or replace temp table shaped_input as select rid as unique_id, replace(source, '.', '_') as source_dataset, "
        "coalesce(given_near, given_match) as given_match, given_kana_match, surname_match, surname_kana_match, name_match, "
        "kana_match, sex, birth_date, address_town || '|' || address_block as address_key, phone_match "
        "from lnk_prepared as p where p.is_young"
    )
    api = DuckDBAPI(con)
    table = api.register("shaped_input", dataset_display_name="shaped_input")
    given = cl.CustomComparison(
        output_column_name="given_name",
        comparison_levels=[
            cll.CustomLevel("(given_match_l is null and given_kana_match_l is null) or (given_match_r is null and given_kana_match_r is null)").configure(is_null_level=True),
            cll.CustomLevel("given_match_l = given_match_r").configure(tf_adjustment_column="given_match", disable_tf_exact_match_detection=True),
            cll.CustomLevel("given_kana_match_l = given_kana_match_r").configure(tf_adjustment_column="given_kana_match", disable_tf_exact_match_detection=True),
            cll.CustomLevel("name_match_l = name_match_r or kana_match_l = kana_match_r"),
            cll.CustomLevel("levenshtein(given_kana_match_l, given_kana_match_r) <= 3"),
            cll.ElseLevel(),
        ],
    )  # fmt: skip
    home = cl.CustomComparison(
        output_column_name="home",
        comparison_levels=[
            cll.CustomLevel("(surname_match_l = surname_match_r or surname_kana_match_l = surname_kana_match_r) and (address_key_l = address_key_r or phone_match_l = phone_match_r)"),
            cll.CustomLevel("address_key_l = address_key_r or phone_match_l = phone_match_r"),
            cll.CustomLevel("surname_match_l = surname_match_r or surname_kana_match_l = surname_kana_match_r").configure(
                tf_adjustment_column="surname_match", disable_tf_exact_match_detection=True
            ),
            cll.ElseLevel(),
        ],
    )  # fmt: skip
    birth = cl.CustomComparison(
        output_column_name="birth_date",
        comparison_levels=[
            cll.NullLevel("birth_date"),
            cll.CustomLevel("birth_date_l = birth_date_r"),
            cll.CustomLevel("(year(birth_date_l) = year(birth_date_r))::int + (month(birth_date_l) = month(birth_date_r))::int + (day(birth_date_l) = day(birth_date_r))::int = 2"),
            cll.ElseLevel(),
        ],
    )  # fmt: skip
    settings = SettingsCreator(
        link_type="link_and_dedupe",
        comparisons=[given, home, birth, cl.ExactMatch("sex")],
        blocking_rules_to_generate_predictions=[
            block_on("birth_date"), block_on("kana_match"), block_on("name_match"), block_on("phone_match", "given_match"),
            block_on("address_key", "given_match"), block_on("address_key", "given_kana_match"),
        ],
    )  # fmt: skip
    linker = Linker(table, settings, log_level=None)
    linker.training.estimate_probability_two_random_records_match([block_on("name_match", "birth_date")], recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=1e6, seed=1)
    for rule in (block_on("birth_date"), block_on("name_match")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule, record_sample_proportion=1.0)
    edges = linker.inference.predict(threshold_match_probability=0.5)
    clusters = linker.clustering.cluster_using_single_best_links(
        edges, duplicate_free_datasets=["resident_register"], threshold_match_probability=0.9
    )
    rows = con.execute(
        f"select p.source, p.source_record_id, c.cluster_id from {clusters.physical_name} as c "
        "join lnk_prepared as p on p.rid = c.unique_id"
    ).fetchall()
    return {(source, record): str(cluster) for source, record, cluster in rows}


ENGINES = {"ours": ours, "plain Splink 5": plain, "household-shaped Splink": household}


def kinds(con: duckdb.DuckDBPyConnection, clusters: dict[tuple[str, str], str]) -> dict[str, tuple[int, int]]:
    """Kind → (true pairs that touch a record of it, of these found)."""
    people: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
    for source, record, person, tags in con.execute(
        "select source, source_record_id, person_id, tags from truth"
    ).fetchall():
        people[person].append((clusters.get((source, record), f"-{source}|{record}"), frozenset(tags.split("|"))))
    seen: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for records in people.values():
        for place, (one, tags) in enumerate(records):
            for other, more in records[place + 1 :]:
                for kind in (tags | more) & frozenset(KINDS):
                    seen[kind] += 1
                    hit[kind] += one == other
    return {kind: (seen[kind], hit[kind]) for kind in seen}


def reliability(con: duckdb.DuckDBPyConnection) -> list[tuple[float, bool]]:
    """Probability and truth of every scored pair that assignment looked at: linked, asked or set apart."""
    tables = "(select * from linkage.lnk_edge union all select * from linkage.lnk_apart)"
    return [
        (float(probability), bool(same))
        for probability, same in con.execute(
            f"select e.probability, l.person_id = r.person_id from {tables} as e "
            "join truth as l on l.source = e.left_source and l.source_record_id = e.left_record "
            "join truth as r on r.source = e.right_source and r.source_record_id = e.right_record "
            "where e.kind = 'probabilistic'"
        ).fetchall()
    ]


def patterns(con: duckdb.DuckDBPyConnection) -> Counter[str]:
    """Patterns of evidence (levels, no values) of scored pairs that came out wrong: linked falsely, or not linked."""
    tables = "(select * from linkage.lnk_edge union all select * from linkage.lnk_apart)"
    rows = con.execute(
        f"select case when e.outcome = 'link' then 'false' else 'missed' end, e.outcome, e.why, e.evidence from {tables} as e "
        "join truth as l on l.source = e.left_source and l.source_record_id = e.left_record "
        "join truth as r on r.source = e.right_source and r.source_record_id = e.right_record "
        "where (l.person_id = r.person_id) <> (e.outcome = 'link')"
    ).fetchall()
    found: Counter[str] = Counter()
    for wrong, outcome, why, evidence in rows:
        levels = {name: level for name, level in json.loads(evidence).items() if name != "why"}
        found[f"{wrong}: {', '.join(levels.values())} ({outcome}{' ' + why if why else ''})"] += 1
    return found


def draw(series: dict[str, list[tuple[float, bool]]], path: Path) -> None:
    """The reliability curve as a picture: how often pairs of a probability are one child's."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.2, 4.6), dpi=120)
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    for name, pairs in series.items():
        points = [
            (sum(p for p, _ in inside) / len(inside), sum(same for _, same in inside) / len(inside), len(inside))
            for low, high in pairwise(_BINS)
            if len(inside := [(p, same) for p, same in pairs if low <= p < high]) >= 10
        ]
        label = f"{name} (error {calibration_error(pairs):.4f}, {len(pairs):,} pairs)"
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], marker="o", markersize=4, label=label)
    axes.set(xlabel="probability as the model says it", ylabel="share that is one child", xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def calibration_error(pairs: list[tuple[float, bool]]) -> float:
    """Expected calibration error over bins that are fine at both ends."""
    total = gap = 0.0
    for low, high in pairwise(_BINS):
        inside = [(p, same) for p, same in pairs if low <= p < high]
        if inside:
            gap += abs(sum(p for p, _ in inside) - sum(same for _, same in inside))
            total += len(inside)
    return gap / total if total else 0.0


def measure_world(folder: Path, engines: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """Engine → figures of one written world."""
    rows: dict[str, dict[str, Any]] = {}
    for name in engines:
        con = load_strangers(folder)
        begin = time.process_time()
        try:
            clusters = ENGINES[name](con)
        except Exception as error:  # a baseline that cannot be trained on a town has linked nothing there
            if name == "ours":
                raise
            logging.getLogger(__name__).warning("%s: %s", name, type(error).__name__)
            clusters = {}
        row = dict(measure(con, clusters)) | {"cpu": time.process_time() - begin, "kinds": kinds(con, clusters)}
        if name == "ours":
            row["records"] = con.execute("select count(*) from truth").fetchone()[0]  # type: ignore[index]
            row["pairs"] = reliability(con)
            row["watch"] = watched(con)
            row["patterns"] = patterns(con)
            row["asked"], after = review(con)
            done = measure(con, after if row["asked"] else clusters)
            row |= {"recall_reviewed": done["recall"], "false_reviewed": done["fp"]}
        rows[name] = row
        con.close()
        gc.collect()
    return rows


def watched(con: duckdb.DuckDBPyConnection) -> dict[str, float]:
    """What the engine itself says of this run without any truth."""
    there = con.execute(
        "select 1 from information_schema.tables where table_schema = 'linkage' and table_name = 'lnk_estimate'"
    ).fetchone()
    if not there:
        return {}
    told = dict(con.execute("select metric, round(value, 5) from linkage.lnk_estimate").fetchall())
    return told | {
        f"{symptom} {source}".strip(): round(share, 3)
        for symptom, source, share in con.execute("from linkage.lnk_symptom").fetchall()
    }


def decile(values: list[float]) -> float:
    """The value that nine of ten worlds reach."""
    return sorted(values)[int(len(values) * 0.1)]


def summary(worlds: list[dict[str, dict[str, Any]]], engine: str) -> dict[str, Any]:
    """Pooled and per-world figures of one engine."""
    rows = [world[engine] for world in worlds]
    tp, fp, fn = (sum(row[name] for row in rows) for name in ("tp", "fp", "fn"))
    made: dict[str, Any] = {
        "precision": f"{tp / max(tp + fp, 1):.5f}",
        "recall": f"{tp / max(tp + fn, 1):.5f}",
        "precision_median": f"{median(row['precision'] for row in rows):.5f}",
        "precision_worst_decile": f"{decile([row['precision'] for row in rows]):.5f}",
        "recall_median": f"{median(row['recall'] for row in rows):.5f}",
        "recall_worst_decile": f"{decile([row['recall'] for row in rows]):.5f}",
        "false_pairs": fp,
        "pairs": tp + fn,
        "cpu_per_world": f"{sum(row['cpu'] for row in rows) / len(rows):.1f}",
    }
    seen: Counter[str] = Counter()
    hit: Counter[str] = Counter()
    for row in rows:
        for kind, (of, right) in row["kinds"].items():
            seen[kind] += of
            hit[kind] += right
    made["recall_by_kind"] = {kind: round(hit[kind] / seen[kind], 4) for kind in KINDS if seen[kind]}
    if engine == "ours":
        records = sum(row["records"] for row in rows)
        made |= {
            "recall_reviewed": f"{sum(row['recall_reviewed'] * (row['tp'] + row['fn']) for row in rows) / max(tp + fn, 1):.5f}",
            "false_reviewed": sum(row["false_reviewed"] for row in rows),
            "asked_share": f"{sum(row['asked'] for row in rows) / records:.5f}",
            "calibration_error": f"{calibration_error([pair for row in rows for pair in row['pairs']]):.4f}",
            "calibration_error_worst_decile": f"{-decile([-calibration_error(row['pairs']) for row in rows]):.4f}",
        }
    return made


def world_folder(cache: Path, seed: int, quality: str, children: int, flaw: str = "") -> Path:
    """The written world of ``seed``, made when it is not there."""
    folder = cache / f"{seed}-{quality}-{children}{'-' + flaw if flaw else ''}"
    if not (folder / "run.parquet").exists():
        write_world(folder, draw_world(seed, quality, children, flaw))
    return folder


def _wrong(quality: str, worlds: list[dict[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The ten patterns that are missed most, those that are false, and whether the run's own estimate holds the truth."""
    found: Counter[str] = sum((world["ours"]["patterns"] for world in worlds), Counter())
    ours = [world["ours"] for world in worlds]
    within = {
        name: sum(
            row["watch"][f"expected_{name}_low"] <= row[name] <= row["watch"][f"expected_{name}_high"] for row in ours
        )
        for name in ("precision", "recall")
    }
    rows: list[dict[str, Any]] = [
        {
            "what": f"{quality}: worlds whose own estimate holds the truth, of {len(worlds)}",
            **within,
            "expected_recall_median": f"{median(row['watch']['expected_recall'] for row in ours):.5f}",
        }
    ]
    for start in ("missed", "false"):
        worst = [(pattern, count) for pattern, count in found.most_common() if pattern.startswith(start)][:10]
        rows.append(
            {
                "what": f"{quality}: worst {start} patterns",
                "note": "; ".join(f"{count} × {pattern}" for pattern, count in worst),
            }
        )
    return rows


def run() -> list[dict[str, Any]]:
    """The table: a row per quality and engine, and one per flaw."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    seeds = SETS[os.environ.get("KODOMO_BENCH_WORLDS", "unseen")][
        : int(os.environ.get("KODOMO_BENCH_WORLD_COUNT", "30"))
    ]
    children = int(os.environ.get("KODOMO_BENCH_PEOPLE", "2000"))
    engines = tuple(os.environ.get("KODOMO_BENCH_ENGINES", ",".join(ENGINES)).split(","))
    rows: list[dict[str, Any]] = []
    curves: dict[str, list[tuple[float, bool]]] = {}
    targets = {
        "typical": "P ≥ 0.9999, R ≥ 0.998, reviewed ≥ 0.9995 (≤ 0.3 %), calibration error ≤ 0.02",
        "bad": "P ≥ 0.9998, R ≥ 0.985, reviewed ≥ 0.997 (≤ 1.5 %), calibration error ≤ 0.02",
    }
    with tempfile.TemporaryDirectory(prefix="kodomo-worlds-") as kept:
        cache = Path(os.environ.get("KODOMO_BENCH_WORLD_CACHE", kept))
        for quality, target in targets.items():
            worlds = [measure_world(world_folder(cache, seed, quality, children), engines) for seed in seeds]
            for engine in engines:
                found = summary(worlds, engine)
                what = f"{len(worlds)} {quality} worlds of {children:,} children: {engine}"
                rows.append(
                    {
                        "what": what,
                        "target": target if engine == "ours" else "",
                        **found,
                        "recall_by_kind": json.dumps(found["recall_by_kind"]),
                    }
                )
            if "ours" in engines:
                curves[quality] = [pair for world in worlds for pair in world["ours"]["pairs"]]
                rows += _wrong(quality, worlds)
        if picture := os.environ.get("KODOMO_BENCH_PICTURE"):
            draw(curves, Path(picture))
        for flaw in FLAWS if os.environ.get("KODOMO_BENCH_FLAWS", "1") == "1" else ():
            worlds = [measure_world(world_folder(cache, seed, "typical", children, flaw), ("ours",)) for seed in FLAWED]
            found = summary(worlds, "ours")
            rows.append(
                {
                    "what": f"bad input: {flaw}",
                    "target": "P ≥ 0.9998, and the watch says what is wrong",
                    **{name: found[name] for name in ("precision", "recall", "false_pairs", "asked_share")},
                    "watch": json.dumps([world["ours"]["watch"] for world in worlds]),
                }
            )
    return rows
