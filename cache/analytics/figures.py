"""Figures over one generation's orders, by Shopify's definitions: exact decimals, the shop's days.

Test orders never count; cancelled, pending and unpaid ones do, as Shopify counts them. Amounts in different currencies
are never added: callers filter by one. Definitions, where not told otherwise:
https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from cache.analytics.fact_tables import Facts
from cache.analytics.order_lookup import Lookup, Page, Row
from cache.analytics.reading import Mapped
from cache.query.filters import Condition, where
from cache.schema import Column
from cache.storage.snapshot import Snapshot
from cache.table_setup import OPEN, Setup

Dimension = Literal["status", "fulfilment", "channel", "country", "currency", "discount"]
Filter = Dimension | Literal["product"]
Bucket = Literal["1 hour", "1 day", "7 days", "1 month"]
Returns = Literal["returned", "ordered"]

DIMENSIONS: tuple[Dimension, ...] = ("status", "fulfilment", "channel", "country", "currency", "discount")
PRODUCT: Literal["product"] = "product"  # conditions on it hold for orders with such a line item
SOLD = "coalesce(nullif(sku, ''), title)"  # SQL of what tells products apart: the SKU, without one the title
# What conditions can be about, beside the period.
FACTS = tuple(Column(name=name, type="varchar", kind="text", nullable=False) for name in (*DIMENSIONS, PRODUCT))


class Span(NamedTuple):
    """From `start` up to, not including, `end`: naive instants on the shop's clock."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Figures:
    """Sums of one currency, and what follows from them. None: the table lacks a column that the figure needs (see
    `Orders.missing`), or there is nothing to divide by.

    orders            orders placed
    gross_sales       price x quantity of all line items. Taken as the subtotal + discounts, which is the same by
                      Shopify's definition of the subtotal. Tax that prices hold stays in it: Shopify takes it out, but
                      an order does not tell the tax of each line
    discounts         discounts on lines and orders
    returns           refunds, by the date of the refund or of the order (`Returns`). They may hold refunded shipping
                      and tax, which Shopify's returns do not
    shipping          shipping charged
    taxes             taxes of orders whose prices do not hold them
    charged           what orders came to: the total, before refunds
    returned_orders   orders with a refund of more than nothing in the period
    customers         customers with an order in the period, told apart by number, else by e-mail
    new_customers     those whose first order of all is in the period
    returning_customers   those with an order in the period that is not their first of all; a customer who came first
                      and came back in one period is both
    fulfilling        seconds from placing to fulfilment, added up over the `fulfilled` orders that have both
    units             pieces of all line items; counted only where they are asked for
    """

    orders: int = 0
    gross_sales: Decimal | None = None
    discounts: Decimal | None = None
    returns: Decimal | None = None
    shipping: Decimal | None = None
    taxes: Decimal | None = None
    charged: Decimal | None = None
    returned_orders: int | None = None
    customers: int | None = None
    new_customers: int | None = None
    returning_customers: int | None = None
    fulfilled: int | None = None
    fulfilling: int | None = None
    units: int | None = None

    @property
    def net_sales(self) -> Decimal | None:
        """Gross sales - discounts - returns."""
        if self.gross_sales is None or self.discounts is None or self.returns is None:
            return None
        return self.gross_sales - self.discounts - self.returns

    @property
    def total_sales(self) -> Decimal | None:
        """Net sales + taxes + duties + shipping: what was charged - returns."""
        return None if self.charged is None else self.charged - (self.returns or 0)

    @property
    def other(self) -> Decimal | None:
        """What was charged beside goods, shipping and taxes: duties, tips, rounding."""
        if self.net_sales is None or self.total_sales is None or self.shipping is None or self.taxes is None:
            return None
        return self.total_sales - self.net_sales - self.shipping - self.taxes

    @property
    def average_order_value(self) -> Decimal | None:
        """(Gross sales - discounts) / orders."""
        if self.gross_sales is None or self.discounts is None or not self.orders:
            return None
        return (self.gross_sales - self.discounts) / self.orders

    @property
    def refund_rate(self) -> Decimal | None:
        """Orders with a refund in the period / orders placed in it."""
        return _ratio(self.returned_orders, self.orders)

    @property
    def returning_customer_rate(self) -> Decimal | None:
        """Customers in the period with an earlier order / customers in the period.
        https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/customers-reports
        """
        return _ratio(self.returning_customers, self.customers)

    @property
    def fulfilment_time(self) -> Decimal | None:
        """Seconds from placing an order to its fulfilment, on average over the orders that are fulfilled."""
        return _ratio(self.fulfilling, self.fulfilled)


@dataclass(frozen=True)
class Group:
    """Figures of the orders that share `values` of the dimensions asked for ("": none), from `at` to the next bucket
    (None: not asked by time)."""

    values: tuple[str, ...]
    at: datetime | None
    figures: Figures


