"""Refunds that do not say how much of their money was tax, as a filing of taxes has to know."""

from __future__ import annotations

from collections.abc import Sequence

from cache.analytics.figures import Returns
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.query.filters import Condition


def count_untaxed_refunds(
    orders: Orders, span: Span | None, conditions: Sequence[Condition] = (), returns: Returns = "returned"
) -> int:
    """How many refunds name no tax, though their orders were taxed.

    A refund that lists no goods has all of its money as returned goods: how much of it was tax, the table does not say.

    Args:
        orders: The orders.
        span: The period; None for all time.
        conditions: Conditions on dimensions of the orders.
        returns: The date that refunds count on.
    """
    clause, parameters = orders.order_filter(None, conditions)
    days = ""
    if span:
        local = "r.local" if returns == "returned" else "o.local"
        days = f"AND {local} >= ? AND {local} < ?"
        parameters = [*parameters, *span]
    sql = (
        f"SELECT count(*) FROM {orders.facts.reversals} AS r JOIN {orders.facts.orders} AS o USING (key) "
        f"WHERE {clause} AND r.kind = 'return' AND r.returns <> 0 AND r.tax = 0 AND o.tax <> 0 {days}"
    )
    count: int = orders.facts.query(sql, parameters)[0][0]
    return count
