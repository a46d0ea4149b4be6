"""Signed addresses, for clients that cannot send a key: `EventSource`, or a download link.

    /fetch-data?format=csv&expires=1767003900&signature=shop.7fQ…

`signature` is the name of the signer, a dot, and an HMAC-SHA256 in base64url. It covers path, query, expiry, signer and
the signer's key. So the address is valid for that path and query only, until `expires`, and as long as the key is.
The order of parameters does not matter. A client may add cache busters (`_`, `t`). They are removed, since they may be
names of columns: only what was signed is read.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import combinations
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlencode

from itsdangerous import Signer

from cache.access.cache_busters import is_cache_buster

EXPIRES, SIGNATURE = "expires", "signature"
MAX_MINUTES = 60
MAX_ADDED, MAX_CACHE_BUSTERS = 2, 4  # names that a client may add to a signed address, and with those that were signed
_SAFE = "!$%&'()*+,-./:;=?@_~"  # what a query may hold unescaped (RFC 3986)


class InvalidSignature(Exception):
    """The address was changed after it was signed, or the key of its signer is gone."""


class ExpiredSignature(Exception):
    """The signature is right, and `expires` is over."""


class _Part(NamedTuple):
    """A parameter of a query string."""

    raw: str
    name: str
    value: str
    encoded: str  # name and value, in the one form that is signed


class SignedQuery(NamedTuple):
    """What a signature vouches for.

    `query` is the query string as it was signed: without `expires`, `signature` and what a client added.
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
    signature = _signer(secret).get_signature(_payload(path, _parts(signed), signer, key_digest)).decode()
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
    parts = _parts(query)
    signer, _, signature = "".join(part.value for part in parts if part.name == SIGNATURE).rpartition(".")
    key_digest = key_digest_of(signer)
    if key_digest is None:
        raise InvalidSignature
    verifier = _signer(secret)
    for signed in _candidates([part for part in parts if part.name != SIGNATURE]):
        # As text: in base64, several last letters stand for the same bytes.
        expected = verifier.get_signature(_payload(path, signed, signer, key_digest))
        if hmac.compare_digest(expected, signature.encode()):
            break
    else:
        raise InvalidSignature
    expires = [part.value for part in signed if part.name == EXPIRES]
    if len(expires) != 1:
        raise InvalidSignature
    if time.time() >= int(expires[0]):
        raise ExpiredSignature
    return SignedQuery("&".join(part.raw for part in signed if part.name != EXPIRES), signer)


def without_signature(query: bytes) -> bytes:
    """The query string without `expires` and `signature`, for requests that send a key as well."""
    prefixes = (f"{EXPIRES}=".encode(), f"{SIGNATURE}=".encode())
    return b"&".join(part for part in query.split(b"&") if not part.startswith(prefixes))


def _signer(secret: str) -> Signer:
    return Signer(bytes.fromhex(secret), salt=b"orders.signed-url", key_derivation="hmac", digest_method=hashlib.sha256)


def _parts(query: str) -> list[_Part]:
    parts = []
    for raw in filter(None, query.split("&")):
        name, _, value = raw.partition("=")
        pair = unquote_plus(name), unquote_plus(value)
        parts.append(_Part(raw, *pair, urlencode([pair])))
    return parts


def _payload(path: str, parts: Sequence[_Part], signer: str, key_digest: str) -> bytes:
    query = "&".join(part.encoded for part in sorted(parts, key=lambda part: part.name))
    return "\n".join([path, query, signer, key_digest]).encode()


def _candidates(parts: Sequence[_Part]) -> Iterator[Sequence[_Part]]:
    """What may have been signed: all parts, or all without some names that a client may have added.

    Which of them it was, only the signature tells: `_t` may be a cache buster, and may be a column.
    """
    yield parts
    cache_busters = sorted({part.name for part in parts if _is_cache_buster(part.name)})
    if len(cache_busters) <= MAX_CACHE_BUSTERS:
        for count in range(1, MAX_ADDED + 1):
            for added in combinations(cache_busters, count):
                yield [part for part in parts if part.name not in added]


def _is_cache_buster(name: str) -> bool:
    """Whether a client may add the parameter: `_note__eq` is a filter in any case."""
    return is_cache_buster(name) and "__" not in name[1:]
