"""Worker processes: how they are started, sent requests, and ended.

The serving process loads no engine; its workers do (cache/export/worker.py). A worker answers one request after the
other. It starts when it is needed, and ends after a minute without work. When a client goes away or an answer takes too
long, its worker is killed; the next request starts a new one. Where memory is short, there is one worker at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, ClassVar, Literal
from weakref import WeakKeyDictionary

from cache import errors
from cache.cache_place import CachePlace
from cache.child_environment import child_environment
from cache.errors import OrdersError, ScanBusy, ScanFailed, Trouble
from cache.export.slots import Slots
from cache.machine.memory import SMALL_FOOTPRINT, is_small
from cache.machine.memory_turns import MemoryTurns
from cache.temporary_folders import make_folder

IDLE_SECONDS = 60
BUFFER_BYTES = 256 * 1024  # of an answer that is not read yet
LENGTH = struct.Struct("<I")
TURN_SECONDS = 60  # for a slot and a turn, where the worker processes of all kinds take turns
LOOK_SECONDS = 0.25  # between two looks whether a sync runs, there
_SYNC_RUNS = "A sync runs, and there is too little memory for a query beside it."
_CHECKOUT = Path(__file__).resolve().parents[2]

Work = Literal["scan", "figures"]
"""What a worker process does."""


class WorkerProcesses:
    """The worker processes for one kind of work. They belong to one event loop."""

    def __init__(self, work: Work, place: CachePlace) -> None:
        """Starts nothing yet.

        Args:
            work: What the processes do.
            place: Where the cache is.
        """
        self._work = work
        self._place = place
        self._turns = MemoryTurns(place.folder) if is_small() else None
        self._idle: list[WorkerProcess] = []
        self._all: set[WorkerProcess] = set()
        self._endings: set[asyncio.Future[None]] = set()

    async def close(self) -> None:
        """Kills every worker."""
        for worker in [*self._all]:
            self._end(worker)
        await asyncio.gather(*self._endings)

    @asynccontextmanager
    async def take(
        self, slots: Slots, key: str, seconds: float, since: float | None = None
    ) -> AsyncIterator[WorkerProcess]:
        """A worker for one or more requests, one after the other; it is killed if it has not answered the last one.

        Args:
            slots: Bounds how many workers of its kind are taken.
            key: The name of the key that sends the request.
            seconds: How long to wait for a slot; on a small machine, TURN_SECONDS for that and its turn.
            since: When the execution of a client's request began, which may take workers more than once, as
                `time.monotonic` tells it. On a small machine, all its waiting together ends after TURN_SECONDS.

        Raises:
            ScanBusy: It waited for so long.
        """
        turn: AbstractAsyncContextManager[None] = nullcontext()
        if self._turns:
            seconds = TURN_SECONDS - (0 if since is None else time.monotonic() - since)
            turn = _Turns.of_this_loop().take(self, self._turns, asyncio.get_running_loop().time() + seconds)
        async with slots.take(key, seconds), turn:
            worker = self._take_idle() or await self._start()
            try:
                yield worker
            finally:
                if worker.ready:
                    self._idle.append(worker)
                    self._rest(worker, asyncio.get_running_loop().time() + IDLE_SECONDS)
                else:  # nobody waits for its answer any more
                    self._end(worker)

    async def end_idle(self) -> None:
        """Kills the workers that wait for work."""
        for worker in [*self._idle]:
            self._end(worker)
        await asyncio.gather(*self._endings)

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.timer:
                worker.timer.cancel()
            if worker.alive:
                return worker
            self._end(worker)
        return None

    async def _start(self) -> WorkerProcess:
        folder = make_folder("export")
        path = os.pathsep.join(filter(None, (str(_CHECKOUT), os.environ.get("PYTHONPATH"))))
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cache.export.worker", self._work, str(folder)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=BUFFER_BYTES,
            env=child_environment(**SMALL_FOOTPRINT, PYTHONPATH=path),
        )
        worker = WorkerProcess(child, folder)
        self._all.add(worker)
        worker.tell(self._place.model_dump_json().encode())  # not as an argument: other users see those
        return worker

    def _rest(self, worker: WorkerProcess, until: float) -> None:
        """Ends an idle worker at a time of the loop's clock; where memory is short, also once a sync runs."""
        loop = asyncio.get_running_loop()
        left = until - loop.time()
        if left <= 0 or (self._turns and self._turns.sync_runs()):
            self._end(worker)
        else:
            worker.timer = loop.call_later(min(left, LOOK_SECONDS) if self._turns else left, self._rest, worker, until)

    def _end(self, worker: WorkerProcess) -> None:
        if worker not in self._all:
            return  # `close` has killed it while it was taken
        self._all.remove(worker)
        if worker.timer:
            worker.timer.cancel()
        if worker in self._idle:
            self._idle.remove(worker)
        ending = asyncio.ensure_future(worker.kill())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


