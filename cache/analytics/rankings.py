"""Who and what sold: products, customers, and whether customers come back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from cache.analytics.fact_tables import ROW_KEY
from cache.analytics.figures import Orders, Span
from cache.query.filters import Condition


@dataclass(frozen=True)
class Product:
    """A product of the period. `sales` is price x quantity, before discounts and returns."""

    sku: str
    title: str
    units: int
    orders: int
    sales: Decimal

    @property
    def key(self) -> str:
        """What filters by it; "" where it has neither SKU nor title."""
        return self.sku or self.title


@dataclass(frozen=True)
class Customer:
    """A customer of the period: orders and what they came to, before returns; `key` is that of the newest order."""

    key: str
    orders: int
    spent: Decimal | None
    first: datetime
    last: datetime
    name: str = ""
    email: str = ""


@dataclass(frozen=True)
class Cohort:
    """The customers whose first order was in the month `first`: how many there are, and how many of them ordered in
    that month and in each month after it."""

    first: datetime
    customers: int
    ordered: list[int] = field(default_factory=list)


def products(
    orders: Orders, span: Span | None, conditions: Sequence[Condition] = (), limit: int = 200
) -> list[Product]:
    """What sold most, by price x quantity of all line items; empty where the table tells no line items.

    Lines are told apart by SKU, those without one by title; the title is that of the newest order.
    """
    clause, values = orders.matching(span, conditions)
    sql = (
        "SELECT l.sku, arg_max(l.title, o.created_at), sum(quantity)::BIGINT, count(DISTINCT l.key), "
        f"coalesce(sum(quantity * price), 0) FROM {orders.facts.lines} AS l JOIN {orders.facts.orders} AS o "
        f"USING (key) WHERE {clause} GROUP BY l.sku, CASE WHEN l.sku = '' THEN l.title END "
        "ORDER BY 5 DESC, 3 DESC, 1 LIMIT ?"
    )
    return [Product(sku, title or "", units, count, sales) for sku, title, units, count, sales in
            orders.facts.ask(sql, [*values, limit])]  # fmt: skip


def customers(
    orders: Orders,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    limit: int = 200,
    masked: Collection[str] = (),
) -> list[Customer]:
    """Who spent most, with the mask for what is `masked`; empty where the table tells no customers."""
    clause, values = orders.matching(span, conditions)
    sql = (
        f"SELECT arg_max(key, created_at), count(*), sum(total), min(local), max(local) FROM {orders.facts.orders} "
        f"AS o WHERE {clause} AND customer IS NOT NULL AND local IS NOT NULL GROUP BY customer "
        "ORDER BY 3 DESC NULLS LAST, 2 DESC, 1 LIMIT ?"
    )
    found = orders.facts.ask(sql, [*values, limit])
    rows = {row[ROW_KEY]: row for row in orders.rows.by_keys([row[0] for row in found], masked)}
    told = "total sales" not in orders.missing
    return [
        Customer(
            str(key), count, spent if told else None, first, last,
            orders.rows.said(rows[str(key)], "customer_name"), orders.rows.said(rows[str(key)], "email"),
        )
        for key, count, spent, first, last in found
    ]  # fmt: skip


def repeats(orders: Orders, span: Span | None, conditions: Sequence[Condition] = (), most: int = 5) -> dict[int, int]:
    """Number of orders in the period -> customers who placed so many. Parameters: `most` stands for more as well."""
    clause, values = orders.matching(span, conditions)
    sql = (
        f"SELECT least(n, ?)::BIGINT, count(*) FROM (SELECT count(*) AS n FROM {orders.facts.orders} AS o "
        f"WHERE {clause} AND customer IS NOT NULL GROUP BY customer) GROUP BY 1 ORDER BY 1"
    )
    return dict(orders.facts.ask(sql, [most, *values]))


def cohorts(orders: Orders, conditions: Sequence[Condition] = (), months: int = 12) -> list[Cohort]:
    """The newest months of first orders, oldest first: whose customers came back, month by month.

    Conditions choose the orders that are looked at; a customer's first order is the first of those.
    """
    clause, values = orders.matching(None, conditions)
    sql = (
        "WITH o AS (SELECT DISTINCT customer, date_trunc('month', local)::TIMESTAMP AS month "
        f"FROM {orders.facts.orders} AS o WHERE {clause} AND customer IS NOT NULL AND local IS NOT NULL), "
        "firsts AS (SELECT customer, min(month) AS first FROM o GROUP BY 1) "
        "SELECT first, date_diff('month', first, month), count(*) FROM o JOIN firsts USING (customer) "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
    found: dict[datetime, dict[int, int]] = {}
    for first, later, count in orders.facts.ask(sql, values):
        found.setdefault(first, {})[later] = count
    end = max((_months(first) + max(counts) for first, counts in found.items()), default=0)
    return [
        Cohort(first, counts[0], [counts.get(i, 0) for i in range(end - _months(first) + 1)])
        for first, counts in list(found.items())[-months:]
    ]


def _months(at: datetime) -> int:
    return at.year * 12 + at.month
