"""Learn the shipped model's probabilities on the worlds of `worlds.TUNING`, and nothing else.

    python -m tests.benchmarks.learn_linkage [--cache FOLDER] [--worlds N]

Rewrites ``kodomo_platform/linkage/model/shipped.json``: weights, thresholds and version stay, the section ``probability``
and the card are made anew. Pairs that are plainly one child or plainly not are thinned out (and weighted up) so that the
doubtful ones decide. What was learnt is measured by `bench_linkage_worlds` on other seeds.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from kodomo_platform.linkage.engine import _empty_pairs, _exact_pairs, _level_columns, _register_pairs, _splink_pairs
from kodomo_platform.linkage.model import SHIPPED, load_model, write_model
from kodomo_platform.linkage.preparation import prepare
from kodomo_platform.linkage.probability import FEATURES, evidence_of_pairs, start
from tests.benchmarks.bench_linkage import load_strangers
from tests.benchmarks.bench_linkage_worlds import world_folder
from tests.benchmarks.worlds import TUNING

SIZES = (1000, 2000, 2000, 4000)


def evidence(cache: Path, seed: int, quality: str, flaw: str = "") -> tuple[Any, Any]:
    """Features and truth of every pair that shares a block, of one world."""
    con = load_strangers(world_folder(cache, seed, quality, SIZES[seed % len(SIZES)], flaw))
    prepare(con, "linkage.lnk_identity")
    _empty_pairs(con)
    _register_pairs(con)
    # some towns as the engine meets them, after the exact keys; others with every pair to look at
    if seed % 2:
        _exact_pairs(con)
    _splink_pairs(con, load_model())
    (left, right), rows = evidence_of_pairs(con, _level_columns())
    person = dict(
        con.execute("select rid, person_id from lnk_prepared join truth using (source, source_record_id)").fetchall()
    )
    same = np.array([person.get(a, "?") == person.get(b, "!") for a, b in zip(left, right, strict=True)], dtype=bool)
    con.close()
    return rows, same


def learn(rows: Any, same: Any, seed: int = 0) -> dict[str, Any]:
    """The section ``probability`` of a model file."""
    from interpret.glassbox import ExplainableBoostingClassifier

    rng = np.random.default_rng(seed)
    offset = start(rows)
    plain = ((offset > 9) & same) | ((offset < -8) & ~same)
    kept = ~plain | (rng.random(len(same)) < 0.15)
    weights = np.where(plain, 1 / 0.15, 1.0)[kept]
    box = ExplainableBoostingClassifier(
        outer_bags=4, inner_bags=0, interactions=16, max_bins=32, max_interaction_bins=12, learning_rate=0.05, max_rounds=2500,
        early_stopping_rounds=60, min_samples_leaf=10, n_jobs=1, random_state=seed, feature_names=list(FEATURES),
        feature_types=["continuous"] * len(FEATURES),
    ).fit(rows[kept], same[kept], sample_weight=weights, init_score=offset[kept])  # fmt: skip
    terms = []
    for places, scores in zip(box.term_features_, box.term_scores_, strict=True):
        bins = [box.bins_[place][min(len(box.bins_[place]), len(places)) - 1] for place in places]
        # the first cell is for missing values and the last for unknown ones: here every feature has a number
        inner = scores[tuple(slice(1, -1) for _ in places)]
        terms.append(
            {
                "features": [FEATURES[place] for place in places],
                "cuts": [[float(f"{cut:.6g}") for cut in cuts] for cuts in bins],
                "scores": np.round(inner, 4).tolist(),
            }
        )
    return {"features": list(FEATURES), "intercept": round(float(np.ravel(box.intercept_)[0]), 5), "terms": terms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--worlds", type=int, default=len(TUNING))
    arguments = parser.parse_args()
    logging.getLogger("splink").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    parts = [
        evidence(arguments.cache, seed, quality)
        for quality in ("typical", "bad")
        for seed in TUNING[: arguments.worlds]
    ]
    rows, same = np.vstack([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    print(len(same), "pairs,", int(same.sum()), "of one child")
    before = load_model()
    content = json.loads(before.text)
    content["probability"] = learn(rows, same)
    content["training"] = content["training"] | {
        "probability": f"{len(same)} pairs of {len(parts)} invented worlds (seeds {TUNING[0]} to {TUNING[arguments.worlds - 1]}, typical and "
        "bad): tests/benchmarks/worlds.py. Tested on other seeds by tests/benchmarks/bench_linkage_worlds.py.",
    }
    for name in ("format", "sha256"):
        content.pop(name, None)
    print(write_model(SHIPPED, content).sha256)


if __name__ == "__main__":
    main()
