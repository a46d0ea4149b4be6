"""Signed addresses, for clients that cannot send a key: `EventSource`, or a download link.

    /fetch-data?format=csv&expires=1767003900&signature=shop.7fQ…

`signature` is the name of the signer, a dot, and an HMAC-SHA256 in base64url. It covers path, query, expiry, signer and
the signer's key. So the address is valid for that path and query only, until `expires`, and as long as the key is.
The order of parameters does not matter. Cache busters (`_`, `_t`) are not signed, so a client may add them.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlencode

from itsdangerous import Signer

EXPIRES, SIGNATURE = "expires", "signature"
MAX_MINUTES = 60
_SAFE = "!$%&'()*+,-./:;=?@_~"  # what a query may hold unescaped (RFC 3986)


class InvalidSignature(Exception):
    """The address was changed after it was signed, or the key of its signer is gone."""


class ExpiredSignature(Exception):
    """The signature is right, and `expires` is over."""


class SignedQuery(NamedTuple):
    """What a signature vouches for.

    `query` is the query string as it was sent, without `expires`, `signature` and everything else that is not signed.
    `signer` is the name of the key.
    """

    query: str
    signer: str


def sign_url(secret: str, path: str, query: str, signer: str, expires_at: datetime, key_digest: str = "") -> str:
    """Signs an address.

    Args:
        secret: The secret of the cache, in hex.
        path: The path of the address.
        query: The query string without `?`.
        signer: The name of the key that signs.
        expires_at: When the address ends.
        key_digest: The digest of the signer's key; empty for the dashboard, which signs without a key.

    Returns:
        The address, from its path on.
    """
    expires = f"{EXPIRES}={int(expires_at.timestamp())}"
    signed = f"{quote(query, safe=_SAFE)}&{expires}" if query else expires
    signature = _signer(secret).get_signature(_payload(path, signed.split("&"), signer, key_digest)).decode()
    return f"{path}?{signed}&{SIGNATURE}={signer}.{signature}"


def verify_url(secret: str, path: str, query: str, key_digest_of: Callable[[str], str | None]) -> SignedQuery:
    """Verifies a signed address.

    Args:
        secret: The secret of the cache, in hex.
        path: The path of the address.
        query: The query string as it was sent, without `?`.
        key_digest_of: The digest of a signer's key by the signer's name; None if there is no such key.

    Returns:
        The signed part of the query, and the signer.

    Raises:
        InvalidSignature: The address was changed, or the key of its signer is gone.
        ExpiredSignature: The address has expired.
    """
    parts = [part for part in query.split("&") if part and not _is_cache_buster(_name(part))]
    signatures = [part for part in parts if _name(part) == SIGNATURE]
    signed = [part for part in parts if _name(part) != SIGNATURE]
    signer, _, signature = _value("".join(signatures)).rpartition(".")
    key_digest = key_digest_of(signer)
    if key_digest is None or not _signer(secret).verify_signature(
        _payload(path, signed, signer, key_digest), signature
    ):
        raise InvalidSignature
    expires = [_value(part) for part in signed if _name(part) == EXPIRES]
    if len(expires) != 1:
        raise InvalidSignature
    if time.time() >= int(expires[0]):
        raise ExpiredSignature
    return SignedQuery("&".join(part for part in signed if _name(part) != EXPIRES), signer)


def without_signature(query: bytes) -> bytes:
    """The query string without `expires` and `signature`, for requests that send a key as well."""
    prefixes = (f"{EXPIRES}=".encode(), f"{SIGNATURE}=".encode())
    return b"&".join(part for part in query.split(b"&") if not part.startswith(prefixes))


def _signer(secret: str) -> Signer:
    return Signer(bytes.fromhex(secret), salt=b"orders.signed-url", key_derivation="hmac", digest_method=hashlib.sha256)


def _payload(path: str, parts: Iterable[str], signer: str, key_digest: str) -> bytes:
    pairs = [(_name(part), _value(part)) for part in parts]
    signed = urlencode(sorted((pair for pair in pairs if not _is_cache_buster(pair[0])), key=lambda pair: pair[0]))
    return "\n".join([path, signed, signer, key_digest]).encode()


def _is_cache_buster(name: str) -> bool:
    """Whether the API ignores the parameter. `_note__eq` filters a column whose name begins with `_`."""
    return name.startswith("_") and "__" not in name[1:]


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])


def _value(part: str) -> str:
    return unquote_plus(part.partition("=")[2])
