"""Links to files of the orders that a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from html import escape

import streamlit as st

from cache.analytics.order_list.line_rows import has_line_rows
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import FailedCheck
from cache.export.order_selection import OrderSelection
from cache.query.filters import Sort
from dashboard.address import parameter_values, set_parameter
from dashboard.components.widget_values import key_in_popover
from dashboard.data import Conditions
from dashboard.messages import says_why_it_fails
from dashboard.session import Session
from dashboard.web.downloads import VALID_FOR, Format, export_url

FIELDS = "field"  # parameter of the address
_FORMATS: tuple[tuple[Format, str, str], ...] = (
    ("csv", "CSV", "text that a spreadsheet would run as a formula starts with an apostrophe"),
    ("xlsx", "Excel", "real dates and numbers, up to 1,048,575 orders"),
    ("parquet", "Parquet", "exact types, for pandas, Polars and DuckDB"),
)


@st.fragment(run_every=VALID_FOR / 2)  # so that the links of an open page are always valid
@says_why_it_fails
def download_button(
    session: Session,
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    sort: Sort,
    search: str = "",
    failing: FailedCheck | None = None,
) -> None:
    """Draws a button with links to files of these orders, with the columns that are chosen, and of their line items.

    Args:
        session: The session. Columns that its visitor may not see are masked in the files.
        orders: The generation.
        span: The period; None for all time.
        conditions: The filters.
        sort: What comes first: one of the sorts that the visitor is offered.
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
        sort=sort,
        search=search,
        failing=failing,
        mask=mask,
        cancelled_orders=orders.cancelled_orders,
    )
    url = partial(export_url, session.backend.secret, visitor, orders.generation)
    path = session.settings.public_path

    def link(selection: OrderSelection, format: Format, label: str, fields: Sequence[str] = ()) -> str:
        return f'<a href="{escape(path + url(selection, format, fields))}">{label}</a>'

    with st.popover("Download", icon=":material/download:", key="download"):
        st.html("<p>All orders of this list, sorted as shown:</p>")
        fields = _field_choice(orders)
        items = (f"<li>{link(selection, format, label, fields)}: {about}</li>" for format, label, about in _FORMATS)
        st.html(f"<ul>{''.join(items)}</ul>")
        if has_line_rows(orders.roles, orders.reading.grain):
            lines = selection.model_copy(update={"lines": True})
            items = (f"<li>{link(lines, format, f'Line items as {label}')}</li>" for format, label, _ in _FORMATS)
            st.html(f"<p>Their line items, a row for each, with the number of the order:</p><ul>{''.join(items)}</ul>")
        if mask:
            st.caption("Personal data is masked in these files.")


def _field_choice(orders: Orders) -> list[str]:
    """Draws the choice of the columns of files. Returns them; empty for all."""
    names = [column.name for column in orders.columns]
    chosen = [name for name in parameter_values(FIELDS) if name in names]
    key = key_in_popover("file_columns", chosen)
    st.multiselect(
        "Columns of the file",
        names,
        key=key,
        placeholder="Every column",
        filter_mode="contains",
        select_all=False,
        on_change=lambda: set_parameter(FIELDS, st.session_state[key]),
    )
    return chosen
