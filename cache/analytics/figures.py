"""Figures of a group of orders: the sums that are read from the tables of facts, and what follows from them.

Shopify's definitions, where nothing else is said:
https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/sales-report
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from cache.analytics.values import Absent, Amount, Count, or_zero, ratio
from cache.interpretation.requirements import Requirement

Returns = Literal["returned", "ordered"]
RETURNS: Mapping[Returns, str] = {"returned": "By date of refund", "ordered": "By date of order"}

Source = Literal["orders", "customers", "reversals", "units"]
"""What a sum is read from: `orders` and `customers` are sums over orders, `reversals` over refunds and cancellations by
their own date (or that of the order), and `units` over line items. A figure that several sources have is the sum of
them."""

_ZERO = Decimal(0)


def _sum(sql: Mapping[Source, str], needs: Requirement | None = None) -> Mapping[str, Any]:
    """How a field is read: its aggregate in SQL by source, and what it needs of the table."""
    return {"needs": needs, "sql": sql}


def _charge(name: str, needs: Requirement) -> Mapping[str, Any]:
    """How a charge of orders is read, of which refunds and cancellations give back a part."""
    return _sum({"orders": f"sum({name})", "reversals": f"sum({name})"}, needs)


@dataclass(frozen=True)
class Figures:
    """Figures of orders in one currency. Each field is one sum with its SQL; the properties are computed from them.

    Attributes:
        orders: Orders placed.
        gross_sales: Price × quantity of the goods sold, without tax.
        discounts: Discounts on goods, without tax. Discounts on shipping reduce shipping.
        returns: Value of the goods returned, without tax. A refund that lists no goods returns its money.
        cancellations: Goods of cancelled orders, less their discounts and earlier returns, on the day cancelled.
        adjustments: Value of what was returned - money refunded: a restocking fee that was kept is positive.
        shipping: Shipping charged - discounts on it - refunded shipping.
        taxes: Taxes charged - refunded, also those that prices include.
        duties: Duties charged - reversed.
        fees: Additional fees charged - reversed.
        tips: Tips - reversed ones.
        gift_cards_sold: Gift cards sold: a liability, in none of gross, net and total sales.
        charged: Totals of the orders, without gift cards, before refunds.
        returned_orders: Orders of which goods came back, at any time.
        customers: Customers with an order in the period, identified by customer number, else by e-mail.
        new_customers: Customers whose first order of all is in the period.
        returning_customers: Customers with an order in the period that is not their first of all. A customer whose
            first and second order are in one period is both new and returning.
        fulfilled: Orders with a date of fulfilment.
        fulfilment_seconds: Seconds from order to fulfilment, added up over the fulfilled orders.
        units: Pieces of all line items, gift cards excluded.
    """

    orders: int = field(default=0, metadata=_sum({"orders": "count(*)"}))
    gross_sales: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(gross)"}, "gross sales"))
    discounts: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(discounts)"}, "discounts"))
    returns: Amount = field(default=_ZERO, metadata=_sum({"reversals": "sum(returns)"}, "returns"))
    cancellations: Amount = field(default=_ZERO, metadata=_sum({"reversals": "sum(cancellations)"}, "cancellations"))
    adjustments: Amount = field(default=_ZERO, metadata=_sum({"reversals": "sum(adjustments)"}, "adjustments"))
    shipping: Amount = field(default=_ZERO, metadata=_charge("shipping", "shipping"))
    taxes: Amount = field(default=_ZERO, metadata=_charge("tax", "taxes"))
    duties: Amount = field(default=_ZERO, metadata=_charge("duties", "duties"))
    fees: Amount = field(default=_ZERO, metadata=_charge("fees", "fees"))
    tips: Amount = field(default=_ZERO, metadata=_charge("tips", "tips"))
    gift_cards_sold: Amount = field(default=_ZERO, metadata=_charge("gift_cards", "gift cards"))
    charged: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(charged)"}, "total sales"))
    returned_orders: Count = field(default=0, metadata=_sum({"orders": "count(*) FILTER (returned)"}, "returns"))
    customers: Count = field(default=0, metadata=_sum({"customers": "count(DISTINCT customer)"}, "customers"))
    new_customers: Count = field(
        default=0, metadata=_sum({"customers": "count(DISTINCT customer) FILTER (NOT again)"}, "customers")
    )
    returning_customers: Count = field(
        default=0, metadata=_sum({"customers": "count(DISTINCT customer) FILTER (again)"}, "customers")
    )
    fulfilled: Count = field(default=0, metadata=_sum({"orders": "count(fulfilling)"}, "fulfilment time"))
    fulfilment_seconds: Count = field(default=0, metadata=_sum({"orders": "sum(fulfilling)"}, "fulfilment time"))
    units: Count = field(default=0, metadata=_sum({"units": "sum(quantity)"}, "products"))

    @property
    def found(self) -> bool:
        """Whether anything counts: an order, a return or a cancellation."""
        counted = (self.orders, self.returns, self.cancellations, self.taxes, self.shipping, self.units)
        return any(map(or_zero, counted))

    @property
    def net_sales(self) -> Amount:
        """Gross sales - discounts - returns - cancellations. What the table cannot tell of these counts as 0."""
        if isinstance(self.gross_sales, Absent):
            return self.gross_sales
        reversed_sales = or_zero(self.returns) + or_zero(self.cancellations)
        return self.gross_sales - or_zero(self.discounts) - reversed_sales

    @property
    def total_sales(self) -> Amount:
        """Net sales + adjustments + shipping + taxes + duties + fees + tips.

        A table that lacks shipping or taxes has them in the totals of its orders.
        """
        parts = (self.shipping, self.taxes, self.duties, self.fees, self.tips)
        whole = not isinstance(self.shipping, Absent) and not isinstance(self.taxes, Absent)
        if whole and not isinstance(self.net_sales, Absent):
            return self.net_sales + or_zero(self.adjustments) + sum(map(or_zero, parts), _ZERO)
        if isinstance(self.charged, Absent):
            return self.charged
        return self.charged - or_zero(self.returns) - or_zero(self.cancellations) + or_zero(self.adjustments)

    @property
    def average_order_value(self) -> Amount:
        """(Gross sales - discounts) / orders."""
        if isinstance(self.gross_sales, Absent):
            return self.gross_sales
        return ratio(self.gross_sales - or_zero(self.discounts), self.orders)

    @property
    def refund_rate(self) -> Amount:
        """Orders of the period of which goods came back, at any time / orders of the period."""
        return ratio(self.returned_orders, self.orders)

    @property
    def returning_customer_rate(self) -> Amount:
        """Customers in the period with an earlier order / customers in the period.

        https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/customers-reports
        """
        return ratio(self.returning_customers, self.customers)

    @property
    def time_to_fulfil(self) -> Amount:
        """Seconds from order to fulfilment, on average over the fulfilled orders."""
        return ratio(self.fulfilment_seconds, self.fulfilled)


@dataclass(frozen=True)
class Group:
    """Figures of the orders that share the values of some dimensions, in one bucket of time.

    Attributes:
        values: One value for each dimension of the query, "" for orders without one.
        at: Start of the bucket on the shop's clock; None where the query has no buckets.
        figures: The figures.
    """

    values: tuple[str, ...]
    at: datetime | None
    figures: Figures


def select_sums(*sources: Source) -> str:
    """The terms of a SELECT for all sums of some sources, each with its name in `Figures`."""
    terms = ((each.name, each.metadata["sql"]) for each in fields(Figures))
    return ", ".join(f"{sql[source]} AS {name}" for name, sql in terms for source in sources if source in sql)


def add_sums(sums: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds the sums of another source to those of a group. NULL adds nothing."""
    for name, value in more.items():
        if value is not None:
            sums[name] = sums[name] + value if name in sums else value


def from_sums(sums: Mapping[str, Any], sources: Collection[Source], missing: Collection[Requirement]) -> Figures:
    """Figures of one group.

    Args:
        sums: Results by name, as `select_sums` names them. NULL, and what a query has no row for, counts as 0.
        sources: The sources that were queried.
        missing: What the table does not have.
    """
    values: dict[str, Any] = {}
    for each in fields(Figures):
        if each.metadata["needs"] in missing:
            values[each.name] = Absent.NO_COLUMN
        elif each.metadata["sql"].keys().isdisjoint(sources):
            values[each.name] = Absent.NOT_REQUESTED
        elif sums.get(each.name) is not None:
            values[each.name] = sums[each.name]
    return Figures(**values)
