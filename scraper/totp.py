"""The six digits of an authenticator app."""

from __future__ import annotations

import base64
import hmac
import struct
import time

STEP = 30  # seconds that a code lasts


def totp(secret: str) -> str:
    """The present code (RFC 6238, with SHA-1) of a secret in base 32; spaces and case do not matter.

    Raises ValueError where it is no base 32.
    """
    bare = secret.replace(" ", "").upper().rstrip("=")
    key = base64.b32decode(bare + "=" * (-len(bare) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // STEP), "sha1")
    start = digest[19] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"
