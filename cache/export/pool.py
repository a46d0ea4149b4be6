"""The process that scans, as this one asks it: started when it is needed, ended when it has been idle for a minute.

This process loads no engine (see `worker`). A process answers one request after the other. One is kept for
questions, at most two send rows, since a client may take them slowly. An answer that nobody waits for any more, or
that takes too long, is ended with its process; the next request starts a new one.
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

QUESTION_SECONDS = 10  # what a question may take
SILENT_SECONDS = 300  # what rows may keep us waiting: a sort on disk comes before the first one
TURN_SECONDS = 10  # what a request waits for its turn
IDLE_SECONDS = 60
QUESTIONS, SENDERS = 1, 2  # processes
BUFFER_BYTES = 256 * 1024  # of an answer that is not read yet
LENGTH = struct.Struct("<I")
# Arrow and glibc give memory back (mallopt(3)): less is held after a large answer.
_HOLD_LESS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}
ROOT = Path(__file__).resolve().parents[2]


class ScanPool:
    """Asks for what the serving process cannot tell from prepared bytes. Used within one event loop.

    Parameters: `cache_url` is CACHE_URL.
    Every question raises BadFilter, UnknownGeneration, QueryRefused, TooManyRows, QueryTimeout, ScanFailed, ScanBusy.
    """

    def __init__(self, cache_url: str) -> None:
        self._cache_url = cache_url
        self._questions = asyncio.Semaphore(QUESTIONS)
        self._senders = asyncio.Semaphore(SENDERS)
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._endings: set[asyncio.Future[None]] = set()

    async def find(self, generation: int, query: Query, offset: int = 0, limit: int | None = None) -> Matches:
        """Row numbers of a page of what matches; the answer to the last query is remembered for its next page."""
        data, end = await self._ask("find", generation, query, offset=offset, limit=limit)
        return Matches(np.frombuffer(data, "<i8"), end["total"])

    async def facet(self, generation: int, query: Query, column: str, limit: int) -> list[tuple[Any, int]]:
        """Values of a column among the rows that match, and how often each is, as Index.facet tells them."""
        _, end = await self._ask("facet", generation, query, column=column, limit=limit)
        return [(value, rows) for value, rows in end["values"]]

    async def stream(
        self,
        generation: int,
        query: Query,
        row_format: RowFormat,
        offset: int = 0,
        limit: int | None = None,
        selection: Mapping[str, Any] | None = None,
    ) -> AsyncGenerator[bytes]:
        """The rows that match, in a format, as they are rendered; JSON rows are joined by commas, without brackets.

        Parameters: `selection`, as JSON tells it, stands for the query (cache/export/order_selection.py).
        What cannot be answered is raised here, before the first byte. Close the generator (contextlib.aclosing) where
        it is not read to its end.
        """
        pieces = self._pieces(
            generation, query, row_format=asdict(row_format), offset=offset, limit=limit, selection=selection
        )
        try:
            first = await anext(pieces, b"")
        except BaseException:
            await pieces.aclose()
            raise
        return _chained(first, pieces)

    async def close(self) -> None:
        """Ends every process."""
        for process in [*self._all]:
            self._end(process)
        await asyncio.gather(*self._endings)

    # -- asking

    async def _ask(self, what: str, generation: int, query: Query, **more: Any) -> tuple[bytes, dict[str, Any]]:
        async with self._process(self._questions) as process:
            try:
                async with asyncio.timeout(QUESTION_SECONDS):
                    await process.ask({"what": what, "generation": generation, "query": asdict(query), **more})
                    data = bytearray()
                    while (piece := await process.read()) is not None:
                        data += piece
            except TimeoutError as error:
                raise QueryTimeout(f"The query took longer than {QUESTION_SECONDS} seconds.") from error
            return bytes(data), process.summary

    async def _pieces(self, generation: int, query: Query, **more: Any) -> AsyncGenerator[bytes]:
        async with self._process(self._senders) as process:
            await process.ask({"what": "rows", "generation": generation, "query": asdict(query), **more})
            while True:
                try:
                    async with asyncio.timeout(SILENT_SECONDS):
                        piece = await process.read()
                except TimeoutError as error:
                    raise QueryTimeout(f"The engine has sent nothing for {SILENT_SECONDS} seconds.") from error
                if piece is None:
                    return
                yield piece

    # -- processes

    @asynccontextmanager
    async def _process(self, turns: asyncio.Semaphore) -> AsyncIterator[_Process]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await turns.acquire()
        except TimeoutError as error:
            raise ScanBusy("The processes that scan are at work for other requests.") from error
        try:
            process = self._take_idle() or await self._start()
            try:
                yield process
            finally:
                if process.ready:
                    self._idle.append(process)
                    process.timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._end, process)
                else:  # it is still at work, for nobody
                    self._end(process)
        finally:
            turns.release()

    def _take_idle(self) -> _Process | None:
        while self._idle:
            process = self._idle.pop()
            if process.timer:
                process.timer.cancel()
            if process.alive:
                return process
            self._end(process)
        return None

    async def _start(self) -> _Process:
        folder = Path(tempfile.mkdtemp(prefix="orders-scan-"))
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cache.export.worker", self._cache_url, str(folder), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, limit=BUFFER_BYTES, env={**os.environ, **_HOLD_LESS, "PYTHONPATH": path},
        )  # fmt: skip
        process = _Process(child, folder)
        self._all.add(process)
        return process

    def _end(self, process: _Process) -> None:
        self._all.discard(process)
        if process in self._idle:
            self._idle.remove(process)
        ending = asyncio.ensure_future(process.end())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


class _Process:
    """One child. `ready` tells whether it has answered what it was asked, `summary` is how the last answer ended."""

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

    async def ask(self, request: Mapping[str, Any]) -> None:
        self.ready = False
        data = json.dumps(request, default=list).encode()
        try:
            self._stdin.write(LENGTH.pack(len(data)) + data)
            await self._stdin.drain()
        except ConnectionError as error:
            raise _ended() from error

    async def read(self) -> bytes | None:
        """The next piece of the answer; None at its end. Raises what the process says, or ScanFailed."""
        try:
            head = await self._stdout.readexactly(1 + LENGTH.size)
            data = await self._stdout.readexactly(*LENGTH.unpack(head[1:]))
        except asyncio.IncompleteReadError as error:
            raise _ended() from error
        if head[:1] == b"D":
            return data
        self.ready = True
        if head[:1] == b"X":
            raise _said(Trouble.model_validate_json(data))
        self.summary = json.loads(data)
        return None

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            self._child.kill()
        await self._child.communicate()  # closes its pipes too
        shutil.rmtree(self._folder, ignore_errors=True)


def _ended() -> ScanFailed:
    return ScanFailed("The process that scans ended before it had answered.")


def _said(trouble: Trouble) -> OrdersError:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, OrdersError)]
    kind = next((kind for kind in kinds if kind.code == trouble.code), ScanFailed)
    return kind(trouble.message, trouble.advice)


async def _chained(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    async with aclosing(rest):
        if first:
            yield first
        async for piece in rest:
            yield piece
