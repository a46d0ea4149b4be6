"""Marks at figures: what is wrong with orders behind a figure, as links to these orders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

from cache.analytics.marks import Mark, mark_of
from cache.analytics.metrics import METRICS
from cache.calendar.periods import Span
from dashboard import data
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import checks, formatting
from dashboard.view import custom_period

CHECK, CHECK_CURRENCY = "check", "check_currency"
"""Parameters of the address of Orders: a check that its orders fail, and the currency that these may be in."""


@dataclass(frozen=True)
class MarkLink:
    """A mark at a figure, and the page that shows the orders behind it.

    Attributes:
        text: The mark in words.
        size: By how much the figure may be wrong; "" where it cannot be told.
        compared: Whether it is of the compared period.
        path: The page.
        parameters: Further parameters of its address.
    """

    text: str
    size: str
    compared: bool
    path: str
    parameters: Mapping[str, str]


def mark_links(selection: Selection, metric: str) -> list[MarkLink]:
    """The marks of a figure: of the period, then of the compared one. Figures of healthy data have none."""
    spans = [(False, selection.span)]
    if selection.compared_span:
        spans.append((True, selection.compared_span))
    return [
        _link(selection, mark, metric, span if compared else None)
        for compared, span in spans
        if (mark := mark_of(metric, data.marks(selection.orders, span, selection.conditions)))
    ]


def draw_marks(session: Session, selection: Selection, *metrics: str) -> None:
    """Draws the marks of some figures that stand together, each check once.

    Args:
        session: The session.
        selection: The orders behind the figures.
        *metrics: The figures, the most important first.
    """
    links: dict[object, MarkLink] = {}
    for link in (link for metric in metrics for link in mark_links(selection, metric)):
        links.setdefault((link.path, *link.parameters.items()), link)
    if not links:
        return
    with st.container(gap=None):
        for link in links.values():
            label = f":orange[:material/warning: {formatting.literal(link.text)}]"
            session.navigator.link(link.path, label, icon="", **link.parameters)


def open_mark(session: Session, link: MarkLink) -> NoReturn:
    """Opens the page that shows the orders behind a mark."""
    session.navigator.go(link.path, **link.parameters)


def _link(selection: Selection, mark: Mark, metric: str, compared: Span | None) -> MarkLink:
    """A mark as a link. `compared` is the compared period, where it is of that."""
    about = mark, METRICS[metric], selection.currency
    text = f"{'Compared period: ' if compared else ''}{checks.mark_text(*about)}"
    if mark.check == "volume":  # the page of the checks lists its days
        return MarkLink(text, "", bool(compared), "data", {})
    parameters = {CHECK: mark.check, **(custom_period(compared) if compared else {})}
    if selection.currency and any(condition.column == "currency" for condition in selection.conditions):
        parameters[CHECK_CURRENCY] = selection.currency
    return MarkLink(text, checks.mark_size(*about), bool(compared), "orders", parameters)
