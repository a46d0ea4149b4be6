"""Figures for the pages, cached by Streamlit.

A generation never changes. Its cached figures stay valid until the set-up of the table changes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa
import streamlit as st

from cache.access.masking import Mask
from cache.analytics import products, rankings
from cache.analytics.breakdowns import product_life, untaxed_refunds
from cache.analytics.breakdowns.bought_together import bought_together
from cache.analytics.breakdowns.contributions import Change, contributions
from cache.analytics.breakdowns.pivot import Pivot, PivotQuery, pivot
from cache.analytics.breakdowns.product_life import FirstProduct, StoppedProduct
from cache.analytics.customers import lifetime_value, segments
from cache.analytics.customers.lifetime_value import CohortValue
from cache.analytics.customers.segments import ScoreBounds, Scores, SegmentFigures
from cache.analytics.dimensions.catalogue import PRODUCT, Dimension, DimensionId
from cache.analytics.events import Event, EventDay, FigureEvents, Side
from cache.analytics.figures import Figures, Group, Returns
from cache.analytics.marks import Mark
from cache.analytics.metrics import Metric
from cache.analytics.order_list.sorting import NEWEST
from cache.analytics.order_lookup import Page
from cache.analytics.orders import Orders
from cache.analytics.rankings import Cohort, Customer
from cache.analytics.values import or_zero
from cache.calendar.periods import Span, Unit
from cache.check_report import CheckId, FailedCheck
from cache.query.filters import Condition, Sort

Conditions = tuple[Condition, ...]
MAX_REPEATS = 5  # customers with more orders are counted as having this many
MAX_VALUES = 200  # maximum number of values that a filter offers


def _key(orders: Orders) -> str:
    read_by = f"{orders.setup.model_dump_json()} {orders.reading.model_dump_json()}"
    rates = orders.rates.version if orders.rates else ""
    hidden = ",".join((*orders.mask.hidden, "", *orders.mask.pruned))
    return f"{orders.generation} {hidden} {orders.timezone} {orders.cancelled_orders} {rates} {read_by}"


_HASH: dict[str | type[Any], Callable[[Any], Any]] = {Orders: _key}


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def currencies(orders: Orders, span: Span | None = None, conditions: Conditions = ()) -> list[tuple[str, int]]:
    """Returns each currency with its number of orders, the most frequent first."""
    return orders.currencies(span, conditions)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=_HASH)
def count(orders: Orders, span: Span | None, conditions: Conditions, failing: FailedCheck | None = None) -> int:
    """Returns how many orders there are (`Orders.count`)."""
    return orders.count(span, conditions, failing)


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=_HASH)
def are_checked(orders: Orders) -> bool:
    """Returns whether orders can be checked (`Orders.are_checked`)."""
    return orders.are_checked


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=_HASH)
def extent(orders: Orders) -> Span | None:
    """Returns the span from the first to the last order; None if no order has a date."""
    return orders.extent()


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=_HASH)
def values(orders: Orders, name: DimensionId, span: Span | None, conditions: Conditions) -> list[str]:
    """Returns the values that a filter offers under the other ones, the most frequent first."""
    others = without(name, conditions)
    if name == PRODUCT:
        return list(product_titles(orders, span, others))
    if name == "customer":  # too many to choose from; each has a page of orders by a search
        return []
    return orders.values(name, MAX_VALUES, span, others)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def product_titles(orders: Orders, span: Span | None = None, conditions: Conditions = ()) -> dict[str, str]:
    """Returns the products that the filter offers, with their titles."""
    return orders.products(MAX_VALUES, span, conditions)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=_HASH)
def product_title(orders: Orders, product: str) -> str:
    """Returns the title of any product (`Orders.product_title`)."""
    return orders.product_title(product)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def figures(
    orders: Orders, span: Span | None, conditions: Conditions, returns: Returns = "returned", units: bool = False
) -> Figures:
    """Figures of a period (`Orders.figures`)."""
    return orders.figures(span, conditions, returns, units)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def marks(orders: Orders, span: Span | None, conditions: Conditions) -> dict[CheckId, Mark]:
    """The checks that orders of a period fail (`Orders.marks`)."""
    return orders.marks(span, conditions)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def series(
    orders: Orders,
    step: Unit,
    span: Span,
    conditions: Conditions,
    returns: Returns = "returned",
    by: tuple[DimensionId, ...] = (),
    customers: bool = False,
    units: bool = False,
) -> list[Group]:
    """Figures by time, the oldest first, without empty buckets (`Orders.groups`)."""
    return orders.groups(by, step, span, conditions, returns, customers, units)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def groups(
    orders: Orders,
    by: tuple[DimensionId, ...],
    span: Span | None,
    conditions: Conditions,
    returns: Returns = "returned",
    customers: bool = False,
    units: bool = False,
) -> list[Group]:
    """Figures by dimensions, the highest total sales first (`Orders.groups`)."""
    unsorted = orders.groups(by, None, span, conditions, returns, customers, units)
    return sorted(unsorted, key=lambda g: (or_zero(g.figures.total_sales), g.figures.orders), reverse=True)


@st.cache_data(max_entries=200, show_spinner=False, hash_funcs=_HASH)
def pivot_table(
    orders: Orders,
    query: PivotQuery,
    span: Span | None,
    conditions: Conditions,
    returns: Returns,
    compared_span: Span | None,
) -> Pivot:
    """A pivot table (`pivot.pivot`)."""
    return pivot(orders, query, span, conditions, returns, compared_span)


@st.cache_data(max_entries=100, show_spinner=False, hash_funcs=_HASH)
def change_of(
    orders: Orders, metric: Metric, by: DimensionId, spans: tuple[Span, Span], conditions: Conditions, returns: Returns
) -> Change:
    """What the change of a figure consists of (`contributions.contributions`)."""
    return contributions(orders, metric, by, spans, conditions, returns)


@st.cache_data(max_entries=4, show_spinner=False, hash_funcs=_HASH)
def row_dimensions(orders: Orders) -> list[Dimension]:
    """The columns, and the values inside JSON, that orders can be grouped by (`Orders.row_dimensions`)."""
    return orders.row_dimensions()


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def customer_names(orders: Orders, customers: tuple[str, ...]) -> dict[str, str]:
    """The names, or else the e-mails, of customers, by the values of the dimension (`Orders.customer_names`)."""
    return orders.customer_names(customers)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def event_days(
    orders: Orders, metric: str, span: Span | None, conditions: Conditions, returns: Returns
) -> list[EventDay]:
    """Returns the days that have events of a figure (`FigureEvents.days`)."""
    return FigureEvents(orders, metric, span, conditions, returns).days


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def event_page(
    orders: Orders,
    metric: str,
    span: Span | None,
    conditions: Conditions,
    returns: Returns,
    side: Side,
    limit: int,
    offset: int,
) -> list[Event]:
    """Returns a page of the events of a figure (`FigureEvents.page`)."""
    days = event_days(orders, metric, span, conditions, returns)
    return FigureEvents(orders, metric, span, conditions, returns, days).page(limit, offset, side)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def order_numbers(orders: Orders, keys: tuple[object, ...], mask: Mask) -> dict[object, str]:
    """Returns numbers of orders by key (`OrderLookup.numbers`)."""
    return orders.lookup.numbers(keys, mask)


def breakdown(
    orders: Orders, by: DimensionId, span: Span | None, conditions: Conditions, returns: Returns = "returned"
) -> list[Group]:
    """Returns figures by one dimension, the highest total sales first. A filter by this dimension is not applied."""
    return groups(orders, (by,), span, without(by, conditions), returns)


def without(name: DimensionId, conditions: Conditions) -> Conditions:
    """Returns the conditions but those of a filter."""
    return tuple(condition for condition in conditions if condition.column != name)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def page(
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    search: str,
    limit: int,
    offset: int,
    mask: Mask,
    failing: FailedCheck | None = None,
    sort: Sort = NEWEST,
    roles: tuple[str, ...] | None = None,
) -> Page:
    """A page of orders (`Orders.page`)."""
    return orders.page(span, conditions, search, limit, offset, mask, failing, sort, roles)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def numbers_by_text(orders: Orders, keys: tuple[str, ...], mask: Mask) -> dict[str, str]:
    """Returns the numbers of orders by the texts of their keys (`OrderLookup.numbers_by_text`)."""
    return orders.lookup.numbers_by_text(keys, mask)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def sold_products(
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    compared_span: Span | None = None,
    count_orders: bool = True,
    returns: Returns = "returned",
) -> pa.Table:
    """Returns all products with sales (`products.sold_products`). A filter by product is not applied."""
    return products.sold_products(orders, span, without(PRODUCT, conditions), compared_span, count_orders, returns)


@st.cache_data(max_entries=10, show_spinner=False, hash_funcs=_HASH)
def product_pairs(
    orders: Orders, span: Span | None, conditions: Conditions, chosen: tuple[str, ...], least: int
) -> pa.Table:
    """Returns the products that are bought together (`bought_together.bought_together`)."""
    return bought_together(orders, span, without(PRODUCT, conditions), chosen, least)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def first_products(orders: Orders, span: Span | None, conditions: Conditions) -> list[FirstProduct]:
    """Returns the products that new customers buy first (`product_life.first_products`)."""
    return product_life.first_products(orders, span, without(PRODUCT, conditions))


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def stopped_products(orders: Orders, span: Span, before: Span, conditions: Conditions) -> list[StoppedProduct]:
    """Returns the products that do not sell any more (`product_life.stopped_products`)."""
    return product_life.stopped_products(orders, span, before, without(PRODUCT, conditions))


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def customers(
    orders: Orders, span: Span | None, conditions: Conditions, mask: Mask, limit: int = 200
) -> list[Customer]:
    """Returns the customers who spent the most (`rankings.customers`)."""
    return rankings.customers(orders, span, conditions, limit, mask)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def cohorts(orders: Orders, current: datetime, conditions: Conditions) -> list[Cohort]:
    """Retention by cohort (`rankings.cohorts`)."""
    return rankings.cohorts(orders, current, conditions)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def count_untaxed_refunds(orders: Orders, span: Span | None, conditions: Conditions, returns: Returns) -> int:
    """How many refunds name no tax (`untaxed_refunds.count_untaxed_refunds`)."""
    return untaxed_refunds.count_untaxed_refunds(orders, span, conditions, returns)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def lifetime_values(
    orders: Orders, metric: Metric, known_until: datetime, conditions: Conditions, returns: Returns
) -> list[CohortValue]:
    """Lifetime value by cohort (`lifetime_value.lifetime_values`)."""
    return lifetime_value.lifetime_values(orders, metric, known_until, conditions, returns)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def segment_figures(orders: Orders, until: datetime | None, conditions: Conditions) -> list[SegmentFigures]:
    """Segments of customers (`segments.segment_figures`)."""
    return segments.segment_figures(orders, until, conditions)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def customers_of(
    orders: Orders, segment: str, until: datetime | None, conditions: Conditions, mask: Mask, limit: int
) -> list[Customer]:
    """The customers of a segment (`segments.customers_of`)."""
    return segments.customers_of(orders, segment, until, conditions, limit, mask)


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def score_bounds(orders: Orders, until: datetime | None, conditions: Conditions) -> ScoreBounds:
    """What the RFM scores of all customers begin at (`segments.score_bounds`)."""
    return segments.score_bounds(orders, until, conditions)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def scores_of(orders: Orders, customer: str, conditions: Conditions) -> Scores | None:
    """The RFM scores of a customer (`segments.scores_of`)."""
    return segments.scores_of(orders, customer, None, conditions, score_bounds(orders, None, conditions))


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def repeats(orders: Orders, span: Span | None, conditions: Conditions) -> dict[int, int]:
    """Returns a map from a number of orders in the period to the number of customers who have it."""
    return rankings.repeats(orders, span, conditions, MAX_REPEATS)
