"""The narrow tables that figures are computed from: orders, reversals and lines of a generation, in compressed memory.

Everything else stays in Parquet and is looked up by key. A new generation takes over the rows of segments that the one
before has too, and reads only the others. Rows that are no orders (tests, deleted rows, drafts) are in a table of their
own.
"""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from types import MappingProxyType
from typing import Any

import duckdb
import pyarrow as pa

from cache.analytics.conversion import ConvertedTables
from cache.analytics.dimensions.catalogue import REFUNDED
from cache.analytics.dimensions.order_filter import ORDER_VALUES, FilteredTables
from cache.analytics.exchange_rates import ExchangeRates
from cache.interpretation.check_sql import DIFFERENCES, CheckSql, failing_across_orders
from cache.interpretation.line_money import line_reversals, sold_lines
from cache.interpretation.money_sql import REVERSED_AMOUNTS, refunded, returned, reversals, taxes_by_rate
from cache.interpretation.order_rows import OrderRows, Relations, segment_of_file
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.source_rows import parquet, parquet_part
from cache.interpretation.unread_values import count_unread
from cache.machine.memory import database_limit, is_small
from cache.sql import literal
from cache.storage.snapshot import PARQUET, Snapshot

AMOUNTS = ("gross", "discounts", "shipping", "tax", "duties", "fees", "tips", "gift_cards", "charged")
"""The amounts of an order as placed, all without tax but `charged`: its total, without the gift cards in it."""
MEMORY_MB = 192
MOST_RETURNS = 0.95  # the share of returns that an order waits for
MIN_RETURNS = 20  # so many say how long returns take
USUAL_DAYS_OF_RETURNS = 30
MAX_CONVERTED = 2  # states of RATES_FILE whose amounts are kept: pages may still show the one before
PARTS = 2  # of a segment, which are read one after the other where memory is short
SEGMENTS_AT_ONCE = 6  # that many are read before the tables are compressed: about as many lines as a block of them has


