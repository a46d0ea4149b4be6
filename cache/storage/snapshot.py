"""What a generation is made of, and how it is read. `docs/snapshot-format.md` describes the files.

Everything but the pointer is immutable once it is written. A generation lists its segments; each segment holds the rows
of one key range in six files, which several generations may share.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, model_validator

from cache.errors import SnapshotDamaged
from cache.schema import Column
from cache.storage import gzip_concat
from cache.storage.mapped_files import mapped
from cache.storage.source import Source

PARQUET, JSON, GZIP = "rows.parquet", "rows.json", "rows.deflate"
OFFSETS, COLUMNS, CHECKSUMS = "offsets.u64", "columns.bin", "checksums.u64"
SEGMENT_FILES = (PARQUET, JSON, GZIP, OFFSETS, COLUMNS, CHECKSUMS)


class File(BaseModel, frozen=True):
    """A file of a segment: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Segment(BaseModel, frozen=True):
    """The rows of one key range, or of the whole table where it has no integer key.

    Attributes:
        id: The first 128 bits of the SHA-256 of its files' digests, in hexadecimal.
        rows: How many rows it holds.
        low: The lowest key of its range; None for no lower bound.
        high: The key behind its range; None for no upper bound.
        checksum: The exact sum of the checksums of its rows.
        crc32: CRC-32 of its JSON without the last comma.
        files: Its files by their names.
        misfits: By column, how many values do not fit the column's kind.
        zero_dates: By column, how many dates exist in no calendar.
    """

    id: str
    rows: int
    low: int | None
    high: int | None
    checksum: int
    crc32: int = 0
    files: dict[str, File]
    misfits: dict[str, int] = {}
    zero_dates: dict[str, int] = {}

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(file.size for file in self.files.values())


