"""Spools: a worker writes a download at its own speed and is free, and the client reads it at another.

What the client has not read yet waits in a temporary file without a name, which the operating system removes when the
process ends, however it ends. The file is used in circles, so it never gets larger than its limit.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable
from typing import IO, Self

from cache.errors import QueryTimeout, ScanFailed

SPOOL_BYTES = 128 << 20  # of a download that its client has not read yet
PIECE_BYTES = 128 * 1024
ROOM_SECONDS = 60  # until a client has taken a quarter of a full spool


class Spool:
    """The bytes between one task that writes and one that reads. Both are tasks of one event loop."""

    def __init__(self) -> None:
        """Creates the file.

        Raises:
            ScanFailed: It cannot be created.
        """
        self._size = SPOOL_BYTES
        self._written = self._read = 0  # bytes so far
        self._is_complete = False
        self._readable, self._writable = asyncio.Event(), asyncio.Event()
        self._lock = threading.Lock()  # a thread may still use the file when its task was cancelled
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(prefix="orders-spool-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _unwritable(error) from error

    def __enter__(self) -> Self:
        """Returns the spool."""
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the file."""
        with self._lock:
            self._file.close()

    async def write(self, data: bytes) -> None:
        """Writes bytes. Waits while the file is full.

        Raises:
            QueryTimeout: The client takes its download too slowly.
            ScanFailed: The file cannot be written.
        """
        if self._room < len(data):
            await self._wait_for_room(max(len(data), self._size // 4))
        rest = memoryview(data)
        while rest:
            start = self._written % self._size
            length = min(len(rest), self._size - start)
            try:
                await asyncio.to_thread(self._write_at, start, rest[:length])
            except OSError as error:
                raise _unwritable(error) from error
            self._written += length
            rest = rest[length:]
            self._readable.set()

    def complete(self) -> None:
        """Notes that nothing more will be written."""
        self._is_complete = True
        self._readable.set()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Reads what was written, until `complete` is called and everything was read."""
        while True:
            await _wait(self._readable, lambda: self._read < self._written or self._is_complete)
            if self._read == self._written:
                return
            start = self._read % self._size
            piece = await asyncio.to_thread(self._read_at, start, min(self._size - start, self._written - self._read))
            self._read += len(piece)
            self._writable.set()
            yield piece

    @property
    def _room(self) -> int:
        return self._size - (self._written - self._read)

    async def _wait_for_room(self, length: int) -> None:
        try:
            async with asyncio.timeout(ROOM_SECONDS):
                await _wait(self._writable, lambda: self._room >= length)
        except TimeoutError as error:
            raise QueryTimeout("The client takes its download too slowly.", "Ask for fewer rows at a time.") from error

    def _write_at(self, start: int, data: memoryview) -> None:
        with self._lock:
            self._file.seek(start)
            while data:
                data = data[self._file.write(data) :]

    def _read_at(self, start: int, length: int) -> bytes:
        with self._lock:
            self._file.seek(start)
            return self._file.read(min(length, PIECE_BYTES))


async def _wait(event: asyncio.Event, condition: Callable[[], bool]) -> None:
    while not condition():
        event.clear()
        await event.wait()


def _unwritable(error: OSError) -> ScanFailed:
    message = f"The rows cannot be stored until the client takes them: {error.strerror}."
    return ScanFailed(message, "Free disk space in the folder for temporary files (TMPDIR).")
