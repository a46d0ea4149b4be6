"""`GET /events`: what happens to the cache, as it happens. Each event is encoded once, for all clients.

    snapshot   a generation was published or confirmed: generation, rows, verified, verified_at
    changes    what changed: generation, since (the one that was told before), inserted, updated, deleted
    progress   a sync under way: phase, rows, bytes, fraction

`snapshot` has an id that says how far a client has come. One that comes back with it in `Last-Event-ID` is told where
things stand if they have moved, whichever process told it before; one without it is told at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.answers import dumps, iso_or_none
from api.gate import HOLDS
from api.parameters import parameters
from api.refresh import progress
from cache.changes import counted
from cache.errors import CacheError, ChangesGone
from cache.snapshot import Changes, Head, Manifest
from cache.store import Status, Store

ALIVE_SECONDS = 15
STALLED_SECONDS = 10  # a client that takes nothing for so long is dropped
KEPT = 200  # events that a client may lag behind

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"private, no-cache"),
    (b"x-accel-buffering", b"no"),
]
_HELLO, _ALIVE = b"retry: 2000\n: phpmyadmin-orders\n\n", b": alive\n\n"


class News(NamedTuple):
    """The events since the last look, and where things stand: the last `snapshot` event and its id."""

    events: list[bytes]
    standing: bytes
    id: str


class Feed:
    """`look` runs in the thread that watches the cache, all else in the event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._head: Head | None = None
        self._progress: dict[str, Any] | None = None
        self._looked = (b"", "")  # the last `snapshot` event and its id, as the watcher knows them
        self._standing, self._id = self._looked  # and as clients are told
        self._recent: deque[bytes] = deque(maxlen=KEPT)
        self._count = 0  # events told so far; the last of `_recent` is number `_count`
        self._turn: asyncio.Future[None] | None = None  # done when there is more to tell
        self._closing = False

    def look(self, status: Status) -> News:
        events: list[bytes] = []
        head, before = status.head, self._head
        if head is not None and head != before:
            manifest = self._manifest(head)
            id = f"{head.generation}-{int(head.updated_at.timestamp() * 1000)}"
            standing = _event("snapshot", _snapshot(head, manifest), id)
            events.append(standing)
            counts = self._changes(before, head, manifest) if manifest and before else None
            if before and counts:
                since = {"generation": head.generation, "since": before.generation}
                events.append(_event("changes", since | counts.model_dump()))
            self._head, self._looked = head, (standing, id)
        running = progress(status.running) if status.running else None
        if running is not None and running != self._progress:
            events.append(_event("progress", running))
        self._progress = running
        return News(events, *self._looked)

    def _changes(self, before: Head, head: Head, manifest: Manifest) -> Changes | None:
        """What changed since the last look, in one generation or in several; None where that is unknown."""
        if manifest.parent == before.generation:
            return manifest.changes
        try:
            lists = self._store.changes(before.generation, head.generation)
        except ChangesGone:
            return None
        return counted(lists) if lists else None

    def _manifest(self, head: Head) -> Manifest | None:
        try:
            return self._store.inspect(head.generation).manifest
        except CacheError:
            return None

    def tell(self, news: News) -> None:
        """Sends news to all clients."""
        self._standing, self._id = news.standing, news.id
        if news.events:
            self._recent += news.events
            self._count += len(news.events)
            self._wake()

    def close(self) -> None:
        """Ends all streams."""
        self._closing = True
        self._wake()

    def _wake(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.set_result(None)

    def _next_turn(self) -> asyncio.Future[None]:
        """One for all clients that wait."""
        if self._turn is None:
            self._turn = asyncio.get_running_loop().create_future()
        return self._turn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One client, from here to its end, or to that of its key. Raises ParameterInvalid."""
        parameters(Request(scope))
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        seen = self._count
        known = Headers(scope=scope).get("last-event-id")
        await _send(send, _HELLO + (self._standing if known != self._id else b""))
        gone = asyncio.ensure_future(_disconnect(receive))
        try:
            while not self._closing and not gone.done():
                if seen == self._count:
                    await asyncio.wait(
                        (self._next_turn(), gone), timeout=ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED
                    )
                if not scope[HOLDS]():
                    break
                missed = self._count - seen
                if missed > len(self._recent):
                    return  # too far behind: it comes back with its id
                await _send(send, b"".join(list(self._recent)[-missed:]) if missed else _ALIVE)
                seen += missed
            if not gone.done():
                await send({"type": "http.response.body"})
        except TimeoutError:
            return
        finally:
            gone.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, data: bytes) -> None:
    """Raises TimeoutError where the client takes nothing."""
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


def _snapshot(head: Head, manifest: Manifest | None) -> dict[str, Any]:
    return {
        "generation": head.generation,
        "rows": manifest.rows if manifest else None,
        "verified": head.verified,
        "reason": head.reason,
        "verified_at": iso_or_none(head.verified_at),
        "checked_at": iso_or_none(head.checked_at),
        "last_updated_iso": iso_or_none(head.updated_at),
    }


def _event(type: str, values: dict[str, Any], id: str | None = None) -> bytes:
    told = b"id: %s\n" % id.encode() if id else b""
    return b"%sevent: %s\ndata: %s\n\n" % (told, type.encode(), dumps({"type": type, **values}))
