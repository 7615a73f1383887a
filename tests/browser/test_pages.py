"""`kodomo ui` as people see it: Dagster's graph and a run's checks, MLflow's runs, in a real headless Chromium."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from kodomo_platform.catalog import load_catalog
from tests.browser.pages import CHROMIUM, browser, latest_run, open_asset_graph, open_experiment, open_run, servers

# a town whose twins have outcomes enough to learn from: MLflow has runs to show
CODE = "112241"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: install the system's package `chromium`"),
]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the demonstration has run for one municipality."""
    home = tmp_path_factory.mktemp("pages")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c", "from kodomo_platform.cli import main; main()", "demo"),
            *("--municipality", CODE, "--children", "300", "--home", str(home)),
        ],
        env=os.environ | {"KODOMO_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return home


def test_the_pages_show_the_house(shown: Path, tmp_path: Path) -> None:
    with servers(shown) as addresses, browser() as page:
        open_asset_graph(page, addresses.dagster)
        text = page.inner_text("body")
        groups = {source.domain for source in load_catalog().sources.values()} | {"linkage", "scoring", "publishing"}
        assert not [group for group in groups if group not in text], "a group is missing from the asset graph"

        open_run(page, addresses.dagster, latest_run(shown, "training"))
        text = page.inner_text("body")
        assert "Success" in text
        assert re.search(r"\d+ checks", text)

        open_experiment(page, addresses.mlflow, CODE)
        assert "ebm" in page.inner_text("body").lower()
        page.screenshot(path=tmp_path / "mlflow.png")
        assert page.outside == [], "a page asked for something outside this machine"
