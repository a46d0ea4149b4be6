"""The filters as chips in the head of a page. Each shows what it lets through, and opens to change it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import streamlit as st

from cache.analytics.dimensions import FILTERS, PRODUCT, Dimension, FilterId
from cache.analytics.figures import RETURNS
from cache.analytics.orders import Orders
from cache.analytics.periods import COMPARISONS, PERIODS, Span
from dashboard import data, formatting
from dashboard.dimension_text import write_code
from dashboard.view import View, date_range
from dashboard.view_address import ViewAddress


def filter_chips(
    address: ViewAddress, orders: Orders, view: View, currency: str, span: Span | None, compared: str
) -> None:
    """Draws all filters in a row.

    Args:
        address: The view in the address, which the chips change.
        orders: The orders, for the values that can be chosen.
        view: The view.
        currency: The currency whose amounts are added.
        span: The days of the period; None where the orders have no dates.
        compared: The days that changes compare with; "" for none.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chips"):
        if span:
            _period(address, view, span)
        if "currency" not in orders.missing:
            _currency(address, orders, currency)
        for name, dimension in FILTERS.items():
            if dimension.available(orders.missing):
                _values(address, orders, name, dimension, getattr(view, name))
        if not orders.missing.keys() & {"returns", "dates of returns"}:
            _returns(address, view)
        if view.filters():
            st.button(
                "Clear filters", icon=":material/close:", type="tertiary", key="clear", on_click=address.clear_filters
            )
        if compared:
            st.caption(f"Compared with {compared}", width="content")


def _period(address: ViewAddress, view: View, span: Span) -> None:
    days = date_range(span)
    label = days if view.period == "custom" else f"{PERIODS[view.period]} · {days}"

    def set_period() -> None:
        period = st.session_state["period"]
        if period == "custom":  # begins with the days that are shown
            address.change(period=period, start=span.start.date(), end=(span.end - timedelta(days=1)).date())
        else:
            address.change(period=period, start=None, end=None)

    def set_dates() -> None:
        dates: Sequence[date] = st.session_state["dates"]
        if len(dates) == 2:  # one until the second day is picked
            address.change(period="custom", start=dates[0], end=dates[1])

    with st.popover(label, icon=":material/calendar_month:", key="period_chip"):
        st.session_state["period"] = view.period
        st.radio("Period", list(PERIODS), format_func=lambda name: PERIODS[name], key="period", on_change=set_period)
        if view.period == "custom":
            st.session_state["dates"] = (view.start, view.end)
            st.date_input("Dates", key="dates", format="YYYY-MM-DD", on_change=set_dates)
        if view.period != "all":
            _choice(address, "compare", "Compare with", COMPARISONS, view.compare)


def _choice(
    address: ViewAddress, name: str, label: str, options: Mapping[Any, str], chosen: str, help: str | None = None
) -> None:
    """One of some options for a field of the view."""
    st.session_state[name] = chosen
    st.radio(
        label,
        list(options),
        format_func=lambda code: options[code],
        key=name,
        on_change=lambda: address.change(**{name: st.session_state[name]}),
        help=help,
    )


def _returns(address: ViewAddress, view: View) -> None:
    label = RETURNS[view.returns]
    with st.popover(f"Returns: {label[:1].lower()}{label[1:]}", key="returns_chip"):
        _choice(address, "returns", "Returns count", RETURNS, view.returns)
        st.caption(
            "**By date of refund**, as in Shopify's reports: a refund lowers the sales of the day of the refund. "
            "**By date of order**: a refund lowers the sales of the day of the order, so past days can still change."
        )


def _currency(address: ViewAddress, orders: Orders, currency: str) -> None:
    counts = dict(data.currencies(orders))
    options = {code: f"{code or 'None'} · {count:,} orders" for code, count in counts.items()}
    help = "Amounts in different currencies are never added."
    with st.popover(currency or "No currency", icon=":material/payments:", key="currency_chip"):
        _choice(address, "currency", "Currency", options, currency, help)


def _values(
    address: ViewAddress, orders: Orders, name: FilterId, dimension: Dimension, chosen: tuple[str, ...]
) -> None:
    texts = [write_code(orders, name, code) for code in chosen]
    label = f"{dimension.label}: {', '.join(texts)}" if len(texts) < 3 else f"{dimension.label}: {len(texts)} selected"
    with st.popover(
        formatting.plain(label) if chosen else dimension.label,
        type="primary" if chosen else "secondary",
        key=f"{name}_chip",
    ):
        st.session_state[f"{name}_filter"] = list(chosen)
        st.multiselect(
            dimension.label,
            list(dict.fromkeys([*data.values(orders, name), *chosen])),
            format_func=lambda code: write_code(orders, name, code),
            key=f"{name}_filter",
            placeholder="All",
            on_change=lambda: address.change(**{name: tuple(st.session_state[f"{name}_filter"])}),
        )
        if name == PRODUCT:
            st.caption("Shows orders that contain one of these products. Figures include the whole order.")
