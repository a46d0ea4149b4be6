"""Watches the cache for changes: one thread wakes every stream of this process."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from starlette.concurrency import run_in_threadpool

from api.routes.event_feed import EventFeed, FeedUpdate
from cache.storage.records import Status
from cache.storage.store import Cache

log = logging.getLogger(__name__)

KEEPALIVE_SECONDS = 15  # between two signs of life in a stream
STOP_SECONDS = 0.25  # how soon the thread notices that it shall stop


class CacheWatcher:
    """The watcher. Its thread runs from `start` to `stop`.

    Args:
        cache: The cache.

    Attributes:
        feed: The streams of `/events`.
        status: The state of the cache; None before the first look.
        changed: Set when `status` is replaced; then another event takes its place.
        closing: Whether all streams shall end.
    """

    def __init__(self, cache: Cache) -> None:
        self.feed = EventFeed(cache)
        self.status: Status | None = None
        self.changed = asyncio.Event()
        self.closing = False
        self._cache = cache
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="cache watcher", daemon=True)

    def start(self) -> None:
        """Starts the thread. Call it in the event loop that serves the streams."""
        self._loop = asyncio.get_running_loop()
        self._cache.snapshots.follow()
        self._thread.start()

    def close_streams(self) -> None:
        """Ends every stream. Call it in the event loop."""
        self.closing = True
        self.changed.set()
        self.feed.close()

    async def stop(self) -> None:
        """Ends every stream and the thread."""
        self.close_streams()
        self._stopped.set()
        await run_in_threadpool(self._thread.join)

    def _watch(self) -> None:
        version, sent_at = -1, time.monotonic()
        while not self._stopped.is_set():
            try:
                newer = self._cache.runs.wait(version, STOP_SECONDS)
                if newer != version:
                    version, status = newer, self._cache.status()
                    update = self.feed.poll(status)
                    self._loop.call_soon_threadsafe(self._wake, status, update)
                    sent_at = time.monotonic() if update.events else sent_at
            except Exception:
                log.exception("The cache cannot be watched; streams wait until it can.")
                self._stopped.wait(KEEPALIVE_SECONDS)
            if time.monotonic() - sent_at >= KEEPALIVE_SECONDS:
                self._loop.call_soon_threadsafe(self.feed.send_keepalives)
                sent_at = time.monotonic()

    def _wake(self, status: Status, update: FeedUpdate) -> None:
        self.status = status
        self.feed.send(update)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
