"""Exports a key range into segments: pages by keyset, each page checked, summed, rendered and written."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from cache.render import SegmentWriter, engine, unwrap
from cache.snapshot import Column, Segment
from cache.store import Store
from scraper.changes import Marks
from scraper.errors import AnswerCut
from scraper.export import Exporter
from scraper.ranges import WHOLE, Range, condition
from scraper.table import Table, may_be_json

PAGE_ROWS = 10_000
STUCK_TRIES = 3  # answers that end early and bring nobody further


class Loader:
    """Parameters: `known` are the columns of the generation before, whose decided kinds stay; `workspace` is a folder
    for segments in the making; `on_rows` is told of each page's number of rows.

    What a text holds (JSON or not) and whether a TINYINT(1) is a boolean is decided by the values, once: a column is
    taken for the richer kind until one contradicts. `stale` names the segments that were written before that;
    `written` holds what tells the rows of each segment apart.
    """

    def __init__(
        self,
        export: Exporter,
        table: Table,
        known: Sequence[Column],
        store: Store,
        workspace: Path,
        timezone: str,
        on_rows: Callable[[int], None],
    ) -> None:
        self._export = export
        self._table = table
        self._store = store
        self._workspace = workspace
        self._timezone = timezone
        self._on_rows = on_rows
        self._duck = engine()
        self._names = itertools.count()
        self.written: dict[str, Marks] = {}
        self.stale: set[str] = set()
        decided = {(column.name, column.type): column.kind for column in known if column.decided}
        self._columns = list(table.columns)
        self._open: set[int] = set()  # columns whose kind is still to be decided
        self._seen: set[int] = set()  # those of them that have shown a value
        for i, column in enumerate(table.columns):
            if kind := decided.get((column.name, column.type)):
                self._columns[i] = column.model_copy(update={"kind": kind})
            elif column.kind == "boolean" or may_be_json(column):
                self._open.add(i)
                self._columns[i] = column.model_copy(update={"kind": _richer(column)})

    def close(self) -> None:
        self._duck.close()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns as decided so far."""
        columns = list(self._columns)
        for i in self._open - self._seen:
            columns[i] = _plain(columns[i], decided=False)
        return tuple(columns)

    def load(self, part: Range) -> list[Segment]:
        """The rows of a range, as segments that cover it from end to end. One without rows has no files.

        Raises AnswerCut where the server counts rows that it does not send, and what `Exporter.select` raises.
        """
        if self._table.range_key is None:
            return [self._write(part, self._export.batches(self._select(part), self._table.width, self._table.alias))]
        segments = []
        for bounds, page in self._pages(part):
            segments.append(self._write(bounds, [page]))
            self._on_rows(len(page))
        return segments

    # -- reading

    def _select(self, part: Range, limit: str = "") -> str:
        table = self._table
        where = condition(table, [part]) if part != WHOLE else ""
        return f"SELECT {table.select_list} FROM {table.sql_name} AS t{where}{table.order}{limit}"

    def _pages(self, part: Range) -> Iterator[tuple[Range, pa.Table]]:
        """The next page is fetched while the caller works on this one.

        A full page cannot be cut. After any other the server is asked how many rows are left: an answer that was cut
        on a row boundary is gone on from there. Where rows share a key, those of the last key go to the next page.
        """
        limit, stuck, low, high = PAGE_ROWS, 0, *part
        with ThreadPoolExecutor(max_workers=1) as fetcher:
            following: Future[pa.Table] = fetcher.submit(self._page, part, limit)
            while True:
                page = following.result()
                last, same = self._tail(page)
                full = len(page) >= limit
                if not full and self._count(Range(low if last is None else last, high)) <= same:
                    yield Range(low, high), page
                    return
                ahead, kept = low, 0
                if last is not None:
                    ahead, kept = (last + 1, len(page)) if self._table.unique else (last, len(page) - same)
                if kept and ahead == high:
                    yield Range(low, high), page
                    return
                if full and not kept:  # one key has more rows than a page
                    limit *= 2
                stuck = 0 if kept or full else stuck + 1
                if stuck == STUCK_TRIES:
                    raise AnswerCut("The server counts rows in a range that it does not send.")
                following = fetcher.submit(self._page, Range(ahead if kept else low, high), limit)
                if kept:
                    yield Range(low, ahead), page.slice(0, kept)
                    low = ahead

    def _page(self, part: Range, limit: int) -> pa.Table:
        return self._export.select(self._select(part, f" LIMIT {limit}"), self._table.width, self._table.alias)

    def _tail(self, page: pa.Table) -> tuple[int | None, int]:
        """The last key of a page, and how many of its rows have it."""
        if not len(page):
            return None, 0
        keys = page.column(self._table.range_key)
        return int(keys[-1].as_py()), pc.sum(pc.equal(keys, keys[-1])).as_py()

    def _count(self, part: Range) -> int:
        where = condition(self._table, [part])
        found = self._export.select(f"SELECT COUNT(*) AS c0, 0 AS c1 FROM {self._table.sql_name} AS t{where}", 2)
        if len(found) != 1:
            raise AnswerCut("A count arrived without its row.")
        return int(found.column(0)[0].as_py())

    # -- writing

    def _write(self, bounds: Range, pages: Iterable[pa.Table]) -> Segment:
        folder = self._workspace / str(next(self._names))
        with ExitStack() as stack:
            writer: SegmentWriter | None = None
            marks: list[Marks] = []
            for page in pages:
                if not len(page):
                    continue
                if writer is None:
                    self._decide(page)
                    writer = stack.enter_context(SegmentWriter(folder, self._columns, self._timezone))
                page = page.select(range(len(self._columns)))
                checksums = self._table.checksums(self._duck, page)
                writer.write(page, checksums)
                marks.append(Marks.of(page, checksums, self._table))
            if writer is None:
                return Segment(id="", rows=0, low=bounds.low, high=bounds.high, checksum=0, files={})
            segment = writer.close(*bounds)
        self._store.adopt(folder, segment)
        self.written[segment.id] = Marks.joined(marks)
        self._contradict(segment)
        return segment

    def _decide(self, page: pa.Table) -> None:
        """Looks at the first values of columns that have shown none yet."""
        for i in sorted(self._open - self._seen):
            values = page.column(i).drop_null()
            if not len(values):
                continue
            if all(map(_fits[self._columns[i].kind], values.to_pylist())):
                self._seen.add(i)
            else:
                self._settle(i)

    def _contradict(self, segment: Segment) -> None:
        wrong = [i for i in self._open & self._seen if self._columns[i].name in segment.misfits]
        for i in wrong:
            self._settle(i)
        if wrong:
            self.stale |= set(self.written)

    def _settle(self, i: int) -> None:
        self._columns[i] = _plain(self._columns[i])
        self._open.discard(i)


_fits: dict[str, Callable[[str], bool]] = {
    "json": lambda value: unwrap(value) is not None,
    "boolean": lambda value: value in ("0", "1"),
}


def _richer(column: Column) -> str:
    return "boolean" if column.kind == "boolean" else "json"


def _plain(column: Column, decided: bool = True) -> Column:
    return column.model_copy(update={"kind": "integer" if column.kind == "boolean" else "text", "decided": decided})