class _Turns:
    """On a small machine, the worker processes of an event loop take turns, whatever they do: only one is there."""

    _of_loops: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(1)
        self._last: WorkerProcesses | None = None

    @classmethod
    def of_this_loop(cls) -> _Turns:
        return cls._of_loops.setdefault(asyncio.get_running_loop(), cls())

    @asynccontextmanager
    async def take(self, processes: WorkerProcesses, with_syncs: MemoryTurns, until: float) -> AsyncIterator[None]:
        """Waits for a turn. Idle workers of another kind have ended by then, and no sync runs.

        Raises:
            ScanBusy: It did not come until that time of the loop's clock.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(until):
                    await stack.enter_async_context(self._turn)
                    while not with_syncs.begin_answer():
                        await asyncio.sleep(LOOK_SECONDS)
            except TimeoutError as error:
                raise ScanBusy(_SYNC_RUNS if with_syncs.sync_runs() else None) from error
            stack.callback(with_syncs.end_answer)
            if self._last is not None and self._last is not processes:
                await self._last.end_idle()
            self._last = processes
            yield


class WorkerProcess:
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
        self._receiving = False
        self.ready = True
        self.summary: dict[str, Any] = {}
        self.timer: asyncio.TimerHandle | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child.returncode is None

    def tell(self, data: bytes) -> None:
        """Sends a frame that gets no answer."""
        self._stdin.write(LENGTH.pack(len(data)) + data)

    async def send(self, request: Mapping[str, Any]) -> None:
        """Sends a request, as JSON types.

        Raises:
            ScanFailed: The process has ended.
        """
        self.ready = False
        try:
            self.tell(json.dumps(request, default=list).encode())
            await self._stdin.drain()
        except ConnectionError as error:
            raise ScanFailed() from error

    async def receive(self) -> bytes | None:
        """The next piece of the answer; None at its end.

        Raises:
            ScanFailed: The process has ended.
            OrdersError: The error that the worker answers with.
        """
        self._receiving = True
        try:
            head = await self._stdout.readexactly(1 + LENGTH.size)
            data = await self._stdout.readexactly(*LENGTH.unpack(head[1:]))
        except asyncio.IncompleteReadError as error:
            raise ScanFailed() from error
        finally:
            self._receiving = False
        if head[:1] == b"D":
            return data
        self.ready = True
        if head[:1] == b"X":
            raise _error_of(Trouble.model_validate_json(data))
        self.summary = json.loads(data)
        return None

    async def kill(self) -> None:
        """Ends the process and removes its temporary files."""
        with suppress(ProcessLookupError):
            self._child.kill()
        if self._receiving:  # who waits for its answer reads the end of it
            await self._child.wait()
        else:
            await self._child.communicate()  # closes its pipes too
        shutil.rmtree(self._folder, ignore_errors=True)


def _error_of(trouble: Trouble) -> OrdersError:
    """The error that a worker has described."""
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, OrdersError)]
    error_class = next((each for each in classes if each.code == trouble.code), ScanFailed)
    return error_class(trouble.message, trouble.advice)
