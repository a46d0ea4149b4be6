"""Authentication: finds the API key of a request, and the permissions of the key.

A request sends a key or uses a signed URL. Authentication takes a few microseconds: two look-ups and two counters.
Added, changed and revoked keys take effect within a second.
"""

from __future__ import annotations

import binascii
import logging
import math
import time
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from api.auth.rate_limits import Headers, RateLimits
from api.contract.error_responses import refusal
from api.contract.errors import Forbidden, SignatureExpired, SignatureInvalid, Unauthorized, UnknownFeed
from api.contract.queries.request_limits import MAX_PARAMETERS
from cache.access.api_keys import ApiKey, ApiKeys, Scope, digest, key_of
from cache.access.client_ip import Proxies, counted_as
from cache.access.feeds import Feed
from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.access.signed_urls import (
    ExpiredSignature,
    InvalidSignature,
    sign_url,
    verify_url,
    without_signature,
)
from cache.errors import CacheError
from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.store import Cache

log = logging.getLogger(__name__)

RELOAD_SECONDS = 0.5  # interval between two loads of the keys
RETRY_SECONDS = 30  # interval after a load that failed
ADMISSION = "orders.admission"  # the key of an Admission in an ASGI scope


@dataclass(frozen=True, slots=True)
class Access:
    """The permissions of a key.

    Attributes:
        name: The name of the key.
        digest: The SHA-256 of the key, in hexadecimal.
        scopes: The scopes of the key.
        masked: Whether responses to this key mask personal data.
        frozen_mask: What is hidden beside today's mask.
        expires_at: When the key expires, in epoch seconds.
    """

    name: str
    digest: str
    scopes: frozenset[Scope]
    masked: bool = False
    frozen_mask: Mask = NOTHING_HIDDEN
    expires_at: float = math.inf

    def require(self, scope: Scope) -> None:
        """Checks that the key has a scope.

        Raises:
            Forbidden: The key does not have this scope.
        """
        if scope not in self.scopes:
            raise Forbidden(self.name, scope)


class Admission(NamedTuple):
    """A request that was authenticated and counted.

    Attributes:
        access: The permissions of its key.
        query: Its query string, without the signature. Read parameters only from this query string.
        authenticator: The authenticator that admitted it.
        is_signed: Whether its address is signed, and there is no key beside.
        path: The path that it asks for, if its address is a feed; else empty.
    """

    access: Access
    query: bytes
    authenticator: Authenticator
    is_signed: bool = False
    path: str = ""

    def is_valid(self) -> bool:
        """Returns whether the key is still valid. It may have expired or been revoked since the request began."""
        return self.authenticator.is_valid(self.access)

    def limit_headers(self) -> Headers:
        """Returns the headers that say how many requests its key has left."""
        return self.authenticator.limit_headers(self.access)


