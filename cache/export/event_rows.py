"""The events of a figure as rows of columns, so that they are written in the same formats as rows of the table."""

from __future__ import annotations

from collections.abc import Sequence

from cache.access.masking import Mask
from cache.analytics.events import Event
from cache.analytics.metrics import Metric
from cache.analytics.orders import Orders
from cache.export.figure_rows import FigureColumns, rounded


def event_columns(orders: Orders, metric: Metric, events: Sequence[Event], divided: bool, mask: Mask) -> FigureColumns:
    """Turns events into columns.

    Args:
        orders: The orders.
        metric: The figure.
        events: Some of its events.
        divided: Whether the figure is divided, so that its events have a divisor.
        mask: What is hidden. An order whose key comes from a hidden column has none here.
    """
    known = orders.lookup.shows_keys(mask)
    numbers = orders.lookup.numbers([event.key for event in events], mask)
    made = FigureColumns([], [])
    made.add("at", "timestamp", [event.at for event in events], _decimals(events))
    made.add("order", "text", [str(event.key) if known else None for event in events])
    made.add("name", "text", [numbers.get(event.key) for event in events])
    made.add("kind", "text", [event.kind for event in events])
    made.add("line", "text", [event.line for event in events])
    amounts = [None if event.amount is None else rounded(metric, event.amount) for event in events]
    made.add_numbers("amount", "money" if metric.unit == "money" else "count", amounts)
    if divided:
        made.add_numbers("divisor", "count", [event.divisor for event in events])
    return made


def _decimals(events: Sequence[Event]) -> int:
    """Decimals of the seconds that the instants need."""
    return 6 if any(event.at and event.at.microsecond for event in events) else 0
