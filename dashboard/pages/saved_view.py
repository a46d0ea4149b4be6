"""What a saved view shows, in words, and its main figure; and the links to pinned ones."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from cache.analytics.dimensions.catalogue import find_filter
from cache.analytics.dimensions.ranges import RANGES
from cache.analytics.metrics import METRICS
from cache.analytics.order_list.queues import QUEUES, queue_conditions
from cache.analytics.orders import Orders
from cache.analytics.values import Absent
from cache.calendar.periods import PERIODS, Span
from cache.saved.views import SavedView
from cache.storage.records import now
from dashboard import data, frame
from dashboard.address import Parameters
from dashboard.saved.address_needs import lacks, sentence
from dashboard.saved.visitor_views import VisitorViews, parameters_of, place_of
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import range_text, write_code
from dashboard.text.metrics import write
from dashboard.text.periods import date_range
from dashboard.view import View, is_view_parameter

MAX_PINS = 8  # links on the overview
MAX_VALUES = 3  # of a filter, in words
_MAIN: Mapping[str, str] = {
    "overview": "total_sales",
    "explore": "total_sales",
    "what-changed": "total_sales",
    "products": "gross_sales",
    "orders": "orders",
}
"""Page -> its main figure, where its address names no other one."""
_CHOICES = frozenset(
    ("metric", "explain", "side", "step", "by", "columns", "top", "sort", "open", "chart", "all", "within", "queue")
)
"""Parameters of pages that leave the orders as they are. With any other one, a view has no simple figure."""


def pinned(session: Session, selection: Selection) -> None:
    """Draws the views that are pinned, as links in a row.

    Args:
        session: The session.
        selection: The orders of the overview.
    """
    orders = selection.orders.in_own_currencies
    pins = [view for view in VisitorViews(session).seen(orders) if view.pinned and session.navigator.has(view.page)]
    if not pins:
        return
    with st.container(horizontal=True, gap="small", key="pinned"):
        for view in pins[:MAX_PINS]:
            trouble = in_vain(view, orders)
            figure = "" if trouble else main_figure(session, selection, view)
            label = formatting.literal(view.name) + (f" **{formatting.literal(figure)}**" if figure else "")
            help = formatting.literal(trouble or summary(session, view, orders))
            icon = ":material/warning:" if trouble else ":material/bookmark:"
            session.navigator.place_link(place_of(view), label, icon, help)


def in_vain(view: SavedView, orders: Orders) -> str:
    """What a view asks for in vain, as a sentence; "" where it has all of it."""
    found = lacks(parameters_of(view), orders)
    return f"Left out: {sentence(found)}." if found else ""


def summary(session: Session, view: SavedView, orders: Orders) -> str:
    """What a view shows, such as "Orders · Last 30 days · Country: Germany"."""
    address = parameters_of(view)
    shown = View.read(address)
    custom = shown.start and shown.end and date_range(Span.of_days(shown.start, shown.end))
    parts = [session.navigator.title(view.page), custom or PERIODS[shown.period].label]
    if shown.currency or shown.convert:
        parts.append("All currencies" if shown.convert else shown.currency)
    for name, values in shown.filters().items():
        if orders.offers(name):
            texts = [write_code(orders, name, value) for value in values[:MAX_VALUES]]
            more = [f"{len(values) - MAX_VALUES} more"] if len(values) > MAX_VALUES else []
            parts.append(f"{orders.dimension(name).label}: {', '.join([*texts, *more])}")
    parts += [f"{RANGES[name].label}: {range_text(name, bounds)}" for name, bounds in shown.ranges]
    parts += [queue.label for name, queue in QUEUES.items() if name in address.get("queue", ())]
    parts += [f"“{text}”" for text in address.get("q", ())]
    return " · ".join(parts)


def main_figure(session: Session, selection: Selection, view: SavedView) -> str:
    """The main figure of a view; "" where it is not simple.

    Args:
        session: The session.
        selection: The orders of the page that shows it.
        view: The view.
    """
    address = parameters_of(view)
    if view.page not in _MAIN or not all(is_view_parameter(name) or name in _CHOICES for name in address):
        return ""
    orders = selection.orders.in_own_currencies
    shown = frame.select(session, orders, selection.calendar, View.read(address), view.page == "orders")
    if view.page == "orders":
        return _orders(shown, address)
    metric = METRICS.get(_named(address), METRICS[_MAIN[view.page]])
    if not metric.available(orders.missing):
        return ""
    arguments = shown.span, shown.conditions, shown.returns, metric.customers, metric.units
    groups = data.groups(shown.orders, (), *arguments)
    value = metric.value(groups[0].figures if groups else shown.orders.no_figures)
    return "" if isinstance(value, Absent) else write(metric, value, shown.currency)


def _orders(shown: Selection, address: Parameters) -> str:
    """How many orders a list or a queue has; "" where the table cannot tell."""
    queue = next((name for name in QUEUES if name in address.get("queue", ())), None)
    if queue is None:
        return formatting.counted(data.count(shown.orders, shown.span, shown.conditions), "order")
    filters = map(find_filter, QUEUES[queue].filters)
    if QUEUES[queue].lacks(shown.orders.missing) or not all(each and shown.orders.has(each) for each in filters):
        return ""
    added = queue_conditions(queue, lambda name: data.values(shown.orders, name, None, ()), shown.calendar, now())
    count = data.count(shown.orders, None, (*shown.conditions, *added), QUEUES[queue].failing)
    return formatting.counted(count, "order")


def _named(address: Parameters) -> str:
    """The figure that an address names; "" for none."""
    return next(iter([*address.get("explain", ()), *address.get("metric", ())]), "")
