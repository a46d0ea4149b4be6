"""Marks: which figures of a selection depend on orders that fail a check, and by how much they may be wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from cache.analytics.dimensions.order_filter import FilteredTables, order_filter
from cache.analytics.fact_tables import FactTables
from cache.calendar.daily_volume import UnusualDay
from cache.calendar.periods import Span
from cache.check_report import CHECKS, ORDER_CHECKS, CheckId, FailedCheck, parse_figures
from cache.interpretation.check_sql import bit, difference_sql
from cache.query.filters import Condition


class Mark(NamedTuple):
    """A check that orders behind a figure fail.

    Attributes:
        check: The check.
        orders: How many of them fail it.
        difference: The sum of their differences, each taken as positive: by so much the figure may be wrong. None where
            it cannot be told.
        message: What is wrong, as a sentence.
        figures: The metrics that depend on it; None: all.
    """

    check: CheckId
    orders: int
    difference: Decimal | None
    message: str
    figures: Collection[str] | None


def marks(
    facts: FactTables,
    span: Span | None,
    conditions: Sequence[Condition],
    unusual: Sequence[UnusualDay],
    unread: Collection[str],
) -> dict[CheckId, Mark]:
    """The checks that orders of a selection fail.

    Args:
        facts: The tables.
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        unusual: The days with an unusual number of orders.
        unread: The roles with values that cannot be read.

    Raises:
        BadFilter: A condition does not fit.
    """
    clause, parameters = failing_filter(span, conditions, facts.filtered)
    counts = ", ".join(
        f"count(*) FILTER (failing & {bit(name)} <> 0) AS {name}, "
        f"sum({difference_sql(name)}) FILTER (failing & {bit(name)} <> 0) AS {name}_difference"
        for name in ORDER_CHECKS
    )
    sql = f"SELECT {counts} FROM {facts.orders} AS o WHERE {clause}"
    row = facts.dictionaries(sql, parameters)[0]
    found: dict[CheckId, Mark] = {}
    for name in ORDER_CHECKS:
        if row[name]:
            figures = parse_figures(unread) if name == "parse" else CHECKS[name].figures
            found[name] = Mark(name, row[name], row[f"{name}_difference"], _sentence(name, row[name]), figures)
    days = [each for each in unusual if not span or span.start.date() <= each.day < span.end.date()]
    if days:
        orders = sum(each.orders for each in days)
        found["volume"] = Mark("volume", orders, None, _volume_sentence(days), CHECKS["volume"].figures)
    return found


def failing_filter(
    span: Span | None,
    conditions: Sequence[Condition],
    tables: FilteredTables,
    check: FailedCheck = "any",
) -> tuple[str, list[object]]:
    """SQL that selects the orders that fail a check, and that figures of a selection may depend on.

    An order whose date is missing or wrong may belong to any period, and one without a currency to any currency. So
    they count in all of them. A refund that is missing may be of any day after the order.

    Args:
        span: The period; None for all time.
        conditions: Conditions on dimensions and products.
        tables: What the conditions look into.
        check: The check. `volume` is no check of orders, and selects none.

    Returns:
        A condition on a table of facts `o`, and its parameters.

    Raises:
        BadFilter: A condition does not fit.
    """
    own = [condition for condition in conditions if condition.column != "currency"]
    currency = [condition for condition in conditions if condition.column == "currency"]
    clause, parameters = order_filter(None, own, tables)
    if currency:
        in_currency, values = order_filter(None, currency, tables)
        clause += f" AND ({in_currency} OR NOT regexp_full_match(o.currency, '[A-Z]{{3}}'))"
        parameters = [*parameters, *values]
    if span:
        refunded = f"SELECT r.key FROM {tables.reversals} AS r WHERE r.local >= ? AND r.local < ?"
        inside = f"(o.local >= ? AND o.local < ?) OR (o.local < ? AND refunds_off > 0) OR o.key IN ({refunded})"
        clause += f" AND (o.local IS NULL OR failing & {bit('dates')} <> 0 OR {inside})"
        parameters = [*parameters, *span, span.end, *span]
    bits = sum(bit(name) for name in ORDER_CHECKS if check in ("any", name))
    return f"failing & {bits} <> 0 AND {clause}", parameters


def mark_of(metric: str, found: Mapping[CheckId, Mark]) -> Mark | None:
    """The mark of a metric out of those of its selection: the one with the greatest difference."""
    own = [mark for mark in found.values() if mark.figures is None or metric in mark.figures]
    return max(own, key=lambda mark: (mark.difference or 0, mark.orders), default=None)


def _sentence(check: CheckId, orders: int) -> str:
    trouble = CHECKS[check].trouble
    return f"{orders:,} orders {trouble}." if orders != 1 else f"1 order {trouble.replace('have', 'has', 1)}."


def _volume_sentence(days: Sequence[UnusualDay]) -> str:
    worst = max(days, key=lambda each: abs(each.orders - each.usual))
    more = f", and {len(days) - 1} more such day{'s' if len(days) > 2 else ''}" if len(days) > 1 else ""
    orders = "1 order" if worst.orders == 1 else f"{worst.orders:,} orders"
    return f"{worst.day.isoformat()} has {orders}, where about {worst.usual:,.0f} are usual{more}."
