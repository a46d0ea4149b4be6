"""What this process reads from: set once by the composition root, before the first visitor."""

from __future__ import annotations

from dataclasses import dataclass

from cache.settings import Settings
from cache.storage.store import Cache
from dashboard.auth.passwords import Passwords


@dataclass(frozen=True)
class Source:
    """`secret` is the cache's; `passwords` is None where none is set."""

    cache: Cache
    settings: Settings
    secret: str
    passwords: Passwords | None


_source: list[Source] = []


def use(source: Source) -> None:
    """Sets what every session reads from."""
    _source[:] = [source]


def source() -> Source:
    return _source[0]
