"""The filters as chips in the page's head: each says what it lets through, and opens to change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import streamlit as st

from cache.analytics import Orders
from dashboard import words
from dashboard.view import PERIODS, View

PAGE, ORDER = "page", "order"  # further parameters of the address: of the table, and the order that is open


def current() -> View:
    """The view that the address tells."""
    return View.read(st.query_params)


def change(**values: Any) -> None:
    """Changes the view by putting it into the address; what belongs to the page, such as a search, stays."""
    view = replace(current(), **values)
    parameters = view.parameters()
    if search := st.query_params.get("q"):
        parameters["q"] = search
    st.query_params.from_dict(parameters)


def toggle(name: str, value: str) -> None:
    """Adds a value to a filter, or takes it out."""
    chosen = getattr(current(), name)
    change(**{name: tuple(v for v in chosen if v != value) if value in chosen else (*chosen, value)})


def chips(orders: Orders, view: View, currency: str, shown: str, compared: str) -> None:
    """All filters in a row.

    Parameters: `currency` is the one whose amounts are added, `shown` are the dates of the period, `compared` those
    that changes compare with, or nothing.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chips"):
        if "dates" not in orders.missing:
            _period(view, shown)
        if "currency" not in orders.missing:
            _currency(orders, currency)
        if "payment status" not in orders.missing:
            _several("status", "Payment", orders.values("status"), view.status, lambda code: words.status(code).text)
        if "country" not in orders.missing:
            _several("country", "Country", orders.values("country"), view.country, lambda code: country(orders, code))
        if "channel" not in orders.missing:
            _several("channel", "Channel", orders.values("channel"), view.channel, words.channel)
        if view.filtered:
            st.button("Clear filters", icon=":material/close:", type="tertiary", key="clear", on_click=_clear)
        if compared:
            st.caption(f"Changes compare with {compared}", width="content")


def country(orders: Orders, code: str) -> str:
    return orders.countries.get(code, code) or "No address"


def _clear() -> None:
    change(status=(), country=(), channel=())


def _period(view: View, shown: str) -> None:
    label = shown if view.period == "custom" else f"{PERIODS[view.period][0]} · {shown}"
    with st.popover(label, icon=":material/calendar_month:", key="period_chip"):
        st.session_state["period"] = view.period
        st.radio("Period", list(PERIODS), format_func=lambda p: PERIODS[p][0], key="period", on_change=_set_period)
        if view.period == "custom":
            st.session_state["dates"] = (view.start, view.end)
            st.date_input("Dates", key="dates", format="YYYY-MM-DD", on_change=_set_dates)


def _set_period() -> None:
    chosen = st.session_state["period"]
    if chosen == "custom":
        change(period=chosen, start=st.session_state["span"][0], end=st.session_state["span"][1])
    else:
        change(period=chosen, start=None, end=None)


def _set_dates() -> None:
    chosen: Sequence[date] = st.session_state["dates"]
    if len(chosen) == 2:  # one until the second day is picked
        change(period="custom", start=chosen[0], end=chosen[1])


def _currency(orders: Orders, currency: str) -> None:
    counts = dict(orders.currencies())
    with st.popover(currency or "No currency", icon=":material/payments:", key="currency_chip"):
        st.session_state["currency"] = currency
        st.radio(
            "Currency",
            list(counts),
            format_func=lambda code: f"{code or 'None'} · {counts[code]:,} orders",
            key="currency",
            on_change=lambda: change(currency=st.session_state["currency"]),
            help="Amounts in different currencies are never added together.",
        )


def _several(
    name: str, label: str, options: Sequence[str], chosen: tuple[str, ...], written: Callable[[str], str]
) -> None:
    texts = [written(code) for code in chosen]
    shown = f"{label}: {', '.join(texts)}" if len(texts) < 3 else f"{label}: {len(texts)} chosen"
    with st.popover(
        words.plain(shown) if chosen else label, type="primary" if chosen else "secondary", key=f"{name}_chip"
    ):
        st.session_state[f"{name}_filter"] = list(chosen)
        st.multiselect(
            label,
            list(dict.fromkeys([*options, *chosen])),
            format_func=written,
            key=f"{name}_filter",
            placeholder="All",
            on_change=lambda: change(**{name: tuple(st.session_state[f"{name}_filter"])}),
        )
