"""A bucket sort on disk, for rows that may not fit in memory.

The rows are distributed into buckets by their position in the order, a file each. Then one bucket after the other is
read, sorted and returned.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

BUCKET_BATCHES = 10  # batches of a bucket, which is sorted in memory
MAX_BUCKETS = 200  # files that are open at once
POSITION = "position"


def sort_batches(
    batches: Iterable[Sequence[pa.Array]], positions: npt.NDArray[np.int64], folder: Path, batch_rows: int
) -> Iterator[list[pa.Array]]:
    """Sorts rows into the order of their positions.

    Args:
        batches: The rows: an array for each column.
        positions: Position of each row of the batches in the order, counted from 0.
        folder: Where temporary files may be made. They are removed in the end.
        batch_rows: Rows of a batch, about.

    Returns:
        The rows in order, in batches of `batch_rows` at most.
    """
    bucket_rows = max(BUCKET_BATCHES * batch_rows, -(-len(positions) // MAX_BUCKETS))
    with tempfile.TemporaryDirectory(dir=folder) as name:
        tables = _gather(batches, positions, BUCKET_BATCHES * batch_rows)
        for path in _distribute(tables, bucket_rows, Path(name)):
            with pa.OSFile(str(path)) as file:
                table = pa.ipc.open_stream(file).read_all()
            path.unlink()
            table = table.take(np.argsort(table.column(POSITION).to_numpy())).drop_columns([POSITION])
            for batch in table.combine_chunks().to_batches(batch_rows):
                yield batch.columns


def _gather(batches: Iterable[Sequence[pa.Array]], positions: npt.NDArray[np.int64], rows: int) -> Iterator[pa.Table]:
    """Larger batches of at least `rows`, with the positions as a further column."""
    waiting: list[pa.Table] = []
    start = 0
    for arrays in batches:
        stop = start + len(arrays[0])
        names = [f"c{i}" for i in range(len(arrays))]
        waiting.append(pa.table([*arrays, positions[start:stop]], [*names, POSITION]))
        start = stop
        if sum(map(len, waiting)) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _distribute(tables: Iterable[pa.Table], bucket_rows: int, folder: Path) -> list[Path]:
    """Writes the buckets; returns their files in the order of the positions."""
    files: dict[int, Path] = {}
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    with ExitStack() as opened:
        for table in tables:
            buckets = table.column(POSITION).to_numpy() // bucket_rows
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
