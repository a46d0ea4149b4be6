"""Executes any plan, as a stream: queries that need a scan, rows in another format, files, events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial

import numpy as np
import numpy.typing as npt
from anyio import CapacityLimiter
from isal import isal_zlib
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.contract.queries.fetch_query import ALL_ROWS, PUBLISHED_FORMAT
from api.http.compute_threads import compute_in_thread
from api.http.prepared_response import SLICE, Chunk
from api.http.range_files import RangeFiles, RangeResponse
from api.routes.refresh_stream import Payload
from api.routes.request_plan import MAX_FACET_VALUES, Facets, Page, RequestPlan
from api.routes.snapshot_view import BODY_END, SnapshotView
from cache.export.pool import ScanPool
from cache.export.row_format import FileFormat
from cache.query.budget import THREAD_SECONDS, Budget

GATHERED_ROWS = 1_000  # rows of a query that are put together at once, at most
_UNCOMPRESSED: tuple[FileFormat, ...] = ("xlsx", "parquet", "sqlite")  # compressed themselves, or read in parts

RowNumbers = npt.NDArray[np.int64]


class StreamedExecutor:
    """Executes plans.

    Args:
        pool: Runs the queries that the index of a view cannot answer.
        threads: Bounds how many threads answer from the index at once.
    """

    def __init__(self, pool: ScanPool, threads: CapacityLimiter) -> None:
        self._pool = pool
        self._files = RangeFiles()
        self._threads = threads

    def close(self) -> None:
        """Deletes the files."""
        self._files.close()

    async def respond(self, request: Request, plan: RequestPlan) -> Response:
        """The response to a request.

        Raises:
            OrdersError: The query cannot be run.
        """
        format = plan.row_format.format
        if format == "json":
            page, body = await self.json_body(plan)
            headers = _as_text(plan.headers(page))
        else:
            page = plan.page(await self._total(plan))
            headers = {**_as_text(plan.headers(page)), **self._file_headers(plan, page)}
            # Readers of files ask for the size, then for byte ranges. A database is complete before its first byte.
            as_file = request.method == "HEAD" or "range" in request.headers or format == "sqlite"
            if as_file and not self._is_gzipped(plan):
                path = await self._files.get(plan.etag, lambda: self._scan(plan))
                return RangeResponse(path, headers=headers | dict(plan.view.headers.items))
            body = await self._scan(plan)
        if self._is_gzipped(plan):
            headers["Content-Encoding"] = "gzip"
            body = _gzipped(body)
        return stream_response(request, body, plan.view, headers | {"Last-Modified": plan.view.last_modified})

    async def json_body(self, plan: RequestPlan) -> tuple[Page, AsyncIterator[Chunk]]:
        """The page, and the JSON body. Whatever can fail has been done before its first chunk.

        Raises:
            OrdersError: The query cannot be run.
        """
        view = plan.view
        facets = await self._facets(plan) if plan.parameters.facet else {}
        rows: AsyncIterator[Chunk]
        if plan.row_format is PUBLISHED_FORMAT and plan.query is not ALL_ROWS:
            numbers, total = await self._find(plan, plan.first, plan.limit)
            view.snapshot.require(numbers)
            page, rows = plan.page(total), await _begun(_gather(view, numbers))
        else:
            page = plan.page(await self._total(plan))
            if plan.row_format is PUBLISHED_FORMAT:
                view.snapshot.require(range(page.start, page.stop))
                rows = await _begun(_iterate(view.snapshot.read_json(page.start, page.stop)))
            else:
                rows = await self._scan(plan) if page.row_count else _iterate(())
        return page, _enclose(plan.body_head(page, facets), rows, BODY_END)

    async def chunked_payload(self, plan: RequestPlan) -> Payload:
        """The JSON body without rows, and its rows.

        Raises:
            OrdersError: The query cannot be run.
        """
        facets = await self._facets(plan) if plan.parameters.facet else {}
        page = plan.page(await self._total(plan))
        lines = replace(plan, row_format=replace(plan.row_format, format="ndjson"))
        rows = await self._scan(lines) if page.row_count else None
        return Payload(_iterate([plan.body_head(page, facets, rows_follow=True), BODY_END]), rows)

    def _file_headers(self, plan: RequestPlan, page: Page) -> Mapping[str, str]:
        """The headers of a body that is not JSON."""
        headers = {"X-Total-Count": str(page.total)}
        if page.next:
            headers["X-Next"] = page.next
        if plan.row_format.format != "ndjson":
            name = f"{plan.view.snapshot.manifest.source.table}.{plan.row_format.format}"
            headers["Content-Disposition"] = f'attachment; filename="{_safe_file_name(name)}"'
        if not self._is_gzipped(plan):
            headers["Accept-Ranges"] = "bytes"
        return headers

    @staticmethod
    def _is_gzipped(plan: RequestPlan) -> bool:
        return plan.gzip and plan.row_format.format not in _UNCOMPRESSED

    async def _scan(self, plan: RequestPlan) -> AsyncIterator[Chunk]:
        view = plan.view
        return await self._pool.stream(
            view.generation, plan.query, plan.row_format, plan.first, plan.limit, key=plan.key, since=plan.since
        )

    async def _find(self, plan: RequestPlan, first: int, limit: int | None) -> tuple[RowNumbers, int]:
        view, query = plan.view, plan.query
        find = partial(view.index.find, query, first, limit, Budget(THREAD_SECONDS))
        try:
            return await compute_in_thread(find, limiter=self._threads)
        except LookupError:  # the index does not have it, or the budget is spent
            return await self._pool.find(view.generation, query, first, limit, plan.key, plan.since)

    async def _total(self, plan: RequestPlan) -> int:
        return plan.view.rows if plan.query is ALL_ROWS else (await self._find(plan, 0, 0))[1]

    async def _facets(self, plan: RequestPlan) -> Facets:
        try:
            return await compute_in_thread(plan.facets, Budget(THREAD_SECONDS), limiter=self._threads)
        except LookupError:
            return await self._pool.facets(
                plan.view.generation, plan.query, plan.parameters.facet, MAX_FACET_VALUES, plan.key, plan.since
            )


def _as_text(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().title(): value.decode() for name, value in headers}


def stream_response(
    request: Request, body: AsyncIterator[Chunk], view: SnapshotView, headers: Mapping[str, str]
) -> Response:
    """A response with the headers of a view and a body that comes chunk by chunk; to HEAD, the headers only.

    The length of the body is not known, so a response to HEAD names none.
    """
    headers = dict(view.freshness.items) | dict(headers)
    return StreamingResponse(_iterate(()) if request.method == "HEAD" else body, headers=headers)


def _safe_file_name(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name)


async def _begun(chunks: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    """The chunks, the first of which is read now: if that fails, the response is an error."""
    return _joined(await anext(chunks, b""), chunks)


async def _joined(first: Chunk, rest: AsyncGenerator[Chunk]) -> AsyncGenerator[Chunk]:
    async with aclosing(rest):
        yield first
        async for chunk in rest:
            yield chunk


async def _iterate(chunks: Iterable[Chunk]) -> AsyncGenerator[Chunk]:
    for chunk in chunks:
        yield chunk


async def _gather(view: SnapshotView, rows: RowNumbers) -> AsyncGenerator[Chunk]:
    step = min(GATHERED_ROWS, SLICE // view.mean_row_bytes + 1)
    for start in range(0, len(rows), step):
        comma = b"," if start else b""
        yield comma + view.snapshot.gather(rows[start : start + step])
        await asyncio.sleep(0)  # other requests have their turn, also where the client takes all at once


async def _enclose(head: bytes, chunks: AsyncIterator[Chunk], end: bytes) -> AsyncIterator[Chunk]:
    async with aclosing(chunks):  # type: ignore[type-var]
        yield head
        async for chunk in chunks:
            yield chunk
        yield end


async def _gzipped(chunks: AsyncIterator[Chunk]) -> AsyncIterator[Chunk]:
    compressor = isal_zlib.compressobj(1, wbits=31)
    async with aclosing(chunks):  # type: ignore[type-var]
        async for chunk in chunks:
            if compressed := compressor.compress(chunk):
                yield compressed
        yield compressor.flush()
