"""Builds segments from cached rows that agree with the server and from exported rows.

Segments keep their bounds if possible. A segment that grows to 1.5 times SEGMENT_ROWS is split. A segment that shrinks
below a quarter of SEGMENT_ROWS is merged with its neighbour. An unchanged segment keeps its files.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from cache.schema import Column
from cache.storage.row_encoding import engine
from cache.storage.segment_writer import SegmentWriter
from cache.storage.snapshot import Segment
from cache.storage.store import Snapshots
from scraper.table.blob_encoding import all_hexadecimal
from scraper.table.column_inference import ColumnInference
from scraper.table.key_ranges import Range
from scraper.table.table import Table

SEGMENT_ROWS = 10_000


class StartRun(NamedTuple):
    """The rows of the next steps begin at the key `low` (None: no lower bound)."""

    low: int | None


class ReuseSegment(NamedTuple):
    """Keep a segment in which no row differs."""

    segment: Segment


class CopyRows(NamedTuple):
    """Copy rows `start` to `stop` - 1 of a segment in which other rows differ. Their keys are below `high`."""

    segment: Segment
    start: int
    stop: int
    high: int | None


class AddRows(NamedTuple):
    """Add exported rows of a key range, as text, in key order. `more`: further rows of this range follow."""

    part: Range
    rows: pa.Table
    more: bool


class EndSegment(NamedTuple):
    """A segment in which rows differed ends here, below the key `high`."""

    high: int | None


class EndRun(NamedTuple):
    """The rows of the steps since StartRun end below the key `high`. The next steps do not adjoin them."""

    high: int | None


Step = StartRun | ReuseSegment | CopyRows | AddRows | EndSegment | EndRun


class SegmentAssembler:
    """Writes segments from steps in key order. It is not thread-safe: `AssemblerThread` runs it in one thread.

    Args:
        table: The table that is copied.
        known: The columns as recorded before. A kind that was decided does not change.
        snapshots: Stores finished segments.
        workspace: A folder for unfinished segments.
        timezone: The time zone of DATETIME values, an IANA name.
        cached: Segments of the last generation or of an interrupted load. Like new segments, they become outdated when
            the inferred kind of a column changes.
        on_segment: Called with each segment that was written, and with the inference.
    """

    def __init__(
        self,
        table: Table,
        known: Sequence[Column],
        snapshots: Snapshots,
        workspace: Path,
        timezone: str,
        cached: Sequence[Segment] = (),
        on_segment: Callable[[Segment, ColumnInference], None] | None = None,
    ) -> None:
        self._table = table
        self._inference = ColumnInference(table, known)
        self._snapshots = snapshots
        self._workspace = workspace
        self._timezone = timezone
        self._on_segment = on_segment
        self._duck = engine()
        self._names = itertools.count()
        self._writer: SegmentWriter | None = None
        self._folder = workspace
        self._low: int | None = None
        self._completed: list[Segment] = []
        self._written = {segment.id for segment in cached}
        self._outdated: set[str] = set()
        self._sources: set[str] = set()  # the segments that rows of the segment in progress were copied from
        self._failure: BaseException | None = None

    def apply(self, step: Step) -> list[Segment]:
        """Carries out one step.

        Returns:
            The segments that this step completed.

        Raises:
            Exception: The first failure. After a failure, each call raises it again and does nothing else.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._apply(step)
        except BaseException as error:
            self._failure = error
            raise
        completed, self._completed = self._completed, []
        return completed

    def take_outdated(self) -> set[str]:
        """Returns the ids of segments whose columns have another kind now than when they were written.

        Each id is returned once.
        """
        outdated, self._outdated = self._outdated, set()
        return outdated

    def columns(self) -> tuple[Column, ...]:
        """Returns the columns as a manifest records them."""
        return self._inference.recorded()

    def close(self) -> None:
        """Closes the files of a segment that was not completed."""
        self._duck.close()
        if self._writer is not None:
            self._writer.__exit__(None, None, None)

    def _apply(self, step: Step) -> None:
        match step:
            case StartRun(low):
                self._low = low
            case ReuseSegment(segment):
                self._reuse(segment)
            case CopyRows(segment, start, stop, high):
                self._copy(segment, start, stop, high)
            case AddRows(part, rows, more):
                self._add(rows)
                if more and len(rows) and self._table.range_key is not None:
                    self._complete_if(1, int(rows.column(self._table.range_key)[-1].as_py()) + 1)
                elif not more:
                    self._complete_if(1.5, part.high)
            case EndSegment(high):
                self._complete_if(0.25, high)
            case EndRun(high):
                self._complete_if(0, high)

    def _reuse(self, segment: Segment) -> None:
        """Keeps a segment unchanged, or appends its rows to the segment that is being written."""
        if self._writer is not None and rows_can_be_copied(segment):
            self._copy(segment, 0, segment.rows, segment.high)
            self._complete_if(0.25, segment.high)
            return
        if self._writer is not None:
            self._complete(segment.low)
        self._completed.append(segment)
        self._low = segment.high

    def _copy(self, segment: Segment, start: int, stop: int, high: int | None) -> None:
        self._open_writer().copy(self._snapshots.segment_folder(segment), start, stop)
        self._sources.add(segment.id)
        self._complete_if(1.5, high)

    def _add(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        rows = all_hexadecimal(rows, self._table.columns)
        checksums = self._table.checksums(self._duck, rows)
        self._inference.observe(rows)
        self._open_writer().write(rows.select(range(len(self._table.columns))), checksums)

    def _open_writer(self) -> SegmentWriter:
        if self._writer is None:
            self._folder = self._workspace / str(next(self._names))
            # The writer shares this list: it sees a column's kind as soon as the first value decides it.
            self._writer = SegmentWriter(self._folder, self._inference.columns, self._timezone)
        return self._writer

    def _complete_if(self, share: float, high: int | None) -> None:
        """Completes the segment that is being written if it has this share of SEGMENT_ROWS."""
        if self._writer is not None and self._writer.rows >= share * SEGMENT_ROWS:
            self._complete(high)

    def _complete(self, high: int | None) -> None:
        assert self._writer is not None
        with self._writer as writer:
            self._writer = None
            segment = writer.close(self._low, high)
        self._snapshots.adopt(self._folder, segment)
        self._written.add(segment.id)
        self._low = high
        self._completed.append(segment)
        if self._inference.outdates(segment):
            self._outdated |= self._written
        elif self._sources & self._outdated:
            self._outdated.add(segment.id)
        self._sources.clear()
        if self._on_segment is not None:
            self._on_segment(segment, self._inference)


def rows_can_be_copied(segment: Segment) -> bool:
    """Returns whether single rows of a segment can be copied. `misfits` and `zero_dates` count whole segments."""
    return not segment.misfits and not segment.zero_dates
