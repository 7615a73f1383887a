"""The six digits of a second factor (RFC 6238: SHA-1, 30 seconds), as an authenticator shows them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time

from kodomo_platform.errors import UsageError


def digits_now(secret: str, at: float | None = None) -> str:
    """Six digits for ``secret`` (base 32). Raises UsageError for what is no secret."""
    tidy = secret.strip().replace(" ", "").upper()
    try:
        key = base64.b32decode(tidy + "=" * (-len(tidy) % 8))
    except (binascii.Error, ValueError) as error:
        raise UsageError("not a secret of a second factor", expected="letters A–Z and digits 2–7") from error
    counter = struct.pack(">Q", int(at if at is not None else time.time()) // 30)
    mac = hmac.new(key, counter, hashlib.sha1).digest()
    start = mac[-1] & 0x0F
    number = struct.unpack(">I", mac[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06d}"
