"""The narrow tables that figures are computed from: orders, refunds and lines of one generation, in compressed memory.

Everything else stays in Parquet and is looked up by key. A table of the generation before is gone on from: only rows of
segments that are new are read again. Test orders are left out.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb

from cache.analytics.reading import Mapped
from cache.schema import Column, Kind
from cache.sql import quoted
from cache.storage.snapshot import PARQUET, Snapshot

ROW_KEY = "row key"  # beside the columns of the source: what names an order
KEY = quoted(ROW_KEY)
MEMORY_LIMIT = "192MB"
SEGMENTS_AT_ONCE = 8  # that many are read before the table is compressed

Rows = list[tuple[Any, ...]]


class Facts:
    """Tables `orders`, `refunds` and `lines` of one generation by their names in SQL, and the source as a view `rows`.

    Parameters: `before` are facts of another generation of the same table and mapping, to go on from.
    orders    key, segment, created_at, local (on the shop's clock), the dimensions, customer, again (the customer had
              ordered before), the amounts, fulfilling (seconds)
    refunds   key, segment, local, amount
    lines     key, segment, sku, title, quantity, price
    """

    def __init__(self, snapshot: Snapshot, mapped: Mapped, before: Facts | None = None) -> None:
        self._mapped = mapped
        self._snapshot = snapshot
        self._shared: _Shared = before._shared if before else _Shared()
        name = self._shared.name()
        self.rows = f"rows_{name}"
        self.orders, self.refunds, self.lines = (f"facts.{each}_{name}" for each in ("orders", "refunds", "lines"))
        self._numbers: set[int] = set()  # of the segments
        self._load(before if self._key_column and not mapped.by_line else None)

    def ask(self, sql: str, values: Sequence[object] = ()) -> Rows:
        """Rows of a query. May be called from any thread."""
        return self._shared.database.cursor().execute(sql, list(values)).fetchall()

    def dictionaries(self, sql: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
        cursor = self._shared.database.cursor()
        cursor.execute(sql, list(values))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def close(self) -> None:
        """Frees the memory of this generation."""
        for table in (self.orders, self.refunds, self.lines):
            self.ask(f"DROP TABLE IF EXISTS {table}")
        self.ask(f"DROP VIEW IF EXISTS {self.rows}")

    # -- making the tables

    def _load(self, before: Facts | None) -> None:
        paths = self._snapshot.paths(PARQUET)
        self.ask(f"CREATE VIEW {self.rows} AS {self._source(paths)}")
        numbers = [self._shared.number(segment.id) for segment in self._snapshot.manifest.segments]
        kept = set(numbers) & before._numbers if before else set()
        self._numbers = set(numbers)
        staged = f"facts.staged_{self._shared.name()}"
        for table, select in self._selects(staged, self._source([]), "0").items():
            self.ask(f"CREATE TABLE {table} AS {select}")
        if before and kept:
            listed = ", ".join(map(str, sorted(kept)))
            self.ask(f"INSERT INTO {staged} SELECT * EXCLUDE (again) FROM {before.orders} WHERE segment IN ({listed})")
            for table, old in ((self.refunds, before.refunds), (self.lines, before.lines)):
                self.ask(f"INSERT INTO {table} SELECT * FROM {old} WHERE segment IN ({listed})")
        new = [i for i, number in enumerate(numbers) if number not in kept]
        for run in [new] if self._mapped.by_line else _runs(new):
            if run:
                source = self._source([paths[i] for i in run], run[0])
                number = "0" if self._mapped.by_line else f"{[numbers[i] for i in run]}[file + 1]"
                for table, select in self._selects(staged, source, number).items():
                    self.ask(f"INSERT INTO {table} {select}")
                self.ask("CHECKPOINT facts")
        first = f"SELECT customer, arg_min(key, created_at) AS key FROM {staged} WHERE customer IS NOT NULL GROUP BY 1"
        self.ask(
            f"CREATE TABLE {self.orders} AS SELECT s.*, f.key IS NOT NULL AND s.key <> f.key AS again "
            f"FROM {staged} AS s LEFT JOIN ({first}) AS f USING (customer)"
        )
        self.ask(f"DROP TABLE {staged}")
        self.ask("CHECKPOINT facts")

    def _source(self, paths: Sequence[Path], first: int = 0) -> str:
        """The source, one row an order, named by its key, with the place of its file among `paths`.

        Parameters: `first` is the place of the first of them among all files.
        """
        if not paths:
            columns = ", ".join(f"NULL::{_sql_type(c)} AS {quoted(c.name)}" for c in self._columns)
            key = f"{'NULL::VARCHAR' if self._mapped.by_line else self._key_column or '0::BIGINT'} AS {KEY}"
            lines = f", {NO_LINES} AS lines" if self._mapped.by_line else ""
            return f"SELECT {key}, *, 0 AS file{lines} FROM (SELECT {columns}) WHERE false"
        files = f"read_parquet([{', '.join(_literal(str(path)) for path in paths)}])"
        if not self._mapped.by_line:
            key = self._key_column or f"((file_index::BIGINT + {first}) << 32) + file_row_number"
            return f"SELECT {key} AS {KEY}, *, file_index::INTEGER AS file FROM {files}"
        name = quoted(self._mapped.roles["name"].name)
        own = ", ".join(f"any_value({quoted(c.name)}) AS {quoted(c.name)}" for c in self._columns)
        lines = f"flatten(list({self._mapped.lines()})) AS lines"
        named = f"WHERE {name} IS NOT NULL GROUP BY {name}"
        return f"SELECT {name}::VARCHAR AS {KEY}, {own}, 0 AS file, {lines} FROM {files} {named}"

    def _selects(self, staged: str, source: str, number: str) -> dict[str, str]:
        """Table -> the SELECT that fills it. Parameters: `number` is the SQL of the number of a row's segment."""
        mapped = self._mapped
        columns = ", ".join(f"{sql} AS {name}" for name, sql in mapped.facts().items())
        rows = f"FROM ({source}) WHERE NOT {mapped.test}"
        lines = "lines" if mapped.by_line else mapped.lines()

        def each(values: str | None, nothing: str) -> str:
            return f"(SELECT {KEY} AS key, {number} AS segment, unnest({values or nothing}) AS each {rows})"

        return {
            staged: f"SELECT {KEY} AS key, {number} AS segment, {columns} {rows}",
            self.refunds: "SELECT key, segment, each.local AS local, each.amount AS amount FROM "
            f"{each(mapped.refunds(), _NO_REFUNDS)} WHERE each.local IS NOT NULL AND each.amount IS NOT NULL",
            self.lines: "SELECT key, segment, each.sku AS sku, each.title AS title, each.quantity AS quantity, "
            f"each.price AS price FROM {each(lines, NO_LINES)} WHERE each.quantity IS NOT NULL",
        }

    @property
    def _columns(self) -> tuple[Column, ...]:
        return self._snapshot.columns

    @property
    def keyed(self) -> bool:
        """Whether the key of an order is a value of it, and not its place."""
        return self._mapped.by_line or self._key_column is not None

    @property
    def _key_column(self) -> str | None:
        """What names an order, where one column does; else it is its place, and no row is taken over."""
        key = self._snapshot.manifest.key
        return quoted(key[0]) if len(key) == 1 else None


