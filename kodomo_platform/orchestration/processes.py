"""The processes that the platform starts, each by name: ``python -m kodomo_platform.orchestration.processes NAME …``.

Every one keeps its files to their owner, and ends with the process that started it. What they do is Dagster's.
"""

import os
import sys
from collections.abc import Callable, Sequence

from kodomo_platform.installation.processes import end_with_parent
from kodomo_platform.settings import get_settings

UMASK = 0o077
# the code location's name, the same for `kodomo ui`, `dagster dev` and workspace.yaml: runs are listed under it
LOCATION = "kodomo_platform"


def command(name: str, *arguments: str) -> list[str]:
    """The command line of the process ``name``."""
    return [sys.executable, "-W", "ignore", "-m", "kodomo_platform.orchestration.processes", name, *arguments]


def _run_worker(_arguments: Sequence[str]) -> None:
    """One run; which one stands in the environment."""
    from dagster._cli.api import api_cli

    api_cli(["execute_run"])


def _code_server(arguments: Sequence[str]) -> None:
    """The code location that pages and daemon share, on a socket: ``code-server SOCKET``."""
    from dagster._cli.api import api_cli

    (socket,) = arguments
    api_cli(
        [
            *("grpc", "--socket", socket, "--module-name", "kodomo_platform.definitions"),
            *("--location-name", LOCATION, "--lazy-load-user-code", "--inject-env-vars-from-instance"),
        ]
    )


def _daemon(arguments: Sequence[str]) -> None:
    """Dagster's daemon: ``daemon WORKSPACE``."""
    from dagster._daemon.cli import create_dagster_daemon_cli

    (workspace,) = arguments
    create_dagster_daemon_cli()(["run", "--workspace", workspace])


PROCESSES: dict[str, Callable[[Sequence[str]], None]] = {
    "run-worker": _run_worker,
    "code-server": _code_server,
    "daemon": _daemon,
}


def main(arguments: Sequence[str]) -> None:
    """Start the process that ``arguments`` name."""
    os.umask(UMASK)
    get_settings()  # telemetry off before Dagster is imported
    end_with_parent()
    PROCESSES[arguments[0]](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