class ChangeCounts(BaseModel, frozen=True):
    """How many rows differ from the generation before."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.inserted + self.updated + self.deleted


class Manifest(BaseModel, frozen=True):
    """One generation: the list of its segments. Written once, never edited.

    Attributes:
        generation: Its number, from 1.
        parent: The generation that it was published over; None for the first.
        created_at: When it was published (UTC).
        as_of: As in Head, when it was published. A later confirmation moves only the Head.
        verified_at: As in Head, when it was published.
        reason: As in Head, when it was published.
        source: Where the rows come from.
        columns: The columns in the order of the table.
        segments: The segments in key order; together they cover every key once.
        changes: How many rows differ from the parent.
    """

    generation: int
    parent: int | None
    created_at: datetime
    as_of: datetime
    verified_at: datetime | None
    reason: str | None = None
    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]
    changes: ChangeCounts

    @model_validator(mode="after")
    def _cover_every_key_once(self) -> Self:
        """A gap or an overlap would lose or repeat rows, which the checksums of the ranges do not show."""
        bounds = [None, *(bound for s in self.segments for bound in (s.low, s.high)), None]
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        rising = all(s.low is None or s.high is None or s.low < s.high for s in self.segments)
        if self.segments and not (rising and all(left == right for left, right in pairs)):
            raise ValueError("the segments do not cover every key exactly once")
        if any(s.low is None for s in self.segments[1:]):
            raise ValueError("only the first segment may be open below")
        return self

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return sum(segment.rows for segment in self.segments)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key's columns, in order; empty where the table has no key."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key))


class Draft(BaseModel, frozen=True):
    """How far a first load is, for the sync that continues it.

    Attributes:
        source: Where the rows come from.
        columns: The columns, as far as their kinds are known.
        segments: The segments that are finished, in key order from the lowest key on.
    """

    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]


class Head(BaseModel, frozen=True):
    """The pointer: the newest generation, and how fresh it is. All times are UTC.

    Attributes:
        generation: Its number.
        as_of: The moment before the first statement of the sync that published or confirmed it.
        verified: Whether the last sync proved every range equal to the table.
        verified_at: The moment before the first statement of the last sync that did; None: no sync ever did.
        checked_at: The same, or later where only the newest and the recently changed rows were compared since.
        reason: Why it is not verified.
    """

    generation: int
    as_of: datetime
    verified: bool
    verified_at: datetime | None
    checked_at: datetime | None = None
    reason: str | None = None

    @property
    def updated_at(self) -> datetime:
        """From when the age of the data counts: the last verification, or the sync itself where there was none."""
        return self.verified_at or self.as_of


class Snapshot:
    """One generation, opened for reading.

    Attributes:
        manifest: What it is made of.
        head: How fresh it is.
    """

    def __init__(self, manifest: Manifest, head: Head, segments: Path) -> None:
        """Reads nothing yet.

        Args:
            manifest: What it is made of.
            head: How fresh it is.
            segments: The folder of segments.
        """
        self.manifest = manifest
        self.head = head
        self._folder = segments

    def check(self) -> Self:
        """Compares the sizes of all files.

        Returns:
            This snapshot.

        Raises:
            SnapshotDamaged: A file is missing or has another size.
        """
        for segment, found in self.faults.items():
            raise SnapshotDamaged.of(self.generation, segment, found)
        return self

    @cached_property
    def faults(self) -> dict[str, str]:
        """What was wrong when this was first asked: by the id of a segment, its fault (see `fault`)."""
        found = ((segment.id, fault(self._folder, segment)) for segment in self.manifest.segments)
        return {id: problem for id, problem in found if problem is not None}

    def holds(self, segment: Segment) -> bool:
        """Whether the files of a segment are there and have their sizes."""
        return fault(self._folder, segment) is None

    @property
    def generation(self) -> int:
        """Its number."""
        return self.manifest.generation

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return self.manifest.rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of the table."""
        return self.manifest.columns

    def paths(self, name: str) -> list[Path]:
        """The paths of one kind of file, a path for each segment, in key order.

        Args:
            name: One of SEGMENT_FILES.
        """
        return [self._folder / segment.id / name for segment in self.manifest.segments]

    @property
    def json_size(self) -> int:
        """Bytes of all rows in a JSON array, with the commas between them."""
        return max(0, sum(segment.files[JSON].size for segment in self.manifest.segments) - 1)

    def json_slices(self, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """Rows as JSON joined by commas: slices of the mapped files, nothing is copied.

        Args:
            start: The number of the first row, in key order.
            stop: The number behind the last row; None for all.
        """
        stop = self._firsts[-1] if stop is None else min(stop, self._firsts[-1])
        segment = bisect_right(self._firsts, start) - 1
        while start < stop:
            first, end = self._firsts[segment], min(stop, self._firsts[segment + 1])
            rows, offsets = self._maps[segment]
            yield rows[offsets[start - first] : offsets[end - first] - (end == stop)]
            start = end
            segment += 1

    def gather(self, rows: npt.NDArray[np.int64]) -> bytes:
        """Some rows as JSON joined by commas: a copy, for a page.

        Args:
            rows: Their numbers, in the order that is wanted.
        """
        slices: list[memoryview] = []
        first = end = 0
        for row in rows.tolist():
            if not first <= row < end:
                segment = bisect_right(self._firsts, row) - 1
                first, end = self._firsts[segment], self._firsts[segment + 1]
                json, offsets = self._maps[segment]
            slices.append(json[offsets[row - first] : offsets[row - first + 1]])
        if slices:
            slices[-1] = slices[-1][:-1]  # without its comma
        return b"".join(slices)

    def gzip_slices(self, head: bytes, tail: bytes) -> list[bytes | memoryview]:
        """A gzip body with all rows as JSON joined by commas: slices of the mapped files.

        Args:
            head: What stands before the rows, not compressed.
            tail: What stands after them, not compressed.
        """
        return gzip_concat.member(head, self._compressed, tail)

    @cached_property
    def _compressed(self) -> gzip_concat.Compressed:
        return gzip_concat.joined(
            gzip_concat.Compressed((mapped(path),), segment.crc32, segment.files[JSON].size - 1)
            for segment, path in zip(self.manifest.segments, self.paths(GZIP), strict=True)
            if segment.rows
        )

    @cached_property
    def _firsts(self) -> list[int]:
        """The number of each segment's first row, and that of all rows."""
        return list(accumulate((segment.rows for segment in self.manifest.segments), initial=0))

    @cached_property
    def _maps(self) -> list[tuple[memoryview, memoryview]]:
        """The JSON and the offsets of each segment."""
        paths = zip(self.paths(JSON), self.paths(OFFSETS), strict=True)
        return [(mapped(json), mapped(offsets).cast("Q")) for json, offsets in paths]

    def verify(self) -> list[str]:
        """Reads every file and compares its digest; returns the ids of the segments that are damaged."""
        return [s.id for s in self.manifest.segments if fault(self._folder, s, digests=True)]


def fault(folder: Path, segment: Segment, digests: bool = False) -> str | None:
    """What is wrong with the files of a segment.

    Args:
        folder: The folder of segments.
        segment: As the manifest lists it.
        digests: Whether to compare the SHA-256 digests too, beside the sizes.

    Returns:
        The first fault in words that follow the name of the segment; None where it is intact.
    """
    for name in SEGMENT_FILES:
        if name not in segment.files:  # an older version wrote it, which had no such file
            return f"has no {name}"
        path, file = folder / segment.id / name, segment.files[name]
        try:
            size = path.stat().st_size
        except OSError as error:
            return f"lacks {name} ({error.strerror})"
        if size != file.size or (digests and hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256):
            return f"has a damaged {name}"
    return None
