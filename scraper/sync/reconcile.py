"""The loop that proves the copy: compare blocks of rows with the server, export those that differ, ask again for them.

Blocks are compared newest first, in statements of a few seconds each. What differs in one is exported before the next
is asked, so that it is rendered while the server computes.
"""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from cache.storage.snapshot import Segment
from scraper.client.exporter import Exporter
from scraper.client.retry import retry
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut, Unconfirmed
from scraper.sync.keyset_pager import Page, Pager
from scraper.sync.progress import Reporter
from scraper.sync.row_fingerprints import RowFingerprints, keys_of, merged
from scraper.sync.segment_assembler import Assembler, Begin, Copy, End, Keep, Piece, Rows, Stop, copyable
from scraper.table.checksums import WHOLE, Range, RangeChecksum, server_checksums
from scraper.table.table import Table

ROUNDS = 4  # on a busy table: exports of ranges that still differ, before they are published as unverified
LEAST_BUDGET = 1_000
FIRST_ROWS = 100_000  # compared by the first statement, which tells how fast the server is
EARLY_ROWS = 20_000  # of a long export, that are compared together while the rest is still to come
LOCKING_ENGINES = {"MyISAM", "MEMORY"}  # a statement locks writers out while it runs

Block = tuple[Range, RangeChecksum]
_Place = tuple[str, int | None, int | None]


class New(NamedTuple):
    """A range to be exported."""

    part: Range


class Mismatch(NamedTuple):
    """What is held of a range, and what the server says."""

    held: RangeChecksum
    there: RangeChecksum


