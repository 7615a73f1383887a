"""Which process works on something, whether it is still there, and that none outlives the one it works for.

A process id alone is given out again: with it go the host, the boot, the namespace and when the process started.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_SECONDS_BETWEEN_LOOKS = 0.5


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


@lru_cache(maxsize=1)
def _machine() -> tuple[str, str, str]:
    """Host, boot and process namespace: where a process id means anything."""
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return socket.gethostname(), _read("/proc/sys/kernel/random/boot_id"), namespace


def _stat(pid: int) -> tuple[str, str] | None:
    """State and start time (clock ticks since boot) of a process, from ``/proc``; None if it cannot be told."""
    text = _read(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets
    return (fields[0], fields[19]) if len(fields) > 19 else None


@dataclass(frozen=True)
class Worker:
    """One process on one machine since one boot."""

    host: str
    boot: str
    namespace: str
    pid: int
    started: str

    def __str__(self) -> str:
        return "|".join((self.host, self.boot, self.namespace, str(self.pid), self.started))


def worker(pid: int | None = None) -> Worker:
    """The process ``pid`` (None: this one), to be written down."""
    pid = os.getpid() if pid is None else pid
    stat = _stat(pid)
    return Worker(*_machine(), pid, stat[1] if stat else "")


def parse(text: str) -> Worker | None:
    """What `Worker` wrote; None for anything else."""
    parts = text.split("|")
    if len(parts) != 5 or not parts[3].isdigit():
        return None
    host, boot, namespace, pid, started = parts
    return Worker(host, boot, namespace, int(pid), started)


def is_alive(written: Worker) -> bool | None:
    """Whether that process still exists (a zombie does not); None if this machine cannot tell."""
    host, boot, namespace = _machine()
    if written.host != host:
        return None
    if written.boot != boot:
        return False
    if written.namespace != namespace:
        return None
    try:
        os.kill(written.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = _stat(written.pid)
    return stat is None or (stat[0] not in "ZX" and (not written.started or stat[1] == written.started))


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask the kernel to send this process ``number`` when the thread that started it ends. To be called in the child.

    For children of a main thread only: the kernel means the thread, not its process. Elsewhere than on Linux it does
    nothing.
    """
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number)
    except (AttributeError, OSError):
        return


def end_with_parent(parent: int | None = None, *, grace: float = 10.0) -> None:
    """End this process when ``parent`` (None: its parent now) has gone: SIGTERM, then for good after ``grace`` seconds.

    A thread looks twice a second, so that it does not matter which thread of the parent started the process.
    """
    expected = os.getppid() if parent is None else parent

    def watch() -> None:
        while os.getppid() == expected:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if grace > 0:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
