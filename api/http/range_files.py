"""Responses that are written to a file first: readers of Excel and Parquet ask for the size and for byte ranges."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from starlette.responses import FileResponse, MalformedRangeHeader, RangeNotSatisfiable

from api.http.prepared_response import Chunk
from cache.temporary_folders import make_folder

MAX_FILES = 4


class RangeResponse(FileResponse):
    """A file, or the byte ranges that `Range` asks for. A range that cannot be read is ignored (RFC 9110, 14.2)."""

    @classmethod
    def _parse_range_header(cls, http_range: str, file_size: int) -> list[tuple[int, int]]:
        try:
            return super()._parse_range_header(http_range, file_size)
        except (MalformedRangeHeader, RangeNotSatisfiable):
            return []


class RangeFiles:
    """The last MAX_FILES files, named by ETag, so that all ranges of a response come from one file."""

    def __init__(self) -> None:
        self._folder = make_folder("ranges")
        self._writing = asyncio.Lock()
        self._files: list[Path] = []

    async def get(self, etag: bytes, open_body: Callable[[], Awaitable[AsyncIterator[Chunk]]]) -> Path:
        """The file of a response.

        Args:
            etag: The tag of the response.
            open_body: Starts its body; called if there is no file yet.
        """
        path = self._folder / hashlib.sha256(etag).hexdigest()
        async with self._writing:
            if path not in self._files:
                await self._write(path, await open_body())
        return path

    async def _write(self, path: Path, body: AsyncIterator[Chunk]) -> None:
        with path.open("wb") as file:
            async for chunk in body:
                file.write(chunk)
        self._files.append(path)
        if len(self._files) > MAX_FILES:
            with suppress(OSError):
                self._files.pop(0).unlink(missing_ok=True)

    def close(self) -> None:
        """Deletes the files."""
        shutil.rmtree(self._folder, ignore_errors=True)
