"""`GET /events`: server-sent events about the cache. Each event is encoded once, for all clients.

    snapshot   a generation was published or verified again
    changes    how many rows it changed
    progress   how far a sync is

A `snapshot` has an id. A client that connects again with that id in `Last-Event-ID` gets the newest `snapshot` only if
it is another one, whichever process sent the first. A client without an id gets it at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from api.auth.authentication import admission_of
from api.contract.event_models import ChangesEvent, ProgressEvent, SnapshotEvent
from api.contract.json_response import dump_model
from api.contract.queries.parameters import read_parameters
from api.contract.response_models import Body
from api.http.event_stream import EVENT_STREAM_TYPE, KEEPALIVE, OPENING_COMMENT
from cache.errors import CacheError, ChangesGone
from cache.storage.change_log import count_net
from cache.storage.records import Status
from cache.storage.snapshot import ChangeCounts, Head, Manifest
from cache.storage.store import Cache

STALLED_SECONDS = 10  # a client that takes nothing for so long is disconnected
MAX_LAG = 200  # events that a client may lag behind

_HEADERS = [
    (b"content-type", EVENT_STREAM_TYPE.encode()),
    (b"cache-control", b"private, no-cache"),
    (b"x-accel-buffering", b"no"),
]
_OPENING = b"retry: 2000\n" + OPENING_COMMENT


class FeedUpdate(NamedTuple):
    """The events since the last poll, and the newest `snapshot` event with its id."""

    events: list[bytes]
    snapshot: bytes
    snapshot_id: str


class EventFeed:
    """All clients of `/events`. It is an ASGI application.

    `poll` runs in the thread of the CacheWatcher, everything else in the event loop.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._head: Head | None = None
        self._progress: ProgressEvent | None = None
        self._polled = (b"", "")  # the newest `snapshot` event and its id, in the thread that polls
        self._snapshot, self._snapshot_id = self._polled  # and in the event loop
        self._recent: deque[bytes] = deque(maxlen=MAX_LAG)
        self._count = 0  # events so far; the last of `_recent` has this number
        self._clients: set[_Client] = set()
        self._closing = False

    def poll(self, status: Status) -> FeedUpdate:
        """Compares the state of the cache with that of the last call."""
        events: list[bytes] = []
        head, before = status.head, self._head
        if head is not None and head != before:
            manifest = self._manifest(head)
            id = f"{head.generation}-{int(head.updated_at.timestamp() * 1000)}"
            snapshot = _event(SnapshotEvent.of(head, manifest.rows if manifest else None), "snapshot", id)
            events.append(snapshot)
            counts = self._changes(before, head, manifest) if manifest and before else None
            if before and counts:
                event = ChangesEvent.of(counts, type="changes", generation=head.generation, since=before.generation)
                events.append(_event(event, "changes"))
            self._head, self._polled = head, (snapshot, id)
        progress = ProgressEvent.of(status.running, type="progress") if status.running else None
        if progress is not None and progress != self._progress:
            events.append(_event(progress, "progress"))
        self._progress = progress
        return FeedUpdate(events, *self._polled)

    def _changes(self, before: Head, head: Head, manifest: Manifest) -> ChangeCounts | None:
        """What changed since the last poll, in one generation or several; None if that is not known."""
        if manifest.parent == before.generation:
            return manifest.changes
        try:
            lists = self._cache.snapshots.changes(before.generation, head.generation)
        except ChangesGone:
            return None
        return count_net(lists) if lists else None

    def _manifest(self, head: Head) -> Manifest | None:
        try:
            return self._cache.snapshots.inspect(head.generation).manifest
        except CacheError:
            return None

    def send(self, update: FeedUpdate) -> None:
        """Sends an update to all clients."""
        self._snapshot, self._snapshot_id = update.snapshot, update.snapshot_id
        if update.events:
            self._recent += update.events
            self._count += len(update.events)
            self._wake(self._clients)

    def send_keepalives(self) -> None:
        """Sends a comment line to all clients."""
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
        """Sends what a client has missed, or a comment line. Ends the stream if the key is no longer valid."""
        try:
            if not client.is_valid():
                client.end()
                return
            if client.seen == self._count:
                await client.send(KEEPALIVE)
            while missed := self._count - client.seen:
                if missed > len(self._recent):
                    raise TimeoutError
                client.seen += missed
                await client.send(b"".join(list(self._recent)[-missed:]))
        except TimeoutError:
            client.end()  # it may come back with its id
        finally:
            client.serving = None

    async def check(self, request: Request) -> None:
        """Checks the query of a request.

        Raises:
            ParameterInvalid: A parameter was given.
        """
        read_parameters(admission_of(request).query, request.scope["path"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one client, until it leaves or its key is no longer valid.

        Raises:
            ParameterInvalid: A parameter was given.
        """
        request = Request(scope)
        await self.check(request)
        admission = admission_of(request)
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body"})
            return
        client = _Client(send, admission.is_valid, self._count)
        last_id = Headers(scope=scope).get("last-event-id")
        try:
            await client.send(_OPENING + (self._snapshot if last_id != self._snapshot_id else b""))
            await self._attend(client, receive)
        except TimeoutError:
            if client.took_all:
                await send({"type": "http.response.body"})

    async def _attend(self, client: _Client, receive: Receive) -> None:
        """Waits until the client leaves. Raises TimeoutError if its stream was ended."""
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
    """One client. It takes a task that waits for its end, and another one while it is sent something.

    Args:
        send: Sends to it.
        is_valid: Whether its key is still valid.
        seen: How many events it has been sent, or came after.
    """

    __slots__ = ("_send", "is_valid", "open", "seen", "serving", "took_all")

    def __init__(self, send: Send, is_valid: Callable[[], bool], seen: int) -> None:
        self._send = send
        self.is_valid = is_valid
        self.seen = seen
        self.took_all = True
        self.open = asyncio.timeout(None)
        self.serving: asyncio.Task[None] | None = None

    async def send(self, data: bytes) -> None:
        """Sends bytes. Raises TimeoutError if the client takes nothing."""
        self.took_all = False
        async with asyncio.timeout(STALLED_SECONDS):
            await self._send({"type": "http.response.body", "body": data, "more_body": True})
        self.took_all = True

    def end(self) -> None:
        """Ends the stream."""
        with suppress(RuntimeError):  # it is ending already
            self.open.reschedule(asyncio.get_running_loop().time())


def _event(event: Body, type: str, id: str | None = None) -> bytes:
    id_line = b"id: %s\n" % id.encode() if id else b""
    return b"%sevent: %s\ndata: %s\n\n" % (id_line, type.encode(), dump_model(event))
