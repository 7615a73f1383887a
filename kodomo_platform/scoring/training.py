"""Training of one theme's candidates on earlier dates, honest measurement on later ones, and the record in MLflow.

Rows are children at earlier as-of dates; a label is an outcome within (as_of, as_of + horizon]. Children already known at
the date are left out. Measured on dates later than all trained on, and on households not trained on. Nothing here decides
what may score: a person approves (`review`).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt

from kodomo_platform.errors import ScoringError
from kodomo_platform.municipalities import Municipality
from kodomo_platform.scoring import artifacts
from kodomo_platform.scoring.additive import AdditiveModel, Floats, criteria_model, sigmoid
from kodomo_platform.scoring.candidates import (
    FITTERS,
    Fitted,
    Ints,
    Table,
    blend,
    calibrate,
    folds_by_group,
    masked,
    measures,
)
from kodomo_platform.scoring.conformal import limits
from kodomo_platform.scoring.evaluation import (
    DRIFT,
    SMALL,
    WATCHED,
    Group,
    by_group,
    intervals,
    last_list,
    new_to_watchers,
    rank_stability,
    reference,
    stability_index,
    top,
    what_each_source_adds,
)
from kodomo_platform.scoring.expert_cases import Verdict, judge, judge_model
from kodomo_platform.scoring.scores import left_out, load_cohort, population_condition
from kodomo_platform.scoring.themes import Feature, Theme, load_features, load_themes
from kodomo_platform.settings import get_settings

# Months before the run: the first three are tested on (their labels have come true), the others trained on. Twelve
# months back is one horizon (six months) before the last test date, so that no label trained on reaches into the test.
TRAINING_MONTHS = (6, 8, 10, 12, 13, 14, 16, 18)
MIN_OUTCOMES = 5
FOLDS = 3
MAX_ROWS = 60_000
SEED = 20221220
# Groups between which a proven gap blocks a model; by age and absence it is shown, for need itself differs there.
PROTECTED = ("sex", "household")
# Rows beyond this do not make what a source adds any clearer.
_ROWS_FOR_SOURCES = 5_000
TEMPLATE = Path(__file__).resolve().parents[2] / "mlflow" / "model_card.ja.html.j2"
SHOWN = ("auc", "average_precision", "brier", "ece", "precision_at_capacity", "recall_at_capacity", "lift_at_capacity")


@dataclass(frozen=True)
class TrainingReport:
    """One training: the version registered, what it measured, and which floors it breaks."""

    municipality: str
    theme: str
    mlflow_run_id: str
    model_name: str
    model_version: str
    artifact_sha256: str
    rows: int
    outcomes: int
    metrics: dict[str, float]
    candidates: dict[str, dict[str, float]] = field(default_factory=dict)
    masked: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def training_dates(municipality: Municipality, as_of: dt.date) -> list[dt.date]:
    """Earlier dates for ``cfg.as_of`` (purpose 'train'), oldest first: the same day of the month, at most the 28th."""
    del municipality  # the dates are the same for all; the argument is the seam's
    out = []
    for months in TRAINING_MONTHS:
        number = as_of.year * 12 + as_of.month - 1 - months
        out.append(dt.date(number // 12, number % 12 + 1, min(as_of.day, 28)))
    return sorted(out)


def registered_name(code: str, theme: str) -> str:
    """Name of the registered model in MLflow."""
    return f"{code}-{theme}"


def train(
    con: duckdb.DuckDBPyConnection,
    municipality: Municipality,
    theme: str,
    as_of: dt.date,
    *,
    run_id: str = "",
    code_version: str = "",
) -> TrainingReport:
    """Fit and measure all candidates of ``theme`` and register the chosen one as challenger.

    Raises ScoringError when there are too few outcomes to learn from (the criteria then go on scoring alone), when the
    labels look as if the future had leaked into a feature, or when MLflow cannot be reached.
    """
    themes, features = load_themes(), load_features()
    if theme not in themes:
        raise ScoringError(f"no theme named {theme}", expected=", ".join(sorted(themes)))
    chosen_theme = themes[theme]
    capacity = next((entry.capacity for entry in municipality.themes if entry.key == theme), chosen_theme.capacity)
    data = load_training(con, chosen_theme, features, as_of)
    for name in left_out(municipality, chosen_theme, features):
        data.table.x[:, data.table.names.index(name)] = np.nan
    where = f"municipality {municipality.code}, theme {theme}"
    outcomes = int(data.table.y.sum())
    if outcomes < MIN_OUTCOMES or outcomes == len(data.table.y):
        raise ScoringError(
            f"{outcomes} outcome(s) in {len(data.table.y)} rows are too few to learn from",
            where=where,
            expected=f"at least {MIN_OUTCOMES} rows with the outcome, and some without",
            action="the criteria go on scoring alone; learn together with other municipalities, or wait for outcomes",
        )
    _refuse_leak(data, where)
    held_out, held_out_masked = _held_out(data, chosen_theme)
    test = data.test & np.isfinite(held_out["ebm"])
    y, group = data.table.y[test], data.table.group[test]
    if not 0 < y.sum() < len(y):
        raise ScoringError(
            "all outcomes lie on one side of the test dates: nothing can be measured",
            where=where,
            expected="outcomes after the later as-of dates too",
            action="the criteria go on scoring alone until there are",
        )
    dates = max(len(np.unique(data.as_of[test])), 1)
    fold = folds_by_group(group, y, FOLDS, SEED)
    probabilities = {name: _cross_calibrated(logits[test], y, fold) for name, logits in held_out.items()}
    # capacity is a number per round: with several test dates in one list it counts once per date
    results = {name: measures(y, p, capacity * dates) for name, p in probabilities.items()}
    finals = _finals(data.table, chosen_theme)
    calibrations = {name: calibrate(held_out[name][test], y) for name in finals}
    base_rate = float(np.clip(data.table.y.mean(), 1e-4, 0.5))
    verdicts = _judge_all(chosen_theme, finals, calibrations, base_rate)
    chosen = _choose(results, verdicts)
    slope, shift = calibrations[chosen]
    final = finals[chosen].model
    assert final is not None
    model = replace(
        final,
        slope=slope,
        shift=shift,
        base_rate=base_rate,
        extra_std=float(min(1.0 / np.sqrt(max(y.sum(), 1.0)), 1.0)),
        facts={
            "municipality": municipality.code,
            "trained_as_of": as_of.isoformat(),
            "rows": len(data.table.y),
            "outcomes": outcomes,
            "dataset_sha256": data.sha256,
            "feature_hash": chosen_theme.feature_hash(features),
            "conformal": limits(slope * held_out[chosen][test] + shift, y),
        },
    )
    model.facts["score_reference"] = reference(
        model.logits({name: data.table.x[:, n] for n, name in enumerate(data.table.names)})
    )
    # on rows that no fold's model had seen: a model knows its own rows too well for a fair ratio
    complete = float(np.mean((sigmoid(slope * held_out[chosen][test] + shift) - y) ** 2))
    without = {
        block: float(np.mean((sigmoid(slope * z[test] + shift) - y) ** 2))
        for block, z in held_out_masked[chosen].items()
    }
    evaluation = _evaluate(data, test, y, held_out, probabilities[chosen], capacity, dates, chosen_theme)
    evaluation.drift = _drift(con, chosen_theme, model, as_of)
    failures = _floor(chosen_theme, results[chosen], complete, without)
    if results[chosen]["auc"] < results["criteria"]["auc"]:
        failures.append(f"判定基準だけ（AUC {results['criteria']['auc']:.3f}）に及ばない")
    failures += [f"専門家の事例 {v.case.key} を低く判定（{v.case.reason_ja}）" for v in verdicts[chosen] if v.blocks]
    failures += [
        f"集団 {row.kind}={row.name}：{row.verdict}"
        for row in evaluation.groups
        if row.biased and row.kind in PROTECTED
    ]
    if evaluation.drift is not None and evaluation.drift > DRIFT:
        failures.append(f"いま判定する子どもの分布が学習時と違う（PSI {evaluation.drift:.2f} > {DRIFT}）")
    metrics = dict(results[chosen]) | evaluation.metrics() | _case_measures(verdicts[chosen])
    return _record(
        municipality.code,
        chosen_theme,
        as_of,
        run_id,
        code_version,
        data,
        model,
        chosen,
        results,
        metrics,
        complete,
        without,
        failures,
        evaluation,
        probabilities,
        y,
        features,
        verdicts,
    )


@dataclass(frozen=True)
class TrainingData:
    """Rows of all training dates, which of them are test rows, and what describes them."""

    table: Table
    as_of: npt.NDArray[Any]
    child: npt.NDArray[Any]
    kinds: dict[str, npt.NDArray[Any]]
    watched: dict[str, Floats]
    test: npt.NDArray[np.bool_]
    sha256: str


def load_training(
    con: duckdb.DuckDBPyConnection, theme: Theme, features: Mapping[str, Feature], as_of: dt.date
) -> TrainingData:
    """Training rows of ``theme``: labels within the horizon, known children left out, whole horizons only.

    Above `MAX_ROWS` all outcomes and a fixed sample of the others are kept (the calibration is then on the sample's rate,
    so the sample is drawn from whole households and the base rate is not changed: whole households are left out).
    """
    names = sorted(theme.features)
    data = con.execute(
        f"""
        with rows as (
            select
                f.child_id, f.as_of_date, coalesce(f.household_id, f.child_id) as household, f.sex,
                f.age_years as _age, f.single_parent as _single,
                {", ".join(f"f.{name} as watched__{name}" for name in WATCHED)},
                {", ".join("f." + name for name in names)}
            from marts.mart_training_features as f
            where {population_condition(theme)}
                and f.as_of_date + interval {theme.horizon_months} month <= $as_of::date
        ),
        label as (
            select distinct r.child_id, r.as_of_date
            from rows as r
            inner join marts.mart_outcome as o
                on r.child_id = o.child_id and o.theme = $theme
                and o.outcome_date > r.as_of_date
                and o.outcome_date <= r.as_of_date + interval {theme.horizon_months} month
        ),
        known as (
            select distinct r.child_id, r.as_of_date
            from rows as r
            inner join marts.mart_outcome as o
                on r.child_id = o.child_id and o.theme = $theme
                and o.outcome_date <= r.as_of_date
                and o.outcome_date > r.as_of_date - interval {theme.outcome.known_months} month
        ),
        household as (
            select household, row_number() over (order by md5(household)) as place, count(*) as n
            from rows group by household
        ),
        kept as (
            select household from household
            qualify sum(n) over (order by place) <= {MAX_ROWS} or place <= 1
        )
        select r.*, (l.child_id is not null)::int as y
        from rows as r
        semi join kept as h on r.household = h.household
        anti join known as k on r.child_id = k.child_id and r.as_of_date = k.as_of_date
        left join label as l on r.child_id = l.child_id and r.as_of_date = l.as_of_date
        order by r.as_of_date, r.child_id
        """,
        {"as_of": as_of, "theme": theme.key},
    ).fetchnumpy()
    x = np.column_stack([_floats(data[name]) for name in names])
    y = np.asarray(data["y"], dtype=np.int64)
    blocks: dict[str, list[int]] = {}
    for n, name in enumerate(names):
        blocks.setdefault(features[name].group, []).append(n)
    days = np.asarray(data["as_of_date"]).astype("datetime64[D]")
    digest = hashlib.sha256()
    digest.update("\0".join(names).encode())
    for column in (data["child_id"], days.astype(str)):
        digest.update("\0".join(map(str, column)).encode())
    digest.update(np.ascontiguousarray(x).tobytes())
    digest.update(np.ascontiguousarray(y).tobytes())
    distinct = np.unique(days)
    latest = distinct[-1] if len(distinct) else np.datetime64(as_of)
    cutoff = latest - np.timedelta64(30 * theme.horizon_months - 5, "D")
    earlier = days <= cutoff
    # too short a history for both: then households alone keep training and test apart, and the record says so
    test = days > cutoff if earlier.any() and y[earlier].sum() >= MIN_OUTCOMES else np.ones(len(y), dtype=bool)
    table = Table(
        x, y, tuple(names), {block: tuple(columns) for block, columns in blocks.items()}, np.asarray(data["household"])
    )
    age, single = _floats(data["_age"]), _floats(data["_single"])
    absent = np.column_stack([np.isnan(x[:, columns]).all(axis=1) for columns in blocks.values()]).mean(axis=1)
    kinds: dict[str, npt.NDArray[Any]] = {
        "sex": np.ma.filled(data["sex"], "unknown").astype(str),
        "household": np.where(np.isnan(single), "unknown", np.where(single > 0, "single parent", "other")),
        "age": np.select([np.isnan(age), age < 6, age < 12, age < 15], ["unknown", "0-5", "6-11", "12-14"], "15-18"),
        "absence": np.where(absent > np.median(absent), "more sources absent", "fewer sources absent"),
    }
    watched = {name: _floats(data[f"watched__{name}"]) for name in WATCHED}
    return TrainingData(table, days, np.asarray(data["child_id"]), kinds, watched, test, digest.hexdigest())


def _floats(column: Any) -> Floats:
    return np.asarray(np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan), dtype=np.float64)


def _refuse_leak(data: TrainingData, where: str) -> None:
    """A single feature that tells the outcome almost perfectly has seen it. Needs 20 outcomes to say so."""
    from sklearn.metrics import roc_auc_score

    y = data.table.y
    if y.sum() < 20:
        return
    for n, name in enumerate(data.table.names):
        values = data.table.x[:, n]
        there = ~np.isnan(values)
        if there.sum() < 50 or not 10 <= y[there].sum() < there.sum():
            continue
        auc = float(roc_auc_score(y[there], values[there]))
        if max(auc, 1 - auc) > 0.985:
            raise ScoringError(
                f"feature {name} alone tells the outcome (AUC {max(auc, 1 - auc):.3f}): it must have seen the future",
                where=where,
                action="find where the feature reads events after the as-of date, and rebuild the marts",
            )


@dataclass
class Evaluation:
    """What was measured of the chosen candidate beside its plain measures."""

    intervals: dict[str, tuple[float, float]]
    groups: list[Group]
    stability: dict[str, float]
    baselines: dict[str, dict[str, float]]
    sources: dict[str, float]
    new_share: float | None
    next_school_year: dict[str, float]
    drift: float | None = None

    def metrics(self) -> dict[str, float]:
        """The numbers among it, under the names they have in MLflow."""
        out = {f"{name}_low": low for name, (low, _) in self.intervals.items()}
        out |= {f"{name}_high": high for name, (_, high) in self.intervals.items()}
        out |= self.stability
        out |= {f"source_adds.{name}": value for name, value in self.sources.items()}
        out |= {f"next_school_year.{name}": value for name, value in self.next_school_year.items()}
        for name, measured in self.baselines.items():
            out |= {f"baseline.{name}.{key}": value for key, value in measured.items()}
        if self.new_share is not None:
            out["flagged_new_to_watchers"] = self.new_share
        if self.drift is not None:
            out["drift_psi"] = self.drift
        return out


def _evaluate(
    data: TrainingData,
    test: npt.NDArray[np.bool_],
    y: Ints,
    held_out: dict[str, Floats],
    probability: Floats,
    capacity: int,
    dates: int,
    theme: Theme,
) -> Evaluation:
    from kodomo_platform.scoring.candidates import Table as Rows

    table, room = data.table, capacity * dates
    household, child, moment = table.group[test], data.child[test], data.as_of[test]
    last = last_list(data.child, data.as_of, held_out["criteria"], test, theme.horizon_months)
    at_capacity = ("precision_at_capacity", "recall_at_capacity", "lift_at_capacity")
    baselines: dict[str, dict[str, float]] = {"prevalence": {"precision_at_capacity": float(y.mean())}}
    if np.isfinite(last).any():
        ranked = sigmoid(np.where(np.isfinite(last), last, -30.0))
        baselines["last_list"] = {key: measures(y, ranked, room)[key] for key in at_capacity}
    # whole households, so that what a source adds is measured on other households here too
    names, index = np.unique(table.group, return_inverse=True)
    place = np.random.default_rng(SEED).permutation(len(names))[index]
    kept = np.cumsum(np.bincount(place))[place] <= max(_ROWS_FOR_SOURCES, 1)
    sample = Rows(table.x[kept], table.y[kept], table.names, table.blocks, table.group[kept])
    year = np.array([day.year - (day.month < 4) for day in moment.tolist()])
    learned = data.as_of[~data.test]
    last_learned = max((day.year - (day.month < 4) for day in learned.tolist()), default=9999)
    later = year > last_learned
    following: dict[str, float] = {}
    # below ten outcomes a number would be chance, and is not shown
    if SMALL <= y[later].sum() < later.sum():
        measured = measures(y[later], probability[later], capacity * len(np.unique(moment[later])))
        following = {key: measured[key] for key in ("auc", "brier", "ece", "outcomes", *at_capacity)}
    return Evaluation(
        intervals(y, probability, household, room),
        by_group({kind: labels[test] for kind, labels in data.kinds.items()}, y, probability, household, room),
        rank_stability(child, moment, probability, capacity),
        baselines,
        what_each_source_adds(sample, data.test[kept], 2, SEED) if sample.y.sum() >= MIN_OUTCOMES else {},
        new_to_watchers(
            table.names,
            table.x[test],
            top(probability, room),
            {name: values[test] for name, values in data.watched.items()},
        ),
        following,
    )


def _drift(con: duckdb.DuckDBPyConnection, theme: Theme, model: AdditiveModel, as_of: dt.date) -> float | None:
    """Stability index of the scores of the children to be scored at ``as_of`` against those learned from."""
    cohort = load_cohort(con, theme, as_of)
    known = model.facts.get("score_reference")
    if len(cohort.child_ids) < 50 or not isinstance(known, dict):
        return None
    return stability_index(known["edges"], known["shares"], model.logits(cohort.values))


def _held_out(data: TrainingData, theme: Theme) -> tuple[dict[str, Floats], dict[str, dict[str, Floats]]]:
    """Logits of the test rows by models that saw neither their household nor their date (NaN for other rows).

    The second holds the same with each source masked in turn, per candidate with reasons that add up.
    """
    table = data.table
    fold = folds_by_group(table.group, table.y, FOLDS, SEED)
    learn = ~data.test if (~data.test).any() else np.ones(len(table.y), dtype=bool)
    criteria = criteria_model(theme)
    values = {name: table.x[:, n] for n, name in enumerate(table.names)}
    out = {"criteria": criteria.logits(values)}
    for name in (*FITTERS, "blend"):
        out[name] = np.full(len(table.y), np.nan)
    without = {
        name: {block: np.full(len(table.y), np.nan) for block in table.blocks} for name in ("logistic", "ebm", "blend")
    }
    for part in range(FOLDS):
        rows = table.rows(learn & (fold != part))
        aside = np.flatnonzero(data.test & (fold == part))
        if not len(aside) or not 0 < rows.y.sum() < len(rows.y):
            continue
        for name, fitter in FITTERS.items():
            extra = {"bags": 3} if name == "ebm" else {}
            fitted = fitter(rows, theme.key, seed=SEED + part, **extra)
            out[name][aside] = fitted.predict(table.x[aside])
            for block, columns in table.blocks.items():
                if name in without:
                    without[name][block][aside] = fitted.predict(masked(table.x[aside], columns))
        out["blend"][aside] = (out["logistic"][aside] + out["ebm"][aside]) / 2
        for block in table.blocks:
            without["blend"][block][aside] = (without["logistic"][block][aside] + without["ebm"][block][aside]) / 2
    return out, without


def _finals(table: Table, theme: Theme) -> dict[str, Fitted]:
    """Every candidate fitted on all rows: the chosen one may score, all of them face the written cases."""
    finals = {name: fitter(table, theme.key, seed=SEED) for name, fitter in FITTERS.items()}
    return finals | {"blend": blend(finals["logistic"], finals["ebm"], table, theme.key)}


def _judge_all(
    theme: Theme, finals: Mapping[str, Fitted], calibrations: Mapping[str, tuple[float, float]], base_rate: float
) -> dict[str, list[Verdict]]:
    """What each candidate makes of the theme's written cases; the criteria as they score by themselves."""
    out = {"criteria": judge_model(theme, criteria_model(theme))}
    for name, fitted in finals.items():
        slope, shift = calibrations[name]

        def logits(
            values: dict[str, Floats], fitted: Fitted = fitted, slope: float = slope, shift: float = shift
        ) -> Floats:
            columns = sorted(theme.features)
            return slope * fitted.predict(np.column_stack([values[column] for column in columns])) + shift

        out[name] = judge(theme, logits, base_rate)
    return out


