"""How the values of dimensions are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from cache.analytics.dimensions.catalogue import BOUGHT_WITH, PRODUCT, DimensionId, find_dimension
from cache.analytics.dimensions.ranges import RANGES, Bounds, RangeId
from cache.analytics.orders import Orders
from dashboard import data
from dashboard.text import formatting

TAX_RATE_NOTE = (
    "An order with several tax rates counts in each of them, and its taxes are split between them. Refunds do not say "
    "rates: their tax is split like that of their order. “No tax rate” has the orders without tax, and those whose "
    "tax lines do not add up to it."
)
_WEEKDAYS = dict(zip("1234567", ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"), strict=True))
_MONTH = re.compile(r"\d{4}-\d\d$")
_WRITE: Mapping[DimensionId, Callable[[Orders, str], str]] = {
    "status": lambda _, code: formatting.status(code).text,
    "fulfilment": lambda _, code: formatting.fulfilment(code).text,
    "channel": lambda _, code: formatting.channel(code),
    "country": lambda orders, code: orders.countries.get(code, code) or "No address",
    "discount": lambda _, code: code or "No discount code",
    "refunded": lambda _, code: {"yes": "Yes", "no": "No"}.get(code, code),
    "customer_type": lambda _, code: {
        "new": "New customers",
        "returning": "Returning customers",
        "": "No customer",
    }.get(code, code),
    "hour_of_day": lambda _, code: f"{int(code):02}:00" if code.isdecimal() else code,
    "weekday": lambda _, code: _WEEKDAYS.get(code, code),
    "month": lambda _, code: formatting.month(datetime.fromisoformat(f"{code}-01")) if _MONTH.match(code) else code,
    "customer": lambda orders, code: data.customer_names(orders, (code,))[code] if code.isdecimal() else code,
    **dict.fromkeys(
        (PRODUCT, BOUGHT_WITH),
        lambda orders, code: data.product_titles(orders).get(code) or data.product_title(orders, code),
    ),
}


def write_code(orders: Orders, name: DimensionId, code: str) -> str:
    """A value of a dimension as text.

    Args:
        orders: The orders, for names of countries and products.
        name: The dimension.
        code: The value; "" for orders without one.
    """
    text = _WRITE[name](orders, code) if name in _WRITE else code
    return text or nothing(name)


def range_text(name: RangeId, bounds: Bounds) -> str:
    """The ends of a range, such as "100 – 500", "at least 3 days" or "at most 10"."""
    low, high = ("" if end is None else f"{end:,f}" for end in (bounds.low, bounds.high))
    text = (
        low if low == high else f"{low} – {high}" if low and high else f"at least {low}" if low else f"at most {high}"
    )
    unit = RANGES[name].unit
    return f"{text} {unit}{'s' * ((high or low) != '1')}" if unit else text


def nothing(name: DimensionId) -> str:
    """What stands for orders without a value of a dimension."""
    dimension = find_dimension(name)
    return f"No {dimension.noun}" if dimension else ""
