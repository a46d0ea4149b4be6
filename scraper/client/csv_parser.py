"""CSV as phpMyAdmin writes it -> Arrow tables, block by block, from a file or while it arrives.

Values are in double quotes, doubled inside; NULL is a marker without quotes; rows end with LF. A value may hold line
breaks of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv

BLOCK = 512 << 10  # bytes that are parsed together


def header_line(names: Sequence[str]) -> bytes:
    """Returns the first line of an export, which names the columns."""
    return (",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n").encode()


def parse_csv(body: IO[bytes], columns: int, null: str, kind: pa.DataType) -> Iterator[pa.Table]:
    """Yields the rows of CSV without a header, block by block, at least once.

    Args:
        body: Where the first row begins.
        columns: The number of values in a row. Columns are named c0, c1 and so on.
        null: What stands for NULL where it is not quoted.
        kind: The Arrow type of all columns, string or binary.

    Raises:
        ValueError: The last row is not complete, or rows differ in their number of values (Arrow raises a subclass).
    """
    yield _no_rows(columns, kind)
    rest = b""
    while block := body.read(BLOCK):
        rest += block
        if end := _end_of_rows(rest):
            yield _parse_rows(rest[:end], columns, null, kind)
            rest = rest[end:]
    if rest:
        raise ValueError("the last row is not complete")


class CsvParser:
    """Parses CSV while it arrives, in the pauses of the transfer. `table` raises what was wrong.

    Args:
        header: The names that the first line must have.
        null: What stands for NULL where it is not quoted.
        kind: The Arrow type of all columns, string or binary.
    """

    def __init__(self, header: Sequence[str], null: str, kind: pa.DataType) -> None:
        self._header = header_line(header)
        self._columns, self._null, self._kind = len(header), null, kind
        self.reset()

    def reset(self) -> None:
        """Forgets what has arrived, since the statement is sent again."""
        self._rest = b""
        self._chunks: list[bytes] = []
        self._size = 0
        self._header_seen = False
        self._tables = [_no_rows(self._columns, self._kind)]
        self._error: ValueError | None = None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes, of any number."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= BLOCK:
            self._parse()

    def table(self) -> pa.Table:
        """Returns all rows, in columns c0, c1 and so on.

        Raises:
            ValueError: The header is another, the last row is not complete, or rows differ in their number of values.
        """
        self._parse()
        if self._error is None and (self._rest or not self._header_seen):
            self._error = ValueError("the last row is not complete")
        if self._error is not None:
            raise self._error
        return pa.concat_tables(self._tables).combine_chunks()

    def _parse(self) -> None:
        data = b"".join([self._rest, *self._chunks])
        self._chunks, self._size = [], 0
        if self._error is not None:
            return
        if not self._header_seen and len(data) >= len(self._header):
            if not data.startswith(self._header):
                self._error = ValueError("the header is another")
                return
            data, self._header_seen = data[len(self._header) :], True
        end = _end_of_rows(data) if self._header_seen else 0
        if end:
            try:
                self._tables.append(_parse_rows(data[:end], self._columns, self._null, self._kind))
            except ValueError as error:
                self._error = error
        self._rest = data[end:]


def _no_rows(columns: int, kind: pa.DataType) -> pa.Table:
    return pa.table([pa.array([], kind)] * columns, names=[f"c{i}" for i in range(columns)])


def _parse_rows(rows: bytes, columns: int, null: str, kind: pa.DataType) -> pa.Table:
    """Parses complete rows as one block: Arrow drops an LF where its own blocks meet between CR and LF in a value."""
    names = [f"c{i}" for i in range(columns)]
    return csv.read_csv(
        pa.py_buffer(rows),
        csv.ReadOptions(use_threads=False, block_size=len(rows), column_names=names),
        csv.ParseOptions(newlines_in_values=True, escape_char=False),
        csv.ConvertOptions(
            column_types=dict.fromkeys(names, kind),
            null_values=[null],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _end_of_rows(data: bytes) -> int:
    """Where the last complete row ends: behind a line break outside of quotes. 0 where no row ends."""
    quotes, end = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord('"'))), len(data)  # faster than data.count
    while (line_break := data.rfind(b"\n", 0, end)) >= 0:
        quotes -= data.count(b'"', line_break, end)
        if quotes % 2 == 0:
            return line_break + 1
        end = line_break
    return 0
