"""Parameters that clients add so that no cache on the way answers. They say nothing about the response."""

from __future__ import annotations

NAMES = ("t", "ts", "v", "cb", "nocache")


def is_cache_buster(name: str) -> bool:
    """Whether a parameter is ignored if the table has no such column: NAMES, and whatever begins with `_`."""
    return name.startswith("_") or name in NAMES
