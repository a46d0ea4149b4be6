"""Who a request comes from, and what it may do: told by a key, or by the signature of its address.

It costs every request a few microseconds: two look-ups, and two counters. Keys that are added, changed or
revoked count within a second.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, partial
from hashlib import sha256
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from api.auth.rate_limits import Limits
from api.contract.error_codes import CODES
from api.contract.errors import Forbidden, refusal, unauthorized
from cache.access.api_keys import ApiKey, ApiKeys, Scope, digest
from cache.access.client_ip import Proxies, counted_as
from cache.access.signed_urls import EXPIRES, SIGNATURE, is_signed, signed
from cache.errors import CacheError
from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.store import Cache

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
LOOK_AGAIN_SECONDS = 30  # after a look that failed
ACCESS = "orders.access"  # where the verdict on a request stands in its ASGI scope
HOLDS = "orders.holds"  # and what tells whether it still stands, for answers that last


@dataclass(frozen=True, slots=True)
class Access:
    """What a request may do.

    `name` is that of its key; `masked` tells that personal data is hidden from it; `expires_at` is in epoch seconds.
    """

    name: str
    digest: str
    scopes: frozenset[Scope]
    masked: bool = False
    expires_at: float = math.inf

    def require(self, scope: Scope) -> None:
        """Raises Forbidden where the key lacks that scope."""
        if scope not in self.scopes:
            what = "read rows" if scope == "read" else "ask for a refresh"
            raise Forbidden(
                f"The key '{self.name}' may not {what}.",
                f"Use a key with the scope `{scope}`: `python -m api keys add NAME --scope {scope}` makes one.",
            )


class Gate:
    """Parameters: `cache` keeps the keys beside `key`, which may do everything and is named `default`; `settings` say
    how often one may ask. Raises SettingsInvalid."""

    def __init__(self, cache: Cache, key: str, settings: Settings) -> None:
        self._cache = cache
        self._limits = Limits(settings.rate_limit, settings.failed_keys_limit)
        self._proxies = Proxies(settings.trusted_proxies)
        self._default = Access("default", digest(key), frozenset(("read", "refresh")))
        self._know(cache.documents.read(API_KEYS))

    def admit(self, connection: Connection) -> Access | Response:
        """The access of a request, or the answer that refuses it. It stays in the scope, so that a request is counted
        once, however often it is asked for.

        Needs `client`, `headers`, `path` and `query_string` of an ASGI scope. What signs an address is taken out of the
        query.
        """
        if ACCESS not in connection:
            connection[ACCESS] = self._verdict(connection)
        verdict: Access | Response = connection[ACCESS]
        return verdict

    def _verdict(self, connection: Connection) -> Access | Response:
        now = time.time()
        if now >= self._next_look:
            self._look(now)
        client = connection.get("client")
        address = counted_as(self._proxies.client(client[0], connection["headers"])) if client else ""
        if refused := self._limits.request("address", address):
            return refused
        key = key_of(connection["headers"])
        if key is not None:
            access: Access | Response = self._known.get(_digest(key)) or unauthorized()
            if b"signature=" in connection["query_string"]:  # the key counts
                _take_signature(connection)
        elif b"signature=" in connection["query_string"]:
            access = self._signer(connection)
        else:
            return unauthorized()
        if not isinstance(access, Access):
            return self._limits.wrong_key(address) or access
        if now >= access.expires_at:
            return unauthorized()
        if refused := self._limits.right_key(access.digest, address) or self._limits.request("key", access.name):
            return refused
        return access

    def holds(self, access: Access) -> bool:
        """Whether a key that was admitted still is: it may have been revoked, or have expired."""
        now = time.time()
        if now >= self._next_look:
            self._look(now)
        signer = self._signers.get(access.name)
        return signer is not None and signer.digest == access.digest and now < signer.expires_at

    def sign(self, access: Access, path: str, query: str, expires_at: datetime) -> str:
        """An address that reads as `access` may, until then."""
        return signed(self._secret, path, query, access.name, expires_at, access.digest)

    def _look(self, now: float) -> None:
        try:
            self._know(self._cache.documents.read(API_KEYS))
        except CacheError as error:
            log.error("Keys that were added or revoked do not count yet. %s", error)
            self._next_look = now + LOOK_AGAIN_SECONDS

    def _know(self, clients: ApiKeys) -> None:
        self._secret = clients.secret
        known = (self._default, *map(_access, clients.keys))
        self._known = {bytes.fromhex(access.digest): access for access in known}
        self._signers = {access.name: access for access in (*known, _DASHBOARD)}
        self._next_look = time.time() + LOOK_SECONDS

    def _signer(self, connection: Connection) -> Access | Response:
        """Who signed an address; through it he may only read."""
        query: bytes = connection["query_string"]
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
        given = dict(pairs)
        by, _, mac = given.get(SIGNATURE, "").rpartition(".")
        said = [pair for pair in pairs if pair[0] != SIGNATURE]
        signer = self._signers.get(by)
        if signer is None or not is_signed(self._secret, connection["path"], said, by, mac, signer.digest):
            return refusal("signature_invalid", CODES["signature_invalid"].message)
        if time.time() >= int(given[EXPIRES]):
            return refusal("signature_expired", CODES["signature_expired"].message)
        _take_signature(connection)
        return replace(signer, scopes=signer.scopes & {"read"})


class RequireKey:
    """Lets a request through that the gate admits, and whose key has the scope (None: any)."""

    def __init__(self, app: ASGIApp, gate: Gate, scope: Scope | None = None) -> None:
        self._app = app
        self._gate = gate
        self._scope = scope

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        access = scope.get(ACCESS) or self._gate.admit(scope)  # the short cut has asked before
        if not isinstance(access, Access):
            await access(scope, receive, send)
            return
        if self._scope:
            access.require(self._scope)
        scope[HOLDS] = partial(self._gate.holds, access)
        await self._app(scope, receive, send)


def access_of(request: Request) -> Access:
    """The access of a request that was admitted."""
    access: Access = request.scope[ACCESS]
    return access


_DASHBOARD = Access("dashboard", "", frozenset(("read",)))


@lru_cache(64)
def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


def _access(key: ApiKey) -> Access:
    expires_at = key.expires_at.timestamp() if key.expires_at else math.inf
    return Access(key.name, key.digest, frozenset(key.scopes), key.masked, expires_at)


def _take_signature(connection: Connection) -> None:
    parts = connection["query_string"].split(b"&")
    connection["query_string"] = b"&".join(part for part in parts if not part.startswith((b"expires=", b"signature=")))


def key_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """What `X-API-Key` holds, else what follows `Bearer` in `Authorization`."""
    bearer = None
    for name, value in headers:
        if name == b"x-api-key" and value:
            return value
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip()
    return bearer
