"""The records that describe a generation, and its reader. `docs/snapshot-format.md` describes the files.

All files except the pointer are immutable. A generation is a list of segments. A segment contains the rows of one key
range, in six files. Several generations may share a segment.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, BaseModel, model_validator
from typing_extensions import override

from cache.errors import RangeDamaged
from cache.schema import Column
from cache.storage import gzip_concat
from cache.storage.json_rows import JsonRows
from cache.storage.segment_file import SegmentFile
from cache.storage.source import Source

PARQUET, JSON, GZIP = "rows.parquet", "rows.json", "rows.deflate"
OFFSETS, COLUMNS, CHECKSUMS = "offsets.u64", "columns.bin", "checksums.u64"
DAMAGED = "damaged"  # in the folder of a segment: a digest differed. A new copy of the segment has no such file
SEGMENT_FILES = (PARQUET, JSON, GZIP, OFFSETS, COLUMNS, CHECKSUMS)


class File(BaseModel, frozen=True):
    """A file of a segment: its size in bytes, and its SHA-256 in hexadecimal."""

    size: int
    sha256: str


class Segment(BaseModel, frozen=True):
    """The rows of one key range, or of the whole table if it has no integer key.

    Attributes:
        id: The first 128 bits of the SHA-256 of its files' digests, in hexadecimal.
        rows: Number of rows.
        low: Lower bound of the key range, included; None: no lower bound.
        high: Upper bound of the key range, excluded; None: no upper bound.
        checksum: The exact sum of the checksums of its rows.
        crc32: CRC-32 of its JSON file without the last comma.
        files: Its files, by name.
        misfits: For each column, the number of values that do not fit the column's kind.
        zero_dates: For each column, the number of dates that are null here, since they exist in no calendar or lie
            outside the years 1 to 9999 in UTC.
        encoding: The version of the rules by which its cells were encoded (`row_encoding.ENCODING`).
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
    encoding: int = 1

    @property
    def bytes(self) -> int:
        """Total size of its files, in bytes."""
        return sum(file.size for file in self.files.values())


