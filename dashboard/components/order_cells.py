"""The values of one order in words, whatever its columns are called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from cache.analytics.fact_tables import ROW_KEY
from cache.analytics.order_lookup import Row
from cache.analytics.orders import Orders
from cache.storage.row_encoding import compact
from dashboard import formatting
from dashboard.components.filter_chips import PARTS


def by_role(orders: Orders, row: Row) -> Row:
    """The row with what its columns mean (cache/analytics/reading.py) beside their own names."""
    return {**row, **{role: row.get(column.name) for role, column in orders.reading.roles.items()}}


def name(row: Row) -> str:
    return str(row.get("name") or row[ROW_KEY])


def code(row: Row, role: str) -> str:
    return str(row.get(role) or "")


def customer(row: Row) -> str:
    return code(row, "customer_name") or code(row, "email") or "–"


def at(row: Row, role: str) -> str:
    return shown(row.get(role))


def where(orders: Orders, row: Row) -> str:
    found = address(row)
    return PARTS["country"].write(
        orders, str(found.get("country_code") or found.get("country") or code(row, "country"))
    )


def pieces(row: Row) -> str:
    items = parsed(row, "line_items")
    return f"{sum(whole(item.get('quantity')) for item in items):,}" if items else "–"


def money(row: Row, role: str) -> str:
    return amount(row.get(role), row)


def amount(value: object, row: Row, sign: int = 1) -> str:
    """An amount in the order's currency."""
    try:
        return formatting.money(sign * Decimal(str(value)), code(row, "currency"))
    except InvalidOperation:
        return "–"


def shown(value: object) -> str:
    """Any value as text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, datetime):
        return formatting.moment(value)
    return f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)


def parsed(row: Row, role: str) -> list[Mapping[str, Any]]:
    """The objects of a JSON list; none where it is no such list."""
    found = _json(row.get(role))
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def address(row: Row) -> Mapping[str, Any]:
    found = _json(row.get("address"))
    return found if isinstance(found, dict) else {}


def whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _json(value: object) -> object:
    text = compact(value.encode()) if isinstance(value, str) else None
    return None if text is None else json.loads(text)
