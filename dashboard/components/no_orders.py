"""Why a page shows no orders, and choices in its address that do not exist. Each is undone by one click."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import streamlit as st

from cache.analytics.dimensions.catalogue import DIMENSIONS, DimensionId
from cache.analytics.dimensions.ranges import RANGES, Bounds, RangeId
from cache.calendar.periods import PERIODS, Span
from cache.query.filters import Condition
from dashboard import data
from dashboard.address import parameter
from dashboard.data import Conditions
from dashboard.messages import message
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import range_text, write_code
from dashboard.text.formatting import counted
from dashboard.text.periods import date_range
from dashboard.view import View

Count = Callable[[Span | None, Conditions], int]
"""How many orders there are in a period under conditions."""


class _WayOut(NamedTuple):
    """A change of the view by which the page has orders: its text, their number, and the view."""

    text: str
    orders: int
    view: View


def nothing_found(session: Session, selection: Selection, count: Count | None = None, search: str = "") -> None:
    """Draws why no orders are shown, and a button for each choice that can be taken off to see some.

    Args:
        session: The session.
        selection: The orders of the page.
        count: Counts orders as the page does; None: by `data.count`.
        search: What was searched for, in all time; "" for no search.
    """
    known_until = selection.calendar.known_until
    if not data.count(selection.orders, None, ()):
        message("note", "The table has no orders yet. They appear here as soon as the shop has some.")
    elif selection.span and known_until <= selection.span.start and not search:
        end = formatting.moment(known_until)
        message("note", f"No data of this period yet. The data ends on {end}. Refresh to update it.")
    else:
        span = None if search else selection.span
        ways = _ways_out(selection, span, count or (lambda *of: data.count(selection.orders, *of)))
        with st.container(border=True, key="no_orders"):
            st.markdown(f"**{formatting.literal(_what(selection, span, search))}**")
            _buttons(session, selection, ways)


def unknown_choices(session: Session, selection: Selection) -> None:
    """Draws which choices in the address do not exist, such as a country that no order has."""
    orders, view = selection.orders.in_own_currencies, selection.view
    for name, values in view.filters().items():
        for value in values:
            if orders.offers(name) and not data.count(orders, None, (Condition(name, "in", (value,)),)):
                text = f"No order has {_filter_text(selection, name, (value,))}."
                _unknown(session, f"{name} {value}", text, view.toggled(name, value))
    for name in RANGES:
        if parameter(name) and name not in dict(view.ranges):
            text = f"“{parameter(name)}” is no range of {RANGES[name].label.lower()}, such as 10..50, 10.. or ..50."
            _unknown(session, name, text, view)
    period = parameter("period")
    if period and period not in PERIODS:
        text = f"There is no period “{period}”. This is “{PERIODS[view.period].label}”."
        _unknown(session, "period", text, view)
    known = selection.all_currencies or view.currency in dict(data.currencies(orders))
    if view.currency and not known:
        text = f"No order is in {view.currency}. These are in {selection.currency or 'no currency'}."
        _unknown(session, "currency", text, replace(view, currency=""))


def _unknown(session: Session, key: str, text: str, view: View) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"unknown {key}"):
        st.markdown(f":orange[:material/warning:] {formatting.literal(text)}", width="content")
        st.button(
            "Take it off",
            icon=":material/close:",
            type="tertiary",
            key=f"take_off {key}",
            on_click=session.address.put,
            args=(view,),
        )


def _what(selection: Selection, span: Span | None, search: str) -> str:
    """Such as "No order has Country: Germany while the currency is USD, 1 Nov – 30 Nov 2026."."""
    filters = [_filter_text(selection, name, values) for name, values in selection.view.filters().items()]
    filters += [_range_text(name, bounds) for name, bounds in selection.view.ranges]
    text = f"No order matches “{search}”" if search else "No orders"
    if filters:
        text += f" with {' and '.join(filters)}"
    if not selection.all_currencies and not selection.orders.rates and len(data.currencies(selection.orders)) > 1:
        text += f" while the currency is {selection.currency or 'unknown'}"
    if search:
        return f"{text}. All time and all currencies were searched."
    return f"{text}, {date_range(span)}." if span else f"{text}."


def _filter_text(selection: Selection, name: DimensionId, values: tuple[str, ...]) -> str:
    """A filter in words, such as "Country: Germany"."""
    texts = (write_code(selection.orders, name, value) for value in values)
    return f"{selection.orders.dimension(name).label}: {' or '.join(texts)}"


def _range_text(name: RangeId, bounds: Bounds) -> str:
    """A range in words, such as "Total: at least 100"."""
    return f"{RANGES[name].label}: {range_text(name, bounds)}"


def _ways_out(selection: Selection, span: Span | None, count: Count) -> list[_WayOut]:
    """The choices that empty the page: without each of them alone there are orders."""
    view, conditions = selection.view, selection.conditions
    ways = [
        _WayOut(f"Without {_filter_text(selection, name, values)}", found, view.without_filters([name]))
        for name, values in view.filters().items()
        if (found := count(span, data.without(name, conditions)))
    ]
    ways += [
        _WayOut(f"Without {_range_text(name, bounds)}", found, view.without_filters([name]))
        for name, bounds in view.ranges
        if (found := count(span, data.without(RANGES[name].filtered.id, conditions)))
    ]
    if any(condition.column == "currency" for condition in conditions):
        others = data.currencies(selection.orders, span, data.without("currency", conditions))
        ways += [
            _WayOut(f"{DIMENSIONS['currency'].label} {code}", n, replace(view, currency=code)) for code, n in others
        ]
    if span and (found := count(None, conditions)):
        ways.append(_WayOut(PERIODS["all"].label, found, _all_time(view)))
    return ways


def _all_time(view: View) -> View:
    return replace(view, period="all", start=None, end=None, hour=None)


def _buttons(session: Session, selection: Selection, ways: list[_WayOut]) -> None:
    """Draws a button for each way out; where no single choice empties the page, one that takes off all."""
    if not ways:
        everything = _all_time(selection.view.without_filters())
        ways = [_WayOut("All orders of all time", data.count(selection.orders, None, ()), everything)]
    with st.container(horizontal=True, key="ways_out"):
        for way in ways:
            label = formatting.literal(f"{way.text} · {counted(way.orders, 'order')}")
            if st.button(label, key=f"way_out {way.text}", on_click=session.address.put, args=(way.view,)):
                st.rerun()  # the whole page, where this is in a fragment
