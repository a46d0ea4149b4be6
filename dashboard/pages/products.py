"""Products: what sold, ranked, and how that changed."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import streamlit as st

from cache.analytics.dimensions import PRODUCT
from cache.analytics.metrics import METRICS
from cache.analytics.values import Absent
from dashboard import data, formatting, frame
from dashboard.components import blocks, cards, filter_chips
from dashboard.components.navigation import go
from dashboard.components.table import Cell, Column, Line, table
from dashboard.frame import Shown
from dashboard.metric_text import LARGE, change

MOST, COMPARED, ROWS = 200, 2_000, 50


def products() -> None:
    shown = frame.page("Products")
    if shown is None:
        return
    if "products" in shown.orders.missing:
        st.info(formatting.plain(shown.orders.missing["products"]))
        return
    now, before = shown.figures(units=True), shown.before(units=True)
    names = [
        name
        for name in ("units", "gross_sales", "discounts", "orders")
        if METRICS[name].available(shown.orders.missing)
    ]
    cards.cards(
        "Units and sales",
        [blocks.card(METRICS[name], now, before, shown.currency, shown.returns) for name in names],
        key="product_cards",
        on_pick=lambda _: go("orders"),
    )
    if now.orders:
        _ranking(shown)
    else:
        frame.nothing_found(shown)
    frame.foot(shown)


@st.fragment
def _ranking(shown: Shown) -> None:
    found = data.products(shown.orders, shown.span, shown.conditions, MOST)
    past = data.products(shown.orders, shown.past, shown.conditions, COMPARED) if shown.past else []
    before = {product.key: product.sales for product in past}
    whole = sum((product.sales for product in found), Decimal(0))
    most = max((product.sales for product in found), default=Decimal(0)) or Decimal(1)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="products_head"):
            st.header(
                "What sold most", anchor=False, width="stretch",
                help="Price × quantity of line items, before discounts and returns; products are told apart by SKU. "
                "Pick one to filter by it.",
            )  # fmt: skip
            sought = st.text_input(
                "Search products", key="product_search", type="search", live="300ms", icon=":material/search:",
                label_visibility="collapsed", placeholder="Product or SKU", width=280,
            )  # fmt: skip
        listed = [each for each in found if (sought or "").casefold() in f"{each.title} {each.sku}".casefold()]
        if len(listed) > ROWS:
            st.caption(f"The first {ROWS}; search finds the others of the {len(found)} that sold most.")
        if not listed:
            st.caption(f"No product matches “{formatting.plain(sought)}”." if sought else "No products in this period.")
            return
        lines = []
        for product in listed[:ROWS]:
            delta, _ = change(product.sales, before.get(product.key, Absent.NOT_REQUESTED))
            lines.append(
                Line(
                    [
                        Cell(product.title or "Unnamed", share=float(product.sales / most), more=product.sku),
                        product.sku,
                        f"{product.units:,}",
                        f"{product.orders:,}",
                        formatting.money(product.sales, shown.currency, product.sales >= LARGE),
                        formatting.percent(product.sales / whole) if whole else "–",
                        delta or ("new" if shown.past and not before.get(product.key) else "–"),
                    ],
                    product.key or None,
                    product.key in shown.view.product if product.key else None,
                )
            )
        columns = [Column("Product"), Column("SKU", wide=True), Column("Units", True), Column("Orders", True, True),
                   Column("Sales", True), Column("Share", True, True), Column("Change", True, True)]  # fmt: skip
        if table("What sold most", columns, lines, key="ranking", on_pick=partial(filter_chips.toggle, PRODUCT)):
            st.rerun()  # the whole page
