"""The events of `/fetch-data?stream=true`, and the wait of `/fetch-data?wait=true`.

An event is one `data:` line of JSON: `cached`, then `progress` and `updated` or `error` if a refresh was requested,
then `done`. The payload is the body of `/fetch-data`. It is passed on in slices and never held whole. With
`rows=chunked` it has no rows, and `rows` events follow. Comment lines keep the connection alive.

A client that connects again with the id of `done` in `Last-Event-ID` has everything: `EventSource` connects again after
each stream, and stops at 204.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from api.contract.errors import RefreshTimeout, ShuttingDown
from api.contract.event_models import DoneEvent, ErrorEvent, ProgressEvent, QueuedEvent
from api.contract.json_response import dump_model
from api.contract.response_models import Body
from api.http.event_stream import KEEPALIVE, OPENING_COMMENT
from api.http.prepared_response import Chunk
from api.routes import cache_watcher
from api.routes.refresh import AutomaticRefresh
from cache.errors import OrdersError, Trouble
from cache.settings import Settings
from cache.storage.records import Task
from cache.storage.store import Cache

DONE_ID = "done"
MAX_EVENT_BYTES = 64 << 10  # of a `rows` event with more than one row; clients such as aiohttp read lines up to 128 KB

_ROWS_HEAD, _ROWS_END = b'data: {"type": "rows", "payload": {"count": %d, "data": [', b"]}}\n\n"
_ROWS_SPACE = MAX_EVENT_BYTES - len(_ROWS_HEAD) - len(_ROWS_END) - 20


class Payload(NamedTuple):
    """The body of `/fetch-data`.

    Attributes:
        body: The body, with its rows or without them.
        rows: The rows as NDJSON, if the body has none.
    """

    body: AsyncIterator[Chunk]
    rows: AsyncIterator[Chunk] | None = None


class RefreshStream:
    """Follows refreshes.

    Args:
        cache: The cache.
        settings: Say how long a refresh is followed (SSE_TIMEOUT_SECONDS).
        watcher: Tells when the cache has changed.
    """

    def __init__(self, cache: Cache, settings: Settings, watcher: cache_watcher.CacheWatcher) -> None:
        self._cache = cache
        self._timeout = settings.sse_timeout_seconds
        self._watcher = watcher

    async def events(
        self,
        cached: Payload,
        refresh: AutomaticRefresh | None,
        refreshed: Callable[[], Awaitable[Payload]],
    ) -> AsyncIterator[Chunk]:
        """The events of one client.

        Args:
            cached: The payload from the newest snapshot.
            refresh: What became of `refresh=true`; None if it was not given. If no refresh is needed, `updated` follows
                at once.
            refreshed: Gives the payload after the refresh.
        """
        yield OPENING_COMMENT
        async for chunk in _payload(b"cached", cached):
            yield chunk
        if refresh:
            trouble = refresh.error
            if refresh.task:
                async for event in self._follow(refresh.task):
                    if isinstance(event, Trouble):
                        trouble = event
                    else:
                        yield event
            if trouble is None:
                try:
                    async for chunk in _payload(b"updated", await refreshed()):
                        yield chunk
                except OrdersError as error:
                    trouble = error.trouble()
            if trouble:
                yield _event(ErrorEvent(message=f"{trouble.message} {trouble.advice}", code=trouble.code))
        yield b"id: %s\n%s" % (DONE_ID.encode(), _event(DoneEvent()))

    async def wait_for(self, task: Task) -> Trouble | None:
        """Waits until a refresh has ended, for as long as a stream would.

        Returns:
            Why it failed or has not ended; None if it has completed.
        """
        async for event in self._follow(task):
            if isinstance(event, Trouble):
                return event
        return None

    async def _follow(self, task: Task) -> AsyncIterator[bytes | Trouble]:
        """Progress events and comment lines until the refresh has ended; then why it failed, if it did."""
        now = asyncio.get_running_loop().time
        deadline, keepalive_at = now() + self._timeout, now() + cache_watcher.KEEPALIVE_SECONDS
        last_progress: Body | None = None
        while True:
            changed = self._watcher.changed  # taken before the look, so that no change falls between look and wait
            task = await run_in_threadpool(self._cache.runs.task, task.id)
            if task.ended:
                if task.error:
                    yield task.error
                return
            if self._watcher.closing:
                yield ShuttingDown().trouble()
                return
            if now() >= deadline:
                yield RefreshTimeout(task.id).trouble()
                return
            progress = self._progress(task)
            if progress != last_progress:
                last_progress = progress
                yield _event(progress)
            if now() >= keepalive_at:
                keepalive_at = now() + cache_watcher.KEEPALIVE_SECONDS
                yield KEEPALIVE
            try:
                async with asyncio.timeout_at(min(deadline, keepalive_at)):
                    await changed.wait()
            except TimeoutError:
                pass

    def _progress(self, task: Task) -> Body:
        running = self._watcher.status.running if self._watcher.status else None
        if running and running.id == task.run:
            return ProgressEvent.of(running, type="progress")
        return QueuedEvent(fraction=None)


def _event(event: Body) -> bytes:
    return b"data: " + dump_model(event) + b"\n\n"


async def _payload(type: bytes, payload: Payload) -> AsyncIterator[Chunk]:
    yield b'data: {"type": "%s", "payload": ' % type
    async for chunk in payload.body:
        yield chunk
    yield b"}\n\n"
    if payload.rows:
        async for rows in _batches(payload.rows):
            yield _ROWS_HEAD % len(rows) + b",".join(rows) + _ROWS_END


async def _batches(ndjson: AsyncIterator[Chunk]) -> AsyncIterator[list[bytes]]:
    """Rows in batches, each of which fits into an event. A longer row is a batch of its own."""
    rows: list[bytes] = []
    size, rest = 0, b""
    async with aclosing(ndjson):  # type: ignore[type-var]
        async for chunk in ndjson:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if rows and size + len(line) >= _ROWS_SPACE:
                    yield rows
                    rows, size = [], 0
                rows.append(line)
                size += len(line) + 1
    if rows:
        yield rows
