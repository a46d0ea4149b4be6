"""Fingerprints of rows: their keys and checksums, in blocks that are compared with the server."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cache.storage.segment_writer import Checksums, exact_sum
from cache.storage.snapshot import CHECKSUMS, JSON, OFFSETS, PARQUET
from scraper.errors import AnswerInvalid
from scraper.table.checksums import RangeChecksum
from scraper.table.key_ranges import Range
from scraper.table.table import Table

BLOCK_ROWS = 100  # number of rows that are compared and exported together

Block = tuple[Range, RangeChecksum]
"""A range of about BLOCK_ROWS rows, with the checksum of the copy."""

_NO_KEYS = np.empty(0, np.uint64)


class RowFingerprints(NamedTuple):
    """The key and the checksum of each row, in row order. `keys` is empty if the table has no integer key."""

    keys: npt.NDArray[Any]
    checksums: Checksums

    @classmethod
    def read(cls, folder: Path, table: Table) -> Self:
        """Reads the fingerprints of a segment on disk.

        `keys` is empty if the segment was written before the table had its present key column.
        """
        checksums = np.fromfile(folder / CHECKSUMS, dtype="<u8")
        name = table.columns[table.range_key].name if table.range_key is not None else None
        file = pq.ParquetFile(folder / PARQUET)
        if name not in file.schema_arrow.names:
            return cls(_NO_KEYS, checksums)
        return cls(file.read([name]).column(0).to_numpy(), checksums)

    @classmethod
    def from_json(cls, folder: Path, table: Table) -> Self:
        """Reads the keys of a segment on disk, and computes checksums of its rows as JSON.

        These checksums are comparable between generations whose row checksums use different hash functions.
        """
        offsets = np.fromfile(folder / OFFSETS, dtype="<u8").tolist()
        data = (folder / JSON).read_bytes()
        digests = [
            hashlib.md5(data[start:stop], usedforsecurity=False).digest() for start, stop in itertools.pairwise(offsets)
        ]
        checksums = np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)
        return cls(cls.read(folder, table).keys, checksums)

    @classmethod
    def concatenated(cls, parts: Iterable[RowFingerprints]) -> Self:
        """Returns the fingerprints of several segments, one after the other."""
        parts = list(parts)
        keys = [part.keys for part in parts if len(part.keys)]
        sums = [part.checksums for part in parts]
        return cls(np.concatenate(keys) if keys else _NO_KEYS, np.concatenate(sums) if sums else np.empty(0, np.uint64))

    def rows_of(self, part: Range) -> tuple[int, int]:
        """Returns the first row whose key is in the range, and the row after the last one."""
        rows = len(self.checksums)
        start = 0 if part.low is None else rows_below(self.keys, part.low)
        return start, rows if part.high is None else rows_below(self.keys, part.high)

    def blocks(self, part: Range) -> list[Block]:
        """Returns blocks of about BLOCK_ROWS rows that cover a range. Rows with the same key are in one block."""
        start, stop = self.rows_of(part)
        sums = self.checksums[start:stop]
        keys = self.keys[start:stop]
        if not len(keys):
            return [(part, RangeChecksum(len(sums), exact_sum(sums)))]
        firsts = np.unique(np.searchsorted(keys, keys[::BLOCK_ROWS]))
        bounds = [part.low, *(int(key) for key in keys[firsts[1:]]), part.high]
        high_halves = np.add.reduceat(sums >> np.uint64(32), firsts)
        low_halves = np.add.reduceat(sums & np.uint64(0xFFFFFFFF), firsts)
        counts = np.diff(np.append(firsts, len(sums)))
        return [
            (
                Range(bounds[i], bounds[i + 1]),
                RangeChecksum(int(counts[i]), (int(high_halves[i]) << 32) + int(low_halves[i])),
            )
            for i in range(len(firsts))
        ]


def rows_below(keys: npt.NDArray[Any], key: int) -> int:
    """Returns how many keys are below `key`. Keys are in ascending order; `key` may exceed the range of their type."""
    if not len(keys) or key > int(keys[-1]):
        return len(keys)
    return 0 if key <= int(keys[0]) else int(np.searchsorted(keys, np.array(key, keys.dtype)))


def keys_of(rows: pa.Table, table: Table) -> npt.NDArray[Any]:
    """Returns the keys of rows, whose values are texts; empty if the table has no integer key.

    Raises:
        AnswerInvalid: A key is NULL or no number.
    """
    if table.range_key is None:
        return _NO_KEYS
    kind = pa.uint64() if table.columns[table.range_key].kind == "unsigned" else pa.int64()
    try:
        texts = rows.column(table.range_key)
        keys: npt.NDArray[Any] = texts.cast(kind).to_numpy()
    except pa.ArrowInvalid as error:
        raise AnswerInvalid(f"A key of {table.name} is not a number.") from error
    if texts.null_count:
        raise AnswerInvalid(f"A key of {table.name} is NULL.")
    return keys
