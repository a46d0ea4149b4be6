"""Customers: who buys, how often, and whether they come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import partial

import streamlit as st

from cache.access.masking import MASK
from cache.analytics.figures import Figures
from cache.analytics.metrics import METRICS
from cache.analytics.rankings import Cohort, Customer
from cache.analytics.values import Absent, or_zero
from cache.calendar.periods import unit_start, units_later
from dashboard import data, frame
from dashboard.components.blocks import card
from dashboard.components.cards import cards
from dashboard.components.marks import draw_marks, mark_links, open_mark
from dashboard.components.no_orders import nothing_found
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import counted

MAX_CUSTOMERS = 50
MAX_EXPORTED = 20_000  # of a file
MAX_MONTHS = 11  # after the first order
_CARDS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")


def customers(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Customers")
    if selection is None:
        return
    if "customers" in selection.orders.missing:
        st.info(formatting.plain(selection.orders.missing["customers"]))
        return
    now, compared = selection.figures(), selection.compared_figures()
    metrics = [METRICS[name] for name in _CARDS if METRICS[name].available(selection.orders.missing)]
    shown = [
        card(
            metric,
            now,
            compared,
            selection.currency,
            selection.returns,
            marks=mark_links(selection, metric.id),
        )
        for metric in metrics
    ]
    if not now.orders:
        nothing_found(session, selection)
    cards(
        "Customers",
        shown,
        key="customer_cards",
        on_pick=lambda _: session.navigator.go("orders"),
        on_mark=partial(open_mark, session),
    )
    _both_new_and_returning(now)
    if now.orders:
        _repeats(session, selection)
    if "dates" not in selection.orders.missing:
        _cohorts(session, selection)
    if now.orders:
        _ranking(session, selection)
    frame.foot(selection)


def _both_new_and_returning(now: Figures) -> None:
    """Draws why new and returning customers add up to more than all customers, where they do."""
    if isinstance(now.new_customers, Absent) or isinstance(now.customers, Absent):
        return
    both = now.new_customers + or_zero(now.returning_customers) - now.customers
    if both > 0:
        verb = "count" if both > 1 else "counts"
        st.caption(
            f"{counted(int(both), 'customer')} {verb} as new and as returning: "
            "the first order and another one are in this period."
        )


def _repeats(session: Session, selection: Selection) -> None:
    counts = data.repeats(selection.orders, selection.span, selection.conditions)
    whole = sum(counts.values()) or 1
    with st.container(border=True):
        st.header("Repeat purchases", anchor=False, help="Customers by the number of their orders in this period.")
        draw_marks(session, replace(selection, compared_span=None), "customers")
        lines = [
            Line(
                [
                    Cell(_number_of_orders(orders), share=customers / whole),
                    f"{customers:,}",
                    formatting.percent(formatting.ratio(customers, whole)),
                ]
            )
            for orders, customers in counts.items()
        ]
        if counts:
            total = formatting.percent(Decimal(1))
            lines.append(Line(["All customers", f"{sum(counts.values()):,}", total], look="strong"))
        columns = [Column("Orders"), Column("Customers", True), Column("Share", True)]
        table("Repeat purchases", columns, lines, key="repeats", exported=True)


def _number_of_orders(count: int) -> str:
    return f"{count} or more orders" if count == data.MAX_REPEATS else counted(count, "order")


def _ranking(session: Session, selection: Selection) -> None:
    mask = session.visitor.mask(selection.orders)
    ranked = data.customers(selection.orders, selection.span, selection.conditions, mask, MAX_CUSTOMERS)
    with st.container(border=True):
        help = "Totals of their orders in the period, before returns. Select a customer to see the orders."
        st.header("Top customers", anchor=False, help=help)
        draw_marks(session, replace(selection, compared_span=None), "total_sales", "customers")
        dated = [] if "dates" in selection.orders.missing else [Column("First", wide=True), Column("Last", wide=True)]
        columns = [
            Column("Customer"),
            Column("E-mail", wide=True),
            Column("Orders", number=True, wide=True),
            *dated,
            Column("Spent", number=True),
        ]
        lines = [_customer(customer, selection.currency, bool(dated)) for customer in ranked]

        def whole() -> list[Line]:
            every = data.customers(selection.orders, selection.span, selection.conditions, mask, MAX_EXPORTED)
            return [_customer(customer, selection.currency, bool(dated)) for customer in every]

        if picked := table("Top customers", columns, lines, key="customers", on_pick=lambda _: None, exported=whole):
            session.navigator.go("orders", q=picked)


def _customer(customer: Customer, currency: str, dated: bool) -> Line:
    """A customer, who is picked by e-mail, else by name. `dated` says whether the table has dates."""
    first, last = (formatting.day(at) if at else "–" for at in (customer.first, customer.last))
    orders = counted(customer.orders, "order")
    more = f"{orders}, last {last}" if dated else orders
    return Line(
        [
            Cell(customer.name or customer.email or "Unnamed", more=more),
            customer.email,
            f"{customer.orders:,}",
            *([first, last] if dated else []),
            "–" if isinstance(customer.spent, Absent) else formatting.money(customer.spent, currency),
        ],
        id=next((text for text in (customer.email, customer.name) if text not in ("", MASK)), None),
    )


def _cohorts(session: Session, selection: Selection) -> None:
    cohorts = data.cohorts(selection.orders, selection.conditions)
    if not cohorts:
        return
    with st.container(border=True):
        st.header(
            "Retention by cohort",
            anchor=False,
            help="A cohort is the customers whose first order under these filters was in one month. The columns show "
            "the share of them who ordered again one month later, two months later, and so on. The period above does "
            "not apply.",
        )
        draw_marks(session, replace(selection, span=None, compared_span=None), "customers")
        months = min(max(len(cohort.ordered) for cohort in cohorts) - 1, MAX_MONTHS)
        highest = max((share for cohort in cohorts for share in _shares(cohort)), default=Decimal(0)) or Decimal(1)
        current = unit_start("month", selection.calendar.known_until, selection.calendar.week_start)
        lines = []
        for cohort in cohorts:
            cells = [
                Cell(f"{formatting.percent(share, 0)}{_mark(cohort, later, current)}", heat=float(share / highest))
                for later, share in enumerate(_shares(cohort), 1)
            ]
            first = f"{formatting.month(cohort.first)}{_mark(cohort, 0, current)}"
            lines.append(Line([first, f"{cohort.customers:,}", *cells, *[""] * (months - len(cells))]))
        later = [Column(f"+{i}", number=True) for i in range(1, months + 1)]
        table(
            "Retention by cohort",
            [Column("First order"), Column("Customers", True), *later],
            lines,
            key="cohorts",
            exported=True,
        )
        if _mark(cohorts[-1], len(cohorts[-1].ordered) - 1, current):
            st.caption(f"\\* So far: {formatting.month(current)} is not over.")


def _mark(cohort: Cohort, later: int, current: datetime) -> str:
    """A mark for the month in progress, so many months after the first of a cohort."""
    return "*" if units_later("month", cohort.first, later) == current else ""


def _shares(cohort: Cohort) -> list[Decimal]:
    """The share of customers who ordered again, month by month after the first."""
    return [formatting.ratio(count, cohort.customers) for count in cohort.ordered[1 : MAX_MONTHS + 1]]