class FactTables:
    """Tables of one generation in DuckDB, and the source as a view.

    Attributes:
        orders: SQL name of the orders: key, segment, created_at, local (on the shop's clock), the dimensions,
            customer, again (the customer has an earlier order), pieces (of all its line items), the amounts as placed,
            refunded (goods came back: `yes` or `no`), fulfilling (seconds), handed_over (as RoleSql says), settled (its
            returns are known), number (a hash of the order's number), sequence (its digits), checked and failing (bits
            of `ORDER_CHECKS`), the differences of checks, and `ORDER_VALUES`.
        reversals: SQL name of the table of refunds and cancellations: key, segment, kind, moment, local, the amounts by
            which they change figures (see money_sql.reversals).
        lines: SQL name of the table of line items, as of `line_money.sold_lines`.
        line_reversals: SQL name of the table of what reverses their sales, as of `line_money.line_reversals`.
        taxes: SQL name of the table of the taxes of orders by rate, as of `money_sql.taxes_by_rate`.
        left_out: SQL name of the table of rows that are no orders: key, segment, why (`test`, `deleted`, `draft`,
            `cancelled`).
        unread: SQL name of the table of values that cannot be read: segment, role, filled (orders with a value), unread
            (orders with one that cannot be read), keys (of some of these).
        rows: SQL name of the view of the source, one row an order, with its key as `KEY`.
        key_columns: As of `OrderRows`.
        without_rate: Currency -> number of its orders that were left out of converted tables; the most frequent first.
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
        self._order_rows = OrderRows(snapshot.manifest.key, roles)
        self.key_columns = self._order_rows.key_columns
        self._shared: _Shared = before._shared if before else _Shared()
        name = self._shared.next_name()
        self.rows = f"rows_{name}"
        self._order_table, self.orders = f"facts.orders_{name}", f"orders_{name}"
        self.reversals = f"facts.reversals_{name}"
        self.lines, self.left_out = f"facts.lines_{name}", f"facts.left_out_{name}"
        self.unread = f"facts.unread_{name}"
        self.line_reversals, self.taxes = f"facts.line_reversals_{name}", f"facts.taxes_{name}"
        self.without_rate: Mapping[str, int] = {}
        self._segment_numbers: set[int] = set()
        self._files: Mapping[int, Path] = {}
        self._converted: dict[ExchangeRates, ConvertedTables] = {}
        self._converting = threading.Lock()
        self._load(before if self._order_rows.movable else None)

    def query(
        self, sql: str, parameters: Sequence[object] = (), tables: Mapping[str, pa.Table] = MappingProxyType({})
    ) -> list[tuple[Any, ...]]:
        """Rows of a query. May be called from any thread.

        Args:
            sql: The query.
            parameters: Its parameters.
            tables: Further tables that it reads, by their names in it.
        """
        cursor = self._shared.database.cursor()
        for name, table in tables.items():
            cursor.register(name, table)
        return cursor.execute(sql, list(parameters)).fetchall()

    def arrow(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """The result of a query as a table. May be called from any thread."""
        return self._shared.database.cursor().sql(sql, params=list(parameters)).to_arrow_table()

    def dictionaries(self, sql: str, parameters: Sequence[object] = ()) -> list[dict[str, Any]]:
        """Rows of a query, each as name -> value. May be called from any thread."""
        cursor = self._shared.database.cursor()
        cursor.execute(sql, list(parameters))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def sample(self, select: str, limit: int) -> list[tuple[Any, ...]]:
        """Values of some rows of the source: of its first and of its last segment.

        Args:
            select: SQL of the values, over the columns of the source.
            limit: How many rows of each segment.
        """
        segments = sorted(self._segment_numbers)
        ends = [self.rows]
        if not self._order_rows.grouped:
            ends = [f"({self._source(number)})" for number in sorted({*segments[:1], *segments[-1:]})]
        parts = (f"(SELECT {select} FROM {end} LIMIT {limit})" for end in ends)
        sql = " UNION ALL ".join(parts)
        return self.query(sql) if sql else []

    def close(self) -> None:
        """Frees the memory of this generation."""
        for table in (self._order_table, *self._taken_over()):
            self.query(f"DROP TABLE IF EXISTS {table}")
        for view in (self.rows, self.orders):
            self.query(f"DROP VIEW IF EXISTS {view}")
        for converted in self._converted.values():
            converted.drop(self.query)

    def converted(self, rates: ExchangeRates) -> FactTables:
        """The same tables with amounts in one currency, as long as these are open. May be called from any thread.

        Orders without a rate are left out.
        """
        with self._converting:
            if rates not in self._converted:
                converted = ConvertedTables(rates, self._shared.next_name())
                orders = self._order_table, (*AMOUNTS, *DIFFERENCES)
                lines = self.lines, ("price", "amount", "discount")
                reversals = self.reversals, REVERSED_AMOUNTS
                line_reversals = self.line_reversals, ("returns", "cancellations")
                converted.create(self.query, orders, reversals, lines, line_reversals)
                self._converted[rates] = converted
            converted = self._converted[rates]
            while len(self._converted) > MAX_CONVERTED:
                self._converted.pop(next(iter(self._converted))).drop(self.query)
        tables = copy.copy(self)
        tables.orders, tables.reversals, tables.lines = converted.orders, converted.reversals, converted.lines
        tables.line_reversals = converted.line_reversals
        tables.without_rate = converted.without_rate
        return tables

    @property
    def filtered(self) -> FilteredTables:
        """What conditions on orders look into."""
        return FilteredTables(self.lines, self.reversals, self.rows, self._roles.source, self.taxes)

    def _taken_over(self) -> tuple[str, ...]:
        """The tables whose rows another generation takes over as they are."""
        return self.reversals, self.lines, self.line_reversals, self.taxes, self.left_out, self.unread

    # -- making the tables

    def _load(self, before: FactTables | None) -> None:
        segments = self._snapshot.manifest.segments
        numbers = [self._shared.number(segment.id) for segment in segments]
        self._files = dict(zip(numbers, self._snapshot.paths(PARQUET), strict=True))
        self.query(f"CREATE VIEW {self.rows} AS {self._source(*numbers)}")
        kept = set(numbers) & before._segment_numbers if before else set()
        self._segment_numbers = set(numbers)
        staged = f"facts.staged_{self._shared.next_name()}"
        batch = f"batch_{self._shared.next_name()}"
        new = [number for number in numbers if number not in kept]
        for place, read in enumerate(self._batches(new)):
            for part, relations in enumerate(read):
                self._fill(batch, self._order_rows.parts(relations), create=not part)
            for table, select in self._selects(staged, f"FROM {batch}").items():
                self._fill(table, select, create=not place)
            self.query(f"DROP TABLE {batch}")
            self.query("CHECKPOINT facts")
        if before and kept:
            self._take_over(before, kept, staged)
        self._create_orders(staged)

    def _source(self, *segments: int) -> str:
        """SQL of the source in some segments, by their numbers, one row an order."""
        return self._order_rows.source(self._relations(segments))

    def _fill(self, table: str, select: str, create: bool) -> None:
        self.query(f"CREATE TABLE {table} AS {select}" if create else f"INSERT INTO {table} {select}")

    def _batches(self, segments: Sequence[int]) -> Iterator[Sequence[Relations]]:
        """What is read before the tables are compressed, in the parts that are read at once; one batch in any case.

        Where memory is short, a part is every second row of a segment. DuckDB then has half of each chunk of rows at
        once; a whole one with its JSON takes 50 MB.
        """
        if segments and is_small() and self._order_rows.movable:
            for number in segments:
                yield [{number: parquet_part(self._files[number], part, PARTS)} for part in range(PARTS)]
            return
        step = max(1, len(segments)) if self._order_rows.grouped else SEGMENTS_AT_ONCE
        for first in range(0, max(1, len(segments)), step):
            yield [self._relations(segments[first : first + step])]

    def _relations(self, segments: Sequence[int]) -> Relations:
        """What holds the rows of segments. Two threads read one relation of many files, and one thread many relations.

        Without key columns, the key of an order is its place in its file, so that each file is read by itself.
        """
        files = [self._files[number] for number in segments]
        if not self._order_rows.key_columns or not files:
            return dict(zip(segments, map(parquet, files), strict=True))
        return {segment_of_file(segments): parquet(*files)}

    def _take_over(self, before: FactTables, segments: set[int], staged: str) -> None:
        """Inserts the rows of segments, by their numbers, from the tables of another generation."""
        which = f"WHERE segment IN ({', '.join(map(str, sorted(segments)))})"
        self.query(
            f"INSERT INTO {staged} SELECT * EXCLUDE (again, settled, failing) FROM {before._order_table} {which}"
        )
        for table, old in zip(self._taken_over(), before._taken_over(), strict=True):
            self.query(f"INSERT INTO {table} SELECT * FROM {old} {which}")

    def _create_orders(self, staged: str) -> None:
        """Makes the table of orders out of the staged one, which is dropped.

        The returns of an order are known once it is as old as it takes for most returns to come.
        """
        days = self._days_of_returns(staged)
        settled = f"s.created_at < {literal(str(self._snapshot.manifest.as_of))}::TIMESTAMPTZ - INTERVAL {days} DAY"
        first = f"SELECT customer, arg_min(key, created_at) AS key FROM {staged} WHERE customer IS NOT NULL GROUP BY 1"
        failing = failing_across_orders(staged, self._snapshot.manifest.as_of, self._roles.backdated)
        self.query(
            f"CREATE TABLE {self._order_table} AS SELECT s.*, f.key IS NOT NULL AND s.key <> f.key AS again, "
            f"coalesce({settled}, true) AS settled, (failed | coalesce(x.bits, 0))::UTINYINT AS failing "
            f"FROM {staged} AS s LEFT JOIN ({first}) AS f USING (customer) LEFT JOIN ({failing}) AS x ON x.key = s.key"
        )
        self.query(f"CREATE VIEW {self.orders} AS SELECT *, {ORDER_VALUES} FROM {self._order_table}")
        self.query(f"DROP TABLE {staged}")
        self.query("CHECKPOINT facts")

    def _days_of_returns(self, orders: str) -> int:
        """Days within which `MOST_RETURNS` of all returns come; the usual ones where too few have a date."""
        days_taken = (
            f"SELECT date_diff('day', o.local, r.local) AS days FROM {self.reversals} AS r "
            f"JOIN {orders} AS o USING (key) WHERE r.kind = 'return'"
        )
        sql = f"SELECT count(days), quantile_disc(days, {MOST_RETURNS}) FROM ({days_taken})"
        count, days = self.query(sql)[0]
        return max(days, 1) if "refunds" in self._roles.roles and count >= MIN_RETURNS else USUAL_DAYS_OF_RETURNS

    def _selects(self, staged: str, parts: str) -> dict[str, str]:
        """Table -> the SELECT that fills it out of the parts of orders."""
        rows = f"SELECT * FROM ({parts}) WHERE why IS NULL"
        columns = ", ".join(self._roles.dimensions())
        amounts = ", ".join(AMOUNTS)
        return {
            staged: f"SELECT key, segment, number, sequence, {columns}, pieces, {amounts}, "
            f"{refunded(returned(rows))} AS {REFUNDED}, checked, failed, {', '.join(DIFFERENCES)} "
            f"FROM ({CheckSql(self._roles).checked(rows)})",
            self.reversals: reversals(rows),
            self.lines: sold_lines(rows),
            self.line_reversals: line_reversals(rows, self.lines),
            self.taxes: taxes_by_rate(rows),
            self.left_out: f"SELECT key, segment, why FROM ({parts}) WHERE why IS NOT NULL",
            self.unread: count_unread(self._roles, parts),
        }


class _Shared:
    """One database for all generations. Segments have numbers in it, since their names are long."""

    def __init__(self) -> None:
        self.database = duckdb.connect(
            config={
                "threads": 1 if is_small() else 2,
                "memory_limit": database_limit(MEMORY_MB),
                "temp_directory": gettempdir(),
            }
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
