"""Writes rows in any file format, piece by piece."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa

from cache.export.formats import parquet, sqlite, text, xlsx
from cache.export.row_format import RowFormat
from cache.query.filters import Sort
from cache.schema import Column

Send = Callable[[bytes | memoryview], None]


@dataclass(frozen=True)
class RowsToWrite:
    """Rows, and what a writer has to know of them.

    Attributes:
        name: What the rows are of: the name of the table, or that of figures.
        columns: The columns, as `formats.text.output_columns` returns them.
        batches: The rows in batches: an array for each column.
        count: How many rows there are.
        size: About how many bytes they take as JSON.
        order: Columns by which they are known to be sorted, the most significant first.
    """

    name: str
    columns: Sequence[Column]
    batches: Iterable[Sequence[pa.Array]]
    count: int
    size: int = 0
    order: Sequence[Sort] = ()


def write_rows(row_format: RowFormat, rows: RowsToWrite, folder: Path, send: Send) -> None:
    """Writes rows. JSON rows are joined by commas, without brackets.

    Args:
        row_format: The format; its columns are not selected here.
        rows: The rows.
        folder: For a file that cannot be sent while it is written.
        send: Called with pieces of the file, in order.

    Raises:
        TooManyRows: The format does not hold so many rows.
        sqlite3.Error: SQLite does not hold such a table.
    """
    columns, batches = rows.columns, rows.batches
    match row_format.format:
        case "parquet":
            parquet.write_rows(_Sink(send), columns, batches, row_format.about, rows.order)
        case "xlsx":
            texts = (_joined_bytes(xlsx.render_rows(columns, batch)) for batch in batches)
            xlsx.write_workbook(_Sink(send), columns, rows.count, rows.size, texts)
        case "sqlite":
            with TemporaryDirectory(dir=folder) as own:
                file = Path(own) / "rows.sqlite"
                sqlite.write_database(file, rows.name, columns, batches, row_format.about)
                for piece in sqlite.read_pieces(file):
                    send(piece)
        case _:
            if row_format.format == "csv":
                send(text.csv_header(row_format, columns))
            texts = (_joined_bytes(text.render_rows(row_format, columns, batch)) for batch in batches)
            for row in _without_last_comma(texts) if row_format.format == "json" else texts:
                send(row)


def _joined_bytes(texts: pa.Array) -> memoryview:
    """The texts one after the other, as they are in memory."""
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, "<i4")[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])]


def _without_last_comma(texts: Iterator[memoryview]) -> Iterator[bytes | memoryview]:
    """Rows that end in a comma each; the last comma is left out."""
    for i, row in enumerate(texts):
        if i:
            yield b","
        yield row[:-1]


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
