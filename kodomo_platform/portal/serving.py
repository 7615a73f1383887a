"""Start the portal: its tables brought up to date, then gunicorn on this machine alone unless TLS stands in front."""

from __future__ import annotations

import os
import sys
from ipaddress import ip_address
from pathlib import Path

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.settings import get_settings

SETTINGS_MODULE = "kodomo_platform.portal.django_settings"


def set_up() -> None:
    """Django with the portal's settings in this process, once."""
    os.environ["DJANGO_SETTINGS_MODULE"] = SETTINGS_MODULE
    import django
    from django.apps import apps

    if not apps.ready:
        django.setup()


def prepare() -> None:
    """The operations database with the portal's tables beside the rest; safe to call again."""
    set_up()
    from django.core.management import call_command

    from kodomo_platform import operations

    operations.migrate()
    call_command("migrate", interactive=False, verbosity=0)


def may_bind(host: str) -> None:
    """Raise ConfigurationError for an address beyond this machine while nothing speaks TLS in front."""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local and not get_settings().portal_tls:
        raise ConfigurationError(
            "the portal does not listen beyond this machine without TLS",
            where=host,
            expected="127.0.0.1, or KODOMO_PORTAL_TLS=1 behind a proxy that speaks TLS",
            action="put a TLS proxy in front and set KODOMO_PORTAL_TLS=1 and KODOMO_PORTAL_HOSTS",
        )


def command(host: str, port: int, *, workers: int = 1, threads: int = 8) -> list[str]:
    """gunicorn's command line. One worker with threads: each worker would hold its own copy of the snapshot."""
    may_bind(host)
    return [
        str(Path(sys.executable).parent / "gunicorn"),
        "kodomo_platform.portal.wsgi:application",
        *("--bind", f"{host}:{port}"),
        *("--workers", str(workers), "--threads", str(threads), "--worker-class", "gthread"),
        *("--timeout", "120", "--graceful-timeout", "10", "--limit-request-line", "4094"),
        *("--name", "kodomo-portal", "--no-control-socket"),
    ]
