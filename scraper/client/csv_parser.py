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

from scraper.client.bounds import Bound
from scraper.errors import AnswerInvalid

BLOCK = 512 << 10  # bytes that are parsed together


def header_line(names: Sequence[str]) -> bytes:
    """Returns the first line of an export, which names the columns."""
    return (",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n").encode()


def parse_csv(body: IO[bytes], columns: int, null: str, kind: pa.DataType, bound: Bound) -> Iterator[pa.Table]:
    """Yields the rows of CSV without a header, block by block, at least once.

    Args:
        body: Where the first row begins.
        columns: The number of values in a row. Columns are named c0, c1 and so on.
        null: What stands for NULL where it is not quoted.
        kind: The Arrow type of all columns, string or binary.
        bound: The most bytes that a row may have.

    Raises:
        ValueError: The last row is not complete, or rows differ in their number of values (Arrow raises a subclass).
        AnswerTooLarge: A row is longer than the bound.
    """
    yield _no_rows(columns, kind)
    splitter = _RowSplitter(bound)
    while block := body.read(BLOCK):
        if rows := splitter.rows(block):
            yield _parse_rows(rows, columns, null, kind)
    splitter.end()


class CsvParser:
    """Parses CSV while it arrives, in the pauses of the transfer. `table` raises what was wrong.

    Args:
        header: The names that the first line must have.
        null: What stands for NULL where it is not quoted.
        kind: The Arrow type of all columns, string or binary.
        most_rows: How many rows were requested at most.
        bound: The most bytes that a row may have.
    """

    def __init__(self, header: Sequence[str], null: str, kind: pa.DataType, most_rows: int, bound: Bound) -> None:
        self._header = header_line(header)
        self._columns, self._null, self._kind = len(header), null, kind
        self._most_rows, self._bound = most_rows, bound
        self.reset()

    def reset(self) -> None:
        """Forgets what has arrived, since the statement is sent again."""
        self._chunks: list[bytes] = []
        self._size = 0
        self._header_seen = False
        self._splitter = _RowSplitter(self._bound)
        self._tables = [_no_rows(self._columns, self._kind)]
        self._rows = 0
        self._error: ValueError | None = None

    def feed(self, chunk: bytes) -> None:
        """Takes the next bytes, of any number.

        Raises:
            AnswerTooLarge: A row is longer than the bound.
            AnswerInvalid: There are more rows than were requested.
        """
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size >= BLOCK:
            self._parse()

    def table(self) -> pa.Table:
        """Returns all rows, in columns c0, c1 and so on.

        Raises:
            ValueError: The header is another, the last row is not complete, or rows differ in their number of values.
            AnswerInvalid: There are more rows than were requested.
        """
        self._parse()
        if self._error is None and not self._header_seen:
            self._error = ValueError("the last row is not complete")
        if self._error is not None:
            raise self._error
        self._splitter.end()
        return pa.concat_tables(self._tables).combine_chunks()

    def _parse(self) -> None:
        data = b"".join(self._chunks)
        self._chunks, self._size = [], 0
        if self._error is not None:
            return
        try:
            if not self._header_seen:
                if len(data) < len(self._header):
                    self._chunks, self._size = [data], len(data)
                    return
                if not data.startswith(self._header):
                    raise ValueError("the header is another")
                data, self._header_seen = data[len(self._header) :], True
            if rows := self._splitter.rows(data):
                self._add(_parse_rows(rows, self._columns, self._null, self._kind))
        except ValueError as error:
            self._error = error

    def _add(self, rows: pa.Table) -> None:
        self._rows += len(rows)
        if self._rows > self._most_rows:
            raise AnswerInvalid(f"The server sent more rows than were requested ({self._most_rows:,}).")
        self._tables.append(rows)


class _RowSplitter:
    """Cuts CSV at the ends of rows. It looks at each byte once, however long a value is.

    Args:
        bound: The most bytes that a row may have.
    """

    def __init__(self, bound: Bound) -> None:
        self._bound = bound
        self._rest: list[bytes] = []  # the beginning of a row whose end has not arrived
        self._size = 0
        self._in_quotes = False  # at the end of it

    def rows(self, block: bytes) -> bytes:
        """Takes the next bytes, and returns the rows that are complete now.

        Raises:
            AnswerTooLarge: A row is longer than the bound.
        """
        end, in_quotes = _end_of_rows(block, self._in_quotes)
        rows = b""
        if end:
            rows = b"".join([*self._rest, block[:end]])
            self._rest, self._size = [], 0
        self._rest.append(block[end:])
        self._size += len(block) - end
        self._in_quotes = in_quotes
        self._bound.check(self._size, "A row")
        return rows

    def end(self) -> None:
        """Tells that no more bytes come. Raises ValueError if the last row is not complete."""
        if self._size:
            raise ValueError("the last row is not complete")


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


def _end_of_rows(data: bytes, in_quotes: bool) -> tuple[int, bool]:
    """Where the last complete row ends: behind a line break outside of quotes.

    Args:
        data: What follows a row, or a part of one.
        in_quotes: Whether the data begins inside of quotes.

    Returns:
        The place, 0 where no row ends; and whether the data ends inside of quotes.
    """
    characters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    if not len(quotes):
        return 0 if in_quotes else data.rfind(b"\n") + 1, in_quotes
    breaks = np.flatnonzero(characters == ord("\n"))
    outside = breaks[(np.searchsorted(quotes, breaks) + in_quotes) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0, bool((len(quotes) + in_quotes) % 2)
