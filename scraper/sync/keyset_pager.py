"""Keyset paging: reads all rows of any number of key ranges, in key order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scraper.client.exporter import Exporter
from scraper.client.response import integer
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut, AnswerInvalid, AnswerTooLarge, RequestTooLong, StatementBlocked
from scraper.sync.row_fingerprints import keys_of, rows_below
from scraper.table.checksums import range_condition
from scraper.table.key_ranges import Range, count_keys, from_key, split_after
from scraper.table.table import Table

PAGE_ROWS = 5_000
PAGE_BYTES = 8 << 20
LEAST_ROWS = 100
MOST_RANGES = 4_096  # of one statement
FILLED = 0.95  # expected fill of a page, as a share of its limit, if several pages are requested at once
ALL = 2**64 - 1  # rows: a LIMIT comes before sql_select_limit of the server
STUCK_TRIES = 3  # after this many cut responses without a new row, AnswerCut is raised


class Page(NamedTuple):
    """A page of rows, as text.

    Attributes:
        rows: The rows, in key order.
        complete_below: All rows of the ranges with keys below this one have been delivered; None: all rows.
    """

    rows: pa.Table
    complete_below: int | None


class Pager:
    """Reads pages by keyset. Pages shrink if the server is slow or cuts responses, and grow again later.

    Args:
        pool: The phpMyAdmin sessions. With several sessions, several pages are read at once.
        table: The table and its dialect.
        seconds: Target duration of one statement.
    """

    def __init__(self, pool: SessionPool, table: Table, seconds: float) -> None:
        self._pool = pool
        self._table = table
        self._seconds = seconds
        # Rows of a page. Several sessions set it without a lock, which only affects speed.
        self._most_ranges = MOST_RANGES
        self._limit = max(1, min(PAGE_ROWS, PAGE_BYTES // max(1, table.row_bytes)))

    def pages(self, ranges: Sequence[Range]) -> Iterator[Page]:
        """Yields the rows of ranges, which are in key order.

        A full page was not cut. After a page that is not full, the server counts the remaining rows. If rows remain,
        the response was cut at the end of a row, and the next page continues there. If rows can share a key, the rows
        with the last key are read again with the next page.

        Raises:
            AnswerCut: The server counts more rows than it sends.
            ScrapeError: A request failed (see `Exporter.select`).
        """
        if self._table.range_key is None:
            yield from self._unordered()
            return
        page, rest = self._pool.run(self._read, ranges)
        yield page
        top = self._highest_key(rest) if rest and self._pool.size > 1 else None
        if top is not None:
            yield from self._concurrent(ranges, page, rest, top)
            return
        while rest:
            page, rest = self._pool.run(self._read, rest)
            yield page

    def _unordered(self) -> Iterator[Page]:
        sql = f"SELECT {self._table.select_list} FROM {self._table.sql_name} AS t{self._table.order} LIMIT {ALL}"

        def first_batch() -> tuple[pa.Table, Iterator[pa.Table]]:
            batches = self._pool.first.batches(sql, self._table.width, self._table.alias)
            return next(batches), batches

        batch, batches = self._pool.first.retry(first_batch)
        for following in batches:
            yield Page(batch, 0)  # rows without a key have no position: 0 only means that more rows follow
            batch = following
        yield Page(batch, None)

    # -- one page

    def _read(self, exporter: Exporter, ranges: Sequence[Range]) -> tuple[Page, list[Range]]:
        """Reads the next page of ranges. Returns the page and the ranges that remain."""
        stuck, limit = 0, self._limit
        while True:
            busy_before = exporter.busy
            rows, limit, asked = self._select(exporter, ranges, limit)
            later = list(ranges[len(asked) :])
            seconds = exporter.busy - busy_before
            last_key, sharing = self._last_key(rows)
            full = len(rows) >= limit
            complete = not full and self._count(exporter, from_key(asked, last_key)) <= sharing
            usable, next_key = 0, None
            if last_key is not None:
                usable = len(rows) if self._table.unique else len(rows) - sharing
                next_key = last_key + 1 if self._table.unique else last_key
            if complete or not full or usable:
                self._adapt(rows, limit, seconds, cut=not full and not complete)
            if complete:
                return Page(rows, later[0].low if later else None), later
            if usable:
                rest = [*from_key(asked, next_key), *later]
                return Page(rows.slice(0, usable), next_key if rest else None), rest
            limit = limit * 2 if full else self._limit  # one key may have more rows than a page
            stuck += not full
            if stuck == STUCK_TRIES:
                raise AnswerCut("The server counts rows in a range that it does not send.")

    def _select(self, exporter: Exporter, ranges: Sequence[Range], limit: int) -> tuple[pa.Table, int, Sequence[Range]]:
        """Returns a page, its row limit and the ranges that it is of: fewer than requested if a try failed."""
        table, asked = self._table, ranges[: self._most_ranges]

        def select() -> pa.Table:
            nonlocal asked
            where = range_condition(table, asked)
            sql = f"SELECT {table.select_list} FROM {table.sql_name} AS t{where}{table.order} LIMIT {limit}"
            try:
                return exporter.select(sql, table.width, limit, table.alias, exporter.row_bound)
            except RequestTooLong:
                asked = asked[: max(1, len(asked) // 4)]
                self._most_ranges = len(asked)
                raise

        def shrink() -> None:
            nonlocal limit
            limit = self._limit = max(min(LEAST_ROWS, limit), limit // 4)

        while True:
            try:
                rows = exporter.retry(select, shrink)
            except AnswerTooLarge:  # rows are longer than the server estimates
                if limit == 1:
                    raise
                limit = self._limit = max(1, limit // 50)
                continue
            self._refuse_other_keys(rows, asked)
            return rows, limit, asked

    def _refuse_other_keys(self, rows: pa.Table, ranges: Sequence[Range]) -> None:
        """Refuses rows that are not in key order, or not of the ranges: after such rows, paging might never end."""
        keys = keys_of(rows, self._table)
        first, last = ranges[0].low, ranges[-1].high
        if len(keys) and (
            np.any(keys[1:] < keys[:-1])
            or (first is not None and int(keys[0]) < first)
            or (last is not None and int(keys[-1]) >= last)
        ):
            raise AnswerInvalid(f"The server sent rows of {self._table.name} that were not requested.")

    def _adapt(self, rows: pa.Table, limit: int, seconds: float, cut: bool) -> None:
        """Sets the next limit: half after a cut, slow or large response, double after a fast and small one."""
        if cut or seconds > 2 * self._seconds or rows.nbytes > 2 * PAGE_BYTES:
            self._limit = max(min(LEAST_ROWS, self._limit), self._limit // 2)
        elif len(rows) >= limit / 2 and seconds < self._seconds / 2 and rows.nbytes < PAGE_BYTES / 2:
            self._limit = min(PAGE_ROWS, self._limit * 2)

    def _last_key(self, rows: pa.Table) -> tuple[int | None, int]:
        """Returns the last key of a page, and the number of its rows with this key."""
        if not len(rows):
            return None, 0
        keys = rows.column(self._table.range_key)
        return int(keys[-1].as_py()), pc.sum(pc.equal(keys, keys[-1])).as_py()

    def _count(self, exporter: Exporter, ranges: Sequence[Range]) -> int:
        return exporter.retry(lambda: count_rows(exporter, self._table, range_condition(self._table, ranges)))

    # -- several pages at once

    def _concurrent(self, ranges: Sequence[Range], first: Page, rest: list[Range], top: int) -> Iterator[Page]:
        """Yields the pages of `rest`, read by all sessions. Earlier pages show how many keys a page has.

        A page is requested with some rows after its end. Then it is full, and no count is needed.
        """
        bottom = int(keys_of(first.rows, self._table)[0])

        def keys_per_page(requested: Sequence[Range], left: Sequence[Range], rows: int) -> int:
            keys = count_keys(requested, bottom, top) - count_keys(left, bottom, top)
            return max(1, int(keys * self._limit * FILLED) // max(rows, 1))

        width = keys_per_page(ranges, rest, len(first.rows))
        queue: deque[list[Range] | _PageRequest] = deque([rest])
        while queue:
            for i in range(self._pool.size + 1):
                if i < len(queue) and isinstance(unread := queue[i], list):
                    span, behind = split_after(unread, width, bottom, top)
                    beyond, _ = split_after(behind, width, bottom, top)
                    queue[i] = _PageRequest(span, self._pool.submit(self._read, [*span, *beyond]))
                    if behind:
                        queue.insert(i + 1, behind)
            request = queue.popleft()
            assert isinstance(request, _PageRequest)
            rows, complete_below = self._pool.result(request.answer)[0]
            end = request.span[-1].high
            short = complete_below is not None and (end is None or complete_below < end)
            left = from_key(request.span, complete_below) if short else []
            if end is not None and not left:
                rows = rows.slice(0, rows_below(keys_of(rows, self._table), end))
            width = keys_per_page(request.span, left, len(rows)) if len(rows) else width * 4
            if left:
                queue.appendleft(left)
            yield Page(rows, complete_below if left else end if queue else None)

    def _highest_key(self, ranges: Sequence[Range]) -> int | None:
        """Returns the highest key; None if the table is empty, or a firewall blocks the statement."""
        high, table = ranges[-1].high, self._table
        if high is not None:
            return high - 1
        sql = (
            f"SELECT {table.sql_key} AS {table.alias}0, 0 AS {table.alias}1 FROM {table.sql_name} AS t "
            f"ORDER BY {table.sql_key} DESC LIMIT 1"
        )

        def select(exporter: Exporter, sql: str) -> int | None:
            try:
                answer = exporter.retry(lambda: exporter.select(sql, 2, 1, table.alias))
            except StatementBlocked:  # then one session reads all pages, with simpler statements
                return None
            return integer(answer.column(0)[0].as_py()) if len(answer) else None

        return self._pool.run(select, sql)


class RangeReader:
    """Reads the rows of pages range by range.

    Args:
        pages: The pages that `Pager.pages` yields for the ranges.
        table: The table of the ranges.
    """

    def __init__(self, pages: Iterator[Page], table: Table) -> None:
        self._pages = pages
        self._table = table
        self._page: Page | None = None

    def read(self, part: Range) -> Iterator[tuple[pa.Table, bool]]:
        """Yields rows of the next range, and whether more rows of this range follow."""
        page = self._page or next(self._pages)
        while True:
            stop = len(page.rows) if part.high is None else rows_below(keys_of(page.rows, self._table), part.high)
            complete = page.complete_below is None or (part.high is not None and page.complete_below >= part.high)
            self._page = page._replace(rows=page.rows.slice(stop))
            yield page.rows.slice(0, stop), not complete
            if complete:
                return
            page = next(self._pages)


class _PageRequest(NamedTuple):
    """The ranges that a page must contain, and its response, which may contain more."""

    span: list[Range]
    answer: Future[tuple[Page, list[Range]]]


def count_rows(exporter: Exporter, table: Table, where: str = "") -> int:
    """Returns the server's count of the rows that meet a WHERE clause.

    Raises:
        AnswerCut: The response has no row.
        ScrapeError: A request failed (see `Exporter.select`).
    """
    answer = exporter.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {table.sql_name} AS t{where}", 2, 1)
    if len(answer) != 1:
        raise AnswerCut("A count arrived without its row.")
    return integer(answer.column(0)[0].as_py())
