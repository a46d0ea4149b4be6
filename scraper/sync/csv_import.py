"""Imports a file that someone exported by hand in phpMyAdmin, as a generation that is not verified.

The file is CSV as phpMyAdmin writes it by default: commas, values in double quotes, doubled inside, NULL without
quotes, and the names of the columns in the first row.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from cache.schema import Column, Kind
from cache.storage.records import CheckGeneration, Run, known
from cache.storage.row_encoding import engine
from cache.storage.snapshot import Snapshot
from cache.storage.source import Source, StatementDialect
from cache.storage.store import Cache
from scraper.client.bounds import row_bound
from scraper.client.csv_parser import parse_csv
from scraper.errors import FileRefused, Unproven
from scraper.settings import ScraperSettings
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.progress import Reporter
from scraper.sync.publish import TableCopy, newest, publish, recorded
from scraper.sync.row_diff import row_changes
from scraper.sync.row_fingerprints import keys_of
from scraper.sync.segment_assembler import SegmentAssembler
from scraper.sync.unverified_copy import as_text, assemble_all, spooled
from scraper.table.table import Table

# DuckDB conditions: is a text a value of its column's kind? MySQL stores dates that do not exist (0000-00-00).
_IS_VALUE = {
    "integer": "try_cast({v} AS BIGINT) IS NOT NULL",
    "boolean": "try_cast({v} AS BIGINT) IS NOT NULL",
    "unsigned": "try_cast({v} AS UBIGINT) IS NOT NULL",
    "decimal": "try_cast({v} AS DECIMAL({digits}, {decimals})) IS NOT NULL",
    "float": "try_cast({v} AS FLOAT) IS NOT NULL",
    "double": "try_cast({v} AS DOUBLE) IS NOT NULL",
    "date": r"regexp_full_match({v}, '\d{{4}}-\d\d-\d\d')",
    "datetime": r"regexp_full_match({v}, '\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?')",
}


def import_file(
    cache: Cache,
    settings: ScraperSettings,
    path: Path,
    names: Sequence[str] | None = None,
    accept: bool = False,
    check: CheckGeneration | None = None,
) -> Run:
    """Publishes the rows of a file as not verified. If the file is refused, the run fails.

    Args:
        cache: The cache in which the rows are published.
        settings: Database, table, time zone and limits.
        path: The file.
        names: The names of the columns, if the first row of the file does not contain them.
        accept: Whether to publish a file that is older than the last verification or has far fewer rows than the cache.

        check: Checks the generation before it is published; None: it is published without checks.

    Returns:
        The record of the import, with its outcome.

    Raises:
        SyncRunning: A sync holds the lock.
    """

    def work(reporter: Reporter, _: object) -> None:
        _Import(cache, settings, reporter, path, accept, check).run(names)

    return recorded(cache, "import", work, claim=False)


class _Import:
    def __init__(
        self,
        cache: Cache,
        settings: ScraperSettings,
        reporter: Reporter,
        path: Path,
        accept: bool,
        check: CheckGeneration | None,
    ) -> None:
        self._check = check
        self._cache = cache
        self._settings = settings
        self._reporter = reporter
        self._path = path
        self._accept = accept

    def run(self, names: Sequence[str] | None) -> None:
        try:
            written = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
            file = self._path.open("rb")
        except OSError as error:
            raise FileRefused(f"{self._path.name} cannot be read: {error.strerror}.", "Check its name.") from error
        before = self._before()
        with file, self._cache.snapshots.workspace() as workspace:
            if file.read(3) != b"\xef\xbb\xbf":  # a byte order mark, which some editors write
                file.seek(0)
            table, order = self._table(before, list(names) if names else self._header(file))
            with self._reporter.phase("rows"):
                rows = spooled(self._rows(file, table, order), workspace)
            self._refuse_implausible(before, rows, table, written)
            self._publish(before, rows, table, workspace, written)

    def _before(self) -> Snapshot | None:
        """The last generation, if it is of the same table."""
        before = newest(self._cache)
        if before is None:
            return None
        source = before.manifest.source
        same_table = (source.database, source.table) == (
            self._settings.phpmyadmin_database,
            self._settings.phpmyadmin_table,
        )
        return before if same_table else None

    # -- columns

    def _header(self, file: IO[bytes]) -> list[str]:
        line = file.readline().decode("utf-8", "replace")
        return next(csv.reader([line]), [])

    def _table(self, before: Snapshot | None, names: list[str]) -> tuple[Table, list[int]]:
        """Returns the table, and the position of each of its columns in the file."""
        name = self._path.name
        if not names or len(set(names)) < len(names):
            raise FileRefused(f"The first row of {name} does not hold the names of the columns, each once.")
        columns = tuple(map(_undecided, before.columns)) if before else tuple(map(_text_column, names))
        missing = [column.name for column in columns if column.name not in names]
        unknown = sorted(set(names) - {column.name for column in columns})
        if missing or unknown:
            lacks = f" lacks the columns {', '.join(missing[:5])}" if missing else ""
            has = f" has columns that the table does not have: {', '.join(unknown[:5])}" if unknown else ""
            raise FileRefused(f"{name}{lacks}{' and' if lacks and has else ''}{has}.")
        table = Table(
            database=self._settings.phpmyadmin_database,
            name=self._settings.phpmyadmin_table,
            columns=columns,
            server="",
            charsets=(None,) * len(columns),
            dialect=before.manifest.source.dialect if before else StatementDialect(),
        )
        return table, [names.index(column.name) for column in columns]

    # -- rows

    def _rows(self, file: IO[bytes], table: Table, order: list[int]) -> Iterator[pa.Table]:
        """Yields the rows in the form that a SELECT of the sync returns."""
        start, done = file.tell(), 0
        names = [f"c{i}" for i in range(len(order))]
        bound = row_bound(self._settings.sync_memory_mb)
        try:
            for raw in parse_csv(file, len(order), "NULL", pa.binary(), bound):
                rows = self._text(raw.select(order).rename_columns(names), table, done)
                self._refuse_wrong_types(rows, table, done)
                done += len(rows)
                self._reporter.advance(len(rows), file.tell())
                yield rows
        except ValueError as error:
            file.seek(start)
            fault = _first_fault(file, len(order), first=2 if start > 3 else 1)
            raise FileRefused(f"{self._path.name}, {fault}.") from error

    def _text(self, rows: pa.Table, table: Table, done: int) -> pa.Table:
        try:
            return as_text(rows, table.columns, self._settings.source_timezone)
        except ValueError as error:
            where = f"between rows {done + 1} and {done + len(rows)}"
            raise FileRefused(
                f"{self._path.name} holds text that is not UTF-8, or an invalid time, {where}."
            ) from error

    def _refuse_wrong_types(self, rows: pa.Table, table: Table, done: int) -> None:
        """Refuses values that do not fit the type of their column, and NULL if the column does not allow it."""
        tests = []
        for i, column in enumerate(table.columns):
            is_value = _IS_VALUE.get(column.kind, "true").format(
                v=f"c{i}", digits=column.digits, decimals=column.decimals
            )
            tests.append(f"CASE WHEN c{i} IS NULL THEN {not column.nullable} ELSE NOT {is_value} END AS wrong{i}")
        duck = engine()
        try:
            duck.register("rows", rows)
            wrong = duck.sql(f"SELECT {', '.join(tests)} FROM rows").fetchnumpy()
        finally:
            duck.close()
        for i, column in enumerate(table.columns):
            if len(places := np.flatnonzero(wrong[f"wrong{i}"])):
                raise FileRefused(
                    f"{self._path.name}, row {done + int(places[0]) + 1}: "
                    f"the value of {column.name} is not of its type, {column.type}."
                )

    def _refuse_implausible(self, before: Snapshot | None, rows: pa.Table, table: Table, written: datetime) -> None:
        name = self._path.name
        if table.range_key is not None and table.unique and len(np.unique(keys_of(rows, table))) < len(rows):
            raise FileRefused(f"{name} holds rows with the same {table.columns[table.range_key].name}.")
        if before is None or self._accept:
            return
        advice = "Export the table again, or import this file with --accept."
        verified_at = known(before.head.verified_at)
        if verified_at is not None and written < verified_at:
            raise FileRefused(f"{name} is older than the last verification, of {verified_at:%F %T} UTC.", advice)
        if len(rows) < before.rows * self._settings.hold_back_below:
            raise FileRefused(f"{name} has {len(rows):,} rows. The cache has {before.rows:,}.", advice)

    # -- publishing

    def _publish(
        self, before: Snapshot | None, rows: pa.Table, table: Table, workspace: Path, written: datetime
    ) -> None:
        timezone = self._settings.source_timezone
        former = before.manifest.source if before else Source(database=table.database, table=table.name)
        source = former.model_copy(update={"timezone": timezone, "dialect": table.dialect})
        unverified_reason = Unproven(
            f"The rows come from a file that was exported by hand ({self._path.name}). It may be incomplete.",
            "The next sync compares the rows with the table.",
        )
        known = before.columns if before else ()
        assembler = SegmentAssembler(table, known, self._cache.snapshots, workspace, timezone)
        with AssemblerThread(assembler) as thread:
            segments = assemble_all(thread, rows, table)
            with self._reporter.phase("publish"):
                columns = thread.columns()
                copy = TableCopy(
                    before=before,
                    source=source,
                    columns=columns,
                    segments=tuple(segments),
                    changed_rows=row_changes(before, source, columns, segments, table, self._cache.snapshots),
                    as_of=written,
                    proven_at=None,
                    unverified_reason=unverified_reason,
                )
                keep_changes = timedelta(days=self._settings.changes_days)
                publish(self._cache, self._reporter, copy, keep_changes, self._check)


def _text_column(name: str) -> Column:
    """Returns a column of which only the name is known."""
    return Column(name=name, type="text", kind="text", nullable=True)


def _undecided(column: Column) -> Column:
    """Returns a recorded column with the kind of its type, before a kind was inferred from values."""
    kind: Kind = "boolean" if column.type == "tinyint(1)" else "text" if column.kind == "json" else column.kind
    return column.model_copy(update={"kind": kind, "decided": True, "blank": False})


def _first_fault(file: IO[bytes], width: int, first: int) -> str:
    """Describes the first line that is not a row. `first` is the number of the line at the file position."""
    csv.field_size_limit(sys.maxsize)
    lines = (line.decode("utf-8", "replace") for line in file)
    reader = csv.reader(lines, strict=True)
    last = current = first
    try:
        for row in reader:
            if row and len(row) != width:
                return f"line {current}: {len(row)} values instead of {width}"
            last, current = current, first + reader.line_num
    except csv.Error as error:
        return f"line {current}: the row does not end, or its quotes do not match ({error})"
    return f"line {last}: the last row has no end"
