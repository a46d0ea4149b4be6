"""Take it along: links to files of the orders that a page shows."""

from __future__ import annotations

from html import escape

import streamlit as st

from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from cache.export.order_selection import OrderSelection
from dashboard.auth import access
from dashboard.auth.source import source
from dashboard.data import Conditions
from dashboard.web.downloads import Format, address

_FORMATS: tuple[tuple[Format, str, str], ...] = (
    ("csv", "CSV", "texts that a spreadsheet would run as formulas have an apostrophe before them"),
    ("xlsx", "Excel", "real dates and numbers, up to 1,048,575 orders"),
    ("parquet", "Parquet", "exact types, for pandas, Polars, DuckDB"),
)


def take_along(orders: Orders, span: Span | None, conditions: Conditions, search: str = "") -> None:
    """Opens links to files of just these orders, with all columns of the table; masked ones are masked in them."""
    masked = access.masked(orders)
    timezone = source().settings.shop_timezone
    selection = OrderSelection(timezone=timezone, span=span, conditions=conditions, search=search, masked=masked)
    secret = source().secret
    links = (
        f'<li><a href="{escape(address(secret, orders.generation, selection, format))}">{label}</a>: {what}</li>'
        for format, label, what in _FORMATS
    )
    with st.popover("Take it along", icon=":material/download:", key="take_along"):
        st.html(f"<p>The orders shown, on all pages, with every column:</p><ul>{''.join(links)}</ul>")
        if masked:
            st.caption("Personal data is masked in them.")
