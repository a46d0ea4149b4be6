"""What the pages read: the newest orders, opened once a generation for all sessions, and their figures, remembered."""

from __future__ import annotations

import streamlit as st

from cache.analytics import Bucket, Dimension, Figures, Group, Orders, Span
from cache.filters import Condition
from cache.lookup import Page
from dashboard.source import source

Conditions = tuple[Condition, ...]


def newest(generation: int) -> Orders:
    """The orders behind the pointer, where it points at `generation`. Raises NoSnapshot, SnapshotDamaged."""
    return _opened(generation, source().settings.shop_timezone)


@st.cache_resource(max_entries=2, show_spinner=False)
def _opened(generation: int, timezone: str) -> Orders:
    return Orders(source().store.open(), timezone)


# A generation never changes, so what was computed of it stays true; `_orders` is not part of the key.


@st.cache_data(max_entries=500, show_spinner=False)
def figures(generation: int, _orders: Orders, span: Span | None, conditions: Conditions) -> Figures:
    return _orders.figures(span, conditions)


@st.cache_data(max_entries=500, show_spinner=False)
def series(generation: int, _orders: Orders, bucket: Bucket, span: Span, conditions: Conditions) -> list[Group]:
    """By time, oldest first, without empty buckets."""
    return _orders.groups((), bucket, span, conditions)


@st.cache_data(max_entries=500, show_spinner=False)
def breakdown(
    generation: int, _orders: Orders, by: Dimension, span: Span | None, conditions: Conditions
) -> list[Group]:
    """By a dimension, the largest first; conditions on that dimension do not count."""
    others = [condition for condition in conditions if condition.column != by]
    groups = _orders.groups((by,), None, span, others)
    return sorted(groups, key=lambda g: (g.figures.total_sales or 0, g.figures.orders), reverse=True)


@st.cache_data(max_entries=50, show_spinner=False)
def page(
    generation: int, _orders: Orders, span: Span | None, conditions: Conditions, search: str, limit: int, offset: int
) -> Page:
    return _orders.page(span, conditions, search, limit, offset)
