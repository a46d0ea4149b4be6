"""What every page of figures begins with: title, freshness, filters, and the orders that they let through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from cache.analytics.figures import Figures, Returns
from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from cache.errors import CacheError
from dashboard import data, formatting
from dashboard.auth.source import source
from dashboard.components import filter_chips, freshness
from dashboard.data import Conditions
from dashboard.view import View, date_range


@dataclass(frozen=True)
class Shown:
    """What a page shows: `span` is the period (None: the table tells no dates), `past` the compared one (None: none),
    `conditions` the filters and the currency."""

    orders: Orders
    view: View
    currency: str
    span: Span | None
    past: Span | None
    conditions: Conditions

    @property
    def returns(self) -> Returns:
        return self.view.returns

    def figures(self, units: bool = False) -> Figures:
        return data.figures(self.orders, self.span, self.conditions, self.returns, units)

    def before(self, units: bool = False) -> Figures | None:
        if self.past is None:
            return None
        return data.figures(self.orders, self.past, self.conditions, self.returns, units)


def head(title: str) -> Orders | None:
    """Title and freshness, and the newest orders; None, and why, where there are none."""
    status = source().cache.status()
    freshness.showing(status)
    freshness.head(title)
    if status.head is None:
        freshness.nothing_yet()
        return None
    try:
        with st.skeleton(height=420):  # the first visitor after a start waits until the table is read
            return data.newest(status.head.generation)
    except CacheError as error:
        st.error(f"**The data on disk cannot be read.** {formatting.plain(str(error))}", icon=":material/error:")
        return None


def page(title: str) -> Shown | None:
    """Title, freshness and filters, and what they let through; None where there is no data."""
    orders = head(title)
    if orders is None:
        return None
    view = filter_chips.restored()
    now = _now(orders)
    currency = _currency(orders, view)
    span = view.span(now, data.extent(orders)) if "dates" not in orders.missing else None
    past = view.comparison(now, span) if span else None
    st.session_state["span"] = (span.start.date(), (span.end - timedelta(days=1)).date()) if span else None
    compared = f"{date_range(past, now.year)}{_until(past)}" if past else ""
    filter_chips.chips(orders, view, currency, date_range(span) if span else "", compared)
    return Shown(orders, view, currency, span, past, view.conditions(currency))


def nothing_found(shown: Shown) -> None:
    """Says why there is nothing to show, and what to do."""
    extent = data.extent(shown.orders)
    if shown.view.filters():
        st.info("No order passes these filters in this period. Clear the filters, or choose other dates.")
    elif extent:
        st.info(f"No orders in this period. The last one is of {formatting.day(extent.end)}: choose other dates.")
    else:
        st.info("The table holds no orders yet. They appear here once the shop has some.")


def foot(shown: Shown) -> None:
    """What was left out, and why."""
    orders = shown.orders
    notes = [f"Times are on the shop's clock, {orders.timezone}."]
    if others := [part for part in data.currencies(orders) if part[0] != shown.currency]:
        listed = ", ".join(f"{code or 'no currency'} {count:,}" for code, count in others)
        notes.append(f"Orders in other currencies are not added in: {listed}.")
    if orders.test_orders:
        notes.append(f"{orders.test_orders:,} test orders never count.")
    notes += orders.missing.values()
    st.caption(formatting.plain(" ".join(notes)))


def _now(orders: Orders) -> datetime:
    """When the data was last verified, on the shop's clock."""
    head = source().cache.snapshots.head()
    assert head is not None
    now = head.updated_at.astimezone(ZoneInfo(orders.timezone)).replace(tzinfo=None)
    extent = data.extent(orders)
    if extent and extent.end > now:  # orders that came during the sync, or from a clock that is ahead
        return min(extent.end, now + timedelta(days=1))
    return now


def _until(past: Span) -> str:
    """A compared period that is cut at a time of day, as the one shown is not over yet."""
    return "" if (past.end.hour, past.end.minute) == (0, 0) else f", {past.end:%H:%M}"


def _currency(orders: Orders, view: View) -> str:
    """The one asked for, else that of set-up or settings, else the one with the most orders."""
    known = [code for code, _ in data.currencies(orders)]
    wanted = (view.currency, orders.setup.currency or "", source().settings.shop_currency or "")
    return next((code for code in wanted if code in known and code), known[0] if known else "")
