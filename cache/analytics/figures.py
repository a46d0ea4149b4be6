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

from cache.analytics.requirements import Requirement
from cache.analytics.values import Absent, Amount, Count, or_zero, ratio

Returns = Literal["returned", "ordered"]
RETURNS: Mapping[Returns, str] = {"returned": "By date of refund", "ordered": "By date of order"}

Source = Literal["orders", "customers", "returned", "ordered", "units"]
"""What a sum is read from: `orders`, `customers` and `ordered` are sums over orders, `returned` over refunds by their
own date, and `units` over line items."""

_ZERO = Decimal(0)


def _sum(sql: Mapping[Source, str], needs: Requirement | None = None) -> Mapping[str, Any]:
    """How a field is read: its aggregate in SQL by source, and what it needs of the table."""
    return {"needs": needs, "sql": sql}


@dataclass(frozen=True)
class Figures:
    """Figures of orders in one currency. Each field is one sum with its SQL; the properties are computed from them.

    Attributes:
        orders: Orders placed.
        gross_sales: Price × quantity of all line items, as subtotal + discounts. By Shopify's definition of the
            subtotal both are the same. Tax that is included in prices stays in it: Shopify subtracts it, but an order
            does not have the tax of each line.
        discounts: Discounts on lines and orders.
        returns: Refunds, by the date of the refund or of the order (`Returns`). They may include refunded shipping
            and tax, which Shopify's returns do not.
        shipping: Shipping charged.
        taxes: Taxes of orders whose prices do not include them.
        charged: Totals of the orders, before refunds.
        returned_orders: Orders with a refund of more than 0 in the period.
        customers: Customers with an order in the period, identified by customer number, else by e-mail.
        new_customers: Customers whose first order of all is in the period.
        returning_customers: Customers with an order in the period that is not their first of all. A customer whose
            first and second order are in one period is both new and returning.
        fulfilled: Orders with a date of fulfilment.
        fulfilment_seconds: Seconds from order to fulfilment, added up over the fulfilled orders.
        units: Pieces of all line items.
    """

    orders: int = field(default=0, metadata=_sum({"orders": "count(*)"}))
    gross_sales: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(gross)"}, "gross sales"))
    discounts: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(discounts)"}, "discounts"))
    returns: Amount = field(
        default=_ZERO, metadata=_sum({"ordered": "sum(returned)", "returned": "sum(amount)"}, "returns")
    )
    shipping: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(shipping)"}, "shipping"))
    taxes: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(tax)"}, "taxes"))
    charged: Amount = field(default=_ZERO, metadata=_sum({"orders": "sum(total)"}, "total sales"))
    returned_orders: Count = field(
        default=0,
        metadata=_sum(
            {
                "ordered": "count(*) FILTER (returned > 0)",
                "returned": "count(DISTINCT o.key) FILTER (amount > 0)",
            },
            "returns",
        ),
    )
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
    def net_sales(self) -> Amount:
        """Gross sales - discounts - returns."""
        gross, discounts, returns = self.gross_sales, self.discounts, self.returns
        if isinstance(gross, Absent) or isinstance(discounts, Absent) or isinstance(returns, Absent):
            return Absent.NO_COLUMN
        return gross - discounts - returns

    @property
    def total_sales(self) -> Amount:
        """Net sales + taxes + duties + shipping, as what was charged - returns."""
        return self.charged if isinstance(self.charged, Absent) else self.charged - or_zero(self.returns)

    @property
    def other(self) -> Amount:
        """What was charged beside goods, shipping and taxes: duties, tips, rounding."""
        total, net, shipping, taxes = self.total_sales, self.net_sales, self.shipping, self.taxes
        if isinstance(total, Absent) or isinstance(net, Absent):
            return Absent.NO_COLUMN
        if isinstance(shipping, Absent) or isinstance(taxes, Absent):
            return Absent.NO_COLUMN
        return total - net - shipping - taxes

    @property
    def average_order_value(self) -> Amount:
        """(Gross sales - discounts) / orders."""
        if isinstance(self.gross_sales, Absent) or isinstance(self.discounts, Absent):
            return Absent.NO_COLUMN
        return ratio(self.gross_sales - self.discounts, self.orders)

    @property
    def refund_rate(self) -> Amount:
        """Orders with a refund in the period / orders placed in it."""
        return ratio(self.returned_orders, self.orders)

    @property
    def returning_customer_rate(self) -> Amount:
        """Customers in the period with an earlier order / customers in the period.

        https://help.shopify.com/en/manual/reports-and-analytics/shopify-reports/report-types/customers-reports
        """
        return ratio(self.returning_customers, self.customers)

    @property
    def fulfilment_time(self) -> Amount:
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
