"""Pages of rows by keyset: the rows of any number of key ranges, in key order, complete."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from scraper.client.exporter import Exporter
from scraper.client.retry import retry
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut, StatementBlocked
from scraper.sync.row_fingerprints import RowFingerprints, keys_of
from scraper.table.checksums import Range, condition
from scraper.table.table import Table

PAGE_ROWS = 5_000
PAGE_BYTES = 8 << 20
LEAST_ROWS = 100
FILLED = 0.95  # the share of a page that is meant to be filled where several are asked for at once
STUCK_TRIES = 3  # answers that end early and bring nobody further


class Page(NamedTuple):
    """`rows` as text; all rows of the asked ranges with keys below `upto` have been given now (None: all of them)."""

    rows: pa.Table
    upto: int | None


class Pager:
    """Parameters: `seconds` is what a statement aims at: pages shrink where the server is slower, and grow again."""

    def __init__(self, pool: SessionPool, table: Table, seconds: float) -> None:
        self._pool = pool
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
            yield from self._unordered()
            return
        page, rest = self._pool.run(self._read, ranges)
        yield page
        top = self._top(rest) if rest and self._pool.size > 1 else None
        if top is not None:
            yield from self._at_once(ranges, page, rest, top)
            return
        while rest:
            page, rest = self._pool.run(self._read, rest)
            yield page

    def _unordered(self) -> Iterator[Page]:
        sql = f"SELECT {self._table.select_list} FROM {self._table.sql_name} AS t{self._table.order}"

        def begin() -> tuple[pa.Table, Iterator[pa.Table]]:
            batches = self._pool.first.batches(sql, self._table.width, self._table.alias)
            return next(batches), batches

        batch, batches = retry(begin)
        for following in batches:
            yield Page(batch, 0)  # without a key there is no telling how far it is: only that more follows
            batch = following
        yield Page(batch, None)

    # -- one page

    def _read(self, export: Exporter, ranges: Sequence[Range]) -> tuple[Page, list[Range]]:
        """The next page of ranges, and what is left of them."""
        stuck, limit = 0, self._limit
        while True:
            before = export.busy
            rows, limit = self._page(export, ranges, limit)
            took = export.busy - before
            last, same = self._tail(rows)
            full = len(rows) >= limit
            whole = not full and self._count(export, _from(ranges, last)) <= same
            kept, ahead = 0, None
            if last is not None:
                ahead, kept = (last + 1, len(rows)) if self._table.unique else (last, len(rows) - same)
            if whole or not full or kept:
                self._adapt(rows, limit, took, cut=not full and not whole)
            if whole:
                return Page(rows, None), []
            if kept:
                rest = _from(ranges, ahead)
                return Page(rows.slice(0, kept), ahead if rest else None), rest
            limit = limit * 2 if full else self._limit  # one key may have more rows than a page
            stuck += not full
            if stuck == STUCK_TRIES:
                raise AnswerCut("The server counts rows in a range that it does not send.")

    def _page(self, export: Exporter, ranges: Sequence[Range], limit: int) -> tuple[pa.Table, int]:
        """A page, and the limit it was asked with: less where the server did not manage the first one."""
        table = self._table
        where = condition(table, ranges)

        def ask() -> pa.Table:
            sql = f"SELECT {table.select_list} FROM {table.sql_name} AS t{where}{table.order} LIMIT {limit}"
            return export.select(sql, table.width, table.alias)

        def less() -> None:
            nonlocal limit
            limit = self._limit = max(min(LEAST_ROWS, limit), limit // 4)

        return retry(ask, less), limit

    def _adapt(self, rows: pa.Table, limit: int, took: float, cut: bool) -> None:
        """The next limit: half after an answer that was cut, slow or large; double after a quick small one."""
        if cut or took > 2 * self._seconds or rows.nbytes > 2 * PAGE_BYTES:
            self._limit = max(min(LEAST_ROWS, self._limit), self._limit // 2)
        elif len(rows) >= limit / 2 and took < self._seconds / 2 and rows.nbytes < PAGE_BYTES / 2:
            self._limit = min(PAGE_ROWS, self._limit * 2)

    def _tail(self, rows: pa.Table) -> tuple[int | None, int]:
        """The last key of a page, and how many of its rows have it."""
        if not len(rows):
            return None, 0
        keys = rows.column(self._table.range_key)
        return int(keys[-1].as_py()), pc.sum(pc.equal(keys, keys[-1])).as_py()

    def _count(self, export: Exporter, ranges: Sequence[Range]) -> int:
        where = condition(self._table, ranges)

        def ask() -> int:
            found = export.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {self._table.sql_name} AS t{where}", 2)
            if len(found) != 1:
                raise AnswerCut("A count arrived without its row.")
            return int(found.column(0)[0].as_py())

        return retry(ask)

    # -- several at once

    def _at_once(self, ranges: Sequence[Range], first: Page, rest: list[Range], top: int) -> Iterator[Page]:
        """The pages of `rest`, one per session; how many keys make a page is learnt from the ones before.

        A page is asked for with some rows beyond its end, so that it is full, and needs no count.
        """
        bottom = int(keys_of(first.rows, self._table)[0])

        def keys_a_page(read: Sequence[Range], left: Sequence[Range], rows: int) -> int:
            keys = _keys(read, bottom, top) - _keys(left, bottom, top)
            return max(1, int(keys * self._limit * FILLED) // max(rows, 1))

        width = keys_a_page(ranges, rest, len(first.rows))
        line: deque[list[Range] | _Asked] = deque([rest])
        while line:
            for i in range(self._pool.size + 1):
                if i < len(line) and isinstance(unread := line[i], list):
                    span, behind = _cut(unread, width, bottom, top)
                    beyond, _ = _cut(behind, width, bottom, top)
                    line[i] = _Asked(span, self._pool.submit(self._read, [*span, *beyond]))
                    if behind:
                        line.insert(i + 1, behind)
            asked = line.popleft()
            assert isinstance(asked, _Asked)
            rows, upto = self._pool.result(asked.answer)[0]
            end = asked.span[-1].high
            left = _from(asked.span, upto) if upto is not None and (end is None or upto < end) else []
            if end is not None and not left:
                keys = keys_of(rows, self._table)
                rows = rows.slice(0, RowFingerprints(keys, keys).place(end))
            width = keys_a_page(asked.span, left, len(rows)) if len(rows) else width * 4
            if left:
                line.appendleft(left)
            yield Page(rows, upto if left else end if line else None)

    def _top(self, ranges: Sequence[Range]) -> int | None:
        """The highest key; None where the server does not tell."""
        high, table = ranges[-1].high, self._table
        if high is not None:
            return high - 1
        sql = (
            f"SELECT {table.sql_key} AS {table.alias}0, 0 AS {table.alias}1 FROM {table.sql_name} AS t "
            f"ORDER BY {table.sql_key} DESC LIMIT 1"
        )

        def ask(export: Exporter, sql: str) -> int | None:
            try:
                found = retry(lambda: export.select(sql, 2, table.alias))
            except StatementBlocked:  # then one session does: the pages themselves hold less
                return None
            return int(found.column(0)[0].as_py()) if len(found) else None

        return self._pool.run(ask, sql)


class _Asked(NamedTuple):
    """A page that was asked for: the ranges that it has to bring, and the answer, which may bring more."""

    span: list[Range]
    answer: Future[tuple[Page, list[Range]]]


def _keys(ranges: Sequence[Range], bottom: int, top: int) -> int:
    """How many keys there may be in ranges, of those from bottom to top."""
    return sum(max(0, (top + 1 if high is None else min(high, top + 1)) - (bottom if low is None else max(low, bottom)))
               for low, high in ranges)  # fmt: skip


def _cut(ranges: Sequence[Range], width: int, bottom: int, top: int) -> tuple[list[Range], list[Range]]:
    """The first `width` keys of ranges, and the rest."""
    for i, part in enumerate(ranges):
        size = _keys([part], bottom, top)
        if size > width:
            place = max(bottom, part.low if part.low is not None else bottom) + width
            before = [Range(part.low, place)] if width else []
            return [*ranges[:i], *before], [Range(place if width else part.low, part.high), *ranges[i + 1 :]]
        width -= size
    return list(ranges), []


def _from(ranges: Sequence[Range], key: int | None) -> list[Range]:
    """What is left of ranges from a key on (None: all)."""
    if key is None:
        return list(ranges)
    left = [part for part in ranges if part.high is None or part.high > key]
    return [Range(key if part.low is None or part.low < key else part.low, part.high) for part in left]
