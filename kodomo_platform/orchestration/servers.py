"""The servers people look at, started and stopped together."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.installation.processes import die_with_parent
from kodomo_platform.orchestration.installation import dagster_instance_home
from kodomo_platform.orchestration.processes import LOCATION, command
from kodomo_platform.settings import get_settings

SECONDS_TO_STOP = 15.0
SECONDS_TO_LOAD = 120.0


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if probe.connect_ex((host, port)) == 0:
            raise ConfigurationError(
                f"port {port} is taken by another program",
                where=host,
                action="choose another with --port / --mlflow-port / --portal-port",
            )


def write_workspace(code_server: Path, file: Path) -> None:
    """The workspace of pages and daemon: one code server for both, on a socket that only its owner can open.

    Left to themselves each would start one, and the daemon another every minute.
    """
    server = {"grpc_server": {"socket": str(code_server), "location_name": LOCATION}}
    file.write_text(json.dumps({"load_from": [server]}), encoding="utf-8")  # JSON is YAML


def commands(
    host: str, port: int, mlflow_port: int, portal_port: int, code_server: Path, workspace: Path
) -> dict[str, list[str]]:
    """The servers' command lines, by name, in the order in which they start."""
    return {
        "Dagster code server": command("code-server", str(code_server)),
        "Dagster": command("pages", host, str(port), str(workspace)),
        "Dagster daemon": command("daemon", str(workspace)),
        "MLflow": command("models", host, str(mlflow_port)),
        # brings its tables up to date, then becomes the server itself
        "Portal": [
            *(sys.executable, "-c", "from kodomo_platform.cli import main; main()", "portal", "serve"),
            *("--host", portal_host(host), "--port", str(portal_port)),
        ],
    }


def portal_host(host: str) -> str:
    """Where the portal listens: beside the others, but never beyond this machine without TLS."""
    from kodomo_platform.portal.serving import may_bind

    try:
        may_bind(host)
    except ConfigurationError:
        return "127.0.0.1"
    return host


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the code server listens, has ended, or takes too long; the pages say what became of it."""
    until = time.monotonic() + SECONDS_TO_LOAD
    while not path.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.1)


def serve(host: str, port: int, mlflow_port: int, portal_port: int, say: Callable[[str], str]) -> int:
    """Run until interrupted or until one server stops; returns the exit code. ``say`` puts it into the reader's words."""
    import dagster as dg

    from kodomo_platform.orchestration.lost_runs import end_lost_runs

    dagster_instance_home()
    settings = get_settings()
    settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
    for wanted in (port, mlflow_port, portal_port):
        _require_free(host, wanted)
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with dg.DagsterInstance.get() as instance:
        # what a power cut or a kill left under way would block its municipality
        end_lost_runs(instance)
    running: dict[str, subprocess.Popen[bytes]] = {}
    interrupted = False

    def stop(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    # short, whatever the home's path: a socket's name has at most 107 bytes; nobody else may enter
    sockets = Path(tempfile.mkdtemp(prefix="kodomo-"))
    code_server, workspace = sockets / "code", sockets / "workspace.yaml"
    write_workspace(code_server, workspace)
    try:
        for name, arguments in commands(host, port, mlflow_port, portal_port, code_server, workspace).items():
            log = Path.open(logs / f"{name.lower().replace(' ', '-')}.log", "ab")
            # a group of its own: Ctrl-C reaches this process alone, which then stops each server with its workers;
            # should this process be killed, the kernel ends each
            running[name] = subprocess.Popen(
                arguments,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM),
            )
            log.close()
            if name == "Dagster code server":
                _wait_for(code_server, running[name])
        print(f"Dagster  http://{host}:{port}\nMLflow   http://{host}:{mlflow_port}")
        print(say(f"Portal   http://{portal_host(host)}:{portal_port}"))
        print(say(f"logs     {logs}"))
        print(say("Ctrl-C stops all."), flush=True)
        while not interrupted:
            for name, process in running.items():
                if process.poll() is not None:
                    print(say(f"{name} stopped with code {process.returncode}; see {logs}"), file=sys.stderr)
                    return 1
            time.sleep(0.5)
        return 0
    finally:
        # the code server last: the others ask it while they stop
        for process in reversed(running.values()):
            _signal(process, signal.SIGTERM)
        until = time.monotonic() + SECONDS_TO_STOP
        for process in running.values():
            try:
                process.wait(timeout=max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGKILL)
        for process in running.values():
            _signal(process, signal.SIGKILL)  # workers that outlived their server
        shutil.rmtree(sockets, ignore_errors=True)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return
