"""How the values of dimensions are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cache.analytics.dimensions import DIMENSIONS, DimensionId, FilterId
from cache.analytics.orders import Orders
from dashboard import data
from dashboard.text import formatting

_WRITE: Mapping[FilterId, Callable[[Orders, str], str]] = {
    "status": lambda _, code: formatting.status(code).text,
    "fulfilment": lambda _, code: formatting.fulfilment(code).text,
    "channel": lambda _, code: formatting.channel(code),
    "country": lambda orders, code: orders.countries.get(code, code) or "No address",
    "discount": lambda _, code: code or "No discount code",
    "refunded": lambda _, code: {"yes": "Yes", "no": "No"}.get(code, code),
    "product": lambda orders, code: data.product_titles(orders).get(code) or data.product_title(orders, code),
}


def write_code(orders: Orders, name: FilterId, code: str) -> str:
    """A value of a dimension as text.

    Args:
        orders: The orders, for names of countries and products.
        name: The dimension.
        code: The value; "" for orders without one.
    """
    return _WRITE[name](orders, code)


def group_dimensions(orders: Orders) -> list[DimensionId]:
    """The dimensions that figures can be grouped by. The currency is not one: amounts of several are never added."""
    return [name for name in DIMENSIONS if name != "currency" and orders.offers(name)]
