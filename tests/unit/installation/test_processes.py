"""Whether the process that works on something is still there, and that none outlives the one it works for."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from kodomo_platform.installation.processes import is_alive, parse, worker


def gone(pid: int, seconds: float = 20.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_alive(worker(pid)) is False:
            return True
        time.sleep(0.05)
    return False


def test_a_process_is_known_by_more_than_its_id() -> None:
    me = worker()
    assert parse(str(me)) == me
    assert is_alive(me)
    assert is_alive(dataclasses.replace(me, started="1")) is False, "the id was given out again"
    assert is_alive(dataclasses.replace(me, boot="another")) is False
    assert is_alive(dataclasses.replace(me, host="elsewhere")) is None
    assert is_alive(dataclasses.replace(me, namespace="pid:[1]")) is None
    for text in ("", "a|b", "a|b|c|x|1", str(me) + "|"):
        assert parse(text) is None


def test_a_killed_process_is_gone_even_while_nobody_has_reaped_it() -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    written = worker(process.pid)
    assert is_alive(written)
    process.kill()
    until = time.monotonic() + 10
    while is_alive(written) and time.monotonic() < until:
        time.sleep(0.02)
    assert is_alive(written) is False
    process.wait()
    assert is_alive(written) is False


PARENT = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever runs the tests may have it ignored
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", '''
import time
from kodomo_platform.installation.processes import {way}
{call}
print("ready", flush=True)
time.sleep(600)
'''], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("way", "call"),
    [
        ("die_with_parent", "die_with_parent()"),
        ("end_with_parent", "end_with_parent(grace=5)"),
        # a process that does not heed SIGTERM
        ("end_with_parent", "import signal; signal.signal(15, signal.SIG_IGN); end_with_parent(grace=0.2)"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_with_its_parent(way: str, call: str, number: int) -> None:
    source = textwrap.dedent(PARENT).format(way=way, call=call)
    parent = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(worker(pid))
    os.kill(parent.pid, number)
    parent.wait()
    parent.stdout.close()
    assert gone(pid)
