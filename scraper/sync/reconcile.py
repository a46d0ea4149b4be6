"""The loop that proves the copy: compare blocks of rows with the server, export the blocks that differ, compare again.

The newest blocks are compared first, in statements of a few seconds each. Blocks that differ are exported before the
next statement. Their rows are written while the server computes.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

from cache.storage.snapshot import Segment
from cache.storage.store import Snapshots
from scraper.client.exporter import Exporter
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut, Unconfirmed
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.keyset_pager import Pager, RangeReader
from scraper.sync.progress import Reporter
from scraper.sync.row_fingerprints import Block, RowFingerprints
from scraper.sync.segment_assembler import (
    AddRows,
    CopyRows,
    EndRun,
    EndSegment,
    ReuseSegment,
    StartRun,
    Step,
    rows_can_be_copied,
)
from scraper.table.checksums import NO_ROWS, RangeChecksum, server_checksums
from scraper.table.key_ranges import WHOLE, Range, merge_neighbours
from scraper.table.table import Table

ROUNDS = 4  # maximum exports of a range that keeps changing; then it is published as unverified
_OTHER_ROWS = (
    "A view with RAND(), UUID() or NOW() does so: copy a table, or a view without them. A table that changes all the "
    "time needs an integer primary key."
)
LEAST_BUDGET = 1_000  # minimum number of rows that one statement compares
FIRST_ROWS = 100_000  # number of rows in the first statement, which measures the speed of the server
EARLY_ROWS = 20_000  # during an export, new segments are compared once they have this many rows
LOCKING_ENGINES = {"MyISAM", "MEMORY"}  # engines in which a statement blocks writers while it runs

_Position = tuple[str, int | None, int | None]


class Mismatch(NamedTuple):
    """The two checksums of a range that differs: one of the copy, one of the server."""

    copy: RangeChecksum
    server: RangeChecksum


class Reconciliation:
    """Makes segments equal to the table.

    Args:
        pool: The phpMyAdmin sessions.
        table: The table and its dialect.
        snapshots: Stores the segments.
        assembler: Writes new segments.
        seconds: Target duration of one statement. For the LOCKING_ENGINES, a fifth of it is used.
        reporter: Records the progress.
    """

    def __init__(
        self,
        pool: SessionPool,
        table: Table,
        snapshots: Snapshots,
        assembler: AssemblerThread,
        seconds: float,
        reporter: Reporter,
    ) -> None:
        self._pool = pool
        self._table = table
        self._snapshots = snapshots
        self._assembler = assembler
        self._seconds = seconds / 5 if table.engine in LOCKING_ENGINES else seconds
        self._pager = Pager(pool, table, self._seconds)
        self._reporter = reporter
        self._budget = FIRST_ROWS  # rows in a statement; threads set it without a lock, since it only affects speed
        self._exported: list[Range] = []  # exported ranges that are not compared yet
        self._compared_early: dict[_Position, bool] = {}  # segment compared during an export -> whether it agrees

    def run(self, cached: Sequence[Segment], only: Container[str] | None = None) -> tuple[list[Segment], int]:
        """Compares and exports until all ranges agree, or ROUNDS times on a table that keeps changing.

        Args:
            cached: Segments that cover the table. A segment without rows is a gap: its rows are not in the cache.
            only: Ids of the segments to compare; None: all. Other segments are kept unchanged.

        Returns:
            Segments that cover the table, and the number of ranges that the server did not confirm.

        Raises:
            AnswerCut: The table has no integer key, and no export matched the checksums of the server.
            Unconfirmed: The checksums of a range differ, and both are the same after another export.
            ScrapeError: A request failed (see `Exporter.select`).
        """
        kept = self._compare_and_export(cached, only)
        segments = _cover_all_keys([*kept, *self._assembler.finish()])
        mismatches: dict[Range, Mismatch] = {}
        rounds = 1
        while True:
            before, mismatches = mismatches, self._mismatches(self._unconfirmed_blocks(segments))
            self._refuse_constant_mismatch(before, mismatches)
            outdated = self._assembler.take_outdated()
            again = {
                _range(segment): Mismatch(NO_ROWS, RangeChecksum(segment.rows, 0))
                for segment in segments
                if segment.id in outdated
            }
            if not again and (not mismatches or rounds >= ROUNDS):
                break
            rounds += bool(mismatches)
            self._export(segments or [EMPTY_TABLE], {**mismatches, **again})
            segments = _cover_all_keys(self._assembler.finish())
        if mismatches and self._table.range_key is None:
            self._refuse_other_rows_each_time()
            raise AnswerCut(f"{self._table.name} changed during each export, or each export was cut.")
        return segments, len(mismatches)

    def _compare_and_export(self, cached: Sequence[Segment], only: Container[str] | None) -> list[Segment]:
        """Compares the cached segments and exports the ranges that differ. Returns the segments that agree."""
        selected = [s for s in cached if only is None or s.id in only or not s.rows]
        agreeing = [s for s in cached if only is not None and s.id not in only and s.rows]
        comparisons = self._pool.map(self._compare_segments, self._chunks(selected))
        total, remaining = sum(s.rows for s in selected), len(selected)
        done = 0
        while remaining:
            with self._reporter.phase("checksums", total=total, done=done):
                chunk, mismatches = next(comparisons)
                rows = sum(s.rows for s in chunk)
                self._reporter.advance(rows, self._pool.received)
            remaining, done = remaining - len(chunk), done + rows
            if mismatches:
                self._export(chunk, mismatches)
            else:
                agreeing += chunk
        return agreeing

    def _refuse_other_rows_each_time(self) -> None:
        """Raises AnswerCut, with its own words, for a table without a key whose checksum is never twice the same."""

        def checksums(exporter: Exporter, times: int) -> set[RangeChecksum]:
            return {server_checksums(exporter, self._table, [WHOLE])[0] for _ in range(times)}

        if len(self._pool.run(checksums, 2)) > 1:
            raise AnswerCut(f"{self._table.name} gives other rows each time that it is read.", _OTHER_ROWS)

    def _refuse_constant_mismatch(self, before: dict[Range, Mismatch], after: dict[Range, Mismatch]) -> None:
        constant = next((part for part, mismatch in after.items() if before.get(part) == mismatch), None)
        if constant is not None:
            raise Unconfirmed(
                f"{self._table.name}, {constant.describe()}: the exported rows do not match the server's checksum."
            )

    # -- comparing

    def _fingerprints(self, segment: Segment) -> RowFingerprints:
        if not segment.rows:
            return RowFingerprints.concatenated([])
        return RowFingerprints.read(self._snapshots.segment_folder(segment), self._table)

    def _unconfirmed_blocks(self, segments: Sequence[Segment]) -> list[Block]:
        """Returns the blocks exported since the last call, except in segments that already agreed."""
        open_segments = (
            [s for s in segments if not self._compared_early.get(_position(s))] if segments else [EMPTY_TABLE]
        )
        blocks = self._exported_blocks(open_segments)
        self._exported, self._compared_early = [], {}
        return blocks

    def _exported_blocks(self, segments: Sequence[Segment]) -> list[Block]:
        """Returns the blocks in the exported parts of segments."""
        exported = sorted(self._exported, key=lambda part: part.position)
        blocks: list[Block] = []
        for segment in segments:
            parts = _intersections(_range(segment), exported)
            if parts:
                fingerprints = self._fingerprints(segment)
                blocks += [block for part in parts for block in fingerprints.blocks(part)]
        return blocks

    def _compare_early(self) -> None:
        """Compares segments as soon as they are written.

        While rows arrive, the assembler has more work than the server. It catches up during these comparisons. If all
        comparisons came at the end, the assembler would be idle then.
        """
        ready = [s for s in self._assembler.completed() if _position(s) not in self._compared_early]
        if sum(s.rows for s in ready) >= EARLY_ROWS:
            mismatches = self._pool.run(self._compare, self._exported_blocks(ready))
            for segment in ready:
                self._compared_early[_position(segment)] = not _intersections(_range(segment), list(mismatches))

    def _chunks(self, segments: Sequence[Segment]) -> Iterator[list[Segment]]:
        """Yields lists of adjacent segments, each to be compared in one statement. The newest list is first.

        The segments of a list are in key order. A list has at most half of the remaining rows, unless few remain. Then
        little is left to write after the last comparison.
        """
        rest, rest_rows = list(segments), sum(s.rows for s in segments)
        while rest:
            rows = 0
            chunk: list[Segment] = []
            limit = min(self._budget, max(FIRST_ROWS, rest_rows // 2))
            while rest and (not chunk or (_adjoin(rest[-1], chunk[0]) and rows + rest[-1].rows <= limit)):
                chunk.insert(0, rest.pop())
                rows += chunk[0].rows
            rest_rows -= rows
            yield chunk

    def _mismatches(self, blocks: Sequence[Block]) -> dict[Range, Mismatch]:
        """Compares blocks with the server. Returns the ranges that differ."""
        mismatches: dict[Range, Mismatch] = {}
        with self._reporter.phase("checksums", total=sum(copy.rows for _, copy in blocks)):
            for compared, differing in self._pool.map(self._compare, self._statements(blocks)):
                mismatches |= differing
                self._reporter.advance(sum(copy.rows for _, copy in compared), self._pool.received)
        return mismatches

    def _statements(self, blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
        """Yields the blocks in groups, each to be compared in one statement."""
        while blocks:
            rows = number = 0
            while number < len(blocks) and (not number or rows + blocks[number][1].rows <= self._budget):
                rows += blocks[number][1].rows
                number += 1
            yield blocks[:number]
            blocks = blocks[number:]

    def _compare_segments(self, exporter: Exporter, segments: Sequence[Segment]) -> dict[Range, Mismatch]:
        """Returns the ranges that differ. A gap always differs: its checksum would be one long statement."""
        gaps = {_range(s): Mismatch(NO_ROWS, RangeChecksum(self._table.estimate, 0)) for s in segments if not s.rows}
        blocks = [block for s in segments if s.rows for block in self._fingerprints(s).blocks(_range(s))]
        return gaps | self._compare(exporter, blocks)

    def _compare(self, exporter: Exporter, blocks: Sequence[Block]) -> dict[Range, Mismatch]:
        mismatches: dict[Range, Mismatch] = {}
        while blocks:
            number, differing = exporter.retry(functools.partial(self._compare_once, exporter, blocks), self._slower)
            mismatches |= differing
            blocks = blocks[number:]
        return mismatches

    def _compare_once(self, exporter: Exporter, blocks: Sequence[Block]) -> tuple[int, dict[Range, Mismatch]]:
        """Compares the first blocks in one statement. Returns how many were compared, and the ranges that differ."""
        compared = next(self._statements(blocks))
        parts, copies = zip(*compared, strict=True)
        busy_before = exporter.busy
        servers = server_checksums(exporter, self._table, parts, copies)
        self._pace(sum(copy.rows for copy in copies), exporter.busy - busy_before)
        triples = zip(parts, copies, servers, strict=True)
        return len(compared), {part: Mismatch(copy, server) for part, copy, server in triples if copy != server}

    def _slower(self) -> None:
        self._budget = max(LEAST_BUDGET, self._budget // 4)

    def _pace(self, rows: int, seconds: float) -> None:
        """Sets the size of the next statement to the number of rows that should take the target duration."""
        if rows >= self._budget / 2:
            self._budget = max(LEAST_BUDGET, int(rows * min(8.0, self._seconds / max(seconds, 0.01))))

    # -- exporting

    def _export(self, segments: Sequence[Segment], mismatches: dict[Range, Mismatch]) -> None:
        """Exports the ranges that differ, and sends the assembler the steps that rebuild their segments."""
        differing = merge_neighbours(sorted(mismatches, key=lambda part: part.position))
        plan = list(self._plan(segments, differing))
        ranges = [step for step in plan if isinstance(step, Range)]
        self._exported += ranges
        self._reporter.update(exported_ranges=self._reporter.run.exported_ranges + len(ranges))
        total = sum(max(mismatch.server.rows, 0) for mismatch in mismatches.values())
        with self._reporter.phase("rows", total=total):
            reader = RangeReader(self._pager.pages(ranges), self._table)
            self._assembler.put(StartRun(segments[0].low))
            for step in plan:
                if not isinstance(step, Range):
                    self._assembler.put(step)
                    continue
                for rows, more in reader.read(step):
                    self._assembler.put(AddRows(step, rows, more))
                    self._reporter.advance(len(rows), self._pool.received)
                    self._compare_early()
            self._assembler.put(EndRun(segments[-1].high))

    def _plan(self, segments: Sequence[Segment], differing: Sequence[Range]) -> Iterator[Step | Range]:
        """Yields the parts of the new segments: unchanged segments, rows to copy, and ranges to export."""
        for segment in segments:
            parts = _intersections(_range(segment), differing)
            if not parts:
                if segment.rows:
                    yield ReuseSegment(segment)
                continue
            if not rows_can_be_copied(segment) or not segment.rows:
                parts = [_range(segment)]
            fingerprints = self._fingerprints(segment)
            copied = 0
            for part in parts:
                start, stop = fingerprints.rows_of(part)
                if start > copied:
                    yield CopyRows(segment, copied, start, part.low)
                yield part
                copied = stop
            if copied < segment.rows:
                yield CopyRows(segment, copied, segment.rows, segment.high)
            yield EndSegment(segment.high)


def _adjoin(left: Segment, right: Segment) -> bool:
    return left.high is not None and left.high == right.low


def _cover_all_keys(segments: Sequence[Segment]) -> list[Segment]:
    """Returns the segments in key order, without gaps: each segment ends where the next one begins."""
    ordered = sorted((s for s in segments if s.rows), key=lambda s: _range(s).position)
    bounds = [None, *(s.low for s in ordered[1:]), None]
    return [s.model_copy(update={"low": bounds[i], "high": bounds[i + 1]}) for i, s in enumerate(ordered)]


def gap(part: Range) -> Segment:
    """Returns a segment without rows, for a range whose rows are not in the cache."""
    return Segment(id="", rows=0, low=part.low, high=part.high, checksum=0, files={})


EMPTY_TABLE = gap(WHOLE)


def _range(segment: Segment) -> Range:
    return Range(segment.low, segment.high)


def _position(segment: Segment) -> _Position:
    """Identifies a segment by its id and bounds, since `_cover_all_keys` may change the bounds."""
    return segment.id, segment.low, segment.high


def _intersections(part: Range, others: Sequence[Range]) -> list[Range]:
    """Returns the parts of a range that the other ranges contain."""
    return [common for other in others if (common := part.intersection(other)) is not None]