def _cross_calibrated(logits: Floats, y: Ints, fold: Ints) -> Floats:
    """Probabilities whose calibration was fitted on the other folds' households."""
    out = np.empty(len(y))
    for part in range(FOLDS):
        aside = fold == part
        slope, shift = calibrate(logits[~aside], y[~aside])
        out[aside] = sigmoid(slope * logits[aside] + shift)
    return out


def _choose(results: dict[str, dict[str, float]], verdicts: Mapping[str, list[Verdict]]) -> str:
    """The EBM, unless another candidate with reasons that add up ranks clearly better on the same rows.

    "Clearly" grows with chance: a handful of outcomes must not pick the display. A candidate that scores a severe written
    case low stands back behind those that do not; where all do, the floor says so. The criteria are never chosen here:
    they score by themselves when nothing is approved, and a model that does not beat them breaks its floor.
    """
    readable = ("ebm", "blend", "logistic")
    sound = [name for name in readable if not any(v.blocks for v in verdicts[name])] or list(readable)
    best = sound[0]
    margin = 0.01 + 0.1 / float(np.sqrt(max(results["ebm"]["outcomes"], 1.0)))
    for name in sound[1:]:
        if results[name]["auc"] > results[best]["auc"] + (margin if best == "ebm" else 0.01):
            best = name
    return best


