"""Publishing killed at random moments, started twice at once, and on a disk that is full, with real processes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from kodomo_platform import operations
from kodomo_platform.publishing import publish
from kodomo_platform.shelf import current_snapshot, snapshots, verify
from tests.unit.publishing.handmade import AS_OF, CODE, RUN, Town, fill

ROOT = Path(__file__).parents[2]
# each pass publishes other contents, so that a kill can hit every step of it
PUBLISH_FOR_EVER = """
import itertools, duckdb
from kodomo_platform.publishing import publish
from tests.unit.publishing.handmade import AS_OF, RUN, Town, fill
con = duckdb.connect(); fill(con); print("ready", flush=True)
for n in itertools.count():
    con.execute("update marts.risk_scores set score_high = random()")
    publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc")
"""
PUBLISH_ONCE = """
import duckdb, sys
from kodomo_platform.publishing import publish
from tests.unit.publishing.handmade import AS_OF, RUN, Town, fill
con = duckdb.connect(); fill(con)
print(publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc").version)
"""
# a file-size limit is what a full disk looks like to a process, and needs no rights
ON_A_FULL_DISK = """
import duckdb, resource, signal
from kodomo_platform import operations
from kodomo_platform.errors import PublishingError
from kodomo_platform.publishing import publish
from tests.unit.publishing.handmade import AS_OF, RUN, Town, fill
con = duckdb.connect(); fill(con)
con.execute("insert into marts.mart_child select c.* replace (c.child_id || n::varchar as child_id, md5(n::varchar) as"
            " address) from marts.mart_child as c, range(20000) as t(n)")
operations.publications(Town().code)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc")
except PublishingError as error:
    print(error)
"""


@pytest.fixture(autouse=True)
def installation(home: Path) -> None:
    """A home in which children were linked before: its database says whose it is."""
    operations.installation_secret()
    operations.close()


@pytest.fixture
def published(home: Path) -> Path:
    with duckdb.connect() as con:
        fill(con)
        path = publish(con, Town(), AS_OF, dagster_run_id=RUN, code_version="abc").path
    operations.close()
    return path


def _start(program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_killed_at_random_moments_the_last_good_snapshot_stays(published: Path, home: Path) -> None:
    moments = random.Random(7)
    for _ in range(3):
        process = _start(PUBLISH_FOR_EVER)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0.05, 3.0))
        process.kill()
        process.communicate()
        assert verify(current_snapshot(CODE).path) == []
    done = _start(PUBLISH_ONCE)
    output, errors = done.communicate(timeout=120)
    assert done.returncode == 0, errors
    assert current_snapshot(CODE).version == output.strip()
    assert all(verify(snapshot.path) == [] for snapshot in snapshots(CODE))
    assert not list((home / "published").rglob(".*"))
    operations.close()


def test_two_at_once_publish_once(home: Path) -> None:
    both = [_start(PUBLISH_ONCE), _start(PUBLISH_ONCE)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert len({output for output, _ in outputs}) == 1
    assert len(snapshots(CODE)) == 1
    operations.close()


def test_a_full_disk_is_said_plainly_and_changes_nothing(published: Path) -> None:
    process = _start(ON_A_FULL_DISK)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert "the disk is full" in output
    assert current_snapshot(CODE).path == published
    assert [one.name for one in published.parent.iterdir()] == [published.name]
    operations.close()
