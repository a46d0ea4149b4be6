"""Copies all rows of a table, counted but not proven: if a firewall blocks checksums, and for imported files.

Rows are spooled to disk first. A response with a wrong number of rows is requested again before any row is used. Rows
that arrive in another order are sorted by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cache.schema import Column
from cache.storage.row_encoding import engine
from cache.storage.snapshot import Segment
from scraper.client.session_pool import SessionPool
from scraper.errors import AnswerCut
from scraper.sync import keyset_pager
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.keyset_pager import Pager, count_rows
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
    """Copies all rows. Their number must be between the counts of the server before and after the copy.

    Args:
        pool: The phpMyAdmin sessions.
        table: The table. Its dialect determines how rows are read.
        assembler: Writes the segments.
        folder: The folder for spooled rows.
        timezone: The time zone of TIMESTAMP values in an export of the whole table, an IANA name.
        seconds: Target duration of one statement.
        reporter: Records the progress.

    Returns:
        Segments of all rows.

    Raises:
        AnswerCut: Each try returned more or fewer rows than the server counts.
        ScrapeError: A request failed (see `Exporter.select`).
    """
    exporter = pool.first
    exported = table.dialect.rows == "exported"

    def count() -> int:
        return exporter.count() if exported else pool.run(count_rows, table)

    def batches() -> Iterator[pa.Table]:
        if not exported:
            return (page.rows for page in Pager(pool, table, seconds).pages([WHOLE]))
        names = [column.name for column in table.columns]
        return (as_text(rows, table.columns, timezone) for rows in exporter.raw(names))

    def read() -> pa.Table:
        count_before = count()
        rows = spooled(_with_progress(batches(), pool, reporter), folder)
        count_after = count()
        if not min(count_before, count_after) <= len(rows) <= max(count_before, count_after):
            raise AnswerCut(f"{table.name}: {len(rows)} rows arrived, but the server counts {count_after}.")
        return rows

    with reporter.phase("rows", total=table.estimate):
        return assemble_all(assembler, exporter.retry(read, pool.cancel), table)


def spooled(batches: Iterable[pa.Table], folder: Path) -> pa.Table:
    """Writes one or more batches to a file in the folder, and returns them as one memory-mapped table."""
    path = folder / f"rows-{uuid4().hex}"
    following = iter(batches)
    first = next(following)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        writer.write_table(first)
        for batch in following:
            writer.write_table(batch)
    mapped = pa.memory_map(str(path))
    with suppress(PermissionError):  # Windows
        path.unlink()  # nobody can cut it any more, which would end this process
    return pa.ipc.open_file(mapped).read_all()


def assemble_all(assembler: AssemblerThread, rows: pa.Table, table: Table) -> list[Segment]:
    """Returns segments of all rows of a table, which are texts in any order."""
    while True:
        assembler.put(StartRun(None))
        for page, more in _pages(rows, table):
            assembler.put(AddRows(WHOLE, page, more))
        assembler.put(EndRun(None))
        segments = assembler.finish()
        if not assembler.take_outdated():
            return segments


def as_text(rows: pa.Table, columns: tuple[Column, ...], timezone: str) -> pa.Table:
    """Converts phpMyAdmin's export of the whole table to the texts that a SELECT of the sync returns.

    Args:
        rows: Values as bytes.
        columns: The columns of the table.
        timezone: The time zone of the TIMESTAMP values, an IANA name.

    Raises:
        ValueError: A text is not UTF-8, or a time is invalid.
    """
    arrays = []
    for column, values in zip(columns, rows.columns, strict=True):
        if column.kind == "bytes":
            arrays.append(_hexadecimal(values))
        elif column.type.startswith("bit"):
            arrays.append(_bits(values))
        else:
            text = values.cast(pa.string())
            arrays.append(_unix_seconds(text, column.decimals, timezone) if column.kind == "timestamp" else text)
    return pa.table(arrays, names=rows.column_names)


def _hexadecimal(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Converts bytes to hexadecimal text. Some releases already export them as 0x and hexadecimal digits."""
    given = [value.as_py() for value in values.drop_null() if len(value.as_py())]
    digits = b"0123456789abcdefABCDEF"
    if given and all(value[:2] == b"0x" and len(value) > 2 and not value[2:].strip(digits) for value in given):
        return pc.utf8_upper(pc.binary_slice(values, 2).cast(pa.string()))
    duck = engine()
    try:
        return duck.from_arrow(pa.table({"v": values})).select("hex(v)").to_arrow_table().column(0)
    finally:
        duck.close()


def _bits(values: pa.ChunkedArray) -> pa.Array:
    """Converts BIT values to numbers. Some releases export their bytes."""
    given = values.to_pylist()
    digits = all(value is None or value.isdigit() for value in given)
    return pa.array([v if v is None else v.decode() if digits else str(int.from_bytes(v)) for v in given], pa.string())


def _unix_seconds(values: pa.ChunkedArray, decimals: int, timezone: str) -> pa.Array:
    """Converts TIMESTAMP values to Unix seconds. MySQL's zero date becomes 0."""
    zero = pc.starts_with(values, "0000")
    local = pc.if_else(zero, pa.scalar(None, pa.string()), values).cast(pa.timestamp("us"))
    instants = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="latest").cast(pa.int64())
    texts = [
        None if value is None else f"{value // 1_000_000}" + f".{value % 1_000_000:06}"[: decimals + 1] * bool(decimals)
        for value in instants.to_pylist()
    ]
    return pc.if_else(pc.fill_null(zero, False), "0", pa.array(texts, pa.string()))


def _pages(rows: pa.Table, table: Table) -> Iterator[tuple[pa.Table, bool]]:
    """Yields pages in key order, and whether more pages follow. Rows with the same key are in one page."""
    stops = np.array([len(rows)])
    if table.range_key is not None and len(rows):
        keys = keys_of(rows, table)
        if np.any(keys[1:] < keys[:-1]):
            order = np.argsort(keys, kind="stable")
            rows, keys = rows.take(order), keys[order]
        last_keys = keys[keyset_pager.PAGE_ROWS - 1 :: keyset_pager.PAGE_ROWS]
        stops = np.unique(np.append(np.searchsorted(keys, last_keys, "right"), len(rows)))
    start = 0
    for stop in stops.tolist():
        yield rows.slice(start, stop - start).combine_chunks(), stop < len(rows)
        start = stop


def _with_progress(batches: Iterable[pa.Table], pool: SessionPool, reporter: Reporter) -> Iterator[pa.Table]:
    for batch in batches:
        reporter.advance(len(batch), pool.received)
        yield batch
