"""Whether the operations database is this home's own. A database that is missing or another's is never replaced in silence:
every child would get another id, and approvals, decisions and the audit log would be gone.

A home carries its installation's identity (``installation.json``): a fingerprint of the secret that only its database
holds. Making a backup of the database, and getting it back, belongs to `kodomo_platform.installation`.
"""

from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kodomo_platform.errors import OperationsError
from kodomo_platform.settings import get_settings

FILE = "installation.json"


def fingerprint(secret: str) -> str:
    """What a home may carry of its database's secret: it cannot be turned back."""
    return hashlib.sha256(b"kodomo installation:" + secret.encode()).hexdigest()[:32]


def identity_file() -> Path:
    return get_settings().home / FILE


def home_identity() -> str | None:
    """The identity that this home carries; None for a home that has none yet.

    Raises OperationsError if its file cannot be read: then it cannot be told whose home it is.
    """
    file = identity_file()
    try:
        identity = json.loads(file.read_text(encoding="utf-8"))["identity"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OperationsError(
            "the identity of this home cannot be read",
            where=str(file),
            expected="the file as `kodomo setup` wrote it",
            action="get the file back from a backup; with a database that is certainly this home's own, remove the file",
        ) from error
    return str(identity)


def has_published() -> bool:
    """Whether this home holds a snapshot: its child ids stand in a database that was there."""
    published = get_settings().published
    return published.is_dir() and any(published.glob("[0-9]*/[0-9]*/*/manifest.json"))


def require_own(connection: Any) -> None:
    """Refuse a database that is not this home's, before anything is written to it or in its place.

    Raises:
        OperationsError: it is missing or empty although this home has an identity or snapshots; or it is another's.
    """
    expected = home_identity()
    secret = None if _is_missing(connection) else _secret(connection)
    if secret is None:
        # a home that begins; or whose database knows what was published, and no child id was ever given out
        if expected is None and (not has_published() or _knows_publications(connection)):
            return
        raise _refused("the operations database of this home is missing or empty", connection)
    if expected is not None and fingerprint(secret) != expected:
        raise _refused("the operations database is another installation's", connection)


def _refused(what: str, connection: Any) -> OperationsError:
    return OperationsError(
        what,
        where=_place(connection),
        expected="the database with the child ids, approvals and decisions that belong to this home",
        action="get it back from a backup, or correct KODOMO_OPERATIONS_URL or KODOMO_DATABASE_URL; only if it "
        "is lost for good, a person begins anew with `kodomo setup --new-installation`: all children then get other ids",
    )


def remember(connection: Any) -> None:
    """Write the identity of the database's secret, if it has one yet, into the home, whole or not at all."""
    secret = _secret(connection)
    if secret is None or home_identity() == fingerprint(secret):
        return
    file = identity_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".{FILE}.{os.getpid()}")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump({"identity": fingerprint(secret), "since": datetime.now(UTC).isoformat(timespec="seconds")}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    aside.replace(file)


def set_aside() -> Path | None:
    """Let this home begin anew: its identity is kept under another name. A person's decision (``--new-installation``)."""
    file = identity_file()
    if not file.exists():
        return None
    former = file.with_name(f"installation.until-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json")
    file.replace(former)
    return former


def _place(connection: Any) -> str:
    """Where the database is, without its password."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(settings["NAME"])
    return f"{settings['HOST'] or 'localhost'}/{settings['NAME']}"


def _is_missing(connection: Any) -> bool:
    if connection.vendor != "sqlite":
        return False
    file = Path(str(connection.settings_dict["NAME"]))
    # opening a file that is not there would make it
    return not file.exists() or file.stat().st_size == 0


def _knows_publications(connection: Any) -> bool:
    if _is_missing(connection) or "operations_publication" not in connection.introspection.table_names():
        return False
    with connection.cursor() as cursor:
        cursor.execute("select 1 from operations_publication limit 1")
        return cursor.fetchone() is not None


def _secret(connection: Any) -> str | None:
    if "operations_installation" not in connection.introspection.table_names():
        return None
    with connection.cursor() as cursor:
        cursor.execute("select secret from operations_installation where id = 1")
        row = cursor.fetchone()
    return None if row is None else str(row[0])
