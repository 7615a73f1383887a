"""Scoring: how good on twins with known truth, how good on real tables, how fast at the size of a designated city.

Parts (``KODOMO_BENCH_SCORING``, default all, by commas): ``train`` (100,000 children × 80 features × 12 dates, all
candidates of one theme), ``score`` (1,000,000 children with interval and reasons), ``together`` (a site of 60 rows with six
others), ``table`` (a real table, if ``KODOMO_BENCH_TABLE`` or ``../shared`` has it), ``twins`` (every pilot's themes against
the oracle; ``KODOMO_BENCH_TWINS`` children each, default 6,000). Each part is a process of its own: its memory is its own.

The oracle ranks the same children by the latent need that the generator drew, and is measured on the same recorded
outcomes: those needs that nobody recorded cost it as much as they cost a model. Truth is read here and nowhere else.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.benchmarks.measuring import kodomo, measured

AS_OF = dt.date(2026, 10, 1)
_ROOT = Path(__file__).resolve().parents[2]
_TABLE = _ROOT.parent / "shared" / "data" / "uci_student" / "student_mat_early.csv"
_PILOTS = ("112241", "132071", "172065", "230006", "282022", "343021", "401307")


def run() -> list[dict[str, Any]]:
    """Figures of the parts asked for."""
    wanted = os.environ.get("KODOMO_BENCH_SCORING", ",".join(_PARTS)).split(",")
    rows: list[dict[str, Any]] = []
    for part in wanted:
        if part == "twins":
            for code in os.environ.get("KODOMO_BENCH_MUNICIPALITIES", ",".join(_PILOTS)).split(","):
                rows += _twin(code, int(os.environ.get("KODOMO_BENCH_TWINS", "6000")))
        else:
            with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as home:
                rows += _apart(part, home)
    return rows


def _apart(part: str, home: str, *arguments: str) -> list[dict[str, Any]]:
    """The rows that ``part`` prints in a process of its own, with the most memory it held."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_scoring", part, *arguments]
    done = measured(command, env={"KODOMO_HOME": home, "PYTHONPATH": str(_ROOT)})
    rows: list[dict[str, Any]] = json.loads(done.output.splitlines()[-1])
    return [{**row, "peak_mb": round(done.peak_mb, 1)} if "seconds" in row else row for row in rows]


# ------------------------------------------------------------------------------------------------ made-up marts


def _theme(features: int) -> tuple[Any, dict[str, Any]]:
    """The theme with most features, widened to ``features`` with copies, and the features by name."""
    from kodomo_platform.scoring.themes import load_features, load_themes

    theme, known = load_themes()["high_risk"], dict(load_features())
    names = list(theme.features)
    for n in range(features - len(names)):
        like = known[theme.features[n % len(theme.features)]]
        known[f"more_{n:02d}"] = like.model_copy(update={"feature": f"more_{n:02d}"})
        names.append(f"more_{n:02d}")
    return theme.model_copy(update={"features": names}), known


