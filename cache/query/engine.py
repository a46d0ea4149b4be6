"""Filters, sorts and counts of values, answered from the column arrays of a generation. Needs NumPy alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property, reduce
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cache.query.filters import Query, Sort, find_column, sortable_column
from cache.query.merged_blocks import MAX_ROWS, MergedBlocks
from cache.query.predicates import Range, Scalar, Wanted, json_value, wanted
from cache.query.sorting import Part, Ranking, RowMask, RowNumbers, first, page, whole
from cache.storage.column_arrays import Block, Codes, Key, Values, blocks
from cache.storage.mapped_files import mapped
from cache.storage.snapshot import COLUMNS, Snapshot

FIRST = 5_000  # rows of a sort that are found without sorting all, in large tables; farther on, all are
SEVERAL = 4  # ranges that are compared one by one
KEPT_BYTES = 8 << 20  # of whole sorts, for the pages that follow
RANKINGS = 4  # that are kept, of small tables: 2.4 MB each at most
COUNTED = 50_000  # different values, or what may be as many, that are counted without a scan


class Matches(NamedTuple):
    """Numbers of a page's rows, in the order asked for; `total` is how many match."""

    rows: RowNumbers
    total: int


class ColumnIndex:
    """The column arrays of a snapshot: mapped when they are first asked for, and never copied as a whole.

    Queries whose columns have no arrays, and searches inside texts, are for a scan: see `supports` and cache/export.
    Parameters: the blocks of a table of up to so many rows are `joined`.
    """

    def __init__(self, snapshot: Snapshot, max_merged_rows: int = MAX_ROWS) -> None:
        self._snapshot = snapshot
        self._max_merged_rows = max_merged_rows
        self._columns = snapshot.columns
        self._asked: tuple[Query, list[tuple[str, Wanted]] | None] | None = None  # the last query
        self._sorted: dict[Query, npt.NDArray[np.uint32]] = {}  # the least recently used first
        self._rankings: dict[tuple[Sort, ...], Ranking] = {}  # the oldest first

    def supports(self, query: Query) -> bool:
        """Whether `find` can answer. Raises BadFilter."""
        return self._tests(query) is not None

    def supports_facet(self, query: Query, column: str) -> bool:
        """Whether `facet` can answer. Raises BadFilter."""
        name = find_column(column, self._columns).name
        if not self.supports(query) or name not in self._names:
            return False
        return sum(min(block.rows, block[name].top + 1) for block in self._blocks) <= COUNTED

    def find(self, query: Query, offset: int = 0, limit: int | None = None) -> Matches:
        """Rows that match, in order, from number `offset` on, `limit` at most. Raises BadFilter."""
        if not query.conditions and not query.sort:
            total = self._snapshot.rows
            stop = total if limit is None else min(offset + limit, total)
            return Matches(np.arange(min(offset, total), stop), total)
        parts = self._matching(query)
        counts = [block.rows if mask is None else int(np.count_nonzero(mask)) for block, mask in parts]
        total = sum(counts)
        stop = total if limit is None else min(offset + limit, total)
        if offset >= stop:
            return Matches(np.empty(0, np.int64), total)
        if not query.sort:
            return Matches(page(parts, counts, offset, stop), total)
        if isinstance(parts[0][0], MergedBlocks):
            return Matches(self._ranking(parts[0][0], query.sort).page(parts[0][1], total, offset, stop), total)
        if stop <= FIRST:
            return Matches(first(parts, query.sort, stop)[offset:], total)
        return Matches(self._whole(query, parts)[offset:stop].astype(np.int64), total)

    def release(self) -> None:
        """Lets go of what was made for queries; it is made again when it is needed. Others may ask meanwhile."""
        self._sorted.clear()
        self._rankings.clear()
        self.__dict__.pop("_joined", None)

    def _ranking(self, table: MergedBlocks, sort: tuple[Sort, ...]) -> Ranking:
        """The last ones are kept."""
        found = self._rankings.get(sort)
        if found is None:
            found = self._rankings[sort] = Ranking(table, sort)
            for oldest in list(self._rankings)[:-RANKINGS]:
                self._rankings.pop(oldest, None)
        return found

    def _whole(self, query: Query, parts: Sequence[Part]) -> npt.NDArray[np.uint32]:
        """All rows that match, in order; the last results are kept. Several threads may ask at once."""
        found = self._sorted.pop(query, None)
        if found is None:
            found = whole(parts, query.sort).astype(np.uint32)
        self._sorted[query] = found
        while len(self._sorted) > 1 and sum(rows.nbytes for rows in list(self._sorted.values())) > KEPT_BYTES:
            self._sorted.pop(next(iter(self._sorted), query), None)
        return found

    def facet(self, query: Query, column: str, limit: int) -> list[tuple[Scalar, int]]:
        """The column's most frequent values among the rows that match, as their JSON has them, and how often each is.

        Equally frequent ones stand in the order of the values, NULL last. Raises BadFilter.
        """
        counted: Counter[Key | None] = Counter()
        for block, mask in self._matching(query, column):
            held = block[column]
            codes, counts = _counts(held.codes if mask is None else held.codes[mask], held.top)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                counted[None if code == held.top else held.key(code)] += count
        kind = find_column(column, self._columns)
        most = sorted(counted.items(), key=lambda item: (-item[1], item[0] is None, item[0]))
        return [(json_value(key, kind), count) for key, count in most[:limit]]

    @cached_property
    def _blocks(self) -> list[Block]:
        found: list[Block] = []
        start = 0
        for segment, path in zip(self._snapshot.manifest.segments, self._snapshot.paths(COLUMNS), strict=True):
            if segment.rows:
                found += blocks(mapped(path), start)
            start += segment.rows
        return found

    @cached_property
    def _names(self) -> frozenset[str]:
        """The columns that have arrays in every block."""
        names = frozenset(column.name for column in self._columns)
        return names.intersection(*(block.names for block in self._blocks))

    def _tests(self, query: Query) -> list[tuple[str, Wanted]] | None:
        """What is asked of which column; None where it needs a scan."""
        asked = self._asked
        if asked is None or asked[0] is not query:
            asked = self._asked = (query, self._read(query))
        return asked[1]

    def _read(self, query: Query) -> list[tuple[str, Wanted]] | None:
        found = [(c.column, wanted(c, find_column(c.column, self._columns))) for c in query.conditions]
        names = {name for name, _ in found} | {sortable_column(s.column, self._columns).name for s in query.sort}
        tests = [(name, test) for name, test in found if test is not None]
        return tests if len(tests) == len(found) and names <= self._names else None

    def _matching(self, query: Query, *further: str) -> list[Part]:
        """The blocks, and which of their rows match: all as one where the query's columns and `further` can be."""
        tests = self._tests(query)
        if tests is None:
            raise LookupError("This query needs a scan.")
        names = (*(name for name, _ in tests), *(sort.column for sort in query.sort), *further)
        blocks = [self._joined] if self._joined and self._joined.can(names) else self._blocks
        masks = ((block, _all([(block[name], test) for name, test in tests])) for block in blocks)
        return [(block, mask) for block, mask in masks if mask is not False]

    @cached_property
    def _joined(self) -> MergedBlocks | None:
        """All blocks as one; None where the table has none, or is too large."""
        return MergedBlocks(self._blocks) if 0 < self._snapshot.rows <= self._max_merged_rows else None


