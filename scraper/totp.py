"""Codes of an authenticator app: TOTP (RFC 6238)."""

from __future__ import annotations

import base64
import hmac
import struct
import time

STEP = 30  # seconds for which a code is valid


def totp(secret: str) -> str:
    """The code of a secret at this moment: six digits, by SHA-1, for 30 seconds (RFC 6238).

    Args:
        secret: In base32; spaces and case do not matter.

    Raises:
        ValueError: It is not base32.
    """
    bare = secret.replace(" ", "").upper().rstrip("=")
    key = base64.b32decode(bare + "=" * (-len(bare) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // STEP), "sha1")
    start = digest[19] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