class _Shared:
    """One database for all generations. Numbers stand for segments in it, since their names are long."""

    def __init__(self) -> None:
        self.database = duckdb.connect(config={
            "threads": 2, "memory_limit": MEMORY_LIMIT, "temp_directory": gettempdir(),
        })  # fmt: skip
        self.database.execute("SET GLOBAL TimeZone = 'UTC'")
        self.database.execute("ATTACH ':memory:' AS facts (COMPRESS)")
        self._names = itertools.count()
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def name(self) -> str:
        return str(next(self._names))

    def number(self, segment: str) -> int:
        with self._lock:
            return self._numbers.setdefault(segment, len(self._numbers))


_NO_REFUNDS = "NULL::STRUCT(local TIMESTAMP, amount DECIMAL(18, 4))[]"
NO_LINES = "NULL::STRUCT(sku VARCHAR, title VARCHAR, quantity BIGINT, price DECIMAL(18, 4))[]"


_SQL_TYPES: Mapping[Kind, str] = {
    "integer": "BIGINT", "boolean": "BIGINT", "unsigned": "UBIGINT", "float": "FLOAT", "double": "DOUBLE",
    "date": "DATE", "datetime": "TIMESTAMPTZ", "timestamp": "TIMESTAMPTZ", "bytes": "BLOB",
}  # fmt: skip


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


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
