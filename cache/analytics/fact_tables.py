"""The narrow tables that figures are computed from: orders, refunds and lines of one generation, in compressed memory.

Everything else stays in Parquet and is looked up by key. A new generation takes over the rows of segments that the one
before has too, and reads only the others. Rows that are no orders (tests, deleted rows, drafts) are in a table of their
own.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import duckdb

from cache.analytics.grouping import grouped
from cache.analytics.role_sql import RoleSql
from cache.analytics.source_rows import union
from cache.analytics.text_values import AMOUNT
from cache.storage.snapshot import PARQUET, Snapshot

KEY = "order_key"
"""The name, beside the columns of the source (`c0`, `c1`, …), of what identifies an order."""
MEMORY_LIMIT = "192MB"
SEGMENTS_AT_ONCE = 8  # that many are read before the table is compressed

NO_LINES = f"NULL::STRUCT(sku VARCHAR, title VARCHAR, quantity BIGINT, price {AMOUNT})[]"
_NO_REFUNDS = f"NULL::STRUCT(local TIMESTAMP, amount {AMOUNT})[]"


class FactTables:
    """Tables of one generation in DuckDB, and the source as a view.

    Attributes:
        orders: SQL name of the table of orders: key, segment, created_at, local (on the shop's clock), the dimensions,
            customer, again (the customer has an earlier order), the amounts, fulfilling (seconds).
        refunds: SQL name of the table of refunds: key, segment, local, amount.
        lines: SQL name of the table of line items: key, segment, sku, title, quantity, price.
        left_out: SQL name of the table of rows that are no orders: key, segment, why (`test`, `deleted`, `draft`).
        rows: SQL name of the view of the source, one row an order, with its key as `KEY`.
    """

    def __init__(self, snapshot: Snapshot, roles: RoleSql, before: FactTables | None = None) -> None:
        """Reads the tables.

        Args:
            snapshot: The generation.
            roles: SQL of what its columns mean.
            before: Tables of another generation of the same source, read in the same way, to take rows from.
        """
        self._roles = roles
        self._snapshot = snapshot
        self._shared: _Shared = before._shared if before else _Shared()
        name = self._shared.next_name()
        self.rows = f"rows_{name}"
        self.orders, self.refunds = f"facts.orders_{name}", f"facts.refunds_{name}"
        self.lines, self.left_out = f"facts.lines_{name}", f"facts.left_out_{name}"
        self._segment_numbers: set[int] = set()
        self._load(before if self._key_column and not self._grouped else None)

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
        for table in (self.orders, self.refunds, self.lines, self.left_out):
            self.query(f"DROP TABLE IF EXISTS {table}")
        self.query(f"DROP VIEW IF EXISTS {self.rows}")

    @property
    def keyed(self) -> bool:
        """Whether the key of an order is a value of it, and not its place in the files."""
        return self._grouped or self._key_column is not None

    # -- making the tables

    def _load(self, before: FactTables | None) -> None:
        segments = self._snapshot.manifest.segments
        numbers = [self._shared.number(segment.id) for segment in segments]
        paths = dict(zip(numbers, self._snapshot.paths(PARQUET), strict=True))
        self.query(f"CREATE VIEW {self.rows} AS {self._source(paths)}")
        kept = set(numbers) & before._segment_numbers if before else set()
        self._segment_numbers = set(numbers)
        staged = f"facts.staged_{self._shared.next_name()}"
        for table, select in self._selects(staged, self._source({})).items():
            self.query(f"CREATE TABLE {table} AS {select}")
        if before and kept:
            self._take_over(before, kept, staged)
        new = [number for number in numbers if number not in kept]
        step = len(new) if self._grouped else SEGMENTS_AT_ONCE
        for first in range(0, len(new), step or 1):
            run = new[first : first + step]
            for table, select in self._selects(staged, self._source({n: paths[n] for n in run})).items():
                self.query(f"INSERT INTO {table} {select}")
            self.query("CHECKPOINT facts")
        self._create_orders(staged)

    def _take_over(self, before: FactTables, segments: set[int], staged: str) -> None:
        """Inserts the rows of segments, by their numbers, from the tables of another generation."""
        which = f"WHERE segment IN ({', '.join(map(str, sorted(segments)))})"
        self.query(f"INSERT INTO {staged} SELECT * EXCLUDE (again) FROM {before.orders} {which}")
        taken = ((self.refunds, before.refunds), (self.lines, before.lines), (self.left_out, before.left_out))
        for table, old in taken:
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

    def _source(self, paths: Mapping[int, Path]) -> str:
        """SQL of the source, one row an order, with its key and the number of its segment.

        Args:
            paths: Number of a segment -> its Parquet file; none for the columns without rows.
        """
        source = self._roles.source
        if self._grouped:
            rows = union(source.rows(path) for path in paths.values()) or source.none()
            return f"SELECT *, 0 AS segment FROM ({grouped(rows, self._roles, KEY)})"
        selects = [
            source.rows(path, f"{self._key_column or _place(number)} AS {KEY}", f"{number} AS segment")
            for number, path in paths.items()
        ]
        return union(selects) or source.none(f"{self._key_column or '0::BIGINT'} AS {KEY}", "0 AS segment")

    def _selects(self, staged: str, source: str) -> dict[str, str]:
        """Table -> the SELECT that fills it."""
        roles = self._roles
        columns = ", ".join(f"{sql} AS {name}" for name, sql in roles.facts().items())
        left_out = roles.left_out()
        rows = f"FROM ({source}) WHERE ({left_out}) IS NULL"
        lines = "lines" if roles.reading.grain == "line" else roles.lines()

        def each(values: str | None, nothing: str) -> str:
            return f"(SELECT {KEY} AS key, segment, unnest({values or nothing}) AS each {rows})"

        return {
            staged: f"SELECT {KEY} AS key, segment, {columns} {rows}",
            self.refunds: "SELECT key, segment, each.local AS local, each.amount AS amount FROM "
            f"{each(roles.refunds(), _NO_REFUNDS)} WHERE each.local IS NOT NULL AND each.amount IS NOT NULL",
            self.lines: "SELECT key, segment, each.sku AS sku, each.title AS title, each.quantity AS quantity, "
            f"each.price AS price FROM {each(lines, NO_LINES)} WHERE each.quantity IS NOT NULL",
            self.left_out: f"SELECT {KEY} AS key, segment, {left_out} AS why FROM ({source}) WHERE why IS NOT NULL",
        }

    @property
    def _grouped(self) -> bool:
        """Whether several rows of the source may belong to one order."""
        return self._roles.reading.grain != "order"

    @property
    def _key_column(self) -> str | None:
        """SQL of the column that identifies an order. Without one it is the order's place, and no row is taken over."""
        key = self._snapshot.manifest.key
        return self._roles.source.sql(key[0]) if len(key) == 1 else None


def _place(segment: int) -> str:
    """SQL of the place of a row in its segment: what identifies a row of a table without a key."""
    return f"({segment}::BIGINT << 32) + row_number() OVER ()"


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
