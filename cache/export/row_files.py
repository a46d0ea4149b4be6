"""Writes rows in any file format, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cache.export import text_formats, xlsx
from cache.export.row_format import RowFormat
from cache.schema import Column
from cache.storage.row_encoding import arrow_schema, json_texts
from cache.storage.segment_writer import ROW_GROUP

GROUP_BYTES = 32 << 20  # of a row group in Parquet

Send = Callable[[bytes | memoryview], None]


def write_rows(
    row_format: RowFormat,
    columns: Sequence[Column],
    batches: Iterable[Sequence[pa.Array]],
    rows: int,
    size: int,
    send: Send,
) -> None:
    """Writes rows. JSON rows are joined by commas, without brackets.

    Args:
        row_format: The format; its columns are not selected here.
        columns: The columns, as `text_formats.output_columns` returns them.
        batches: The rows in batches: an array for each column.
        rows: How many rows there are.
        size: About how many bytes they take as JSON.
        send: Called with pieces of the file, in order.

    Raises:
        TooManyRows: The format does not hold so many rows.
    """
    if row_format.format == "parquet":
        _write_parquet(columns, batches, send)
    elif row_format.format == "xlsx":
        texts = (_joined_bytes(xlsx.render_rows(columns, batch)) for batch in batches)
        xlsx.write_workbook(_Sink(send), columns, rows, size, texts)
    else:
        if row_format.format == "csv":
            send(text_formats.csv_header(row_format, columns))
        texts = (_joined_bytes(text_formats.render_rows(row_format, columns, batch)) for batch in batches)
        for text in _without_last_comma(texts) if row_format.format == "json" else texts:
            send(text)


def _joined_bytes(texts: pa.Array) -> memoryview:
    """The texts one after the other, as they are in memory."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, "<i4")[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def _without_last_comma(texts: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    """Rows that end in a comma each; the last comma is left out."""
    for i, text in enumerate(texts):
        if i:
            yield b","
        yield text[:-1]


def _write_parquet(columns: Sequence[Column], batches: Iterable[Sequence[pa.Array]], send: Send) -> None:
    """Writes the types of the cache; JSON columns are texts, as in CSV."""
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
    """A file that sends what is written to it; it cannot seek."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._send(view)
        self._position += len(view)
        return len(view)
