"""`GET /fetch-data`: the rows, as bytes that were prepared when the generation was published.

A body is a short head, the slices of the mapped rows, and two closing brackets; no row is parsed or copied here.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from functools import cached_property

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.answers import ctime, dumps, http_date, iso, iso_or_none
from api.events import Events
from api.gate import access_of
from api.parameters import flags
from api.refresh import ask_automatically, nothing_cached
from cache.errors import NoSnapshot
from cache.settings import Settings
from cache.snapshot import Head, Snapshot
from cache.store import Store

SLICE = 256 * 1024  # bytes handed to the server at once: what a slow client can hold in memory

Piece = bytes | memoryview


class View:
    """A generation as it is answered. Parameters: `snapshot`, opened; its head says how fresh it is."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.head = snapshot.head
        self._slices = [part[i : i + SLICE] for part in snapshot.json_slices() for i in range(0, len(part), SLICE)]
        self.last_modified = http_date(self.head.updated_at)

    def body(self, info: str | None = None) -> list[Piece]:
        """The answer in pieces; `info` becomes its `_info`."""
        return [self._prefix if info is None else self._make_prefix(info), *self._slices, b"]}"]

    def headers(self, body: list[Piece]) -> dict[str, str]:
        """Headers of an answer with this body. Its tag covers all it says: the rows are told by generation and head."""
        said = self._identity + bytes(body[0])
        return {
            "ETag": f'"{self.snapshot.generation}-{hashlib.sha256(said).hexdigest()[:16]}"',
            "Last-Modified": self.last_modified,
            **self.freshness,
        }

    @property
    def freshness(self) -> dict[str, str]:
        return {
            "X-Generation": str(self.snapshot.generation),
            "X-Verified": str(self.head.verified).lower(),
            "Cache-Control": "private, no-cache",
            "Vary": "X-API-Key, Authorization",
        }

    @cached_property
    def _identity(self) -> bytes:
        return f"{self.snapshot.manifest.created_at.isoformat()} {self.head.model_dump_json()}".encode()

    @cached_property
    def _prefix(self) -> bytes:
        return self._make_prefix(None)

    def _make_prefix(self, info: str | None) -> bytes:
        head = {
            "status": "success",
            "count": self.snapshot.rows,
            "last_updated": ctime(self.head.updated_at),
            **({} if info is None else {"_info": info}),
            "last_updated_iso": iso(self.head.updated_at),
            "generation": self.snapshot.generation,
            "verified": self.head.verified,
            **({} if self.head.verified else {"reason": self.head.reason}),
            "verified_at": iso_or_none(self.head.verified_at),
            "checked_at": iso_or_none(self.head.checked_at),
            "total_count": self.snapshot.rows,
            "next": None,
        }
        return dumps(head)[:-1] + b', "data": ['


class Latest:
    """The newest view, held open between requests and opened again when the pointer moves.

    Older views live on while answers from them are being sent.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._opening = asyncio.Lock()
        self._pointer: Head | None = None  # where the store pointed when the view was opened
        self._view: View | None = None

    async def get(self) -> View:
        """Raises NoSnapshot, SnapshotDamaged."""
        pointer = self._store.head()  # reads a small file
        if self._view is None or pointer != self._pointer:
            async with self._opening:
                if self._view is None or pointer != self._pointer:
                    self._view = await run_in_threadpool(lambda: View(self._store.open()))
                    self._pointer = pointer
        return self._view


class RowsResponse(Response):
    """Sends a body piece by piece, at the pace of the client."""

    media_type = "application/json"

    def __init__(self, body: list[Piece], headers: Mapping[str, str]) -> None:
        self._pieces = body
        super().__init__(headers={**headers, "Content-Length": str(sum(map(len, body)))})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        pieces = [b""] if scope["method"] == "HEAD" else self._pieces
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1], "more_body": False})


class Fetch:
    """The endpoint."""

    def __init__(self, store: Store, settings: Settings, latest: Latest, events: Events) -> None:
        self._store = store
        self._settings = settings
        self._latest = latest
        self._events = events

    async def get(self, request: Request) -> Response:
        asked = flags(request, "refresh", "stream")
        if asked["refresh"]:
            access_of(request).require("refresh")
        refresh = await run_in_threadpool(ask_automatically, self._store, self._settings) if asked["refresh"] else None
        try:
            view = await self._latest.get()
        except NoSnapshot:
            return await run_in_threadpool(nothing_cached, self._store, refresh)
        body = view.body(refresh.info if refresh else None)
        if asked["stream"]:
            headers = {**view.freshness, "X-Accel-Buffering": "no"}  # nginx would hold events back
            if request.method == "HEAD":
                return Response(headers=headers, media_type="text/event-stream")
            stream = self._events.stream(body, refresh, self._renewed)
            return StreamingResponse(stream, headers=headers, media_type="text/event-stream")
        headers = view.headers(body)
        if _matches(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return RowsResponse(body, headers)

    async def _renewed(self) -> list[Piece]:
        return (await self._latest.get()).body()


def _matches(tags: str | None, tag: str) -> bool:
    """`If-None-Match`: `*`, or a list of tags, weak ones too (RFC 9110, weak comparison)."""
    if tags is None:
        return False
    return tags.strip() == "*" or tag in {each.strip().removeprefix("W/") for each in tags.split(",")}
