"""Metrics: what each figure is called, how it is computed, and what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cache.analytics.figures import Figures, Returns
from cache.analytics.values import Absent, Value
from cache.interpretation.requirements import Requirement

Unit = Literal["money", "count", "rate", "duration"]
Better = Literal["more", "less", "neither"]


MIN_KNOWN = Decimal("0.9")  # share of orders whose values are known
MAX_KNOWN_APART = Decimal("0.02")  # difference of the shares of two periods


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
        known: What it is known of, where new orders are not complete yet (`Figures.known_share`); {} is the share.
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
    known: str = ""

    def value(self, figures: Figures) -> Value:
        """The metric out of figures."""
        return figures.value(self.id)

    def note(self, figures: Figures) -> str:
        """What the table cannot tell of it; "" where it tells all."""
        if self.id in ("net_sales", "total_sales") and figures.returns is Absent.NO_COLUMN:
            return "returns not known"
        known = figures.known_share(self.id)
        if not isinstance(known, Absent) and known < 1:
            return self.known.format(f"{int(known * 100)}%")
        lump_sum = figures.adjustments is Absent.NO_COLUMN and not isinstance(figures.returns, Absent)
        return "with refunded tax and shipping" if self.id == "returns" and lump_sum else ""

    def comparable(self, now: Figures, before: Figures) -> bool:
        """Whether a change can be judged: the newer figure is known nearly as a whole, and the other one likewise."""
        known, known_before = now.known_share(self.id), before.known_share(self.id)
        if isinstance(known, Absent) or isinstance(known_before, Absent):
            return True
        return known >= MIN_KNOWN and abs(known - known_before) <= MAX_KNOWN_APART

    @property
    def is_sum(self) -> bool:
        """Whether its value for several groups is the sum of theirs. No order or customer counts in two of them."""
        return self.id not in ("average_order_value",) and self.unit in ("money", "count") and not self.customers

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
        formula="Net sales + adjustments + shipping + taxes + duties + fees + tips. Unpaid orders are included, "
        "gift cards are not.",
        needs=("total sales",),
        refunds=True,
    ),
    Metric(
        id="net_sales",
        label="Net sales",
        unit="money",
        formula="Gross sales − discounts − returns − cancellations, without tax.",
        needs=("gross sales",),
        refunds=True,
    ),
    Metric(
        id="orders",
        label="Orders",
        unit="count",
        formula="Orders placed, paid or not. Test orders and other rows that are named as excluded do not count.",
    ),
    Metric(
        id="average_order_value",
        label="Average order value",
        unit="money",
        formula="(Gross sales − discounts) ÷ orders, as placed.",
        needs=("gross sales",),
    ),
    Metric(
        id="returning_customer_rate",
        label="Returning customer rate",
        unit="rate",
        formula="Customers in the period with an earlier order ÷ customers in the period.",
        needs=("customers", "dates"),
        customers=True,
    ),
    Metric(
        id="refund_rate",
        label="Refund rate",
        unit="rate",
        formula="Orders of the period of which goods came back, at any time ÷ orders of the period. The returns of an "
        "order are known once it is older than 95% of returned orders were.",
        needs=("returns",),
        better="less",
        known="known for {} of orders",
    ),
    Metric(
        id="units",
        label="Units sold",
        unit="count",
        formula="Pieces of all line items, as ordered. Gift cards are not counted.",
        needs=("products",),
        units=True,
    ),
    Metric(
        id="time_to_fulfil",
        label="Time to fulfil",
        unit="duration",
        formula="Average time from order to fulfilment, over the fulfilled orders of the period. Orders that are "
        "fulfilled within a minute, as at a point of sale, are not counted.",
        needs=("fulfilment time",),
        better="less",
        known="{} of orders fulfilled",
    ),
    Metric(
        id="fulfilled_at_once",
        label="Fulfilled at once",
        unit="count",
        formula="Orders that were fulfilled within a minute or at a point of sale.",
        needs=("fulfilment time",),
        better="neither",
    ),
    Metric(
        id="gross_sales",
        label="Gross sales",
        unit="money",
        formula="Price × quantity of the goods sold, without tax. Gift cards are not counted.",
        needs=("gross sales",),
    ),
    Metric(
        id="discounts",
        label="Discounts",
        unit="money",
        formula="Discounts on goods, without tax. Discounts on shipping reduce shipping.",
        needs=("discounts",),
        better="neither",
    ),
    Metric(
        id="returns",
        label="Returns",
        unit="money",
        formula="Value of the goods returned, without tax and shipping. "
        "Refunds that list no goods count with all their money.",
        needs=("returns",),
        better="less",
        refunds=True,
    ),
    Metric(
        id="cancellations",
        label="Cancellations",
        unit="money",
        formula="Goods of cancelled orders − their discounts − their earlier returns, on the day of the cancellation.",
        needs=("cancellations",),
        better="less",
    ),
    Metric(
        id="adjustments",
        label="Adjustments",
        unit="money",
        formula="Value of what was returned − money refunded. A restocking fee that was kept is positive.",
        needs=("adjustments",),
        better="neither",
        refunds=True,
    ),
    Metric(
        id="shipping",
        label="Shipping",
        unit="money",
        formula="Shipping charged − discounts on it − refunded shipping, without tax.",
        needs=("shipping",),
        better="neither",
        refunds=True,
    ),
    Metric(
        id="taxes",
        label="Taxes",
        unit="money",
        formula="Taxes charged − refunded, also those that prices include.",
        needs=("taxes",),
        better="neither",
        refunds=True,
    ),
    Metric(
        id="untaxed_sales",
        label="Sales without tax",
        unit="money",
        formula="Total sales − taxes.",
        needs=("gross sales", "shipping", "taxes"),
        refunds=True,
    ),
    Metric(
        id="taxes_charged",
        label="Taxes charged",
        unit="money",
        formula="Taxes of the orders placed, on goods and shipping, also those that prices include.",
        needs=("taxes",),
        better="neither",
    ),
    Metric(
        id="taxes_refunded",
        label="Taxes refunded",
        unit="money",
        formula="Taxes that refunds and cancellations gave back.",
        needs=("taxes",),
        better="neither",
        refunds=True,
    ),
    Metric(
        id="duties",
        label="Duties",
        unit="money",
        formula="Duties charged − those of cancelled orders.",
        needs=("duties",),
        better="neither",
    ),
    Metric(
        id="fees",
        label="Additional fees",
        unit="money",
        formula="Additional fees charged − those of cancelled orders.",
        needs=("fees",),
        better="neither",
    ),
    Metric(
        id="tips",
        label="Tips",
        unit="money",
        formula="Tips − those of cancelled orders. They count in total sales.",
        needs=("tips",),
        better="neither",
    ),
    Metric(
        id="gift_cards_sold",
        label="Gift cards sold",
        unit="money",
        formula="Gift cards sold: a liability, in none of gross, net and total sales.",
        needs=("gift cards",),
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
        needs=("customers", "dates"),
        customers=True,
    ),
    Metric(
        id="returning_customers",
        label="Returning customers",
        unit="count",
        formula="Customers with an order in the period that is not their first.",
        needs=("customers", "dates"),
        customers=True,
    ),
)
METRICS: Mapping[str, Metric] = {metric.id: metric for metric in _METRICS}
