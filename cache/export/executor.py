"""Executes queries with DuckDB and renders rows of a generation. Runs in worker processes (cache/export/worker.py)."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from cache.access.masking import Mask
from cache.analytics.order_list.line_rows import LineRows
from cache.errors import QueryRefused, RangeDamaged
from cache.export import external_sort
from cache.export.formats.text import masked_values, output_columns
from cache.export.order_selection import OrderSelection
from cache.export.row_files import RowsToWrite, Send, write_rows
from cache.export.row_format import RowFormat
from cache.interpretation.chosen_reading import reading_in_use
from cache.machine.memory import database_limit
from cache.query.filters import Query, Sort, find_column, order_by, value_sql, where
from cache.schema import Column
from cache.sql import literal, quoted
from cache.storage.documents import SETUP
from cache.storage.row_encoding import arrow_schema, json_texts, one_chunk
from cache.storage.snapshot import PARQUET, Snapshot
from cache.storage.store import Cache

MEMORY_MB = 128
SPILL_LIMIT = "2GB"
BATCH_ROWS = 2048
BATCH_BYTES = 4 << 20  # of a batch, about, measured as JSON: wide rows come in smaller batches
READ_BYTES = 1 << 20

log = logging.getLogger(__name__)

RowNumbers = npt.NDArray[np.int64]


class ScanRequest(BaseModel, frozen=True):
    """A request to a worker.

    Attributes:
        what: `find` row numbers, count the values of `facets`, or render `rows`.
        generation: The generation to answer from.
        query: Which rows, in which order.
        offset: Rows (values of a facet) to leave out at the beginning.
        limit: Rows (values of a facet) at most; None: all.
        columns: The columns of the facets.
        row_format: How to render rows.
        selection: Orders whose rows are rendered, instead of those of the query.
    """

    what: Literal["find", "facets", "rows"]
    generation: int
    query: Query
    offset: int = 0
    limit: int | None = None
    columns: tuple[str, ...] = ()
    row_format: RowFormat = RowFormat()
    selection: OrderSelection | None = None

    @property
    def page(self) -> slice:
        """The positions that `offset` and `limit` ask for."""
        return slice(self.offset, None if self.limit is None else self.offset + self.limit)


class ScanExecutor:
    """Executes requests over the generations of a cache, one at a time."""

    def __init__(self, cache: Cache, folder: Path) -> None:
        """Opens an in-memory database.

        Args:
            cache: The cache.
            folder: For temporary files.
        """
        self._cache = cache
        self._folder = folder
        self._snapshot: Snapshot | None = None
        self._last_rows: tuple[tuple[int, Query], RowNumbers] | None = None  # for the next page of the same query
        self._database = duckdb.connect(
            config={
                "threads": 1,
                "memory_limit": database_limit(MEMORY_MB),
                "temp_directory": str(folder),
                "max_temp_directory_size": SPILL_LIMIT,
            }
        )
        self._database.execute("SET TimeZone = 'UTC'")

    def execute(self, request: ScanRequest, send: Send) -> dict[str, Any]:
        """Executes a request.

        Args:
            request: The request.
            send: Called with pieces of the answer, in order.

        Returns:
            A summary, as JSON types: `total` of `find`, `facets`: the values of each column.

        Raises:
            OrdersError: The query does not fit the table, the generation is gone, or DuckDB refuses.
        """
        snapshot = self._open(request.generation)
        try:
            snapshot.require(self._needed_rows(snapshot, request))
        except RangeDamaged:
            self._cache.snapshots.inspect(request.generation)  # raises where the generation is gone by now
            raise
        try:
            if request.what == "find":
                return self._find(snapshot, request, send)
            if request.what == "facets":
                return {"facets": {name: self._facet(snapshot, request, name) for name in request.columns}}
            return self._render(snapshot, request, send)
        except BrokenPipeError:
            raise
        except (
            duckdb.Error,
            sqlite3.Error,
            pa.ArrowException,
            OSError,
        ) as error:  # Arrow raises DuckDB's errors as its own
            self._snapshot = None
            self._open(request.generation).require()  # raises where the generation is gone by now, or damaged
            log.error("scan: %s: %s", type(error).__name__, error)
            raise QueryRefused.by_engine(type(error).__name__) from error

    def _open(self, generation: int) -> Snapshot:
        if self._snapshot is None or self._snapshot.generation != generation:
            self._snapshot = self._cache.snapshots.inspect(generation)
        self._snapshot.find_faults()
        return self._snapshot

    @staticmethod
    def _needed_rows(snapshot: Snapshot, request: ScanRequest) -> range | None:
        """The numbers of the rows that answer a request; None: any row may."""
        if request.what != "rows" or request.selection or request.query != Query():
            return None
        return range(snapshot.rows)[request.page]

    def _find(self, snapshot: Snapshot, request: ScanRequest, send: Send) -> dict[str, Any]:
        """Sends the row numbers of the page as little-endian int64."""
        numbers = self._matching_rows(snapshot, request.query)
        send(numbers[request.page].astype("<i8").tobytes())
        return {"total": len(numbers)}

    def _facet(self, snapshot: Snapshot, request: ScanRequest, name: str) -> list[tuple[Any, int]]:
        column = find_column(name, snapshot.columns)
        clause, parameters = where(request.query.conditions, snapshot.columns)
        limit = "" if request.limit is None else f"LIMIT {request.limit}"
        sql = f"""SELECT {value_sql(column)}, count(*) FROM {self._source(snapshot)} WHERE {clause} GROUP BY 1
                  ORDER BY 2 DESC, 1 NULLS LAST {limit} OFFSET {request.offset}"""
        counts = self._database.sql(sql, params=parameters).to_arrow_table()
        texts = json_texts(column, one_chunk(counts.column(0))).quoted()
        values = [None if text is None else json.loads(text) for text in texts.to_pylist()]
        return list(zip(values, counts.column(1).to_pylist(), strict=True))

    def _render(self, snapshot: Snapshot, request: ScanRequest, send: Send) -> dict[str, Any]:
        row_format = request.row_format
        numbers = self._requested_rows(snapshot, request)
        if request.selection and request.selection.lines:
            self._render_lines(snapshot, request.selection, row_format, numbers, send)
            return {}
        columns = output_columns(row_format, snapshot.columns)
        own_order = request.selection and request.selection.sort
        rows = RowsToWrite(
            snapshot.manifest.source.table,
            columns,
            self._batches(snapshot, numbers, columns, row_format.mask),
            len(numbers),
            len(numbers) * _mean_row_bytes(snapshot),
            [] if own_order else _known_order(snapshot, request.query, columns, row_format.mask),
        )
        write_rows(row_format, rows, self._folder, send)
        return {}

    def _render_lines(
        self, snapshot: Snapshot, selection: OrderSelection, row_format: RowFormat, numbers: RowNumbers, send: Send
    ) -> None:
        """Renders the line items of the orders in these rows. What is hidden of the rows is not in them."""
        setup = self._cache.documents.read(SETUP)
        roles = selection.roles(snapshot, setup, reading_in_use(self._cache, snapshot, setup))
        lines = LineRows(roles, snapshot.manifest.key)
        columns = output_columns(row_format, lines.columns)
        places = [lines.columns.index(column) for column in row_format.select(lines.columns)]

        def batches() -> Iterator[list[pa.Array]]:
            return self._batches(snapshot, numbers, lines.source, row_format.mask)

        count = sum(lines.count(self._database, batch) for batch in batches()) if row_format.format == "xlsx" else 0
        made = (lines.of(self._database, batch) for batch in batches())
        chosen = ([values[place] for place in places] for values in made)
        size = len(numbers) * _mean_row_bytes(snapshot)
        write_rows(row_format, RowsToWrite("line items", columns, chosen, count, size), self._folder, send)

    def _requested_rows(self, snapshot: Snapshot, request: ScanRequest) -> RowNumbers:
        """The row numbers of the page or the selection, in order."""
        if request.selection:
            setup = self._cache.documents.read(SETUP)
            reading = reading_in_use(self._cache, snapshot, setup)
            return request.selection.row_numbers(self._database, snapshot, setup, reading)
        if request.query == Query():
            return np.arange(snapshot.rows)[request.page]
        return self._matching_rows(snapshot, request.query)[request.page]

    def _matching_rows(self, snapshot: Snapshot, query: Query) -> RowNumbers:
        """The row numbers of all rows that match, in order."""
        if self._last_rows is None or self._last_rows[0] != (snapshot.generation, query):
            self._last_rows = None
            clause, parameters = where(query.conditions, snapshot.columns)
            number = _unused_name(snapshot.columns)
            order = ", ".join(filter(None, (order_by(query.sort, snapshot.columns), number)))
            source = self._numbered_source(snapshot, number)
            sql = f"SELECT {number} FROM ({source}) WHERE {clause} ORDER BY {order}"
            table = self._database.sql(sql, params=parameters).to_arrow_table()
            self._last_rows = (snapshot.generation, query), table.column(0).to_numpy()
        return self._last_rows[1]

    def _batches(
        self, snapshot: Snapshot, numbers: RowNumbers, columns: Sequence[Column], mask: Mask
    ) -> Iterator[list[pa.Array]]:
        """Values of the rows with these numbers, in that order: batches with an array for each column."""
        batch_rows = min(BATCH_ROWS, max(1, BATCH_BYTES // _mean_row_bytes(snapshot)))
        batches = _read_batches(snapshot, np.sort(numbers), columns, batch_rows)
        if np.any(numbers[1:] < numbers[:-1]):
            batches = external_sort.sort_batches(batches, np.argsort(numbers), self._folder, batch_rows)
        for batch in batches:
            yield [masked_values(*cells, mask) for cells in zip(columns, batch, strict=True)]

    def _source(self, snapshot: Snapshot) -> str:
        """SQL of all rows. They are in key order, since the database has one thread."""
        paths = ", ".join(literal(str(path)) for path in snapshot.paths(PARQUET))
        if paths:
            return f"read_parquet([{paths}])"
        self._database.register("no_rows", arrow_schema(snapshot.columns).empty_table())
        return "no_rows"

    def _numbered_source(self, snapshot: Snapshot, number: str) -> str:
        """SQL of all rows, with the row number as the column `number`."""
        return f"SELECT row_number() OVER () - 1 AS {number}, * FROM {self._source(snapshot)}"


def _unused_name(columns: Sequence[Column]) -> str:
    """An identifier that no column has, in upper or lower case."""
    return quoted("row" + "_" * max(len(column.name) for column in columns))


def _known_order(snapshot: Snapshot, query: Query, columns: Sequence[Column], mask: Mask) -> list[Sort]:
    """The columns by which the rows are sorted, as far as they are shown, the most significant first.

    Equal rows are in key order. An integer key is compared here as in MySQL, texts are not.
    """
    key = snapshot.manifest.key
    kinds = {column.name: column.kind for column in snapshot.columns}
    asked = [sort.column for sort in query.sort]
    last = [
        Sort(name) for name in key if len(key) == 1 and kinds[name] in ("integer", "unsigned") and name not in asked
    ]
    shown = {column.name for column in columns} - {*mask.columns}
    return list(takewhile(lambda sort: sort.column in shown, [*query.sort, *last]))


def _mean_row_bytes(snapshot: Snapshot) -> int:
    """Mean size of a row as JSON, in bytes."""
    return 1 + snapshot.json_size // max(1, snapshot.rows)


def _read_batches(
    snapshot: Snapshot, numbers: RowNumbers, columns: Sequence[Column], batch_rows: int
) -> Iterator[list[pa.Array]]:
    """Values of the rows with these rising numbers, in batches of `batch_rows` at most."""
    names = [column.name for column in columns]
    first = 0
    for segment, path in zip(snapshot.manifest.segments, snapshot.paths(PARQUET), strict=True):
        low, high = np.searchsorted(numbers, [first, first + segment.rows])
        if low < high:
            with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
                start = first
                for batch in file.iter_batches(batch_rows, columns=names):
                    low, high = np.searchsorted(numbers, [start, start + len(batch)])
                    if low < high:
                        taken = batch if high - low == len(batch) else batch.take(pa.array(numbers[low:high] - start))
                        yield [taken.column(name) for name in names]
                    start += len(batch)
        first += segment.rows
