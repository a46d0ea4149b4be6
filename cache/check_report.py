"""The checks over the data: what each one proves, and what was found of one generation.

A check compares what the table says of one order in two ways. Copies are proven elsewhere (scraper/sync): a check shows
whether the figures can be right, however well the rows were copied.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from decimal import Decimal
from typing import Literal, NamedTuple

from pydantic import BaseModel

CheckId = Literal["lines", "total", "tax", "refunds", "dates", "identity", "parse", "volume"]

FailedCheck = CheckId | Literal["any"]
"""A check that orders fail, or any of them."""

_PLACED = ("gross_sales", "discounts", "net_sales", "total_sales", "untaxed_sales", "average_order_value")
_TAXES = ("taxes", "taxes_charged", "taxes_refunded")
_CHARGES = ("shipping", *_TAXES, "duties", "fees", "tips")
_GOODS = ("units", "gift_cards_sold")
_REVERSED = ("returns", "cancellations", "adjustments", "net_sales", "total_sales", "untaxed_sales", "refund_rate")
_MONEY = tuple(dict.fromkeys((*_PLACED, *_CHARGES, *_GOODS, *_REVERSED)))
_FULFILMENT = ("time_to_fulfil", "fulfilled_at_once")


class Check(NamedTuple):
    """A check.

    Attributes:
        title: What it is called.
        rule: What holds for each order that agrees.
        trouble: What is wrong with an order that does not, after a number of orders: `12 orders …`.
        figures: The metrics that depend on it; None: all.
    """

    title: str
    rule: str
    trouble: str
    figures: tuple[str, ...] | None


CHECKS: Mapping[CheckId, Check] = {
    "lines": Check(
        "Line items add up",
        "Subtotal = price × quantity of the line items − discounts, within a cent a line.",
        "have line items that do not add up to their subtotal",
        (*_PLACED, *_GOODS, "cancellations"),
    ),
    "total": Check(
        "Total adds up",
        "Total = goods − discounts + shipping + duties + fees + tips + tax, where prices do not include it.",
        "have a total that is not the sum of its parts",
        (*_PLACED, *_CHARGES, *_GOODS, "cancellations"),
    ),
    "tax": Check(
        "Tax adds up",
        "Total tax = the sum of the tax lines.",
        "have tax lines that do not add up to their tax",
        (*_TAXES, "shipping", *_PLACED),
    ),
    "refunds": Check(
        "Refunds fit",
        "Refunds are at most the total, each stands once, and they fit the payment status: all of the total where it "
        "is `refunded`, a part of it where it is `partially_refunded`.",
        "have refunds that do not fit their total or payment status",
        (*_REVERSED, "shipping", *_TAXES),
    ),
    "dates": Check(
        "Dates are in order",
        "An order is placed before it is changed, fulfilled, refunded and cancelled, and not in the future.",
        "have no date, or dates in an impossible order",
        None,
    ),
    "identity": Check(
        "Orders are told apart",
        "No order number stands in two orders, and each order has a currency.",
        "have the number of another order, or no currency",
        None,
    ),
    "parse": Check(
        "Values can be read",
        "Each amount, date and list is written in a way that can be read.",
        "have values that cannot be read",
        None,  # of the roles that are concerned: see `parse_figures`
    ),
    "volume": Check(
        "Days are complete",
        "A whole day has about as many orders as the same weekday in the eight weeks before. The first eight weeks, "
        "the end of November, and the days around Christmas are not judged.",
        "are on days with far fewer or far more orders than usual",
        None,
    ),
}
"""What is checked, in the order in which it is shown."""

ORDER_CHECKS: tuple[CheckId, ...] = ("lines", "total", "tax", "refunds", "dates", "identity", "parse")
"""Checks of one order; the place of each is its bit in `checked` and `failed` (cache/interpretation/check_sql.py)."""

MAX_EXAMPLES = 20  # keys of orders that fail a check


def parse_figures(roles: Collection[str]) -> tuple[str, ...] | None:
    """The metrics that depend on some roles whose values cannot be read; None: all."""
    if "created_at" in roles:
        return None
    money = _MONEY if set(roles) - {"fulfilled_at"} else ()
    return (*money, *(_FULFILMENT if "fulfilled_at" in roles else ()))


class CheckResult(BaseModel, frozen=True):
    """What a check found.

    Attributes:
        checked: Orders that could be checked; of `volume`, whole days.
        agree: Those that agree.
        differences: Currency -> the sum of the differences, each taken as positive.
        examples: Keys of orders that do not agree; of `volume`, days.
    """

    checked: int = 0
    agree: int = 0
    differences: dict[str, Decimal] = {}
    examples: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        """How many do not agree."""
        return self.checked - self.agree


class CheckReport(BaseModel, frozen=True):
    """What the checks found of one generation.

    Attributes:
        orders: How many orders there are.
        agree: How many of them agree with every check that could be made of them.
        currencies: Currency -> number of orders.
        days: Day on the shop's clock -> number of orders.
        confirmed: Whether the reading of the table is confirmed.
        questions: How many questions it leaves open.
        checks: What each check found. A check that this table does not allow is left out.
        read_by: A hash of all that decides how the table was read. Only results of the same way are comparable.
    """

    orders: int = 0
    agree: int = 0
    currencies: dict[str, int] = {}
    days: dict[date, int] = {}
    confirmed: bool = False
    questions: int = 0
    checks: dict[CheckId, CheckResult] = {}
    read_by: str = ""

    @property
    def currency(self) -> str:
        """The currency with the most orders; "" where the table has none."""
        return max(self.currencies, key=lambda code: self.currencies[code], default="")

    @property
    def ok(self) -> float | None:
        """The share of orders that agree, from 0 to 1; None without orders or without any check."""
        known = any(result.checked for result in self.checks.values())
        return self.agree / self.orders if self.orders and known else None

    @property
    def failing(self) -> tuple[CheckId, ...]:
        """The checks that some orders do not agree with."""
        return tuple(name for name, result in self.checks.items() if result.failed)


def share_text(part: int, whole: int) -> str:
    """A share with two decimals, rounded down: only all are `100%`."""
    return "100%" if part == whole else f"{part * 10_000 // whole / 100:.2f}%"
