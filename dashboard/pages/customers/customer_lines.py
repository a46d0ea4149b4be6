"""Customers as rows of a table. A row opens the customer."""

from __future__ import annotations

from collections.abc import Sequence

from cache.analytics.rankings import Customer
from cache.analytics.values import Absent
from dashboard.address import change_parameters
from dashboard.components.listing import PAGE
from dashboard.components.table import Cell, Column, Line
from dashboard.selection import Selection
from dashboard.text import formatting
from dashboard.text.formatting import counted

WHO = "who"
"""Parameter of the address: the customer whose page is open, as the dimension `customer` names customers."""


def customer_columns(dated: bool, spent: str = "Spent") -> list[Column]:
    """The columns.

    Args:
        dated: Whether the table has dates.
        spent: What the amount is: what is left after returns and cancellations, or all that was ordered.
    """
    return [
        Column("Customer"),
        Column("E-mail", wide=True),
        Column("Orders", number=True, wide=True),
        *([Column("First", wide=True), Column("Last", wide=True)] if dated else []),
        Column(spent, number=True),
    ]


def customer_lines(selection: Selection, customers: Sequence[Customer]) -> list[Line]:
    """The rows. Where the visitor may not see who ordered, none of them can be picked."""
    dated, can_open = "dates" not in selection.orders.missing, selection.orders.offers("customer")
    return [_line(customer, selection.currency, dated, can_open) for customer in customers]


def open_customer(customer: str) -> None:
    """Opens a customer."""
    change_parameters({WHO: customer, PAGE: ""})


def _line(customer: Customer, currency: str, dated: bool, can_open: bool) -> Line:
    first, last = (formatting.day(at) if at else "–" for at in (customer.first, customer.last))
    orders = counted(customer.orders, "order")
    more = f"{orders}, last {last}" if dated else orders
    return Line(
        [
            Cell(customer.name or customer.email or "Unnamed", more=more),
            customer.email,
            f"{customer.orders:,}",
            *([first, last] if dated else []),
            "–" if isinstance(customer.spent, Absent) else formatting.money(customer.spent, currency),
        ],
        id=customer.id if can_open else None,
    )
