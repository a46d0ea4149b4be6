"""Rows put in order on disk, since they may be too many to be sorted in memory.

They are dealt into buckets, of which each holds the rows of a run of places; then one bucket after the other is sorted
and given out.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BUCKET_BATCHES = 10  # what is held in memory
MOST_BUCKETS = 200  # files that are open at once
PLACE = "place"


def in_order(
    batches: Iterable[Sequence[pa.Array]], places: npt.NDArray[np.int64], folder: Path, rows: int
) -> Iterator[list[pa.Array]]:
    """The rows in the order of their places, in batches of `rows`, as they come; an array for each column.

    Parameters: `places` says of each row that comes which it is, counted from 0. Files are made in `folder`, and
    removed.
    """
    size = max(BUCKET_BATCHES * rows, -(-len(places) // MOST_BUCKETS))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for path in _dealt(_gathered(batches, places, BUCKET_BATCHES * rows), size, Path(name)):
            with pa.OSFile(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
            path.unlink()
            table = table.take(np.argsort(table.column(PLACE).to_numpy())).drop_columns([PLACE])
            for batch in table.combine_chunks().to_batches(rows):
                yield batch.columns


def _gathered(batches: Iterable[Sequence[pa.Array]], places: npt.NDArray[np.int64], rows: int) -> Iterator[pa.Table]:
    """Larger batches, with a column that holds the places."""
    waiting: list[pa.Table] = []
    start = 0
    for arrays in batches:
        stop = start + len(arrays[0])
        names = [f"c{i}" for i in range(len(arrays))]
        waiting.append(pa.table([*arrays, places[start:stop]], [*names, PLACE]))
        start = stop
        if sum(map(len, waiting)) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _dealt(tables: Iterable[pa.Table], size: int, folder: Path) -> list[Path]:
    """The files of the buckets, in their order."""
    files: dict[int, Path] = {}
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    with ExitStack() as opened:
        for table in tables:
            buckets = table.column(PLACE).to_numpy() // size
            order = np.argsort(buckets, kind="stable")
            table, buckets = table.take(order), buckets[order]
            for bucket in np.unique(buckets).tolist():
                if bucket not in writers:
                    files[bucket] = folder / str(bucket)
                    file = opened.enter_context(pa.OSFile(str(files[bucket]), "wb"))
                    writers[bucket] = opened.enter_context(pa.ipc.new_stream(file, table.schema))
                low, high = np.searchsorted(buckets, [bucket, bucket + 1])
                writers[bucket].write_table(table.slice(low, high - low))
    return [files[bucket] for bucket in sorted(files)]
