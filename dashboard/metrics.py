"""The figures that pages show: what each is called, how it is counted and written, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from cache.analytics.figures import Figures, Orders, Returns
from dashboard import formatting

Value = Decimal | int | None
LARGE = 10_000  # from here on, cents would only be in the way
SMALL, SMALL_RATE = Decimal("0.01"), Decimal("0.005")  # smaller changes are not coloured


@dataclass(frozen=True)
class Metric:
    """`id` is its name in `Figures`, `needs` are the figures that the table must tell (`Orders.missing`), `formula`
    says how it is counted and where this table cannot reach Shopify's definition."""

    id: str
    label: str
    unit: Literal["money", "count", "rate", "time"]
    formula: str
    needs: tuple[str, ...] = ()
    better: Literal["more", "less", "neither"] = "more"
    refunds: bool = False
    people: bool = False
    units: bool = False

    def of(self, figures: Figures) -> Value:
        value: Value = getattr(figures, self.id)
        return value

    @property
    def nothing(self) -> Value:
        """What it is where there are no orders."""
        return 0 if self.unit in ("money", "count") and self.id != "average_order_value" else None

    def told(self, orders: Orders) -> bool:
        return not any(need in orders.missing for need in self.needs)

    def write(self, value: Value, currency: str, whole: bool | None = None) -> str:
        """Parameters: `whole` leaves cents away; None: where the amount is large."""
        if value is None:
            return "–"
        match self.unit:
            case "money":
                return formatting.money(
                    Decimal(value), currency, abs(Decimal(value)) >= LARGE if whole is None else whole
                )
            case "rate":
                return formatting.percent(Decimal(value))
            case "time":
                return formatting.length(float(value))
            case _:
                return f"{value:,}"

    def explained(self, returns: Returns) -> str:
        if not self.refunds:
            return self.formula
        on = "on the day of the refund" if returns == "returned" else "on the day of the order"
        return f"{self.formula} Returns count {on}."


_METRICS = (
    Metric(
        "total_sales", "Total sales", "money",
        "Net sales + shipping + taxes, cancelled and unpaid orders included: the orders' totals − returns.",
        ("total sales",), refunds=True,
    ),
    Metric(
        "net_sales", "Net sales", "money",
        "Gross sales − discounts − returns. Refunds may hold shipping and tax here, which Shopify's returns do not.",
        ("gross sales", "discounts", "returns"), refunds=True,
    ),
    Metric(
        "orders", "Orders", "count", "Orders placed: cancelled and unpaid ones count, test orders do not.",
    ),
    Metric(
        "average_order_value", "Average order value", "money", "(Gross sales − discounts) ÷ orders.",
        ("gross sales", "discounts"),
    ),
    Metric(
        "returning_customer_rate", "Returning customer rate", "rate",
        "Customers of the period with an earlier order ÷ customers of the period.", ("customers",), people=True,
    ),
    Metric(
        "refund_rate", "Refund rate", "rate", "Orders with a refund ÷ orders placed.",
        ("returns",), "less", refunds=True,
    ),
    Metric("units", "Units sold", "count", "Pieces of all line items.", ("products",), units=True),
    Metric(
        "fulfilment_time", "Time to fulfil", "time",
        "From placing an order to its fulfilment, on average over the fulfilled orders of the period.",
        ("fulfilment time",), "less",
    ),
    Metric(
        "gross_sales", "Gross sales", "money",
        "Price × quantity, as subtotal + discounts. Tax that prices include stays in it; Shopify takes it out.",
        ("gross sales",),
    ),
    Metric("discounts", "Discounts", "money", "Discounts on items and orders.", ("discounts",), "neither"),
    Metric(
        "returns", "Returns", "money",
        "Refunds. They may hold refunded shipping and tax, which Shopify's returns do not.",
        ("returns",), "less", refunds=True,
    ),
    Metric("shipping", "Shipping", "money", "Shipping charged.", ("shipping",), "neither"),
    Metric("taxes", "Taxes", "money", "Taxes of orders whose prices do not include them.", ("taxes",), "neither"),
    Metric(
        "customers", "Customers", "count", "Customers with an order in the period, told apart by number or e-mail.",
        ("customers",), people=True,
    ),
    Metric(
        "new_customers", "New customers", "count", "Customers whose first order of all is in the period.",
        ("customers",), people=True,
    ),
    Metric(
        "returning_customers", "Returning customers", "count",
        "Customers with an order in the period that is not their first.", ("customers",), people=True,
    ),
)  # fmt: skip
METRICS: Mapping[str, Metric] = {metric.id: metric for metric in _METRICS}


def change(now: Value, before: Value, rate: bool = False) -> tuple[str | None, bool]:
    """The change in words ("+9.5%", for rates "+0.4 pts"; None: nothing to compare with), and whether it is notable."""
    if now is None or before is None or (not rate and before <= 0):
        return None, False
    if rate:
        points = Decimal(now) - Decimal(before)
        return f"{_signed(points * 100)} pts", abs(points) >= SMALL_RATE
    ratio = Decimal(now) / Decimal(before) - 1
    return f"{_signed(ratio * 100)}%", abs(ratio) >= SMALL


def _signed(number: Decimal) -> str:
    text = f"{number:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