def _case_measures(verdicts: list[Verdict]) -> dict[str, float]:
    """How a candidate stood up to the written cases, under the names they have in MLflow."""
    return {
        "expert_cases": float(len(verdicts)),
        "expert_cases_passed": float(sum(v.passed for v in verdicts)),
        "expert_cases_severe_low": float(sum(v.blocks for v in verdicts)),
    }


def _floor(theme: Theme, measured: dict[str, float], complete: float, without: dict[str, float]) -> list[str]:
    floor = theme.floor
    failures = []
    if measured["outcomes"] < floor.outcomes:
        failures.append(f"結果の件数 {measured['outcomes']:.0f} < {floor.outcomes}")
    if not measured["auc"] >= floor.auc:
        failures.append(f"AUC {measured['auc']:.3f} < {floor.auc}")
    if not measured["lift_at_capacity"] >= floor.lift_at_capacity:
        failures.append(f"定員でのリフト {measured['lift_at_capacity']:.2f} < {floor.lift_at_capacity}")
    if not measured["ece"] <= floor.calibration_error:
        failures.append(f"較正誤差 {measured['ece']:.3f} > {floor.calibration_error}")
    worst = max(without.values(), default=complete)
    if complete > 0 and worst / complete > floor.masked_brier_ratio:
        failures.append(f"資料が一つ欠けたときのBrierの比 {worst / complete:.2f} > {floor.masked_brier_ratio}")
    return failures


