"""How the operations database is reached and brought up to date. What stands in it is `models`' business.

SQLite (WAL) by default, PostgreSQL when the settings' URL says so. Django is configured by the module named in
``DJANGO_SETTINGS_MODULE``, `operations.django_settings` where nothing is named.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kodomo_platform.errors import ConfigurationError, OperationsError
from kodomo_platform.operations import identity
from kodomo_platform.settings import get_settings

BUSY_TIMEOUT_SECONDS = 30
SETTINGS_MODULE = "kodomo_platform.operations.django_settings"
# a key of our own in Django's settings of a database: the address that they were made from
_URL = "KODOMO_URL"
_MIGRATION_LOCK_KEY = 0x6B6F646F6D6F  # "kodomo": one advisory lock per PostgreSQL database

_guard = threading.RLock()
_current_url: str | None = None
_migrated: set[str] = set()


def database_settings(url: str) -> dict[str, Any]:
    """Django's ``DATABASES['default']`` for ``url``.

    Raises:
        ConfigurationError: the scheme is neither ``sqlite`` nor ``postgresql``, or the address has no database name.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.partition("+")[0]
    if scheme == "sqlite":
        # sqlite:////absolute/path and sqlite:///relative/path, as SQLAlchemy has it
        name = unquote(parts.path)[1:]
        if not name.strip("/"):
            raise ConfigurationError("the operations database has no file name", expected="sqlite:////folder/file")
        return {
            _URL: url,
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": name,
            "OPTIONS": {
                "timeout": BUSY_TIMEOUT_SECONDS,
                # writers queue at BEGIN instead of failing in the middle of a transaction
                "transaction_mode": "IMMEDIATE",
                "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON",
            },
        }
    if scheme in {"postgresql", "postgres"}:
        name = unquote(parts.path.lstrip("/"))
        if not name:
            raise ConfigurationError(
                "the operations database address names no database",
                expected="postgresql://user:password@host:port/name",
            )
        options = dict(parse_qsl(parts.query))
        return {
            _URL: url,
            "ENGINE": "django.db.backends.postgresql",
            "NAME": name,
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            # libpq takes a socket folder as ?host=
            "HOST": options.pop("host", parts.hostname or ""),
            "PORT": str(parts.port or ""),
            "OPTIONS": options,
        }
    raise ConfigurationError(
        "the operations database address has an unknown scheme",
        expected="sqlite:////folder/file or postgresql://user:password@host:port/name",
        action="correct KODOMO_OPERATIONS_URL",
    )


def _configure(url: str) -> None:
    """Set Django up once per process; when the process was pointed at another home, take the other address."""
    global _current_url
    import django
    from django.apps import apps
    from django.db import connections

    if not apps.ready:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS_MODULE)
        django.setup()
    if _current_url is None:
        # a settings module that gives no address of ours has its own database: it is used as it is
        _current_url = str(connections.settings["default"].get(_URL, ""))
    if _current_url not in ("", url):
        connections.close_all()
        if "default" in [connection.alias for connection in connections.all(initialized_only=True)]:
            del connections["default"]
        connections.settings = connections.configure_settings({"default": database_settings(url)})
        _current_url = url


def ready() -> None:
    """Set Django up for the current settings and bring the database to the newest migration, once per process."""
    with _guard:
        url = get_settings().operations_url
        _configure(url)
        if url not in _migrated:
            migrate()


