"""Intervals of a score hold what they promise where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kodomo_platform.scoring.additive import INTERVAL_Z
from kodomo_platform.scoring.candidates import (
    Table,
    blend,
    blend_share,
    calibrate,
    fit_ebm,
    fit_logistic,
    folds_by_group,
)
from kodomo_platform.scoring.training import _variances, _widened

FOLDS = 3
COLUMNS = 6


def _world(seed: int, rows: int) -> tuple[Table, np.ndarray]:
    """Rows with an outcome of some four per cent, and the true log odds of each."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, COLUMNS))
    x[:, 3] = x[:, 3] > 1
    truth = -4.0 + 0.8 * x[:, 0] + 0.5 * np.maximum(x[:, 1], 0) + 0.9 * x[:, 3] + 0.4 * x[:, 4]
    y = (rng.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    names = tuple(f"f{n}" for n in range(COLUMNS))
    return Table(x, y, names, {"a": (0, 1, 2), "b": (3, 4, 5)}, np.arange(rows).astype(str)), truth


def test_intervals_of_the_blend_hold_about_nine_in_ten_truths() -> None:
    held, held_before = [], []
    for seed in (3, 4, 5, 6):
        table, _ = _world(seed, 2_500)
        later, truth = _world(seed + 100, 1_500)
        fold = folds_by_group(table.group, table.y, FOLDS, seed)
        refitted: dict[str, list[np.ndarray]] = {"logistic": [], "ebm": []}
        own = {name: np.zeros(len(table.y)) for name in refitted}
        for part in range(FOLDS):
            learn = table.rows(fold != part)
            for fitted in (fit_logistic(learn, "t", strength=0.02), fit_ebm(learn, "t", bags=3)):
                refitted[fitted.name].append(fitted.predict(later.x))
                own[fitted.name][fold == part] = fitted.predict(table.x[fold == part])
        share = blend_share(own["logistic"], own["ebm"], table.y)
        slope, shift = calibrate(share * own["logistic"] + (1 - share) * own["ebm"], table.y)
        mixed = blend(fit_logistic(table, "t", strength=0.02), fit_ebm(table, "t", bags=3), table, "t", share).model
        assert mixed is not None
        values = {name: later.x[:, n] for n, name in enumerate(later.names)}
        for model, kept in (
            (mixed, held_before),
            (_widened(mixed, later, _variances(refitted, share)["blend"]), held),
        ):
            model = replace(model, slope=slope, shift=shift)
            away = np.abs(model.logits(values) - truth)
            deviation = np.sqrt(model.contributions(values)[1].sum(axis=1) + 1 / table.y.sum())
            kept.append(float((away <= INTERVAL_Z * deviation).mean()))

    assert np.mean(held_before) < 0.8  # a model's own standard errors promise too much
    assert 0.85 <= np.mean(held) <= 0.97
