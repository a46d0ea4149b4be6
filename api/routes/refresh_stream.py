"""Server-sent events: `cached`, then `progress` and `updated` or `error` where a refresh was asked for, then `done`.

An event is one `data:` line of JSON; the payload is the body of `/fetch-data`, sent through in slices and never held
whole. Comment lines keep the connection alive.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool

from api.contract.json_response import dumps
from api.routes.event_feed import Feed, News
from api.routes.refresh import Asked, progress
from cache.errors import OrdersError, Trouble
from cache.settings import Settings
from cache.storage.records import Status, Task
from cache.storage.store import Cache

log = logging.getLogger(__name__)

ALIVE_SECONDS = 15
WATCH_SECONDS = 0.25  # how often the watcher looks up to see whether it shall end

Piece = bytes | memoryview
DONE = b'data: {"type": "done"}\n\n'
_TIMEOUT = "The refresh has not completed in time; it goes on in the background."
_CLOSING = Trouble(code="shutting_down", message="The API is shutting down.", advice="Connect again.", transient=True)


class Events:
    """One thread waits for the cache to change and wakes every stream of this process. It runs from start to stop."""

    def __init__(self, cache: Cache, settings: Settings) -> None:
        self._cache = cache
        self._timeout = settings.sse_timeout_seconds
        self._changed = asyncio.Event()
        self._closing = False
        self._ended = threading.Event()
        self._status: Status | None = None
        self.feed = Feed(cache)
        self._thread = threading.Thread(target=self._watch, name="events", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close_streams(self) -> None:
        """Ends every stream with an `error` and `done`. Called in the event loop."""
        self._closing = True
        self._changed.set()
        self.feed.close()

    async def stop(self) -> None:
        self.close_streams()
        self._ended.set()
        await run_in_threadpool(self._thread.join)

    def _watch(self) -> None:
        version, told_at = -1, time.monotonic()
        while not self._ended.is_set():
            try:
                newer = self._cache.runs.wait(version, WATCH_SECONDS)
                if newer != version:
                    version, status = newer, self._cache.status()
                    news = self.feed.look(status)
                    self._loop.call_soon_threadsafe(self._wake, status, news)
                    told_at = time.monotonic() if news.events else told_at
            except Exception:
                log.exception("The cache cannot be watched; streams wait until it can.")
                self._ended.wait(ALIVE_SECONDS)
            if time.monotonic() - told_at >= ALIVE_SECONDS:
                self._loop.call_soon_threadsafe(self.feed.remind)
                told_at = time.monotonic()

    def _wake(self, status: Status, news: News) -> None:
        self._status = status
        self.feed.tell(news)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    # -- one stream

    async def stream(
        self, cached: AsyncIterator[Piece], asked: Asked | None, renewed: Callable[[], Awaitable[AsyncIterator[Piece]]]
    ) -> AsyncIterator[Piece]:
        """The events of one client.

        Parameters: `cached` is the body at hand; `asked` what became of the refresh (None: none was asked for);
        `renewed` gives the body after it. Where the data is new enough already, `updated` follows at once.
        """
        yield b": phpmyadmin-orders\n\n"
        async for piece in _payload("cached", cached):
            yield piece
        if asked:
            trouble = asked.error
            if asked.task:
                async for event in self._follow(asked.task):
                    if isinstance(event, Trouble):
                        trouble = event
                    else:
                        yield event
            if trouble is None:
                try:
                    async for piece in _payload("updated", await renewed()):
                        yield piece
                except OrdersError as error:
                    trouble = error.trouble()
            if trouble:
                yield _event("error", message=f"{trouble.message} {trouble.advice}", code=trouble.code)
        yield DONE

    async def outcome(self, task: Task) -> Trouble | None:
        """Waits until a refresh has ended, or as long as a stream would. Returns its trouble, if any."""
        async for event in self._follow(task):
            if isinstance(event, Trouble):
                return event
        return None

    async def _follow(self, task: Task) -> AsyncIterator[bytes | Trouble]:
        """Progress and comment lines until the task has ended; then its trouble, if any."""
        clock = self._loop.time
        deadline, alive_at = clock() + self._timeout, clock() + ALIVE_SECONDS
        shown: dict[str, Any] | None = None
        while True:
            changed = self._changed  # taken before looking, so that no change falls between look and wait
            task = await run_in_threadpool(self._cache.runs.task, task.id)
            if task.ended:
                if task.error:
                    yield task.error
                return
            if self._closing:
                yield _CLOSING
                return
            if clock() >= deadline:
                yield Trouble(code="timeout", message=_TIMEOUT, advice=f"Follow it at /tasks/{task.id}.")
                return
            at = self._progress(task)
            if at != shown:
                shown = at
                yield _event("progress", **at)
            if clock() >= alive_at:
                alive_at = clock() + ALIVE_SECONDS
                yield b": alive\n\n"
            try:
                async with asyncio.timeout_at(min(deadline, alive_at)):
                    await changed.wait()
            except TimeoutError:
                pass

    def _progress(self, task: Task) -> dict[str, Any]:
        running = self._status.running if self._status else None
        if running and running.id == task.run:
            return progress(running)
        return {"phase": "queued", "fraction": None}


def _event(type: str, **values: Any) -> bytes:
    return b"data: " + dumps({"type": type, **values}) + b"\n\n"


async def _payload(type: str, body: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    yield b'data: {"type": "%s", "payload": ' % type.encode()
    async for piece in body:
        yield piece
    yield b"}\n\n"
