"""Who buys: repeat purchases, and the customers who spent most."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import streamlit as st

from dashboard import data
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.pages.customers.customer_lines import customer_columns, customer_lines, open_customer
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted

MAX_CUSTOMERS = 50
MAX_EXPORTED = 20_000  # of a file


def repeats(session: Session, selection: Selection) -> None:
    """Draws customers by the number of their orders."""
    counts = data.repeats(selection.orders, selection.span, selection.conditions)
    whole = sum(counts.values()) or 1
    with st.container(border=True):
        st.header("Repeat purchases", anchor=False, help="Customers by the number of their orders in this period.")
        draw_marks(session, replace(selection, compared_span=None), "customers")
        lines = [
            Line(
                [
                    Cell(_number_of_orders(orders), share=customers / whole),
                    f"{customers:,}",
                    formatting.percent(formatting.ratio(customers, whole)),
                ]
            )
            for orders, customers in counts.items()
        ]
        if counts:
            total = formatting.percent(Decimal(1))
            lines.append(Line(["All customers", f"{sum(counts.values()):,}", total], look="strong"))
        columns = [Column("Orders"), Column("Customers", True), Column("Share", True)]
        table("Repeat purchases", columns, lines, key="repeats", exported=True)


def _number_of_orders(count: int) -> str:
    return f"{count} or more orders" if count == data.MAX_REPEATS else counted(count, "order")


def ranking(session: Session, selection: Selection) -> None:
    """Draws the customers who spent most."""
    mask = session.visitor.mask(selection.orders)
    ranked = data.customers(selection.orders, selection.span, selection.conditions, mask, MAX_CUSTOMERS)
    with st.container(border=True):
        help = (
            "Totals of their orders in the period, before returns and cancellations. "
            "Select a customer to see all of the orders."
        )
        st.header("Top customers", anchor=False, help=help)
        draw_marks(session, replace(selection, compared_span=None), "total_sales", "customers")
        dated = "dates" not in selection.orders.missing
        lines = customer_lines(selection, ranked)

        def whole() -> list[Line]:
            every = data.customers(selection.orders, selection.span, selection.conditions, mask, MAX_EXPORTED)
            return customer_lines(selection, every)

        columns = customer_columns(dated, "Ordered")
        table("Top customers", columns, lines, key="customers", on_pick=open_customer, exported=whole)
