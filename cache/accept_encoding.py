"""Whether a client takes a compressed response: dashboard and API ask the same."""

from __future__ import annotations

from functools import lru_cache

MAX_ITEMS = 100  # of a header that is a list; further ones are ignored


@lru_cache(64)
def accepts_gzip(accept_encoding: bytes) -> bool:
    """Whether `Accept-Encoding` names gzip, or `*`, and not with q=0 (RFC 9110, section 12.5.3)."""
    weights: dict[bytes, float] = {}
    for item in accept_encoding.lower().split(b",", MAX_ITEMS):
        name, _, parameter = item.partition(b";")
        try:
            weight = float(parameter.strip().removeprefix(b"q=")) if parameter else 1.0
        except ValueError:
            weight = 0.0
        weights[name.strip()] = weight
    return weights.get(b"gzip", weights.get(b"*", 0.0)) > 0