def _client() -> Any:
    import mlflow

    settings = get_settings()
    settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    return mlflow.MlflowClient(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri)


def _experiment(client: Any, name: str) -> str:
    """Id of the experiment, created on first use; two municipalities may ask at once."""
    found = client.get_experiment_by_name(name)
    if found is None:
        settings = get_settings()
        local = settings.mlflow_tracking_uri.startswith("sqlite")
        location = (settings.mlflow_dir / "artifacts" / name.replace("/", "-")).as_uri() if local else None
        try:
            return str(client.create_experiment(name, artifact_location=location))
        except Exception:
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _record(
    code: str,
    theme: Theme,
    as_of: dt.date,
    run_id: str,
    code_version: str,
    data: TrainingData,
    model: AdditiveModel,
    chosen: str,
    results: dict[str, dict[str, float]],
    metrics: dict[str, float],
    complete: float,
    without: dict[str, float],
    failures: list[str],
    evaluation: Evaluation,
    probabilities: dict[str, Floats],
    y: Ints,
    features: Mapping[str, Feature],
    verdicts: Mapping[str, list[Verdict]],
) -> TrainingReport:
    path, sha256 = artifacts.keep(code, model)
    tags = {
        "municipality": code,
        "theme": theme.key,
        "as_of_date": as_of.isoformat(),
        "dagster_run_id": run_id,
        "code_version": code_version,
        "dataset_sha256": data.sha256,
        "artifact_sha256": sha256,
        "feature_hash": theme.feature_hash(dict(features)),
        "criteria_hash": theme.criteria_hash,
        "chosen": chosen,
        "floor": "met" if not failures else ("broken: " + "; ".join(failures))[:1500],
        "split": "later dates and other households" if not data.test.all() else "other households only",
    }
    try:
        client = _client()
        experiment = _experiment(client, f"{code}/{theme.key}")
        parent = client.create_run(experiment, run_name=f"{theme.key} {as_of}", tags=tags)
        parent_id = str(parent.info.run_id)
        params = {
            "horizon_months": theme.horizon_months,
            "rows": len(data.table.y),
            "features": len(data.table.names),
            "seed": SEED,
        }
        _log(client, parent_id, metrics | {f"masked_brier.{k}": v for k, v in without.items()}, params)
        for name, values in results.items():
            nested = client.create_run(
                experiment, run_name=name, tags={**tags, "mlflow.parentRunId": parent_id, "candidate": name}
            )
            _log(client, nested.info.run_id, values | _case_measures(verdicts[name]), {"candidate": name})
            client.log_dict(
                nested.info.run_id,
                {
                    "cases": [
                        v.case.model_dump(exclude_none=True)
                        | {"score": v.score, "band": v.band, "passed": v.passed, "blocks": v.blocks}
                        for v in verdicts[name]
                    ]
                },
                "expert_cases.json",
            )
            client.set_terminated(nested.info.run_id)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            (out / "model").mkdir()
            (out / "model" / "model.json").write_bytes(path.read_bytes())
            (out / "model" / "signature.json").write_text(
                json.dumps(
                    {"inputs": [{"name": n, "type": "double"} for n in data.table.names], "output": "probability"}
                ),
                encoding="utf-8",
            )
            card = _card(
                code,
                theme,
                as_of,
                data,
                model,
                chosen,
                results,
                complete,
                without,
                failures,
                evaluation,
                features,
                verdicts,
            )
            (out / "model_card.html").write_text(card, encoding="utf-8")
            _figures(out, y, probabilities, chosen)
            _more_figures(out, model, evaluation)
            (out / "evaluation.json").write_text(
                json.dumps(asdict(evaluation), ensure_ascii=False, indent=2, default=str), encoding="utf-8"
            )
            client.log_artifacts(parent_id, str(out))
        client.set_terminated(parent_id)
        name = registered_name(code, theme.key)
        try:
            client.get_registered_model(name)
        except Exception:
            client.create_registered_model(name, tags={"municipality": code, "theme": theme.key})
        version = client.create_model_version(
            name,
            source=f"{parent.info.artifact_uri}/model",
            run_id=parent_id,
            tags={"artifact_sha256": sha256, "candidate": chosen, "floor": tags["floor"]},
        )
        client.set_registered_model_alias(name, "challenger", version.version)
    except ScoringError:
        raise
    except Exception as error:
        raise ScoringError(
            f"the training could not be recorded in MLflow ({type(error).__name__})",
            where=f"municipality {code}, theme {theme.key}",
            action="see that the MLflow server or database can be reached; scoring goes on with the approved model",
        ) from error
    return TrainingReport(
        code,
        theme.key,
        parent_id,
        chosen,
        str(version.version),
        sha256,
        len(data.table.y),
        int(data.table.y.sum()),
        {key: value for key, value in metrics.items() if np.isfinite(value)},
        results,
        without,
        failures,
    )


