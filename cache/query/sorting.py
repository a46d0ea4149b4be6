"""Rows of one or many blocks in one order: a page, the first of them, or all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cache.query.filters import Sort
from cache.query.merged_blocks import MergedBlocks
from cache.storage.column_arrays import Block, Key, Numbers, Texts, Values

RowNumbers = npt.NDArray[np.int64]
RowMask = npt.NDArray[np.bool_] | None  # of a block's rows; None: all of them
Part = tuple[Block | MergedBlocks, RowMask]  # a block, and which of its rows match

RARE = 8  # rows that are looked at take as long as one that is ranked
ROUND = 3  # times the rows wanted: as many are looked at before they are put in order
_COMBINED = 1 << 48  # of a key made of several codes; a row's place in its block takes 14 bits more


def page(parts: Iterable[Part], counts: Iterable[int], offset: int, stop: int) -> RowNumbers:
    """Rows number `offset` to `stop` of those that match, in key order; `counts` are how many match in each part."""
    found = []
    for (block, mask), count in zip(parts, counts, strict=True):
        if offset < count and stop > 0:
            low, high = max(offset, 0), min(stop, count)
            rows = np.arange(low, high) if mask is None else np.flatnonzero(mask)[low:high]
            found.append(rows + block.start)
        offset, stop = offset - count, stop - count
    return np.concatenate(found)


def whole(parts: Sequence[Part], sort: Sequence[Sort]) -> RowNumbers:
    """All rows that match, in the order of `sort`; equal ones in key order."""
    places = [(block, _places(block, mask)) for block, mask in parts]
    orders = []
    for name, descending in reversed(sort):
        ranks = _ranks([(block[name], rows) for block, rows in places])
        orders.append(~ranks if descending else ranks)
    rows = np.concatenate([rows + block.start for block, rows in places])
    return rows[np.lexsort(orders)]


class Ranking:
    """All rows of a table in the order of `sort`, out of which pages of any filter are picked."""

    def __init__(self, table: MergedBlocks, sort: Sequence[Sort]) -> None:
        self._rows = whole([(table, None)], sort)
        self._ranks = np.empty(len(self._rows), np.uint32)
        self._ranks[self._rows] = np.arange(len(self._rows))

    def page(self, mask: RowMask, total: int, offset: int, stop: int) -> RowNumbers:
        """Rows number `offset` to `stop` of those that match; `total` is how many do."""
        if mask is None:
            return self._rows[offset:stop]
        everything = len(self._rows)
        looked = min(2 * stop * everything // total, everything)  # twice what does where they are spread evenly
        if looked > RARE * total:
            ranks = self._ranks[mask.nonzero()[0]]
            ranks.sort()
            return self._rows[ranks[offset:stop]]
        while True:
            head = self._rows[:looked]
            rows: RowNumbers = head.compress(mask.take(head))
            if len(rows) >= stop:
                return rows[offset:stop]
            looked *= 4


def first(parts: Sequence[Part], sort: Sequence[Sort], count: int) -> RowNumbers:
    """The first `count` rows of those that match, in the order of `sort`; equal ones in key order.

    Blocks are taken in the order of the best value that they hold. Once there are enough rows, the last of them is the
    mark that a row has to be ahead of; most blocks then have few such rows, or none.
    """
    name, descending = sort[0]
    parts = sorted(parts, key=lambda part: _best(part[0][name], descending), reverse=descending)
    leaders = _Leaders(sort, count)
    for block, mask in parts:
        rows = leaders.ahead(block, mask)
        if rows is None:
            break
        if len(rows):
            leaders.add(block, rows if len(rows) <= count else _least(block, rows, sort, count))
    return leaders.rows()


class _Leaders:
    """The first rows of those seen so far, and what their sort columns hold."""

    def __init__(self, sort: Sequence[Sort], count: int) -> None:
        self._sort = sort
        self._count = count
        self._rows: list[RowNumbers] = []
        self._keys: list[list[npt.NDArray[Any]]] = [[] for _ in sort]
        self._new = 0  # rows since they were last put in order
        self._mark: list[Key] | None = None  # keys of the last of them, once there are enough
        self._mark_row = 0

    def ahead(self, block: Block | MergedBlocks, mask: RowMask) -> RowNumbers | None:
        """Places of rows in the block that may be among the first; None where neither it nor a later one has any."""
        if self._mark is None:
            return _places(block, mask)
        name, descending = self._sort[0]
        best = _best(block[name], descending)
        if best < self._mark[0] if descending else best > self._mark[0]:
            return None
        found = _ahead(block, self._sort, self._mark, block.start < self._mark_row)
        return (found if mask is None else found & mask).nonzero()[0]

    def add(self, block: Block | MergedBlocks, rows: RowNumbers) -> None:
        self._rows.append(rows + block.start)
        for keys, (name, _) in zip(self._keys, self._sort, strict=True):
            column = block[name]
            keys.append(column.keys(column.codes[rows]))
        self._new += len(rows)
        if self._new >= (self._count if self._mark is None else ROUND * self._count):
            self._put_in_order()

    def rows(self) -> RowNumbers:
        if self._new:
            self._put_in_order()
        return self._rows[0]

    def _put_in_order(self) -> None:
        rows, keys = np.concatenate(self._rows), [np.concatenate(each) for each in self._keys]
        orders = [rows]
        for each, (_, descending) in zip(reversed(keys), reversed(self._sort), strict=True):
            ranks = _text_ranks(each) if each.dtype == np.object_ else each
            orders.append(~ranks if descending else ranks)
        order = np.lexsort(orders)[: self._count]
        self._rows, self._keys = [rows[order]], [[each[order]] for each in keys]
        self._new = 0
        if len(order) == self._count:
            self._mark = [each[order[-1:]].tolist()[0] for each in keys]
            self._mark_row = int(rows[order[-1]])


def _best(column: Values, descending: bool) -> Any:
    return column.greatest if descending else column.least


def _ahead(block: Block | MergedBlocks, sort: Sequence[Sort], mark: Sequence[Key], ties: bool) -> npt.NDArray[np.bool_]:
    """Which rows stand before the mark; `ties`: or have the same keys."""
    found: npt.NDArray[np.bool_] | None = None  # by the columns behind
    for (name, descending), key in zip(reversed(sort), reversed(mark), strict=True):
        column = block[name]
        codes, code = column.codes, column.bound(key)
        same = column.key(code) == key
        tied = same and ties and found is None
        better: npt.NDArray[np.bool_] = codes >= code + same - tied if descending else codes < code + tied
        found = better if found is None or not same else better | ((codes == code) & found)
    assert found is not None
    return found


def _least(block: Block | MergedBlocks, rows: RowNumbers, sort: Sequence[Sort], count: int) -> RowNumbers:
    """The first `count` of a block's rows and perhaps as many more, in no order."""
    name, descending = sort[0]
    codes = block[name].codes[rows]
    last = np.partition(codes, -count)[-count] if descending else np.partition(codes, count - 1)[count - 1]
    rows = rows[(codes >= last if descending else codes <= last).nonzero()]
    if len(rows) <= 2 * count:
        return rows
    keys, size = np.zeros(len(rows), np.uint64), 1  # the codes of all columns, and the place, as one number
    for name, descending in sort:
        column = block[name]
        codes = column.codes[rows].astype(np.uint64)
        if size * (column.top + 1) > _COMBINED:
            listed, inverse = np.unique(keys, return_inverse=True)
            keys, size = inverse.astype(np.uint64), len(listed)
        keys *= np.uint64(column.top + 1)
        keys += np.uint64(column.top) - codes if descending else codes
        size *= column.top + 1
    keys *= np.uint64(len(rows))
    keys += np.arange(len(rows), dtype=np.uint64)
    found: RowNumbers = rows[np.partition(keys, count - 1)[:count] % np.uint64(len(rows))]
    return found


def _ranks(columns: Sequence[tuple[Values, RowNumbers]]) -> npt.NDArray[np.int64]:
    """Numbers in the order of the keys."""
    texts = sorted({text for column, _ in columns if isinstance(column, Texts) for text in column.texts})
    rank = {text: i for i, text in enumerate(texts)}
    found: list[npt.NDArray[np.int64]] = []
    for column, rows in columns:
        if isinstance(column, Numbers):
            found.append(column.keys(column.codes[rows]))
        else:
            found.append(np.array([*(rank[text] for text in column.texts), len(rank)])[column.codes[rows]])
    return np.concatenate(found)


def _text_ranks(texts: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    listed = texts.tolist()
    rank = {text: i for i, text in enumerate(sorted(set(listed)))}
    return np.array([rank[text] for text in listed])


def _places(block: Block | MergedBlocks, mask: RowMask) -> RowNumbers:
    return np.arange(block.rows) if mask is None else mask.nonzero()[0]
