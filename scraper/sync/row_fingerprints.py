"""What tells rows apart without reading them: their keys and checksums. They make blocks to compare."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cache.storage.segment_writer import Checksums, exact_sum
from cache.storage.snapshot import CHECKSUMS, JSON, OFFSETS, PARQUET
from scraper.table.checksums import Range, RangeChecksum
from scraper.table.table import Table

BLOCK_ROWS = 100  # rows that are compared, and exported, together


class RowFingerprints(NamedTuple):
    """Range key and checksum of each row, in row order. `keys` is empty where the table has no integer key."""

    keys: npt.NDArray[Any]
    checksums: Checksums

    @classmethod
    def of(cls, page: pa.Table, checksums: Checksums, table: Table) -> Self:
        """Of a page of texts, as it was exported."""
        return cls(keys_of(page, table), checksums)

    @classmethod
    def read(cls, segment: Path, table: Table) -> Self:
        """Of a segment on disk; it has no keys where it was written before the table had that column."""
        checksums = np.fromfile(segment / CHECKSUMS, dtype="<u8")
        name = table.columns[table.range_key].name if table.range_key is not None else None
        file = pq.ParquetFile(segment / PARQUET)
        if name not in file.schema_arrow.names:
            return cls(_NO_KEYS, checksums)
        return cls(file.read([name]).column(0).to_numpy(), checksums)

    @classmethod
    def rendered(cls, segment: Path, table: Table) -> Self:
        """Of a segment on disk, by its rows as JSON: comparable where the checksums are those of different digests."""
        offsets = np.fromfile(segment / OFFSETS, dtype="<u8").tolist()
        data = (segment / JSON).read_bytes()
        digests = (hashlib.md5(data[start:stop], usedforsecurity=False).digest()
                   for start, stop in itertools.pairwise(offsets))  # fmt: skip
        sums = np.array([int.from_bytes(digest[:8], "big") for digest in digests], np.uint64)
        return cls(cls.read(segment, table).keys, sums)

    @classmethod
    def joined(cls, parts: Iterable[RowFingerprints]) -> Self:
        parts = list(parts)
        keys = [part.keys for part in parts if len(part.keys)]
        sums = [part.checksums for part in parts]
        return cls(np.concatenate(keys) if keys else _NO_KEYS, np.concatenate(sums) if sums else np.empty(0, np.uint64))

    def place(self, key: int | None) -> int:
        """Number of rows whose key is below; None stands above all keys."""
        if key is None:
            return len(self.checksums)
        keys = self.keys
        if not len(keys) or key > int(keys[-1]):
            return len(keys)
        return 0 if key <= int(keys[0]) else int(np.searchsorted(keys, np.array(key, keys.dtype)))

    def within(self, part: Range) -> tuple[int, int]:
        """Rows start to stop whose keys are in the range."""
        return (0 if part.low is None else self.place(part.low)), self.place(part.high)

    def blocks(self, part: Range) -> list[tuple[Range, RangeChecksum]]:
        """Ranges of about BLOCK_ROWS rows that fill `part` from end to end, with what is held of each."""
        start, stop = self.within(part)
        sums = self.checksums[start:stop]
        keys = self.keys[start:stop]
        if not len(keys):
            return [(part, RangeChecksum(len(sums), exact_sum(sums)))]
        # Rows of one key stay together.
        cuts = np.unique(np.searchsorted(keys, keys[::BLOCK_ROWS]))
        bounds = [part.low, *(int(key) for key in keys[cuts[1:]]), part.high]
        high = np.add.reduceat(sums >> np.uint64(32), cuts)
        low = np.add.reduceat(sums & np.uint64(0xFFFFFFFF), cuts)
        counts = np.diff(np.append(cuts, len(sums)))
        return [
            (Range(bounds[i], bounds[i + 1]), RangeChecksum(int(counts[i]), (int(high[i]) << 32) + int(low[i])))
            for i in range(len(cuts))
        ]


_NO_KEYS = np.empty(0, np.uint64)


def keys_of(page: pa.Table, table: Table) -> npt.NDArray[Any]:
    """The range key of each row of a page of texts; empty where the table has none."""
    if table.range_key is None:
        return _NO_KEYS
    kind = pa.uint64() if table.columns[table.range_key].kind == "unsigned" else pa.int64()
    keys: npt.NDArray[Any] = page.column(table.range_key).cast(kind).to_numpy()
    return keys


def merged(ranges: Sequence[Range]) -> list[Range]:
    """Neighbours made one."""
    found: list[Range] = []
    for part in ranges:
        if found and found[-1].high is not None and found[-1].high == part.low:
            found[-1] = Range(found[-1].low, part.high)
        else:
            found.append(part)
    return found
