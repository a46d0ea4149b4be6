"""Answers filters, sorts and facets from the column arrays of a generation. It needs only NumPy."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, reduce
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from cache.query.budget import (
    COMPARED_ROW_NS,
    LOOKED_UP_NUMBER_NS,
    LOOKED_UP_ROW_NS,
    LOOKED_UP_TEXT_NS,
    SEARCHED_ROW_NS,
    SORTED_ROW_NS,
    TEXT_NS,
    UNLIMITED,
    VALUE_NS,
    Budget,
)
from cache.query.filters import Query, Sort, compile_predicate, find_column, sortable_column
from cache.query.merged_blocks import MAX_ROWS, MergedBlocks
from cache.query.predicates import CodeRange, JsonScalar, Predicate, json_value, key_range
from cache.query.sorting import BlockRows, RowMask, RowNumbers, SortedTable, rows_in_key_order, sort_all, top_rows
from cache.storage.column_arrays import Block, Codes, Key, Texts, Values, blocks
from cache.storage.snapshot import COLUMNS, Segment, Snapshot

MAX_TOP_ROWS = 5_000  # in large tables: a page that ends at or before this row is selected without a full sort
MAX_COMPARED_RANGES = 4  # code ranges that are compared one by one; more than these are looked up
MAX_SORTED_BYTES = 8 << 20  # in large tables: bytes of sorted row numbers that are kept for further pages
MAX_SORTED_TABLES = 4  # in small tables: number of sort orders that are kept, 2.4 MB each at most
_MAX_LOOKUP_CODES = 1 << 16  # columns with more distinct codes use no lookup array


class Matches(NamedTuple):
    """A page of the rows that match.

    Attributes:
        rows: Row numbers in the snapshot, in the order of the query.
        total: Number of matching rows on all pages.
    """

    rows: RowNumbers
    total: int


class ColumnIndex:
    """The column arrays of a snapshot. An array is read at its first use.

    Queries on columns without arrays, searches inside texts, and queries that cost more than their budget need a scan
    by DuckDB (cache/export). `supports` returns whether the index can answer a query, at whatever cost. Several threads
    may use one index.
    """

    def __init__(self, snapshot: Snapshot, max_merged_rows: int = MAX_ROWS) -> None:
        """Opens no file yet.

        Args:
            snapshot: The generation to answer from.
            max_merged_rows: If the table has at most this many rows, its blocks are merged.
        """
        self._snapshot = snapshot
        self._max_merged_rows = max_merged_rows
        self._columns = snapshot.columns
        self._last_compiled: tuple[Query, list[tuple[str, Predicate]] | None] | None = None
        self._sorted_rows: dict[Query, npt.NDArray[np.uint32]] = {}  # least recently used first
        self._sorted_tables: dict[tuple[Sort, ...], SortedTable] = {}  # oldest first

    def supports(self, query: Query) -> bool:
        """Returns whether `find` can answer the query.

        Raises:
            BadFilter: The query names an unknown column, a condition does not fit its column, or a sort column has no
                order.
        """
        return self._compiled(query) is not None

    def find(self, query: Query, offset: int = 0, limit: int | None = None, budget: Budget = UNLIMITED) -> Matches:
        """Finds the matching rows and returns one page of them.

        Args:
            query: A query that the index `supports`.
            offset: Number of matching rows before the page.
            limit: Maximum number of rows in the page; None: all.
            budget: What the request may still cost.

        Raises:
            BadFilter: The query names an unknown column, a condition does not fit its column, or a sort column has no
                order.
            LookupError: The query needs a scan, or costs more than the budget (BudgetSpent).
            RangeDamaged: A segment that may have matching rows is damaged.
        """
        if not query.conditions and not query.sort:
            total = self._snapshot.rows
            stop = total if limit is None else min(offset + limit, total)
            return Matches(np.arange(min(offset, total), stop), total)
        matching = self._matching(query, budget)
        counts = [block.rows if mask is None else int(np.count_nonzero(mask)) for block, mask in matching]
        total = sum(counts)
        stop = total if limit is None else min(offset + limit, total)
        if offset >= stop:
            return Matches(np.empty(0, np.int64), total)
        if not query.sort:
            return Matches(rows_in_key_order(matching, counts, offset, stop), total)
        block, mask = matching[0]
        if isinstance(block, MergedBlocks):
            return Matches(self._sorted_table(block, query.sort, budget).page(mask, total, offset, stop, budget), total)
        if stop <= MAX_TOP_ROWS:
            budget.spend(total * SORTED_ROW_NS / 8 + stop * len(query.sort) * TEXT_NS)
            return Matches(top_rows(matching, query.sort, stop)[offset:], total)
        return Matches(self._sort_all(query, matching, budget)[offset:stop].astype(np.int64), total)

    def facet(self, query: Query, column: str, limit: int, budget: Budget = UNLIMITED) -> list[tuple[JsonScalar, int]]:
        """Counts the values of a column in the matching rows.

        Args:
            query: A query that the index `supports`. Its sort order has no effect.
            column: Name of the column.
            limit: Maximum number of values.
            budget: What the request may still cost.

        Returns:
            The most frequent values, as they are written in the JSON of the rows, each with its count. Values with
            equal counts are in ascending order, NULL last.

        Raises:
            BadFilter: The query or `column` names an unknown column, or a condition does not fit its column.
            LookupError: The query needs a scan, or costs more than the budget (BudgetSpent).
            RangeDamaged: A segment that may have matching rows is damaged.
        """
        described = find_column(column, self._columns)
        if column not in self._indexed_names:
            raise LookupError("This facet needs a scan.")
        matching = self._matching(query, budget, column)
        budget.spend_groups(self._groups([block for block, _ in matching], column))
        counter: Counter[Key | None] = Counter()
        for block, mask in matching:
            values = block[column]
            budget.spend(block.rows * (LOOKED_UP_ROW_NS if values.top <= _MAX_LOOKUP_CODES else SEARCHED_ROW_NS))
            codes, counts = _count_codes(values.codes if mask is None else values.codes[mask], values.top)
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
                counter[None if code == values.top else values.key(code)] += count
        # unlike `sorted`, it lets other threads run
        most_frequent = heapq.nsmallest(limit, counter.items(), lambda item: (-item[1], item[0] is None, item[0]))
        return [(json_value(key, described), count) for key, count in most_frequent]

    def release(self) -> None:
        """Frees the memory of cached sorts and columns. Other threads may run queries at the same time."""
        self._sorted_rows.clear()
        self._sorted_tables.clear()
        self.__dict__.pop("_merged", None)
        for block in self._blocks:
            block.release()

    def _sorted_table(self, table: MergedBlocks, sort: tuple[Sort, ...], budget: Budget) -> SortedTable:
        """Returns the table sorted by `sort`. The last MAX_SORTED_TABLES sort orders are cached."""
        sorted_table = self._sorted_tables.get(sort)
        if sorted_table is None:
            _spend_on_sort([(table, None)], sort, budget)
            sorted_table = self._sorted_tables[sort] = SortedTable(table, sort)
            for oldest in list(self._sorted_tables)[:-MAX_SORTED_TABLES]:
                self._sorted_tables.pop(oldest, None)
        return sorted_table

    def _sort_all(self, query: Query, matching: Sequence[BlockRows], budget: Budget) -> npt.NDArray[np.uint32]:
        """Returns all matching rows in the order of the query. Recent results are cached, up to MAX_SORTED_BYTES."""
        rows = self._sorted_rows.pop(query, None)
        if rows is None:
            _spend_on_sort(matching, query.sort, budget)
            rows = sort_all(matching, query.sort).astype(np.uint32)
        self._sorted_rows[query] = rows
        while len(self._sorted_rows) > 1 and self._sorted_bytes() > MAX_SORTED_BYTES:
            self._sorted_rows.pop(next(iter(self._sorted_rows), query), None)
        return rows

    def _sorted_bytes(self) -> int:
        return sum(rows.nbytes for rows in list(self._sorted_rows.values()))

    @cached_property
    def _segments(self) -> list[tuple[Segment, list[Block]]]:
        """The blocks of each segment that has rows and is intact."""
        listed = []
        start = 0
        for segment in self._snapshot.manifest.segments:
            if segment.rows and segment.id not in self._snapshot.faults:
                file = self._snapshot.file(segment, COLUMNS)
                listed.append((segment, list(blocks(file, file.size, start))))
            start += segment.rows
        return listed

    @cached_property
    def _blocks(self) -> list[Block]:
        return [block for _, blocks in self._segments for block in blocks]

    def _blocks_for(self, predicates: Sequence[tuple[str, Predicate]]) -> list[Block]:
        """Returns the blocks that may have rows that pass all predicates.

        Raises:
            RangeDamaged: A damaged segment may have some of them.
        """
        faults = self._snapshot.faults
        if not faults:
            return self._blocks
        for segment in self._snapshot.manifest.segments:
            if segment.id in faults and not self._is_outside(segment, predicates):
                self._snapshot.require_segment(segment)
        return [block for segment, blocks in self._segments if segment.id not in faults for block in blocks]

    def _is_outside(self, segment: Segment, predicates: Sequence[tuple[str, Predicate]]) -> bool:
        """Returns whether no key of a segment passes the predicates on the key."""
        if segment.low is segment.high is None:
            return not segment.rows
        (column,) = (column for column in self._columns if column.key)
        keys = key_range(segment.low, segment.high, column)
        ranges = (predicate.code_ranges(keys) for name, predicate in predicates if name == column.name)
        return any(all(start == stop for start, stop in each) for each in ranges)

    @cached_property
    def _indexed_names(self) -> frozenset[str]:
        """Names of the columns that have arrays in every block."""
        names = frozenset(column.name for column in self._columns)
        return names.intersection(*(block.names for block in self._blocks))

    @cached_property
    def _merged(self) -> MergedBlocks | None:
        """All blocks merged into one; None if the table is empty or too large."""
        return MergedBlocks(self._blocks) if 0 < self._snapshot.rows <= self._max_merged_rows else None

    def _compiled(self, query: Query, budget: Budget = UNLIMITED) -> list[tuple[str, Predicate]] | None:
        """Returns the column and the predicate of each condition; None if the query needs a scan.

        The last result is cached, because callers call `supports` and then `find` with the same query.
        """
        last = self._last_compiled
        if last is None or last[0] is not query:
            values = sum(len(c.value) if isinstance(c.value, tuple) else 1 for c in query.conditions)
            budget.spend(values * VALUE_NS)
            last = self._last_compiled = (query, self._compile(query))
        return last[1]

    def _compile(self, query: Query) -> list[tuple[str, Predicate]] | None:
        predicates = [(c.column, compile_predicate(c, self._columns)) for c in query.conditions]
        names = {c.column for c in query.conditions}
        names |= {sortable_column(sort.column, self._columns).name for sort in query.sort}
        usable = [(name, predicate) for name, predicate in predicates if predicate is not None]
        return usable if len(usable) == len(predicates) and names <= self._indexed_names else None

    def _matching(self, query: Query, budget: Budget, *further: str) -> list[BlockRows]:
        """Returns the blocks that may have matching rows, each with a mask of its matching rows.

        The merged block is used if it has all columns of the query and all `further` columns.
        """
        predicates = self._compiled(query, budget)
        if predicates is None:
            raise LookupError("This query needs a scan.")
        names = (*(name for name, _ in predicates), *(sort.column for sort in query.sort), *further)
        merged = None if self._snapshot.faults else self._merged
        if merged:
            budget.spend(merged.cost(names))
        blocks = [merged] if merged and merged.has_columns(names) else self._blocks_for(predicates)
        masks = (
            (block, _match_all([(block[name], predicate) for name, predicate in predicates], budget))
            for block in blocks
        )
        return [(block, mask) for block, mask in masks if mask is not False]

    @staticmethod
    def _groups(blocks: Sequence[Block | MergedBlocks], name: str) -> int:
        return sum(min(block.rows, block[name].top + 1) for block in blocks)


def _spend_on_sort(matching: Sequence[BlockRows], sort: Sequence[Sort], budget: Budget) -> None:
    for name, _ in sort:
        columns = [block[name] for block, _ in matching]
        texts = sum(column.top for column in columns if isinstance(column, Texts))
        budget.spend(sum(block.rows for block, _ in matching) * SORTED_ROW_NS + texts * TEXT_NS)


def _count_codes(codes: Codes, top: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the distinct codes and the number of occurrences of each."""
    if top > _MAX_LOOKUP_CODES:
        different, counts = np.unique(codes, return_counts=True)
        return different.astype(np.int64), counts
    counts = np.bincount(codes)
    occurring = counts.nonzero()[0]
    return occurring, counts[occurring]


