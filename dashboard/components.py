"""What pages are made of: cards of figures, how total sales adds up, breakdowns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

import streamlit as st

from cache.analytics import Figures, Group
from dashboard import words
from dashboard.table import Cell, Column, Line, table

SLICES = 6
LARGE = 10_000  # from here on, cents would only be in the way
SMALL, SMALL_RATE = Decimal("0.01"), Decimal("0.005")  # smaller changes are not coloured
_REFUNDS = "Returns count on the day of the refund."


def cards(now: Figures, before: Figures | None, currency: str) -> None:
    """The main figures, each with its change against the period before."""
    with st.grid(4, min_column_width=150):
        for label, figure, formula in (
            (
                "Total sales",
                "total_sales",
                f"Net sales + shipping + taxes, cancelled and unpaid orders included. {_REFUNDS}",
            ),
            ("Orders", "orders", "Orders placed, cancelled and unpaid ones included, test orders not."),
            ("Average order value", "average_order_value", "(Gross sales − discounts) ÷ orders."),
            ("Refund rate", "refund_rate", f"Orders with a refund ÷ orders. {_REFUNDS}"),
        ):
            value: Decimal | int | None = getattr(now, figure)
            if value is None and now.orders:
                continue  # the table cannot tell it; a line at the foot says why
            rate = figure == "refund_rate"
            delta, coloured = change(value, getattr(before, figure) if before else None, rate)
            st.metric(
                label,
                _written(value, figure, currency),
                delta,
                delta_arrow="off" if delta and delta.startswith("0.0") else "auto",
                delta_color="off" if not coloured else "inverse" if rate else "normal",
                help=formula,
                border=True,
            )


def _written(value: Decimal | int | None, figure: str, currency: str) -> str:
    if value is None:
        return "–"
    if figure == "orders":
        return f"{value:,}"
    return (
        words.percent(Decimal(value))
        if figure == "refund_rate"
        else words.money(Decimal(value), currency, value >= LARGE)
    )


def change(now: Decimal | int | None, before: Decimal | int | None, rate: bool = False) -> tuple[str | None, bool]:
    """The change in words ("+9.5%", for rates "+0.4 pts"; None: nothing to compare with), and whether it is notable."""
    if now is None or before is None or (not rate and before <= 0):
        return None, False
    if rate:
        points = Decimal(now) - Decimal(before)
        return f"{_signed(points * 100)} pts", abs(points) >= SMALL_RATE
    ratio = Decimal(now) / Decimal(before) - 1
    return f"{_signed(ratio * 100)}%", abs(ratio) >= SMALL


def _signed(number: Decimal) -> str:
    text = f"{number:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text


def summary(now: Figures, before: Figures | None, currency: str) -> None:
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
        value: Decimal | None = getattr(now, figure)
        if value is None or (figure == "other" and not value):
            continue
        delta, _ = change(value, getattr(before, figure) if before else None)
        amount = words.money(sign * value, currency)
        lines.append(Line([label, amount, delta or ""], look="strong" if strong else ""))
    with st.container(border=True, height="stretch"):
        st.header(
            "How total sales adds up",
            anchor=False,
            help="Gross sales: price × quantity, as the order's subtotal + discounts. Tax that prices include stays in "
            f"them. {_REFUNDS}",
        )
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
        return Decimal(part.figures.orders) if sales is None else sales

    whole = sum((max(size(part), Decimal(0)) for part in slices), Decimal(0))
    large = any(size(part) >= LARGE for part in slices)
    shown = [part for i, part in enumerate(slices) if i < SLICES or part.values[0] in chosen]
    rest = [part for part in slices if part not in shown]

    def line(text: str, parts: Sequence[Group], id: str | None) -> Line:
        amount = sum((size(part) for part in parts), Decimal(0))
        share = amount / whole if whole else Decimal(0)
        sales = f"{amount:,}" if parts[0].figures.total_sales is None else words.money(amount, currency, large)
        cells: list[str | Cell] = [
            Cell(text, share=float(share)),
            f"{sum(part.figures.orders for part in parts):,}",
            sales,
            words.percent(share),
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
