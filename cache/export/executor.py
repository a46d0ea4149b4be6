"""What DuckDB finds and reads in a generation, and rows rendered anew. Runs in a process of its own: see `worker`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from cache.errors import QueryRefused
from cache.export import external_sort, text_formats, xlsx
from cache.export.order_selection import OrderSelection
from cache.export.row_format import RowFormat
from cache.export.text_formats import csv_header, masked, shown
from cache.query.filters import Query, find_column, order_by, where
from cache.schema import Column
from cache.sql import literal, quoted
from cache.storage.documents import SETUP
from cache.storage.row_encoding import arrow_schema, json_texts, one_chunk
from cache.storage.segment_writer import ROW_GROUP
from cache.storage.snapshot import PARQUET, Snapshot
from cache.storage.store import Cache

MEMORY_LIMIT = "128MB"
SPILL_LIMIT = "2GB"
BATCH_ROWS = 2048
BATCH_BYTES = 4 << 20  # of rows as JSON, which a batch has about: wide rows come in smaller batches
READ_BYTES = 1 << 20
GROUP_BYTES = 32 << 20  # of a row group in Parquet

Numbers = npt.NDArray[np.int64]
Send = Callable[[bytes | memoryview], None]


class ScanRequest(BaseModel, frozen=True):
    """What is asked: `find` the numbers of rows, the values of a `facet`, or the `rows` in a format.

    `limit` None: all. A facet's values are those of `column`. A `selection` of orders stands for the query of rows.
    """

    what: Literal["find", "facet", "rows"]
    generation: int
    query: Query
    offset: int = 0
    limit: int | None = None
    column: str = ""
    row_format: RowFormat = RowFormat()
    selection: OrderSelection | None = None


class ScanExecutor:
    """Answers requests over the generations of a cache."""

    def __init__(self, cache: Cache, folder: Path) -> None:
        self._cache = cache
        self._folder = folder
        self._snapshot: Snapshot | None = None
        self._found: tuple[tuple[int, Query], Numbers] | None = None  # the last one, for the next page
        self._database = duckdb.connect(config={
            "threads": 1, "memory_limit": MEMORY_LIMIT, "temp_directory": str(folder),
            "max_temp_directory_size": SPILL_LIMIT,
        })  # fmt: skip
        self._database.execute("SET TimeZone = 'UTC'")

    def answer(self, request: ScanRequest, send: Send) -> dict[str, Any]:
        """Sends what was asked for, and returns what sums it up. Raises OrdersError."""
        snapshot = self._open(request.generation)
        try:
            if request.what == "find":
                return self._find(snapshot, request, send)
            if request.what == "facet":
                return self._facet(snapshot, request)
            return self._rows(snapshot, request, send)
        except BrokenPipeError:
            raise
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow tells DuckDB's errors as its own
            self._snapshot = None
            self._open(request.generation)  # it may be gone meanwhile, or damaged
            print(f"scan: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            raise QueryRefused(f"The engine refused the query ({type(error).__name__}).") from error

    def _open(self, generation: int) -> Snapshot:
        if self._snapshot is None or self._snapshot.generation != generation:
            self._snapshot = self._cache.snapshots.open(generation)
        return self._snapshot

    # -- row numbers and values

    def _find(self, snapshot: Snapshot, request: ScanRequest, send: Send) -> dict[str, Any]:
        """Sends the numbers of the page's rows as little-endian int64."""
        numbers = self._numbers(snapshot, request.query)
        send(numbers[_page(request)].astype("<i8").tobytes())
        return {"total": len(numbers)}

    def _numbers(self, snapshot: Snapshot, query: Query) -> Numbers:
        """Numbers of the rows that match, in order."""
        if self._found is None or self._found[0] != (snapshot.generation, query):
            self._found = None
            clause, values = where(query.conditions, snapshot.columns)
            number = _unused(snapshot.columns)
            order = ", ".join(filter(None, (order_by(query.sort, snapshot.columns), number)))
            sql = f"SELECT {number} FROM ({self._numbered(snapshot, number)}) WHERE {clause} ORDER BY {order}"
            found = self._database.sql(sql, params=values).to_arrow_table()
            self._found = (snapshot.generation, query), found.column(0).to_numpy()
        return self._found[1]

    def _facet(self, snapshot: Snapshot, request: ScanRequest) -> dict[str, Any]:
        column = find_column(request.column, snapshot.columns)
        clause, values = where(request.query.conditions, snapshot.columns)
        sql = f"""SELECT {quoted(column.name)}, count(*) FROM {self._source(snapshot)} WHERE {clause} GROUP BY 1
                  ORDER BY 2 DESC, 1 NULLS LAST {_limit(request)}"""
        found = self._database.sql(sql, params=values).to_arrow_table()
        texts = json_texts(column, one_chunk(found.column(0))).whole()
        told = [None if text is None else json.loads(text) for text in texts.to_pylist()]
        return {"values": list(zip(told, found.column(1).to_pylist(), strict=True))}

    # -- rows

    def _rows(self, snapshot: Snapshot, request: ScanRequest, send: Send) -> dict[str, Any]:
        row_format = request.row_format
        columns = shown(row_format, snapshot.columns)
        if request.selection:
            number = _unused(snapshot.columns)
            source = self._numbered(snapshot, number)
            numbers = request.selection.numbers(
                self._database, snapshot, self._cache.documents.read(SETUP), source, number
            )
        elif request.query == Query():
            numbers = np.arange(snapshot.rows)[_page(request)]
        else:
            numbers = self._numbers(snapshot, request.query)[_page(request)]
        batches = self._batches(snapshot, numbers, columns, row_format.masked)
        if row_format.format == "parquet":
            _write_parquet(columns, batches, send)
        elif row_format.format == "xlsx":
            size = len(numbers) * _width(snapshot)
            texts = (_bytes(xlsx.rows(columns, batch)) for batch in batches)
            xlsx.write(_Sink(send), columns, len(numbers), size, texts)
        else:
            if row_format.format == "csv":
                send(csv_header(row_format, columns))
            texts = (_bytes(text_formats.rows(row_format, columns, batch)) for batch in batches)
            for text in _joined(texts) if row_format.format == "json" else texts:
                send(text)
        return {}

    def _batches(
        self, snapshot: Snapshot, numbers: Numbers, columns: Sequence[Column], hidden: Collection[str]
    ) -> Iterator[list[pa.Array]]:
        """Values of the rows with these numbers, in that order: an array for each column, a few megabytes at once."""
        step = min(BATCH_ROWS, max(1, BATCH_BYTES // _width(snapshot)))
        batches = _read(snapshot, np.sort(numbers), columns, step)
        if np.any(numbers[1:] < numbers[:-1]):
            batches = external_sort.in_order(batches, np.argsort(numbers), self._folder, step)
        for batch in batches:
            yield [
                masked(column, array) if column.name in hidden else array
                for column, array in zip(columns, batch, strict=True)
            ]

    # -- the table

    def _source(self, snapshot: Snapshot) -> str:
        """All rows, in key order: the process has one thread, so nothing changes their order."""
        paths = ", ".join(literal(str(path)) for path in snapshot.paths(PARQUET))
        if paths:
            return f"read_parquet([{paths}])"
        self._database.register("no_rows", arrow_schema(snapshot.columns).empty_table())
        return "no_rows"

    def _numbered(self, snapshot: Snapshot, number: str) -> str:
        return f"SELECT row_number() OVER () - 1 AS {number}, * FROM {self._source(snapshot)}"


def _unused(columns: Sequence[Column]) -> str:
    """A name that no column has, in whatever case."""
    return quoted("row" + "_" * max(len(column.name) for column in columns))


def _width(snapshot: Snapshot) -> int:
    """Bytes of a row, on average, as JSON."""
    return 1 + snapshot.json_size // max(1, snapshot.rows)


def _read(snapshot: Snapshot, numbers: Numbers, columns: Sequence[Column], step: int) -> Iterator[list[pa.Array]]:
    """Values of the rows with these numbers, which rise: of `step` rows at most at once, as wide as they may be."""
    names = [column.name for column in columns]
    first = 0
    for segment, path in zip(snapshot.manifest.segments, snapshot.paths(PARQUET), strict=True):
        low, high = np.searchsorted(numbers, [first, first + segment.rows])
        if low < high:
            with pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False) as file:
                start = first
                for batch in file.iter_batches(step, columns=names):
                    low, high = np.searchsorted(numbers, [start, start + len(batch)])
                    if low < high:
                        taken = batch if high - low == len(batch) else batch.take(pa.array(numbers[low:high] - start))
                        yield [taken.column(name) for name in names]
                    start += len(batch)
        first += segment.rows


def _page(request: ScanRequest) -> slice:
    return slice(request.offset, None if request.limit is None else request.offset + request.limit)


def _limit(request: ScanRequest) -> str:
    return f"{'' if request.limit is None else f'LIMIT {request.limit}'} OFFSET {request.offset}"


def _bytes(texts: pa.Array) -> memoryview:
    """Rows as they follow each other in memory."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, "<i4")[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def _joined(texts: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    """Rows with a comma behind each, without the last comma."""
    for i, text in enumerate(texts):
        if i:
            yield b","
        yield text[:-1]


def _write_parquet(columns: Sequence[Column], batches: Iterable[Sequence[pa.Array]], send: Send) -> None:
    """Types as in the cache; JSON columns are text, as CSV has them."""
    schema = arrow_schema(columns)
    waiting: list[pa.Table] = []
    with pq.ParquetWriter(_Sink(send), schema, compression="zstd") as writer:
        for batch in batches:
            cells = zip(columns, batch, strict=True)
            arrays = [json_texts(column, values).texts if column.kind == "json" else values for column, values in cells]
            waiting.append(pa.table(arrays, schema.names).cast(schema))
            if sum(map(len, waiting)) >= ROW_GROUP or sum(table.nbytes for table in waiting) >= GROUP_BYTES:
                writer.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks())


class _Sink(io.BufferedIOBase):
    """A file that is written on and on."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._place = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._send(view)
        self._place += len(view)
        return len(view)
