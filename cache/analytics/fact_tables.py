"""The narrow tables that figures are computed from: orders, refunds and lines of one generation, in compressed memory.

Everything else stays in Parquet and is looked up by key. A new generation takes over the rows of segments that the one
before has too, and reads only the others. Test orders are excluded.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb

from cache.analytics.reading import Reading
from cache.schema import Column, Kind
from cache.sql import literal, quoted
from cache.storage.snapshot import PARQUET, Snapshot

ROW_KEY = "row key"
"""The name, beside the columns of the source, of what identifies an order."""
KEY = quoted(ROW_KEY)
MEMORY_LIMIT = "192MB"
SEGMENTS_AT_ONCE = 8  # that many are read before the table is compressed

NO_LINES = "NULL::STRUCT(sku VARCHAR, title VARCHAR, quantity BIGINT, price DECIMAL(18, 4))[]"
_NO_REFUNDS = "NULL::STRUCT(local TIMESTAMP, amount DECIMAL(18, 4))[]"


class FactTables:
    """Tables of one generation in DuckDB, and the source as a view.

    Attributes:
        orders: SQL name of the table of orders: key, segment, created_at, local (on the shop's clock), the dimensions,
            customer, again (the customer has an earlier order), the amounts, fulfilling (seconds).
        refunds: SQL name of the table of refunds: key, segment, local, amount.
        lines: SQL name of the table of line items: key, segment, sku, title, quantity, price.
        rows: SQL name of the view of the source, one row an order, with its key as `KEY`.
    """

    def __init__(self, snapshot: Snapshot, reading: Reading, before: FactTables | None = None) -> None:
        """Reads the tables.

        Args:
            snapshot: The generation.
            reading: What its columns mean.
            before: Tables of another generation of the same source, read in the same way, to take rows from.
        """
        self._reading = reading
        self._snapshot = snapshot
        self._shared: _Shared = before._shared if before else _Shared()
        name = self._shared.next_name()
        self.rows = f"rows_{name}"
        self.orders, self.refunds, self.lines = (f"facts.{each}_{name}" for each in ("orders", "refunds", "lines"))
        self._segment_numbers: set[int] = set()
        self._load(before if self._key_column and not reading.by_line else None)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Rows of a query. May be called from any thread."""
        return self._shared.database.cursor().execute(sql, list(parameters)).fetchall()

    def dictionaries(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Rows of a query, each as name -> value. May be called from any thread."""
        cursor = self._shared.database.cursor()
        cursor.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        """Frees the memory of this generation."""
        for table in (self.orders, self.refunds, self.lines):
            self.query(f"DROP TABLE IF EXISTS {table}")
        self.query(f"DROP VIEW IF EXISTS {self.rows}")

    @property
    def keyed(self) -> bool:
        """Whether the key of an order is a value of it, and not its place in the files."""
        return self._reading.by_line or self._key_column is not None

    # -- making the tables

    def _load(self, before: FactTables | None) -> None:
        paths = self._snapshot.paths(PARQUET)
        self.query(f"CREATE VIEW {self.rows} AS {self._source(paths)}")
        numbers = [self._shared.number(segment.id) for segment in self._snapshot.manifest.segments]
        kept = set(numbers) & before._segment_numbers if before else set()
        self._segment_numbers = set(numbers)
        staged = f"facts.staged_{self._shared.next_name()}"
        for table, select in self._selects(staged, self._source([]), "0").items():
            self.query(f"CREATE TABLE {table} AS {select}")
        if before and kept:
            self._take_over(before, kept, staged)
        new = [i for i, number in enumerate(numbers) if number not in kept]
        for run in [new] if self._reading.by_line else _runs(new):
            if run:
                source = self._source([paths[i] for i in run], run[0])
                number = "0" if self._reading.by_line else f"{[numbers[i] for i in run]}[file + 1]"
                for table, select in self._selects(staged, source, number).items():
                    self.query(f"INSERT INTO {table} {select}")
                self.query("CHECKPOINT facts")
        self._create_orders(staged)

    def _take_over(self, before: FactTables, segments: set[int], staged: str) -> None:
        """Inserts the rows of segments, by their numbers, from the tables of another generation."""
        which = f"WHERE segment IN ({', '.join(map(str, sorted(segments)))})"
        self.query(f"INSERT INTO {staged} SELECT * EXCLUDE (again) FROM {before.orders} {which}")
        for table, old in ((self.refunds, before.refunds), (self.lines, before.lines)):
            self.query(f"INSERT INTO {table} SELECT * FROM {old} {which}")

    def _create_orders(self, staged: str) -> None:
        """Makes the table of orders out of the staged one, which is dropped."""
        first = f"SELECT customer, arg_min(key, created_at) AS key FROM {staged} WHERE customer IS NOT NULL GROUP BY 1"
        self.query(
            f"CREATE TABLE {self.orders} AS SELECT s.*, f.key IS NOT NULL AND s.key <> f.key AS again "
            f"FROM {staged} AS s LEFT JOIN ({first}) AS f USING (customer)"
        )
        self.query(f"DROP TABLE {staged}")
        self.query("CHECKPOINT facts")

    def _source(self, paths: Sequence[Path], first: int = 0) -> str:
        """SQL of the source, one row an order, with its key and the place of its file among `paths`.

        Args:
            paths: Parquet files; none for the columns without rows.
            first: The place of the first of them among all files of the snapshot.
        """
        if not paths:
            columns = ", ".join(f"NULL::{_sql_type(c)} AS {quoted(c.name)}" for c in self._columns)
            key = f"{'NULL::VARCHAR' if self._reading.by_line else self._key_column or '0::BIGINT'} AS {KEY}"
            lines = f", {NO_LINES} AS lines" if self._reading.by_line else ""
            return f"SELECT {key}, *, 0 AS file{lines} FROM (SELECT {columns}) WHERE false"
        files = f"read_parquet([{', '.join(literal(str(path)) for path in paths)}])"
        if not self._reading.by_line:
            key = self._key_column or f"((file_index::BIGINT + {first}) << 32) + file_row_number"
            return f"SELECT {key} AS {KEY}, *, file_index::INTEGER AS file FROM {files}"
        name = quoted(self._reading.roles["name"].name)
        own = ", ".join(f"any_value({quoted(c.name)}) AS {quoted(c.name)}" for c in self._columns)
        lines = f"flatten(list({self._reading.lines()})) AS lines"
        named = f"WHERE {name} IS NOT NULL GROUP BY {name}"
        return f"SELECT {name}::VARCHAR AS {KEY}, {own}, 0 AS file, {lines} FROM {files} {named}"

    def _selects(self, staged: str, source: str, number: str) -> dict[str, str]:
        """Table -> the SELECT that fills it. `number` is the SQL of the number of a row's segment."""
        reading = self._reading
        columns = ", ".join(f"{sql} AS {name}" for name, sql in reading.facts().items())
        rows = f"FROM ({source}) WHERE NOT {reading.test}"
        lines = "lines" if reading.by_line else reading.lines()

        def each(values: str | None, nothing: str) -> str:
            return f"(SELECT {KEY} AS key, {number} AS segment, unnest({values or nothing}) AS each {rows})"

        return {
            staged: f"SELECT {KEY} AS key, {number} AS segment, {columns} {rows}",
            self.refunds: "SELECT key, segment, each.local AS local, each.amount AS amount FROM "
            f"{each(reading.refunds(), _NO_REFUNDS)} WHERE each.local IS NOT NULL AND each.amount IS NOT NULL",
            self.lines: "SELECT key, segment, each.sku AS sku, each.title AS title, each.quantity AS quantity, "
            f"each.price AS price FROM {each(lines, NO_LINES)} WHERE each.quantity IS NOT NULL",
        }

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self._snapshot.columns

    @property
    def _key_column(self) -> str | None:
        """SQL of the column that identifies an order. Without one it is the order's place, and no row is taken over."""
        key = self._snapshot.manifest.key
        return quoted(key[0]) if len(key) == 1 else None


class _Shared:
    """One database for all generations. Segments have numbers in it, since their names are long."""

    def __init__(self) -> None:
        self.database = duckdb.connect(
            config={"threads": 2, "memory_limit": MEMORY_LIMIT, "temp_directory": gettempdir()}
        )
        self.database.execute("SET GLOBAL TimeZone = 'UTC'")
        self.database.execute("ATTACH ':memory:' AS facts (COMPRESS)")
        self._names = itertools.count()
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def next_name(self) -> str:
        return str(next(self._names))

    def number(self, segment: str) -> int:
        with self._lock:
            return self._numbers.setdefault(segment, len(self._numbers))


_SQL_TYPES: Mapping[Kind, str] = {
    "integer": "BIGINT",
    "boolean": "BIGINT",
    "unsigned": "UBIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date": "DATE",
    "datetime": "TIMESTAMPTZ",
    "timestamp": "TIMESTAMPTZ",
    "bytes": "BLOB",
}


def _sql_type(column: Column) -> str:
    if column.kind == "decimal":
        return f"DECIMAL({column.digits}, {column.decimals})"
    return _SQL_TYPES.get(column.kind, "VARCHAR")


def _runs(places: Sequence[int]) -> Iterator[list[int]]:
    """Neighbouring places, a few at a time."""
    run: list[int] = []
    for place in places:
        if run and (place != run[-1] + 1 or len(run) == SEGMENTS_AT_ONCE):
            yield run
            run = []
        run.append(place)
    if run:
        yield run
