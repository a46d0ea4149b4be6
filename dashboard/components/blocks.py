"""What pages are made of: cards of figures, how total sales adds up, breakdowns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

import streamlit as st

from cache.analytics.figures import Figures, Group, Returns
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.orders import Orders
from cache.analytics.values import Absent, Amount
from dashboard import formatting
from dashboard.components.cards import Card
from dashboard.components.table import Cell, Column, Line, table
from dashboard.formatting import Tone
from dashboard.metric_text import LARGE, change, write

SLICES = 6


def card(
    metric: Metric,
    now: Figures,
    before: Figures | None,
    currency: str,
    returns: Returns,
    lines: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Card:
    """A figure with its change; a change counts as good or bad only where it is notable.

    Parameters: `lines` are the figure over time, and that of the compared period.
    """
    value, past = metric.value(now), metric.value(before) if before else Absent.NOT_REQUESTED
    text, notable = change(value, past, metric.unit == "rate")
    tone: Tone = "gray"
    if text and notable and metric.better != "neither":
        tone = "green" if (text[0] == "+") == (metric.better == "more") else "red"
    return Card(
        metric.id,
        metric.label,
        write(metric, value, currency),
        metric.description(returns),
        text,
        tone,
        "" if isinstance(past, Absent) else f"from {write(metric, past, currency)}",
        *lines,
    )


def summary(orders: Orders, now: Figures, before: Figures | None, currency: str, returns: Returns) -> None:
    """How total sales adds up."""
    lines = []
    for label, figure, sign, strong in (
        ("Gross sales", "gross_sales", 1, False),
        ("Discounts", "discounts", -1, False),
        ("Returns", "returns", -1, False),
        ("Net sales", "net_sales", 1, True),
        ("Shipping", "shipping", 1, False),
        ("Taxes", "taxes", 1, False),
        ("Duties, tips, rounding", "other", 1, False),
        ("Total sales", "total_sales", 1, True),
    ):
        value: Amount = getattr(now, figure)
        if isinstance(value, Absent) or (figure == "other" and not value):
            continue
        delta, _ = change(value, getattr(before, figure) if before else Absent.NOT_REQUESTED)
        amount = formatting.money(sign * value, currency)
        lines.append(Line([label, amount, delta], look="strong" if strong else ""))
    if not lines:
        return
    with st.container(border=True, height="stretch"):
        formulas = [METRICS[name] for name in ("gross_sales", "net_sales", "total_sales")]
        told = [f"{each.label}: {each.description(returns)}" for each in formulas if each.available(orders.missing)]
        st.header("How total sales adds up", anchor=False, help="\n\n".join(told) or None)
        columns = [Column(""), Column("Amount", number=True), Column("Change", number=True)]
        table("How total sales adds up", columns, lines, key="summary")


def breakdown(
    title: str,
    slices: Sequence[Group],
    currency: str,
    written: Callable[[str], str],
    chosen: Collection[str],
    on_pick: Callable[[str], None],
) -> None:
    """Total sales (orders, where the table tells no sales) by a dimension; picking a row filters by it."""

    def size(part: Group) -> Decimal:
        sales = part.figures.total_sales
        return Decimal(part.figures.orders) if isinstance(sales, Absent) else sales

    whole = sum((max(size(part), Decimal(0)) for part in slices), Decimal(0))
    large = any(size(part) >= LARGE for part in slices)
    shown = [part for i, part in enumerate(slices) if i < SLICES or part.values[0] in chosen]
    rest = [part for part in slices if part not in shown]

    def line(text: str, parts: Sequence[Group], id: str | None) -> Line:
        amount = sum((size(part) for part in parts), Decimal(0))
        share = amount / whole if whole else Decimal(0)
        sales = (
            f"{amount:,}"
            if isinstance(parts[0].figures.total_sales, Absent)
            else formatting.money(amount, currency, large)
        )
        cells: list[str | Cell] = [
            Cell(text, share=float(share)),
            f"{sum(part.figures.orders for part in parts):,}",
            sales,
            formatting.percent(share),
        ]
        return Line(cells, id, id in chosen if id is not None else None, "" if id is not None else "quiet")

    lines = [line(written(part.values[0]), [part], part.values[0]) for part in shown]
    if rest:
        lines.append(line(f"{len(rest)} more", rest, None))
    with st.container(border=True, height="stretch"):
        st.header(title, anchor=False)
        if not lines:
            st.caption("No orders in this period.")
            return
        columns = [
            Column(""),
            Column("Orders", number=True),
            Column("Sales", number=True),
            Column("Share", number=True),
        ]
        table(title, columns, lines, key=title, on_pick=on_pick)
