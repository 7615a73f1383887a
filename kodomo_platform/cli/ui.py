"""`kodomo ui`: Dagster's webserver and daemon and MLflow's server, together."""

from __future__ import annotations

from typing import Annotated

import typer

from kodomo_platform.cli.languages import say
from kodomo_platform.cli.options import Home, apply_home


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of Dagster's pages.")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's pages.")] = 5000,
    portal_port: Annotated[int, typer.Option(help="Port of the portal's pages.")] = 8000,
    home: Home = None,
) -> None:
    """Start the pages and the daemon, print their addresses, stop all on Ctrl-C."""
    apply_home(home)
    from kodomo_platform.orchestration.servers import serve

    raise typer.Exit(serve(host, port, mlflow_port, portal_port, say))
