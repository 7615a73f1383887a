"""The platform's pages, opened as people open them: `kodomo ui` and a headless Chromium of the system's packages.

``python -m tests.browser.pages HOME CODE OUT`` takes the README's pictures of a home that `kodomo demo` has made.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@dataclass(frozen=True)
class Servers:
    """Addresses of the pages of one home, while `servers` is open."""

    dagster: str
    mlflow: str
    portal: str


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(address: str, seconds: int = 120) -> None:
    for _ in range(seconds * 2):
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"nothing answers at {address}")


@contextmanager
def servers(home: Path) -> Iterator[Servers]:
    """`kodomo ui` over ``home``, up and answering; ended as Ctrl-C ends it."""
    dagster, mlflow, portal = _free_port(), _free_port(), _free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-c", "from kodomo_platform.cli import main; main()", "ui"),
            *("--home", str(home), "--port", str(dagster), "--mlflow-port", str(mlflow), "--portal-port", str(portal)),
        ],
        env=os.environ | {"KODOMO_HOME": str(home)},
        # nobody reads it here, and a pipe that nobody reads fills up
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        found = Servers(f"http://127.0.0.1:{dagster}", f"http://127.0.0.1:{mlflow}", f"http://127.0.0.1:{portal}")
        _wait(f"{found.dagster}/server_info")
        _wait(f"{found.mlflow}/health")
        _wait(f"{found.portal}/alive/")
        yield found
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0, "Ctrl-C ends the pages without an error"
        for address in (found.dagster, found.mlflow, found.portal):
            try:
                urllib.request.urlopen(address, timeout=5)
            except OSError:
                continue
            raise AssertionError(f"{address} still answers after Ctrl-C")
    finally:
        if process.poll() is None:
            process.terminate()  # it stops its servers, which are in groups of their own
            process.wait(timeout=60)


@contextmanager
def browser(width: int = 1600, height: int = 1000) -> Iterator[Any]:
    """A page of a fresh Chromium. ``page.outside`` lists the requests that would have left this machine; none does."""
    from playwright.sync_api import sync_playwright

    assert CHROMIUM is not None
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": width, "height": height}, locale="ja-JP")
        outside: list[str] = []
        page.outside = outside  # type: ignore[attr-defined]

        def only_here(route: Any) -> None:
            address = route.request.url
            if address.startswith(("http://127.0.0.1", "data:", "blob:", "file:")):
                route.continue_()
            else:
                outside.append(address)
                route.abort()

        page.route("**/*", only_here)
        try:
            yield page
        finally:
            chromium.close()


def latest_run(home: Path, job: str) -> str:
    """Id of the newest finished Dagster run of ``job`` in ``home``."""
    import dagster as dg

    from kodomo_platform.orchestration.installation import dagster_instance_home
    from kodomo_platform.settings import use_home

    use_home(home)
    dagster_instance_home()
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_run_records(
            dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1, order_by="update_timestamp"
        )
        return runs[0].dagster_run.run_id


def open_asset_graph(page: Any, address: str) -> None:
    """Dagster's graph of every asset, all groups drawn."""
    page.goto(f"{address}/asset-groups", wait_until="domcontentloaded")
    page.wait_for_selector("svg", timeout=60_000)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(4_000)


def open_run(page: Any, address: str, run_id: str) -> None:
    """One run with its steps and checks."""
    page.goto(f"{address}/runs/{run_id}", wait_until="domcontentloaded")
    page.wait_for_selector("text=RUN_SUCCESS", timeout=60_000)
    page.wait_for_timeout(1_000)


def open_experiment(page: Any, address: str, code: str) -> None:
    """MLflow's comparison of every candidate of one training: parameters and metrics side by side."""
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=address)
    experiment = next(found for found in client.search_experiments() if found.name.startswith(f"{code}/"))
    runs = client.search_runs([experiment.experiment_id], max_results=50)
    nested = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    newest = nested[0].data.tags["mlflow.parentRunId"]
    chosen = [run.info.run_id for run in nested if run.data.tags["mlflow.parentRunId"] == newest]
    listed = json.dumps(chosen, separators=(",", ":"))
    page.goto(
        f"{address}/#/compare-runs?runs={quote(listed)}&experiments={quote(json.dumps([experiment.experiment_id]))}",
        wait_until="domcontentloaded",
    )
    page.wait_for_selector("text=average_precision", timeout=60_000)  # the page never stops asking: no idle network
    assistant = page.get_by_role("button", name="Close")
    if assistant.count():
        assistant.first.click()
    page.get_by_text("Visualizations", exact=True).first.click()  # folded away: the tables are what a reviewer compares
    page.wait_for_timeout(2_000)


def model_card(home: Path, code: str) -> Path:
    """The newest model card of a municipality, as MLflow keeps it."""
    cards = (home / "mlflow" / "artifacts").glob(f"{code}-*/*/artifacts/model_card.html")
    return max(cards, key=lambda card: card.stat().st_mtime)


def outcome_report(home: Path, code: str) -> Path:
    """The outcome report of a municipality, written as people write it."""
    page = home / "reports" / code / "outcomes.html"
    command = ["model", "outcomes", "-m", code, "--html", str(page), "--home", str(home)]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from kodomo_platform.cli import main; main()", *command],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return page


def main(home: Path, code: str, out: Path) -> None:
    """Write the pictures of ``home`` to ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    with servers(home) as addresses, browser() as page:
        open_asset_graph(page, addresses.dagster)
        page.screenshot(path=out / "dagster-asset-graph.png")
        open_run(page, addresses.dagster, latest_run(home, "training"))
        page.screenshot(path=out / "dagster-run.png")
        page.set_viewport_size({"width": 1600, "height": 1250})
        open_experiment(page, addresses.mlflow, code)
        page.screenshot(path=out / "mlflow-comparison.png")
        page.set_viewport_size({"width": 1100, "height": 1500})
        for name, file in (("model-card", model_card(home, code)), ("outcome-report", outcome_report(home, code))):
            page.goto(file.as_uri())
            page.screenshot(path=out / f"{name}.png")
        print("requests to outside:", page.outside)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
