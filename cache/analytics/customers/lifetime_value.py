"""Lifetime value by cohort: the money that the customers of one month have spent, each on average, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from cache.analytics.figures import Returns, Source, add_sums, terms_of
from cache.analytics.grouped_figures import source_tables
from cache.analytics.metrics import Metric
from cache.analytics.orders import Orders
from cache.analytics.values import or_zero
from cache.calendar.periods import unit_start, units_later
from cache.query.filters import Condition

_SOURCES: tuple[Source, ...] = ("orders", "reversals")


@dataclass(frozen=True)
class CohortValue:
    """The customers whose first order was in one month.

    Attributes:
        first: The month.
        customers: How many customers there are.
        amounts: What they have spent in all, from that month to the end of each month: in it, one month later, and so
            on.
    """

    first: datetime
    customers: int
    amounts: Sequence[Decimal]

    def value(self, later: int) -> Decimal | None:
        """What a customer has spent on average, so many months after the first one; None for a month to come."""
        return self.amounts[later] / self.customers if later < len(self.amounts) else None


def lifetime_values(
    orders: Orders,
    metric: Metric,
    known_until: datetime,
    conditions: Sequence[Condition] = (),
    returns: Returns = "returned",
    months: int = 12,
) -> list[CohortValue]:
    """The lifetime value of the newest cohorts, the oldest first.

    Args:
        orders: The orders.
        metric: What is spent: a sum of money.
        known_until: How far the orders are known, on the shop's clock.
        conditions: Conditions on dimensions. A customer's first order is the first that they select.
        returns: The date that refunds count on.
        months: How many months of first orders.
    """
    clause, parameters = orders.order_filter(None, conditions)
    dated = f"({clause}) AND o.customer IS NOT NULL AND o.local IS NOT NULL"
    facts = orders.facts
    current = unit_start("month", known_until, orders.week_start)
    since = units_later("month", current, 1 - months)
    firsts = (
        f"SELECT o.customer, min(o.local) AS first FROM {facts.orders} AS o WHERE {dated} GROUP BY 1 "
        f"HAVING first >= TIMESTAMP '{since}'"
    )
    counted = f"SELECT date_trunc('month', first)::TIMESTAMP AS month, count(*) FROM ({firsts}) GROUP BY 1 ORDER BY 1"
    customers: dict[datetime, int] = dict(facts.query(counted, parameters))
    names = frozenset(orders.no_figures.composition(metric.id).parts)
    sums: dict[tuple[datetime, int], dict[str, Any]] = {}
    for source in _SOURCES:
        terms = terms_of([source], names)
        if not terms:
            continue
        columns = ", ".join(f"{term.aggregate} AS {name}" for name, term in terms.items())
        sql = (
            f"WITH firsts AS MATERIALIZED ({firsts}) SELECT date_trunc('month', f.first)::TIMESTAMP AS month, "
            f"greatest(date_diff('month', f.first, o.local), 0) AS later, {columns} "
            f"FROM {source_tables(facts, source, returns)} JOIN firsts AS f ON f.customer = o.customer "
            f"WHERE {dated} GROUP BY 1, 2"
        )
        for row in facts.dictionaries(sql, [*parameters, *parameters]):
            add_sums(sums.setdefault((row.pop("month"), row.pop("later")), {}), row)
    spent = {
        key: Decimal(or_zero(metric.value(orders.figures_of(values, _SOURCES, names)))) for key, values in sums.items()
    }
    return [
        CohortValue(first, count, _cumulated(spent, first, _months_between(first, current)))
        for first, count in customers.items()
        if first <= current
    ]


def average_value(cohorts: Sequence[CohortValue], later: int, current: datetime) -> Decimal | None:
    """What a customer of any cohort has spent so many months after the first one, on average over all customers.

    Only cohorts count for which that month is over.

    Args:
        cohorts: The cohorts.
        later: How many months after the first one.
        current: The month that is not over.

    Returns:
        None where there are no such cohorts.
    """
    whole = [each for each in cohorts if units_later("month", each.first, later) < current]
    customers = sum(each.customers for each in whole)
    return sum((each.amounts[later] for each in whole), Decimal(0)) / customers if customers else None


def _cumulated(spent: dict[tuple[datetime, int], Decimal], first: datetime, last: int) -> list[Decimal]:
    amounts, sum_so_far = [], Decimal(0)
    for later in range(last + 1):
        sum_so_far += spent.get((first, later), Decimal(0))
        amounts.append(sum_so_far)
    return amounts


def _months_between(first: datetime, last: datetime) -> int:
    return (last.year - first.year) * 12 + last.month - first.month
