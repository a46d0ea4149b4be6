"""Orders of rows: pages, first rows and whole sorts are those of Python's own stable sort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from column_blocks import make_blocks

from cache.query import sorting
from cache.query.budget import UNLIMITED
from cache.query.filters import Sort
from cache.query.merged_blocks import MergedBlocks
from cache.query.sorting import BlockRows, SortedTable, rows_in_key_order, sort_all, top_rows
from cache.schema import Column, Kind
from cache.storage.column_arrays import Block


def column(name: str, kind: Kind) -> Column:
    return Column(name=name, type=kind, kind=kind, nullable=True, decimals=6)


COLUMNS = (
    column("few", "integer"),
    column("wide", "integer"),  # codes of 32 bits
    column("listed", "integer"),  # keys that stand in a list; they cannot be merged
    column("text", "text"),
    column("label", "text"),  # more different texts than are read at once
)
VALUES: Mapping[str, Callable[[Random], Any]] = {
    "few": lambda lot: lot.randrange(-1, 2),
    "wide": lambda lot: lot.choice([0, 1, 2**31, 2**32 - 3]),
    "listed": lambda lot: lot.choice([-(2**62), -1, 0, 5, 2**62]),
    "text": lambda lot: lot.choice(["", "a", "A", "ä", "b", "\U0001f382"]),
    "label": lambda lot: f"label {lot.randrange(60)}",
}
MERGEABLE = ("few", "wide", "text", "label")


class Table(NamedTuple):
    """Rows, as values of each column and as blocks, and which of them match."""

    values: dict[str, list[Any]]
    blocks: list[Block]
    matching: list[bool]

    def parts(self) -> list[BlockRows]:
        """The blocks with their masks; a block of which all rows match has none."""
        parts: list[BlockRows] = []
        for block in self.blocks:
            mask = np.array(self.matching[block.start : block.start + block.rows])
            if mask.any():
                parts.append((block, None if mask.all() else mask))
        return parts

    def rows(self, sort: Sequence[Sort] = ()) -> list[int]:
        """Numbers of the rows that match, in order: sorted by the least significant column first."""
        rows = [row for row, match in enumerate(self.matching) if match]
        for name, descending in reversed(sort):
            rows.sort(key=lambda row: comparable(self.values[name][row]), reverse=descending)
        return rows


def comparable(value: Any) -> tuple[bool, Any]:
    """NULL is greater than every value; texts are compared by their bytes."""
    return (value is None, value.encode() if isinstance(value, str) else value or 0)


def table(lot: Random) -> Table:
    """One to 120 rows in one to five blocks."""
    size = lot.choice([1, 2, 5, 20, 60, 120])
    nulls = {name: lot.choice([0, 0, 0.1, 0.5, 1]) for name in VALUES}
    values = {
        name: [None if lot.random() < nulls[name] else draw(lot) for _ in range(size)] for name, draw in VALUES.items()
    }
    if lot.random() < 0.5:  # blocks that hold ranges of their own
        for name in VALUES:
            values[name].sort(key=comparable, reverse=lot.random() < 0.5)
    cuts = sorted(lot.sample(range(1, size), min(size - 1, lot.randrange(5))))
    share = lot.choice([0.02, 0.3, 0.8, 1])
    matching = [lot.random() < share for _ in range(size)]
    matching[lot.randrange(size)] = True
    return Table(values, make_blocks(COLUMNS, values, *cuts), matching)


def cases(lot: Random, names: Sequence[str] = tuple(VALUES)) -> Iterator[tuple[Table, list[Sort], int, int]]:
    """Tables with an order and a page of the rows that match, from a row to before another one."""
    for _ in range(12):
        rows = table(lot)
        total = sum(rows.matching)
        for _ in range(6):
            sort = [Sort(name, lot.random() < 0.5) for name in lot.choices(names, k=lot.randrange(1, 4))]
            offset = lot.randrange(total)
            yield rows, sort, offset, lot.randrange(offset, total) + 1


def sorted_page(rows: Table, sort: Sequence[Sort], offset: int, stop: int) -> list[int]:
    """A page of the rows that match, by a table that is sorted as a whole."""
    mask = None if all(rows.matching) else np.array(rows.matching)
    sorted_table = SortedTable(MergedBlocks(rows.blocks), tuple(sort))
    page: list[int] = sorted_table.page(mask, sum(rows.matching), offset, stop, UNLIMITED).tolist()
    return page


SEEDS = pytest.mark.parametrize("seed", range(8))


@SEEDS
def test_a_whole_sort_is_stable_and_puts_null_above_all(seed: int) -> None:
    for rows, sort, _, _ in cases(Random(seed)):
        assert sort_all(rows.parts(), sort).tolist() == rows.rows(sort)


@SEEDS
def test_the_first_rows_are_those_of_the_whole_sort(seed: int) -> None:
    for rows, sort, _, stop in cases(Random(seed)):
        assert top_rows(rows.parts(), sort, stop).tolist() == rows.rows(sort)[:stop]


@SEEDS
def test_a_page_of_a_sorted_table_is_that_of_the_whole_sort(seed: int) -> None:
    for rows, sort, offset, stop in cases(Random(seed), MERGEABLE):
        assert sorted_page(rows, sort, offset, stop) == rows.rows(sort)[offset:stop]


@SEEDS
def test_a_page_in_key_order_is_a_slice_of_the_rows_that_match(seed: int) -> None:
    for rows, _, offset, stop in cases(Random(seed)):
        counts = [block.rows if mask is None else int(mask.sum()) for block, mask in rows.parts()]
        assert rows_in_key_order(rows.parts(), counts, offset, stop).tolist() == rows.rows()[offset:stop]


@pytest.mark.parametrize(("name", "limit"), [("_MAX_COMBINED", 3), ("SORT_EVERY", 1), ("SORT_COST", 0)])
def test_limits_change_how_rows_are_found_and_not_which(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, name, limit)
    for rows, sort, _, stop in cases(Random(20)):
        assert top_rows(rows.parts(), sort, stop).tolist() == rows.rows(sort)[:stop]
    for rows, sort, offset, stop in cases(Random(20), MERGEABLE):
        assert sorted_page(rows, sort, offset, stop) == rows.rows(sort)[offset:stop]


class Watched:
    """A block that records which of its columns were read."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self.start, self.rows = block.start, block.rows
        self.read: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.read.append(name)
        return self._block[name]


