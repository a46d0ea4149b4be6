"""The pool of worker processes for queries and exports that need DuckDB.

This process loads no engine (cache/export/worker.py does). A worker answers one request after the other. One worker is
for queries, at most two are for exports, since a client may read an export slowly. A worker starts when it is needed,
and ends after a minute without work. When a client goes away or an answer takes too long, its worker is killed; the
next request starts a new one.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from cache import errors
from cache.errors import OrdersError, QueryTimeout, ScanBusy, ScanFailed, Trouble
from cache.export.row_format import RowFormat
from cache.query.engine import Matches
from cache.query.filters import Query

QUERY_SECONDS = 10  # for an answer to `find` or `facet`
STALL_SECONDS = 300  # for the next piece of an export: a sort on disk comes before the first one
QUEUE_SECONDS = 10  # until a worker is free
IDLE_SECONDS = 60
QUERY_WORKERS, EXPORT_WORKERS = 1, 2
BUFFER_BYTES = 256 * 1024  # of an answer that is not read yet
LENGTH = struct.Struct("<I")
# Arrow and glibc return memory earlier (mallopt(3)): less is held after a large answer.
_SMALL_FOOTPRINT = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}
_CHECKOUT = Path(__file__).resolve().parents[2]


class ScanPool:
    """Answers what the serving process cannot answer from prepared bytes or the column index.

    It belongs to one event loop.
    """

    def __init__(self, cache_url: str, kept: Path) -> None:
        """Starts nothing yet.

        Args:
            cache_url: The setting CACHE_URL.
            kept: `Settings.kept_dir`.
        """
        self._cache = (cache_url, str(kept))
        self._query_slots = asyncio.Semaphore(QUERY_WORKERS)
        self._export_slots = asyncio.Semaphore(EXPORT_WORKERS)
        self._idle: list[_Worker] = []
        self._all: set[_Worker] = set()
        self._endings: set[asyncio.Future[None]] = set()

    async def find(self, generation: int, query: Query, offset: int = 0, limit: int | None = None) -> Matches:
        """Finds a page of the rows that match. The worker keeps the result for the next page.

        Args:
            generation: The generation to answer from.
            query: Which rows, in which order.
            offset: Rows to leave out before the page.
            limit: Rows of the page at most; None: all.

        Raises:
            BadFilter: The query does not fit the table.
            UnknownGeneration: The generation is not kept any more.
            QueryRefused: DuckDB cannot run the query.
            QueryTimeout: It took longer than QUERY_SECONDS.
            ScanBusy: No worker was free within QUEUE_SECONDS.
            ScanFailed: The worker ended before it had answered.
        """
        data, summary = await self._query("find", generation, query, offset=offset, limit=limit)
        return Matches(np.frombuffer(data, "<i8"), summary["total"])

    async def facet(self, generation: int, query: Query, column: str, limit: int) -> list[tuple[Any, int]]:
        """Counts the values of a column among the rows that match.

        Args:
            generation: The generation to answer from.
            query: Which rows.
            column: Name of the column.
            limit: Values at most.

        Returns:
            Values with their counts, as `ColumnIndex.facet` returns them.

        Raises:
            OrdersError: As in `find`.
        """
        _, summary = await self._query("facet", generation, query, column=column, limit=limit)
        return [(value, count) for value, count in summary["values"]]

    async def stream(
        self,
        generation: int,
        query: Query,
        row_format: RowFormat,
        offset: int = 0,
        limit: int | None = None,
        selection: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[bytes]:
        """Renders the rows that match.

        Args:
            generation: The generation to answer from.
            query: Which rows, in which order.
            row_format: How they are rendered.
            offset: Rows to leave out at the beginning.
            limit: Rows at most; None: all.
            selection: An `OrderSelection` as JSON types, instead of the query.

        Returns:
            The rendered bytes in pieces; JSON rows are joined by commas, without brackets. Close the generator
            (contextlib.aclosing) unless you read it to its end.

        Raises:
            TooManyRows: The format does not hold so many rows.
            OrdersError: As in `find`. All are raised before the first byte, but for a worker that stalls or ends later.
        """
        request = {"row_format": asdict(row_format), "offset": offset, "limit": limit, "selection": selection}
        pieces = self._export(generation, query, **request)
        try:
            first = await anext(pieces, b"")
        except BaseException:
            await pieces.aclose()
            raise
        return _chain(first, pieces)

    async def close(self) -> None:
        """Kills every worker."""
        for worker in [*self._all]:
            self._end(worker)
        await asyncio.gather(*self._endings)

    async def _query(self, what: str, generation: int, query: Query, **more: Any) -> tuple[bytes, dict[str, Any]]:
        """Returns the data of an answer, and its summary."""
        async with self._worker(self._query_slots) as worker:
            try:
                async with asyncio.timeout(QUERY_SECONDS):
                    await worker.send({"what": what, "generation": generation, "query": query._asdict(), **more})
                    data = bytearray()
                    while (piece := await worker.receive()) is not None:
                        data += piece
            except TimeoutError as error:
                raise QueryTimeout.after(QUERY_SECONDS) from error
            return bytes(data), worker.summary

    async def _export(self, generation: int, query: Query, **more: Any) -> AsyncGenerator[bytes]:
        async with self._worker(self._export_slots) as worker:
            await worker.send({"what": "rows", "generation": generation, "query": query._asdict(), **more})
            while True:
                try:
                    async with asyncio.timeout(STALL_SECONDS):
                        piece = await worker.receive()
                except TimeoutError as error:
                    raise QueryTimeout(f"The engine has sent nothing for {STALL_SECONDS} seconds.") from error
                if piece is None:
                    return
                yield piece

    @asynccontextmanager
    async def _worker(self, slots: asyncio.Semaphore) -> AsyncIterator[_Worker]:
        try:
            async with asyncio.timeout(QUEUE_SECONDS):
                await slots.acquire()
        except TimeoutError as error:
            raise ScanBusy() from error
        try:
            worker = self._take_idle() or await self._start()
            try:
                yield worker
            finally:
                if worker.ready:
                    self._idle.append(worker)
                    worker.timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end, worker)
                else:  # nobody waits for its answer any more
                    self._end(worker)
        finally:
            slots.release()

    def _take_idle(self) -> _Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.timer:
                worker.timer.cancel()
            if worker.alive:
                return worker
            self._end(worker)
        return None

    async def _start(self) -> _Worker:
        folder = Path(tempfile.mkdtemp(prefix="orders-scan-"))
        path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cache.export.worker", *self._cache, str(folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=BUFFER_BYTES,
            env={**os.environ, **_SMALL_FOOTPRINT, "PYTHONPATH": path},
        )
        worker = _Worker(child, folder)
        self._all.add(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        self._all.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        ending = asyncio.ensure_future(worker.kill())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


class _Worker:
    """A worker process.

    Attributes:
        ready: Whether it has answered its last request.
        summary: How its last answer ended.
        timer: Ends it after IDLE_SECONDS.
    """

    def __init__(self, child: asyncio.subprocess.Process, folder: Path) -> None:
        assert child.stdin is not None
        assert child.stdout is not None
        self._child, self._stdin, self._stdout = child, child.stdin, child.stdout
        self._folder = folder
        self.ready = True
        self.summary: dict[str, Any] = {}
        self.timer: asyncio.TimerHandle | None = None

    @property
    def alive(self) -> bool:
        return self._child.returncode is None

    async def send(self, request: Mapping[str, Any]) -> None:
        self.ready = False
        data = json.dumps(request, default=list).encode()
        try:
            self._stdin.write(LENGTH.pack(len(data)) + data)
            await self._stdin.drain()
        except ConnectionError as error:
            raise _worker_ended() from error

    async def receive(self) -> bytes | None:
        """The next piece of the answer; None at its end. Raises the worker's error, or ScanFailed."""
        try:
            head = await self._stdout.readexactly(1 + LENGTH.size)
            data = await self._stdout.readexactly(*LENGTH.unpack(head[1:]))
        except asyncio.IncompleteReadError as error:
            raise _worker_ended() from error
        if head[:1] == b"D":
            return data
        self.ready = True
        if head[:1] == b"X":
            raise _error_of(Trouble.model_validate_json(data))
        self.summary = json.loads(data)
        return None

    async def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()
        await self._child.communicate()  # closes its pipes too
        shutil.rmtree(self._folder, ignore_errors=True)


def _worker_ended() -> ScanFailed:
    return ScanFailed()


def _error_of(trouble: Trouble) -> OrdersError:
    """The error that a worker has described."""
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, OrdersError)]
    error_class = next((each for each in classes if each.code == trouble.code), ScanFailed)
    return error_class(trouble.message, trouble.advice)


async def _chain(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
