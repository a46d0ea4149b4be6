"""The top of each page of figures (title, freshness, filters) and its bottom (notes on excluded orders)."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from cache.errors import CacheError
from cache.storage.snapshot import Head
from dashboard import data, formatting
from dashboard.components import freshness
from dashboard.components.filter_chips import filter_chips
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.view import View, date_range


def head(session: Session, title: str) -> tuple[Orders, Head] | None:
    """Draws the title and the freshness, and loads the newest orders.

    Returns:
        The orders, and the pointer to their generation. None if they cannot be loaded; then the reason is drawn.
    """
    status = session.cache.status()
    freshness.page_head(session, title, status)
    if status.head is None and (error := status.cache_error):
        st.error(formatting.plain(f"{error.message} {error.advice}"), icon=":material/error:")
        return None
    if status.head is None:
        freshness.nothing_yet(session)
        return None
    try:
        with st.skeleton(height=420):  # after a start the first visitor waits until the table is read
            return session.backend.orders.newest(status.head.generation), status.head
    except CacheError as error:
        st.error(f"**The data on disk cannot be read.** {formatting.plain(str(error))}", icon=":material/error:")
        return None


def page(session: Session, title: str) -> Selection | None:
    """Draws title, freshness and filters. Returns the selected orders; None if there is no data."""
    loaded = head(session, title)
    if loaded is None:
        return None
    orders, newest = loaded
    view = session.address.restore()
    now = _now(orders, newest)
    currency = _currency(session, orders, view)
    span = view.span(now, data.extent(orders)) if "dates" not in orders.missing else None
    compared = view.comparison(now, span) if span else None
    compared_text = f"{date_range(compared, now.year)}{_until(compared)}" if compared else ""
    filter_chips(session.address, orders, view, currency, span, compared_text)
    return Selection(orders, view, currency, span, compared, view.conditions(currency))


def nothing_found(selection: Selection) -> None:
    """Draws a message that explains why no orders are shown, and what to do."""
    extent = data.extent(selection.orders)
    if selection.view.filters():
        st.info("No order matches these filters in this period. Clear the filters, or choose other dates.")
    elif extent:
        st.info(f"No orders in this period. The last order is of {formatting.day(extent.end)}: choose other dates.")
    else:
        st.info("The table has no orders yet. They appear here as soon as the shop has some.")


def foot(selection: Selection) -> None:
    """Draws notes on the time zone, on excluded orders, and on figures that the table cannot provide."""
    orders = selection.orders
    notes = [f"Times are in the shop's time zone, {orders.timezone}."]
    if others := [part for part in data.currencies(orders) if part[0] != selection.currency]:
        counts = ", ".join(f"{code or 'no currency'} {count:,}" for code, count in others)
        notes.append(f"Orders in other currencies are excluded: {counts}.")
    if orders.test_orders:
        verb = "order is" if orders.test_orders == 1 else "orders are"
        notes.append(f"{orders.test_orders:,} test {verb} excluded.")
    notes += orders.missing.values()
    st.caption(formatting.plain(" ".join(notes)))


def _now(orders: Orders, head: Head) -> datetime:
    """Returns the time of the last verification in the shop's time zone, or of the last order if it is later."""
    now = head.updated_at.astimezone(ZoneInfo(orders.timezone)).replace(tzinfo=None)
    extent = data.extent(orders)
    if extent and extent.end > now:  # orders placed during the sync, or with a clock that is ahead
        return min(extent.end, now + timedelta(days=1))
    return now


def _until(compared: Span) -> str:
    """Returns a text with the time at which a compared period ends; empty if it ends at midnight."""
    return "" if (compared.end.hour, compared.end.minute) == (0, 0) else f", until {compared.end:%H:%M}"


def _currency(session: Session, orders: Orders, view: View) -> str:
    """Returns the currency in the URL, else in the settings, else the currency with the most orders."""
    codes = [code for code, _ in data.currencies(orders)]
    wanted = (view.currency, orders.setup.currency or "", session.settings.shop_currency or "")
    return next((code for code in wanted if code in codes and code), codes[0] if codes else "")