class Orders:
    """The orders of one generation. Every method may be called from any thread.

    Parameters: `timezone` is the IANA zone of the shop's clock, where `setup` names none; `before` are the orders of
    another generation with the same clock and set-up, to go on from. `missing` says in a sentence, for each figure that
    this table cannot tell, which column it lacks; `tests` counts the test orders that were left out.
    """

    def __init__(self, snapshot: Snapshot, timezone: str, setup: Setup = OPEN, before: Orders | None = None) -> None:
        self.generation = snapshot.generation
        self.columns = snapshot.columns
        self.timezone = setup.timezone or timezone
        self.setup = setup
        source = snapshot.manifest.source.timezone
        self.mapped = Mapped(snapshot.columns, self.timezone, source, setup)
        self.missing = self.mapped.missing()
        self._read_by = (snapshot.columns, self.timezone, source, setup)
        self.facts: Facts = Facts(
            snapshot, self.mapped, before.facts if before and before._read_by == self._read_by else None
        )
        self.tests = (
            0 if self.mapped.by_line else snapshot.rows - self._value(f"SELECT count(*) FROM {self.facts.orders}")
        )
        self.rows = Lookup(self.facts, self.mapped)
        self.countries = self.rows.countries()

    def close(self) -> None:
        """Frees the memory at once; without it, that happens when nobody holds the orders any more."""
        self.facts.close()

    # -- what is there

    def currencies(self) -> list[tuple[str, int]]:
        """Every currency with its number of orders, the one with the most first."""
        found = self.facts.ask(f"SELECT currency, count(*) FROM {self.facts.orders} GROUP BY 1 ORDER BY 2 DESC, 1")
        return [(value, count) for value, count in found]

    def values(self, dimension: Dimension) -> list[str]:
        """The values of a dimension, the most frequent first, "" for none."""
        sql = f"SELECT {dimension} FROM {self.facts.orders} GROUP BY 1 ORDER BY count(*) DESC, 1"
        return [value for (value,) in self.facts.ask(sql)]

    def products(self, most: int) -> dict[str, str]:
        """The products that sold most often and the title of each, as the order with the greatest key tells it."""
        sql = (f"SELECT {SOLD} AS product, arg_max(title, key) FROM {self.facts.lines} GROUP BY 1 HAVING product <> '' "
               "ORDER BY count(*) DESC, 1 LIMIT ?")  # fmt: skip
        return {product: title or product for product, title in self.facts.ask(sql, [most])}

    def extent(self) -> Span | None:
        """From the first order to the last; None without any that has a date."""
        first, last = self.facts.ask(f"SELECT min(local), max(local) FROM {self.facts.orders}")[0]
        return Span(first, last) if first else None

    # -- figures

    def figures(
        self,
        span: Span | None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
        units: bool = False,
    ) -> Figures:
        """Figures of a period, or of all time. Parameters: `units` are counted where asked for: that is slower."""
        groups = self.groups((), None, span, conditions, returns, people=True, units=units)
        return groups[0].figures if groups else self._figures(_NOTHING, units)

    def groups(
        self,
        by: Sequence[Dimension] = (),
        bucket: Bucket | None = None,
        span: Span | None = None,
        conditions: Sequence[Condition] = (),
        returns: Returns = "returned",
        people: bool = False,
        units: bool = False,
    ) -> list[Group]:
        """Figures for each value of some dimensions, by time where a bucket is given; empty groups are left out.

        Buckets count from the span's start; months are the calendar's. Parameters: `returns` is the date that refunds
        count on; the refund dates are told only by a table that lists its refunds, else they count on the order's.
        `people` counts customers as well.
        """
        dated = returns == "returned" and not self.missing.keys() & {"returns", "dates of returns"}
        clause, values = self.matching(span, conditions)
        names = [*(f"o.{name}" for name in by), _bucket(bucket, span)]
        grouping = f"GROUP BY {', '.join(str(i + 1) for i in range(len(names)))}"
        sums = [*_SUMS, *(_PEOPLE if people else _NO_PEOPLE), "0" if dated else "sum(returned)",
                "0" if dated else "count(*) FILTER (returned > 0)", "NULL"]  # fmt: skip
        select = ", ".join([*names, *sums])
        found = self.facts.ask(f"SELECT {select} FROM {self.facts.orders} AS o WHERE {clause} {grouping}", values)
        groups = {row[: len(names)]: _Sums(*row[len(names) :]) for row in found}
        if dated:
            sql = (
                f"SELECT {', '.join(names)}, sum(amount), count(DISTINCT o.key) FILTER (amount > 0) FROM "
                f"(SELECT o.* EXCLUDE (local), r.local, r.amount FROM {self.facts.refunds} AS r "
                f"JOIN {self.facts.orders} AS o USING (key)) AS o WHERE {clause} {grouping}"
            )
            for *key, amount, count in self.facts.ask(sql, values):
                at = tuple(key)
                groups[at] = groups.get(at, _NOTHING)._replace(returned=amount, returned_orders=count)
        if units:
            sql = (f"SELECT {', '.join(names)}, sum(quantity) FROM {self.facts.lines} AS l "
                   f"JOIN {self.facts.orders} AS o USING (key) WHERE {clause} {grouping}")  # fmt: skip
            for *key, pieces in self.facts.ask(sql, values):
                at = tuple(key)
                groups[at] = groups.get(at, _NOTHING)._replace(units=int(pieces))
        ordered = sorted(groups.items(), key=lambda item: (item[0][-1] or datetime.min, item[0][:-1]))
        empty = groups if (by or bucket) else None
        return [
            Group(key[:-1], key[-1], self._figures(sums, units)) for key, sums in ordered
            if empty is None or sums.orders or sums.returned or sums.units
        ]  # fmt: skip

    def _figures(self, sums: _Sums, units: bool) -> Figures:
        def told(figure: str, value: Decimal | None) -> Decimal | None:
            return None if figure in self.missing else value or Decimal(0)

        def counted(figure: str, value: int | None) -> int | None:
            return None if figure in self.missing or value is None else value

        return Figures(
            orders=sums.orders,
            gross_sales=told("gross sales", sums.gross),
            discounts=told("discounts", sums.discounts),
            returns=told("returns", sums.returned),
            shipping=told("shipping", sums.shipping),
            taxes=told("taxes", sums.tax),
            charged=told("total sales", sums.total),
            returned_orders=counted("returns", sums.returned_orders),
            customers=counted("customers", sums.customers),
            new_customers=counted("customers", sums.new),
            returning_customers=counted("customers", sums.returning),
            fulfilled=counted("fulfilment time", sums.fulfilled),
            fulfilling=counted("fulfilment time", int(sums.fulfilling or 0)),
            units=counted("products", (sums.units or 0) if units else None),
        )

    def page(
        self,
        span: Span | None,
        conditions: Sequence[Condition] = (),
        search: str = "",
        limit: int = 50,
        offset: int = 0,
        masked: Collection[str] = (),
    ) -> Page:
        """Orders, newest first. `search` is looked for in number, e-mail, customer, key and line items, in any case.
        Columns that are `masked` show their mask and are not searched."""
        return self.rows.page(*self.matching(span, conditions), search, limit, offset, masked)

    def order(self, key: str, masked: Collection[str] = ()) -> Row | None:
        """One row of the source by its key's text; None where there is no such order."""
        return self.rows.order(key, masked)

    def matching(self, span: Span | None, conditions: Sequence[Condition]) -> tuple[str, list[object]]:
        """SQL over the facts `o` that chooses orders, and its parameters."""
        return matching(span, conditions, self.facts.lines)

    def _value(self, sql: str, values: Sequence[object] = ()) -> int:
        return int(self.facts.ask(sql, values)[0][0])


