"""The orders that a page of the dashboard shows, as rows of the source table, for downloads of just these."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import duckdb
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.analytics.dimensions.catalogue import CUSTOMER_TYPE, REFUNDED
from cache.analytics.dimensions.order_filter import ORDER_VALUES, FilteredTables, order_filter
from cache.analytics.marks import failing_filter
from cache.analytics.order_list.sorting import OrderSorts, SortSql
from cache.analytics.order_lookup import any_of, line_search_conditions, search_conditions
from cache.calendar.periods import Span
from cache.check_report import FailedCheck
from cache.interpretation.check_sql import CheckSql, failing_across_orders
from cache.interpretation.grouping import grouped, order_key
from cache.interpretation.list_sql import NO_LINES, ListSql
from cache.interpretation.money_sql import MoneySql, refunded, returned, reversals, taxes_by_rate
from cache.interpretation.order_rows import KEY
from cache.interpretation.role_sql import RoleSql
from cache.interpretation.source_rows import parquet, union
from cache.query.filters import Condition, Sort
from cache.reading import Reading
from cache.settings import CancelledOrders
from cache.storage.snapshot import PARQUET, Snapshot
from cache.table_setup import Setup


class OrderSelection(BaseModel, frozen=True):
    """Which orders; the arguments of `Orders.page`.

    Attributes:
        timezone: IANA name of the shop's time zone, where the set-up has none.
        span: First instant and the one behind the last, in the shop's time without a zone; None: always.
        conditions: Conditions on the order's dimensions.
        search: Text to search orders for.
        mask: What is hidden; it is not searched.
        cancelled_orders: The setting CANCELLED_ORDERS.
        failing: Only orders that fail this check; None: all.
        lines: Whether the file has a row for each line item, in place of the rows of the table.
        sort: What comes first, as `Orders.page` sorts; None: the order of the table.
    """

    timezone: str
    span: tuple[datetime, datetime] | None = None
    conditions: tuple[Condition, ...] = ()
    search: str = ""
    mask: Mask = NOTHING_HIDDEN
    cancelled_orders: CancelledOrders = "reversed"
    failing: FailedCheck | None = None
    lines: bool = False
    sort: Sort | None = None

    def roles(self, snapshot: Snapshot, setup: Setup, reading: Reading) -> RoleSql:
        """SQL of what the columns of a generation mean. For the arguments see `row_numbers`."""
        synced_timezone = snapshot.manifest.source.timezone
        source_timezone = setup.source_timezone or synced_timezone
        timezone = setup.timezone or self.timezone
        return RoleSql(snapshot.columns, reading, timezone, source_timezone, synced_timezone, self.cancelled_orders)

    def row_numbers(
        self, database: duckdb.DuckDBPyConnection, snapshot: Snapshot, setup: Setup, reading: Reading
    ) -> npt.NDArray[np.int64]:
        """Finds the rows of these orders.

        Args:
            database: A database.
            snapshot: The generation.
            setup: The set-up of the table.
            reading: What its columns mean.

        Returns:
            Row numbers, in the order of `sort`; rising without one. Where several rows belong to one order, all rows of
            these orders.
        """
        roles = self.roles(snapshot, setup, reading)
        source = _numbered(snapshot, roles)
        orders = _orders(roles, snapshot, source, self.mask)
        searched, search_parameters = self._searched(orders, roles)
        sold = f"SELECT {KEY} AS key, unnest({orders.lines}) AS l FROM orders"
        sold = f"(SELECT key, unnest(l) FROM ({sold}) WHERE l.quantity IS NOT NULL)"
        parts = f"({MoneySql(roles).parts('SELECT 0 AS segment, * FROM orders', KEY)})"
        counted = f"SELECT * FROM {parts} WHERE why IS NULL"
        reversed_sales, taxes = f"({reversals(counted)})", f"({taxes_by_rate(counted)})"
        tables = FilteredTables(sold, reversed_sales, "orders", roles.source, taxes)
        again = self._again()
        came_back = ""
        if self._asks(REFUNDED):  # as a table, whose size is known: DuckDB would hold all other orders in memory
            keys = f"WITH orders AS NOT MATERIALIZED ({orders.sql}) {returned(parts)}"
            database.register("returned", database.sql(keys).to_arrow_table())
            came_back = f", {refunded('SELECT key FROM returned')} AS {REFUNDED}"
        facts = f"SELECT *{came_back}{again}, {ORDER_VALUES} FROM {parts} WHERE why IS NULL"
        span = Span(*self.span) if self.span else None
        if self.failing is None:
            clause, parameters = order_filter(span, self.conditions, tables)
        else:
            clause, parameters = failing_filter(span, self.conditions, tables, self.failing)
            facts = _checked(facts, roles, snapshot.manifest.as_of)
        sort = self._sort_sql(database, orders, roles)
        if self.failing or again:  # an order is compared with all others, so the search comes last
            read = orders.sql
            clause += f" AND o.key IN (SELECT {KEY} FROM ({searched}))"
            parameters = [*sort.parameters, *parameters, *search_parameters]
        else:
            read = searched
            parameters = [*search_parameters, *sort.parameters, *parameters]
        found = f"FROM ({facts}) AS o {sort.join} WHERE {clause}"
        if reading.grain == "order":  # the key of an order is the number of its row
            numbers_sql = f"SELECT o.key {found} ORDER BY {sort.terms or 'o.key'}"
        else:
            place = f"row_number() OVER (ORDER BY {sort.terms or 'o.key'}) AS place"
            rows = f"JOIN (SELECT o.key, {place} {found}) AS f ON f.key = {orders.key}"
            numbers_sql = f"SELECT {_NUMBER} FROM ({source}) {rows} ORDER BY {'place, ' if self.sort else ''}{_NUMBER}"
        sql = f"WITH orders AS NOT MATERIALIZED ({read}) {numbers_sql}"
        table = database.sql(sql, params=parameters).to_arrow_table()
        numbers: npt.NDArray[np.int64] = table.column(0).to_numpy()
        return numbers

    def _sort_sql(self, database: duckdb.DuckDBPyConnection, orders: _Orders, roles: RoleSql) -> SortSql:
        """What comes first, over the facts `o` and the table `orders`; nothing without `sort`."""
        if self.sort is None:
            return SortSql("")
        names = f"SELECT country, arg_min(name, {KEY}) FROM (SELECT {KEY}, {roles.dimensions()['country']} AS country, "
        names += f"{roles.country_name} AS name FROM ({orders.sql})) WHERE country <> '' GROUP BY 1"
        by_country = self.sort.column == "country"
        countries = {code: name or code for code, name in database.sql(names).fetchall()} if by_country else {}
        return OrderSorts(roles, "orders", countries, ()).compile(self.sort)

    def _asks(self, dimension: str) -> bool:
        return any(condition.column == dimension for condition in self.conditions)

    def _again(self) -> str:
        """SQL of whether the customer of an order has an earlier one, as a further column; "" where nobody asks."""
        if not self._asks(CUSTOMER_TYPE):
            return ""
        return ", customer IS NOT NULL AND key <> arg_min(key, created_at) OVER (PARTITION BY customer) AS again"

    def _searched(self, orders: _Orders, roles: RoleSql) -> tuple[str, list[str]]:
        """SQL of the orders that hold the search text, and its parameters."""
        search = self.search.strip()
        if not search:
            return orders.sql, []
        row_conditions = search_conditions(roles, self.mask, orders.searched_key, search)
        line_conditions = line_search_conditions("l", roles, self.mask)
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
        searched_key: SQL of the key that a search looks in; None: in none.
    """

    sql: str
    key: str
    lines: str
    searched_key: str | None