class ChangeCounts(BaseModel, frozen=True):
    """Numbers of rows that were inserted, updated and deleted since the previous generation."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        """Number of all changed rows."""
        return self.inserted + self.updated + self.deleted


class Manifest(BaseModel, frozen=True):
    """One generation: the list of its segments. Written once, never edited.

    Attributes:
        generation: Number of the generation. The first has number 1.
        parent: Number of the generation that it replaced as the newest; None for the first.
        created_at: When it was published (UTC).
        as_of: `Head.as_of` at publication. A later confirmation changes only the Head.
        verified_at: `Head.verified_at` at publication.
        reason: `Head.reason` at publication.
        source: The table that the rows were copied from.
        columns: The columns in the order of the table.
        segments: The segments in key order. Together they cover every key exactly once.
        changes: Numbers of rows that differ from the parent.
    """

    generation: int
    parent: int | None
    created_at: AwareDatetime
    as_of: AwareDatetime
    verified_at: AwareDatetime | None
    reason: str | None = None
    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]
    changes: ChangeCounts

    @model_validator(mode="after")
    def _cover_every_key_once(self) -> Self:
        """Refuses gaps and overlaps. They would lose or repeat rows, and the range checksums would not show it."""
        bounds = [None, *(bound for s in self.segments for bound in (s.low, s.high)), None]
        pairs = zip(bounds[::2], bounds[1::2], strict=True)
        ascending = all(s.low is None or s.high is None or s.low < s.high for s in self.segments)
        if self.segments and not (ascending and all(left == right for left, right in pairs)):
            raise ValueError("the segments do not cover every key exactly once")
        if any(s.low is None for s in self.segments[1:]):
            raise ValueError("only the first segment may be open below")
        return self

    @property
    def rows(self) -> int:
        """Number of rows."""
        return sum(segment.rows for segment in self.segments)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in the order of the key; empty if the table has no key."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key))


class Head(BaseModel, frozen=True):
    """The pointer to the newest generation, with its freshness. All times are UTC.

    Attributes:
        generation: Number of the generation.
        as_of: The moment before the first statement of the sync that published or last confirmed the generation.
        verified: Whether the last sync proved every range equal to the table.
        verified_at: The moment before the first statement of the last sync that compared every range and proved all
            equal; None if there was none.
        checked_at: Equal to `verified_at`, or later if a later sync compared only the newest and recently changed rows.
        reason: Why the generation is not verified; None if it is.
    """

    generation: int
    as_of: AwareDatetime
    verified: bool
    verified_at: AwareDatetime | None
    checked_at: AwareDatetime | None = None
    reason: str | None = None

    @property
    def updated_at(self) -> datetime:
        """The start of the age of the data: `verified_at`, or `as_of` if no sync has verified the data."""
        return self.verified_at or self.as_of


class Snapshot(JsonRows):
    """One generation, opened for reading.

    Attributes:
        manifest: The list of its segments.
        head: The freshness of the generation.
    """

    def __init__(
        self, manifest: Manifest, head: Head, segments: Path, unrecorded: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Reads nothing yet.

        Args:
            manifest: The list of its segments.
            head: The freshness of the generation.
            segments: The folder that contains the segments.
            unrecorded: Faults that were found and could not be recorded in the folder, by segment id.
        """
        self._unrecorded = unrecorded
        self.manifest = manifest
        self.head = head
        self._folder = segments

    def check(self) -> Self:
        """Checks that all files exist, have the sizes that the manifest records, and are not recorded as damaged.

        Returns:
            This snapshot.

        Raises:
            RangeDamaged: A file is missing, has another size, or was found damaged.
        """
        self.require()
        return self

    def require(self, rows: Collection[int] | npt.NDArray[np.int64] | None = None) -> None:
        """Checks that rows are not known to be damaged.

        Args:
            rows: Their numbers; None: all rows.

        Raises:
            RangeDamaged: One of them is damaged.
        """
        if self.faults:
            segments = self.manifest.segments
            needed = (
                range(len(segments)) if rows is None else np.searchsorted(self.firsts, np.asarray(rows), "right") - 1
            )
            for i in np.unique(needed):
                self.require_segment(segments[i])

    def require_segment(self, segment: Segment) -> None:
        """Checks that a segment is not known to be damaged.

        Raises:
            RangeDamaged: It is damaged.
        """
        if segment.id in self.faults:
            raise RangeDamaged.of(segment.id, self.faults[segment.id])

    @cached_property
    def faults(self) -> dict[str, str]:
        """The faults of damaged segments (see `fault`) by segment id, at the first access; later those of cut files."""
        found = ((segment.id, self._fault(segment)) for segment in self.manifest.segments)
        return {id: problem for id, problem in found if problem is not None}

    def find_faults(self) -> None:
        """Looks for faults again."""
        self.__dict__.pop("faults", None)

    def holds(self, segment: Segment) -> bool:
        """Returns whether a segment is intact, as far as is known (see `fault`)."""
        return self._fault(segment) is None

    def _fault(self, segment: Segment) -> str | None:
        return self._unrecorded.get(segment.id) or fault(self._folder, segment)

    @property
    def generation(self) -> int:
        """Number of the generation."""
        return self.manifest.generation

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.manifest.rows

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of the table."""
        return self.manifest.columns

    def paths(self, name: str) -> list[Path]:
        """Returns the paths of one kind of file, one for each segment, in key order.

        Args:
            name: One of SEGMENT_FILES.
        """
        return [self._folder / segment.id / name for segment in self.manifest.segments]

    def file(self, segment: Segment, name: str) -> SegmentFile:
        """Opens a file of a segment.

        Raises:
            OSError: The file cannot be opened.
        """

        def on_cut() -> RangeDamaged:
            self.faults[segment.id] = f"has a damaged {name}"
            return RangeDamaged.of(segment.id, self.faults[segment.id])

        return SegmentFile(self._folder / segment.id / name, segment.files[name].size, on_cut)

    @property
    def json_size(self) -> int:
        """Size in bytes of all rows as JSON, with the commas between them, without brackets."""
        return max(0, sum(segment.files[JSON].size for segment in self.manifest.segments) - 1)

    @override
    def compressed(self) -> tuple[list[SegmentFile], gzip_concat.Compressed]:
        self.require()
        return self._compressed

    @cached_property
    def _compressed(self) -> tuple[list[SegmentFile], gzip_concat.Compressed]:
        segments = [segment for segment in self.manifest.segments if segment.rows]
        files = [self.file(segment, GZIP) for segment in segments]
        parts = zip(segments, files, strict=True)
        return files, gzip_concat.joined(
            gzip_concat.Compressed((file.to_send(0, file.size),), segment.crc32, segment.files[JSON].size - 1)
            for segment, file in parts
        )

    @cached_property
    @override
    def firsts(self) -> list[int]:
        return list(accumulate((segment.rows for segment in self.manifest.segments), initial=0))

    @override
    def part(self, number: int) -> tuple[SegmentFile, memoryview]:
        segment = self.manifest.segments[number]
        self.require_segment(segment)
        return self._rows[segment.id]

    @cached_property
    def _rows(self) -> dict[str, tuple[SegmentFile, memoryview]]:
        """The JSON file and the row offsets of each segment that is intact, by segment id."""
        opened: dict[str, tuple[SegmentFile, memoryview]] = {}
        for segment in self.manifest.segments:
            if segment.id not in self.faults:
                offsets = self.file(segment, OFFSETS)
                opened[segment.id] = self.file(segment, JSON), memoryview(offsets[0 : offsets.size]).cast("Q")
        return opened

    def verify(self) -> list[str]:
        """Reads every file and compares its digest. Returns the ids of the damaged segments."""
        return [s.id for s in self.manifest.segments if fault(self._folder, s, digests=True)]


def fault(folder: Path, segment: Segment, digests: bool = False) -> str | None:
    """Checks the files of a segment.

    Args:
        folder: The folder of segments.
        segment: The segment, as the manifest records it.
        digests: Whether to compare the SHA-256 digests in addition to the sizes.

    Returns:
        The first fault, such as "has a damaged rows.json"; None if the segment is intact.
    """
    with suppress(FileNotFoundError):
        return (folder / segment.id / DAMAGED).read_text(errors="replace") or "is damaged"
    for name in SEGMENT_FILES:
        if name not in segment.files:  # written by an older version that had no such file
            return f"has no {name}"
        path, file = folder / segment.id / name, segment.files[name]
        try:
            size = path.stat().st_size
        except OSError as error:
            return f"lacks {name} ({error.strerror})"
        if size != file.size or (digests and hashlib.sha256(path.read_bytes()).hexdigest() != file.sha256):
            return f"has a damaged {name}"
    return None
