"""Turns amounts in several currencies into one: each event at the rate of its own day.

An amount is rounded to the decimals of the currency, halves away from zero. Sums are sums of rounded amounts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from cache.analytics.dimensions.order_filter import ORDER_VALUES
from cache.analytics.exchange_rates import RATE_DECIMALS, ExchangeRates
from cache.currencies import decimals_of
from cache.interpretation.text_values import AMOUNT
from cache.sql import literal

Query = Callable[[str, Sequence[object]], list[tuple[Any, ...]]]
"""Runs SQL with parameters."""
Table = tuple[str, Sequence[str]]
"""The name of a table, and its columns of amounts."""

_RATE = f"DECIMAL(18, {RATE_DECIMALS})"
_WIDE = f"DECIMAL(38, {RATE_DECIMALS})"  # wide enough for the product with an amount
_MAX_CENTS = 10**10  # products in DOUBLE up to here are off by less than 0.00001 cents
_NEARLY_HALF = 0.4999
_UNRATED = "* EXCLUDE (rate)"


class ConvertedTables:
    """The tables of facts of one generation, with all amounts in one currency.

    Attributes:
        orders: SQL name of the orders that have a rate, with `ORDER_VALUES`. They have that `rate` too.
        reversals: SQL name of the table of their reversals. One before the first rate of its currency has the rate of
            its order.
        lines: SQL name of the view of their line items, at the rates of the orders.
        line_reversals: SQL name of the table of what reverses these, at the rates of its days. Amounts of lines are
            rounded each, so that they may differ from those of the orders by the rounding.
        without_rate: Currency -> how many orders have no rate, and are left out; the most frequent first.
    """

    def __init__(self, rates: ExchangeRates, name: str) -> None:
        """Creates nothing yet.

        Args:
            rates: The rates.
            name: The end of the names of tables and views.
        """
        self._order_table, self.orders = f"facts.converted_orders_{name}", f"converted_orders_{name}"
        self.reversals = f"facts.converted_reversals_{name}"
        self.lines = f"converted_lines_{name}"
        self.line_reversals = f"facts.converted_line_reversals_{name}"
        self.without_rate: Mapping[str, int] = {}
        self._rates = rates
        self._table = f"facts.rates_{name}"  # a rate for each currency and day, up to the last one
        self._last_day = f"DATE '{min(max(rate.day for rate in rates.rates), date.today())}'"

    def create(self, query: Query, orders: Table, reversals: Table, lines: Table, line_reversals: Table) -> None:
        """Creates the tables and the view.

        Args:
            query: Runs SQL in the database of the tables.
            orders: The orders.
            reversals: The refunds and cancellations.
            lines: The line items.
            line_reversals: What reverses these.
        """
        days, currencies, values = zip(*self._rates.rates, strict=True)
        query(f"CREATE TABLE {self._table} AS {self._daily(orders[0])}", [currencies, days, values])
        own = literal(self._rates.currency)
        rated = self._rated(orders[0])
        query(f"CREATE TABLE {self._order_table} AS {self._converted('*', rated, orders[1], f'{own} AS currency')}", [])
        query(f"CREATE VIEW {self.orders} AS SELECT *, {ORDER_VALUES} FROM {self._order_table}", [])
        for table, (reversed_sales, amounts) in {
            self.reversals: reversals,
            self.line_reversals: line_reversals,
        }.items():
            at_rates = self._rated_reversals(reversed_sales, rated)
            query(f"CREATE TABLE {table} AS {self._converted(_UNRATED, at_rates, amounts)}", [])
        sold = f"SELECT l.*, o.rate FROM {lines[0]} AS l JOIN {self.orders} AS o USING (key)"
        query(f"CREATE VIEW {self.lines} AS {self._converted(_UNRATED, sold, lines[1])}", [])
        query(f"DROP TABLE {self._table}", [])
        query("CHECKPOINT facts", [])
        missing = f"SELECT currency FROM {orders[0]} ANTI JOIN {self.orders} USING (key)"
        self.without_rate = dict(query(f"SELECT currency, count(*) FROM ({missing}) GROUP BY 1 ORDER BY 2 DESC, 1", []))

    def drop(self, query: Query) -> None:
        """Drops the tables and the view."""
        for view in (self.lines, self.orders):
            query(f"DROP VIEW IF EXISTS {view}", [])
        for table in (self._order_table, self.reversals, self.line_reversals):
            query(f"DROP TABLE IF EXISTS {table}", [])

    def _daily(self, orders: str) -> str:
        """SQL of the rates of the orders' currencies: each on its day and up to the day before the next one.

        Its parameters are lists of currencies, days and rates.
        """
        rates = f"SELECT unnest(?::VARCHAR[]) AS currency, unnest(?::DATE[]) AS day, unnest(?::{_RATE}[]) AS rate"
        until = f"least(lead(day) OVER (PARTITION BY currency ORDER BY day) - 1, {self._last_day})"
        known = f"SELECT *, {until} AS until FROM ({rates}) WHERE currency IN (SELECT currency FROM {orders})"
        return f"SELECT currency, unnest(generate_series(day, until, INTERVAL 1 DAY))::DATE AS day, rate FROM ({known})"

    def _rated(self, orders: str) -> str:
        """SQL of the orders that have a rate, with it."""
        rated = f"SELECT o.*, {self._rate('NULL')} AS rate FROM {orders} AS o {self._join('o')}"
        return f"SELECT * FROM ({rated}) WHERE rate IS NOT NULL"

    def _rated_reversals(self, reversals: str, orders: str) -> str:
        rated_orders = f"SELECT key, currency, rate FROM ({orders})"
        return (
            f"SELECT r.*, {self._rate('o.rate')} AS rate FROM {reversals} AS r "
            f"JOIN ({rated_orders}) AS o USING (key) {self._join('r')}"
        )

    def _join(self, table: str) -> str:
        """SQL that joins the rates `x` of the days of a table, in the currencies of `o`."""
        day = f"{table}.local::DATE"
        counted = f"CASE WHEN {day} > {self._last_day} THEN {self._last_day} ELSE {day} END"
        return f"LEFT JOIN {self._table} AS x ON x.currency = o.currency AND x.day = {counted}"

    def _rate(self, otherwise: str) -> str:
        own = literal(self._rates.currency)
        return f"CASE WHEN o.currency = {own} THEN 1 ELSE coalesce(x.rate, {otherwise}) END::{_RATE}"

    def _converted(self, columns: str, rated: str, amounts: Sequence[str], *others: str) -> str:
        """SQL of these columns of rows with a rate, and of amounts multiplied by it."""
        decimals = decimals_of(self._rates.currency)
        rounded = (f"{rounded_product(amount, decimals)} AS {amount}" for amount in amounts)
        return f"SELECT {columns} REPLACE ({', '.join([*others, *rounded])}) FROM ({rated})"


def rounded_product(amount: str, decimals: int) -> str:
    """SQL of amount × rate, rounded, halves away from zero.

    DuckDB rounds wide decimals slowly. So DOUBLE gives the result unless it is near a half, or large.
    """
    cents = f"({amount}::DOUBLE * rate::DOUBLE * {10**decimals})"
    is_clear = f"abs({cents} - round({cents})) < {_NEARLY_HALF} AND abs({cents}) < {_MAX_CENTS}"
    cent = Decimal(1).scaleb(-decimals)
    quick = f"(round({cents})::BIGINT::DECIMAL(11, 0) * {cent:f})::{AMOUNT}"
    return f"CASE WHEN {is_clear} THEN {quick} ELSE round({amount} * rate::{_WIDE}, {decimals})::{AMOUNT} END"
