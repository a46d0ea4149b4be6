"""`GET /fetch-data`, with all that has to be waited for: refreshes, streams, generations that are not open."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.events import Events
from api.gate import ACCESS, access_of
from api.query import FetchQuery, read
from api.ready import Piece, Ready, body, find, place, ready
from api.refresh import ask_automatically, nothing_cached
from api.views import View, Views
from cache.errors import NoSnapshot, UnknownGeneration
from cache.settings import Settings
from cache.store import Store

SLICE = 256 * 1024  # bytes handed to the server at once: what a slow client can hold in memory


class ReadyResponse(Response):
    """Sends a ready answer piece by piece, at the pace of the client."""

    def __init__(self, answer: Ready) -> None:
        self.status_code = answer.status
        self.raw_headers = answer.own + answer.shared.raw
        self.background = None
        self._pieces = answer.pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for piece in cut(self._pieces) if scope["method"] != "HEAD" else ():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def cut(pieces: Iterable[Piece]) -> Iterator[Piece]:
    return (piece[start : start + SLICE] for piece in pieces for start in range(0, len(piece), SLICE))


class Fetch:
    """The endpoint."""

    def __init__(self, store: Store, settings: Settings, views: Views, events: Events) -> None:
        self._store = store
        self._settings = settings
        self._views = views
        self._events = events

    def at_hand(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Ready | None:
        """The answer, where nothing has to be waited for. Raises OrdersError."""
        scope[ACCESS].require("read")
        query = read(scope["query_string"])
        if query.refresh or query.stream:
            return None
        view = self._views.at_hand(place(query.after).generation if query.after else None)
        return ready(view, query, headers, {}) if view else None

    async def get(self, request: Request) -> Response:
        query = read(request.scope["query_string"])
        if query.refresh:
            access_of(request).require("refresh")
        refresh = await run_in_threadpool(ask_automatically, self._store, self._settings) if query.refresh else None
        try:
            view = await self._views.get(place(query.after).generation if query.after else None)
        except NoSnapshot:
            return await run_in_threadpool(nothing_cached, self._store, refresh)
        except UnknownGeneration as error:
            raise UnknownGeneration(error.message, "Start again without `after`, from the newest one.") from error
        more = {"_info": refresh.info} if refresh else {}
        if not query.stream:
            return ReadyResponse(ready(view, query, dict(request.scope["headers"]), more))
        shown = _payload(view, query, more)
        headers = dict(view.freshness.items) | {"X-Accel-Buffering": "no"}  # nginx would hold events back
        if request.method == "HEAD":
            return Response(headers=headers, media_type="text/event-stream")

        async def renewed() -> list[Piece]:
            return _payload(await self._views.get(), query, {})

        stream = self._events.stream(shown, refresh, renewed)
        return StreamingResponse(stream, headers=headers, media_type="text/event-stream")


def _payload(view: View, query: FetchQuery, more: dict[str, Any]) -> list[Piece]:
    return list(cut(body(view, query, find(view, query), more)))