def _match_all(predicates: Sequence[tuple[Values, Predicate]], budget: Budget) -> RowMask | Literal[False]:
    """Returns a mask of the rows in a block that pass all predicates. None: all rows pass; False: no row passes."""
    mask: RowMask = None
    for column, predicate in predicates:
        budget.spend(predicate.lookups * (LOOKED_UP_TEXT_NS if isinstance(column, Texts) else LOOKED_UP_NUMBER_NS))
        ranges = predicate.code_ranges(column)
        budget.spend(len(column.codes) * _row_cost(column, ranges))
        passing = _match_ranges(column, ranges)
        if passing is False:
            return False
        if passing is not True:
            mask = passing if mask is None else np.logical_and(mask, passing, out=mask)
    return mask


def _match_ranges(column: Values, ranges: Sequence[CodeRange]) -> npt.NDArray[np.bool_] | bool:
    """Returns a mask of the rows whose code is in one of the ranges. True: all rows match; False: no row matches.

    Args:
        column: The column of a block.
        ranges: Code ranges that a predicate returned.
    """
    if not ranges:
        return False
    codes, size = column.codes, column.top + column.nulls
    if len(ranges) == 1:
        return _match_range(codes, size, *ranges[0])
    if len(ranges) == 2 and ranges[0][0] == 0 and ranges[1][1] == size and ranges[1][0] == ranges[0][1] + 1:
        return np.not_equal(codes, ranges[0][1])
    if len(ranges) <= MAX_COMPARED_RANGES:
        return reduce(np.bitwise_or, (_match_range(codes, size, low, high) for low, high in ranges))
    if size > _MAX_LOOKUP_CODES:
        positions: RowNumbers = np.searchsorted(np.array(ranges).reshape(-1), codes, "right")
        inside: npt.NDArray[np.bool_] = positions % 2 == 1
        return inside
    table = np.zeros(size + 1, np.bool_)
    for low, high in ranges:
        table[low:high] = True
    looked_up: npt.NDArray[np.bool_] = table[codes]
    return looked_up


def _row_cost(column: Values, ranges: Sequence[CodeRange]) -> float:
    if len(ranges) <= MAX_COMPARED_RANGES:
        return len(ranges) * COMPARED_ROW_NS
    return SEARCHED_ROW_NS if column.top + column.nulls > _MAX_LOOKUP_CODES else LOOKED_UP_ROW_NS


def _match_range(codes: Codes, size: int, low: int, high: int) -> npt.NDArray[np.bool_] | bool:
    if low == high:
        return False
    if high == low + 1:
        return np.equal(codes, low)
    if low == 0:
        return high == size or np.less(codes, high)
    from_low: npt.NDArray[np.bool_] = codes >= low
    return from_low if high == size else from_low & (codes < high)
