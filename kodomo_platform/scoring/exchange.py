"""Model files between municipalities: what one site shares, and what another makes of the files it was given.

Rows never leave: a file goes out only through `together.exportable`, which is logged, and files that come in are read as
data and never run. A merged model is measured at the site that uses it. Approving one does not belong here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np

from kodomo_platform.errors import ScoringError
from kodomo_platform.scoring.additive import AdditiveModel, read_model
from kodomo_platform.scoring.candidates import Table, fit_ebm
from kodomo_platform.scoring.scores import left_out
from kodomo_platform.scoring.themes import load_features, load_themes
from kodomo_platform.scoring.together import MAX_CELLS, Choice, choose_with_others, exportable
from kodomo_platform.scoring.training import MIN_OUTCOMES, SEED, TrainingReport, load_training, train


def _rows(con: duckdb.DuckDBPyConnection, code: str, theme: str, as_of: dt.date) -> Table:
    from kodomo_platform.municipalities import load_municipality

    themes, features = load_themes(), load_features()
    if theme not in themes:
        raise ScoringError(f"no theme named {theme}", expected=", ".join(sorted(themes)))
    table = load_training(con, themes[theme], features, as_of).table
    for name in left_out(load_municipality(code), themes[theme], features):
        table.x[:, table.names.index(name)] = np.nan
    if table.y.sum() < MIN_OUTCOMES:
        raise ScoringError(
            f"{int(table.y.sum())} outcome(s) are too few to learn from",
            where=f"municipality {code}, theme {theme}",
            expected=f"at least {MIN_OUTCOMES}",
        )
    return table


def share(
    con: duckdb.DuckDBPyConnection, code: str, theme: str, as_of: dt.date, out: Path, *, by: str
) -> AdditiveModel:
    """Fit this site's model for exchange, strip what would tell of few households, write it to ``out`` and log that."""
    from kodomo_platform import operations

    if not by.strip():
        raise ScoringError("a file that leaves needs the name of who sends it", action="give the name (--by)")
    table = _rows(con, code, theme, as_of)
    fitted = fit_ebm(table, theme, seed=SEED, max_bins=MAX_CELLS).model
    assert fitted is not None
    model = exportable(fitted, table)
    model = replace(model, facts=model.facts | {"municipality": code})
    # logged first: nothing leaves without a record
    act = operations.Act(by, "learning together with other municipalities", "joint learning")
    operations.audit(act, "share model", f"{code}/{theme} {model.sha256}", municipality=code)
    out.write_text(model.to_json(), encoding="utf-8")
    return model


def others(code: str, theme: str, files: Sequence[Path]) -> list[AdditiveModel]:
    """The models of the other sites' files; raises ScoringError for a file of this site, of one twice, or of another theme."""
    models = [read_model(path) for path in files]
    sites = [str(model.facts.get("municipality", path.name)) for model, path in zip(models, files, strict=True)]
    if code in sites or len(set(sites)) != len(sites):
        raise ScoringError("each file has to be of another site", where=", ".join(path.name for path in files))
    if any(model.theme != theme for model in models):
        raise ScoringError("a file answers another theme", expected=theme)
    return models


def merge(con: duckdb.DuckDBPyConnection, code: str, theme: str, as_of: dt.date, files: Sequence[Path]) -> Choice:
    """What this site should use, given the other sites' files; measured on its own held-out households."""
    models = others(code, theme, files)
    return choose_with_others(_rows(con, code, theme, as_of), models, theme)


def train_together(
    con: duckdb.DuckDBPyConnection,
    code: str,
    theme: str,
    as_of: dt.date,
    files: Sequence[Path],
    *,
    code_version: str = "",
) -> TrainingReport:
    """Train all candidates with the one learned together among them, and register the chosen one for review."""
    from kodomo_platform.municipalities import load_municipality

    models = others(code, theme, files)
    return train(con, load_municipality(code), theme, as_of, code_version=code_version, others=models)
