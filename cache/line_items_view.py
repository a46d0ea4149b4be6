"""The view that joins orders with line items out of a table of their own: one row for each line item.

A sync copies one table. Where the items of orders are in another one, it can copy such a view in its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_LINE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "line_item_name": ("lineitemname", "title", "producttitle", "itemname", "productname", "name"),
    "line_item_sku": ("lineitemsku", "sku", "itemsku", "productsku"),
    "line_item_vendor": ("lineitemvendor", "vendor", "itemvendor", "productvendor"),
    "line_item_quantity": ("lineitemquantity", "quantity", "itemquantity", "qty"),
    "line_item_price": ("lineitemprice", "price", "unitprice", "itemprice"),
}
"""Column of the view -> the names that it may have in the table of line items, without punctuation."""
_OF_ITEMS = frozenset(("lineitems", "items", *_LINE_COLUMNS["line_item_quantity"]))


def has_items(columns: Sequence[str]) -> bool:
    """Whether a table of orders has its line items, by the names of its columns."""
    return not _OF_ITEMS.isdisjoint(map(_plain, columns))


def find_lines(orders: str, tables: Mapping[str, Sequence[str]]) -> tuple[str, str] | None:
    """The table of line items: one with quantities that refers to orders.

    Args:
        orders: The name of the table of orders.
        tables: Names of the other tables -> their columns.

    Returns:
        Its name, and its column with the key of the order; None where no table is one.
    """
    references = [_plain(name) for name in (reference(orders), f"{orders}_id", "order_id")]
    for table, columns in tables.items():
        plain = {_plain(name): name for name in columns}
        found = next((plain[name] for name in references if name in plain), None)
        if found and has_items(columns):
            return table, found
    return None


def reference(orders: str) -> str:
    """How a table of line items usually calls the key of an order: `order_id` for `orders`."""
    return f"{orders.removesuffix('s')}_id"


def create_view(database: str, orders: str, key: str, lines: str, reference: str, columns: Sequence[str]) -> str:
    """The statement for MySQL that makes the view.

    Args:
        database: The database of both tables.
        orders: The table of orders.
        key: Its key.
        lines: The table of line items.
        reference: Its column with the key of the order.
        columns: The columns of the table of line items.
    """
    plain = {_plain(name): name for name in reversed(columns)}
    chosen = {
        name: next((plain[each] for each in names if each in plain), None) for name, names in _LINE_COLUMNS.items()
    }
    selected = "".join(f",\n  l.{_quoted(column)} AS {name}" for name, column in chosen.items() if column)
    return (
        f"CREATE VIEW {_quoted(database)}.{_quoted(view_name(orders))} AS\nSELECT o.*{selected}\n"
        f"FROM {_quoted(database)}.{_quoted(orders)} AS o\n"
        f"LEFT JOIN {_quoted(database)}.{_quoted(lines)} AS l ON l.{_quoted(reference)} = o.{_quoted(key)}"
    )


def view_name(orders: str) -> str:
    """The name of the view."""
    return f"{orders}_with_items"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
