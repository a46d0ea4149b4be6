"""Rate limits, counted in this process in fixed windows.

Requests are taken from the counter in portions of a hundredth of the limit, which costs a tenth of counting each one.
The rest of a portion may be used in the next window.

Each request with a right key counts for its key and for its address. Requests without one have a share of their own
for each address: behind a proxy that is not trusted, all clients have one address, and a stranger cannot use up the
share of the keys. Wrong keys are counted apart: an address that sends too many is refused for the rest of the window.
Keys that were right from that address before still pass, so that one client behind a proxy cannot lock out the others.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import Response

from api.contract.error_responses import refusal
from api.contract.errors import RateLimited
from cache.errors import SettingsInvalid

Headers = list[tuple[bytes, bytes]]

_WRONG_KEYS = "wrong-keys"
MAX_CLIENTS = 10_000  # entries of each table; a full table is emptied


class RateLimits:
    """Counts requests and wrong keys.

    Args:
        rate_limit: RATE_LIMIT, such as `600/minute`, or `off`.
        failed_keys_limit: FAILED_KEYS_LIMIT, in the same form.

    Raises:
        SettingsInvalid: A limit does not parse.
    """

    def __init__(self, rate_limit: str, failed_keys_limit: str) -> None:
        self._rate = _parse_limit("RATE_LIMIT", rate_limit)
        self._failed = _parse_limit("FAILED_KEYS_LIMIT", failed_keys_limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._portion = max(1, self._rate.amount // 100) if self._rate else 0
        self._remaining: dict[tuple[str, str], int] = {}  # requests left of a portion
        self._windows: dict[tuple[str, str], tuple[int, float]] = {}  # requests left beside it, and the window's end
        self._blocked: dict[str, float] = {}  # address: until when (epoch seconds)
        self._right: set[tuple[str, str]] = set()  # key digests and addresses

    def count_request(self, kind: str, name: str) -> Response | None:
        """Counts a request.

        Args:
            kind: `key`, `address`, or `anonymous` for an address without a right key.
            name: The name of the key, or the address.

        Returns:
            The refusal if it is one request too many.
        """
        if self._rate is None:
            return None
        counter = (kind, name)
        remaining = self._remaining.get(counter) or self._take_portion(kind, name, self._rate)
        if not remaining:
            return _refusal(kind, self._rate, self._limiter.get_window_stats(self._rate, kind, name).reset_time)
        self._remaining[counter] = remaining - 1
        return None

    def headers(self, name: str) -> Headers:
        """The headers that say how many requests a key has left (draft-ietf-httpapi-ratelimit-headers-10).

        Args:
            name: The name of the key.
        """
        if self._rate is None:
            return []
        left, until = self._windows.get(("key", name), (0, 0.0))
        left += self._remaining.get(("key", name), 0)
        seconds = max(0, math.ceil(until - time.time()))
        return [(name.encode(), value.encode()) for name, value in _limit_headers("key", self._rate, left, seconds)]

    def allow_right_key(self, key_digest: str, address: str) -> Response | None:
        """Records that a key was right.

        Returns:
            The refusal if the address is blocked and this key was not right from there before.
        """
        if self._blocked and (key_digest, address) not in self._right and (refused := self._refusal_of(address)):
            return refused
        if len(self._right) >= MAX_CLIENTS:
            self._right.clear()
        self._right.add((key_digest, address))
        return None

    def count_wrong_key(self, address: str) -> Response | None:
        """Counts a wrong key.

        Returns:
            The refusal if the address is blocked, or is blocked from now on.
        """
        if refused := self._refusal_of(address):
            return refused
        if self._failed is None or self._limiter.hit(self._failed, "wrong", address):
            return None
        if len(self._blocked) >= MAX_CLIENTS:
            self._blocked.clear()
        until = self._limiter.get_window_stats(self._failed, "wrong", address).reset_time
        self._blocked[address] = until
        return _refusal(_WRONG_KEYS, self._failed, until)

    def _take_portion(self, kind: str, name: str, rate: RateLimitItem) -> int:
        if len(self._remaining) >= MAX_CLIENTS:
            self._remaining.clear()
            self._windows.clear()
        portion = self._portion if self._limiter.hit(rate, kind, name, cost=self._portion) else 0
        stats = self._limiter.get_window_stats(rate, kind, name)
        self._windows[kind, name] = stats.remaining, stats.reset_time
        return portion

    def _refusal_of(self, address: str) -> Response | None:
        until = self._blocked.get(address)
        if until is None or self._failed is None:
            return None
        if time.time() >= until:
            del self._blocked[address]
            return None
        return _refusal(_WRONG_KEYS, self._failed, until)


def _refusal(limit: str, item: RateLimitItem, until: float) -> Response:
    seconds = max(1, math.ceil(until - time.time()))
    headers = {"Retry-After": str(seconds), **dict(_limit_headers(limit, item, 0, seconds))}
    return refusal(RateLimited(seconds), headers)


def _limit_headers(limit: str, item: RateLimitItem, left: int, seconds: int) -> list[tuple[str, str]]:
    policy = f'"{limit}";q={item.amount};w={item.get_expiry()}'
    return [("ratelimit-policy", policy), ("ratelimit", f'"{limit}";r={left};t={seconds}')]


def _parse_limit(name: str, value: str) -> RateLimitItem | None:
    if value.strip().lower() == "off":
        return None
    try:
        limit = parse(value)
        if limit.amount < 1:
            raise ValueError("it refuses everybody")
        return limit
    except ValueError as error:
        raise SettingsInvalid(f"{name} does not parse.", "Write it like 600/minute or 10/second, or off.") from error
