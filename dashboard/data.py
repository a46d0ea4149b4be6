"""What the pages read: the newest orders, opened once for all sessions, and their figures, remembered."""

from __future__ import annotations

import weakref
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
from cache.storage.documents import SETUP
from cache.storage.snapshot import Snapshot
from cache.table_setup import Setup
from dashboard.auth.source import source

Conditions = tuple[Condition, ...]
MOST_REPEATS = 5  # orders of a customer, told apart
SAMPLE_ROWS = 20_000
MOST_VALUES = 200  # offered to filter by


def newest(generation: int) -> Orders:
    """The orders behind the pointer, where it points at `generation`, as the set-up reads them.

    Raises NoSnapshot, SnapshotDamaged.
    """
    setup = source().cache.documents.read(SETUP)
    return _opened(generation, source().settings.shop_timezone, setup.model_dump_json(), setup)


_last: list[weakref.ref[Orders]] = []


@st.cache_resource(max_entries=1, show_spinner=False)
def _opened(generation: int, timezone: str, key: str, _setup: Setup) -> Orders:
    """Goes on from the orders before, which are freed when the last page that shows them has ended."""
    before = _last[0]() if _last else None
    orders = Orders(source().cache.snapshots.open(), timezone, _setup, before)
    weakref.finalize(orders, orders.facts.close).atexit = False
    _last[:] = [weakref.ref(orders)]
    return orders


class Sample(Orders):
    """The newest rows of the table, as a set-up that is not kept yet reads them."""

    sampled = 0


def sampled(generation: int, setup: Setup) -> Sample:
    """Raises UnknownGeneration."""
    return _sampled(generation, source().settings.shop_timezone, setup.model_dump_json(), setup)


@st.cache_resource(max_entries=4, show_spinner=False)
def _sampled(generation: int, timezone: str, key: str, _setup: Setup) -> Sample:
    cache = source().cache
    snapshot = cache.snapshots.inspect(generation)
    segments = snapshot.manifest.segments
    first = len(segments)
    while first and sum(segment.rows for segment in segments[first:]) < SAMPLE_ROWS:
        first -= 1
    if first:
        manifest = snapshot.manifest.model_copy(update={"segments": segments[first:]})
        snapshot = Snapshot(manifest, snapshot.head, cache.snapshots.segment_folder(segments[first]).parent)
    orders = Sample(snapshot, timezone, _setup)
    orders.sampled = snapshot.rows
    return orders


def _key(orders: Orders) -> str:
    """A generation never changes, so what was computed of it stays true for as long as the set-up does."""
    return f"{orders.generation} {orders.timezone} {orders.setup.model_dump_json()}"


_OF_ORDERS: dict[str | type[Any], Callable[[Any], Any]] = {Orders: _key}


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_OF_ORDERS)
def currencies(orders: Orders) -> list[tuple[str, int]]:
    """Every currency with its number of orders, the one with the most first."""
    return orders.currencies()


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_OF_ORDERS)
def extent(orders: Orders) -> Span | None:
    return orders.extent()


@st.cache_data(max_entries=20, show_spinner=False, hash_funcs=_OF_ORDERS)
def values(orders: Orders, name: FilterId) -> list[str]:
    """What is offered to filter by: the most frequent values."""
    return list(titles(orders)) if name == PRODUCT else orders.values(name)[:MOST_VALUES]


@st.cache_data(max_entries=2, show_spinner=False, hash_funcs=_OF_ORDERS)
def titles(orders: Orders) -> dict[str, str]:
    """The titles of the products that are offered to filter by."""
    return orders.products(MOST_VALUES)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_OF_ORDERS)
def figures(
    orders: Orders, span: Span | None, conditions: Conditions, returns: Returns = "returned", units: bool = False
) -> Figures:
    return orders.figures(span, conditions, returns, units)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_OF_ORDERS)
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
    """By time, oldest first, without empty buckets."""
    return orders.groups(by, bucket, span, conditions, returns, customers, units)


@st.cache_data(max_entries=500, show_spinner=False, hash_funcs=_OF_ORDERS)
def groups(
    orders: Orders,
    by: tuple[DimensionId, ...],
    span: Span | None,
    conditions: Conditions,
    returns: Returns = "returned",
    customers: bool = False,
    units: bool = False,
) -> list[Group]:
    """By dimensions, the largest first."""
    found = orders.groups(by, None, span, conditions, returns, customers, units)
    return sorted(found, key=lambda g: (or_zero(g.figures.total_sales), g.figures.orders), reverse=True)


def breakdown(
    orders: Orders, by: DimensionId, span: Span | None, conditions: Conditions, returns: Returns = "returned"
) -> list[Group]:
    """By a dimension, the largest first; conditions on that dimension do not count."""
    return groups(orders, (by,), span, _without(by, conditions), returns)


def _without(name: FilterId, conditions: Conditions) -> Conditions:
    return tuple(each for each in conditions if each.column != name)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_OF_ORDERS)
def page(
    orders: Orders,
    span: Span | None,
    conditions: Conditions,
    search: str,
    limit: int,
    offset: int,
    masked: frozenset[str],
) -> Page:
    return orders.page(span, conditions, search, limit, offset, masked)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_OF_ORDERS)
def products(orders: Orders, span: Span | None, conditions: Conditions, limit: int = 200) -> list[Product]:
    """What sold most; conditions on products do not count."""
    return rankings.products(orders, span, _without(PRODUCT, conditions), limit)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_OF_ORDERS)
def customers(
    orders: Orders, span: Span | None, conditions: Conditions, masked: frozenset[str], limit: int = 200
) -> list[Customer]:
    return rankings.customers(orders, span, conditions, limit, masked)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_OF_ORDERS)
def cohorts(orders: Orders, conditions: Conditions) -> list[Cohort]:
    return rankings.cohorts(orders, conditions)


@st.cache_data(max_entries=50, show_spinner=False, hash_funcs=_OF_ORDERS)
def repeats(orders: Orders, span: Span | None, conditions: Conditions) -> dict[int, int]:
    return rankings.repeats(orders, span, conditions, MOST_REPEATS)
