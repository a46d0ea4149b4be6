"""The page: figures, and the views below them; or one customer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

from cache.analytics.figures import Figures
from cache.analytics.values import Absent, or_zero
from dashboard import frame
from dashboard.address import parameter
from dashboard.components.blocks import metric_cards
from dashboard.components.listing import view_choice
from dashboard.components.no_orders import nothing_found
from dashboard.messages import message
from dashboard.pages.customers.customer_lines import WHO
from dashboard.pages.customers.lifetime_value import lifetime_value
from dashboard.pages.customers.profile import profile
from dashboard.pages.customers.ranking import ranking, repeats
from dashboard.pages.customers.retention import retention
from dashboard.pages.customers.segments import segments
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text.formatting import counted

_CARDS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")


def customers(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Customers")
    if selection is None:
        return
    if "customers" in selection.orders.missing:
        message("note", selection.orders.missing["customers"])
        return
    if who := parameter(WHO):
        profile(session, selection, who)
    else:
        _all_customers(session, selection)
    frame.foot(selection)


def _all_customers(session: Session, selection: Selection) -> None:
    now = selection.figures()
    if not now.orders:
        nothing_found(session, selection)
    metric_cards(session, selection, "Customers", _CARDS, "customer_cards", lambda _: session.navigator.go("orders"))
    _both_new_and_returning(now)
    if "dates" in selection.orders.missing:
        _buyers(session, selection)
    else:
        labels = {name: label for name, (label, _) in _VIEWS.items()}
        _VIEWS[view_choice(labels, "customers_view")][1](session, selection)


def _buyers(session: Session, selection: Selection) -> None:
    has_orders = bool(selection.figures().orders)
    if has_orders:
        repeats(session, selection)
    if "dates" not in selection.orders.missing:
        retention(session, selection)
    if has_orders:
        ranking(session, selection)


_VIEWS: Mapping[str, tuple[str, Callable[[Session, Selection], None]]] = {
    "buyers": ("Who buys", _buyers),
    "value": ("Lifetime value", lifetime_value),
    "segments": ("Segments", segments),
}


def _both_new_and_returning(now: Figures) -> None:
    """Draws why new and returning customers add up to more than all customers, where they do."""
    if isinstance(now.new_customers, Absent) or isinstance(now.customers, Absent):
        return
    both = now.new_customers + or_zero(now.returning_customers) - now.customers
    if both > 0:
        verb = "count" if both > 1 else "counts"
        st.caption(
            f"{counted(int(both), 'customer')} {verb} as new and as returning: "
            "the first order and another one are in this period."
        )
