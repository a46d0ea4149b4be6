"""Rows as JSON, read or sent from the files that a publish wrote."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from cache.storage import gzip_concat
from cache.storage.segment_file import MAX_COPIED, SegmentFile

PIECE = 256 << 10  # bytes: what `read_json` reads at once
Bytes_co = TypeVar("Bytes_co", bound=bytes | memoryview, covariant=True)


class _Sliceable(Protocol[Bytes_co]):
    def __getitem__(self, part: slice, /) -> Bytes_co: ...


class JsonRows(ABC):
    """The rows of consecutive parts. A snapshot is one, and its segments are the parts."""

    @property
    @abstractmethod
    def firsts(self) -> Sequence[int]:
        """The number of the first row of each part, followed by the total number of rows."""

    @abstractmethod
    def part(self, number: int) -> tuple[SegmentFile, memoryview]:
        """Returns the JSON file and the row offsets of a part.

        Raises:
            RangeDamaged: The part is damaged.
        """

    @abstractmethod
    def compressed(self) -> tuple[list[SegmentFile], gzip_concat.Compressed]:
        """Returns the files with the compressed rows of all parts, and these rows joined.

        Raises:
            RangeDamaged: A part is damaged.
        """

    def json_slices(self, start: int = 0, stop: int | None = None) -> Iterator[bytes | memoryview]:
        """Yields rows as JSON, joined by commas, to be sent (see `SegmentFile.to_send`). Long parts are not copied.

        Args:
            start: The number of the first row, in key order.
            stop: The number of the row after the last one; None: up to the last row of the table.

        Raises:
            RangeDamaged: A segment that has some of the rows is damaged.
        """
        return (file.to_send(first, end) for file, first, end in self._places(start, stop))

    def read_json(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yields rows as JSON, joined by commas, in pieces of at most PIECE bytes. Arguments and errors: see above."""
        for file, first, end in self._places(start, stop):
            for place in range(first, end, PIECE):
                yield file[place : min(end, place + PIECE)]

    def _places(self, start: int, stop: int | None) -> Iterator[tuple[SegmentFile, int, int]]:
        """Yields where rows are: for each part its JSON file, the first byte, and the byte after the last one."""
        stop = self.firsts[-1] if stop is None else min(stop, self.firsts[-1])
        number = bisect_right(self.firsts, start) - 1
        while start < stop:
            first, end = self.firsts[number], min(stop, self.firsts[number + 1])
            rows, offsets = self.part(number)
            yield rows, offsets[start - first], offsets[end - first] - (end == stop)
            start = end
            number += 1

    def gather(self, rows: npt.NDArray[np.int64]) -> bytes:
        """Returns the given rows as JSON, joined by commas.

        Args:
            rows: Row numbers, in the order of the result.

        Raises:
            RangeDamaged: A segment that has some of the rows is damaged.
        """
        return b"".join(self._gather(rows, lambda file: file))[:-1]  # without the last comma

    def gather_to_send(self, rows: npt.NDArray[np.int64]) -> Sequence[bytes | memoryview]:
        """Returns the given rows as JSON, joined by commas, to be sent (see `SegmentFile.to_send`).

        Arguments and errors: see above.
        """
        slices = self._gather(rows, SegmentFile.map)
        if sum(map(len, slices)) <= MAX_COPIED:
            return [self.gather(rows)]
        slices[-1:] = [last[:-1] for last in slices[-1:]]
        return slices

    def _gather(
        self, rows: npt.NDArray[np.int64], opened: Callable[[SegmentFile], _Sliceable[Bytes_co]]
    ) -> list[Bytes_co]:
        slices: list[Bytes_co] = []
        parts: dict[int, tuple[_Sliceable[Bytes_co], memoryview]] = {}
        first = end = 0
        for row in rows.tolist():
            if not first <= row < end:
                number = bisect_right(self.firsts, row) - 1
                first, end = self.firsts[number], self.firsts[number + 1]
                if number not in parts:
                    file, offsets = self.part(number)
                    parts[number] = opened(file), offsets
                json, offsets = parts[number]
            slices.append(json[offsets[row - first] : offsets[row - first + 1]])
        return slices

    def gzip_slices(self, head: bytes, tail: bytes) -> list[bytes | memoryview]:
        """Returns a gzip body with all rows as JSON, joined by commas, to be sent (see `SegmentFile.to_send`).

        Args:
            head: Uncompressed bytes before the rows.
            tail: Uncompressed bytes after the rows.

        Raises:
            RangeDamaged: A segment that has some of the rows is damaged.
        """
        files, rows = self.compressed()
        for file in files:
            file.require_whole()
        return gzip_concat.member(head, rows, tail)
