"""Signed addresses: a link that stands for a key, where none can be sent (`EventSource`, a download link).

    /fetch-data?format=csv&expires=1767003900&signature=shop.7fQ…

`signature` is who signed, a dot, and an HMAC-SHA256 (RFC 2104) over path, query, expiry and signer, in base64url. It is
good for that path and query alone, until `expires`, and for as long as the key of its signer is. Parameters may
stand in any order, and those that begin with `_` are ignored, as everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime
from urllib.parse import parse_qsl, quote, urlencode

EXPIRES, SIGNATURE = "expires", "signature"
MAX_MINUTES = 60
_SAFE = "!$%&'()*+,-./:;=?@_~"  # what a query may hold as it is (RFC 3986)

Pairs = list[tuple[str, str]]


def signed(secret: str, path: str, query: str, by: str, expires_at: datetime, digest: str = "") -> str:
    """The address, from its path on.

    Parameters: `secret` is the cache's (`Store.clients`); `query` without `?`; `by` names the key that signs, and
    `digest` is that key's (none for the dashboard, which signs without one).
    """
    query = "&".join([*([quote(query, safe=_SAFE)] if query else []), f"{EXPIRES}={int(expires_at.timestamp())}"])
    mac = _mac(secret, path, parse_qsl(query, keep_blank_values=True), by, digest)
    return f"{path}?{query}&{SIGNATURE}={by}.{mac}"


def is_signed(secret: str, path: str, pairs: Pairs, by: str, mac: str, digest: str = "") -> bool:
    """Whether `mac` is that of this address.

    Parameters: as for `signed`; `pairs` are those of the query but `signature`, `expires` among them.
    """
    return hmac.compare_digest(_mac(secret, path, pairs, by, digest).encode(), mac.encode())


def _mac(secret: str, path: str, pairs: Pairs, by: str, digest: str) -> str:
    canonical = urlencode(sorted((pair for pair in pairs if not pair[0].startswith("_")), key=lambda pair: pair[0]))
    message = "\n".join([path, canonical, by, digest])
    mac = hmac.new(bytes.fromhex(secret), message.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")