def _log(client: Any, run_id: str, metrics: Mapping[str, float], params: Mapping[str, Any]) -> None:
    import time

    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    client.log_batch(
        run_id,
        metrics=[Metric(key, float(value), now, 0) for key, value in metrics.items() if np.isfinite(value)],
        params=[Param(key, str(value)) for key, value in params.items()],
    )


def _card(
    code: str,
    theme: Theme,
    as_of: dt.date,
    data: TrainingData,
    model: AdditiveModel,
    chosen: str,
    results: dict[str, dict[str, float]],
    complete: float,
    without: dict[str, float],
    failures: list[str],
    evaluation: Evaluation,
    features: Mapping[str, Feature],
    verdicts: Mapping[str, list[Verdict]],
) -> str:
    """The model card in Japanese, as HTML that loads nothing from outside."""
    from jinja2 import Environment

    important = sorted(
        (
            ("×".join(features[name].label_ja for name in term.features), term.importance * model.slope)
            for term in model.terms
        ),
        key=lambda pair: -pair[1],
    )[:12]
    template = Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        code=code,
        theme=theme,
        as_of=as_of,
        chosen=chosen,
        dataset_sha256=data.sha256,
        metrics=results,
        shown=SHOWN,
        masked=without,
        complete=complete,
        failures=failures,
        evaluation=evaluation,
        important=important,
        verdicts=verdicts,
    )


