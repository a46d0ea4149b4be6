"""What the listed orders add up to, by currency."""

from __future__ import annotations

from collections.abc import Mapping

from cache.access.masking import Mask
from cache.analytics.order_lookup import Sums
from cache.analytics.orders import Orders
from dashboard.components.order_cells import NOTHING
from dashboard.components.order_list.columns import ITEMS, TOTAL, shows_column
from dashboard.components.table import Column, Line, table
from dashboard.text import formatting


def draw_sums(orders: Orders, sums: Mapping[str, Sums], mask: Mask) -> None:
    """Draws the sums of the orders of all pages. Amounts in different currencies are not added.

    Several currencies stand side by side, so that the list is not pushed down.

    Args:
        orders: The generation.
        sums: Currency -> the sums of its orders.
        mask: What is hidden: it is not summed either.
    """
    has_items = shows_column(orders, ITEMS, mask)
    codes = list(sums)
    rows = [["Orders", *(f"{each.orders:,}" for each in sums.values())]]
    if has_items:
        rows.append(["Items", *(f"{each.pieces or 0:,}" for each in sums.values())])
    if shows_column(orders, TOTAL, mask):
        rows.append(["Total", *(_total(each, code) for code, each in sums.items())])
    if len(codes) == 1:
        (currency,) = codes
        columns = [Column("Currency"), *(Column(label, number=True) for label, _ in rows)]
        lines = [Line([currency or "None", *(value for _, value in rows)], look="strong")]
    else:
        whole = [sum(each.orders for each in sums.values()), sum(each.pieces or 0 for each in sums.values())]
        every = [f"{whole[0]:,}", *([f"{whole[1]:,}"] if has_items else []), ""]
        columns = [Column("Sums"), *(Column(code or "None", number=True) for code in codes), Column("All", number=True)]
        lines = [Line([*row, total]) for row, total in zip(rows, every, strict=False)]
    table("Sums of these orders", columns, lines, key="orders_sums")


def _total(sums: Sums, currency: str) -> str:
    return NOTHING if sums.total is None else formatting.money(sums.total, currency)
