"""All rows of a table, counted but not proven: where no checksum gets through, and for files that someone exported.

They are spooled to disk first, so that an answer of which the count is wrong is tried again before any row is kept,
and so that rows which come in no order of their key can be put in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cache.schema import Column
from cache.storage.row_encoding import engine
from cache.storage.snapshot import Segment
from scraper.client.retry import retry
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut
from scraper.sync import keyset_pager
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.progress import Reporter
from scraper.sync.row_fingerprints import keys_of
from scraper.sync.segment_assembler import AddRows, EndRun, StartRun
from scraper.table.key_ranges import WHOLE
from scraper.table.table import Table


def copy_counted(
    pool: SessionPool,
    table: Table,
    assembler: AssemblerThread,
    folder: Path,
    timezone: str,
    seconds: float,
    reporter: Reporter,
) -> list[Segment]:
    """Segments of all rows. The number of rows lies between the server's counts before and after.

    Parameters: `folder` is where rows are spooled; `timezone` is what phpMyAdmin's own export writes TIMESTAMP in;
    `seconds` is what a statement aims at. Raises AnswerCut, and what `Exporter.select` raises.
    """
    export = pool.first
    own = table.dialect.rows == "exported"

    def read() -> pa.Table:
        counted = [export.count() if own else pool.run(keyset_pager.count_rows, table)]
        if own:
            batches = (as_text(rows, table.columns, timezone) for rows in export.raw([c.name for c in table.columns]))
        else:
            batches = (page.rows for page in keyset_pager.Pager(pool, table, seconds).pages([WHOLE]))
        rows = spooled(_shown(batches, pool, reporter), folder)
        counted.append(export.count() if own else pool.run(keyset_pager.count_rows, table))
        if not min(counted) <= len(rows) <= max(counted):
            raise AnswerCut(f"{len(rows)} rows arrived of {table.name}, of which the server counts {counted[1]}.")
        return rows

    with reporter.phase("rows", total=table.estimate):
        return assembled(assembler, retry(read, pool.cancel), table)


def spooled(batches: Iterable[pa.Table], folder: Path) -> pa.Table:
    """Batches (one at least) as one table that lies on disk."""
    path = folder / f"rows-{uuid4().hex}"
    following = iter(batches)
    first = next(following)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_table(first)
        for batch in following:
            writer.write_table(batch)
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def assembled(assembler: AssemblerThread, rows: pa.Table, table: Table) -> list[Segment]:
    """Segments of all rows of a table, as texts in any order."""
    while True:
        assembler.put(StartRun(None))
        for part, more in _slices(rows, table):
            assembler.put(AddRows(WHOLE, part, more))
        assembler.put(EndRun(None))
        segments = assembler.finish()
        if not assembler.take_outdated():
            return segments


def as_text(rows: pa.Table, columns: tuple[Column, ...], timezone: str) -> pa.Table:
    """What our own SELECT would give, from the bytes that phpMyAdmin's own export gives.

    Raises ValueError where a text is not UTF-8, or a time is none.
    """
    arrays = []
    for column, values in zip(columns, rows.columns, strict=True):
        if column.kind == "bytes":
            arrays.append(_hexadecimal(values))
        elif column.type.startswith("bit"):
            arrays.append(_bits(values))
        else:
            text = values.cast(pa.string())
            arrays.append(_seconds(text, column.decimals, timezone) if column.kind == "timestamp" else text)
    return pa.table(arrays, names=rows.column_names)


def _hexadecimal(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes as hexadecimal text; some releases export them as 0x and hexadecimal digits already."""
    given = [value.as_py() for value in values.drop_null() if len(value.as_py())]
    digits = b"0123456789abcdefABCDEF"
    if given and all(value[:2] == b"0x" and len(value) > 2 and not value[2:].strip(digits) for value in given):
        return pc.utf8_upper(pc.binary_slice(values, 2).cast(pa.string()))
    duck = engine()
    try:
        found = duck.from_arrow(pa.table({"v": values})).select("hex(v)").to_arrow_table()
    finally:
        duck.close()
    return found.column(0)


def _bits(values: pa.ChunkedArray) -> pa.Array:
    """A BIT as its number; some releases export its bytes."""
    given = values.to_pylist()
    number = all(value is None or value.isdigit() for value in given)
    return pa.array([v if v is None else v.decode() if number else str(int.from_bytes(v)) for v in given], pa.string())


def _seconds(values: pa.ChunkedArray, decimals: int, timezone: str) -> pa.Array:
    """A TIMESTAMP as Unix seconds; 0 where it is MySQL's zero date."""
    zero = pc.starts_with(values, "0000")
    local = pc.if_else(zero, pa.scalar(None, pa.string()), values).cast(pa.timestamp("us"))
    instants = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="latest").cast(pa.int64())
    found = [
        None if value is None else f"{value // 1_000_000}" + f".{value % 1_000_000:06}"[: decimals + 1] * bool(decimals)
        for value in instants.to_pylist()
    ]
    return pc.if_else(pc.fill_null(zero, False), "0", pa.array(found, pa.string()))


def _slices(rows: pa.Table, table: Table) -> Iterator[tuple[pa.Table, bool]]:
    """Rows in the order of their range key, in pages; rows of one key stay together."""
    stops = np.array([len(rows)])
    if table.range_key is not None and len(rows):
        keys = keys_of(rows, table)
        if np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys, kind="stable")
            rows, keys = rows.take(order), keys[order]
        stops = np.unique(np.searchsorted(keys, keys[keyset_pager.PAGE_ROWS - 1 :: keyset_pager.PAGE_ROWS], "right"))
        stops = np.unique(np.append(stops, len(rows)))
    start = 0
    for stop in stops.tolist():
        yield rows.slice(start, stop - start).combine_chunks(), stop < len(rows)
        start = stop


def _shown(batches: Iterable[pa.Table], pool: SessionPool, reporter: Reporter) -> Iterator[pa.Table]:
    for batch in batches:
        reporter.advance(len(batch), pool.received)
        yield batch
