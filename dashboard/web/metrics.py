"""`GET /metrics` of the dashboard: the state of cache and syncs for Prometheus. It takes the API keys that may read."""

from __future__ import annotations

from anyio import to_thread
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from cache.access.api_keys import digest, key_of, read_key
from cache.access.client_ip import Proxies, counted_as
from cache.errors import CacheError
from cache.monitoring.cache_metrics import CONTENT_TYPE, Exposition
from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.store import Cache

WRONG_KEYS = RateLimitItemPerMinute(10)  # from one address


class MetricsEndpoint:
    """The endpoint.

    Args:
        cache: The cache.
        settings: They have the default key and the trusted proxies.

    Raises:
        SettingsInvalid: TRUSTED_PROXIES is not valid.
    """

    def __init__(self, cache: Cache, settings: Settings) -> None:
        self._cache = cache
        self._settings = settings
        self._exposition = Exposition(cache)
        self._proxies = Proxies(settings.trusted_proxies)
        self._wrong = FixedWindowRateLimiter(MemoryStorage())

    async def get(self, request: Request) -> Response:
        """All metrics as text, for who sends a key."""
        peer = request.client.host if request.client else ""
        client = counted_as(self._proxies.client(peer, request.scope["headers"]))
        if not self._wrong.test(WRONG_KEYS, client):
            return PlainTextResponse("Too many wrong keys. Try again in a minute.", 429, {"Retry-After": "60"})
        key = key_of(request.scope["headers"])
        if key is None or not await to_thread.run_sync(self._may_read, key.decode("latin-1")):
            if key is not None:
                self._wrong.hit(WRONG_KEYS, client)
            return PlainTextResponse("Send an API key that may read.", 401, {"WWW-Authenticate": "Bearer"})
        text = await to_thread.run_sync(self._exposition.text)
        return Response(text, media_type=CONTENT_TYPE, headers={"Cache-Control": "no-store"})

    def _may_read(self, key: str) -> bool:
        """Whether a key may read. Requests are few, so nothing is kept in memory."""
        sent = digest(key)
        try:
            named = self._settings.set_api_key
            default = named[1] if named else read_key(self._settings.api_key_file)
            if default and sent == digest(default):
                return True
            known = self._cache.documents.read(API_KEYS).keys
        except (OSError, CacheError):
            return False
        return any(
            each.digest == sent and "read" in each.scopes and (each.expires_at is None or now() < each.expires_at)
            for each in known
        )
