"""The servers people look at, started and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.orchestration.installation import dagster_instance_home
from kodomo_platform.settings import get_settings


def _require_free(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if probe.connect_ex((host, port)) == 0:
            raise ConfigurationError(
                f"port {port} is taken by another program",
                where=host,
                action="choose another with --port / --mlflow-port",
            )


def commands(host: str, port: int, mlflow_port: int) -> dict[str, list[str]]:
    """The three servers' command lines, by name."""
    binaries = Path(sys.executable).parent
    settings = get_settings()
    code = ["-m", "kodomo_platform.definitions"]
    return {
        "Dagster": [str(binaries / "dagster-webserver"), "-h", host, "-p", str(port), *code],
        "Dagster daemon": [str(binaries / "dagster-daemon"), "run", *code],
        "MLflow": [
            str(binaries / "mlflow"),
            "server",
            "--host",
            host,
            "--port",
            str(mlflow_port),
            "--workers",
            "1",
            "--backend-store-uri",
            settings.mlflow_tracking_uri,
            "--artifacts-destination",
            str(settings.mlflow_dir / "artifacts"),
        ],
    }


def serve(host: str, port: int, mlflow_port: int, say: Callable[[str], str]) -> int:
    """Run until interrupted or until one server stops; returns the exit code. ``say`` puts it into the reader's words."""
    dagster_instance_home()
    settings = get_settings()
    settings.mlflow_dir.mkdir(parents=True, exist_ok=True)
    for wanted in (port, mlflow_port):
        _require_free(host, wanted)
    logs = settings.home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    # MLflow would also start workers for its assistants: nothing here uses them
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    running: dict[str, subprocess.Popen[bytes]] = {}
    interrupted = False

    def stop(*_: object) -> None:
        nonlocal interrupted
        interrupted = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        for name, command in commands(host, port, mlflow_port).items():
            log = Path.open(logs / f"{name.lower().replace(' ', '-')}.log", "ab")
            # a group of its own: Ctrl-C reaches this process alone, which then stops each server with its workers
            running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
            log.close()
        print(f"Dagster  http://{host}:{port}\nMLflow   http://{host}:{mlflow_port}")
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
        for process in running.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in running.values():
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
