"""CSV as phpMyAdmin writes it -> columns of texts, by Arrow, piece by piece: at once, or while it still arrives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np
import pyarrow as pa
from pyarrow import csv

BLOCK = 512 << 10  # bytes that are parsed together


def header_line(names: Sequence[str]) -> bytes:
    """The first line, which names the columns."""
    return (",".join('"' + name.replace('"', '""') + '"' for name in names) + "\n").encode()


def parsed(body: IO[bytes], columns: int, null: str, kind: pa.DataType) -> Iterator[pa.Table]:
    """The rows of CSV without its header, piece by piece, one at least, in columns c0, c1 and so on.

    Parameters: `null` is what stands for NULL where it is not quoted; `kind` is the type of each column, text or bytes.
    Raises ValueError (Arrow's are such) where the end is inside of a row, or rows differ in their number of values.
    """
    yield _empty(columns, kind)
    rest = b""
    while block := body.read(BLOCK):
        rest += block
        if end := _end_of_rows(rest):
            yield _table(rest[:end], columns, null, kind)
            rest = rest[end:]
    if rest:
        raise ValueError("the end is inside of a row")


class Arriving:
    """Rows that are parsed in the pauses of their transfer, while the server makes the next ones.

    Parameters: as for `parsed`; `header` are the names that the first line must have. What is wrong is told by `table`.
    """

    def __init__(self, header: Sequence[str], null: str, kind: pa.DataType) -> None:
        self._header = header_line(header)
        self._columns, self._null, self._kind = len(header), null, kind
        self.begin()

    def begin(self) -> None:
        """Forgets what has arrived: the question is asked again."""
        self._rest = b""
        self._blocks: list[bytes] = []
        self._size = 0
        self._headed = False
        self._tables = [_empty(self._columns, self._kind)]
        self._wrong: ValueError | None = None

    def feed(self, piece: bytes) -> None:
        self._blocks.append(piece)
        self._size += len(piece)
        if self._size >= BLOCK:
            self._take()

    def table(self) -> pa.Table:
        """All rows. Raises ValueError where they do not parse, or do not begin with the header."""
        self._take()
        if self._wrong is None and (self._rest or not self._headed):
            self._wrong = ValueError("the end is inside of a row")
        if self._wrong is not None:
            raise self._wrong
        return pa.concat_tables(self._tables).combine_chunks()

    def _take(self) -> None:
        data = b"".join([self._rest, *self._blocks])
        self._blocks, self._size = [], 0
        if self._wrong is not None:
            return
        if not self._headed and len(data) >= len(self._header):
            if not data.startswith(self._header):
                self._wrong = ValueError("the header is another")
                return
            data, self._headed = data[len(self._header) :], True
        end = _end_of_rows(data) if self._headed else 0
        if end:
            try:
                self._tables.append(_table(data[:end], self._columns, self._null, self._kind))
            except ValueError as error:
                self._wrong = error
        self._rest = data[end:]


def _empty(columns: int, kind: pa.DataType) -> pa.Table:
    return pa.table([pa.array([], kind)] * columns, names=[f"c{i}" for i in range(columns)])


def _table(rows: bytes, columns: int, null: str, kind: pa.DataType) -> pa.Table:
    """Whole rows as one block: where Arrow's own blocks meet between CR and LF inside of a value, it drops the LF."""
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
    """Where the last whole row ends: behind a line break outside of quotes. 0 where no row ends."""
    quotes, end = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord('"'))), len(data)  # data.count takes longer
    while (found := data.rfind(b"\n", 0, end)) >= 0:
        quotes -= data.count(b'"', found, end)
        if quotes % 2 == 0:
            return found + 1
        end = found
    return 0