def _make(con: Any, children: int, dates: list[dt.date], names: list[str], table: str, seed: int = 1) -> Any:
    """Rows of ``children`` at each date, one date after the other; a third of the columns shows need. Returns the need."""
    need = np.random.default_rng(seed).normal(size=children)
    who = np.arange(children)
    columns = ["days_since_seen", "age_years", "single_parent", *sorted(set(names))]
    columns = list(dict.fromkeys(columns))
    for number, day in enumerate(dates):
        rng = np.random.default_rng([seed, number])
        data: dict[str, Any] = {"who": who}
        for n, name in enumerate(columns):
            if name == "age_years":
                data[name] = 1.0 + who % 16
            elif name == "days_since_seen":
                data[name] = rng.integers(0, 40, children).astype(float)
            elif name == "single_parent":
                data[name] = (who // 2 % 11 == 0).astype(float)
            else:
                value = (0.5 * need if n % 3 == 0 else 0.0) + rng.normal(size=children)
                data[name] = np.maximum(np.round(value), 0.0) if n % 2 else np.round(value, 2)
            data[name][rng.random(children) < 0.03] = np.nan
        con.register("_made", data)
        picked = ", ".join(
            f"case when not isnan({name}) then {name} end as {name}, "
            f"case when isnan({name}) then 'blank' else 'present' end as {name}__status"
            for name in columns
        )
        rows = (
            f"select 'c' || lpad(who::varchar, 8, '0') as child_id, date '{day}' as as_of_date, "
            "'h' || lpad((who // 2)::varchar, 8, '0') as household_id, "
            "case when who % 2 = 0 then 'male' else 'female' end as sex, "
            f"true as is_resident, true as is_enrolled, true as is_school_age, {picked} from _made"
        )
        con.execute(f"create table marts.{table} as {rows}" if number == 0 else f"insert into marts.{table} {rows}")
        con.unregister("_made")
    return need


def _outcomes(con: Any, need: Any, theme: str, seed: int = 2) -> None:
    rng = np.random.default_rng(seed)
    who = np.flatnonzero(rng.random(len(need)) < 1 / (1 + np.exp(-(1.4 * need - 3.2))))
    con.register("_made", {"who": who, "back": rng.integers(1, 900, len(who))})
    con.execute("create schema if not exists linkage")
    con.execute("create table if not exists linkage.lnk_child_consent (child_id varchar, themes varchar[])")
    con.execute(
        "create table marts.mart_outcome as select 'c' || lpad(who::varchar, 8, '0') as child_id, "
        f"'{theme}' as theme, date '{AS_OF}' - back::int as outcome_date, 'x' as source from _made"
    )
    con.unregister("_made")


def _town(theme: str, capacity: int) -> Any:
    return SimpleNamespace(
        code="112241",
        themes=[SimpleNamespace(key=theme, capacity=capacity, display_mode="score")],
        absence_decisions=[],
        governance=None,
        by_source={},
    )


def _month(back: int) -> dt.date:
    number = AS_OF.year * 12 + AS_OF.month - 1 - back
    return dt.date(number // 12, number % 12 + 1, 1)


def _marts(children: int, dates: list[dt.date], scored: int, theme: Any) -> Any:
    """A warehouse in the home with training rows of ``children`` and ``scored`` children to score."""
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect, create_schemas

    con = connect(get_settings().warehouse("112241"))
    create_schemas(con)
    con.execute("create table cfg.as_of (as_of_date date, purpose varchar)")
    con.execute("insert into cfg.as_of values (?, 'score')", [AS_OF])
    # those watched or told in brackets are columns of the marts whether or not the theme uses them
    from kodomo_platform.scoring import load_features
    from kodomo_platform.scoring.evaluation import WATCHED

    beside = {feature.beside for feature in load_features().values() if feature.beside is not None}
    names = sorted({*theme.features, *WATCHED, *beside})
    need = _make(con, children, dates, names, "mart_training_features")
    _make(con, scored, [AS_OF], names, "mart_child_features", seed=1)
    _outcomes(con, need, theme.key)
    return con


def train(children: int = 100_000, features: int = 80, dates: int = 12) -> list[dict[str, Any]]:
    """Load, fit, measure and record all candidates of one theme."""
    from kodomo_platform.scoring.training import train_theme

    theme, known = _theme(features)
    con = _marts(children, [_month(6 + 2 * n) for n in reversed(range(dates))], children, theme)
    con.close()
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse("112241"))
    begin = time.perf_counter()
    report = train_theme(con, _town(theme.key, children // 100), theme, known, AS_OF, run_id="bench")
    seconds = time.perf_counter() - begin
    return [
        {
            "what": f"train all candidates: {children:,} children × {features} features × {dates} dates",
            "seconds": round(seconds, 2),
            "target": "≤ 300 s, ≤ 6,000 MB",
            "rows_learned": report.rows,
            "outcomes": report.outcomes,
            "auc": round(report.metrics["auc"], 3),
        }
    ]


def score(children: int = 1_000_000) -> list[dict[str, Any]]:
    """Score with interval, rank, reasons in two languages, rules hit and versions, by an approved model."""
    from kodomo_platform.scoring import approve_challengers, load_features
    from kodomo_platform.scoring.training import train_theme

    theme, _ = _theme(0)
    con = _marts(5_000, [_month(back) for back in (18, 16, 14, 13, 12, 10, 8, 6)], children, theme)
    town = _town(theme.key, children // 100)
    train_theme(con, town, theme, load_features(), AS_OF, run_id="bench")
    approve_challengers("112241", by="bench", reason="made-up rows: to measure how long scoring takes")
    con.close()
    # a new process scores: what training held is not its memory
    from kodomo_platform.settings import get_settings

    return _apart("scored", str(get_settings().home), theme.key, str(children // 100))


def scored(theme: str, capacity: str) -> list[dict[str, Any]]:
    """The second half of `score`."""
    from kodomo_platform.scoring import score as score_all
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import connect

    con = connect(get_settings().warehouse("112241"))
    begin = time.perf_counter()
    report = score_all(con, _town(theme, int(capacity)), AS_OF, "bench", "bench")
    seconds = time.perf_counter() - begin
    one = report.themes[0]
    return [
        {
            "what": f"score {one.children:,} children by an approved {one.model_name}, with interval and reasons",
            "seconds": round(seconds, 2),
            "target": "≤ 60 s",
        }
    ]


# ------------------------------------------------------------------------------------------------ real tables


def together() -> list[dict[str, Any]]:
    """Seven sites of a real table, the first with 60 rows: merged and recalibrated against central and local alone."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.metrics import roc_auc_score

    from kodomo_platform.scoring.additive import sigmoid
    from kodomo_platform.scoring.candidates import Table, fit_ebm
    from kodomo_platform.scoring.together import exportable, merged, recalibrated

    data = load_breast_cancer()
    x, y = data.data[:, :5], (1 - data.target).astype(np.int64)
    names = tuple(f"f{n}" for n in range(x.shape[1]))
    figures: dict[str, list[float]] = {}
    for seed in range(10):
        order = np.random.default_rng(seed).permutation(len(y))
        later = order[420:]
        parts = [order[a:b] for a, b in pairwise([0, 60, 120, 180, 240, 300, 360, 420])]
        sites = [Table(x[part], y[part], names, {}, np.arange(len(part))) for part in parts]
        models = [fit_ebm(site, "together", seed=seed, max_bins=8).model for site in sites]
        files = [exportable(model, site) for model, site in zip(models, sites, strict=True) if model is not None]
        every = np.concatenate(parts)
        central = fit_ebm(Table(x[every], y[every], names, {}, every), "together", seed=seed).model
        local = models[0]
        assert central is not None
        assert local is not None
        shared = merged([local, *files[1:]], [len(part) for part in parts])
        options = {
            "local": local,
            "merged": shared,
            "merged_recalibrated": recalibrated(shared, sites[0]),
            "central": central,
        }
        values = {name: x[later, n] for n, name in enumerate(names)}
        for name, model in options.items():
            z = model.logits(values)
            figures.setdefault(f"auc {name}", []).append(float(roc_auc_score(y[later], z)))
            figures.setdefault(f"brier {name}", []).append(float(np.mean((sigmoid(z) - y[later]) ** 2)))
    means = {name: round(float(np.mean(values)), 4) for name, values in figures.items()}
    return [
        {
            "what": "a site of 60 rows with six others (breast cancer, 5 columns, 10 splits)",
            "target": "AUC ≥ 98 % of central, Brier below local",
            "auc_share_of_central": round(means["auc merged_recalibrated"] / means["auc central"], 4),
            **means,
        }
    ]


def table() -> list[dict[str, Any]]:
    """The real table of pupils, 5 × 5 folds, with its blocks gone in turn."""
    from kodomo_platform.scoring.bench import bench

    file = Path(os.environ.get("KODOMO_BENCH_TABLE", _TABLE))
    if not file.exists():
        return [{"what": "real table", "note": f"{file.name} is not there: set KODOMO_BENCH_TABLE"}]
    blocks = {
        "school": ["failures", "absences", "schoolsup", "studytime", "paid"],
        "family": ["Medu", "Fedu", "famrel", "famsup", "famsize", "Pstatus"],
        "life": ["goout", "Dalc", "Walc", "freetime", "romantic", "health"],
    }
    begin = time.perf_counter()
    report = bench(file, "failed", blocks=blocks, folds="5x5")
    chosen = report.candidates[report.chosen]
    worst = max(block["brier"] for block in chosen["masked"].values())
    return [
        {
            "what": f"{file.stem}: {report.rows} rows, chosen {report.chosen}",
            "seconds": round(time.perf_counter() - begin, 2),
            "target": "AUC ≥ 0.69, worst block's Brier ≤ 1.15 ×",
            "auc": round(chosen["auc"], 4),
            "brier": round(chosen["brier"], 4),
            "worst_block_brier_ratio": round(worst / chosen["brier"], 3),
            **{f"auc_{name}": round(entry["auc"], 4) for name, entry in report.candidates.items()},
        }
    ]


# ------------------------------------------------------------------------------------------------ twins


def _twin(code: str, children: int) -> list[dict[str, Any]]:
    """Extracts, marts and all candidates of one pilot, measured against the truth beside them."""
    with tempfile.TemporaryDirectory(prefix="kodomo-bench-") as folder:
        home = Path(os.environ.get("KODOMO_BENCH_KEEP", folder)) / code
        truth = home / "truth" / code
        env = {"KODOMO_HOME": str(home)}
        if not truth.exists():
            months = os.environ.get("KODOMO_BENCH_MONTHS", "36")
            measured(
                kodomo(
                    "synth", "--municipality", code, "--children", str(children), "--months", months, "--seed", "1",
                    "--quality", "typical", "--out", str(home / "landing"), "--truth", str(truth),
                ),
                env=env,
            )  # fmt: skip
            measured(kodomo("setup"), env=env)
            measured(kodomo("run", "--municipality", code, "--job", "training"), env=env)
        return _apart("twin", str(home), code)


def twin(code: str) -> list[dict[str, Any]]:
    """Every theme of one pilot in this home: the chosen candidate, the criteria and the oracle on the same children."""
    from sklearn.metrics import roc_auc_score

    from kodomo_platform.municipalities import load_municipality
    from kodomo_platform.scoring.candidates import measures
    from kodomo_platform.scoring.themes import load_features, load_themes
    from kodomo_platform.scoring.training import choose, load_training, measure
    from kodomo_platform.settings import get_settings
    from kodomo_platform.warehouse import warehouse

    municipality = load_municipality(code)
    truth = get_settings().truth / code
    rows = []
    for entry in municipality.themes:
        theme = load_themes()[entry.key]
        with warehouse(code, read_only=True) as con:
            data = load_training(con, theme, load_features(), AS_OF)
            latent = dict(
                con.execute(
                    f"""
                    with person as (
                        select x.child_id, mode(r.person_id) as person_id
                        from linkage.lnk_crosswalk as x
                        inner join read_csv('{truth / "records.csv"}', all_varchar = true) as r
                            on x.source = r.source and x.source_record_id = r.source_record_id
                        where x.child_id is not null
                        group by x.child_id
                    )
                    select p.child_id, t.latent_need::double
                    from person as p
                    inner join read_csv('{truth / "outcomes.csv"}', all_varchar = true) as t on p.person_id = t.person_id
                    where t.theme = ?
                    """,
                    [theme.key],
                ).fetchall()
            )
        begin = time.perf_counter()
        found = measure(data, theme, entry.capacity, f"municipality {code}, theme {theme.key}")
        seconds = time.perf_counter() - begin
        chosen = choose(found.results, {})
        need = np.array([latent.get(child, np.nan) for child in data.child[found.test].tolist()])
        there = np.isfinite(need)
        y = found.y[there]
        oracle = float(roc_auc_score(y, need[there]))
        auc = float(roc_auc_score(y, found.probabilities[chosen][there]))
        best = found.results[chosen]
        # the file's capacity is the real town's: on a twin of another size, one in a hundred children beside it
        hundredth = max(len(found.y) // 100, 1)
        few = {
            name: measures(found.y, found.probabilities[name], hundredth)["precision_at_capacity"]
            for name in (chosen, "criteria")
        }
        rows.append(
            {
                "what": f"{code} {theme.key}: {chosen}",
                "seconds": round(seconds, 2),
                "target": "≥ 95 % of the oracle's lift; ECE ≤ 0.02 from 200 outcomes; precision ≥ 1.3 × criteria",
                "rows": len(data.table.y),
                "outcomes_learned": int(data.table.y[~data.test].sum()),
                "outcomes_measured": int(y.sum()),
                "oracle_auc": round(oracle, 3),
                "auc": round(auc, 3),
                "lift_share": round((auc - 0.5) / (oracle - 0.5), 3),
                "criteria_auc": round(found.results["criteria"]["auc"], 3),
                "ece": round(best["ece"], 4),
                "capacity": best["capacity"],
                "precision": round(best["precision_at_capacity"], 3),
                "criteria_precision": round(found.results["criteria"]["precision_at_capacity"], 3),
                "precision_ratio": round(
                    best["precision_at_capacity"] / max(found.results["criteria"]["precision_at_capacity"], 1e-9), 2
                ),
                "precision_at_1_percent": round(few[chosen], 3),
                "precision_ratio_at_1_percent": round(few[chosen] / max(few["criteria"], 1e-9), 2),
                **{f"auc_{name}": round(values["auc"], 3) for name, values in found.results.items()},
                **{f"ece_{name}": round(values["ece"], 4) for name, values in found.results.items()},
            }
        )
    return rows


_PARTS: dict[str, Callable[..., list[dict[str, Any]]]] = {
    "train": train,
    "score": score,
    "together": together,
    "table": table,
    "twins": twin,
}

if __name__ == "__main__":
    parts = {**_PARTS, "twin": twin, "scored": scored}
    print(json.dumps(parts[sys.argv[1]](*sys.argv[2:])))
