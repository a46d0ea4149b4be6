"""Segments of customers by RFM. A row lists its customers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import streamlit as st

from cache.analytics.customers.segments import DEFINITION, SEGMENTS, SegmentFigures
from dashboard import data
from dashboard.address import change_parameters, parameter
from dashboard.components.table import Cell, Column, Line, table
from dashboard.pages.customers.customer_lines import customer_columns, customer_lines, open_customer
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted

SEGMENT = "segment"  # parameter of the address
MAX_CUSTOMERS = 20
MAX_EXPORTED = 20_000  # of a file


def segments(session: Session, selection: Selection) -> None:
    """Draws them, and the customers of the one in the address."""
    until = selection.span.end if selection.span else None
    found = data.segment_figures(selection.orders, until, selection.conditions)
    with st.container(border=True):
        st.header(
            "Segments",
            anchor=False,
            help=f"{DEFINITION} All orders up to the end of the period count. Select a segment to see who is in it.",
        )
        if not found:
            st.caption("No customer ordered up to the end of this period.")
            return
        if until:
            st.caption(f"All orders up to the end of {formatting.day(_last_day(until))}, from the first one on.")
        chosen = parameter(SEGMENT)
        columns = [
            Column("Segment"),
            Column("Customers", True),
            Column("Share", True),
            Column("Orders each", True, wide=True),
            Column("Last order", wide=True),
            Column("Spent", True),
            Column("Share of money", True, wide=True),
        ]
        table(
            "Segments",
            columns,
            [*_lines(selection, found, chosen), _total(selection, found)],
            key="segments",
            on_pick=lambda picked: change_parameters({SEGMENT: "" if picked == chosen else picked}),
            exported=True,
        )
    if chosen in {each.segment for each in found}:
        _customers(session, selection, chosen, until)


def _lines(selection: Selection, found: Sequence[SegmentFigures], chosen: str) -> list[Line]:
    customers, spent = sum(each.customers for each in found), sum((each.spent for each in found), Decimal(0))
    highest = max(each.customers for each in found)
    lines = []
    for each in found:
        about = SEGMENTS[each.segment]
        cells: list[str | Cell] = [
            Cell(about.label, under=f"{about.meaning} {about.rule}.", share=each.customers / highest),
            f"{each.customers:,}",
            formatting.percent(formatting.ratio(each.customers, customers)),
            f"{each.orders / each.customers:,.1f}",
            formatting.day(each.last),
            Cell(formatting.money(each.spent, selection.currency, whole=True), value=each.spent),
            formatting.percent(each.spent / spent) if spent > 0 else "–",
        ]
        lines.append(Line(cells, each.segment, each.segment == chosen))
    return lines


def _total(selection: Selection, found: Sequence[SegmentFigures]) -> Line:
    customers, orders = sum(each.customers for each in found), sum(each.orders for each in found)
    spent = sum((each.spent for each in found), Decimal(0))
    whole = formatting.percent(Decimal(1))
    cells: list[str | Cell] = [
        "All customers",
        f"{customers:,}",
        whole,
        f"{orders / customers:,.1f}",
        "",
        Cell(formatting.money(spent, selection.currency, whole=True), value=spent),
        whole if spent > 0 else "–",
    ]
    return Line(cells, look="strong")


def _customers(session: Session, selection: Selection, segment: str, until: datetime | None) -> None:
    mask = session.visitor.mask(selection.orders)

    def lines(limit: int) -> list[Line]:
        found = data.customers_of(selection.orders, segment, until, selection.conditions, mask, limit)
        return customer_lines(selection, found)

    label = SEGMENTS[segment].label
    with st.container(border=True):
        st.header(label, anchor=False, help="Those who spent most. Select a customer to see all of the orders.")
        shown = lines(MAX_CUSTOMERS)
        st.caption(f"{counted(len(shown), 'customer')} who spent most." if len(shown) == MAX_CUSTOMERS else "")
        table(
            f"Customers: {label}",
            customer_columns(dated=True),
            shown,
            key="segment_customers",
            on_pick=open_customer,
            exported=lambda: lines(MAX_EXPORTED),
        )


def _last_day(until: datetime) -> datetime:
    return until - datetime.resolution
