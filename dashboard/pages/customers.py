"""Customers: who buys, how often, and whether they come back."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from cache.access.masking import MASK
from cache.analytics.metrics import METRICS
from cache.analytics.values import Absent
from dashboard import data, formatting, frame
from dashboard.auth import access
from dashboard.components import blocks, cards
from dashboard.components.navigation import go
from dashboard.components.table import Cell, Column, Line, table
from dashboard.frame import Shown

MOST = 50
_CARDS = ("customers", "new_customers", "returning_customers", "returning_customer_rate")


def customers() -> None:
    shown = frame.page("Customers")
    if shown is None:
        return
    if "customers" in shown.orders.missing:
        st.info(formatting.plain(shown.orders.missing["customers"]))
        return
    now, before = shown.figures(), shown.before()
    shown_cards = [blocks.card(METRICS[name], now, before, shown.currency, shown.returns) for name in _CARDS]
    cards.cards("Customers", shown_cards, key="customer_cards", on_pick=lambda _: go("orders"))
    if now.orders:
        _repeats(shown)
    else:
        frame.nothing_found(shown)
    if "dates" not in shown.orders.missing:
        _cohorts(shown)
    if now.orders:
        _ranking(shown)
    frame.foot(shown)


def _repeats(shown: Shown) -> None:
    found = data.repeats(shown.orders, shown.span, shown.conditions)
    whole = sum(found.values()) or 1
    last = max(found, default=0)
    with st.container(border=True):
        st.header("Repeat purchases", anchor=False, help="Customers by the number of their orders in this period.")
        lines = [
            Line(
                [
                    Cell(
                        f"{count}{' or more' if count == last == data.MOST_REPEATS else ''} order{'s' * (count > 1)}",
                        share=customers / whole,
                    ),
                    f"{customers:,}",
                    formatting.percent(formatting.ratio(customers, whole)),
                ]
            )
            for count, customers in found.items()
        ]
        table("Repeat purchases", [Column(""), Column("Customers", True), Column("Share", True)], lines, key="repeats")


def _ranking(shown: Shown) -> None:
    found = data.customers(shown.orders, shown.span, shown.conditions, access.masked(shown.orders), MOST)
    with st.container(border=True):
        st.header(
            "Who spent most", anchor=False,
            help="What their orders of the period came to, before returns. Pick one to see the orders.",
        )  # fmt: skip
        lines = [
            Line(
                [
                    Cell(
                        each.name or each.email or "Unnamed",
                        more=f"{each.orders:,} orders, last {formatting.day(each.last)}",
                    ),
                    each.email,
                    f"{each.orders:,}",
                    formatting.day(each.first),
                    formatting.day(each.last),
                    "–" if isinstance(each.spent, Absent) else formatting.money(each.spent, shown.currency),
                ],
                id=next((said for said in (each.email, each.name) if said not in ("", MASK)), None),
            )
            for each in found
        ]
        columns = [Column("Customer"), Column("E-mail", wide=True), Column("Orders", True, True),
                   Column("First", wide=True), Column("Last", wide=True), Column("Spent", True)]  # fmt: skip
        if picked := table("Who spent most", columns, lines, key="customers", on_pick=lambda _: None):
            go("orders", q=picked)


def _cohorts(shown: Shown) -> None:
    found = data.cohorts(shown.orders, shown.conditions)
    if not found:
        return
    with st.container(border=True):
        st.header(
            "Do they come back?", anchor=False,
            help="A row holds the customers whose first order under these filters was in that month, whatever the "
            "period above; a column the share of them that ordered in each month after it.",
        )  # fmt: skip
        months = max(len(cohort.ordered) for cohort in found)
        columns = [Column("First order"), Column("Customers", True),
                   *(Column(f"+{i}", True, i > 4) for i in range(1, min(months, 12)))]  # fmt: skip
        rates = [formatting.ratio(count, cohort.customers) for cohort in found for count in cohort.ordered[1:12]]
        most = max(rates, default=Decimal(0)) or Decimal(1)
        lines = []
        for cohort in found:
            shares = [formatting.ratio(count, cohort.customers) for count in cohort.ordered[1:12]]
            cells = [Cell(formatting.percent(share, 0), heat=float(share / most)) for share in shares]
            blank = [""] * (len(columns) - 2 - len(cells))
            lines.append(Line([f"{formatting.month(cohort.first)}", f"{cohort.customers:,}", *cells, *blank]))
        table("Do they come back?", columns, lines, key="cohorts")
