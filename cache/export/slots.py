"""Slots for requests, shared among the keys that send them: one key never takes all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from cache.errors import ScanBusy


class Slots:
    """Slots of one event loop.

    Each key has a queue of its own before the common one. So a key that sends many requests waits for itself, and the
    next free slot goes to another key that waits.

    Args:
        count: The number of slots.
        per_key: How many of them a key may take.
    """

    def __init__(self, count: int, per_key: int = 1) -> None:
        self._all = asyncio.Semaphore(count)
        self._per_key = per_key
        self._by_key: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @asynccontextmanager
    async def take(self, key: str, seconds: float) -> AsyncIterator[None]:
        """Takes a slot.

        Args:
            key: The name of the key.
            seconds: How long to wait for a slot.

        Raises:
            ScanBusy: No slot was free in that time.
        """
        own = self._by_key.setdefault(key, asyncio.Semaphore(self._per_key))
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(seconds):
                    await stack.enter_async_context(own)
                    await stack.enter_async_context(self._all)
            except TimeoutError as error:
                raise ScanBusy() from error
            yield
