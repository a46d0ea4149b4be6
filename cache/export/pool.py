"""The pool of worker processes for queries and exports that need DuckDB.

One worker is for queries, at most two are for exports. Keys take turns. A worker writes an export at its own speed into
a spool, which the client reads, so that a slow client holds no worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import numpy as np

from cache.cache_place import CachePlace
from cache.errors import QueryTimeout
from cache.export.processes import WorkerProcess, WorkerProcesses
from cache.export.row_format import RowFormat
from cache.export.slots import Slots
from cache.export.spool import Spool
from cache.query.engine import Matches
from cache.query.filters import Query

QUERY_SECONDS = 10  # for an answer to `find` or `facets`
STALL_SECONDS = 300  # for the next piece of an export: a sort on disk comes before the first one
QUERY_QUEUE_SECONDS = 15  # until a worker is free: longer than the query of another key
EXPORT_QUEUE_SECONDS = 60
QUERY_WORKERS, EXPORT_WORKERS = 1, 2
DOWNLOADS, DOWNLOADS_PER_KEY = 32, 8  # exports that their clients are reading: each may take SPOOL_BYTES of disk space


class ScanPool:
    """Answers what the serving process cannot answer from prepared bytes or the column index.

    It belongs to one event loop.
    """

    def __init__(self, place: CachePlace) -> None:
        """Starts nothing yet.

        Args:
            place: Where the cache is.
        """
        self._processes = WorkerProcesses("scan", place)
        self._query_slots, self._export_slots = Slots(QUERY_WORKERS), Slots(EXPORT_WORKERS)
        self._downloads = Slots(DOWNLOADS, DOWNLOADS_PER_KEY)

    async def find(
        self,
        generation: int,
        query: Query,
        offset: int = 0,
        limit: int | None = None,
        key: str = "",
        since: float | None = None,
    ) -> Matches:
        """Finds a page of the rows that match. The worker keeps the result for the next page.

        Args:
            generation: The generation to answer from.
            query: Which rows, in which order.
            offset: Rows to leave out before the page.
            limit: Rows of the page at most; None: all.
            key: The name of the key that asks. Keys take turns.
            since: When the client's request began to be executed, as in `WorkerProcesses.take`.

        Raises:
            BadFilter: The query does not fit the table.
            UnknownGeneration: The generation is not kept any more.
            QueryRefused: DuckDB cannot run the query.
            QueryTimeout: It took longer than QUERY_SECONDS.
            ScanBusy: No worker was free within QUERY_QUEUE_SECONDS.
            ScanFailed: The worker ended before it had answered.
        """
        data, summary = await self._query("find", generation, query, key, since, offset=offset, limit=limit)
        return Matches(np.frombuffer(data, "<i8"), summary["total"])

    async def facets(
        self,
        generation: int,
        query: Query,
        columns: Sequence[str],
        limit: int,
        key: str = "",
        since: float | None = None,
    ) -> dict[str, list[tuple[Any, int]]]:
        """Counts the values of columns among the rows that match.

        Args:
            generation: The generation to answer from.
            query: Which rows.
            columns: Names of the columns.
            limit: Values of each column at most.
            key: The name of the key that asks.
            since: When the client's request began to be executed, as in `WorkerProcesses.take`.

        Returns:
            For each column values with their counts, as `ColumnIndex.facet` returns them.

        Raises:
            OrdersError: As in `find`.
        """
        _, summary = await self._query("facets", generation, query, key, since, columns=columns, limit=limit)
        return {name: [(value, count) for value, count in values] for name, values in summary["facets"].items()}

    async def stream(
        self,
        generation: int,
        query: Query,
        row_format: RowFormat,
        offset: int = 0,
        limit: int | None = None,
        selection: Mapping[str, Any] | None = None,
        key: str = "",
        since: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """Renders the rows that match.

        Args:
            generation: The generation to answer from.
            query: Which rows, in which order.
            row_format: How they are rendered.
            offset: Rows to leave out at the beginning.
            limit: Rows at most; None: all.
            selection: An `OrderSelection` as JSON types, instead of the query.
            key: The name of the key that asks.
            since: When the client's request began to be executed, as in `WorkerProcesses.take`.

        Returns:
            The rendered bytes in pieces; JSON rows are joined by commas, without brackets. Close the generator
            (contextlib.aclosing) unless you read it to its end.

        Raises:
            TooManyRows: The format does not hold so many rows.
            ScanBusy: No worker was free within EXPORT_QUEUE_SECONDS, or the key has too many downloads open.
            OrdersError: As in `find`. All are raised before the first byte, but for a worker that stalls or ends later,
                and a client that takes its download too slowly.
        """
        more = {"row_format": asdict(row_format), "offset": offset, "limit": limit, "selection": selection}
        pieces = self._download(_request("rows", generation, query, **more), key, since)
        try:
            first = await anext(pieces, b"")
        except BaseException:
            await pieces.aclose()
            raise
        return _chain(first, pieces)

    async def close(self) -> None:
        """Kills every worker."""
        await self._processes.close()

    async def _query(
        self, what: str, generation: int, query: Query, key: str, since: float | None, **more: Any
    ) -> tuple[bytes, dict[str, Any]]:
        """Returns the data of an answer, and its summary."""
        async with self._processes.take(self._query_slots, key, QUERY_QUEUE_SECONDS, since) as worker:
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    await worker.send(_request(what, generation, query, **more))
                    data = bytearray()
                    while (piece := await worker.receive()) is not None:
                        data += piece
            except TimeoutError as error:
                raise QueryTimeout.after(QUERY_SECONDS) from error
            return bytes(data), worker.summary

    async def _download(self, request: Mapping[str, Any], key: str, since: float | None) -> AsyncGenerator[bytes]:
        """The rows, as fast as they are read."""
        async with self._downloads.take(key, EXPORT_QUEUE_SECONDS):
            with Spool() as spool:
                export = asyncio.create_task(self._export(request, key, since, spool))
                try:
                    async for piece in spool.pieces():
                        yield piece
                    await export
                finally:
                    export.cancel()
                    await asyncio.gather(export, return_exceptions=True)

    async def _export(self, request: Mapping[str, Any], key: str, since: float | None, spool: Spool) -> None:
        """Writes the rows into a spool."""
        try:
            async with self._processes.take(self._export_slots, key, EXPORT_QUEUE_SECONDS, since) as worker:
                await worker.send(request)
                while (piece := await _next_piece(worker)) is not None:
                    await spool.write(piece)
        finally:
            spool.complete()


def _request(what: str, generation: int, query: Query, **more: Any) -> Mapping[str, Any]:
    """A ScanRequest, as JSON types."""
    return {"what": what, "generation": generation, "query": query._asdict(), **more}


async def _next_piece(worker: WorkerProcess) -> bytes | None:
    try:
        async with asyncio.timeout(STALL_SECONDS):
            return await worker.receive()
    except TimeoutError as error:
        raise QueryTimeout(f"The engine has sent nothing for {STALL_SECONDS} seconds.") from error


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
