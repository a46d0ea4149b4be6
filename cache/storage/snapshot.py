"""What a generation is made of, and how it is read.

On disk (`cache.storage.local`), everything but `current.json` is immutable once written:

    current.json                    the pointer: Head (newest generation, when it was verified)
    draft.json                      Draft: an interrupted first load
    generations/00000012.json       Manifest: columns, and the segments in key order
    changes/00000012.rows           the rows in which it differs from the generation before (`change_log`)
    segments/<id>/rows.parquet      typed rows: decimals exact, instants UTC, JSON columns and TINYINT(1) as stored
    segments/<id>/rows.json         each row as compact JSON followed by one comma
    segments/<id>/rows.deflate      the same without its last comma, compressed; see cache/storage/gzip_concat.py
    segments/<id>/offsets.u64       little-endian; row i is bytes offsets[i] to offsets[i+1] - 1 (without its comma)
    segments/<id>/columns.bin       arrays that filters and sorts are answered from; see cache/storage/column_arrays.py
    segments/<id>/checksums.u64     little-endian; the first 64 bits of the digest of each row's framed text
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cache.errors import SnapshotDamaged
from cache.schema import Column
from cache.storage import gzip_concat
from cache.storage.mapped_files import mapped

PARQUET, JSON, GZIP = "rows.parquet", "rows.json", "rows.deflate"
OFFSETS, COLUMNS, CHECKSUMS = "offsets.u64", "columns.bin", "checksums.u64"
SEGMENT_FILES = (PARQUET, JSON, GZIP, OFFSETS, COLUMNS, CHECKSUMS)


class File(BaseModel, frozen=True):
    size: int
    sha256: str


class Segment(BaseModel, frozen=True):
    """The rows of one key range, low <= key < high (None: open), or the whole table where it has no integer key.

    `checksum` is the exact sum of the row checksums, `crc32` that of its JSON without the last comma. `misfits` counts
    values that do not fit the recorded kind, `zero_dates` dates that no calendar has, each by column.
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
        return sum(file.size for file in self.files.values())


class ChangeCounts(BaseModel, frozen=True):
    """Rows that differ from the generation before."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0

    @property
    def total(self) -> int:
        return self.inserted + self.updated + self.deleted


class StatementDialect(BaseModel, frozen=True):
    """The SQL constructs that a sync uses. A firewall in front of phpMyAdmin may refuse the default ones.

    Attributes:
        shape: Where columns and key are read from.
        grouped: Whether one statement computes the checksums of many ranges (GROUP BY … WITH ROLLUP).
        joiner: The function that joins the values of a row before they are hashed.
        digest: The hash function of a row's checksum.
        rows: `proven` by checksums, or only counted: read page by page (`paged`), or from phpMyAdmin's own export of
            the whole table (`exported`).
        refused: The constructs that a firewall refused.
        since: When it refused them (UTC); None where nothing was refused.
    """

    shape: Literal["information_schema", "SHOW", "export"] = "information_schema"
    grouped: bool = True
    joiner: Literal["CONCAT_WS", "CONCAT"] = "CONCAT_WS"
    digest: Literal["MD5", "SHA1"] = "MD5"
    rows: Literal["proven", "paged", "exported"] = "proven"
    refused: tuple[str, ...] = ()
    since: datetime | None = None


class Source(BaseModel, frozen=True):
    """Where the rows come from, and how they were read.

    Attributes:
        timezone: What DATETIME values mean, an IANA name.
        server: Version of MySQL or MariaDB.
        phpmyadmin: Version of phpMyAdmin.
        dialect: The SQL constructs that the sync used; stored as `forms`.
    """

    model_config = ConfigDict(validate_by_name=True, serialize_by_alias=True)

    database: str
    table: str
    timezone: str = "UTC"
    server: str = ""
    phpmyadmin: str = ""
    dialect: StatementDialect = Field(default=StatementDialect(), validation_alias="forms", serialization_alias="forms")


class Manifest(BaseModel, frozen=True):
    """One generation: the list of its segments. Written once, never edited.

    `as_of`, `verified_at` and `reason` are those of its Head when it was published; a later confirmation moves only the
    Head.
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
        """A gap or an overlap would lose or double rows, and no checksum of single ranges would tell."""
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
        return sum(segment.rows for segment in self.segments)

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key's columns, in order; empty where the table has no key."""
        return tuple(c.name for c in sorted((c for c in self.columns if c.key), key=lambda c: c.key))


