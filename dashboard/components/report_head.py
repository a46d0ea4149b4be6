"""What a printed page says in place of its filters: the period, the filters and how old the data is, as text."""

from __future__ import annotations

import streamlit as st

from cache.analytics.dimensions.ranges import RANGES
from cache.analytics.figures import RETURNS
from cache.calendar.periods import PERIODS
from cache.storage.snapshot import Head
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import range_text, write_code
from dashboard.text.periods import date_range


def report_head(session: Session, selection: Selection, head: Head) -> None:
    """Draws the text. Only print.css shows it.

    Args:
        session: The session.
        selection: The orders that the page shows.
        head: The pointer to their generation.
    """
    with st.container(key="report_head"):
        st.caption(formatting.literal(" · ".join(_period(selection))))
        if filters := _filters(selection):
            st.caption(formatting.literal(" · ".join(filters)))
        st.caption(formatting.literal(_freshness(session, head)))


def _period(selection: Selection) -> list[str]:
    view, parts = selection.view, []
    if selection.span:
        name = [] if view.period == "custom" else [PERIODS[view.period].label]
        parts += [*name, date_range(selection.span)]
    if selection.compared_span:
        parts.append(f"comparison: {date_range(selection.compared_span)}")
    return parts or ["All orders"]


def _filters(selection: Selection) -> list[str]:
    orders, view = selection.orders, selection.view
    parts = []
    if not selection.all_currencies and selection.currency:
        parts.append(f"All amounts in {selection.currency}" if orders.rates else f"Currency: {selection.currency}")
    for name, values in view.filters().items():
        parts.append(
            f"{orders.dimension(name).label}: {', '.join(write_code(orders, name, value) for value in values)}"
        )
    parts += [f"{RANGES[name].label}: {range_text(name, bounds)}" for name, bounds in view.ranges]
    if view.returns != "returned":
        parts.append(f"Returns count {RETURNS[view.returns].lower()}")
    return parts


def _freshness(session: Session, head: Head) -> str:
    at = formatting.moment(head.updated_at.astimezone(session.shop_zone))
    state = "verified" if head.verified else "not verified"
    return f"Data of {at} ({session.shop_zone}), {state}"