def _counts(codes: Codes, top: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The different codes, and how often each is there."""
    if top > 1 << 16:
        different, counts = np.unique(codes, return_counts=True)
        return different.astype(np.int64), counts
    counts = np.bincount(codes)
    there = counts.nonzero()[0]
    return there, counts[there]


def _all(tests: Sequence[tuple[Values, Wanted]]) -> RowMask | Literal[False]:
    """Which rows pass all the tests; False: none does."""
    mask: RowMask = None
    for column, test in tests:
        found = _mask(column, test.ranges(column))
        if found is False:
            return False
        if found is not True:
            mask = found if mask is None else np.logical_and(mask, found, out=mask)
    return mask


def _mask(column: Values, ranges: Sequence[Range]) -> npt.NDArray[np.bool_] | bool:
    """Which rows have a code in one of the ranges; false and true: none and all."""
    if not ranges:
        return False
    codes, size = column.codes, column.top + column.nulls
    if len(ranges) == 1:
        return _within(codes, size, *ranges[0])
    if len(ranges) == 2 and ranges[0][0] == 0 and ranges[1][1] == size and ranges[1][0] == ranges[0][1] + 1:
        return np.not_equal(codes, ranges[0][1])
    if len(ranges) <= SEVERAL:
        return reduce(np.bitwise_or, (_within(codes, size, low, high) for low, high in ranges))
    if size > 1 << 16:
        places: RowNumbers = np.searchsorted(np.array(ranges).reshape(-1), codes, "right")
        inside: npt.NDArray[np.bool_] = places % 2 == 1
        return inside
    table = np.zeros(size + 1, np.bool_)
    for low, high in ranges:
        table[low:high] = True
    listed: npt.NDArray[np.bool_] = table[codes]
    return listed


def _within(codes: Codes, size: int, low: int, high: int) -> npt.NDArray[np.bool_] | bool:
    if low == high:
        return False
    if high == low + 1:
        return np.equal(codes, low)
    if low == 0:
        return high == size or np.less(codes, high)
    from_low: npt.NDArray[np.bool_] = codes >= low
    return from_low if high == size else from_low & (codes < high)
