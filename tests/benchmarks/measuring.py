"""How the benchmarks measure a process: wall time, and the memory of it and all its children together.

What is measured belongs to the ``bench_*.py`` beside this file.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Measured:
    """``peak_mb``: most memory (MB, resident, of the process and its children) seen in samples 0.1 s apart. Pages that
    several processes share are counted in each, so it is rather too high than too low. ``cpu_seconds``: of the process and
    the children it waited for, user and system."""

    seconds: float
    peak_mb: float
    cpu_seconds: float
    returncode: int
    output: str


def measured(command: Sequence[str], *, env: Mapping[str, str] | None = None, log: Path | None = None) -> Measured:
    """Run ``command`` to its end and measure it. Raises RuntimeError with its last lines if it fails."""
    before = os.times()
    begin = time.perf_counter()
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **(env or {})}, text=True
    )
    peak = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        tree = psutil.Process(process.pid)
        while not done.wait(0.1):
            total = 0
            try:
                for one in [tree, *tree.children(recursive=True)]:
                    try:
                        total += one.memory_info().rss
                    except psutil.Error:
                        continue
            except psutil.Error:
                continue
            peak = max(peak, total / 1e6)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    output, _ = process.communicate()
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    # one command is measured at a time: what ended children have used since is its own
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    if log is not None:
        log.write_text(output, encoding="utf-8")
    if process.returncode:
        last = "\n".join(output.splitlines()[-15:])
        raise RuntimeError(f"exit code {process.returncode}: {' '.join(command)}\n{last}")
    return Measured(seconds, peak, cpu, process.returncode, output)


def kodomo(*arguments: str) -> list[str]:
    """The command line of this checkout, run by this interpreter."""
    return [sys.executable, "-c", "from kodomo_platform.cli import main; main()", *arguments]