def _figures(folder: Path, y: Ints, probabilities: dict[str, Floats], chosen: str) -> None:
    """Precision-recall, calibration and capacity curves of the candidates, as one PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from sklearn.metrics import precision_recall_curve

    figure = Figure(figsize=(12, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    for name, probability in probabilities.items():
        width = 2.5 if name == chosen else 1.0
        precision, recall, _ = precision_recall_curve(y, probability)
        left.plot(recall, precision, label=name, linewidth=width)
        order = np.argsort(-probability, kind="stable")
        right.plot(np.arange(1, len(y) + 1), np.cumsum(y[order]) / max(y.sum(), 1), linewidth=width, label=name)
    parts = np.array_split(np.argsort(probabilities[chosen], kind="stable"), min(10, len(y)))
    middle.plot([probabilities[chosen][p].mean() for p in parts], [y[p].mean() for p in parts], marker="o")
    limit = max(middle.get_xlim()[1], middle.get_ylim()[1])
    middle.plot([0, limit], [0, limit], linestyle=":", color="grey")
    left.set(xlabel="recall", ylabel="precision", title="precision and recall")
    middle.set(xlabel="predicted", ylabel="observed", title=f"calibration: {chosen}")
    right.set(xlabel="children looked at", ylabel="share of outcomes found", title="by capacity")
    right.legend(fontsize=7)
    figure.savefig(folder / "curves.png", dpi=80)


def _more_figures(folder: Path, model: AdditiveModel, evaluation: Evaluation) -> None:
    """Recall by group with its interval, and the shapes of the eight strongest terms, as two PNG files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [row for row in evaluation.groups if row.recall is not None]
    figure = Figure(figsize=(6, 0.6 + 0.4 * max(len(shown), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for n, row in enumerate(shown):
        assert row.recall is not None
        assert row.recall_low is not None
        assert row.recall_high is not None
        axis.plot([row.recall_low, row.recall_high], [n, n], color="tab:red" if row.biased else "tab:blue")
        axis.plot(row.recall, n, marker="o", color="tab:red" if row.biased else "tab:blue")
    axis.set_yticks(range(len(shown)), [f"{row.kind}: {row.name}" for row in shown])
    axis.set(xlabel="recall at capacity (90 % interval)", xlim=(0, 1))
    figure.savefig(folder / "groups.png", dpi=80)

    single = sorted((term for term in model.terms if len(term.features) == 1), key=lambda term: -term.importance)[:8]
    figure = Figure(figsize=(12, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, 4).ravel()
    for axis, term in zip(axes, single, strict=False):
        if term.kind == "linear":
            low, high, centre = term.cuts[0]
            axis.plot([low, high], [model.slope * term.scores[1] * (x - centre) for x in (low, high)])
            absent = float(term.scores[0])
        else:
            cuts = term.cuts[0]
            span = (cuts[-1] - cuts[0]) * 0.1 or 1.0 if cuts else 1.0
            edges = [cuts[0] - span, *cuts, cuts[-1] + span] if cuts else [0.0, 1.0]
            axis.stairs(model.slope * term.scores[1:], edges, baseline=None)
            absent = float(term.scores[0])
        axis.axhline(model.slope * absent, linestyle=":", color="grey")
        axis.set_title(term.features[0], fontsize=8)
    figure.suptitle("contribution in log odds (dotted: value absent)", fontsize=9)
    figure.savefig(folder / "shapes.png", dpi=80)
