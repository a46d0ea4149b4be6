"""Products that stopped selling: they sold in the compared period, and not in this one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import streamlit as st

from cache.analytics.breakdowns.product_life import StoppedProduct
from cache.analytics.dimensions.catalogue import PRODUCT
from cache.calendar.periods import Span
from dashboard import data
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import LARGE
from dashboard.text.periods import date_range
from dashboard.view import custom_period

SHOWN = 50  # rows, until the visitor asks for all


def stopped(session: Session, selection: Selection) -> None:
    """Draws them."""
    span = selection.span
    assert span
    before = selection.compared_span or _as_long_before(span)
    found = data.stopped_products(selection.orders, span, before, selection.conditions)
    with st.container(border=True):
        st.header(
            "Stopped selling",
            anchor=False,
            help="Products that sold in the compared period, but not in this one. Without a comparison, as many days "
            "before this period count. Gross sales are those of the compared period. Select a product to see its "
            "orders in that period.",
        )
        days = f"{date_range(before)}, and not in {date_range(span)}"
        if not found:
            st.caption(formatting.literal(_nothing_found(selection, before)))
            return
        st.caption(formatting.literal(f"Sold in {days}: {formatting.counted(len(found), 'product')}."))
        columns = [
            Column("Product"),
            Column("SKU or title", wide=True),
            Column("Last sold"),
            Column("Units before", number=True, wide=True),
            Column("Gross sales before", number=True),
        ]
        lines = [_line(selection, each) for each in found]
        sales = sum((each.sales for each in found), Decimal(0))
        units = sum(each.units for each in found)
        total: list[str | Cell] = [
            "All of them",
            "",
            "",
            f"{units:,}",
            _money(selection, sales),
        ]
        picked = table(
            "Stopped selling",
            columns,
            [*lines, Line(total, look="strong")],
            key="stopped",
            on_pick=lambda _: None,
            shown=SHOWN,
            exported=True,
        )
        if picked:
            session.navigator.go("orders", **{**custom_period(before), PRODUCT: picked})


def _as_long_before(span: Span) -> Span:
    """As many days before a period; fewer where the calendar begins later."""
    return Span(span.start - min(span.end - span.start, span.start - datetime.min), span.start)


def _nothing_found(selection: Selection, before: Span) -> str:
    if not data.count(selection.orders, before, selection.conditions):
        return f"There are no orders of {date_range(before)} under these filters, so that nothing can have stopped."
    return f"Every product that sold in {date_range(before)} sold in this period too."


def _line(selection: Selection, product: StoppedProduct) -> Line:
    cells: list[str | Cell] = [
        product.title,
        product.key,
        formatting.day(product.last),
        f"{product.units:,}",
        _money(selection, product.sales),
    ]
    return Line(cells, product.key)


def _money(selection: Selection, amount: Decimal) -> Cell:
    return Cell(formatting.money(amount, selection.currency, amount >= LARGE), value=amount)