class Agreement:
    """Parameters: `seconds` is what a statement aims at."""

    def __init__(
        self, pool: SessionPool, table: Table, assembler: Assembler, seconds: float, reporter: Reporter
    ) -> None:
        self._pool = pool
        self._table = table
        self._assembler = assembler
        self._seconds = seconds / 5 if table.engine in LOCKING_ENGINES else seconds
        self._pager = Pager(pool, table, self._seconds)
        self._reporter = reporter
        self._budget = FIRST_ROWS
        self._renewed: list[Range] = []
        self._early: dict[_Place, bool] = {}  # segments that were compared while others were exported: did they agree?

    def reach(self, held: Sequence[Segment], only: Container[str] | None = None) -> tuple[list[Segment], int]:
        """Segments that cover the table from end to end, and the number of ranges that the server did not confirm.

        Parameters: `held` are segments that cover it, as known from before; those without rows are gaps. `only` has
        the ids of those to be compared (None: all); the others are kept as they are.
        Raises AnswerCut, Unconfirmed, and what `Exporter.select` raises.
        """
        asked = [s for s in held if only is None or s.id in only or not s.rows]
        kept = [s for s in held if only is not None and s.id not in only and s.rows]
        self._assembler.foresee(asked)
        compared = self._pool.map(self._compare_held, self._chunks(asked))
        rows, left = sum(s.rows for s in asked), len(asked)
        done = 0
        while left:
            with self._reporter.phase("checksums", total=rows, done=done):
                chunk, differing = next(compared)
                compared_rows = sum(s.rows for s in chunk)
                self._reporter.advance(compared_rows, self._pool.received)
            left, done = left - len(chunk), done + compared_rows
            if differing:
                self._renew(chunk, differing)
            else:
                kept += chunk
        segments = _covering([*kept, *self._assembler.finish()])
        moving: dict[Range, Mismatch] = {}
        rounds = 1
        while True:
            before, moving = moving, self._differing(self._fresh(segments))
            still = next((part for part, pair in moving.items() if before.get(part) == pair), None)
            if still is not None:
                raise Unconfirmed(
                    f"Rows of {self._table.name} in {_words(still)} do not arrive as the server has them."
                )
            stale = self._assembler.take_stale()
            again = {
                _range(s): Mismatch(RangeChecksum(0, 0), RangeChecksum(s.rows, 0)) for s in segments if s.id in stale
            }
            if not again and (not moving or rounds >= ROUNDS):
                break
            rounds += bool(moving)
            self._renew(segments or [NOTHING], {**moving, **again})
            segments = _covering(self._assembler.finish())
        if moving and self._table.range_key is None:
            raise AnswerCut(f"{self._table.name} changes faster than it can be read whole, or its export is cut.")
        return segments, len(moving)

    # -- comparing

    def _fresh(self, segments: Sequence[Segment]) -> list[Block]:
        """The blocks of all ranges that were exported since the last call, and are not known to agree."""
        blocks = self._blocks([s for s in segments if not self._early.get(_place(s))] if segments else [NOTHING])
        self._renewed, self._early = [], {}
        return blocks

    def _blocks(self, segments: Sequence[Segment]) -> list[Block]:
        renewed = sorted(self._renewed, key=_low)
        return [
            block
            for segment in segments
            if (parts := [common for part in renewed if (common := _common(part, _range(segment))) is not None])
            for block in self._assembler.blocks(segment, parts)
        ]

    def _compare_early(self) -> None:
        """Compares segments as they are finished. The assembler, which has more work than the server while rows come,
        catches up meanwhile; else it would be idle while all of them are compared at the end.
        """
        ready = [s for s in self._assembler.so_far() if _place(s) not in self._early]
        if sum(s.rows for s in ready) >= EARLY_ROWS:
            differing = self._pool.run(self._compare, self._blocks(ready))
            for s in ready:
                self._early[_place(s)] = not any(_common(_range(s), part) for part in differing)

    def _chunks(self, held: Sequence[Segment]) -> Iterator[list[Segment]]:
        """Runs of segments that one statement compares, the newest first, each in key order.

        None takes more than half of what is left, so that little is to be rewritten after the last one.
        """
        rest, left = list(held), sum(s.rows for s in held)
        while rest:
            rows = 0
            chunk: list[Segment] = []
            most = min(self._budget, max(FIRST_ROWS, left // 2))
            while rest and (not chunk or (_adjoin(rest[-1], chunk[0]) and rows + rest[-1].rows <= most)):
                chunk.insert(0, rest.pop())
                rows += chunk[0].rows
            left -= rows
            yield chunk

    def _differing(self, blocks: Sequence[Block]) -> dict[Range, Mismatch]:
        """The blocks of which the server has something else."""
        differing: dict[Range, Mismatch] = {}
        with self._reporter.phase("checksums", total=sum(held.rows for _, held in blocks)):
            for asked, found in self._pool.map(self._compare, self._statements(blocks)):
                differing |= found
                self._reporter.advance(sum(held.rows for _, held in asked), self._pool.received)
        return differing

    def _statements(self, blocks: Sequence[Block]) -> Iterator[Sequence[Block]]:
        """As many of the blocks each time as one statement should take."""
        while blocks:
            rows = number = 0
            while number < len(blocks) and (not number or rows + blocks[number][1].rows <= self._budget):
                rows += blocks[number][1].rows
                number += 1
            yield blocks[:number]
            blocks = blocks[number:]

    def _compare_held(self, export: Exporter, segments: Sequence[Segment]) -> dict[Range, Mismatch]:
        """A gap is not asked about: what the server has there differs, and its sum would be one long statement."""
        held = [s for s in segments if s.rows]
        gaps = {
            _range(s): Mismatch(RangeChecksum(0, 0), RangeChecksum(self._table.estimate, 0))
            for s in segments
            if not s.rows
        }
        return gaps | self._compare(export, [b for s in held for b in self._assembler.blocks(s, [_range(s)])])

    def _compare(self, export: Exporter, blocks: Sequence[Block]) -> dict[Range, Mismatch]:
        differing: dict[Range, Mismatch] = {}
        while blocks:
            asked, found = retry(functools.partial(self._ask, export, blocks), self._slower)
            differing |= found
            blocks = blocks[asked:]
        return differing

    def _ask(self, export: Exporter, blocks: Sequence[Block]) -> tuple[int, dict[Range, Mismatch]]:
        """How many of the blocks were compared, and those of them that differ."""
        asked = next(self._statements(blocks))
        parts, held = zip(*asked, strict=True)
        before = export.busy
        totals = server_checksums(export, self._table, parts, held)
        self._pace(sum(total.rows for total in held), export.busy - before)
        both = zip(parts, held, totals, strict=True)
        return len(asked), {part: Mismatch(had, there) for part, had, there in both if had != there}

    def _slower(self) -> None:
        self._budget = max(LEAST_BUDGET, self._budget // 4)

    def _pace(self, rows: int, took: float) -> None:
        """The next statement compares as many rows as the server should manage in the time aimed at."""
        if rows >= self._budget / 2:
            self._budget = max(LEAST_BUDGET, int(rows * min(8.0, self._seconds / max(took, 0.01))))

    # -- exporting

    def _renew(self, segments: Sequence[Segment], differing: dict[Range, Mismatch]) -> None:
        """Exports what differs, and gives the assembler these segments anew, piece by piece."""
        pieces = list(self._plan(segments, merged(sorted(differing, key=_low))))
        new = [piece.part for piece in pieces if isinstance(piece, New)]
        self._renewed += new
        self._reporter.update(exported_ranges=self._reporter.run.exported_ranges + len(new))
        expected = sum(max(pair.there.rows, 0) for pair in differing.values())
        with self._reporter.phase("rows", total=expected):
            stream = _Stream(self._pager.pages(new), self._table)
            self._assembler.put(Begin(segments[0].low))
            for piece in pieces:
                if isinstance(piece, New):
                    for rows in stream.take(piece.part):
                        self._assembler.put(rows)
                        self._reporter.advance(len(rows.rows), self._pool.received)
                        self._compare_early()
                else:
                    self._assembler.put(piece)
            self._assembler.put(Stop(segments[-1].high))

    def _plan(self, segments: Sequence[Segment], differing: Sequence[Range]) -> Iterator[Piece | New]:
        """What each segment is made of now: itself, or rows of it and ranges to be exported."""
        for segment in segments:
            parts = [part for part in (_common(_range(segment), other) for other in differing) if part is not None]
            if not parts:
                if segment.rows:
                    yield Keep(segment)
                continue
            if not copyable(segment) or not segment.rows:
                parts = [_range(segment)]
            fingerprints = self._assembler.fingerprints(segment)
            at = 0
            for part in parts:
                start, stop = fingerprints.within(part)
                if start > at:
                    yield Copy(segment, at, start, part.low)
                yield New(part)
                at = stop
            if at < segment.rows:
                yield Copy(segment, at, segment.rows, segment.high)
            yield End(segment.high)


class _Stream:
    """Hands out the rows of pages range by range."""

    def __init__(self, pages: Iterator[Page], table: Table) -> None:
        self._pages = pages
        self._table = table
        self._page: pa.Table | None = None
        self._upto: int | None = None

    def take(self, part: Range) -> Iterator[Rows]:
        if self._page is None:
            self._page, self._upto = next(self._pages)
        while True:
            cut = len(self._page)
            if part.high is not None:
                keys = keys_of(self._page, self._table)
                cut = RowFingerprints(keys, keys).place(part.high)
            covered = self._upto is None or (part.high is not None and self._upto >= part.high)
            yield Rows(part, self._page.slice(0, cut), not covered)
            self._page = self._page.slice(cut)
            if covered:
                return
            self._page, self._upto = next(self._pages)


def _adjoin(left: Segment, right: Segment) -> bool:
    return left.high is not None and left.high == right.low


def _covering(segments: Sequence[Segment]) -> list[Segment]:
    """In key order, and from end to end: a range that was found empty goes to its neighbours."""
    ordered = sorted((s for s in segments if s.rows), key=lambda s: _low(_range(s)))
    bounds = [None, *(s.low for s in ordered[1:]), None]
    return [s.model_copy(update={"low": bounds[i], "high": bounds[i + 1]}) for i, s in enumerate(ordered)]


def _common(one: Range, other: Range) -> Range | None:
    """The keys in both ranges."""
    low = max((bound for bound in (one.low, other.low) if bound is not None), default=None)
    high = min((bound for bound in (one.high, other.high) if bound is not None), default=None)
    return None if low is not None and high is not None and low >= high else Range(low, high)


def gap(part: Range) -> Segment:
    """A range of which nothing is held."""
    return Segment(id="", rows=0, low=part.low, high=part.high, checksum=0, files={})


NOTHING = gap(WHOLE)


def _range(segment: Segment) -> Range:
    return Range(segment.low, segment.high)


def _place(segment: Segment) -> _Place:
    """A segment where it lies: it may come to cover more keys."""
    return segment.id, segment.low, segment.high


def _low(part: Range) -> tuple[bool, int]:
    """The order of ranges: the one that is open below comes first."""
    return (part.low is not None, part.low or 0)


def _words(part: Range) -> str:
    if part.low is None:
        return "the whole table" if part.high is None else f"keys below {part.high}"
    return f"keys from {part.low}" if part.high is None else f"keys {part.low} to {part.high - 1}"
