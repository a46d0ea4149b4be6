"""How often a client may ask, counted in this process, in fixed windows.

Requests are taken from the counter by the hundredth of the limit, which costs a tenth of taking each: what is left of
one may be spent in the next window.

Every request counts for its address, and for its key. Wrong keys count apart: an address that sends too many is
refused for the rest of the window, except with keys that were right from there before, so that one bad client behind
a proxy does not lock out the others.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import Response

from api.contract.errors import refusal
from cache.errors import SettingsInvalid

REMEMBERED = 10_000  # clients, for each thing that is known of them


class Limits:
    """Parameters: the settings of the same names. Raises SettingsInvalid."""

    def __init__(self, rate_limit: str, failed_keys_limit: str) -> None:
        self._rate = _parsed("RATE_LIMIT", rate_limit)
        self._failed = _parsed("FAILED_KEYS_LIMIT", failed_keys_limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._share = max(1, self._rate.amount // 100) if self._rate else 0
        self._taken: dict[tuple[str, str], int] = {}  # requests that were taken from the counter and not yet made
        self._barred: dict[str, float] = {}  # address: until when (epoch seconds)
        self._right: set[tuple[str, str]] = set()

    def request(self, kind: str, name: str) -> Response | None:
        """Counts a request of a `key` or an `address`. Returns the refusal where it is one too many."""
        if self._rate is None:
            return None
        left = self._taken.get((kind, name)) or self._take(kind, name, self._rate)
        if not left:
            return self._refusal(self._limiter.get_window_stats(self._rate, kind, name).reset_time)
        self._taken[kind, name] = left - 1
        return None

    def right_key(self, digest: str, address: str) -> Response | None:
        """Notes that a key was right. Returns the refusal where its address is barred and it was not right before."""
        if self._barred and (digest, address) not in self._right and (barred := self._refused(address)):
            return barred
        if len(self._right) >= REMEMBERED:
            self._right.clear()
        self._right.add((digest, address))
        return None

    def wrong_key(self, address: str) -> Response | None:
        """Counts a wrong key. Returns the refusal where it was one too many."""
        if barred := self._refused(address):
            return barred
        if self._failed is None or self._limiter.hit(self._failed, "wrong", address):
            return None
        if len(self._barred) >= REMEMBERED:
            self._barred.clear()
        until = self._limiter.get_window_stats(self._failed, "wrong", address).reset_time
        self._barred[address] = until
        return self._refusal(until)

    def _take(self, kind: str, name: str, rate: RateLimitItem) -> int:
        if len(self._taken) >= REMEMBERED:
            self._taken.clear()
        return self._share if self._limiter.hit(rate, kind, name, cost=self._share) else 0

    def _refused(self, address: str) -> Response | None:
        until = self._barred.get(address)
        if until is None:
            return None
        if time.time() >= until:
            del self._barred[address]
            return None
        return self._refusal(until)

    def _refusal(self, until: float) -> Response:
        seconds = max(1, math.ceil(until - time.time()))
        message = f"Too many requests. Wait {seconds} seconds, then ask less often."
        return refusal("rate_limited", message, {"Retry-After": str(seconds)})


def _parsed(name: str, value: str) -> RateLimitItem | None:
    if value.strip().lower() == "off":
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise SettingsInvalid(f"{name} does not parse.", "Write it like 600/minute or 10/second, or off.") from error
