"""The draft of a first load: its finished segments. The next sync compares these with the server and continues."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import NamedTuple

from cache.schema import Column
from cache.storage.records import Draft
from cache.storage.snapshot import Segment, Snapshot
from cache.storage.source import Source
from cache.storage.store import Snapshots
from scraper.sync.outdated_encoding import encoded_otherwise
from scraper.sync.reconcile import gap
from scraper.table.column_inference import ColumnInference
from scraper.table.key_ranges import Range

DRAFT_SECONDS = 2  # minimum interval between two saves of the draft


class CachedRows(NamedTuple):
    """The cached part of a table: columns with known kinds, and segments to compare with the server."""

    columns: tuple[Column, ...] = ()
    segments: tuple[Segment, ...] = ()


def cached_in_snapshot(snapshots: Snapshots, before: Snapshot, source: Source, columns: Sequence[Column]) -> CachedRows:
    """Returns the part of the last generation that can be compared with a table.

    The result is empty if the generation is of another table. It has no segments if the same rows would be written
    differently now. A gap replaces each segment whose files are damaged, or whose cells this version encodes in another
    way. The range of a gap is exported.

    Args:
        snapshots: Stores the segments.
        before: The last generation.
        source: The table to copy now.
        columns: The columns of the table now.
    """
    former = before.manifest.source
    if (former.database, former.table) != (source.database, source.table):
        return CachedRows()
    if not _comparable(former, before.columns, source, columns):
        return CachedRows(before.columns)
    segments = tuple(
        segment
        if before.holds(segment) and not _encoded_otherwise(snapshots, segment, before.columns, source)
        else gap(Range(segment.low, segment.high))
        for segment in before.manifest.segments
    )
    return CachedRows(before.columns, segments)


class DraftLoad:
    """Reads the draft of an interrupted first load, and saves the draft of this load.

    A first load completes segments in key order, so they cover all keys up to the end of the last one.

    Args:
        snapshots: Stores the draft.
        source: The table to copy.
        columns: The columns of the table.

    Attributes:
        cached: The rows in the draft of the interrupted load; empty if there is none.
    """

    def __init__(self, snapshots: Snapshots, source: Source, columns: Sequence[Column]) -> None:
        self._snapshots = snapshots
        self._source = source
        self._segments: list[Segment] = []
        self._saved = time.monotonic()
        self.cached = CachedRows()
        draft = snapshots.draft()
        if draft is not None and _continues(draft, source, columns):
            self._segments = list(
                takewhile(lambda s: not _encoded_otherwise(snapshots, s, draft.columns, source), draft.segments)
            )
        if draft is not None and self._segments:
            end = self._segments[-1].high
            rest = () if end is None else (gap(Range(end, None)),)
            self.cached = CachedRows(draft.columns, (*self._segments, *rest))

    def add(self, segment: Segment, inference: ColumnInference) -> None:
        """Takes a completed segment, in the assembler's thread; saves the draft every DRAFT_SECONDS."""
        end = self._segments[-1].high if self._segments else None
        if segment.low != end or (self._segments and end is None):
            return  # the segment was written again in a later round
        self._segments.append(segment)
        if inference.changed:
            self._segments.clear()
        if time.monotonic() - self._saved > DRAFT_SECONDS:
            self._saved = time.monotonic()
            columns = inference.recorded(final=False)
            self._snapshots.save_draft(Draft(source=self._source, columns=columns, segments=tuple(self._segments)))


def _encoded_otherwise(snapshots: Snapshots, segment: Segment, columns: Sequence[Column], source: Source) -> bool:
    return encoded_otherwise(segment, snapshots.segment_folder(segment), columns, source.timezone)


def _continues(draft: Draft, source: Source, columns: Sequence[Column]) -> bool:
    same_table = (draft.source.database, draft.source.table) == (source.database, source.table)
    return same_table and _comparable(draft.source, draft.columns, source, columns)


def _comparable(former: Source, former_columns: Sequence[Column], source: Source, columns: Sequence[Column]) -> bool:
    """Returns whether an unchanged row still has the same checksum and the same encoding."""
    return (
        former.timezone == source.timezone
        and former.dialect.digest == source.dialect.digest
        and _described(former_columns) == _described(columns)
    )


def _described(columns: Iterable[Column]) -> list[tuple[str, str, int]]:
    return [(column.name, column.type, column.key) for column in columns]
