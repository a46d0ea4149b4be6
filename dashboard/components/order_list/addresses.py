"""The addresses of one order as lines of text, out of JSON or out of columns of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cache.access.masking import MASK
from cache.analytics.order_lookup import Row
from cache.schema import Column
from dashboard.components import order_cells

_KINDS: Mapping[str, tuple[str, ...]] = {"Ships to": ("shipping", "delivery"), "Bills to": ("billing",)}
# The fields of each line of an address, with the names that they have in tables and in Shopify's JSON.
_LINES: tuple[tuple[tuple[str, ...], ...], ...] = (
    (("name",),),
    (("company",),),
    (("address1", "street"),),
    (("address2",),),
    (("zip", "postcode", "postalcode"), ("city",)),
    (("province", "provincename", "state", "region"),),
    (("country", "countryname", "countrycode"),),
    (("phone",),),
)


def addresses(columns: Sequence[Column], row: Row) -> dict[str, list[str]]:
    """Title -> the lines of an address. What is hidden, or empty, is left out.

    Args:
        columns: The columns of the table.
        row: The order, as `order_cells.by_role` returns it.
    """
    plain = {_plain(column.name): row.get(column.name) for column in columns}
    found: dict[str, list[str]] = {}
    for title, prefixes in _KINDS.items():
        nested = order_cells.address(row) if title == "Ships to" else {}
        for prefix in prefixes:
            nested = nested or order_cells.json_object(plain.get(f"{prefix}address"))
        named = ((prefix, name) for prefix in prefixes for name in plain if name.startswith(prefix))
        flat = {name.removeprefix(prefix): plain[name] for prefix, name in named}
        if lines := _lines({_plain(name): value for name, value in nested.items()} or flat):
            found[title] = lines
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _lines(fields: Mapping[str, Any]) -> list[str]:
    lines = []
    for parts in _LINES:
        values = (next((str(fields[name]) for name in names if _says(fields.get(name))), "") for names in parts)
        if text := " ".join(filter(None, values)):
            lines.append(text)
    return lines


def _says(value: object) -> bool:
    return isinstance(value, str | int) and str(value).strip() not in ("", MASK)
