"""Products: what sold, ranked, and how that changed."""

from __future__ import annotations

from decimal import Decimal
from functools import partial

import streamlit as st

from cache.analytics.dimensions import PRODUCT
from cache.analytics.metrics import METRICS
from cache.analytics.rankings import Product
from cache.analytics.values import Absent
from dashboard import data, frame
from dashboard.components.blocks import card
from dashboard.components.cards import cards
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import LARGE, change

MAX_PRODUCTS = 200
MAX_COMPARED = 2_000  # products of the compared period
ROWS = 50
_CARDS = ("units", "gross_sales", "discounts", "orders")
_COLUMNS = (
    Column("Product"),
    Column("SKU", wide=True),
    Column("Units", number=True),
    Column("Orders", number=True, wide=True),
    Column("Sales", number=True),
    Column("Share", number=True, wide=True),
    Column("Change", number=True, wide=True),
)


def products(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Products")
    if selection is None:
        return
    missing = selection.orders.missing
    if "products" in missing:
        st.info(formatting.plain(missing["products"]))
        return
    now, compared = selection.figures(units=True), selection.compared_figures(units=True)
    metrics = [METRICS[name] for name in _CARDS if METRICS[name].available(missing)]
    shown = [card(metric, now, compared, selection.currency, selection.returns) for metric in metrics]
    cards("Units and sales", shown, key="product_cards", on_pick=lambda _: session.navigator.go("orders"))
    if now.orders:
        _ranking(session, selection)
    else:
        frame.nothing_found(selection)
    frame.foot(selection)


@st.fragment
def _ranking(session: Session, selection: Selection) -> None:
    ranked = data.products(selection.orders, selection.span, selection.conditions, MAX_PRODUCTS)
    with st.container(border=True):
        search = _head()
        matching = [each for each in ranked if search.casefold() in f"{each.title} {each.sku}".casefold()]
        if len(matching) > ROWS:
            st.caption(f"The first {ROWS} of {len(matching)} products. Search to find the others.")
        if not matching:
            st.caption(f"No product matches “{formatting.plain(search)}”." if search else "No products in this period.")
            return
        lines = _lines(selection, ranked, matching[:ROWS])
        on_pick = partial(session.address.toggle, PRODUCT)
        if table("Top products", _COLUMNS, lines, key="ranking", on_pick=on_pick):
            st.rerun()  # the whole page


def _head() -> str:
    """Draws title and search. Returns the text to find."""
    with st.container(horizontal=True, vertical_alignment="center", key="products_head"):
        st.header(
            "Top products",
            anchor=False,
            width="stretch",
            help="Price × quantity of line items, before discounts and returns. Products are identified by SKU. "
            "Select one to filter by it.",
        )
        search = st.text_input(
            "Search products",
            key="product_search",
            type="search",
            live="300ms",
            icon=":material/search:",
            label_visibility="collapsed",
            placeholder="Product or SKU",
            width=280,
        )
    return search or ""


def _lines(selection: Selection, ranked: list[Product], shown: list[Product]) -> list[Line]:
    """Rows for the products that are shown, with shares and bars of all that are ranked."""
    compared = _compared_sales(selection)
    whole = sum((product.sales for product in ranked), Decimal(0))
    highest = max((product.sales for product in ranked), default=Decimal(0)) or Decimal(1)
    lines = []
    for product in shown:
        before = compared.get(product.key, Absent.NOT_REQUESTED)
        text, _ = change(product.sales, before)
        is_new = selection.compared_span is not None and not compared.get(product.key)
        cells: list[str | Cell] = [
            Cell(product.title or "Unnamed", share=float(product.sales / highest), more=product.sku),
            product.sku,
            f"{product.units:,}",
            f"{product.orders:,}",
            formatting.money(product.sales, selection.currency, product.sales >= LARGE),
            formatting.percent(product.sales / whole) if whole else "–",
            text or ("new" if is_new else "–"),
        ]
        chosen = product.key in selection.view.product if product.key else None
        lines.append(Line(cells, product.key or None, chosen))
    return lines


def _compared_sales(selection: Selection) -> dict[str, Decimal]:
    """Sales of the compared period by product; empty where nothing is compared."""
    span = selection.compared_span
    if span is None:
        return {}
    compared = data.products(selection.orders, span, selection.conditions, MAX_COMPARED)
    return {product.key: product.sales for product in compared}
