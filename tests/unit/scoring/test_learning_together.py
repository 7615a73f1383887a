"""Learning together equals learning on all rows; files that leave a site say nothing of few children."""

from __future__ import annotations

import numpy as np
import pytest

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.additive import cell_numbers, sigmoid
from kodomo_platform.scoring.candidates import Table, fit_ebm, fit_logistic
from kodomo_platform.scoring.together import choose, exportable, federated_logistic, merged


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
    with pytest.raises(ScoringError, match="at least three sites"):
        federated_logistic(tables, "abuse")
    other = Table(tables[0].x, tables[0].y, ("z", "b", "c", "d"), {}, tables[0].group)
    with pytest.raises(ScoringError, match="features differ"):
        federated_logistic([*tables, other], "abuse")
