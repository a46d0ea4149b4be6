"""What a figure of the overview is made of: the events that sum to it, and their orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import streamlit as st

from cache.access.masking import Mask
from cache.analytics.dimensions.catalogue import REFUNDED
from cache.analytics.events import Event, FigureEvents, Side
from cache.analytics.figure_table import reason
from cache.analytics.metrics import Metric
from dashboard import code_samples, data, frame
from dashboard.address import change_parameters, parameter, set_parameter
from dashboard.components import order_cells
from dashboard.components.listing import PAGE, existing_page, page_choice, page_number
from dashboard.components.marks import draw_marks
from dashboard.components.order_drawer import ORDER, order_in_address
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import message, says_why_it_fails
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import events as event_text
from dashboard.text import formatting
from dashboard.text.formatting import place
from dashboard.text.metrics import write
from dashboard.text.periods import date_range

EXPLAIN, SIDE = "explain", "side"  # parameters of the address
ROWS = 50  # of a page
_ORDERS_OF: Mapping[str, dict[str, str]] = {"refund_rate": {REFUNDED: "yes"}}  # metric -> filter of its orders


def explain(metric: str) -> None:
    """Puts a figure into the address, so that the overview shows what it is made of; "" for none."""
    change_parameters({EXPLAIN: metric, SIDE: "", PAGE: "", ORDER: ""})


def explanation(session: Session, metric: Metric) -> None:
    """Draws the page.

    Args:
        session: The session.
        metric: The figure.
    """
    st.set_page_config(f"{metric.label} · {session.shop.title}")
    selection = frame.page(session, metric.label)
    if selection is None:
        return
    st.button("Overview", key="back", icon=":material/arrow_back:", type="tertiary", on_click=explain, args=("",))
    if why := reason(metric.needs, selection.orders.missing):
        message("note", why)
    else:
        _figure(session, selection, metric)
    frame.foot(selection)


@st.fragment
@says_why_it_fails
def _figure(session: Session, selection: Selection, metric: Metric) -> None:
    """Draws the figure and a page of its events."""
    about = selection.orders, metric.id, selection.span, selection.conditions, selection.returns
    figure = FigureEvents(*about, data.event_days(*about))
    mask = session.visitor.mask(selection.orders)
    with st.container(border=True, key="explanation"):
        st.header(_equation(figure, metric, selection.currency), anchor=False)
        days = date_range(selection.span) if selection.span else ""
        texts = (days, metric.note(selection.figures(metric.units)), metric.description(selection.returns))
        st.caption(formatting.plain(" · ".join(filter(None, texts))))
        draw_marks(session, selection, metric.id)
        side = _side(figure) if figure.divisor is not None else "amount"
        count = figure.count(side)
        number = existing_page(page_number(), count, ROWS)
        events = data.event_page(*about, side, ROWS, (number - 1) * ROWS)
        st.caption(_count(number, len(events), count))
        _table(selection, metric, events, mask)
        page_choice(number, -(-count // ROWS), "events")
        _links(session, selection, metric)
    order_in_address(selection.orders, mask)


def _equation(figure: FigureEvents, metric: Metric, currency: str) -> str:
    """The figure, and how it is computed from the two sums of a quotient."""
    total = write(metric, figure.total, currency, whole=False)
    if figure.divisor is None:
        return formatting.literal(total)
    amount, divisor = event_text.amount(metric, figure.amount, currency), event_text.divisor(figure.composition)
    return formatting.literal(f"{total} = {amount} ÷ {figure.divisor:,} {divisor.lower()}")


def _side(figure: FigureEvents) -> Side:
    """Draws the choice between what is divided and what it is divided by. It is in the address."""
    labels: dict[Side, str] = {
        "amount": event_text.parts(figure.composition),
        "divisor": event_text.divisor(figure.composition),
    }

    def put() -> None:
        change_parameters({SIDE: "" if st.session_state[SIDE] == "amount" else st.session_state[SIDE], PAGE: ""})

    set_value(SIDE, "divisor" if parameter(SIDE) == "divisor" else "amount")
    st.segmented_control(
        "Part",
        list(labels),
        required=True,
        key=SIDE,
        label_visibility="collapsed",
        format_func=lambda side: labels[side],
        wrap=True,
        on_change=put,
    )
    side: Side = st.session_state[SIDE]
    return side


def _count(number: int, shown: int, count: int) -> str:
    return f"{place(number, ROWS, shown, count, 'event')}, in order of time" if count else "Nothing in this view."


def _table(selection: Selection, metric: Metric, events: Sequence[Event], mask: Mask) -> None:
    if not events:
        return
    numbers = data.order_numbers(selection.orders, tuple(event.key for event in events), mask)
    text = partial(selection.orders.lookup.key_text, mask=mask)
    lines = [
        Line(
            [
                Cell(numbers.get(event.key) or text(event.key), more=_moment(event)),
                _moment(event),
                event_text.what(event),
                event_text.amount(metric, event.amount, selection.currency)
                if event.amount is not None
                else f"{event.divisor:,}",
            ],
            id=text(event.key),
        )
        for event in events
    ]
    columns = [Column("Order"), Column("Time", wide=True), Column("Event"), Column("Amount", number=True)]
    table("Events", columns, lines, key="events", on_pick=lambda key: set_parameter(ORDER, key))


def _moment(event: Event) -> str:
    return formatting.moment(event.local) if event.local else order_cells.NOTHING


def _links(session: Session, selection: Selection, metric: Metric) -> None:
    """Draws links to the orders of the view, and to the same request of the API."""
    with st.container(horizontal=True, vertical_alignment="center", key="explanation_links"):
        session.navigator.link("orders", "Orders of this view", **_ORDERS_OF.get(metric.id, {}))
        if selection.compared_span and metric.is_sum:
            session.navigator.link("what-changed", "What changed", metric=metric.id)
        query = code_samples.events_query(selection, metric.id)
        if query is not None:
            st.markdown(f"[The same list from the API]({session.api_address}/figures/events?{query}), with a key.")
