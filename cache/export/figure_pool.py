"""The worker process that computes figures. It keeps the orders open between requests (figure_executor.py)."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from cache.cache_place import CachePlace
from cache.errors import QueryTimeout
from cache.export.figure_request import FigureRequest
from cache.export.processes import WorkerProcess, WorkerProcesses
from cache.export.slots import Slots

QUERY_SECONDS = 20  # for figures, once the orders are open
OPEN_SECONDS = 300  # to read the orders of a generation
QUEUE_SECONDS = 60  # until the worker is free: it may be reading the orders


class FigureAnswer(NamedTuple):
    """What the worker answered.

    Attributes:
        rows: The rows, in the format of the request; JSON rows are joined by commas, without brackets.
        summary: The parts of the response beside them, as JSON types.
    """

    rows: bytes
    summary: dict[str, Any]


class FigurePool:
    """One worker process for figures. It belongs to one event loop."""

    def __init__(self, place: CachePlace) -> None:
        """Starts nothing yet.

        Args:
            place: Where the cache is.
        """
        self._processes = WorkerProcesses("figures", place)
        self._slots = Slots(1)

    async def execute(self, request: FigureRequest, key: str = "") -> FigureAnswer:
        """Computes figures, after the orders have been opened if they were not.

        Args:
            request: The request.
            key: The name of the key that sends it. Keys take turns.

        Raises:
            BadFilter: The query does not fit the table.
            ColumnMasked: The query needs a column that is hidden.
            TooManyRows: There are too many groups, or rows for the format.
            UnknownGeneration: The generation is not kept any more.
            QueryRefused: DuckDB cannot run the query.
            QueryTimeout: It took longer than QUERY_SECONDS.
            ScanBusy: The worker was not free within QUEUE_SECONDS.
            ScanFailed: The worker ended before it had answered.
        """
        async with self._processes.take(self._slots, key, QUEUE_SECONDS) as worker:
            await _answer(worker, request.model_copy(update={"what": "open"}), OPEN_SECONDS)
            return await _answer(worker, request, QUERY_SECONDS)

    async def close(self) -> None:
        """Kills the worker."""
        await self._processes.close()


async def _answer(worker: WorkerProcess, request: FigureRequest, seconds: float) -> FigureAnswer:
    try:
        async with asyncio.timeout(seconds):
            await worker.send(request.model_dump(mode="json"))
            rows = bytearray()
            while (piece := await worker.receive()) is not None:
                rows += piece
    except TimeoutError as error:
        raise QueryTimeout(
            f"The figures took longer than {seconds:g} seconds.",
            "Ask for fewer dimensions, a longer step or a shorter period.",
        ) from error
    return FigureAnswer(bytes(rows), worker.summary)
