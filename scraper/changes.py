"""Which rows differ between two generations, told by their keys and checksums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from cache.render import Checksums
from cache.snapshot import CHECKSUMS, PARQUET, Changes, Segment, Snapshot
from scraper.table import Table


class Marks(NamedTuple):
    """Key and checksum of each row. `keys` is empty where no integer key tells rows apart: then an update counts as
    one row deleted and one inserted."""

    keys: npt.NDArray[Any]
    checksums: Checksums

    @classmethod
    def of(cls, page: pa.Table, checksums: Checksums, table: Table) -> Self:
        if table.range_key is None or not table.unique:
            return cls(np.empty(0, np.uint64), checksums)
        column = table.columns[table.range_key]
        kind = pa.uint64() if column.kind == "unsigned" else pa.int64()
        return cls(page.column(table.range_key).cast(kind).to_numpy(), checksums)

    @classmethod
    def joined(cls, parts: Sequence[Marks]) -> Self:
        keys = [part.keys for part in parts if len(part.keys)]
        sums = [part.checksums for part in parts]
        return cls(
            np.concatenate(keys) if keys else np.empty(0, np.uint64),
            np.concatenate(sums) if sums else np.empty(0, np.uint64),
        )


def compare(before: Snapshot | None, segments: Iterable[Segment], written: dict[str, Marks], table: Table) -> Changes:
    """Counts rows that were inserted, updated and deleted. Segments that both generations hold are not read.

    Parameters: `segments` are those of the new generation; `written` holds the marks of those that are new.
    """
    held = {segment.id for segment in before.manifest.segments} if before else set()
    ids = {segment.id for segment in segments}
    new = Marks.joined([written[id] for id in ids - held if id])
    old = Marks.joined(list(_read(before, held - ids, table))) if before else Marks.joined([])
    if len(new.keys) == len(new.checksums) and len(old.keys) == len(old.checksums):
        kind = np.int64 if np.int64 in (old.keys.dtype, new.keys.dtype) else np.uint64  # mixed, numpy takes floats
        keys = (old.keys.astype(kind), new.keys.astype(kind))
        common, i, j = np.intersect1d(*keys, assume_unique=True, return_indices=True)
        return Changes(
            inserted=len(new.keys) - len(common),
            updated=int(np.count_nonzero(old.checksums[i] != new.checksums[j])),
            deleted=len(old.keys) - len(common),
        )
    sums, signs = np.unique(np.concatenate([old.checksums, new.checksums]), return_inverse=True)
    counts = np.bincount(signs[len(old.checksums) :], minlength=len(sums)) - np.bincount(
        signs[: len(old.checksums)], minlength=len(sums)
    )
    return Changes(inserted=int(counts[counts > 0].sum()), deleted=int(-counts[counts < 0].sum()))


def _read(snapshot: Snapshot, ids: set[str], table: Table) -> Iterable[Marks]:
    paths = zip(snapshot.manifest.segments, snapshot.paths(PARQUET), snapshot.paths(CHECKSUMS), strict=True)
    for segment, parquet, checksums in paths:
        if segment.id not in ids:
            continue
        sums = np.fromfile(checksums, dtype="<u8")
        keyed = table.range_key is not None and table.unique and snapshot.manifest.key
        if not keyed:
            yield Marks(np.empty(0, np.uint64), sums)
            continue
        assert table.range_key is not None
        name = table.columns[table.range_key].name
        if name not in pq.read_schema(parquet).names:
            yield Marks(np.empty(0, np.uint64), sums)
            continue
        yield Marks(pq.read_table(parquet, columns=[name]).column(0).to_numpy(), sums)
