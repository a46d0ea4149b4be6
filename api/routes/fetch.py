"""`GET /fetch-data`, with all that has to be waited for: refreshes, generations that are not open, scans, and rows
that are written anew because only some columns, another form or another format of them was asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from typing import Any

import numpy as np
import numpy.typing as npt
from isal import isal_zlib
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from api.auth.authentication import ACCESS, Access, access_of
from api.contract.errors import Unfinished
from api.contract.fetch_query import ALL, PREPARED, FetchQuery, read
from api.http.prepared_response import Piece, Ready, ReadyResponse, cut
from api.http.range_files import FileInParts, Files
from api.routes.prepared import (
    END,
    FACET_VALUES,
    More,
    Question,
    Unchanged,
    can_count,
    counted,
    described,
    facets,
    headers_of,
    not_modified,
    place,
    question,
    ready,
)
from api.routes.refresh import ask_automatically, nothing_cached
from api.routes.refresh_stream import Events
from api.routes.snapshot_view import View, Views
from cache.errors import NoSnapshot, UnknownGeneration
from cache.export.pool import ScanPool
from cache.settings import Settings
from cache.storage.store import Cache

GATHERED = 1_000  # picked rows that are put together at once
_FILES = ("xlsx", "parquet")  # formats whose readers want to know the size, or to read here and there

POLLS = 100  # that are remembered
POLLED = (b"if-none-match", b"accept", b"accept-encoding")  # headers that an answer depends on

Rows = npt.NDArray[np.int64]


class Fetch:
    """The endpoint."""

    def __init__(self, cache: Cache, settings: Settings, views: Views, events: Events, scanner: ScanPool) -> None:
        self._cache = cache
        self._settings = settings
        self._views = views
        self._events = events
        self._scanner = scanner
        self._files = Files()

    def close(self) -> None:
        self._files.close()

    def at_hand(self, scope: Scope, headers: Mapping[bytes, bytes]) -> Ready | None:
        """The answer, where nothing has to be waited for. Raises OrdersError."""
        access: Access = scope[ACCESS]
        access.require("read")
        said: bytes = scope["query_string"]
        view = self._views.at_hand()
        # Clients that poll send the same again and again: what is not modified is told without reading it.
        poll = (said, access.masked, *map(headers.get, POLLED))
        if view and (answer := view.polls.get(poll)):
            return answer
        asked = read(said)
        if asked.refresh or asked.stream or asked.wait:
            return None
        if asked.after:
            view = self._views.at_hand(place(asked.after).generation)
        answer = ready(view, asked, headers, access.masked) if view else None
        if view and answer and answer.status == 304 and not asked.after:
            if len(view.polls) >= POLLS:
                view.polls.clear()
            view.polls[poll] = answer
        return answer

    async def get(self, request: Request) -> Response:
        asked = read(request.scope["query_string"])
        access = access_of(request)
        refresh = None
        if asked.refresh or asked.wait:
            access.require("refresh")
        if asked.refresh:
            refresh = await run_in_threadpool(ask_automatically, self._cache, self._settings)
        elif asked.wait:
            await self._refreshed()
        try:
            view = await self._views.get(place(asked.after).generation if asked.after else None)
        except NoSnapshot:
            return await run_in_threadpool(nothing_cached, self._cache, refresh)
        except UnknownGeneration as error:
            raise UnknownGeneration(error.message, "Start again without `after`, from the newest one.") from error
        headers = dict(request.scope["headers"])
        more = {"_info": refresh.info} if refresh else {}
        if asked.stream:
            stream = self._events.stream(
                await self._payload(view, asked, access.masked, more),
                refresh,
                lambda: self._renewed(asked, access.masked),
            )
            return _streamed(request, stream, view, {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        answer = None if more else ready(view, asked, headers, access.masked)
        if answer:
            return ReadyResponse(answer)
        try:
            asking = question(view, asked, headers, access.masked, more)
        except Unchanged as unchanged:
            return ReadyResponse(not_modified(view, unchanged.tag))
        return await self._answer(request, asking, more)

    async def _refreshed(self) -> None:
        """Asks for a refresh and waits for its end. Raises Unfinished, NoWorker."""
        task = await run_in_threadpool(self._cache.runs.request, "api, waiting")
        trouble = await self._events.outcome(task)
        if trouble:
            raise Unfinished(task.id, trouble)

    # -- answers that take time

    async def _answer(self, request: Request, asking: Question, more: More) -> Response:
        headers = {name.decode().title(): value.decode() for name, value in headers_of(asking)}
        if asking.shape.format == "json":
            pieces = await self._json(asking, more)
        else:
            total = await self._total(asking)
            count = min(max(0, total - asking.first), total if asking.asked.limit is None else asking.asked.limit)
            headers["X-Total-Count"] = str(total)
            if following := asking.next(count, total):
                headers["X-Next"] = following
            if asking.shape.format != "ndjson":
                name = f"{asking.view.snapshot.manifest.source.table}.{asking.shape.format}"
                headers["Content-Disposition"] = _attachment(name)
            if asking.shape.format in _FILES:
                headers["Accept-Ranges"] = "bytes"
            if asking.shape.format in _FILES and (request.method == "HEAD" or "range" in request.headers):
                path = await self._files.written(asking.tag, lambda: self._scan(asking))
                return FileInParts(path, headers=headers | dict(asking.view.headers.items))
            pieces = await self._scan(asking)
        if asking.gzip and asking.shape.format not in _FILES:  # these are compressed inside
            headers["Content-Encoding"] = "gzip"
            pieces = _zipped(pieces)
        return _streamed(request, pieces, asking.view, headers | {"Last-Modified": asking.view.last_modified})

    async def _payload(self, view: View, asked: FetchQuery, masked: bool, more: More) -> AsyncIterator[Piece]:
        return await self._json(question(view, asked, {}, masked, more), more)

    async def _renewed(self, asked: FetchQuery, masked: bool) -> AsyncIterator[Piece]:
        return await self._payload(await self._views.get(), asked, masked, {})

    async def _json(self, asking: Question, more: More) -> AsyncIterator[Piece]:
        """A JSON body. What can fail has been done before its first piece."""
        view, asked = asking.view, asking.asked
        more = {**more, **described(asking)}
        if asked.facet:
            more["facets"] = await self._facets(asking)
        limit = 0 if asked.metadata_only else asked.limit
        rows: AsyncIterator[Piece]
        if asking.shape is PREPARED and asking.query is not ALL:
            found, total = await self._find(asking, asking.first, limit)
            count, rows = len(found), _gathered(view, found)
        else:
            total = await self._total(asking)
            start = min(total, asking.first)
            stop = total if limit is None else min(total, start + limit)
            count = stop - start
            if asking.shape is PREPARED:
                rows = _each(cut(view.snapshot.json_slices(start, stop)))
            else:
                rows = await self._scan(asking) if count else _each(())
        return _around(view.prefix(count, total, asking.next(count, total), more), rows, END)

    async def _scan(self, asking: Question) -> AsyncIterator[Piece]:
        return await self._scanner.stream(
            asking.view.generation, asking.query, asking.shape, asking.first, asking.asked.limit
        )

    async def _find(self, asking: Question, first: int, limit: int | None) -> tuple[Rows, int]:
        view, query = asking.view, asking.query
        if view.index.supports(query):
            return await run_in_threadpool(view.index.find, query, first, limit)
        return await self._scanner.find(view.generation, query, first, limit)

    async def _total(self, asking: Question) -> int:
        return asking.view.rows if asking.query is ALL else (await self._find(asking, 0, 0))[1]

    async def _facets(self, asking: Question) -> dict[str, Any]:
        view, query = asking.view, asking.query
        if can_count(asking):
            return await run_in_threadpool(facets, asking)
        return {
            column: counted(await self._scanner.facet(view.generation, query, column, FACET_VALUES))
            for column in asking.asked.facet
        }


def _streamed(request: Request, pieces: AsyncIterator[Piece], view: View, headers: Mapping[str, str]) -> Response:
    headers = dict(view.freshness.items) | dict(headers)
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(pieces, headers=headers)


def _attachment(name: str) -> str:
    safe = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)
    return f'attachment; filename="{safe}"'


async def _each(pieces: Iterable[Piece]) -> AsyncIterator[Piece]:
    for piece in pieces:
        yield piece


async def _gathered(view: View, rows: Rows) -> AsyncIterator[Piece]:
    for start in range(0, len(rows), GATHERED):
        comma = b"," if start else b""
        yield comma + view.snapshot.gather(rows[start : start + GATHERED])


async def _around(head: bytes, pieces: AsyncIterator[Piece], tail: bytes) -> AsyncIterator[Piece]:
    async with aclosing(pieces):  # type: ignore[type-var]
        yield head
        async for piece in pieces:
            yield piece
        yield tail


async def _zipped(pieces: AsyncIterator[Piece]) -> AsyncIterator[Piece]:
    deflate = isal_zlib.compressobj(1, wbits=31)
    async with aclosing(pieces):  # type: ignore[type-var]
        async for piece in pieces:
            if compressed := deflate.compress(piece):
                yield compressed
        yield deflate.flush()