def _numbered(snapshot: Snapshot, roles: RoleSql) -> str:
    """SQL of all rows, with the row number as the column `_NUMBER`."""
    selects = []
    first = 0
    for segment, path in zip(snapshot.manifest.segments, snapshot.paths(PARQUET), strict=True):
        selects.append(roles.source.rows(parquet(path), f"row_number() OVER () + {first - 1} AS {_NUMBER}"))
        first += segment.rows
    return union(selects) or roles.source.none(f"0 AS {_NUMBER}")


def _checked(facts: str, roles: RoleSql, as_of: datetime) -> str:
    """SQL of facts with the columns of the checks, as `FactTables` has them."""
    across = failing_across_orders("staged", as_of, roles.backdated)
    return (
        f"WITH staged AS MATERIALIZED (SELECT * EXCLUDE (items, refs) FROM ({CheckSql(roles).checked(facts)})) "
        "SELECT staged.*, (failed | coalesce(bits, 0))::UTINYINT AS failing "
        f"FROM staged LEFT JOIN ({across}) USING (key)"
    )


def _orders(roles: RoleSql, snapshot: Snapshot, source: str, mask: Mask) -> _Orders:
    if roles.reading.grain == "order":
        key = snapshot.manifest.key
        searched = roles.source.sql(key[0]) if len(key) == 1 and not mask.hides_one_of(key) else None
        return _Orders(
            f"SELECT {_NUMBER} AS {KEY}, * FROM ({source})", _NUMBER, ListSql(roles).lines() or NO_LINES, searched
        )
    lines = "lines" if roles.reading.grain == "line" else ListSql(roles).lines() or NO_LINES
    searched = None if mask.hides_one_of(roles.reading.identity) else KEY
    return _Orders(grouped(source, roles, KEY), order_key(roles), lines, searched)


_NUMBER = "row_no"