class _Sums(NamedTuple):
    """What a query adds up."""

    orders: int
    gross: Decimal | None
    discounts: Decimal | None
    shipping: Decimal | None
    tax: Decimal | None
    total: Decimal | None
    fulfilled: int
    fulfilling: int | None
    customers: int | None
    new: int | None
    returning: int | None
    returned: Decimal | None
    returned_orders: int
    units: int | None


_SUMS = ("count(*)", "sum(gross)", "sum(discounts)", "sum(shipping)", "sum(tax)", "sum(total)", "count(fulfilling)",
         "sum(fulfilling)")  # fmt: skip
_PEOPLE = ("count(DISTINCT customer)", "count(DISTINCT customer) FILTER (NOT again)",
           "count(DISTINCT customer) FILTER (again)")  # fmt: skip
_NO_PEOPLE = ("NULL", "NULL", "NULL")
_NOTHING = _Sums(0, None, None, None, None, None, 0, None, 0, 0, 0, None, 0, None)


def _ratio(part: int | None, whole: int | None) -> Decimal | None:
    return None if part is None or not whole else Decimal(part) / whole


def _bucket(bucket: Bucket | None, span: Span | None) -> str:
    if bucket is None:
        return "NULL"
    if bucket == "1 month":
        return "date_trunc('month', o.local)::TIMESTAMP"
    origin = f", TIMESTAMP '{span.start}'" if span else ""
    return f"time_bucket(INTERVAL '{bucket}', o.local{origin})"


def matching(span: Span | None, conditions: Sequence[Condition], lines: str) -> tuple[str, list[object]]:
    """SQL over a table of facts `o` that chooses orders, and its parameters. Parameters: `lines` is the SQL of line
    items, each with the `key` of its order, `sku` and `title`."""
    clauses: list[str] = []
    values: list[object] = []
    for condition in conditions:
        clause, operands = where([condition], FACTS)
        if condition.column == PRODUCT:
            clause = f"o.key IN (SELECT key FROM (SELECT key, {SOLD} AS {PRODUCT} FROM {lines}) WHERE {clause})"
        clauses.append(f"({clause})")
        values += operands
    if span:
        clauses.append("o.local >= ? AND o.local < ?")
        values += span
    return " AND ".join(clauses) or "true", values
