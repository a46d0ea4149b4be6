"""The columns of the list of orders: the usual ones, and those of the table as they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from cache.access.masking import MASK, Mask
from cache.analytics.dimensions.catalogue import COLUMN_PREFIX
from cache.analytics.order_list.sorting import ROLES
from cache.analytics.order_lookup import FAILED, Row
from cache.analytics.orders import Orders
from cache.check_report import CHECKS
from dashboard.address import parameter_values, set_parameter
from dashboard.components import order_cells
from dashboard.components.order_cells import NOTHING
from dashboard.components.table import Cell, Column
from dashboard.components.widget_values import key_in_popover
from dashboard.text import formatting

COLUMNS = "column"  # parameter of the address
ITEMS, TOTAL = "Items", "Total"


class OrderColumn(NamedTuple):
    """A column of the list.

    Attributes:
        header: Its header.
        needs: Roles; it is left out where the source has a column for none of them.
        cell: Its cell of an order.
    """

    header: Column
    needs: tuple[str, ...]
    cell: Callable[[Orders, Row], str | Cell]

    def is_hidden(self, orders: Orders, mask: Mask) -> bool:
        """Whether all that it shows of an order is hidden."""
        columns = [orders.roles[role].name for role in self.needs if role in orders.roles]
        return bool(columns) and set(columns) <= set(mask.hidden)

    def masked_cell(self, orders: Orders, row: Row, mask: Mask) -> str | Cell:
        """Its cell of an order; the mask where what it shows is hidden."""
        return MASK if self.is_hidden(orders, mask) else self.cell(orders, row)


def _order(orders: Orders, row: Row) -> Cell:
    parts = [order_cells.shown(row.get("created_at")), order_cells.customer(row)]
    return Cell(order_cells.number(row), more=" · ".join(part for part in parts if part != NOTHING))


def _payment(orders: Orders, row: Row) -> Cell:
    label = formatting.status(order_cells.text(row, "financial_status"))
    fulfilled = "fulfillment_status" in row
    more = formatting.fulfilment(order_cells.text(row, "fulfillment_status")).text if fulfilled else ""
    return Cell(label.text, pill=label.tone, more=more)


def _fulfilment(orders: Orders, row: Row) -> Cell:
    label = formatting.fulfilment(order_cells.text(row, "fulfillment_status"))
    return Cell(label.text, pill=label.tone)


def _channel(orders: Orders, row: Row) -> str:
    return formatting.channel(order_cells.text(row, "channel"))


def _pieces(_: Orders, row: Row) -> str:
    return order_cells.quantity(row)


def _date(_: Orders, row: Row) -> str:
    return order_cells.shown(row.get("created_at"))


def _customer(_: Orders, row: Row) -> str:
    return order_cells.customer(row)


def _total(_: Orders, row: Row) -> str:
    return order_cells.money(row, "total")


def _failed_checks(_: Orders, row: Row) -> str:
    return ", ".join(CHECKS[name].title for name in row[FAILED])


_USUAL = (
    OrderColumn(Column("Order", sort="order"), (), _order),
    OrderColumn(Column("Date", wide=True, sort="date"), ROLES["date"], _date),
    OrderColumn(Column("Customer", wide=True, sort="customer"), ROLES["customer"], _customer),
    OrderColumn(Column("Payment", sort="payment"), ROLES["payment"], _payment),
    OrderColumn(Column("Fulfilment", wide=True, sort="fulfilment"), ROLES["fulfilment"], _fulfilment),
    OrderColumn(Column("Channel", wide=True, sort="channel"), ROLES["channel"], _channel),
    OrderColumn(Column("Country", wide=True, sort="country"), ROLES["country"], order_cells.country),
    OrderColumn(Column(ITEMS, number=True, wide=True, sort="items"), ROLES["items"], _pieces),
    OrderColumn(Column(TOTAL, number=True, sort="total"), ROLES["total"], _total),
)
_FAILS = OrderColumn(Column("Failed check"), (), _failed_checks)
LARGEST_FIRST = frozenset(("order", "date", "items", "total"))
"""Sorts of which the largest is first when their header is picked; of the others the smallest."""


def shows_column(orders: Orders, label: str, mask: Mask) -> bool:
    """Whether the table has what a usual column shows, and it is not hidden."""
    column = _usual_columns(orders).get(label)
    return column is not None and not column.is_hidden(orders, mask)


def _usual_columns(orders: Orders) -> dict[str, OrderColumn]:
    return {each.header.label: each for each in _USUAL if not each.needs or orders.roles.keys() & set(each.needs)}


def _source_column(name: str) -> OrderColumn:
    """A column of the source as it is."""
    header = Column(name, sort=f"{COLUMN_PREFIX}{name}")
    return OrderColumn(header, (), lambda _, row: order_cells.shown(row.get(name)))


def _all_columns(orders: Orders) -> dict[str, OrderColumn]:
    return _usual_columns(orders) | {column.name: _source_column(column.name) for column in orders.columns}


def chosen_columns(orders: Orders, with_failed_checks: bool = False) -> dict[str, OrderColumn]:
    """Label -> column: the columns in the address, else the usual ones; the order's number always.

    Args:
        orders: The generation.
        with_failed_checks: Whether a last column says which checks an order fails.
    """
    usual = _usual_columns(orders)
    available = _all_columns(orders)
    names = [name for name in parameter_values(COLUMNS) if name in available]
    chosen = {"Order": usual["Order"], **{name: available[name] for name in names}} if names else usual
    return chosen | ({_FAILS.header.label: _FAILS} if with_failed_checks else {})


def column_choice(orders: Orders, columns: dict[str, OrderColumn]) -> None:
    """Draws the choice of columns. `columns` are those that are shown."""
    with st.popover("Columns", icon=":material/view_column:", key="columns_chip"):
        offered = [name for name in _all_columns(orders) if name != "Order"]
        key = key_in_popover("columns", [name for name in columns if name in offered])
        st.multiselect(
            "Columns",
            offered,
            key=key,
            filter_mode="contains",
            select_all=False,
            on_change=lambda: set_parameter(COLUMNS, st.session_state[key]),
        )
