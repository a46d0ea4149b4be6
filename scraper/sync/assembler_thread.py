"""The thread that assembles segments while the sync waits for the server.

The threads share no state. Steps are queued in the executor. The future of a step returns the segments that the step
completed, or raises its error.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from cache.schema import Column
from cache.storage.snapshot import Segment
from scraper.sync.segment_assembler import AddRows, SegmentAssembler, Step

IN_FLIGHT = 4 << 20  # maximum size of the rows that wait for the thread, in bytes: a limit on memory


class AssemblerThread:
    """A context manager that runs a SegmentAssembler in a thread of its own. Only one thread may call its methods.

    Args:
        assembler: The assembler. From now on only the new thread may use it.
    """

    def __init__(self, assembler: SegmentAssembler) -> None:
        self._assembler = assembler
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="assembler")
        self._pending: deque[tuple[Future[list[Segment]], int]] = deque()  # with the size of the step's rows in bytes
        self._bytes = 0
        self._completed: list[Segment] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for future, _ in self._pending:
            future.cancel()
        closing = self._executor.submit(self._assembler.close)
        self._executor.shutdown()
        if error is None:
            closing.result()

    def put(self, step: Step) -> None:
        """Queues a step; waits while more than IN_FLIGHT bytes of rows are queued.

        Raises:
            Exception: An earlier step raised it in the thread.
        """
        size = step.rows.nbytes if isinstance(step, AddRows) else 0
        while size and self._bytes >= IN_FLIGHT:
            self._collect()
        self.completed()
        self._pending.append((self._executor.submit(self._assembler.apply, step), size))
        self._bytes += size

    def completed(self) -> list[Segment]:
        """Returns the segments that are completed by now, which `finish` will return. Does not wait.

        Raises:
            Exception: A step raised it in the thread.
        """
        while self._pending and self._pending[0][0].done():
            self._collect()
        return list(self._completed)

    def finish(self) -> list[Segment]:
        """Waits until all steps are done.

        Returns:
            The segments completed since the last call, in the order of the steps.

        Raises:
            Exception: A step raised it in the thread.
        """
        while self._pending:
            self._collect()
        completed, self._completed = self._completed, []
        return completed

    def take_outdated(self) -> set[str]:
        """Waits for all earlier steps, and returns the result of `SegmentAssembler.take_outdated`."""
        return self._executor.submit(self._assembler.take_outdated).result()

    def columns(self) -> tuple[Column, ...]:
        """Waits for all earlier steps, and returns the result of `SegmentAssembler.columns`."""
        return self._executor.submit(self._assembler.columns).result()

    def _collect(self) -> None:
        """Waits for the oldest pending step."""
        future, size = self._pending.popleft()
        self._bytes -= size
        self._completed += future.result()
