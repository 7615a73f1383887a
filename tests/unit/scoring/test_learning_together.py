"""Learning together equals learning on all rows; files that leave a site say nothing of few children."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.additive import AdditiveModel, cell_numbers, sigmoid
from kodomo_platform.scoring.candidates import Table, fit_ebm, fit_logistic
from kodomo_platform.scoring.together import (
    choose,
    choose_with_others,
    exportable,
    federated_logistic,
    merged,
    recalibrated,
)


def site(rows: int, seed: int, shift: float = 0.0) -> Table:
    rng = np.random.default_rng(seed)
    x = np.round(rng.normal(size=(rows, 4)), 2)
    y = (rng.random(rows) < sigmoid(1.2 * x[:, 0] + 0.8 * x[:, 1] - 1 + shift)).astype(np.int64)
    x[rng.random(x.shape) < 0.05] = np.nan
    return Table(x, y, ("a", "b", "c", "d"), {}, np.arange(rows))


def joined(sites: list[Table]) -> Table:
    x, y = np.vstack([s.x for s in sites]), np.concatenate([s.y for s in sites])
    return Table(x, y, sites[0].names, {}, np.arange(len(y)))


def columns(table: Table) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {name: table.x[:, n] for n, name in enumerate(table.names)}


def test_summed_gradients_equal_the_central_fit() -> None:
    sites = [site(60, 1), site(200, 2), site(300, 3), site(250, 4)]
    shared, rounds = federated_logistic(sites, "abuse")
    everything = joined(sites)
    halves = [everything.rows(np.arange(n, len(everything.y), 3)) for n in range(3)]
    central, _ = federated_logistic(halves, "abuse")
    np.testing.assert_allclose(shared.logits(columns(everything)), central.logits(columns(everything)), atol=1e-6)
    assert rounds <= 10


def test_a_small_site_gains_and_is_recalibrated_where_it_differs() -> None:
    from sklearn.metrics import roc_auc_score

    won = []
    for seed in range(5):
        others = [site(400, 10 * seed + n) for n in range(1, 6)]
        own, later = site(60, 100 + seed, shift=1.5), site(1500, 200 + seed, shift=1.5)
        shared, _ = federated_logistic([*others, own], "abuse")
        local = fit_logistic(own, "abuse").model
        assert local is not None
        choice = choose(local, shared, own, later)
        central = fit_logistic(joined([*others, own]), "abuse").model
        assert central is not None
        auc = [float(roc_auc_score(later.y, m.logits(columns(later)))) for m in (choice.model, central)]
        assert auc[0] >= 0.98 * auc[1]
        won.append(choice.brier["shared_recalibrated"] < min(choice.brier["local"], choice.brier["shared"]))
    assert sum(won) >= 4


def test_a_file_that_leaves_says_nothing_of_few_children() -> None:
    table = site(150, 5)
    model = fit_ebm(table, "abuse", max_bins=8).model
    assert model is not None
    out = exportable(model, table)
    assert out.ranges == {}
    for term in out.terms:
        counts = np.zeros(term.scores.shape, dtype=np.int64)
        cells = tuple(cell_numbers(columns(table)[n], c) for n, c in zip(term.features, term.cuts, strict=True))
        np.add.at(counts, cells, 1)
        assert (term.scores[counts < 5] == 0).all()
        assert not term.std.any()
    wide = fit_ebm(table, "abuse").model
    assert wide is not None
    with pytest.raises(ScoringError, match="too many cells"):
        exportable(wide, table)


def test_merged_models_are_their_mean_and_strangers_are_refused() -> None:
    tables = [site(200, 6), site(100, 7)]
    models = [fit_logistic(t, "abuse").model for t in tables]
    together = merged([m for m in models if m is not None], [200, 100])
    values = columns(tables[0])
    expected = sum(m.logits(values) * w for m, w in zip(models, (2 / 3, 1 / 3), strict=True) if m is not None)
    np.testing.assert_allclose(together.logits(values), expected)
    # tables of one feature become one table: a child's reason stands once
    trees = [m for t in tables if (m := fit_ebm(t, "abuse", max_bins=8).model) is not None]
    table = merged(trees, [200, 100])
    assert len({term.features for term in table.terms}) == len(table.terms)
    apart = sum(m.logits(values) * w for m, w in zip(trees, (2 / 3, 1 / 3), strict=True))
    np.testing.assert_allclose(table.logits(values), apart)
    with pytest.raises(ScoringError, match="at least three sites"):
        federated_logistic(tables, "abuse")
    other = Table(tables[0].x, tables[0].y, ("z", "b", "c", "d"), {}, tables[0].group)
    with pytest.raises(ScoringError, match="features differ"):
        federated_logistic([*tables, other], "abuse")


def test_on_real_data_a_small_site_merged_and_recalibrated_is_nearly_central() -> None:
    from sklearn.datasets import load_breast_cancer
    from sklearn.metrics import roc_auc_score

    data = load_breast_cancer()
    order = np.random.default_rng(7).permutation(len(data.target))
    names = tuple(f"f{n}" for n in range(5))
    x, y = data.data[order][:, :5], data.target[order].astype(np.int64)
    # every site has its own share of every kind of case; the last 150 rows stand for the small site's later children
    edges = [0, 60, 120, 180, 240, 300, 360, 419]
    sites = [Table(x[a:b], y[a:b], names, {}, np.arange(b - a)) for a, b in pairwise(edges)]
    later = Table(x[419:], y[419:], names, {}, np.arange(len(y) - 419))
    own, others = sites[0], sites[1:]
    files = [exportable(m, t) for t in others if (m := fit_ebm(t, "abuse", max_bins=8).model) is not None]
    shared = recalibrated(merged([*files], [len(t.y) for t in others]), own)
    central, local = fit_ebm(joined(sites), "abuse").model, fit_ebm(own, "abuse", max_bins=8).model
    assert central is not None
    assert local is not None

    def brier(model: AdditiveModel) -> float:
        return float(np.mean((sigmoid(model.logits(columns(later))) - later.y) ** 2))

    auc = [float(roc_auc_score(later.y, m.logits(columns(later)))) for m in (shared, central)]
    assert auc[0] >= 0.98 * auc[1]
    assert brier(shared) < brier(local)
    choice = choose_with_others(own, files, "abuse")
    assert set(choice.brier) == {"local", "shared", "shared_recalibrated"}
    assert choice.brier[choice.chosen] == min(choice.brier.values())
    with pytest.raises(ScoringError, match="exported files"):
        choose_with_others(own, [local, local], "abuse")


def test_one_household_at_many_dates_is_one_household() -> None:
    table = site(150, 5)
    model = fit_ebm(table, "abuse", max_bins=8).model
    assert model is not None
    same = Table(table.x, table.y, table.names, {}, np.zeros(150, dtype=np.int64))
    assert all(not term.scores.any() for term in exportable(model, same).terms)
