"""The orders that a page of the dashboard shows, as rows of the source table, for downloads of just these."""

from __future__ import annotations

from datetime import datetime

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
        read_as = snapshot.manifest.source.timezone
        reading = Reading(snapshot.columns, setup.timezone or self.timezone, read_as, setup)
        key = snapshot.manifest.key
        if reading.by_line:
            name = quoted(reading.roles["name"].name)
            keys, of, lines = [name], f"{name}::VARCHAR", "lines"
            own = ", ".join(f"any_value({quoted(c.name)}) AS {quoted(c.name)}" for c in snapshot.columns)
            own += f", flatten(list({reading.lines()})) AS lines"
            orders = f"SELECT {of} AS {KEY}, {own} FROM ({source}) WHERE {name} IS NOT NULL GROUP BY {name}"
        else:
            keys, of, lines = [quoted(part) for part in key if len(key) == 1], number, reading.lines() or NO_LINES
            orders = f"SELECT {of} AS {KEY}, * FROM ({source})"
        values: list[object] = []
        if search := self.search.strip():
            row_conditions = search_conditions(reading, self.masked, keys)
            line_conditions = line_search_conditions("l")
            named = f"list_filter({lines}, lambda l: l.quantity IS NOT NULL AND ({any_of(line_conditions)}))"
            orders = f"SELECT * FROM ({orders}) WHERE {any_of([*row_conditions, f'len({named}) > 0'])}"
            values = [search] * (len(row_conditions) + len(line_conditions))
        sold = f"SELECT {KEY} AS key, unnest({lines}) AS l FROM orders"
        sold = f"(SELECT key, l.sku AS sku, l.title AS title FROM ({sold}) WHERE l.quantity IS NOT NULL)"
        clause, more = order_filter(Span(*self.span) if self.span else None, self.conditions, sold)
        facts = ", ".join(f"{sql} AS {name}" for name, sql in reading.facts().items())
        facts = f"SELECT {KEY} AS key, {facts} FROM orders WHERE NOT {reading.test}"
        sql = (
            f"WITH orders AS NOT MATERIALIZED ({orders}) SELECT {number} FROM ({source}) "
            f"WHERE {of} IN (SELECT key FROM ({facts}) AS o WHERE {clause}) ORDER BY 1"
        )
        table = database.sql(sql, params=[*values, *more]).to_arrow_table()
        numbers: npt.NDArray[np.int64] = table.column(0).to_numpy()
        return numbers
