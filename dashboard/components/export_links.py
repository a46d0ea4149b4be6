"""Links to files of the orders that a page shows."""

from __future__ import annotations

from functools import partial
from html import escape

import streamlit as st

from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import FailedCheck
from cache.export.order_selection import OrderSelection
from dashboard.data import Conditions
from dashboard.session import Session
from dashboard.web.downloads import VALID_FOR, Format, export_url

_FORMATS: tuple[tuple[Format, str, str], ...] = (
    ("csv", "CSV", "text that a spreadsheet would run as a formula starts with an apostrophe"),
    ("xlsx", "Excel", "real dates and numbers, up to 1,048,575 orders"),
    ("parquet", "Parquet", "exact types, for pandas, Polars and DuckDB"),
)


@st.fragment(run_every=VALID_FOR / 2)  # so that the links of an open page are always valid
def download_button(
    session: Session,
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    search: str = "",
    failing: FailedCheck | None = None,
) -> None:
    """Draws a button with links to files of these orders, with all columns of the table.

    Args:
        session: The session. Columns that its visitor may not see are masked in the files.
        orders: The generation.
        span: The period; None for all time.
        conditions: The filters.
        search: The search; "" for none.
        failing: Only orders that fail this check; None: all.
    """
    session.navigator.stay()
    visitor = session.visitor.identity()
    if visitor is None:
        return  # the session has ended; the head of the page says so
    mask = session.visitor.mask(orders)
    timezone = session.settings.shop_timezone
    selection = OrderSelection(
        timezone=timezone,
        span=span,
        conditions=conditions,
        search=search,
        failing=failing,
        mask=mask,
        cancelled_orders=orders.cancelled_orders,
    )
    path = session.settings.public_path
    url = partial(export_url, session.backend.secret, visitor, orders.generation, selection)
    links = "".join(
        f'<li><a href="{escape(path + url(format))}">{label}</a>: {description}</li>'
        for format, label, description in _FORMATS
    )
    with st.popover("Download", icon=":material/download:", key="download"):
        st.html(f"<p>All orders of this view, with every column:</p><ul>{links}</ul>")
        if mask:
            st.caption("Personal data is masked in these files.")
