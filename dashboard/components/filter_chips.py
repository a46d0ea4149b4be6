"""The filters as chips in the page's head: each says what it lets through, and opens to change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any, NamedTuple

import streamlit as st

from cache.analytics.dimensions import PRODUCT, DimensionId, FilterId
from cache.analytics.figures import RETURNS
from cache.analytics.orders import Orders
from cache.analytics.periods import COMPARISONS, PERIODS
from dashboard import data, formatting
from dashboard.view import View

_KEPT = "kept_view"
_OF_ORDERS = ("page", "order")  # parameters that mean nothing under other filters


class Part(NamedTuple):
    """A filter in words: on its chip, over its breakdown, the figure it needs, and how its codes are written."""

    label: str
    title: str
    needs: str
    write: Callable[[Orders, str], str]


PARTS: Mapping[FilterId, Part] = {
    "status": Part("Payment", "payment status", "payment status", lambda _, code: formatting.status(code).text),
    "fulfilment": Part(
        "Fulfilment", "fulfilment", "fulfilment status", lambda _, code: formatting.fulfilment(code).text
    ),
    "channel": Part("Channel", "channel", "channel", lambda _, code: formatting.channel(code)),
    "country": Part(
        "Country", "country", "country", lambda orders, code: orders.countries.get(code, code) or "No address"
    ),
    "discount": Part("Discount", "discount code", "discount code", lambda _, code: formatting.discount(code)),
    "product": Part("Product", "product", "products", lambda orders, code: data.titles(orders).get(code, code)),
}


def parts(orders: Orders) -> dict[FilterId, Part]:
    """Those that this table tells."""
    return {name: part for name, part in PARTS.items() if part.needs not in orders.missing}


def dimensions(orders: Orders) -> dict[DimensionId, Part]:
    """Those of them that every order has one value of."""
    return {name: part for name, part in parts(orders).items() if name != PRODUCT}


def current() -> View:
    """The view that the address tells."""
    return View.read(st.query_params)


def restored() -> View:
    """The view of the address, which takes over the one of the page before where it tells none."""
    if "period" not in st.query_params and _KEPT in st.session_state:
        _put(st.session_state[_KEPT])
    view = current()
    st.session_state[_KEPT] = view
    return view


def change(**values: Any) -> None:
    """Changes the view by putting it into the address; what belongs to the page, such as a search, stays."""
    _put(replace(current(), **values))


def _put(view: View) -> None:
    ours = {*View().parameters(), *_ALL}
    kept: dict[str, str | list[str]] = {
        name: st.query_params.get_all(name) for name in st.query_params if name not in ours and name not in _OF_ORDERS
    }
    st.query_params.from_dict(view.parameters() | kept)


_ALL = ("from", "to", "currency", "compare", "returns", *PARTS)


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
        if shown:
            _period(view, shown)
        if "currency" not in orders.missing:
            _currency(orders, currency)
        for name, part in parts(orders).items():
            _several(orders, name, part, data.values(orders, name), getattr(view, name))
        if not orders.missing.keys() & {"returns", "dates of returns"}:
            _returns(view)
        if view.filters():
            st.button("Clear filters", icon=":material/close:", type="tertiary", key="clear", on_click=_clear)
        if compared:
            st.caption(f"Changes compare with {compared}", width="content")


def _clear() -> None:
    _put(current().without_filters())


def _period(view: View, shown: str) -> None:
    label = shown if view.period == "custom" else f"{PERIODS[view.period]} · {shown}"
    with st.popover(label, icon=":material/calendar_month:", key="period_chip"):
        st.session_state["period"] = view.period
        st.radio("Period", list(PERIODS), format_func=lambda p: PERIODS[p], key="period", on_change=_set_period)
        if view.period == "custom":
            st.session_state["dates"] = (view.start, view.end)
            st.date_input("Dates", key="dates", format="YYYY-MM-DD", on_change=_set_dates)
        if view.period != "all":
            _choice("compare", "Compare with", COMPARISONS, view.compare)


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


def _choice(name: str, label: str, options: Mapping[Any, str], chosen: str, help: str | None = None) -> None:
    st.session_state[name] = chosen
    st.radio(
        label,
        list(options),
        format_func=lambda code: options[code],
        key=name,
        on_change=lambda: change(**{name: st.session_state[name]}),
        help=help,
    )


def _returns(view: View) -> None:
    with st.popover(f"Returns: {RETURNS[view.returns][:1].lower()}{RETURNS[view.returns][1:]}", key="returns_chip"):
        _choice("returns", "Returns count", RETURNS, view.returns)
        st.caption(
            "**By date of refund**, as Shopify's reports count: a refund lowers the sales of the day it was given. "
            "**By date of order**: it lowers the sales of the day the order was placed, so past days change later."
        )


def _currency(orders: Orders, currency: str) -> None:
    counts = dict(data.currencies(orders))
    options = {code: f"{code or 'None'} · {count:,} orders" for code, count in counts.items()}
    with st.popover(currency or "No currency", icon=":material/payments:", key="currency_chip"):
        _choice("currency", "Currency", options, currency, "Amounts in different currencies are never added together.")


def _several(orders: Orders, name: FilterId, part: Part, options: Sequence[str], chosen: tuple[str, ...]) -> None:
    texts = [part.write(orders, code) for code in chosen]
    shown = f"{part.label}: {', '.join(texts)}" if len(texts) < 3 else f"{part.label}: {len(texts)} chosen"
    with st.popover(
        formatting.plain(shown) if chosen else part.label, type="primary" if chosen else "secondary", key=f"{name}_chip"
    ):
        st.session_state[f"{name}_filter"] = list(chosen)
        st.multiselect(
            part.label,
            list(dict.fromkeys([*options, *chosen])),
            format_func=lambda code: part.write(orders, code),
            key=f"{name}_filter",
            placeholder="All",
            on_change=lambda: change(**{name: tuple(st.session_state[f"{name}_filter"])}),
        )
        if name == PRODUCT:
            st.caption("Lets through orders that hold one of these. Figures count the whole order.")
