"""The overview: figures against the compared period, sales over time, and what makes them up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from cache.analytics.dimensions.catalogue import DIMENSIONS, PRODUCT
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.products import Product, product_page
from cache.calendar.steps import sparkline_step
from cache.errors import CacheError
from cache.table_setup import NO_SETUP
from dashboard import data, frame
from dashboard.address import parameter
from dashboard.components import charts, open_questions
from dashboard.components.blocks import MAX_SLICES, breakdown, card, summary
from dashboard.components.cards import Sparkline, cards
from dashboard.components.marks import draw_marks, mark_links, open_mark
from dashboard.components.no_orders import nothing_found
from dashboard.components.table import Cell, Column, Line, table
from dashboard.pages.explanation import EXPLAIN, explain, explanation
from dashboard.pages.overview.over_time import over_time, series_of
from dashboard.pages.saved_view import pinned
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text import readings as reading_text
from dashboard.text.dimensions import write_code
from dashboard.text.metrics import LARGE

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
        over_time(session, selection, selection.span)
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
    series = series_of(selection, step, span, customers, units)
    numbers = series.numbers(metric)
    if not any(numbers):
        return None
    then = selection.compared_span and series_of(selection, step, selection.compared_span, customers, units)
    return Sparkline(
        *charts.split(series.buckets, numbers), [float(number) for number in then.numbers(metric)] if then else ()
    )


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
