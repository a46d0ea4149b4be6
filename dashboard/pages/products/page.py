"""The page: figures, and the views below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from cache.analytics.dimensions.catalogue import PRODUCT
from cache.line_items_view import create_view, reference, view_name
from dashboard import frame
from dashboard.components.blocks import metric_cards
from dashboard.components.listing import view_choice
from dashboard.components.no_orders import nothing_found
from dashboard.messages import message
from dashboard.pages.products.bought_together import together
from dashboard.pages.products.first_bought import first_bought
from dashboard.pages.products.ranking import ranking
from dashboard.pages.products.stopped import stopped
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting

_CARDS = ("units", "gross_sales", "discounts", "orders")
_View = Callable[[Session, Selection], None]
_VIEWS: Mapping[str, tuple[str, _View]] = {
    "all": ("All products", ranking),
    "together": ("Bought together", together),
    "first": ("First purchases", first_bought),
    "stopped": ("Stopped selling", stopped),
}


def products(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Products")
    if selection is None:
        return
    missing = selection.orders.missing
    if not selection.orders.offers(PRODUCT):
        message("note", missing.get("products", frame.hidden_note([PRODUCT])))
        if "products" in missing and session.visitor.may("change_settings"):
            _view_with_items(session, selection)
        return
    now = selection.figures(units=True)
    if not now.orders:
        nothing_found(session, selection)
    metric_cards(
        session,
        selection,
        "Units and sales",
        _CARDS,
        "product_cards",
        lambda _: session.navigator.go("orders"),
        units=True,
    )
    if now.orders:
        views = {name: label for name, (label, _) in _VIEWS.items() if _is_known(selection, name)}
        _VIEWS[view_choice(views, "products_view")][1](session, selection)
    frame.foot(selection)


def _is_known(selection: Selection, view: str) -> bool:
    """Whether the table can tell what a view shows."""
    needs = {"first": {"customers", "dates"}, "stopped": {"dates"}}.get(view, set())
    return not needs & selection.orders.missing.keys()


def _view_with_items(session: Session, selection: Selection) -> None:
    """Draws how to copy line items out of a table of their own."""
    orders = selection.orders
    source = session.cache.snapshots.inspect(orders.generation).manifest.source
    key = next((column.name for column in orders.columns if column.key == 1), "id")
    usual = ("title", "sku", "quantity", "price")
    with st.container(border=True, key="view_with_items"):
        st.header("Are the items of orders in another table?", anchor=False)
        name = formatting.literal(view_name(source.table))
        st.markdown(
            "Then copy a view with one row for each item. Create it by this statement, with the names of your table of "
            f"items, let the user of phpMyAdmin read it, and set `PHPMYADMIN_TABLE` to {name}. "
            "`python -m scraper doctor` looks for the table, and writes the statement with its names."
        )
        names = (source.database, source.table, key, "order_items", reference(source.table))
        st.code(create_view(*names, usual), language="sql")
