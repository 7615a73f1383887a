"""The demonstration: synthetic extracts of the pilots, taken through Dagster as a real run would be.

Order for each municipality: twins are written to the landing folder; a training run (landing → features → candidates);
approval, in the name "demo" and saying so; scoring and publishing. Truth is used for one thing only: to say, at the
end, how well linkage did.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kodomo_platform.errors import KodomoError
from kodomo_platform.installation.processes import die_with_parent, end_with_parent
from kodomo_platform.municipalities import load_municipality, municipality_codes
from kodomo_platform.settings import get_settings, use_home


@dataclass
class Outcome:
    """What happened to one municipality."""

    municipality: str
    name: str
    success: bool = False
    error: str | None = None
    seconds: float = 0.0
    files: int = 0
    rows_in: int = 0
    rows_rejected: int = 0
    children: int = 0
    linked: dict[str, int] = field(default_factory=dict)
    review_queue: int = 0
    linkage_precision: float | None = None
    linkage_recall: float | None = None
    models: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, int] = field(default_factory=dict)
    quality_warnings: int = 0
    snapshot: str | None = None


def demonstrate(
    codes: Sequence[str],
    *,
    children: int,
    months: int,
    seed: int,
    quality: str,
    workers: int,
    said: Callable[[str, str | None], None],
) -> list[Outcome]:
    """Run the demonstration for ``codes`` (empty: every pilot), ``workers`` municipalities at a time.

    ``said`` is called with the code of each that has ended and with its error, None when it was published.
    """
    from kodomo_platform.orchestration.installation import prepare

    # one that was asked for must be usable; of all, one that is not is reported as its own failure
    chosen = [load_municipality(code).code for code in codes] or municipality_codes()
    prepare(build_manifest=False)
    _make_stores(chosen)
    home = get_settings().home
    arguments = [(str(home), code, children, months, seed + index, quality) for index, code in enumerate(chosen)]
    done: dict[str, Outcome] = {}
    # Each municipality in a worker process: a DuckDB file has one writer, and Dagster's in-process runs hold the GIL.
    with ProcessPoolExecutor(
        max_workers=workers, mp_context=get_context("spawn"), initializer=_end_with_parent
    ) as pool:
        futures = {pool.submit(_one, *argument): argument[1] for argument in arguments}
        for future in as_completed(futures):
            code = futures[future]
            try:
                outcome = future.result()
            except Exception as error:  # the worker itself was ended: the others' outcomes still count
                outcome = Outcome(code, code, error=f"{type(error).__name__}: {error}")
            done[code] = outcome
            said(code, outcome.error)
    return [done[code] for code in chosen]


def _end_with_parent() -> None:
    """A worker of a demonstration that was killed has nobody to report to."""
    die_with_parent()
    end_with_parent(grace=0)


def _make_stores(codes: list[str]) -> None:
    """Make Dagster's and MLflow's databases before several processes would each try to be the first."""
    from mlflow.tracking import MlflowClient

    from kodomo_platform.orchestration.runs import add_partition

    for code in codes:
        add_partition(code)
    MlflowClient(tracking_uri=get_settings().mlflow_tracking_uri).search_experiments(max_results=1)


def _one(home: str, code: str, children: int, months: int, seed: int, quality: str) -> Outcome:
    """One municipality, whole; an error is reported, not raised, so that the others go on."""
    use_home(Path(home))
    started = time.monotonic()
    outcome = Outcome(code, code)
    try:
        outcome.name = load_municipality(code).name_ja
        _twins(code, children, months, seed, quality)
        _chain(code, outcome)
        outcome.success = True
    except KodomoError as error:
        outcome.error = str(error)
    except Exception as error:
        outcome.error = f"{type(error).__name__}: {error}"
    outcome.seconds = time.monotonic() - started
    return outcome


def _twins(code: str, children: int, months: int, seed: int, quality: str) -> None:
    """Write the landing files and their truth, unless this home has them already."""
    from kodomo_platform.synthetic import generate

    settings = get_settings()
    if (settings.landing / code).exists():
        return
    generate(
        load_municipality(code),
        children=children,
        months=months,
        seed=seed,
        quality=quality,
        out=settings.landing,
        truth=settings.truth / code,
    )


def _chain(code: str, outcome: Outcome) -> None:
    from kodomo_platform.orchestration.runs import execute, require_success
    from kodomo_platform.scoring import approve_challengers

    trained = require_success(execute(code, "training", asked_by="kodomo demo"))
    approve_challengers(code, by="demo", reason="demonstration: approved unseen, never to be used for real children")
    scored = require_success(execute(code, "scoring_and_publishing", asked_by="kodomo demo"))
    outcome.quality_warnings = len(trained.warnings) + len(scored.warnings)
    _describe(code, outcome)


def _describe(code: str, outcome: Outcome) -> None:
    """Read back what was published: counts only."""
    from kodomo_platform.linkage.evaluation import evaluate
    from kodomo_platform.shelf import snapshots
    from kodomo_platform.warehouse import warehouse

    def one(query: str) -> Any:
        return con.execute(query).fetchone()

    with warehouse(code, read_only=True) as con:
        outcome.files, outcome.rows_in, outcome.rows_rejected = one(
            "select count(*), coalesce(sum(rows_in), 0), coalesce(sum(rows_rejected), 0) from raw.files where active"
        )
        outcome.children = one("select count(*) from marts.mart_child")[0]
        outcome.linked = dict(
            con.execute("select match_method, count(*) from linkage.lnk_crosswalk group by all order by 1").fetchall()
        )
        outcome.review_queue = one("select count(*) from linkage.lnk_review_queue")[0]
        for theme, model, version, alerts in con.execute(
            """
            select theme, any_value(model_name), any_value(model_version), count(*) filter (where alert)
            from marts.risk_scores group by theme order by theme
            """
        ).fetchall():
            outcome.models[theme] = f"{model} {version or ''}".strip()
            outcome.alerts[theme] = alerts
        truth = get_settings().truth / code / "records.csv"
        if truth.exists():
            pairwise = evaluate(con, truth)["pairwise"]
            outcome.linkage_precision = pairwise["precision"]
            outcome.linkage_recall = pairwise["recall"]
    current = [snapshot for snapshot in snapshots(code) if snapshot.is_current]
    outcome.snapshot = f"{current[0].as_of}/{current[0].version}" if current else None
