"""Pages of rows by keyset: the rows of any number of key ranges, in key order, complete."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from scraper.errors import AnswerCut
from scraper.export import Exporter, patiently
from scraper.ranges import Range, condition
from scraper.table import Table

PAGE_ROWS = 5_000
PAGE_BYTES = 8 << 20
LEAST_ROWS = 100
STUCK_TRIES = 3  # answers that end early and bring nobody further


class Page(NamedTuple):
    """`rows` as text; all rows of the asked ranges with keys below `upto` have been given now (None: all of them)."""

    rows: pa.Table
    upto: int | None


class Pager:
    """Parameters: `seconds` is what a statement aims at: pages shrink where the server is slower, and grow again."""

    def __init__(self, export: Exporter, table: Table, seconds: float) -> None:
        self._export = export
        self._table = table
        self._seconds = seconds
        self._limit = max(1, min(PAGE_ROWS, PAGE_BYTES // max(1, table.row_bytes)))

    def pages(self, ranges: Sequence[Range]) -> Iterator[Page]:
        """The rows of ranges, given in key order.

        A full page cannot be cut. After any other the server is asked how many rows are left: an answer that was cut
        on a row boundary is gone on from there. Where rows share a key, those of the last key go to the next page.
        Raises AnswerCut where the server counts rows that it does not send, and what `Exporter.select` raises.
        """
        if self._table.range_key is None:
            sql = f"SELECT {self._table.select_list} FROM {self._table.sql_name} AS t{self._table.order}"
            batch = None
            for following in self._export.batches(sql, self._table.width, self._table.alias):
                if batch is not None:
                    yield Page(batch, 0)  # without a key there is no telling how far it is: only that more follows
                batch = following
            assert batch is not None
            yield Page(batch, None)
            return
        stuck, limit, rest = 0, self._limit, list(ranges)
        while rest:
            rows, limit = self._page(rest, limit)
            last, same = self._tail(rows)
            full = len(rows) >= limit
            if not full and self._count(_from(rest, last)) <= same:
                yield Page(rows, None)
                return
            kept, ahead = 0, None
            if last is not None:
                ahead, kept = (last + 1, len(rows)) if self._table.unique else (last, len(rows) - same)
            stuck = 0 if kept or full else stuck + 1
            if stuck == STUCK_TRIES:
                raise AnswerCut("The server counts rows in a range that it does not send.")
            if kept:
                rest = _from(rest, ahead)
                yield Page(rows.slice(0, kept), ahead if rest else None)
            limit = limit * 2 if full and not kept else self._adapted(full)  # one key may have more rows than a page

    def _page(self, ranges: Sequence[Range], limit: int) -> tuple[pa.Table, int]:
        """A page, and the limit it was asked with: less where the server did not manage the first one."""
        table = self._table
        where = condition(table, ranges)

        def ask() -> pa.Table:
            sql = f"SELECT {table.select_list} FROM {table.sql_name} AS t{where}{table.order} LIMIT {limit}"
            return self._export.select(sql, table.width, table.alias)

        def less() -> None:
            nonlocal limit
            limit = self._limit = max(min(LEAST_ROWS, limit), limit // 4)

        began = time.monotonic()
        rows = patiently(ask, less)
        self._took = time.monotonic() - began
        self._size = rows.nbytes
        return rows, limit

    def _adapted(self, full: bool) -> int:
        """The next limit: half after an answer that was cut, slow or large; double after a quick small one."""
        if not full or self._took > 2 * self._seconds or self._size > 2 * PAGE_BYTES:
            self._limit = max(min(LEAST_ROWS, self._limit), self._limit // 2)
        elif self._took < self._seconds / 2 and self._size < PAGE_BYTES / 2:
            self._limit = min(PAGE_ROWS, self._limit * 2)
        return self._limit

    def _tail(self, rows: pa.Table) -> tuple[int | None, int]:
        """The last key of a page, and how many of its rows have it."""
        if not len(rows):
            return None, 0
        keys = rows.column(self._table.range_key)
        return int(keys[-1].as_py()), pc.sum(pc.equal(keys, keys[-1])).as_py()

    def _count(self, ranges: Sequence[Range]) -> int:
        where = condition(self._table, ranges)

        def ask() -> int:
            found = self._export.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {self._table.sql_name} AS t{where}", 2)
            if len(found) != 1:
                raise AnswerCut("A count arrived without its row.")
            return int(found.column(0)[0].as_py())

        return patiently(ask)


def _from(ranges: Sequence[Range], key: int | None) -> list[Range]:
    """What is left of ranges from a key on (None: all)."""
    if key is None:
        return list(ranges)
    left = [part for part in ranges if part.high is None or part.high > key]
    return [Range(key if part.low is None or part.low < key else part.low, part.high) for part in left]
