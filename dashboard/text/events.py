"""How the events of a figure are written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from cache.analytics.events import Event
from cache.analytics.figures import Composition, Kind, Line
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.values import Absent, Value
from dashboard.text import formatting

_KINDS: Mapping[Kind, str] = {
    "sale": "Sale",
    "return": "Return",
    "cancellation": "Cancellation",
    "order": "Order",
    "customer": "Customer, by the first order",
}
_LINES: Mapping[Line, str] = {
    "product": "goods",
    "discount": "discount",
    "shipping": "shipping",
    "tax": "tax",
    "duty": "duty",
    "fee": "fee",
    "tip": "tip",
    "gift_card": "gift card",
    "adjustment": "adjustment",
    "total": "total of the order",
    "fulfilment": "time to fulfil",
}
_PARTS = {  # sums that are no metric
    "charged": "Totals of orders",
    "returned_orders": "Orders with returns",
    "fulfilled": "Fulfilled orders",
    "fulfilment_seconds": "Time to fulfil",
}


def what(event: Event) -> str:
    """What an event is, such as "Return · tax"."""
    line = _LINES.get(event.line)
    return f"{_KINDS[event.kind]} · {line}" if line else _KINDS[event.kind]


def parts(composition: Composition) -> str:
    """The sums that a figure is made of, without what it is divided by: "Gross sales − discounts"."""
    (first, _), *others = composition.parts.items()
    return _part(first) + "".join(f" {'+' if sign > 0 else '−'} {_part(name).lower()}" for name, sign in others)


def divisor(composition: Composition) -> str:
    """What a figure is divided by."""
    return _part(composition.divisor)


def amount(metric: Metric, value: Value, currency: str) -> str:
    """What an event adds to a figure, or the sum of several, to the cent; a dash where it is absent."""
    if isinstance(value, Absent):
        return "–"
    if metric.unit == "money":
        return formatting.money(Decimal(value), currency)
    return formatting.length(int(value)) if metric.unit == "duration" else f"{value:,}"


def _part(name: str) -> str:
    return _PARTS[name] if name in _PARTS else METRICS[name].label
