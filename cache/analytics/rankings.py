"""Who spent most, and which customers came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cache.access.masking import NOTHING_HIDDEN, Mask
from cache.analytics.order_lookup import ROW_KEY
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Amount
from cache.calendar.periods import Span, units_later
from cache.query.filters import Condition

CUSTOMER_ROLES = ("customer_name", "email")
"""What a customer is shown by, in the newest order."""


@dataclass(frozen=True)
class Customer:
    """A customer with orders in the period.

    Attributes:
        key: Key of the newest order.
        orders: Number of orders.
        spent: Their totals, before returns.
        first: Date of the first of them; None where orders have no dates.
        last: Date of the last of them; None likewise.
        name: Name in the newest order.
        email: E-mail in the newest order.
        id: The value of the dimension `customer`.
    """

    key: str
    orders: int
    spent: Amount
    first: datetime | None
    last: datetime | None
    name: str = ""
    email: str = ""
    id: str = ""


@dataclass(frozen=True)
class Cohort:
    """The customers whose first order was in one month.

    Attributes:
        first: The month.
        customers: How many customers there are.
        ordered: How many of them ordered in that month and in each month after it.
    """

    first: datetime
    customers: int
    ordered: list[int] = field(default_factory=list)


def customers(
    orders: Orders,
    span: Span | None,
    conditions: Sequence[Condition] = (),
    limit: int = 200,
    mask: Mask = NOTHING_HIDDEN,
) -> list[Customer]:
    """The customers who spent most.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        limit: How many customers at most.
        mask: What is hidden.

    Returns:
        The highest spending first; empty where the table has no customers.
    """
    clause, parameters = orders.order_filter(span, conditions)
    sql = (
        "SELECT coalesce(arg_max(key, created_at), max(key)), count(*), sum(charged), min(local), max(local), customer "
        f"FROM {orders.facts.orders} AS o WHERE {clause} AND customer IS NOT NULL GROUP BY customer "
        "ORDER BY 3 DESC NULLS LAST, 2 DESC, 1 LIMIT ?"
    )
    ranked = orders.facts.query(sql, [*parameters, limit])
    rows = orders.lookup.by_keys([row[0] for row in ranked], mask, CUSTOMER_ROLES)
    has_totals = "total sales" not in orders.missing
    return [
        Customer(
            row[ROW_KEY],
            count,
            Absent.UNDEFINED if spent is None and has_totals else Absent.NO_COLUMN if spent is None else spent,
            first,
            last,
            orders.lookup.text(row, "customer_name"),
            orders.lookup.text(row, "email"),
            str(customer),
        )
        for (_, count, spent, first, last, customer), row in zip(ranked, rows, strict=True)
    ]


def repeats(orders: Orders, span: Span | None, conditions: Sequence[Condition] = (), limit: int = 5) -> dict[int, int]:
    """How many customers placed one order in the period, two orders, and so on.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        limit: This number of orders stands for more too.

    Returns:
        Number of orders -> number of customers, in order.
    """
    clause, parameters = orders.order_filter(span, conditions)
    sql = (
        f"SELECT least(n, ?)::BIGINT, count(*) FROM (SELECT count(*) AS n FROM {orders.facts.orders} AS o "
        f"WHERE {clause} AND customer IS NOT NULL GROUP BY customer) GROUP BY 1 ORDER BY 1"
    )
    return dict(orders.facts.query(sql, [limit, *parameters]))


def cohorts(orders: Orders, current: datetime, conditions: Sequence[Condition] = (), months: int = 12) -> list[Cohort]:
    """Retention by cohort: how many customers of each month ordered again, month by month.

    Args:
        orders: The orders.
        current: The first day of the newest month that is known at least in part. Orders dated later are left out.
        conditions: Conditions on dimensions and products. A customer's first order is the first that they select.
        months: How many months of first orders at most, the newest ones.

    Returns:
        The oldest month first.
    """
    clause, parameters = orders.order_filter(None, conditions)
    sql = (
        "WITH o AS (SELECT DISTINCT customer, date_trunc('month', local)::TIMESTAMP AS month "
        f"FROM {orders.facts.orders} AS o WHERE {clause} AND customer IS NOT NULL AND local < ?), "
        "firsts AS (SELECT customer, min(month) AS first FROM o GROUP BY 1) "
        "SELECT first, date_diff('month', first, month), count(*) FROM o JOIN firsts USING (customer) "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
    counts: dict[datetime, dict[int, int]] = {}  # first month -> months later -> customers
    for first, later, count in orders.facts.query(sql, [*parameters, units_later("month", current, 1)]):
        counts.setdefault(first, {})[later] = count
    end = _month_number(current)
    return [
        Cohort(first, later[0], [later.get(i, 0) for i in range(end - _month_number(first) + 1)])
        for first, later in list(counts.items())[-months:]
    ]


def _month_number(at: datetime) -> int:
    return at.year * 12 + at.month
