"""Figures that pages show, remembered by Streamlit's cache.

A generation never changes, so what was computed from it stays valid as long as the settings of the table do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cache.analytics import rankings
from cache.analytics.dimensions import PRODUCT, DimensionId, FilterId
from cache.analytics.figures import Figures, Group, Returns
from cache.analytics.order_lookup import Page
from cache.analytics.orders import Orders
from cache.analytics.periods import Bucket, Span
from cache.analytics.rankings import Cohort, Customer, Product
from cache.analytics.values import or_zero
from cache.query.filters import Condition

Conditions = tuple[Condition, ...]
MAX_REPEATS = 5  # this number of orders of a customer stands for more too
MAX_VALUES = 200  # of a filter


def _key(orders: Orders) -> str:
    return f"{orders.generation} {orders.timezone} {orders.setup.model_dump_json()}"


_HASH: dict[str | type[Any], Callable[[Any], Any]] = {Orders: _key}


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_HASH)
def currencies(orders: Orders) -> list[tuple[str, int]]:
    """Each currency with its number of orders, the most frequent first."""
    return orders.currencies()


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_HASH)
def extent(orders: Orders) -> Span | None:
    """The first and the last order; None where no order has a date."""
    return orders.extent()


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_HASH)
def values(orders: Orders, name: FilterId) -> list[str]:
    """The values that a filter offers: the most frequent ones."""
    return list(product_titles(orders)) if name == PRODUCT else orders.values(name)[:MAX_VALUES]


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_HASH)
def product_titles(orders: Orders) -> dict[str, str]:
    """The products that the filter offers, with their titles."""
    return orders.products(MAX_VALUES)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def figures(
    orders: Orders, span: Span | None, conditions: Conditions, returns: Returns = "returned", units: bool = False
) -> Figures:
    """Figures of a period (`Orders.figures`)."""
    return orders.figures(span, conditions, returns, units)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_HASH)
def series(
    orders: Orders,
    bucket: Bucket,
    span: Span,
    conditions: Conditions,
    returns: Returns = "returned",
    by: tuple[DimensionId, ...] = (),
    customers: bool = False,
    units: bool = False,
) -> list[Group]:
    """Figures by time, the oldest first, without empty buckets (`Orders.groups`)."""
    return orders.groups(by, bucket, span, conditions, returns, customers, units)


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


def breakdown(
    orders: Orders, by: DimensionId, span: Span | None, conditions: Conditions, returns: Returns = "returned"
) -> list[Group]:
    """Figures by one dimension, the highest total sales first. The filter by that dimension is not applied."""
    return groups(orders, (by,), span, _without(by, conditions), returns)


def _without(name: FilterId, conditions: Conditions) -> Conditions:
    return tuple(condition for condition in conditions if condition.column != name)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def page(
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    search: str,
    limit: int,
    offset: int,
    masked: frozenset[str],
) -> Page:
    """A page of orders (`Orders.page`)."""
    return orders.page(span, conditions, search, limit, offset, masked)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def products(orders: Orders, span: Span | None, conditions: Conditions, limit: int = 200) -> list[Product]:
    """The products with the highest sales. The filter by products is not applied."""
    return rankings.products(orders, span, _without(PRODUCT, conditions), limit)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def customers(
    orders: Orders, span: Span | None, conditions: Conditions, masked: frozenset[str], limit: int = 200
) -> list[Customer]:
    """The customers who spent most (`rankings.customers`)."""
    return rankings.customers(orders, span, conditions, limit, masked)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def cohorts(orders: Orders, conditions: Conditions) -> list[Cohort]:
    """Retention by cohort (`rankings.cohorts`)."""
    return rankings.cohorts(orders, conditions)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_HASH)
def repeats(orders: Orders, span: Span | None, conditions: Conditions) -> dict[int, int]:
    """Number of orders in the period -> number of customers."""
    return rankings.repeats(orders, span, conditions, MAX_REPEATS)
