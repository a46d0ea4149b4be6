"""The table of orders: searched, with the columns that the visitor chooses, one page after another by SQL."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import streamlit as st

from cache.analytics.order_lookup import ROW_KEY, Page, Row
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import CHECKS, ORDER_CHECKS, CheckId
from cache.query.filters import Condition
from dashboard import data
from dashboard.address import change_parameters, parameter, parameter_values, set_parameter
from dashboard.components import order_cells
from dashboard.components.export_links import download_button
from dashboard.components.listing import PAGE, existing_page, page_choice, page_number, search_box
from dashboard.components.marks import CHECK, CHECK_CURRENCY
from dashboard.components.no_orders import nothing_found
from dashboard.components.order_cells import NOTHING
from dashboard.components.order_drawer import ORDER, order_in_address
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import key_in_popover
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted, place
from dashboard.text.periods import date_range

PAGE_ROWS = 50
COLUMNS, WITHIN = "column", "within"  # parameters of the address
PERIOD = "period"  # the value of WITHIN for a search in the period alone


@st.fragment
def orders_table(session: Session, selection: Selection) -> None:
    """Draws the orders of a selection. A picked one opens in a drawer."""
    orders = selection.orders
    mask = session.visitor.mask(orders)
    failing = next((name for name in ORDER_CHECKS if name == parameter(CHECK)), None)
    conditions = selection.conditions
    if failing and (currency := parameter(CHECK_CURRENCY)):
        conditions = (*conditions, Condition("currency", "eq", currency))
    with st.container(border=True):
        if failing:
            _failed_check(failing)
        columns = _columns(orders)
        with st.container(horizontal=True, vertical_alignment="center", key="orders_head"):
            search = search_box("Search", "Order, customer, product")
            everywhere = bool(search.strip()) and not failing and parameter(WITHIN) != PERIOD
            span = None if everywhere else selection.span
            _column_choice(orders, columns)
            download_button(session, orders, span, conditions, search, failing)
        find = partial(data.page, orders, search=search, mask=mask, failing=failing)
        page = find(span, conditions, limit=PAGE_ROWS, offset=(page_number() - 1) * PAGE_ROWS)
        number = existing_page(page_number(), page.count, PAGE_ROWS)
        if number != page_number():
            page = find(span, conditions, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS)
        if search.strip() and selection.span and not failing:
            _scope(selection.span, everywhere, lambda of: find(of, conditions, limit=1, offset=0).count)
        _page(orders, page, number, columns)
    if not page.count:
        nothing_found(session, selection, lambda *of: find(*of, limit=1, offset=0).count, search if everywhere else "")
    order_in_address(orders, mask)


def _scope(period: Span, everywhere: bool, count: Callable[[Span | None], int]) -> None:
    """Draws where the search looked, and a button to look in the period alone or in all time."""
    days = date_range(period)
    with st.container(horizontal=True, vertical_alignment="center", key="search_scope"):
        if everywhere:
            st.markdown("Searched in **all time and all currencies**.", width="content")
            label, scope = f"Only {days} · {counted(count(period), 'order')}", PERIOD
        else:
            st.markdown(f"Searched in **{days}** only.", width="content")
            label, scope = f"All time · {counted(count(None), 'order')}", ""
        st.button(
            label,
            icon=":material/date_range:" if everywhere else ":material/all_inclusive:",
            type="tertiary",
            key="change_scope",
            on_click=lambda: change_parameters({WITHIN: scope, PAGE: ""}),
        )


def _failed_check(check: CheckId) -> None:
    """Draws which check the listed orders fail, and a button that lists all orders again."""
    with st.container(horizontal=True, vertical_alignment="center", key="failed_check"):
        about = CHECKS[check]
        currency = parameter(CHECK_CURRENCY)
        which = f"These orders, in {currency} or in no known currency," if currency else "These orders"
        text = f"{formatting.literal(which)} {formatting.plain(f'{about.trouble}. {about.rule}')}"
        st.markdown(f"**Check failed: {about.title}.** {text}", width="stretch")
        all_orders = dict.fromkeys((CHECK, CHECK_CURRENCY, PAGE), "")
        st.button(
            "All orders",
            icon=":material/close:",
            type="tertiary",
            key="clear_check",
            on_click=lambda: change_parameters(all_orders),
        )


def _page(orders: Orders, page: Page, number: int, columns: dict[str, _OrderColumn]) -> None:
    """Draws a page of orders, and the way to the others. `number` is that of the page, from 1."""
    if not page.rows:
        return
    st.caption(_count(page, number, "dates" not in orders.missing))
    rows = [order_cells.by_role(orders, row) for row in page.rows]
    lines = [Line([column.cell(orders, row) for column in columns.values()], id=row[ROW_KEY]) for row in rows]
    headers = [column.header for column in columns.values()]
    table("Orders", headers, lines, key="orders", on_pick=lambda key: set_parameter(ORDER, key))
    page_choice(number, -(-page.count // PAGE_ROWS), "orders")


def _count(page: Page, number: int, dated: bool) -> str:
    """Which orders of how many there are, and their totals by currency. `dated` says whether the table has dates."""
    shown = place(number, PAGE_ROWS, len(page.rows), page.count, "order")
    shown += ", newest first" if dated and page.count > 1 else ""
    totals = [formatting.money(total, code) for code, total in page.totals.items() if total is not None]
    return formatting.literal(f"{shown}. Total{'s'[: len(totals) > 1]}: {' · '.join(totals)}" if totals else shown)


# -- columns


class _OrderColumn(NamedTuple):
    """A column of the table. It is left out where the source has a column for none of the roles in `needs`."""

    header: Column
    needs: tuple[str, ...]
    cell: Callable[[Orders, Row], str | Cell]


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


_USUAL = (
    _OrderColumn(Column("Order"), (), _order),
    _OrderColumn(Column("Date", wide=True), ("created_at",), lambda _, row: order_cells.shown(row.get("created_at"))),
    _OrderColumn(Column("Customer", wide=True), ("customer_name", "email"), lambda _, row: order_cells.customer(row)),
    _OrderColumn(Column("Payment"), ("financial_status",), _payment),
    _OrderColumn(Column("Fulfilment", wide=True), ("fulfillment_status",), _fulfilment),
    _OrderColumn(Column("Channel", wide=True), ("channel",), _channel),
    _OrderColumn(Column("Country", wide=True), ("address", "country"), order_cells.country),
    _OrderColumn(Column("Items", number=True, wide=True), ("line_items", "line_quantity"), _pieces),
    _OrderColumn(Column("Total", number=True), ("total",), lambda _, row: order_cells.money(row, "total")),
)


def _usual_columns(orders: Orders) -> dict[str, _OrderColumn]:
    return {each.header.label: each for each in _USUAL if not each.needs or orders.roles.keys() & set(each.needs)}


def _source_column(name: str) -> _OrderColumn:
    """A column of the source as it is."""
    return _OrderColumn(Column(name), (), lambda _, row: order_cells.shown(row.get(name)))


def _all_columns(orders: Orders) -> dict[str, _OrderColumn]:
    return _usual_columns(orders) | {column.name: _source_column(column.name) for column in orders.columns}


def _columns(orders: Orders) -> dict[str, _OrderColumn]:
    """The columns in the address, else the usual ones; the order's number always."""
    usual = _usual_columns(orders)
    available = _all_columns(orders)
    names = [name for name in parameter_values(COLUMNS) if name in available]
    return {"Order": usual["Order"], **{name: available[name] for name in names}} if names else usual


def _column_choice(orders: Orders, columns: dict[str, _OrderColumn]) -> None:
    with st.popover("Columns", icon=":material/view_column:", key="columns_chip"):
        key = key_in_popover("columns", [name for name in columns if name != "Order"])
        st.multiselect(
            "Columns",
            [name for name in _all_columns(orders) if name != "Order"],
            key=key,
            filter_mode="contains",
            select_all=False,
            on_change=lambda: set_parameter(COLUMNS, st.session_state[key]),
        )
