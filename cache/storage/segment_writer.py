"""Writes rows as a segment: Parquet with exact types, JSON plain and compressed, and arrays for filters and sorts."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cache.schema import Column
from cache.storage import gzip_concat
from cache.storage.column_writer import blocks_of
from cache.storage.row_encoding import ENCODING, arrow_schema, json_rows, json_texts, one_chunk, to_arrow
from cache.storage.snapshot import CHECKSUMS, COLUMNS, GZIP, JSON, OFFSETS, PARQUET, File, Segment

Checksums = npt.NDArray[np.uint64]

PIECE_BYTES = 8 << 20  # size of the rows that are encoded at once, since each step makes a copy in memory
ROW_GROUP = 10_000  # rows in a Parquet row group


class SegmentWriter:
    """Writes the files of one segment, batch by batch, in row order.

    Attributes:
        rows: Number of rows that are written.
    """

    def __init__(self, folder: Path, columns: Sequence[Column], timezone: str = "UTC") -> None:
        """Creates the files.

        Args:
            folder: The folder of the segment. It must not exist.
            columns: The columns, as the manifest records them.
            timezone: The time zone of DATETIME values, an IANA name.
        """
        self._folder = folder
        self._columns = columns
        self._timezone = timezone
        self.rows = 0
        self._sum = 0
        self._end = 0
        self._misfits: Counter[str] = Counter()
        self._zero_dates: Counter[str] = Counter()
        folder.mkdir(mode=0o700)
        # JSON values hardly ever repeat: a dictionary of them would cost time and space.
        self._parquet = pq.ParquetWriter(
            folder / PARQUET,
            arrow_schema(columns),
            compression="zstd",
            use_dictionary=[column.name for column in columns if column.kind == "text"],
        )
        self._waiting: list[pa.Table] = []  # typed rows that do not fill a row group yet
        self._source: tuple[Path, pa.Table] | None = None  # the segment that is copied from, read once
        self._json = _Digested(folder / JSON)
        self._gzip = _Digested(folder / GZIP)
        self._piece = gzip_concat.Piece()
        self._offsets = _Digested(folder / OFFSETS)
        self._checksums = _Digested(folder / CHECKSUMS)
        self._arrays = _Digested(folder / COLUMNS)
        self._offsets.write(np.zeros(1, "<u8").tobytes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in (self._parquet, self._json, self._gzip, self._offsets, self._arrays, self._checksums):
            file.close()

    def write(self, text: pa.Table, checksums: Checksums) -> None:
        """Appends rows.

        Args:
            text: Text columns c0..cN, one for each column: NULL is null; BLOB, BINARY and GEOMETRY are hexadecimal,
                TIMESTAMP is Unix seconds, BIT and YEAR are integers, FLOAT is the text of its DOUBLE.
            checksums: The checksum of each row.
        """
        step = max(1, len(text) * PIECE_BYTES // max(1, text.nbytes))
        for start in range(0, len(text), step):
            self._write(text.slice(start, step), checksums[start : start + step])

    def _write(self, text: pa.Table, checksums: Checksums) -> None:
        arrays, shown = [], []
        for i, column in enumerate(self._columns):
            cells = one_chunk(text.column(i))
            values = to_arrow(column, cells, self._timezone)
            texts = json_texts(column, values)
            lost = values.null_count - cells.null_count
            self._misfits.update({column.name: texts.misfits} if texts.misfits else {})
            self._zero_dates.update({column.name: lost} if lost else {})
            arrays.append(values)
            shown.append(texts)
        rows = json_rows(self._columns, shown)
        _, offsets, data = rows.buffers()
        ends = np.frombuffer(offsets, "<i4")[: len(rows) + 1].astype("i8")
        table = pa.table(arrays, schema=arrow_schema(self._columns))
        self._append(table, memoryview(data)[: int(ends[-1])], ends, checksums)

    def copy(self, folder: Path, start: int, stop: int) -> None:
        """Appends unchanged rows of another segment with the same columns.

        Args:
            folder: The folder of that segment.
            start: The number of the first row in that segment.
            stop: The number of the row after the last one.
        """
        if self._source is None or self._source[0] != folder:
            self._source = (folder, pq.read_table(folder / PARQUET))
        offsets = np.fromfile(folder / OFFSETS, "<u8")[start : stop + 1].astype("i8")
        checksums = np.fromfile(folder / CHECKSUMS, "<u8")[start:stop]
        with (folder / JSON).open("rb") as file:
            file.seek(int(offsets[0]))
            data = file.read(int(offsets[-1] - offsets[0]))
        typed = self._source[1].slice(start, stop - start).cast(arrow_schema(self._columns))
        self._append(typed, data, offsets - offsets[0], checksums)

    def _append(
        self, typed: pa.Table, json: bytes | memoryview, ends: npt.NDArray[np.int64], checksums: Checksums
    ) -> None:
        """`ends` contains the offset in `json` of each row, followed by the length of `json`."""
        self._waiting.append(typed)
        if sum(map(len, self._waiting)) >= ROW_GROUP:
            self._flush()
        self._json.write(json)
        self._gzip.write(self._piece.add(json))
        self._offsets.write((ends[1:] + self._end).astype("<u8").tobytes())
        self._checksums.write(checksums.astype("<u8").tobytes())
        self.rows += len(typed)
        self._end += int(ends[-1])
        self._sum += exact_sum(checksums)

    def _flush(self) -> None:
        if self._waiting:
            rows = pa.concat_tables(self._waiting).combine_chunks()
            self._parquet.write_table(rows)
            for block in blocks_of(rows, self._columns):
                self._arrays.write(block)
            self._waiting = []

    def close(self, low: int | None, high: int | None) -> Segment:
        """Finishes the files.

        Args:
            low: Lower bound of the key range, included; None: no lower bound.
            high: Upper bound of the key range, excluded; None: no upper bound.

        Returns:
            The segment, named by the digests of its files.
        """
        self._flush()
        self._parquet.close()
        self._gzip.write(self._piece.end())
        digested = {
            JSON: self._json,
            GZIP: self._gzip,
            OFFSETS: self._offsets,
            COLUMNS: self._arrays,
            CHECKSUMS: self._checksums,
        }
        files = {name: file.finish() for name, file in digested.items()}
        parquet = (self._folder / PARQUET).read_bytes()
        files[PARQUET] = File(size=len(parquet), sha256=hashlib.sha256(parquet).hexdigest())
        named = "".join(files[name].sha256 for name in sorted(files))
        return Segment(
            id=hashlib.sha256(named.encode()).hexdigest()[:32],
            rows=self.rows,
            low=low,
            high=high,
            checksum=self._sum,
            crc32=self._piece.crc32,
            files=files,
            misfits=dict(self._misfits),
            zero_dates=dict(self._zero_dates),
            encoding=ENCODING,
        )


class _Digested:
    """A file and the digest of what was written to it."""

    def __init__(self, path: Path) -> None:
        self._file: io.BufferedWriter = path.open("wb")
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes | memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)
        self._size += len(data)

    def finish(self) -> File:
        self._file.close()
        return File(size=self._size, sha256=self._digest.hexdigest())

    def close(self) -> None:
        self._file.close()


def exact_sum(checksums: Checksums) -> int:
    """Returns the sum of 64-bit numbers, without overflow."""
    high, low = checksums >> np.uint64(32), checksums & np.uint64(0xFFFFFFFF)
    return (int(high.sum(dtype=np.uint64)) << 32) + int(low.sum(dtype=np.uint64))
