"""What new customers buy first, and how many of them come back."""

from __future__ import annotations

import streamlit as st

from cache.analytics.breakdowns.product_life import FirstProduct
from cache.analytics.dimensions.catalogue import CUSTOMER_TYPE, PRODUCT
from cache.analytics.values import or_zero
from dashboard import data
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted

SHOWN = 50  # rows, until the visitor asks for all


def first_bought(session: Session, selection: Selection) -> None:
    """Draws it."""
    found = data.first_products(selection.orders, selection.span, selection.conditions)
    all_products = data.without(PRODUCT, selection.conditions)
    figures = data.figures(selection.orders, selection.span, all_products, selection.returns)
    whole = int(or_zero(figures.new_customers))
    with st.container(border=True):
        st.header(
            "First purchases",
            anchor=False,
            help="Customers whose first order of all is in the period, by the products in that order. Ordered again: "
            "the share of them who have placed another order since, at any time. Select a product to see the first "
            "orders.",
        )
        if not found:
            st.caption("No customer placed a first order in this period.")
            return
        st.caption(
            f"{counted(whole, 'new customer')}. A first order with several products counts in each. "
            "Who bought first a short time ago had little time to order again."
        )
        columns = [
            Column("Product"),
            Column("SKU or title", wide=True),
            Column("New customers", number=True),
            Column("Share", number=True, wide=True),
            Column("Ordered again", number=True),
        ]
        highest = found[0].customers
        lines = [_line(each, whole, highest) for each in found]
        picked = table(
            "First purchases", columns, lines, key="first_bought", on_pick=lambda _: None, shown=SHOWN, exported=True
        )
        if picked and selection.orders.offers(CUSTOMER_TYPE):
            session.navigator.go("orders", **{PRODUCT: picked, CUSTOMER_TYPE: "new"})


def _line(product: FirstProduct, whole: int, highest: int) -> Line:
    cells: list[str | Cell] = [
        Cell(product.title, share=product.customers / highest),
        product.key,
        f"{product.customers:,}",
        formatting.percent(formatting.ratio(product.customers, whole)) if whole else "–",
        formatting.percent(formatting.ratio(product.came_back, product.customers)),
    ]
    return Line(cells, product.key)