class Authenticator:
    """Authenticates requests and counts them.

    Args:
        cache: Stores all keys except `default`.
        key: The key named `default`, which has all scopes.
        settings: The rate limits and the trusted proxies.

    Raises:
        SettingsInvalid: A setting cannot be parsed.
    """

    def __init__(self, cache: Cache, key: str, settings: Settings) -> None:
        self._cache = cache
        self._limits = RateLimits(settings.rate_limit, settings.failed_keys_limit)
        self._proxies = Proxies(settings.trusted_proxies)
        self._default = Access("default", digest(key), frozenset(("read", "refresh")))
        self._set_keys(cache.documents.read(API_KEYS))

    def authenticate(self, connection: Connection) -> Admission | Response:
        """Authenticates a request and counts it. Call it once for each request.

        Args:
            connection: The ASGI scope. Only `client`, `method`, `headers`, `path` and `query_string` are read.

        Returns:
            The admission, or the response that refuses the request.
        """
        now, address = self._renewed(), self._address(connection)
        found = self._identify(connection)
        if isinstance(found, Admission) and now < found.access.expires_at:
            return self._counted(found, address)
        refused = self._limits.count_request("anonymous", address)
        if isinstance(found, Response):
            return refused or self._limits.count_wrong_key(address) or found
        return refused or _unauthorized(connection, is_wrong=found is not None)

    def admit_feed(self, connection: Connection, token: str) -> Admission | Response:
        """Admits a reader of a feed and counts the request, as `authenticate` does. No key is looked for.

        Args:
            connection: The ASGI scope.
            token: What the address has.
        """
        now, address = self._renewed(), self._address(connection)
        feed = self._feeds.get(sha256(token.encode()).digest())
        if feed and (feed.expires_at is None or now < feed.expires_at.timestamp()):
            return self._counted(self.admission_of(feed), address)
        return self._limits.count_request("anonymous", address) or refusal(UnknownFeed())

    def admission_of(self, feed: Feed) -> Admission:
        """Returns the admission of a reader of a feed."""
        access = Access(f"feed:{feed.name}", feed.digest, frozenset(("read",)), feed.masked, feed.mask)
        return Admission(access, feed.query.encode(), self, is_signed=True, path=feed.path)

    def _renewed(self) -> float:
        """Loads the keys again if it is time. Returns the time."""
        now = time.time()
        if now >= self._next_load:
            self._load_keys(now)
        return now

    def _address(self, connection: Connection) -> str:
        client = connection.get("client")
        return counted_as(self._proxies.client(client[0], connection["headers"])) if client else ""

    def _counted(self, admission: Admission, address: str) -> Admission | Response:
        access = admission.access
        return (
            self._limits.count_request("address", address)
            or self._limits.allow_right_key(access.digest, address)
            or self._limits.count_request("key", access.name)
            or admission
        )

    def _identify(self, connection: Connection) -> Admission | Response | None:
        """The admission by key or signature, the refusal if that is wrong, or None if the request has neither."""
        query: bytes = connection["query_string"]
        is_signed = b"signature=" in query
        key = key_of(connection["headers"])
        if key is None and is_signed:  # a password may be that of a proxy in front
            return self._verify_signature(connection["path"], query)
        if key is None:
            key = password_of(connection)
        if key is None:
            return None
        access = self._by_digest.get(_digest(key))
        if access is None:
            return _unauthorized(connection, is_wrong=True)
        return Admission(access, without_signature(query) if is_signed else query, self)

    def is_valid(self, access: Access) -> bool:
        """Returns whether an admitted key is still valid. It may have expired or been revoked."""
        now = self._renewed()
        current = self._by_name.get(access.name)
        return current is not None and current.digest == access.digest and now < current.expires_at

    def limit_headers(self, access: Access) -> Headers:
        """Returns the headers that say how many requests a key has left."""
        return self._limits.headers(access.name)

    def sign(self, access: Access, path: str, query: str, expires_at: datetime) -> str:
        """Creates a signed URL that may do the same as `access`.

        Args:
            access: The key that signs.
            path: The path of the URL.
            query: The query string without `?`.
            expires_at: When the signed URL expires.

        Returns:
            The signed URL without scheme and host.
        """
        return sign_url(self._secret, path, query, access.name, expires_at, access.digest)

    def _load_keys(self, now: float) -> None:
        try:
            self._set_keys(self._cache.documents.read(API_KEYS))
        except CacheError as error:
            log.error("The API keys cannot be loaded; new and revoked keys do not take effect yet. %s", error)
            self._next_load = now + RETRY_SECONDS

    def _set_keys(self, keys: ApiKeys) -> None:
        self._secret = keys.secret
        accesses = (self._default, *map(_access, keys.keys))
        self._by_digest = {bytes.fromhex(access.digest): access for access in accesses}
        self._by_name = {access.name: access for access in (*accesses, _DASHBOARD)}
        self._feeds = {bytes.fromhex(feed.digest): feed for feed in keys.feeds}
        self._next_load = time.time() + RELOAD_SECONDS

    def _verify_signature(self, path: str, query: bytes) -> Admission | Response:
        """Admits a request with a signed URL. It may do what was signed, as long as its signer may."""
        if query.count(b"&") >= MAX_PARAMETERS:
            return refusal(SignatureInvalid())
        try:
            signed = verify_url(self._secret, path, query.decode("latin-1"), self._digest_of)
        except InvalidSignature:
            return refusal(SignatureInvalid())
        except ExpiredSignature:
            return refusal(SignatureExpired())
        return Admission(self._by_name[signed.signer], signed.query.encode("latin-1"), self, is_signed=True)

    def _digest_of(self, signer: str) -> str | None:
        access = self._by_name.get(signer)
        return access.digest if access else None