@pytest.mark.parametrize("descending", [False, True])
def test_rows_of_blocks_behind_the_threshold_are_not_read(descending: bool) -> None:
    values = {"few": [i // 10 for i in range(100)], "wide": [0] * 100, "listed": [0] * 100}
    blocks = [
        Watched(block)
        for block in make_blocks(COLUMNS, values | {"text": ["a"] * 100, "label": ["a"] * 100}, *range(10, 100, 10))
    ]
    rows = top_rows([(block, None) for block in blocks], [Sort("few", descending), Sort("text")], 15)  # type: ignore[misc]
    assert rows.tolist() == ([*range(90, 100), *range(80, 85)] if descending else [*range(15)])
    read = ["text" in block.read for block in blocks]
    assert read == ([False] * 8 + [True] * 2 if descending else [True] * 2 + [False] * 8)


def test_a_table_of_many_equal_rows_is_cut_by_all_columns() -> None:
    rows = 4000
    values = {"few": [0] * rows, "wide": [2**32 - 3 - i % 2 * 2**31 for i in range(rows)], "listed": [0] * rows}
    values["wide"][5] = 0
    blocks = make_blocks(COLUMNS, values | {"text": ["a", "b"] * (rows // 2), "label": ["a"] * rows})
    sort = [Sort("few"), Sort("wide"), Sort("text", descending=True), Sort("wide", descending=True)]
    assert top_rows([(blocks[0], None)], sort, 4).tolist() == [5, 1, 3, 7]
