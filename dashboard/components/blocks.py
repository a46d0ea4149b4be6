"""What pages are made of: a card for a figure, how total sales adds up, and breakdowns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

import streamlit as st

from cache.analytics.figures import Figures, Group, Returns
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.values import Absent, Amount
from dashboard.components.cards import Card, Sparkline, cards
from dashboard.components.marks import MarkLink, draw_marks, mark_links, open_mark
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.formatting import Tone
from dashboard.text.metrics import LARGE, change, write

MAX_SLICES = 6  # of a breakdown; the others are added up
MAX_INNER = 200  # of the others, which are shown when their sum is picked

# How total sales adds up: label, name in Figures, sign, and whether it is a total.
_SUMMARY = (
    ("Gross sales", "gross_sales", 1, False),
    ("Discounts", "discounts", -1, False),
    ("Returns", "returns", -1, False),
    ("Cancellations", "cancellations", -1, False),
    ("Net sales", "net_sales", 1, True),
    ("Adjustments", "adjustments", 1, False),
    ("Shipping", "shipping", 1, False),
    ("Taxes", "taxes", 1, False),
    ("Duties", "duties", 1, False),
    ("Additional fees", "fees", 1, False),
    ("Tips", "tips", 1, False),
    ("Total sales", "total_sales", 1, True),
)
_RARE = ("cancellations", "adjustments", "duties", "fees", "tips")  # left out where they are 0


def card(
    metric: Metric,
    now: Figures,
    compared: Figures | None,
    currency: str,
    returns: Returns,
    line: Sparkline | None = None,
    marks: Sequence[MarkLink] = (),
) -> Card:
    """A figure with its change. The change is coloured only where it is large enough to matter, and can be judged.

    Args:
        metric: The figure.
        now: Figures of the period.
        compared: Figures of the compared period; None where nothing is compared.
        currency: The currency of amounts.
        returns: The date that refunds count on.
        line: The figure over time; None for no small line.
        marks: What is wrong with orders behind the figure.
    """
    value = metric.value(now)
    before = metric.value(compared) if compared else Absent.NOT_REQUESTED
    text, notable = change(value, before, metric.unit == "rate")
    tone: Tone = "gray"
    if notable and metric.better != "neither" and compared and metric.comparable(now, compared):
        tone = "green" if (text[0] == "+") == (metric.better == "more") else "red"
    note = metric.note(now)
    return Card(
        metric.id,
        f"{metric.label} ({note})" if note else metric.label,
        write(metric, value, currency),
        metric.description(returns),
        text,
        tone,
        "" if isinstance(before, Absent) else f"from {write(metric, before, currency)}",
        line,
        marks,
        "" if isinstance(value, Absent) else formatting.exact(value),
    )


def metric_cards(
    session: Session,
    selection: Selection,
    label: str,
    names: Sequence[str],
    key: str,
    on_pick: Callable[[str], None],
    units: bool = False,
) -> None:
    """Draws a row of figures, each with its change and its marks; without those that the table cannot tell.

    Args:
        session: The session.
        selection: The orders of the page.
        label: What the row shows, for screen readers.
        names: The figures.
        key: Streamlit's key of the row.
        on_pick: Called with the figure that the visitor picked.
        units: Whether units are among the figures.
    """
    now, compared = selection.figures(units), selection.compared_figures(units)
    metrics = [METRICS[name] for name in names if METRICS[name].available(selection.orders.missing)]
    shown = [
        card(each, now, compared, selection.currency, selection.returns, marks=mark_links(selection, each.id))
        for each in metrics
    ]
    cards(label, shown, key=key, on_pick=on_pick, on_mark=partial(open_mark, session))


def summary(session: Session, selection: Selection, on_pick: Callable[[str], None]) -> None:
    """Draws how total sales adds up.

    Args:
        session: The session.
        selection: The orders.
        on_pick: Called with the metric of the row that the visitor picks.
    """
    now, compared = selection.figures(), selection.compared_figures()
    lines, shown = [], []
    for label, name, sign, is_total in _SUMMARY:
        value: Amount = getattr(now, name)
        if isinstance(value, Absent) or (name in _RARE and not value):
            continue
        text, _ = change(value, getattr(compared, name) if compared else Absent.NOT_REQUESTED)
        if note := METRICS[name].note(now):
            label = f"{label} ({note})"
        notes = {link.compared: link.size or "not certain" for link in mark_links(selection, name)}
        cells: list[str | Cell] = [
            label,
            Cell(formatting.money(sign * value, selection.currency), note=notes.get(False, ""), value=sign * value),
            Cell(text, note=notes.get(True, "") if text else ""),
        ]
        shown.append(name)
        lines.append(Line(cells, name, look="strong" if is_total else ""))
    if not lines:
        return
    with st.container(border=True):
        metrics = [METRICS[name] for name in ("gross_sales", "net_sales", "total_sales")]
        missing = selection.orders.missing
        formulas = [
            f"{each.label}: {each.description(selection.returns)}" for each in metrics if each.available(missing)
        ]
        st.header("How total sales adds up", anchor=False, help="\n\n".join(formulas) or None)
        draw_marks(session, selection, *reversed(shown))
        columns = [Column(""), Column("Amount", number=True), Column("Change", number=True)]
        table("How total sales adds up", columns, lines, key="summary", on_pick=on_pick, exported=True)


def breakdown(
    session: Session,
    selection: Selection,
    title: str,
    slices: Sequence[Group],
    write_code: Callable[[str], str],
    selected: Collection[str],
    on_pick: Callable[[str], None],
) -> None:
    """Draws total sales by a dimension, with their total. Where the table has no totals, orders are counted.

    Shares are of the total. A slice with more returns than sales has a negative one.

    Args:
        session: The session.
        selection: The orders.
        title: The title.
        slices: A group for each value of the dimension, the largest first.
        write_code: Writes a value of the dimension as text.
        selected: The values that the filter lets through.
        on_pick: Called with the value of the row that the visitor picks.
    """
    whole = sum(map(_size, slices), Decimal(0))
    large = any(_size(part) >= LARGE for part in slices)
    few = len(slices) <= MAX_SLICES + 1  # "1 more" would take the row of the one that it hides
    shown = [part for i, part in enumerate(slices) if few or i < MAX_SLICES or part.values[0] in selected]
    others = [part for part in slices if part not in shown]

    def line(
        text: str, parts: Sequence[Group], id: str | None = None, look: str = "", inner: Sequence[Line] = ()
    ) -> Line:
        amount = sum(map(_size, parts), Decimal(0))
        share = amount / whole if whole > 0 else None
        has_sales = not isinstance(parts[0].figures.total_sales, Absent)
        cells: list[str | Cell] = [
            Cell(text, share=None if look == "strong" else float(share or 0)),
            f"{sum(part.figures.orders for part in parts):,}",
            Cell(formatting.money(amount, selection.currency, large), value=amount) if has_sales else f"{amount:,}",
            "–" if share is None else Cell(formatting.percent(share), value=share),
        ]
        return Line(cells, id, id in selected if id is not None else None, look, inner)

    def line_of(part: Group) -> Line:
        return line(write_code(part.values[0]), [part], part.values[0])

    lines = [line_of(part) for part in shown]
    if others:
        inner = [line_of(part) for part in others[:MAX_INNER]]
        lines.append(line(f"{len(others)} more", others, look="quiet", inner=inner))
    if len(slices) > 1:
        lines.append(line("Total", slices, look="strong"))
    with st.container(border=True):
        st.header(title, anchor=False)
        draw_marks(session, replace(selection, compared_span=None), "total_sales", "orders")
        if not lines:
            st.caption("No orders in this period.")
            return
        columns = [Column(""), *(Column(label, number=True) for label in ("Orders", "Total sales", "Share"))]
        table(title, columns, lines, key=title, on_pick=on_pick, exported=True)


def _size(group: Group) -> Decimal:
    """What the slices of a breakdown are measured in."""
    sales = group.figures.total_sales
    return Decimal(group.figures.orders) if isinstance(sales, Absent) else sales
