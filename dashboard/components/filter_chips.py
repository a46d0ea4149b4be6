"""The filters as chips in the head of a page. Each shows what it lets through, and opens to change it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import streamlit as st

from cache.analytics.dimensions.catalogue import PRODUCT, Dimension, DimensionId
from cache.analytics.dimensions.ranges import MAX_AMOUNT, MAX_WHOLE, RANGES, Bounds, RangeId
from cache.analytics.figures import RETURNS
from cache.calendar.periods import COMPARISONS, PERIODS, Span
from dashboard import data
from dashboard.components.widget_values import key_in_popover
from dashboard.saved.save_view import save_view
from dashboard.saved.visitor_views import VisitorViews
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import range_text, write_code
from dashboard.text.formatting import counted
from dashboard.text.periods import date_range
from dashboard.view import CHIPS, EARLIEST, LATEST, View
from dashboard.view_address import ViewAddress

_CONVERTED = "all"  # among the codes of currencies
_ABOUT_RANGES: Mapping[RangeId, str] = {
    "total": "The total of the order, in its own currency, or in the one that amounts are converted to.",
    "age": "Days of 24 hours since the order was placed.",
    "items": "Pieces in the line items of the order.",
}


def filter_chips(session: Session, selection: Selection, main_currency: str = "") -> None:
    """Draws all filters in a row, and the way to save them as a view.

    Args:
        session: The session, whose address the chips change.
        selection: The orders that the page shows.
        main_currency: What amounts in all currencies can be converted to; "": there are no exchange rates.
    """
    address = session.address
    orders, view = selection.orders.in_own_currencies, selection.view
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="chips"):
        if selection.span:
            _period(address, view, selection.span, selection.compared_span)
        st.checkbox("All filters", key="all_filters")  # of phones: style.css breaks the row of chips into lines
        if _has_currency(selection):
            _currency(address, selection, main_currency)
        for name in _dimensions(selection):
            _values(address, selection, orders.dimension(name))
        for range_name in _ranges(selection):
            _range(address, view, range_name)
        if _has_returns(selection):
            _returns(address, view)
        save_view(session)
        if view.is_filtered:
            st.button(
                "Clear filters", icon=":material/close:", type="tertiary", key="clear", on_click=address.clear_filters
            )
        if compared := _compared_text(selection):
            st.caption(compared, width="content")


def space_for_chips(session: Session, selection: Selection) -> str:
    """HTML of the size of the chips. Drawn before them, it keeps what is below in its place.

    Its texts are drawn by style.css, so that nobody reads or finds them.
    """
    chips = ["period_chip"] if selection.span else []
    chips += ["chip"] * (len(_dimensions(selection)) + len(_ranges(selection)) + _has_currency(selection))
    chips += ["returns_chip"] if _has_returns(selection) else []
    chips += ["chip"] if VisitorViews(session).may_save else []
    spaces = "".join(f'<span class="{chip}"></span>' for chip in chips)
    cleared = '<span data-text="×&ensp;Clear filters"></span>' if selection.view.is_filtered else ""
    compared = f'<small data-text="{_compared_text(selection)}"></small>'
    return f'<div class="chips-space" aria-hidden="true">{spaces}{cleared}{compared}</div>'


def _has_currency(selection: Selection) -> bool:
    return "currency" not in selection.orders.in_own_currencies.missing and not selection.all_currencies


def _has_returns(selection: Selection) -> bool:
    """Whether returns can count on two days. A list of orders adds no returns."""
    missing = selection.orders.in_own_currencies.missing.keys() & {"returns", "dates of returns", "dates"}
    return not missing and not selection.all_currencies


def _dimensions(selection: Selection) -> list[DimensionId]:
    """The dimensions that have a chip."""
    orders = selection.orders.in_own_currencies
    return [name for name in (*CHIPS, *dict(selection.view.others)) if orders.offers(name)]


def _ranges(selection: Selection) -> list[RangeId]:
    """The ranges that have a chip: all on a list of orders, elsewhere those that are set."""
    orders, chosen = selection.orders.in_own_currencies, dict(selection.view.ranges)
    shown = (name for name in RANGES if selection.all_currencies or name in chosen)
    return [name for name in shown if orders.has(RANGES[name].filtered)]


def _compared_text(selection: Selection) -> str:
    compared = selection.compared_span
    return f"Compared with {date_range(compared, selection.calendar.today.year)}" if compared else ""


def _period(address: ViewAddress, view: View, span: Span, compared: Span | None) -> None:
    days = date_range(span)
    label = days if view.period == "custom" else f"{PERIODS[view.period].label} · {days}"

    period_key = key_in_popover("period", view.period)
    compare_key = key_in_popover("compare", view.compare)

    def set_period() -> None:
        period = st.session_state[period_key]
        days = _days(span) if period == "custom" else (None, None)  # begins with the days that are shown
        address.change(period=period, start=days[0], end=days[1], hour=None)

    def set_comparison() -> None:
        comparison = st.session_state[compare_key]
        days = _days(compared or span) if comparison == "custom" else (None, None)
        address.change(compare=comparison, compare_start=days[0], compare_end=days[1])

    def set_dates(start: date, end: date) -> None:
        address.change(period="custom", start=start, end=end, hour=None)

    def set_compared_dates(start: date, end: date) -> None:
        address.change(compare="custom", compare_start=start, compare_end=end)

    with st.popover(label, icon=":material/calendar_month:", key="period_chip"):
        labels = {name: period.label for name, period in PERIODS.items()}
        st.radio("Period", list(labels), format_func=lambda name: labels[name], key=period_key, on_change=set_period)
        if view.period == "custom":
            _dates("dates", "From", "To", view.start, view.end, set_dates)
        if view.period != "all":
            st.radio(
                "Compare with",
                list(COMPARISONS),
                format_func=lambda name: COMPARISONS[name],
                key=compare_key,
                on_change=set_comparison,
            )
            if view.compare == "custom":
                start, end = view.compare_start, view.compare_end
                _dates("compared_dates", "Compare from", "Compare to", start, end, set_compared_dates)


def _days(span: Span) -> tuple[date, date]:
    """The first and the last day of a span."""
    return span.start.date(), (span.end - datetime.resolution).date()


def _dates(
    key: str, first: str, last: str, start: date | None, end: date | None, change: Callable[[date, date], None]
) -> None:
    """Draws an input for each of the two days of a period. One for both would offer presets of its own.

    Args:
        key: The beginning of Streamlit's keys.
        first: The label of the first day.
        last: The label of the last day.
        start: The first day.
        end: The last day.
        change: Called with both days. The one that was not picked gives way where it would lie on the wrong side.
    """
    keys = [key_in_popover(f"{key}_{place}", day) for place, day in enumerate((start, end))]

    def pick(place: int) -> None:
        picked, other = st.session_state[keys[place]], st.session_state[keys[1 - place]]
        change(*((picked, max(picked, other)) if place == 0 else (min(picked, other), picked)))

    with st.container(horizontal=True):
        for place, label in enumerate((first, last)):
            st.date_input(
                label,
                min_value=EARLIEST,
                max_value=LATEST,
                key=keys[place],
                format="YYYY-MM-DD",
                required=True,
                on_change=pick,
                args=(place,),
                width=150,
            )


def _choice(
    name: str,
    label: str,
    options: Mapping[Any, str],
    chosen: str,
    change: Callable[[Any], None],
    help: str | None = None,
) -> None:
    """One of some options. `change` is called with the one that is picked."""
    key = key_in_popover(name, chosen)
    st.radio(
        label,
        list(options),
        format_func=lambda code: formatting.literal(options[code]),
        key=key,
        on_change=lambda: change(st.session_state[key]),
        help=help and formatting.literal(help),
    )


def _returns(address: ViewAddress, view: View) -> None:
    label = RETURNS[view.returns]
    with st.popover(f"Returns: {label[:1].lower()}{label[1:]}", key="returns_chip"):
        _choice("returns", "Returns count", RETURNS, view.returns, lambda day: address.change(returns=day))
        st.caption(
            "**By date of refund**, as in Shopify's reports: a refund lowers the sales of the day of the refund. "
            "**By date of order**: a refund lowers the sales of the day of the order, so past days can still change."
        )


def _currency(address: ViewAddress, selection: Selection, main_currency: str) -> None:
    orders = selection.orders.in_own_currencies
    options = {code: f"{code or 'None'} · {counted(count, 'order')}" for code, count in data.currencies(orders)}
    help = "Amounts in different currencies are never added."
    if main_currency:
        options[_CONVERTED] = f"All in {main_currency}"
        help = f"“All in {main_currency}” converts amounts at the rate of the day of each sale, refund or cancellation."
    chosen = _CONVERTED if selection.orders.rates else selection.currency

    def change(code: str) -> None:
        address.change(currency="" if code == _CONVERTED else code, convert=code == _CONVERTED)

    label = options[chosen] if chosen == _CONVERTED else chosen or "No currency"
    with st.popover(formatting.literal(label), icon=":material/payments:", key="currency_chip"):
        _choice("currency", "Currency", options, chosen, change, help)


def _range(address: ViewAddress, view: View, name: RangeId) -> None:
    """Draws a range, with an input for each of its ends."""
    about, bounds = RANGES[name], dict(view.ranges).get(name, Bounds())
    label = f"{about.label}: {range_text(name, bounds)}" if name in dict(view.ranges) else about.label
    number: type[int] | type[float] = int if about.whole else float
    values = [None if end is None else number(end) for end in (bounds.low, bounds.high)]
    with st.popover(
        formatting.literal(label), type="primary" if bounds != Bounds() else "secondary", key=f"{name}_chip"
    ):
        keys = [key_in_popover(f"{name}_{end}", value) for end, value in zip(("low", "high"), values, strict=True)]

        def put(place: int) -> None:
            ends = [st.session_state[key] for key in keys]
            low, high = (None if end is None else Decimal(str(end)) for end in ends)
            if low is not None and high is not None and low > high:  # the end that was not changed gives way
                low, high = (low, None) if place == 0 else (None, high)
            address.limit(name, None if low is high is None else Bounds(low, high))

        with st.container(horizontal=True):
            for place, title in enumerate(("At least", "At most")):
                st.number_input(
                    f"{title}{f', {about.unit}s' if about.unit else ''}",
                    min_value=0 if about.whole else None,
                    max_value=MAX_WHOLE if about.whole else MAX_AMOUNT,
                    step=1 if about.whole else 10.0,
                    format="%d" if about.whole else "%.2f",
                    key=keys[place],
                    value=None,
                    placeholder="Any",
                    on_change=put,
                    args=(place,),
                    width=150,
                )
        st.caption(_ABOUT_RANGES[name])


def _values(address: ViewAddress, selection: Selection, dimension: Dimension) -> None:
    orders, name = selection.orders.in_own_currencies, dimension.id
    chosen = selection.view.values(name)
    offered = data.values(orders, name, selection.span, selection.conditions)
    others = data.without(name, selection.conditions)
    titles = data.product_titles(orders, selection.span, others) if name == PRODUCT else {}

    def write(code: str) -> str:
        return titles.get(code) or write_code(orders, name, code)

    texts = [write(code) for code in chosen]
    label = f"{dimension.label}: {', '.join(texts)}" if len(texts) < 3 else f"{dimension.label}: {len(texts)} selected"
    with st.popover(
        formatting.literal(label) if chosen else dimension.label,
        type="primary" if chosen else "secondary",
        key=f"{name}_chip",
    ):
        key = key_in_popover(f"{name}_filter", list(chosen))
        st.multiselect(
            dimension.label,
            list(dict.fromkeys([*offered, *chosen])),
            format_func=write,
            key=key,
            placeholder="All" if offered else "None under the other filters",
            filter_mode="contains",
            select_all=False,
            on_change=lambda: address.filter(name, tuple(st.session_state[key])),
        )
        if name == PRODUCT:
            st.caption("Shows orders that contain one of these products. Figures include the whole order.")
