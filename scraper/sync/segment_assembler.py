"""Rows that agree and rows that came anew -> segments. Works in a thread of its own, behind the waiting for the server.

Segments keep their bounds where they can: one that grew past one and a half times its size is split, one that shrank
below a quarter is joined with its neighbour, an untouched one stays the file it is.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pyarrow as pa

from cache.storage.row_encoding import engine
from cache.storage.segment_writer import SegmentWriter
from cache.storage.snapshot import Segment
from cache.storage.store import Cache
from scraper.sync.row_fingerprints import RowFingerprints
from scraper.table.blob_encoding import all_hexadecimal
from scraper.table.checksums import Range, RangeChecksum
from scraper.table.column_inference import ColumnInference
from scraper.table.table import Table

SEGMENT_ROWS = 10_000
IN_FLIGHT = 4 << 20  # bytes of rows that may wait for the thread: what bounds memory


class Begin(NamedTuple):
    """What follows begins at the key `low`."""

    low: int | None


class Keep(NamedTuple):
    """A segment in which nothing differs."""

    segment: Segment


class Copy(NamedTuple):
    """Rows start to stop of a segment in which something else differs; they end below the key `high`."""

    segment: Segment
    start: int
    stop: int
    high: int | None


class Rows(NamedTuple):
    """New rows, in key order, of the range `part`; `more` of it are to come, or it ends here."""

    part: Range
    rows: pa.Table
    more: bool


class End(NamedTuple):
    """A segment in which something differed ends below the key `high`."""

    high: int | None


class Stop(NamedTuple):
    """What went before ends below the key `high`, and nothing that follows adjoins it."""

    high: int | None


class Foresee(NamedTuple):
    """Segments whose fingerprints will be asked for, the last ones first."""

    segments: Sequence[Segment]


Piece = Foresee | Begin | Keep | Copy | Rows | End | Stop


class Assembler:
    """Takes pieces in key order; `finish` gives the segments. A failure is raised by the next call.

    Parameters: `workspace` is a folder for segments in the making; `on_segment` is told of each that was written.
    `earlier` are segments of a load that was interrupted; like those written here they are written anew where a kind
    is contradicted.
    """

    def __init__(
        self, table: Table, inference: ColumnInference, cache: Cache, workspace: Path, timezone: str,
        earlier: Sequence[Segment], on_segment: Callable[[Segment], None],
    ) -> None:  # fmt: skip
        self._table = table
        self._inference = inference
        self._cache = cache
        self._workspace = workspace
        self._timezone = timezone
        self._on_segment = on_segment
        self._duck = engine()
        self._names = itertools.count()
        self._writer: SegmentWriter | None = None
        self._folder = workspace
        self._fingerprints: list[RowFingerprints] = []
        self._low: int | None = None
        self._done: list[Segment] = []
        self._fingerprints_of: dict[str, RowFingerprints] = {}
        self._revisable = {segment.id for segment in earlier}
        self._stale: set[str] = set()
        self._error: BaseException | None = None
        self._queue: queue.SimpleQueue[Piece | threading.Event | None] = queue.SimpleQueue()
        self._waiting = 0  # bytes of rows in the queue
        self._room = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="assembler", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._writer is not None:
            self._writer.__exit__(None, None, None)
        self._duck.close()

    def put(self, piece: Piece) -> None:
        if isinstance(piece, Rows):
            with self._room:
                self._room.wait_for(lambda: self._waiting < IN_FLIGHT)
                self._waiting += piece.rows.nbytes
        if self._error is not None:
            raise self._error
        self._queue.put(piece)

    def finish(self) -> list[Segment]:
        """The segments of all pieces since the last call."""
        idle = threading.Event()
        self._queue.put(idle)
        idle.wait()
        if self._error is not None:
            raise self._error
        done, self._done = self._done, []
        return done

    def so_far(self) -> list[Segment]:
        """Those of the next `finish` that are ready by now."""
        return list(self._done)

    def fingerprints(self, segment: Segment) -> RowFingerprints:
        """Keys and checksums of a segment's rows."""
        if not segment.rows:
            return RowFingerprints.joined([])
        if segment.id not in self._fingerprints_of:
            self._fingerprints_of[segment.id] = RowFingerprints.read(
                self._cache.snapshots.segment_folder(segment), self._table
            )
        return self._fingerprints_of[segment.id]

    def blocks(self, segment: Segment, parts: Sequence[Range]) -> list[tuple[Range, RangeChecksum]]:
        """What is held of these parts of a segment, to be compared.

        Then its fingerprints go, since most segments agree; where one does not, they are read again: else memory would
        grow with the table.
        """
        fingerprints = self.fingerprints(segment)
        self._fingerprints_of.pop(segment.id, None)
        return [block for part in parts for block in fingerprints.blocks(part)]

    def foresee(self, segments: Sequence[Segment]) -> None:
        """Reads fingerprints before they are asked for, while the server computes."""
        self._queue.put(Foresee(segments))

    def take_stale(self) -> set[str]:
        """Ids of segments that were written before a kind was contradicted, since the last call."""
        stale, self._stale = self._stale, set()
        return stale

    # -- in the thread

    def _work(self) -> None:
        while (piece := self._queue.get()) is not None:
            if isinstance(piece, threading.Event):
                piece.set()
                continue
            if self._error is None:
                try:
                    self._take(piece)
                except BaseException as error:
                    self._error = error
            if isinstance(piece, Rows):
                with self._room:
                    self._waiting -= piece.rows.nbytes
                    self._room.notify()

    def _take(self, piece: Piece) -> None:
        match piece:
            case Foresee(segments):
                for segment in reversed(segments):
                    self.fingerprints(segment)
            case Begin(low):
                self._low = low
            case Keep(segment):
                self._keep(segment)
            case Copy(segment, start, stop, high):
                self._open().copy(self._cache.snapshots.segment_folder(segment), start, stop)
                fingerprints = self.fingerprints(segment)
                self._fingerprints.append(
                    RowFingerprints(fingerprints.keys[start:stop], fingerprints.checksums[start:stop])
                )
                self._close_if(1.5, high)
            case Rows(part, rows, more):
                self._add(rows)
                if more and len(rows) and self._table.range_key is not None:
                    self._close_if(1, int(rows.column(self._table.range_key)[-1].as_py()) + 1)
                elif not more:
                    self._close_if(1.5, part.high)
            case End(high):
                self._close_if(0.25, high)
            case Stop(high):
                self._close_if(0, high)

    def _keep(self, segment: Segment) -> None:
        if self._writer is None:
            self._done.append(segment)
            self._low = segment.high
        elif copyable(segment):
            self._take(Copy(segment, 0, segment.rows, segment.high))
            self._take(End(segment.high))
        else:
            self._close(segment.low)
            self._keep(segment)

    def _add(self, rows: pa.Table) -> None:
        if not len(rows):
            return
        rows = all_hexadecimal(rows, self._table.columns)
        checksums = self._table.checksums(self._duck, rows)
        self._inference.look(rows)
        self._open().write(rows.select(range(len(self._table.columns))), checksums)
        self._fingerprints.append(RowFingerprints.of(rows, checksums, self._table))

    def _open(self) -> SegmentWriter:
        if self._writer is None:
            self._folder = self._workspace / str(next(self._names))
            # The writer sees it when a column is decided: until then it has only seen NULLs of it.
            self._writer = SegmentWriter(self._folder, self._inference.columns, self._timezone)
        return self._writer

    def _close_if(self, share: float, high: int | None) -> None:
        if self._writer is not None and self._writer.rows >= share * SEGMENT_ROWS:
            self._close(high)

    def _close(self, high: int | None) -> None:
        assert self._writer is not None
        with self._writer as writer:
            self._writer = None
            segment = writer.close(self._low, high)
        self._cache.snapshots.adopt(self._folder, segment)
        self._fingerprints_of[segment.id] = RowFingerprints.joined(self._fingerprints)
        self._revisable.add(segment.id)
        self._fingerprints = []
        self._low = high
        self._done.append(segment)
        if self._inference.contradicted_by(segment):
            self._stale |= self._revisable
        self._on_segment(segment)


def copyable(segment: Segment) -> bool:
    """Whether rows can be taken out of it one by one: what it counts of odd values is known of the whole only."""
    return not segment.misfits and not segment.zero_dates
