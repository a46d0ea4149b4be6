"""How often a client may ask, counted in this process, in fixed windows: the cheapest way there is.

Every request counts for its address, and for its key. Wrong keys count apart: an address that sends too many is
refused for the rest of the window, except with keys that were right from there before, so that one bad client behind
a proxy does not lock out the others. An IPv6 network of 64 bits is one address.
"""

from __future__ import annotations

import ipaddress
import math
import time
from functools import lru_cache

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.responses import Response

from api.errors import refusal
from cache.errors import SettingsInvalid

REMEMBERED = 10_000  # pairs of key and address that were right


class Limits:
    """Parameters: the settings of the same names. Raises SettingsInvalid."""

    def __init__(self, rate_limit: str, failed_keys_limit: str) -> None:
        self._rate = _parsed("RATE_LIMIT", rate_limit)
        self._failed = _parsed("FAILED_KEYS_LIMIT", failed_keys_limit)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._barred: dict[str, float] = {}  # address: until when (epoch seconds)
        self._right: set[tuple[str, str]] = set()

    def request(self, kind: str, name: str) -> Response | None:
        """Counts a request of a `key` or an `address`. Returns the refusal where it is one too many."""
        if self._rate is None or self._limiter.hit(self._rate, kind, name):
            return None
        return self._refusal(self._limiter.get_window_stats(self._rate, kind, name).reset_time)

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
        return refusal(429, "rate_limited", message, {"Retry-After": str(seconds)})


def _parsed(name: str, value: str) -> RateLimitItem | None:
    if value.strip().lower() == "off":
        return None
    try:
        return parse(value)
    except ValueError as error:
        raise SettingsInvalid(f"{name} does not parse.", "Write it like 600/minute or 10/second, or off.") from error


@lru_cache(maxsize=4096)
def network(host: str) -> str:
    """What counts as one address: an IPv4 address, or the first 64 bits of one of IPv6."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return host
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
