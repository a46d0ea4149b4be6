"""The orders that a page of the dashboard shows, as rows of the source table, for downloads of just these."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from cache.analytics.dimensions import order_filter
from cache.analytics.fact_tables import KEY, NO_LINES
from cache.analytics.order_lookup import any_of, line_search_conditions, search_conditions
from cache.analytics.periods import Span
from cache.analytics.reading import Reading
from cache.query.filters import Condition
from cache.sql import quoted
from cache.storage.snapshot import Snapshot
from cache.table_setup import Setup


class OrderSelection(BaseModel, frozen=True):
    """Which orders; the arguments of `Orders.page`.

    Attributes:
        timezone: IANA name of the shop's time zone, where the set-up has none.
        span: First instant and the one behind the last, in the shop's time without a zone; None: always.
        conditions: Conditions on the order's dimensions.
        search: Text to search orders for.
        masked: Columns that are not searched, since they are hidden.
    """

    timezone: str
    span: tuple[datetime, datetime] | None = None
    conditions: tuple[Condition, ...] = ()
    search: str = ""
    masked: frozenset[str] = frozenset()

    def row_numbers(
        self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, setup: Setup, source: str, number: str
    ) -> npt.NDArray[np.int64]:
        """Finds the rows of these orders.

        Args:
            database: A database that can read `source`.
            snapshot: The generation.
            setup: The set-up of the table.
            source: SQL of all rows, with their row numbers as a column.
            number: The name of that column, as an SQL identifier.

        Returns:
            Row numbers, rising. Where the table has a row for each line item, all rows of these orders.
        """
        stored_in = snapshot.manifest.source.timezone
        reading = Reading(snapshot.columns, setup.timezone or self.timezone, stored_in, setup)
        orders = _orders(reading, snapshot, source, number)
        matching, search_parameters = self._searched(orders, reading)
        sold = f"SELECT {KEY} AS key, unnest({orders.lines}) AS l FROM orders"
        sold = f"(SELECT key, l.sku AS sku, l.title AS title FROM ({sold}) WHERE l.quantity IS NOT NULL)"
        clause, parameters = order_filter(Span(*self.span) if self.span else None, self.conditions, sold)
        facts = ", ".join(f"{sql} AS {name}" for name, sql in reading.facts().items())
        facts = f"SELECT {KEY} AS key, {facts} FROM orders WHERE NOT {reading.test}"
        sql = (
            f"WITH orders AS NOT MATERIALIZED ({matching}) SELECT {number} FROM ({source}) "
            f"WHERE {orders.key} IN (SELECT key FROM ({facts}) AS o WHERE {clause}) ORDER BY 1"
        )
        table = database.sql(sql, params=[*search_parameters, *parameters]).to_arrow_table()
        numbers: npt.NDArray[np.int64] = table.column(0).to_numpy()
        return numbers

    def _searched(self, orders: _Orders, reading: Reading) -> tuple[str, list[str]]:
        """SQL of the orders that hold the search text, and its parameters."""
        search = self.search.strip()
        if not search:
            return orders.sql, []
        row_conditions = search_conditions(reading, self.masked, orders.searched_keys)
        line_conditions = line_search_conditions("l")
        matching_lines = (
            f"list_filter({orders.lines}, lambda l: l.quantity IS NOT NULL AND ({any_of(line_conditions)}))"
        )
        sql = f"SELECT * FROM ({orders.sql}) WHERE {any_of([*row_conditions, f'len({matching_lines}) > 0'])}"
        return sql, [search] * (len(row_conditions) + len(line_conditions))


class _Orders(NamedTuple):
    """Orders as SQL.

    Attributes:
        sql: One row for each order, with the columns of the source and KEY.
        key: What identifies the order of a source row.
        lines: The line items of an order, as a list.
        searched_keys: Keys of the source that a search looks in.
    """

    sql: str
    key: str
    lines: str
    searched_keys: list[str]


def _orders(reading: Reading, snapshot: Snapshot, source: str, number: str) -> _Orders:
    if not reading.by_line:
        columns_of_key = snapshot.manifest.key
        searched = [quoted(name) for name in columns_of_key] if len(columns_of_key) == 1 else []
        return _Orders(f"SELECT {number} AS {KEY}, * FROM ({source})", number, reading.lines() or NO_LINES, searched)
    name = quoted(reading.roles["name"].name)
    key = f"{name}::VARCHAR"
    columns = [f"any_value({quoted(column.name)}) AS {quoted(column.name)}" for column in snapshot.columns]
    columns.append(f"flatten(list({reading.lines()})) AS lines")
    sql = f"SELECT {key} AS {KEY}, {', '.join(columns)} FROM ({source}) WHERE {name} IS NOT NULL GROUP BY {name}"
    return _Orders(sql, key, "lines", [name])
