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
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.auth.authentication import HOLDS
from api.contract.json_response import dumps, iso_or_none
from api.contract.parameters import parameters
from api.routes.refresh import progress
from cache.errors import CacheError, ChangesGone
from cache.storage.change_log import counted
from cache.storage.records import Status
from cache.storage.snapshot import ChangeCounts, Head, Manifest
from cache.storage.store import Cache

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

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._head: Head | None = None
        self._progress: dict[str, Any] | None = None
        self._looked = (b"", "")  # the last `snapshot` event and its id, as the watcher knows them
        self._standing, self._id = self._looked  # and as clients are told
        self._recent: deque[bytes] = deque(maxlen=KEPT)
        self._count = 0  # events told so far; the last of `_recent` is number `_count`
        self._clients: set[_Client] = set()
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

    def _changes(self, before: Head, head: Head, manifest: Manifest) -> ChangeCounts | None:
        """What changed since the last look, in one generation or in several; None where that is unknown."""
        if manifest.parent == before.generation:
            return manifest.changes
        try:
            lists = self._cache.snapshots.changes(before.generation, head.generation)
        except ChangesGone:
            return None
        return counted(lists) if lists else None

    def _manifest(self, head: Head) -> Manifest | None:
        try:
            return self._cache.snapshots.inspect(head.generation).manifest
        except CacheError:
            return None

    def tell(self, news: News) -> None:
        """Sends news to all clients."""
        self._standing, self._id = news.standing, news.id
        if news.events:
            self._recent += news.events
            self._count += len(news.events)
            self._wake(self._clients)

    def remind(self) -> None:
        """Tells all clients that they are still served."""
        self._wake(self._clients)

    def close(self) -> None:
        """Ends all streams."""
        self._closing = True
        for client in self._clients:
            client.end()

    def _wake(self, clients: Iterable[_Client]) -> None:
        for client in clients:
            if client.serving is None:
                client.serving = asyncio.create_task(self._serve(client))

    async def _serve(self, client: _Client) -> None:
        """Tells a client what it has missed, or that it is still served; ends it where its key counts no more."""
        try:
            if not client.holds():
                client.end()
                return
            if client.seen == self._count:
                await client.tell(_ALIVE)
            while missed := self._count - client.seen:
                if missed > len(self._recent):
                    raise TimeoutError
                client.seen += missed
                await client.tell(b"".join(list(self._recent)[-missed:]))
        except TimeoutError:
            client.end()  # it may come back with its id
        finally:
            client.serving = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One client, from here to its end, or to that of its key. Raises ParameterInvalid."""
        parameters(Request(scope))
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        client = _Client(send, scope[HOLDS], self._count)
        known = Headers(scope=scope).get("last-event-id")
        try:
            await client.tell(_HELLO + (self._standing if known != self._id else b""))
            await self._attend(client, receive)
        except TimeoutError:
            if client.took_all:
                await send({"type": "http.response.body"})

    async def _attend(self, client: _Client, receive: Receive) -> None:
        """Until the client leaves. Raises TimeoutError where it was ended."""
        try:
            async with client.open:
                self._clients.add(client)
                if self._closing:
                    client.end()
                elif client.seen < self._count:
                    self._wake([client])
                while (await receive())["type"] != "http.disconnect":
                    pass
        finally:
            self._clients.discard(client)
            if client.serving:
                client.serving.cancel()


class _Client:
    """One that listens. It takes a task that waits for its end, and another one while it is told something.

    Parameters: `holds` tells whether its key still counts; `seen`, how many events it has been told, or came after.
    """

    __slots__ = ("_send", "holds", "open", "seen", "serving", "took_all")

    def __init__(self, send: Send, holds: Callable[[], bool], seen: int) -> None:
        self._send = send
        self.holds = holds
        self.seen = seen
        self.took_all = True
        self.open = asyncio.timeout(None)
        self.serving: asyncio.Task[None] | None = None

    async def tell(self, data: bytes) -> None:
        """Raises TimeoutError where the client takes nothing."""
        self.took_all = False
        async with asyncio.timeout(STALLED_SECONDS):
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.took_all = True

    def end(self) -> None:
        with suppress(RuntimeError):  # it is ending
            self.open.reschedule(asyncio.get_running_loop().time())


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
