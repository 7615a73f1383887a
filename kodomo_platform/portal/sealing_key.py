"""Text that people write about children, unreadable in the database file: sealed with a key that lies apart from it.

The key is a file beside the database that only its owner can read (``KODOMO_PORTAL_KEY_FILE`` puts it elsewhere). Who
loses it loses the texts: it belongs into the installation's backup of keys.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Any

from kodomo_platform.errors import ConfigurationError
from kodomo_platform.settings import get_settings


def secret() -> bytes:
    """The portal's secret, made on first use (32 bytes in a file of mode 0600)."""
    return _secret(get_settings().portal_key_file)


@lru_cache(maxsize=4)
def _secret(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise ConfigurationError(
            "the portal's key cannot be written",
            where=str(path),
            expected="a folder that the portal's account may write",
            action="correct KODOMO_PORTAL_KEY_FILE or the folder's rights",
        ) from error
    else:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(32))
    try:
        text = path.read_text(encoding="ascii").strip()
        key = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "the portal's key cannot be read",
            where=str(path),
            expected="64 hexadecimal digits in a file that the portal's account may read",
            action="restore the key from the backup of keys: without it, what was written cannot be read",
        ) from error
    if len(key) < 32:
        raise ConfigurationError("the portal's key is too short", where=str(path), expected="64 hexadecimal digits")
    return key


def derived(purpose: str) -> str:
    """A key of its own for one purpose, as text."""
    return hashlib.blake2b(purpose.encode(), key=secret()[:64], digest_size=32).hexdigest()


def _box() -> Any:
    from cryptography.fernet import Fernet

    return Fernet(base64.urlsafe_b64encode(bytes.fromhex(derived("sealed text"))))


def seal(text: str) -> str:
    """``text`` encrypted and authenticated; empty stays empty."""
    return _box().encrypt(text.encode()).decode("ascii") if text else ""


def unseal(sealed: str) -> str:
    """The text again. Raises ConfigurationError where it was sealed with another key or changed."""
    from cryptography.fernet import InvalidToken

    if not sealed:
        return ""
    try:
        return str(_box().decrypt(sealed.encode("ascii")).decode())
    except (InvalidToken, UnicodeError) as error:
        raise ConfigurationError(
            "a text of the portal cannot be opened with this key",
            where=str(get_settings().portal_key_file),
            expected="the key that the text was written with, and a text nobody has changed",
            action="restore the key from the backup of keys",
        ) from error
