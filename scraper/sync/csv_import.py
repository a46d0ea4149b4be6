"""An export that someone made by hand in phpMyAdmin -> a generation, which nothing proves.

The file is CSV as phpMyAdmin writes it by default: commas, values in double quotes, doubled inside, NULL as it is
without quotes, and the names of the columns in the first row.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from cache.schema import Column, Kind
from cache.storage.records import Run
from cache.storage.row_encoding import engine
from cache.storage.snapshot import Snapshot, Source, StatementDialect
from cache.storage.store import Cache
from scraper.client.csv_parser import parse_csv
from scraper.errors import FileRefused, Unproven
from scraper.settings import ScraperSettings
from scraper.sync.assembler_thread import AssemblerThread
from scraper.sync.progress import Reporter
from scraper.sync.publish import newest, publish, recorded
from scraper.sync.row_diff import row_changes
from scraper.sync.row_fingerprints import keys_of
from scraper.sync.segment_assembler import SegmentAssembler
from scraper.sync.unverified_copy import as_text, assembled, spooled
from scraper.table.table import Table

_FITS = {  # DuckDB's conditions; a date that no calendar has is one still
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
    cache: Cache, settings: ScraperSettings, path: Path, names: Sequence[str] | None = None, accept: bool = False
) -> Run:
    """Publishes the rows of a file as not verified, and returns how it went; a file that is refused is a failed run.

    Parameters: `names` are those of the columns where the first row does not hold them; `accept` publishes a file that
    is older than the last verification, or has far fewer rows than there were. Raises SyncRunning.
    """

    def work(reporter: Reporter, _: object) -> None:
        _Import(cache, settings, reporter, path, accept).run(names)

    return recorded(cache, "import", work, claim=False)


class _Import:
    def __init__(self, cache: Cache, settings: ScraperSettings, reporter: Reporter, path: Path, accept: bool) -> None:
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
            if file.read(3) != b"\xef\xbb\xbf":  # an editor's mark of UTF-8
                file.seek(0)
            table, order = self._table(before, list(names) if names else self._header(file))
            with self._reporter.phase("rows"):
                rows = spooled(self._rows(file, table, order), workspace)
            self._plausible(before, rows, table, written)
            self._publish(before, rows, table, workspace, written)

    def _before(self) -> Snapshot | None:
        """The last generation, where it is of the same table."""
        before = newest(self._cache)
        wanted = (self._settings.phpmyadmin_database, self._settings.phpmyadmin_table)
        then = before.manifest.source if before else None
        return before if then is not None and (then.database, then.table) == wanted else None

    # -- columns

    def _header(self, file: IO[bytes]) -> list[str]:
        line = file.readline().decode("utf-8", "replace")
        return next(csv.reader([line]), [])

    def _table(self, before: Snapshot | None, names: list[str]) -> tuple[Table, list[int]]:
        """The table, and for each of its columns the place in the file."""
        name = self._path.name
        if not names or len(set(names)) < len(names):
            raise FileRefused(f"The first row of {name} does not hold the names of columns, each once.")
        columns = tuple(map(_anew, before.columns)) if before else tuple(_text(each) for each in names)
        missing = [column.name for column in columns if column.name not in names]
        unknown = sorted(set(names) - {column.name for column in columns})
        if missing or unknown:
            lacks = f" lacks the columns {', '.join(missing[:5])}" if missing else ""
            has = f" has columns that the table does not: {', '.join(unknown[:5])}" if unknown else ""
            raise FileRefused(f"{name}{lacks}{' and' if lacks and has else ''}{has}.")
        settings = self._settings
        table = Table(
            database=settings.phpmyadmin_database, name=settings.phpmyadmin_table, columns=columns, server="",
            charsets=(None,) * len(columns), dialect=before.manifest.source.dialect if before else StatementDialect(),
        )  # fmt: skip
        return table, [names.index(column.name) for column in columns]

    # -- rows

    def _rows(self, file: IO[bytes], table: Table, order: list[int]) -> Iterator[pa.Table]:
        """Rows as our own SELECT would give them."""
        start, done = file.tell(), 0
        names = [f"c{i}" for i in range(len(order))]
        try:
            for raw in parse_csv(file, len(order), "NULL", pa.binary()):
                rows = raw.select(order).rename_columns(names)
                try:
                    rows = as_text(rows, table.columns, self._settings.source_timezone)
                except ValueError as error:
                    raise FileRefused(f"{self._path.name} holds text that is not UTF-8, or a time that is none, "
                                      f"between rows {done + 1} and {done + len(rows)}.") from error  # fmt: skip
                self._check(rows, table, done)
                done += len(rows)
                self._reporter.advance(len(rows), file.tell())
                yield rows
        except ValueError as error:  # of Arrow, too
            file.seek(start)
            raise FileRefused(f"{self._path.name}, {_fault(file, len(order), first=2 if start > 3 else 1)}.") from error

    def _check(self, rows: pa.Table, table: Table, done: int) -> None:
        """Each value must be one of its column's type, and NULL only where that may be."""
        wrong = []
        for i, column in enumerate(table.columns):
            fits = _FITS.get(column.kind, "true").format(v=f"c{i}", digits=column.digits, decimals=column.decimals)
            wrong.append(f"CASE WHEN c{i} IS NULL THEN {not column.nullable} ELSE NOT {fits} END AS w{i}")
        duck = engine()
        try:
            duck.register("rows", rows)
            found = duck.sql(f"SELECT {', '.join(wrong)} FROM rows").fetchnumpy()
        finally:
            duck.close()
        for i, column in enumerate(table.columns):
            if len(places := np.flatnonzero(found[f"w{i}"])):
                raise FileRefused(f"{self._path.name}, row {done + int(places[0]) + 1}: the value of {column.name} is "
                                  f"none of its type, {column.type}.")  # fmt: skip

    def _plausible(self, before: Snapshot | None, rows: pa.Table, table: Table, written: datetime) -> None:
        name = self._path.name
        if table.range_key is not None and table.unique and len(np.unique(keys_of(rows, table))) < len(rows):
            raise FileRefused(f"{name} holds rows with the same {table.columns[table.range_key].name}.")
        if before is None or self._accept:
            return
        advice = "Export the table again; or import it as it is, with --accept."
        if before.head.verified_at is not None and written < before.head.verified_at:
            raise FileRefused(
                f"{name} is older than the last verification, of {before.head.verified_at:%F %T} UTC.", advice
            )
        if len(rows) < before.rows * self._settings.hold_back_below:
            raise FileRefused(f"{name} has {len(rows):,} rows, and there were {before.rows:,}.", advice)

    # -- publishing

    def _publish(
        self, before: Snapshot | None, rows: pa.Table, table: Table, workspace: Path, written: datetime
    ) -> None:
        zone = self._settings.source_timezone
        then = before.manifest.source if before else Source(database=table.database, table=table.name)
        source = then.model_copy(update={"timezone": zone, "dialect": table.dialect})
        unverified_reason = Unproven(
            f"The rows come from a file that was exported by hand ({self._path.name}), which nothing proves.",
            "The next sync compares them with the table.",
        )
        known = before.columns if before else ()
        with AssemblerThread(SegmentAssembler(table, known, self._cache.snapshots, workspace, zone)) as assembler:
            segments = assembled(assembler, rows, table)
            with self._reporter.phase("publish"):
                columns = assembler.columns()
                changed = row_changes(before, source, columns, segments, table, self._cache.snapshots)
                publish(
                    self._cache, self._reporter, before, source, columns, segments, changed,
                    self._settings.changes_days, unverified_reason, written,
                )  # fmt: skip


def _text(name: str) -> Column:
    """A column of which nothing is known but its name."""
    return Column(name=name, type="text", kind="text", nullable=True)


def _anew(column: Column) -> Column:
    """A recorded column as a table's description has it: what was decided by its values is decided elsewhere."""
    kind: Kind = "boolean" if column.type == "tinyint(1)" else "text" if column.kind == "json" else column.kind
    return column.model_copy(update={"kind": kind, "decided": True})


def _fault(file: IO[bytes], width: int, first: int) -> str:
    """The line with the first row that is none, and why. `first` is the number of the line at which the file stands."""
    csv.field_size_limit(sys.maxsize)
    lines = (line.decode("utf-8", "replace") for line in file)
    reader = csv.reader(lines, strict=True)
    last = at = first
    try:
        for row in reader:
            if row and len(row) != width:
                return f"line {at}: {len(row)} values instead of {width}"
            last, at = at, first + reader.line_num
    except csv.Error as error:
        return f"line {at}: the row does not end, or its quotes do not match ({error})"
    return f"line {last}: the last row has no end"
