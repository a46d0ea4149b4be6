"""The overview: figures against the compared period, sales over time, and what makes them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import NoReturn, cast

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.analytics.dimensions.catalogue import DIMENSIONS, PRODUCT
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.products import Product, product_page
from cache.analytics.values import Absent, Value
from cache.calendar.periods import Span, Unit
from cache.calendar.steps import STEPS, Bucket, buckets, default_step, sparkline_step, step_choices
from cache.errors import CacheError
from cache.table_setup import NO_SETUP
from dashboard import data, frame
from dashboard.address import parameter, set_parameter
from dashboard.components import charts, open_questions
from dashboard.components.blocks import MAX_SLICES, breakdown, card, summary
from dashboard.components.cards import Sparkline, cards
from dashboard.components.marks import draw_marks, mark_links, open_mark
from dashboard.components.no_orders import nothing_found
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.pages.explanation import EXPLAIN, explain, explanation
from dashboard.pages.saved_view import pinned
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text import readings as reading_text
from dashboard.text.dimensions import write_code
from dashboard.text.metrics import LARGE, change, write
from dashboard.text.periods import bucket_text, date_range

_MAIN = ("total_sales", "orders", "average_order_value", "returning_customer_rate")
_FURTHER = ("net_sales", "refund_rate", "units", "time_to_fulfil")
_CHARTED = ("total_sales", "net_sales", "orders", "average_order_value")
_ESSENTIAL = ("dates", "total sales", "gross sales", "currency")  # without them the settings are pointed to
_BREAKDOWNS = ("status", "fulfilment", "channel", "country", "discount")
MAX_PRODUCTS = 6
MAX_POINTS = 40  # of a chart, which its table shows at first
CARD_ROWS = 3  # that the title, the header and the edges of a breakdown are as high as
METRIC, STEP = "metric", "step"  # parameters of the address, as on Explore
MAX_SLOW_SPARKLINE = timedelta(days=92)  # over longer periods, counting customers and units by step is slow


def overview(session: Session) -> None:
    """Draws the page, or what one of its figures is made of."""
    if explained := METRICS.get(parameter(EXPLAIN)):
        explanation(session, explained)
        return
    selection = frame.page(session, "Orders overview")
    if selection is None:
        return
    _point_to_settings(session, selection)
    questions = _questions(session, selection)
    found = selection.figures().found
    if not found:
        nothing_found(session, selection)
    _cards(session, "Main figures", _MAIN, selection)
    _cards(session, "Further figures", _FURTHER, selection)
    pinned(session, selection)
    if found and selection.span:
        _over_time(session, selection, selection.span)
    if found:
        _breakdowns(session, selection)
    frame.foot(selection)
    if questions:  # at last, since it reads the table once for each answer
        _answers(session, selection, questions)


def _point_to_settings(session: Session, selection: Selection) -> None:
    """Draws a link to the settings, where an essential column was not recognised and nobody decided anything yet."""
    lacking = selection.orders.missing.keys() & set(_ESSENTIAL)
    if lacking and selection.orders.setup == NO_SETUP and session.visitor.may("change_settings"):
        with st.container(border=True, horizontal=True, vertical_alignment="center", key="point_to_set_up"):
            st.markdown("**Some columns were not recognised.** Set what they mean to see more figures.")
            session.navigator.link("set-up", "Open Settings")


def _questions(session: Session, selection: Selection) -> DeltaGenerator | None:
    """Draws what the reading of the table leaves open, for those who can answer it.

    Returns:
        The place of the text, which `_answers` replaces; None where nothing is drawn.
    """
    sentences = reading_text.questions(selection.orders.reading)
    if not sentences or not session.visitor.may("change_settings"):
        return None
    with st.container(border=True, key="open_questions"):
        place = st.empty()
        place.markdown(f"**Figures are not confirmed.** {' '.join(sentences)}")
        session.navigator.link("set-up", "Answer in Settings")
    return place


def _answers(session: Session, selection: Selection, place: DeltaGenerator) -> None:
    """Adds to the open questions what each answer gives."""
    with suppress(CacheError):  # the questions stay as they are
        place.markdown(open_questions.summary(session, selection.orders))


def _cards(session: Session, label: str, names: tuple[str, ...], selection: Selection) -> None:
    """Draws a row of figures."""
    metrics = [METRICS[name] for name in names if METRICS[name].available(selection.orders.missing)]
    if not metrics:
        return
    units = any(metric.units for metric in metrics)
    now, compared = selection.figures(units), selection.compared_figures(units)
    shown = [
        card(
            metric,
            now,
            compared,
            selection.currency,
            selection.returns,
            _sparkline(selection, metrics, metric),
            mark_links(selection, metric.id),
        )
        for metric in metrics
    ]
    cards(label, shown, key=label, on_pick=explain, on_mark=partial(open_mark, session))


def _sparkline(selection: Selection, metrics: Sequence[Metric], metric: Metric) -> Sparkline | None:
    """The small line of one of the metrics in a row.

    Slow metrics of a row are counted together, so that they share one query.
    """
    span = selection.span
    slow = metric.customers or metric.units
    if span is None or (slow and span.end - span.start > MAX_SLOW_SPARKLINE):
        return None
    customers = slow and any(each.customers for each in metrics)
    units = slow and any(each.units for each in metrics)
    step = sparkline_step(span)
    series = _series(selection, step, span, customers, units)
    numbers = series.numbers(metric)
    if not any(numbers):
        return None
    then = selection.compared_span and _series(selection, step, selection.compared_span, customers, units)
    return Sparkline(
        *charts.split(series.buckets, numbers), [float(number) for number in then.numbers(metric)] if then else ()
    )


@st.fragment
def _over_time(session: Session, selection: Selection, span: Span) -> None:
    metrics = {name: METRICS[name] for name in _CHARTED if METRICS[name].available(selection.orders.missing)}
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="chart_head"):
            st.header("Over time", anchor=False, width="stretch")
            name = _choice("Figure", METRIC, list(metrics), next(iter(metrics)), lambda name: metrics[name].label)
            steps = step_choices(span, selection.calendar)
            chosen = _choice("By", STEP, steps, default_step(span), lambda name: STEPS[cast(Unit, name)].label)
        metric, step = metrics[name], cast(Unit, chosen)
        draw_marks(session, selection, metric.id)
        axis = charts.TimeAxis.of(step, span, selection.calendar)
        series = _series(selection, step, span)
        then = _series(selection, step, selection.compared_span) if selection.compared_span else None
        days = [date_range(each) for each in (span, selection.compared_span) if each]
        rows, spec = charts.over_time(axis, series.groups, then, metric, selection.currency, days)
        clicked = st.vega_lite_chart(
            rows,
            spec,
            width="stretch",
            alt=f"{metric.label} over time, {', compared with '.join(days)}.",
            key=f"over_time {metric.id} {step}",
            on_select="rerun",
            selection_mode=charts.PICKED,
        )
        if picked := clicked.selection.get(charts.PICKED):
            _open_orders(session, step, _bucket(axis, picked[0]["from"]))
        shown = st.expander("As a table", key="chart_data", on_change="rerun")
        if shown.open:
            with shown:
                picked_row = _chart_table(selection, axis, metric, series, then)
            if picked_row:
                _open_orders(session, step, _bucket(axis, picked_row))


def _chart_table(
    selection: Selection, axis: charts.TimeAxis, metric: Metric, series: charts.Series, then: charts.Series | None
) -> str | None:
    """Draws the points of the chart as a table, which the keyboard reaches.

    Returns:
        The begin of the bucket that the visitor picked in the run before, else None.
    """
    currency, compared = selection.currency, selection.compared_figures()
    numbers, before = series.numbers(metric), then.numbers(metric) if then else []
    columns = [Column(STEPS[axis.step].label), Column(metric.label, number=True)]
    if compared:
        columns += [Column("Compared with", wide=True), Column("Then", number=True), Column("Change", number=True)]
    lines = []
    for i, (bucket, number) in enumerate(zip(axis.buckets, numbers, strict=True)):
        cells: list[str | Cell] = [bucket_text(axis.step, bucket), _number(metric, number, currency)]
        if compared and then:
            old = before[i] if i < len(before) else Absent.NOT_REQUESTED
            day = bucket_text(axis.step, then.buckets[i]) if i < len(before) else "–"
            text = change(number, old, metric.unit == "rate")[0] or "–"
            cells += [day, _number(metric, old, currency), text]
        lines.append(Line(cells, id=bucket.start.isoformat()))
    now = metric.value(selection.figures())
    total: list[str | Cell] = ["Whole period", _number(metric, now, currency)]
    if compared:
        old = metric.value(compared)
        total += ["", _number(metric, old, currency), change(now, old, metric.unit == "rate")[0] or "–"]
    lines.append(Line(total, look="strong"))
    return table(
        "Over time", columns, lines, key="chart_points", on_pick=lambda _: None, shown=MAX_POINTS, exported=True
    )


def _number(metric: Metric, value: Value, currency: str) -> Cell:
    exact = None if isinstance(value, Absent) else Decimal(value)
    return Cell(write(metric, value, currency, whole=False), value=exact)


def _bucket(axis: charts.TimeAxis, start: str) -> Bucket:
    """The bucket that begins at an instant in ISO 8601."""
    at = datetime.fromisoformat(start)
    return next(bucket for bucket in axis.buckets if bucket.start == at)


def _series(
    selection: Selection, step: Unit, span: Span, customers: bool = False, units: bool = False
) -> charts.Series:
    """Figures of the selected orders by time."""
    arguments = selection.conditions, selection.returns
    groups = data.series(selection.orders, step, span, *arguments, (), customers, units)
    return charts.Series(buckets(step, span, selection.calendar), groups)


def _choice(label: str, name: str, options: Sequence[str], usual: str, write: Callable[[str], str]) -> str:
    """Draws a choice of one option. It is in the address, unless it is the usual one."""

    def put() -> None:
        set_parameter(name, "" if st.session_state[name] == usual else st.session_state[name])

    requested = parameter(name, usual)
    set_value(name, requested if requested in options else usual)
    st.segmented_control(
        label,
        options,
        required=True,
        key=name,
        label_visibility="collapsed",
        format_func=write,
        wrap=True,
        on_change=put,
    )
    return str(st.session_state[name])


def _open_orders(session: Session, step: Unit, bucket: Bucket) -> NoReturn:
    """Opens the orders behind a point of the chart: those of its hour or of its days, as far as the period has them."""
    first, last = bucket.counted.start, bucket.counted.end - datetime.resolution
    hour = {"hour": str(first.hour)} if step == "hour" else {}
    days = {"from": first.date().isoformat(), "to": last.date().isoformat()}
    session.navigator.go("orders", **{"period": "custom", **days, **hour})


def _breakdowns(session: Session, selection: Selection) -> None:
    """Draws each breakdown in the column that is shorter so far, so that none has an empty half beside a long one."""
    orders = selection.orders
    with st.container(key="breakdowns"):
        columns = st.columns(2)
    heights = [0, 0]

    def place(rows: int) -> DeltaGenerator:
        column = heights.index(min(heights))
        heights[column] += min(rows, MAX_SLICES + 2) + CARD_ROWS
        return columns[column]

    with place(MAX_SLICES + 2):
        summary(session, selection, explain)
    added_up = "Orders" if "total sales" in orders.missing else "Total sales"
    for name in filter(orders.offers, _BREAKDOWNS):
        slices = data.breakdown(orders, name, selection.span, selection.conditions, selection.returns)
        with place(len(slices) + 1):
            breakdown(
                session,
                replace(selection, conditions=data.without(name, selection.conditions)),
                f"{added_up} by {DIMENSIONS[name].noun}",
                slices,
                partial(write_code, orders, name),
                selection.view.values(name),
                partial(session.address.toggle, name),
            )
    if orders.offers(PRODUCT):
        with place(MAX_PRODUCTS):
            _products(session, selection)


def _products(session: Session, selection: Selection) -> None:
    sold = data.sold_products(selection.orders, selection.span, selection.conditions, count_orders=False)
    ranked = product_page(selection.orders, sold, limit=MAX_PRODUCTS)
    with st.container(border=True):
        help = "Price × quantity of line items, before discounts and returns. Select a product to filter by it."
        st.header("Gross sales by product", anchor=False, help=help)
        all_products = data.without(PRODUCT, selection.conditions)
        draw_marks(session, replace(selection, compared_span=None, conditions=all_products), "gross_sales", "units")
        if not ranked.products:
            st.caption("No products in this period.")
            return
        highest = ranked.highest or Decimal(1)
        lines = [_product(selection, product, float(product.sales / highest)) for product in ranked.products]
        total = Cell(formatting.money(ranked.sales, selection.currency, ranked.sales >= LARGE), value=ranked.sales)
        lines.append(Line(["All products", f"{ranked.units:,}", total], look="strong"))
        columns = [Column("Product"), Column("Units", number=True), Column("Gross sales", number=True)]
        on_pick = partial(session.address.toggle, PRODUCT)
        table("Gross sales by product", columns, lines, key="products", on_pick=on_pick, exported=True)


def _product(selection: Selection, product: Product, share: float) -> Line:
    cells: list[str | Cell] = [
        Cell(product.title or product.sku or "Unnamed", share=share),
        f"{product.units:,}",
        Cell(formatting.money(product.sales, selection.currency, product.sales >= LARGE), value=product.sales),
    ]
    return Line(cells, product.key or None, product.key in selection.view.product if product.key else None)
