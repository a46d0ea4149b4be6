"""The table of orders: searched, with the columns that the visitor chooses, one page after another by SQL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import streamlit as st

from cache.access.masking import Mask
from cache.analytics.order_list.sorting import NEWEST
from cache.analytics.order_lookup import ROW_KEY, Page
from cache.analytics.orders import Orders
from cache.calendar.periods import Span
from cache.check_report import CHECKS, ORDER_CHECKS, CheckId, FailedCheck
from cache.query.filters import Condition, Sort
from dashboard import data
from dashboard.address import change_parameters, parameter, set_parameter
from dashboard.components import order_cells
from dashboard.components.export_links import download_button
from dashboard.components.listing import PAGE, SORT, existing_page, page_choice, page_number, search_box, sort_anew
from dashboard.components.marks import CHECK, CHECK_CURRENCY
from dashboard.components.no_orders import nothing_found
from dashboard.components.order_drawer import ORDER, order_in_address
from dashboard.components.order_list.columns import LARGEST_FIRST, OrderColumn, chosen_columns, column_choice
from dashboard.components.order_list.queues import OpenQueue, draw_queue, queue_choice
from dashboard.components.order_list.sums import draw_sums
from dashboard.components.table import Line, table
from dashboard.data import Conditions
from dashboard.messages import message, says_why_it_fails
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted, place
from dashboard.text.periods import date_range

PAGE_ROWS = 50
WITHIN = "within"  # parameter of the address
PERIOD = "period"  # the value of WITHIN for a search in the period alone


class _Listed(NamedTuple):
    """Which orders are listed, and in which order without a choice.

    Attributes:
        span: The period; None for all time.
        conditions: The filters, and what a queue adds to them.
        failing: Only orders that fail this check; None: all.
        sort: The usual order.
    """

    span: Span | None
    conditions: Conditions
    failing: FailedCheck | None = None
    sort: Sort = NEWEST


@st.fragment
@says_why_it_fails
def orders_table(session: Session, selection: Selection) -> None:
    """Draws the orders of a selection. A picked one opens in a drawer."""
    orders = selection.orders
    mask = session.visitor.mask(orders)
    check = next((name for name in ORDER_CHECKS if name == parameter(CHECK)), None)
    with st.container(border=True):
        queue = queue_choice(selection) if not check else None
        if check:
            _failed_check(check)
        elif queue:
            draw_queue(queue)
        columns = chosen_columns(orders, with_failed_checks=bool(queue and queue.queue.failing))
        with st.container(horizontal=True, vertical_alignment="center", key="orders_head"):
            search = search_box("Search", "Order, customer, product")
            everywhere = bool(search.strip()) and not check and not queue and parameter(WITHIN) != PERIOD
            listed = _listed(selection, check, queue, everywhere)
            span, conditions = listed.span, listed.conditions
            column_choice(orders, columns)
            sort = _sort(orders, mask, listed.sort)
            download_button(session, orders, span, conditions, sort, search, listed.failing)
        find = partial(data.page, orders, search=search, mask=mask, failing=listed.failing, sort=sort)
        page = find(span, conditions, limit=PAGE_ROWS, offset=(page_number() - 1) * PAGE_ROWS)
        number = existing_page(page_number(), page.count, PAGE_ROWS)
        if number != page_number():
            page = find(span, conditions, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS)
        if search.strip() and selection.span and not check and not queue:
            _scope(selection.span, everywhere, lambda of: find(of, conditions, limit=0, offset=0).count)
        _page(orders, page, number, columns, _Order(sort, listed.sort, mask))
    if not page.count and queue and not search.strip() and not selection.view.is_filtered:
        message("success", f"No order is in the queue “{queue.queue.label}”.")
    elif not page.count:
        own = queue.conditions if queue else ()
        nothing_found(
            session,
            replace(selection, span=None) if queue else selection,
            lambda of, under: find(of, (*under, *own), limit=0, offset=0).count,
            search if everywhere else "",
        )
    order_in_address(orders, mask)


def _listed(selection: Selection, check: CheckId | None, queue: OpenQueue | None, everywhere: bool) -> _Listed:
    """The orders of a check, of a queue, of all time for a search, or else of the view."""
    if check:
        currency = parameter(CHECK_CURRENCY)
        of_currency = (Condition("currency", "eq", currency),) if currency else ()
        return _Listed(selection.span, (*selection.conditions, *of_currency), check)
    if queue:
        conditions = (*selection.conditions, *queue.conditions)
        return _Listed(None, conditions, queue.queue.failing, queue.queue.sort)
    return _Listed(None if everywhere else selection.span, selection.conditions)


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


class _Order(NamedTuple):
    """What a list is sorted by, what it is sorted by without a choice, and what is hidden, so nothing sorts by it."""

    sort: Sort
    usual: Sort
    mask: Mask


def _sort(orders: Orders, mask: Mask, usual: Sort) -> Sort:
    """The order in the address; the usual one without one that there is."""
    chosen = parameter(SORT)
    sort = Sort(chosen.removeprefix("-"), chosen.startswith("-"))
    return sort if orders.sorts.offers(sort.column, mask) else usual


def _page(orders: Orders, page: Page, number: int, columns: dict[str, OrderColumn], order: _Order) -> None:
    """Draws a page of orders, and the way to the others. `number` is that of the page, from 1."""
    if not page.rows:
        return
    draw_sums(orders, page.sums, order.mask)
    st.caption(_count(page, number, order.sort if "dates" not in orders.missing else None))
    rows = [order_cells.by_role(orders, row) for row in page.rows]
    lines = [
        Line([column.masked_cell(orders, row, order.mask) for column in columns.values()], id=row[ROW_KEY])
        for row in rows
    ]
    headers = [
        column.header if orders.sorts.offers(column.header.sort, order.mask) else replace(column.header, sort="")
        for column in columns.values()
    ]
    current, usual = _written(order.sort), _written(order.usual)
    table(
        "Orders",
        headers,
        lines,
        key="orders",
        on_pick=lambda key: set_parameter(ORDER, key),
        on_sort=lambda name: sort_anew(name, current, usual, name not in LARGEST_FIRST),
        sorted_by=current,
    )
    page_choice(number, -(-page.count // PAGE_ROWS), "orders")


def _written(sort: Sort) -> str:
    """An order as it stands in the address."""
    return f"{'-' if sort.descending else ''}{sort.column}"


def _count(page: Page, number: int, sort: Sort | None) -> str:
    """Which orders of how many there are. `sort` is None for a table without dates."""
    shown = place(number, PAGE_ROWS, len(page.rows), page.count, "order")
    if sort and sort.column == NEWEST.column and page.count > 1:
        shown += ", newest first" if sort.descending else ", oldest first"
    return formatting.literal(shown)