class Draft(BaseModel, frozen=True):
    """What a first load has written so far, in key order from the first key on, for the sync that goes on there."""

    source: Source
    columns: tuple[Column, ...]
    segments: tuple[Segment, ...]


class Head(BaseModel, frozen=True):
    """The pointer that moves: the newest generation, and what is known of its freshness.

    `verified_at` is the moment before the first statement of the last sync that proved every range equal (None: no
    sync ever did). `verified` tells whether that holds for this generation, `reason` why not. `as_of` is the moment
    before the first statement of the sync that published or confirmed it. `checked_at` is the same as `verified_at`, or
    later where the newest and the lately changed rows alone were compared since. All in UTC.
    """

    generation: int
    as_of: datetime
    verified: bool
    verified_at: datetime | None
    checked_at: datetime | None = None
    reason: str | None = None

    @property
    def updated_at(self) -> datetime:
        """How old the data is counts from here: the last verification, or the sync itself where there was none."""
        return self.verified_at or self.as_of


class Snapshot:
    """One generation, opened for reading. `check` compares the sizes of all files, `verify` their digests.

    Parameters: `manifest` and `head` as read; `segments` is the folder of segments.
    """

    def __init__(self, manifest: Manifest, head: Head, segments: Path) -> None:
        self.manifest = manifest
        self.head = head
        self._folder = segments

    def check(self) -> Self:
        """Returns this snapshot.

        Raises:
            SnapshotDamaged: A file is missing or has another size.
        """
        for segment, found in self.faults.items():
            raise SnapshotDamaged.of(self.generation, segment, found)
        return self

    @cached_property
    def faults(self) -> dict[str, str]:
        """What was wrong when this was first asked: the id of a segment, and its fault (see `fault`)."""
        found = ((segment.id, fault(self._folder, segment)) for segment in self.manifest.segments)
        return {id: problem for id, problem in found if problem is not None}

    def holds(self, segment: Segment) -> bool:
        return fault(self._folder, segment) is None

    @property
    def generation(self) -> int:
        return self.manifest.generation

    @property
    def rows(self) -> int:
        return self.manifest.rows

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.manifest.columns

    def paths(self, name: str) -> list[Path]:
        """One path a segment, in key order. `name` is PARQUET, JSON, GZIP, OFFSETS, COLUMNS or CHECKSUMS."""
        return [self._folder / segment.id / name for segment in self.manifest.segments]

    @property
    def json_size(self) -> int:
        """Bytes of all rows as they stand in a JSON array, commas between them included."""
        return max(0, sum(segment.files[JSON].size for segment in self.manifest.segments) - 1)

    def json_slices(self, start: int = 0, stop: int | None = None) -> Iterator[memoryview]:
        """Rows start to stop, in key order, as JSON joined by commas: slices of the mapped files, nothing is copied."""
        stop = self._firsts[-1] if stop is None else min(stop, self._firsts[-1])
        segment = bisect_right(self._firsts, start) - 1
        while start < stop:
            first, end = self._firsts[segment], min(stop, self._firsts[segment + 1])
            rows, offsets = self._maps[segment]
            yield rows[offsets[start - first] : offsets[end - first] - (end == stop)]
            start = end
            segment += 1

    def gather(self, rows: npt.NDArray[np.int64]) -> bytes:
        """These rows as JSON, joined by commas: a copy, meant for a page."""
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
        """The gzip body of `head`, all rows as JSON joined by commas, and `tail`: slices of the mapped files."""
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
        """Reads every file whole and returns the ids of the segments whose digests differ."""
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