class LimitHeaders:
    """Middleware that adds the headers of Admission.limit_headers to the responses to requests with a valid key.

    It takes away `Link` from those to signed addresses: a signature is for one page, and not for the next one.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Calls the application and adds the headers to its response."""

        async def send_with_limits(message: Message) -> None:
            admission = scope.get(ADMISSION)
            if message["type"] == "http.response.start" and isinstance(admission, Admission):
                own = [each for each in message["headers"] if not (admission.is_signed and each[0] == b"link")]
                message = {**message, "headers": [*own, *admission.limit_headers()]}
            await send(message)

        await self._app(scope, receive, send_with_limits)


class RequireKey:
    """Middleware that lets a request through if it is admitted and its key has the scope.

    Args:
        app: The endpoint.
        authenticator: Authenticates a request that the fast path has not authenticated.
        scope: The scope that the key needs; None: any valid key is enough.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, scope: Scope | None = None) -> None:
        self._app = app
        self._authenticator = authenticator
        self._scope = scope

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Calls the endpoint, or sends the refusal.

        Raises:
            Forbidden: The key does not have the scope.
        """
        if ADMISSION not in scope:
            scope[ADMISSION] = self._authenticator.authenticate(scope)
        admission: Admission | Response = scope[ADMISSION]
        if not isinstance(admission, Admission):
            await admission(scope, receive, send)
            return
        if self._scope:
            admission.access.require(self._scope)
        await self._app(scope, receive, send)


def admission_of(request: Request) -> Admission:
    """Returns the admission of a request that RequireKey let through."""
    admission: Admission = request.scope[ADMISSION]
    return admission


def password_of(connection: Connection) -> bytes | None:
    """Returns the password of a request with HTTP Basic (RFC 7617); the user name is ignored.

    A browser adds a password that it knows to requests of any site. Those count only where a person follows a link.
    """
    headers = dict(connection["headers"])
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    is_link = connection["method"] in ("GET", "HEAD") and headers.get(b"sec-fetch-mode") == b"navigate"
    if headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site") and not is_link:
        return None
    try:
        return b64decode(credentials.strip(), validate=True).partition(b":")[2] or None
    except binascii.Error:
        return b""  # a wrong one


def _unauthorized(connection: Connection, is_wrong: bool) -> Response:
    """The refusal of a request without a key, or with a wrong one.

    A client that sent Basic may ask its user again, and a browser opens a dialog only for Basic.
    """
    headers = dict(connection["headers"])
    has_basic = headers.get(b"authorization", b"").partition(b" ")[0].lower() == b"basic"
    is_page = b"text/html" in headers.get(b"accept", b"").lower()
    return refusal(Unauthorized(is_wrong, asks_for_basic=has_basic or is_page))


_DASHBOARD = Access("dashboard", "", frozenset(("read",)))


@lru_cache(64)
def _digest(key: bytes) -> bytes:
    return sha256(key).digest()


def _access(key: ApiKey) -> Access:
    expires_at = key.expires_at.timestamp() if key.expires_at else math.inf
    return Access(key.name, key.digest, frozenset(key.scopes), key.masked, expires_at=expires_at)
