"""Answers that are written to disk before they are sent: their readers ask for the size first, and for parts."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

Pieces = AsyncIterator[bytes | memoryview]

KEPT = 4


class FileInParts(FileResponse):
    """A file, or the parts of it that `Range` asks for. A range that no part answers is ignored (RFC 9110, 14.2)."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except (MalformedRangeHeader, RangeNotSatisfiable):
            return []


class Files:
    """The last few, named by the tags of their answers: a reader that asks for parts is given parts of one file."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="orders-", ignore_cleanup_errors=True)
        self._writing = asyncio.Lock()
        self._written: list[Path] = []

    async def written(self, tag: bytes, pieces: Callable[[], Awaitable[Pieces]]) -> Path:
        """The file with that tag; `pieces` gives what it holds where it is not there yet."""
        path = Path(self._folder.name) / hashlib.sha256(tag).hexdigest()
        async with self._writing:
            if path not in self._written:
                await self._write(path, await pieces())
        return path

    async def _write(self, path: Path, pieces: Pieces) -> None:
        with path.open("wb") as file:
            async for piece in pieces:
                file.write(piece)
        self._written.append(path)
        if len(self._written) > KEPT:
            with suppress(OSError):
                self._written.pop(0).unlink(missing_ok=True)

    def close(self) -> None:
        self._folder.cleanup()
