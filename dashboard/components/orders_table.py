"""The table of orders: searched, with the columns one wants, paged by SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import streamlit as st

from cache.analytics.fact_tables import ROW_KEY
from cache.analytics.order_lookup import Row
from cache.analytics.orders import Orders
from cache.analytics.periods import Span
from dashboard import data, formatting
from dashboard.auth import access
from dashboard.components import order_cells
from dashboard.components.export_links import take_along
from dashboard.components.order_drawer import drawer
from dashboard.components.table import Cell, Column, Line, table
from dashboard.data import Conditions

ROWS = 50
SEARCH, PAGE, ORDER, COLUMNS = "q", "page", "order", "column"  # parameters of the address


@st.fragment
def orders_table(orders: Orders, span: Span | None, conditions: Conditions) -> None:
    """Orders of the period that pass the filters; picking one opens it in a drawer."""
    with st.container(border=True):
        chosen = _columns(orders)
        with st.container(horizontal=True, vertical_alignment="center", key="orders_head"):
            st.session_state["search"] = st.query_params.get(SEARCH, "")
            st.text_input(
                "Search",
                key="search",
                type="search",
                live="300ms",
                icon=":material/search:",
                label_visibility="collapsed",
                placeholder="Order, customer, product",
                on_change=_search,
                width=320,
            )
            _choose(orders, chosen)
            take_along(orders, span, conditions, st.query_params.get(SEARCH, ""))
        search = st.query_params.get(SEARCH, "")
        at = _page_number()
        masked = access.masked(orders)
        found = data.page(orders, span, conditions, search, ROWS, (at - 1) * ROWS, masked)
        pages = max(1, -(-found.count // ROWS))
        st.caption(_counted(found.count, at, len(found.rows), search))
        if found.rows:
            told = [order_cells.by_role(orders, row) for row in found.rows]
            lines = [Line([each.cell(orders, row) for each in chosen.values()], id=row[ROW_KEY]) for row in told]
            table("Orders", [each.column for each in chosen.values()], lines, key="orders", on_pick=_open)
        if pages > 1:
            st.session_state["page_number"] = min(at, pages)
            with st.container(horizontal_alignment="center", key="orders_pages"):
                st.pagination(pages, key="page_number", on_change=_turn)
    if (key := st.query_params.get(ORDER)) and (row := orders.order(key, access.masked(orders))):
        drawer(orders, order_cells.by_role(orders, row), on_close=_close)


def _page_number() -> int:
    text = st.query_params.get(PAGE, "1")
    return max(1, int(text)) if text.isdecimal() and len(text) < 9 else 1


def _search() -> None:
    _put(SEARCH, st.session_state["search"])
    _put(PAGE, "")


def _turn() -> None:
    _put(PAGE, str(st.session_state["page_number"]))


def _open(key: str) -> None:
    _put(ORDER, key)


def _close() -> None:
    _put(ORDER, "")


def _put(name: str, value: str) -> None:
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def _counted(count: int, page: int, shown: int, search: str) -> str:
    if not count:
        return f"No order matches “{formatting.plain(search)}”." if search else "No orders in this period."
    first = (page - 1) * ROWS + 1
    return f"{first:,}–{first + shown - 1:,} of {count:,} orders, newest first" if shown else f"{count:,} orders"


# -- columns


class _Shown(NamedTuple):
    """A column of the table; it goes where the source has no column that plays the role `needs`."""

    column: Column
    needs: str
    cell: Callable[[Orders, Row], str | Cell]


def _named(orders: Orders, row: Row) -> Cell:
    parts = [order_cells.at(row, "created_at"), order_cells.customer(row)]
    return Cell(order_cells.name(row), more=" · ".join(part for part in parts if part != "–"))


def _payment(orders: Orders, row: Row) -> Cell:
    word = formatting.status(order_cells.code(row, "financial_status"))
    return Cell(word.text, pill=word.tone)


def _fulfilment(orders: Orders, row: Row) -> Cell:
    word = formatting.fulfilment(order_cells.code(row, "fulfillment_status"))
    return Cell(word.text, pill=word.tone)


_USUAL = (
    _Shown(Column("Order"), "", _named),
    _Shown(Column("Date", wide=True), "created_at", lambda _, row: order_cells.at(row, "created_at")),
    _Shown(Column("Customer", wide=True), "customer_name", lambda _, row: order_cells.customer(row)),
    _Shown(Column("Payment"), "financial_status", _payment),
    _Shown(Column("Fulfilment", wide=True), "fulfillment_status", _fulfilment),
    _Shown(
        Column("Channel", wide=True), "channel", lambda _, row: formatting.channel(order_cells.code(row, "channel"))
    ),
    _Shown(Column("Country", wide=True), "address", order_cells.where),
    _Shown(Column("Items", number=True, wide=True), "line_items", lambda _, row: order_cells.pieces(row)),
    _Shown(Column("Total", number=True), "total", lambda _, row: order_cells.money(row, "total")),
)


def _usual(orders: Orders) -> dict[str, _Shown]:
    return {each.column.label: each for each in _USUAL if not each.needs or each.needs in orders.reading.roles}


def _raw(name: str) -> _Shown:
    """A column of the source as it is."""
    return _Shown(Column(name), "", lambda _, row: order_cells.shown(row.get(name)))


def _offered(orders: Orders) -> dict[str, _Shown]:
    return _usual(orders) | {column.name: _raw(column.name) for column in orders.columns}


def _columns(orders: Orders) -> dict[str, _Shown]:
    """The columns that the address names, else the usual ones; the order's number always."""
    usual = _usual(orders)
    offered = _offered(orders)
    named = [name for name in st.query_params.get_all(COLUMNS) if name in offered]
    return {"Order": usual["Order"], **{name: offered[name] for name in named}} if named else usual


def _choose(orders: Orders, chosen: dict[str, _Shown]) -> None:
    with st.popover("Columns", icon=":material/view_column:", key="columns_chip"):
        st.session_state["columns"] = [name for name in chosen if name != "Order"]
        st.multiselect(
            "Columns", [name for name in _offered(orders) if name != "Order"], key="columns", on_change=_set_columns
        )


def _set_columns() -> None:
    if chosen := st.session_state["columns"]:
        st.query_params[COLUMNS] = chosen
    else:
        _put(COLUMNS, "")
