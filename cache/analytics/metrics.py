"""Metrics: what each figure is called, how it is computed, and what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from cache.analytics.figures import Figures, Returns
from cache.analytics.requirements import Requirement
from cache.analytics.values import Value

Unit = Literal["money", "count", "rate", "duration"]
Better = Literal["more", "less", "neither"]


@dataclass(frozen=True)
class Metric:
    """A figure that pages and programs ask for by name.

    Attributes:
        id: Its name in `Figures`.
        label: What it is called.
        unit: `money` in the currency of the orders, `count`, `rate` (1 is 100 %), or `duration` in seconds.
        formula: How it is computed, and where it differs from Shopify's definition.
        needs: What it needs of the table (`Orders.missing`).
        better: Which direction of a change is good.
        refunds: Whether it depends on the date that refunds count on.
        customers: Whether customers must be counted for it (`Orders.groups`).
        units: Whether units must be counted for it (`Orders.groups`).
    """

    id: str
    label: str
    unit: Unit
    formula: str
    needs: tuple[Requirement, ...] = ()
    better: Better = "more"
    refunds: bool = False
    customers: bool = False
    units: bool = False

    def value(self, figures: Figures) -> Value:
        """The metric out of figures."""
        value: Value = getattr(figures, self.id)
        return value

    @property
    def empty(self) -> Value:
        """Its value where there are no orders."""
        return self.value(Figures())

    def available(self, missing: Collection[Requirement]) -> bool:
        """Whether a table has it. `missing` is what the table does not have."""
        return not any(need in missing for need in self.needs)

    def description(self, returns: Returns) -> str:
        """The formula, with the date that refunds count on where it matters."""
        if not self.refunds:
            return self.formula
        day = "on the day of the refund" if returns == "returned" else "on the day of the order"
        return f"{self.formula} Returns count {day}."


_METRICS = (
    Metric(
        id="total_sales",
        label="Total sales",
        unit="money",
        formula="Net sales + shipping + taxes, computed as order totals − returns. "
        "Cancelled and unpaid orders are included.",
        needs=("total sales",),
        refunds=True,
    ),
    Metric(
        id="net_sales",
        label="Net sales",
        unit="money",
        formula="Gross sales − discounts − returns. "
        "Refunds may include shipping and tax, which Shopify's returns do not.",
        needs=("gross sales", "discounts", "returns"),
        refunds=True,
    ),
    Metric(
        id="orders",
        label="Orders",
        unit="count",
        formula="Orders placed. Cancelled and unpaid ones are included, test orders are not.",
    ),
    Metric(
        id="average_order_value",
        label="Average order value",
        unit="money",
        formula="(Gross sales − discounts) ÷ orders.",
        needs=("gross sales", "discounts"),
    ),
    Metric(
        id="returning_customer_rate",
        label="Returning customer rate",
        unit="rate",
        formula="Customers in the period with an earlier order ÷ customers in the period.",
        needs=("customers",),
        customers=True,
    ),
    Metric(
        id="refund_rate",
        label="Refund rate",
        unit="rate",
        formula="Orders with a refund ÷ orders placed.",
        needs=("returns",),
        better="less",
        refunds=True,
    ),
    Metric(
        id="units",
        label="Units sold",
        unit="count",
        formula="Pieces of all line items.",
        needs=("products",),
        units=True,
    ),
    Metric(
        id="fulfilment_time",
        label="Time to fulfil",
        unit="duration",
        formula="Average time from order to fulfilment, over the fulfilled orders of the period.",
        needs=("fulfilment time",),
        better="less",
    ),
    Metric(
        id="gross_sales",
        label="Gross sales",
        unit="money",
        formula="Price × quantity, computed as subtotal + discounts. "
        "Tax that is included in prices is not subtracted; Shopify subtracts it.",
        needs=("gross sales",),
    ),
    Metric(
        id="discounts",
        label="Discounts",
        unit="money",
        formula="Discounts on items and orders.",
        needs=("discounts",),
        better="neither",
    ),
    Metric(
        id="returns",
        label="Returns",
        unit="money",
        formula="Refunds. They may include refunded shipping and tax, which Shopify's returns do not.",
        needs=("returns",),
        better="less",
        refunds=True,
    ),
    Metric(
        id="shipping",
        label="Shipping",
        unit="money",
        formula="Shipping charged.",
        needs=("shipping",),
        better="neither",
    ),
    Metric(
        id="taxes",
        label="Taxes",
        unit="money",
        formula="Taxes of orders whose prices do not include tax.",
        needs=("taxes",),
        better="neither",
    ),
    Metric(
        id="customers",
        label="Customers",
        unit="count",
        formula="Customers with an order in the period, identified by customer number or e-mail.",
        needs=("customers",),
        customers=True,
    ),
    Metric(
        id="new_customers",
        label="New customers",
        unit="count",
        formula="Customers whose first order of all is in the period.",
        needs=("customers",),
        customers=True,
    ),
    Metric(
        id="returning_customers",
        label="Returning customers",
        unit="count",
        formula="Customers with an order in the period that is not their first.",
        needs=("customers",),
        customers=True,
    ),
)
METRICS: Mapping[str, Metric] = {metric.id: metric for metric in _METRICS}
