"""The values of one order as text, whatever its columns are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cache.analytics.order_lookup import PIECES, ROW_KEY, Row, role_key
from cache.analytics.orders import Orders
from cache.storage.row_encoding import compact
from dashboard.text import formatting
from dashboard.text.dimensions import write_code

NOTHING = "–"


def by_role(orders: Orders, row: Row) -> Row:
    """The row with its values under their roles (cache/roles.py) too, beside the names of its columns."""
    return {**row, **{role: row.get(role_key(role), row.get(c.name)) for role, c in orders.roles.items()}}


def number(row: Row) -> str:
    """The number of the order; its key where it has none."""
    return str(row.get("name") or row[ROW_KEY])


def text(row: Row, role: str) -> str:
    """A role as text; "" where it is empty."""
    return str(row.get(role) or "")


def customer(row: Row) -> str:
    """Name of the customer, else the e-mail."""
    return text(row, "customer_name") or text(row, "email") or NOTHING


def country(orders: Orders, row: Row) -> str:
    """Name of the country that the order ships to."""
    parts = address(row)
    return write_code(orders, "country", str(parts.get("country_code") or parts.get("country") or text(row, "country")))


def quantity(row: Row) -> str:
    """Number of pieces in the line items."""
    return NOTHING if row.get(PIECES) is None else f"{row[PIECES]:,}"


def money(row: Row, role: str) -> str:
    """An amount of the order in its currency."""
    return amount(row.get(role), row)


def amount(value: object, row: Row, sign: int = 1) -> str:
    """An amount in the order's currency. A `sign` of -1 makes it negative."""
    try:
        return formatting.money(sign * Decimal(str(value)), text(row, "currency"))
    except InvalidOperation:
        return NOTHING


def shown(value: object) -> str:
    """Any value as text."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, datetime):
        return formatting.moment(value)
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)


def address(row: Row) -> Mapping[str, Any]:
    """The fields of the address; empty where it is no JSON object."""
    return json_object(row.get("address"))


def json_object(value: object) -> Mapping[str, Any]:
    """The fields of a text that is a JSON object; empty where it is none."""
    text = compact(value.encode()) if isinstance(value, str) else None
    found = None if text is None else json.loads(text)
    return found if isinstance(found, dict) else {}
