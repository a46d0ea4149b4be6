"""The overview: figures against the period before, sales over time, what makes them up, the orders behind them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from functools import partial
from zoneinfo import ZoneInfo

import streamlit as st

from cache.analytics import Dimension, Figures, Group, Orders, Span
from cache.errors import CacheError
from dashboard import charts, components, data, filters, freshness, words
from dashboard.orders import orders_table
from dashboard.source import source
from dashboard.view import View, bucket, dates


def overview() -> None:
    status = source().store.status()
    freshness.showing(status)
    freshness.head("Orders overview")
    if status.head is None:
        freshness.nothing_yet()
        return
    try:
        orders = data.newest(status.head.generation)
    except CacheError as error:
        st.error(f"**The data on disk cannot be read.** {words.plain(str(error))}", icon=":material/error:")
        return
    shop = ZoneInfo(source().settings.shop_timezone)
    _figures(orders, filters.current(), status.head.updated_at.astimezone(shop).replace(tzinfo=None))


def _figures(orders: Orders, view: View, now: datetime) -> None:
    """Everything below the head. `now` is when the data was last verified, on the shop's clock."""
    extent = orders.extent()
    if extent and extent.end > now:  # orders that came during the sync, or from a clock that is ahead
        now = min(extent.end, now + timedelta(days=1))
    currency = _currency(orders, view)
    dated = "dates" not in orders.missing
    span = view.span(now, extent) if dated else None
    past = view.before(now, span) if span else None
    conditions = view.conditions(currency)
    st.session_state["span"] = (span.start.date(), view.end or now.date()) if span else None

    compared = f"{dates(past, than=now.year)}{_until(past)}" if past else ""
    filters.chips(orders, view, currency, dates(span) if span else "", compared)
    figures = data.figures(orders.generation, orders, span, conditions)
    before = data.figures(orders.generation, orders, past, conditions) if past else None
    components.cards(figures, before, currency)
    if not figures.orders:
        _no_orders(orders, view)
    elif span:
        _over_time(orders, span, past, conditions, currency)
    _made_of(orders, view, span, conditions, currency, figures, before)
    orders_table(orders, span, conditions)
    _foot(orders, currency)


def _until(past: Span) -> str:
    """A compared period that is cut at a time of day, as the one shown is not over yet."""
    return "" if past.end.time() == time() else f", {past.end:%H:%M}"


def _currency(orders: Orders, view: View) -> str:
    """The one asked for, else the setting's, else the one with the most orders."""
    known = [code for code, _ in orders.currencies()]
    wanted = (view.currency, source().settings.shop_currency or "")
    return next((code for code in wanted if code in known and code), known[0] if known else "")


def _over_time(orders: Orders, span: Span, past: Span | None, conditions: data.Conditions, currency: str) -> None:
    def money(amount: Decimal) -> str:
        return words.money(amount, currency)

    choices: dict[str, tuple[Callable[[Group], Decimal], Callable[[Decimal], str]]] = {
        "Total sales": (lambda group: group.figures.total_sales or Decimal(0), money),
        "Orders": (lambda group: Decimal(group.figures.orders), lambda count: f"{count:,}"),
    }
    if "total sales" in orders.missing:
        del choices["Total sales"]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="chart_head"):
            st.header("Over time", anchor=False, width="content")
            chosen = st.segmented_control(
                "Figure",
                list(choices),
                default=next(iter(choices)),
                required=True,
                label_visibility="collapsed",
                key="metric",
            )
        value, text = choices[chosen]
        width = bucket(span)
        now = data.series(orders.generation, orders, width, span, conditions)
        then = (past, data.series(orders.generation, orders, width, past, conditions)) if past else None
        rows, spec = charts.over_time(
            width, span, now, then, value, text, chosen, words.sign(currency) if chosen == "Total sales" else ""
        )
        compared = f", with {dates(past)} behind it" if past else ""
        st.vega_lite_chart(rows, spec, width="stretch", alt=f"{chosen} over time, {dates(span)}{compared}.")


def _made_of(
    orders: Orders,
    view: View,
    span: Span | None,
    conditions: data.Conditions,
    currency: str,
    figures: Figures,
    before: Figures | None,
) -> None:
    parts: tuple[tuple[str, str, Dimension, Callable[[str], str]], ...] = (
        ("Sales by payment status", "payment status", "status", lambda code: words.status(code).text),
        ("Sales by channel", "channel", "channel", words.channel),
        ("Sales by country", "country", "country", lambda code: filters.country(orders, code)),
    )
    with st.grid(2, min_column_width=340):
        components.summary(figures, before, currency)
        for title, needed, by, written in parts:
            if needed not in orders.missing:
                slices = data.breakdown(orders.generation, orders, by, span, conditions)
                components.breakdown(title, slices, currency, written, getattr(view, by), partial(filters.toggle, by))


def _no_orders(orders: Orders, view: View) -> None:
    extent = orders.extent()
    if view.filtered:
        st.info("No order passes these filters in this period. Clear the filters, or choose other dates.")
    elif extent:
        st.info(f"No orders in this period. The last one is of {words.day(extent.end)}: choose other dates.")
    else:
        st.info("The table holds no orders yet. They appear here once the shop has some.")


def _foot(orders: Orders, currency: str) -> None:
    """What was left out, and why."""
    notes = [f"Times are on the shop's clock, {source().settings.shop_timezone}."]
    if others := [part for part in orders.currencies() if part[0] != currency]:
        listed = ", ".join(f"{code or 'no currency'} {count:,}" for code, count in others)
        notes.append(f"Orders in other currencies are not added in: {listed}.")
    if orders.tests:
        notes.append(f"{orders.tests:,} test orders never count.")
    notes += orders.missing.values()
    st.caption(words.plain(" ".join(notes)))
