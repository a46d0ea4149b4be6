"""The beginning and the end of buying: the products that new customers buy first, and those that stopped selling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cache.analytics.dimensions.catalogue import PRODUCT_SQL
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition

_TITLE = f"coalesce(arg_max(nullif(l.title, ''), o.created_at), max(l.title), {PRODUCT_SQL})"


@dataclass(frozen=True)
class FirstProduct:
    """A product in first orders of customers.

    Attributes:
        key: The product, as the dimension `product` names it.
        title: Its title in the newest of these orders.
        customers: How many customers have it in their first order of all.
        came_back: How many of them have ordered again, at any time.
    """

    key: str
    title: str
    customers: int
    came_back: int


@dataclass(frozen=True)
class StoppedProduct:
    """A product that sold before a period, and not in it.

    Attributes:
        key: The product, as the dimension `product` names it.
        title: Its title when it sold last.
        last: When it sold last, on the shop's clock.
        units: Pieces sold before.
        sales: Its gross sales before.
    """

    key: str
    title: str
    last: datetime
    units: int
    sales: Decimal


def first_products(orders: Orders, span: Span | None, conditions: Sequence[Condition] = ()) -> list[FirstProduct]:
    """The products that new customers buy first, those of most customers first.

    Args:
        orders: The orders.
        span: The period of the first orders; None for all time.
        conditions: Conditions on dimensions of the first orders.
    """
    clause, parameters = orders.order_filter(span, conditions)
    of_facts = orders.facts
    again = f"SELECT customer FROM {orders.in_own_currencies.facts.orders} WHERE again"  # also without a rate
    first = f"SELECT * FROM {of_facts.orders} AS o WHERE {clause} AND NOT o.again AND o.customer IS NOT NULL"
    sql = (
        f"SELECT {PRODUCT_SQL} AS product, {_TITLE}, count(DISTINCT o.key) AS customers, "
        f"count(DISTINCT o.key) FILTER (o.customer IN ({again})) "
        f"FROM {of_facts.lines} AS l JOIN ({first}) AS o USING (key) WHERE product <> '' AND l.quantity > 0 "
        "GROUP BY product ORDER BY customers DESC, product"
    )
    return [FirstProduct(*row) for row in of_facts.query(sql, parameters)]


def stopped_products(
    orders: Orders, span: Span, before: Span, conditions: Sequence[Condition] = ()
) -> list[StoppedProduct]:
    """The products that sold before and do not sell now, those that sold most first.

    Args:
        orders: The orders.
        span: The period without a sale.
        before: The period with a sale.
        conditions: Conditions on dimensions.
    """
    whole = Span(min(span.start, before.start), max(span.end, before.end))
    clause, parameters = orders.order_filter(whole, conditions)
    then = "o.local >= ? AND o.local < ?"
    sql = (
        f"SELECT {PRODUCT_SQL} AS product, {_TITLE}, max(o.local) FILTER ({then}), "
        f"(sum(l.quantity) FILTER ({then}))::BIGINT, sum(l.amount) FILTER ({then}) AS sales "
        f"FROM {orders.facts.lines} AS l JOIN {orders.facts.orders} AS o USING (key) "
        f"WHERE {clause} AND product <> '' AND l.quantity > 0 GROUP BY product "
        f"HAVING count(*) FILTER ({then}) > 0 AND count(*) FILTER ({then}) = 0 ORDER BY sales DESC, product"
    )
    values = [*before, *before, *before, *parameters, *before, *span]
    return [StoppedProduct(*row) for row in orders.facts.query(sql, values)]
