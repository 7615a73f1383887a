"""The processes that the platform starts, each by name: ``python -m kodomo_platform.orchestration.processes NAME …``.

Every one keeps its files to their owner, and ends with the process that started it. What they do is Dagster's.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from kodomo_platform.installation.front import LOCAL_HOSTS, Front
from kodomo_platform.installation.processes import end_with_parent
from kodomo_platform.installation.rights import keep_private
from kodomo_platform.settings import get_settings

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


def _hosts(host: str) -> list[str]:
    """Names under which the pages may be reached: this machine's own, the address listened on, and those set by a person."""
    return [*LOCAL_HOSTS, *([host] if host not in ("0.0.0.0", "::") else []), *get_settings().allowed_hosts.split()]


def _pages(arguments: Sequence[str]) -> None:
    """Dagster's pages behind the front: ``pages HOST PORT WORKSPACE``."""
    import contextlib

    import uvicorn
    from dagster import DagsterInstance, __version__
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.app import create_app_from_workspace_process_context

    host, port, workspace = arguments

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        with contextlib.suppress(asyncio.CancelledError):  # a stop is no error
            yield

    with DagsterInstance.get() as instance:
        instance.optimize_for_webserver(15_000, -1, 20)
        target = WorkspaceFileTarget([workspace])
        with WorkspaceProcessContext(instance, target, version=__version__) as context:
            app = create_app_from_workspace_process_context(context, lifespan=lifespan)
            uvicorn.run(Front(app, _hosts(host)), host=host, port=int(port), log_level="warning")


def _models(arguments: Sequence[str]) -> None:
    """MLflow's pages behind the front: ``models HOST PORT``. The database's address, and password, stay off the command line."""
    import uvicorn

    host, port = arguments
    settings = get_settings()
    os.environ |= {
        "_MLFLOW_SERVER_FILE_STORE": settings.mlflow_tracking_uri,
        "_MLFLOW_SERVER_REGISTRY_STORE": settings.mlflow_tracking_uri,
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(settings.mlflow_dir / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        # it would also start workers for its assistants: nothing here uses them
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(one for name in _hosts(host) for one in (name, f"{name}:*")),
    }
    from mlflow.server.fastapi_app import app
    from mlflow.server.handlers import initialize_backend_stores

    initialize_backend_stores(settings.mlflow_tracking_uri, settings.mlflow_tracking_uri, "mlflow-artifacts:/")
    uvicorn.run(Front(app, _hosts(host)), host=host, port=int(port), log_level="warning")


PROCESSES: dict[str, Callable[[Sequence[str]], None]] = {
    "run-worker": _run_worker,
    "code-server": _code_server,
    "daemon": _daemon,
    "pages": _pages,
    "models": _models,
}


def main(arguments: Sequence[str]) -> None:
    """Start the process that ``arguments`` name."""
    keep_private(get_settings().home)  # the settings also turn telemetry off, before Dagster is imported
    end_with_parent()
    PROCESSES[arguments[0]](arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