def migrate(*, new_installation: bool = False, to_be_filled: bool = False) -> list[str]:
    """Bring the operations database up to date; safe to call again and from several processes at once.

    Args:
        new_installation: take whatever database is there, or none, for this home's own from now on: a person's decision.
        to_be_filled: the database is empty because this home's own rows are about to be copied into it.

    Returns:
        The migrations that were applied now, none if it was up to date.

    Raises:
        OperationsError: the database cannot be reached or written, or is not this home's own.
    """
    with _guard:
        url = get_settings().operations_url
        _configure(url)
        from django.db import DatabaseError, connection
        from django.db.migrations.executor import MigrationExecutor

        if not new_installation and not to_be_filled:
            try:
                identity.require_own(connection)
            except DatabaseError as error:
                raise unusable(error) from error
        if connection.vendor == "sqlite":
            Path(connection.settings_dict["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        try:
            applied: list[str] = []
            _refuse_newer(connection)
            if MigrationExecutor(connection).migration_plan(_targets(connection)):
                with _one_migrator(connection):
                    executor = MigrationExecutor(connection)
                    plan = executor.migration_plan(_targets(connection))
                    executor.migrate(_targets(connection), plan=plan)
                    applied = [str(migration) for migration, _ in plan]
        except DatabaseError as error:
            raise unusable(error) from error
        if new_installation:
            identity.set_aside()
        identity.remember(connection)
        _migrated.add(url)
        return applied


def _refuse_newer(connection: Any) -> None:
    """A database that a newer version has changed is left alone: this version would write what that one forbids."""
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connection)
    ours = {app for app, _ in loader.disk_migrations}
    unknown = sorted(f"{app}.{name}" for app, name in loader.applied_migrations if app in ours)
    unknown = [name for name in unknown if tuple(name.split(".", 1)) not in loader.disk_migrations]
    if unknown:
        raise OperationsError(
            f"the operations database was written by a newer version ({', '.join(unknown[:3])})",
            expected="the version of this platform that made it, or a newer one",
            action="install that version, or restore the backup made before it",
        )


def unusable(error: Exception) -> OperationsError:
    """What to say of a database that cannot be used: the driver's message may quote values, so only its kind is told.

    Drivers share no class for these: their words tell them apart.
    """
    message = str(error).lower()

    def says(*words: str) -> bool:
        return any(word in message for word in words)

    if says("password authentication failed", "no password supplied", 'role "'):
        return OperationsError(
            "the database server refuses this user or password",
            action="correct user and password in KODOMO_OPERATIONS_URL or KODOMO_DATABASE_URL; the server itself was reached",
        )
    if says("no pg_hba.conf entry"):
        return OperationsError(
            "the database server lets nobody in from this machine",
            action="allow this machine and user in the server's pg_hba.conf",
        )
    if says("database or disk is full", "no space left", "could not extend file"):
        return OperationsError(
            "the disk of the operations database is full",
            action="free some space there and run again: nothing was written",
        )
    if says("permission denied", "readonly database", "read-only", "must be owner", "unable to open database file"):
        return OperationsError(
            "the operations database may not be opened or written by this user",
            action="give the platform's user the right to read and write it; for a file, in its folder too",
        )
    if says("malformed", "not a database", "invalid page", "corrupt"):
        return OperationsError(
            "the operations database is damaged",
            action="do not delete it: stop the platform, keep a copy, and get the last good state back from a backup",
        )
    if says("does not exist"):
        return OperationsError(
            "the database server has no database of this name",
            action="create it on the server, or correct its name in KODOMO_OPERATIONS_URL or KODOMO_DATABASE_URL",
        )
    if says(
        "connection refused", "could not connect", "could not translate", "no route to host", "timeout", "no such file"
    ):
        return OperationsError(
            "the database server does not answer",
            action="look whether it runs, and whether address and port in KODOMO_OPERATIONS_URL or KODOMO_DATABASE_URL are "
            "right",
        )
    if says("or later is required"):
        return OperationsError(
            "the database server is too old", action="bring PostgreSQL to a version that Django supports (14 or later)"
        )
    return OperationsError(
        f"the operations database cannot be opened or brought up to date ({type(error).__name__})",
        expected="a reachable SQLite file or PostgreSQL database that may be written",
        action="check KODOMO_OPERATIONS_URL, the disk and the database server",
    )


def municipality_row(code: str) -> None:
    """Make sure that rows about municipality ``code`` have something to refer to, in the caller's transaction."""
    from kodomo_platform.operations import models

    models.Municipality.objects.get_or_create(code=code, defaults={"name_ja": code})


def exists() -> bool:
    """Whether there is anything to read; asking a home that was never set up must not create a database there."""
    url = get_settings().operations_url
    return not url.startswith("sqlite") or Path(str(database_settings(url)["NAME"])).exists()


def _targets(connection: Any) -> list[tuple[str, str]]:
    from django.conf import settings
    from django.db.migrations.loader import MigrationLoader

    # a web application may keep the bringing up to date of its own tables to itself
    wanted = getattr(settings, "KODOMO_MIGRATED_APPS", None)
    return [node for node in MigrationLoader(connection).graph.leaf_nodes() if wanted is None or node[0] in wanted]


@contextmanager
def _one_migrator(connection: Any) -> Iterator[None]:
    """Only one process migrates; the others wait and then find nothing to do."""
    if connection.vendor == "sqlite":
        lock = Path(str(connection.settings_dict["NAME"]) + ".migrate.lock")
        with lock.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [_MIGRATION_LOCK_KEY])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_unlock(%s)", [_MIGRATION_LOCK_KEY])


def close() -> None:
    """Close this process's connections (before a fork, at the end of a test)."""
    with _guard:
        if _current_url is not None:
            from django.db import connections

            connections.close_all()


@contextmanager
def transaction() -> Iterator[None]:
    """One transaction on the up-to-date database; a database error becomes an `OperationsError`."""
    ready()
    from django.db import DatabaseError
    from django.db import transaction as django_transaction

    try:
        with django_transaction.atomic():
            yield
    except DatabaseError as error:
        raise OperationsError(
            f"the operations database refused the change ({type(error).__name__})",
            action="look whether another process holds the database, then run the step again: nothing was written",
        ) from error
