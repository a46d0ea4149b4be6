"""Sorts the rows of one or more blocks: a page, the first rows, or all rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cache.query.budget import LOOKED_UP_ROW_NS, Budget
from cache.query.filters import Sort
from cache.query.merged_blocks import MergedBlocks
from cache.storage.column_arrays import Block, Key, Numbers, Texts, Values

RowNumbers = npt.NDArray[np.int64]
RowMask = npt.NDArray[np.bool_] | None  # mask of rows in a block; None: all rows
BlockRows = tuple[Block | MergedBlocks, RowMask]  # a block, and the mask of its matching rows

SORT_COST = 8  # testing this many rows takes as long as sorting one row
SORT_EVERY = 3  # candidates are sorted once the new ones are this many times the rows needed
_MAX_COMBINED = 1 << 48  # maximum number of different combined sort keys; the position of the row needs 14 more bits


def rows_in_key_order(matching: Iterable[BlockRows], counts: Iterable[int], offset: int, stop: int) -> RowNumbers:
    """Returns a page of the matching rows, in key order.

    Args:
        matching: The blocks in order, each with the mask of its matching rows.
        counts: Number of matching rows in each block.
        offset: Position of the first row of the page.
        stop: Position of the row after the page; greater than `offset`.
    """
    pages = []
    for (block, mask), count in zip(matching, counts, strict=True):
        low, high = max(offset, 0), min(stop, count)
        if low < high:
            rows = np.arange(low, high) if mask is None else np.flatnonzero(mask)[low:high]
            pages.append(rows + block.start)
        offset, stop = offset - count, stop - count
    return np.concatenate(pages)


def sort_all(matching: Sequence[BlockRows], sort: Sequence[Sort]) -> RowNumbers:
    """Returns all matching rows in the order of `sort`. Equal rows are in key order.

    Args:
        matching: The blocks in order, each with the mask of its matching rows.
        sort: Columns to sort by, the most significant first.
    """
    positions = [(block, _positions(block, mask)) for block, mask in matching]
    orders = []
    for name, descending in reversed(sort):
        ranks = _ranks([(block[name], rows) for block, rows in positions])
        orders.append(~ranks if descending else ranks)
    rows = np.concatenate([rows + block.start for block, rows in positions])
    return rows[np.lexsort(orders)]


class SortedTable:
    """All rows of a table in one order. A page for any filter can be read from it."""

    def __init__(self, table: MergedBlocks, sort: Sequence[Sort]) -> None:
        """Sorts the table.

        Args:
            table: The table.
            sort: Columns to sort by, the most significant first.
        """
        self._rows = sort_all([(table, None)], sort)
        self._ranks = np.empty(len(self._rows), np.uint32)
        self._ranks[self._rows] = np.arange(len(self._rows))

    def page(self, mask: RowMask, total: int, offset: int, stop: int, budget: Budget) -> RowNumbers:
        """Returns a page of the matching rows.

        Args:
            mask: The mask of the matching rows.
            total: Number of matching rows; greater than `offset`.
            offset: Position of the first row of the page.
            stop: Position of the row after the page; at most `total`.
            budget: What the request may still cost.

        Raises:
            BudgetSpent: It costs more.
        """
        if mask is None:
            return self._rows[offset:stop]
        size = len(self._rows)
        tested = min(2 * stop * size // total, size)  # twice as many as needed if matching rows are spread evenly
        budget.spend(min(tested, SORT_COST * total) * LOOKED_UP_ROW_NS)
        if tested > SORT_COST * total:
            ranks = self._ranks[mask.nonzero()[0]]
            ranks.sort()
            return self._rows[ranks[offset:stop]]
        while True:
            head = self._rows[:tested]
            rows: RowNumbers = head.compress(mask.take(head))
            if len(rows) >= stop:
                return rows[offset:stop]
            tested *= 4


def top_rows(matching: Sequence[BlockRows], sort: Sequence[Sort], count: int) -> RowNumbers:
    """Returns the first `count` matching rows in the order of `sort`. Equal rows are in key order.

    Blocks are visited in the order of their best value. Once there are enough candidates, the last of them is the
    threshold: further rows must sort before it. In most blocks only few rows do.

    Args:
        matching: The blocks, each with the mask of its matching rows.
        sort: Columns to sort by, the most significant first.
        count: Number of rows; at most the number of matching rows.
    """
    name, descending = sort[0]
    matching = sorted(matching, key=lambda part: _best(part[0][name], descending), reverse=descending)
    candidates = _Candidates(sort, count)
    for block, mask in matching:
        rows = candidates.better(block, mask)
        if rows is None:
            break
        if len(rows):
            candidates.add(block, rows if len(rows) <= count else _preselect(block, rows, sort, count))
    return candidates.rows()


class _Candidates:
    """The first rows of the visited blocks, with the keys of their sort columns."""

    def __init__(self, sort: Sequence[Sort], count: int) -> None:
        self._sort = sort
        self._count = count
        self._rows: list[RowNumbers] = []
        self._keys: list[list[npt.NDArray[Any]]] = [[] for _ in sort]
        self._unsorted = 0  # number of rows added since the last sort
        self._threshold: tuple[list[Key], int] | None = None  # keys and number of the last row, if there are enough

    def better(self, block: Block | MergedBlocks, mask: RowMask) -> RowNumbers | None:
        """Returns positions of rows in the block that may be among the first; None if no later block has any."""
        if self._threshold is None:
            return _positions(block, mask)
        threshold, row = self._threshold
        name, descending = self._sort[0]
        best = _best(block[name], descending)
        if best < threshold[0] if descending else best > threshold[0]:
            return None
        before = _before(block, self._sort, threshold, block.start < row)
        return np.flatnonzero(before if mask is None else before & mask)

    def add(self, block: Block | MergedBlocks, rows: RowNumbers) -> None:
        self._rows.append(rows + block.start)
        for keys, (name, _) in zip(self._keys, self._sort, strict=True):
            column = block[name]
            keys.append(column.keys(column.codes[rows]))
        self._unsorted += len(rows)
        if self._unsorted >= (self._count if self._threshold is None else SORT_EVERY * self._count):
            self._sort_and_cut()

    def rows(self) -> RowNumbers:
        if self._unsorted:
            self._sort_and_cut()
        return self._rows[0]

    def _sort_and_cut(self) -> None:
        rows, keys = np.concatenate(self._rows), [np.concatenate(each) for each in self._keys]
        orders = [rows]
        for each, (_, descending) in zip(reversed(keys), reversed(self._sort), strict=True):
            ranks = _text_ranks(each) if each.dtype == np.object_ else each
            orders.append(~ranks if descending else ranks)
        order = np.lexsort(orders)[: self._count]
        self._rows, self._keys = [rows[order]], [[each[order]] for each in keys]
        self._unsorted = 0
        self._threshold = [each[order[-1:]].tolist()[0] for each in keys], int(rows[order[-1]])


def _best(column: Values, descending: bool) -> Any:
    return column.greatest if descending else column.least


def _before(
    block: Block | MergedBlocks, sort: Sequence[Sort], threshold: Sequence[Key], ties: bool
) -> npt.NDArray[np.bool_]:
    """Returns a mask of the rows that sort before the threshold; with `ties`, also of rows with the same keys."""
    before: npt.NDArray[np.bool_] | None = None  # by the less significant columns
    for (name, descending), key in zip(reversed(sort), reversed(threshold), strict=True):
        column = block[name]
        codes, code = column.codes, column.bound(key)
        same = column.key(code) == key
        tied = same and ties and before is None
        better: npt.NDArray[np.bool_] = codes >= code + same - tied if descending else codes < code + tied
        before = better if before is None or not same else better | ((codes == code) & before)
    assert before is not None
    return before


def _preselect(block: Block | MergedBlocks, rows: RowNumbers, sort: Sequence[Sort], count: int) -> RowNumbers:
    """Returns the first `count` rows of a block and at most `count` further rows, unsorted."""
    name, descending = sort[0]
    codes = block[name].codes[rows]
    last = np.partition(codes, -count)[-count] if descending else np.partition(codes, count - 1)[count - 1]
    rows = rows[(codes >= last if descending else codes <= last).nonzero()]
    if len(rows) <= 2 * count:
        return rows
    keys, size = np.zeros(len(rows), np.uint64), 1  # the codes of all columns and the position, as one number
    for name, descending in sort:
        column = block[name]
        codes = column.codes[rows].astype(np.uint64)
        if size * (column.top + 1) > _MAX_COMBINED:
            different, inverse = np.unique(keys, return_inverse=True)
            keys, size = inverse.astype(np.uint64), len(different)
        keys *= np.uint64(column.top + 1)
        keys += np.uint64(column.top) - codes if descending else codes
        size *= column.top + 1
    keys *= np.uint64(len(rows))
    keys += np.arange(len(rows), dtype=np.uint64)
    first: RowNumbers = rows[np.partition(keys, count - 1)[:count] % np.uint64(len(rows))]
    return first


def _ranks(columns: Sequence[tuple[Values, RowNumbers]]) -> npt.NDArray[np.int64]:
    """Returns numbers that sort like the values, for the given positions of each block."""
    texts = sorted({text for column, _ in columns if isinstance(column, Texts) for text in column.texts})
    rank = {text: i for i, text in enumerate(texts)}
    ranks: list[npt.NDArray[np.int64]] = []
    for column, rows in columns:
        if isinstance(column, Numbers):
            ranks.append(column.keys(column.codes[rows]))
        else:
            ranks.append(np.array([*(rank[text] for text in column.texts), len(rank)])[column.codes[rows]])
    return np.concatenate(ranks)


def _text_ranks(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    listed = texts.tolist()
    rank = {text: i for i, text in enumerate(sorted(set(listed)))}
    return np.array([rank[text] for text in listed])


def _positions(block: Block | MergedBlocks, mask: RowMask) -> RowNumbers:
    return np.arange(block.rows) if mask is None else np.flatnonzero(mask)
