"""The page: choices, a picture and a table."""

from __future__ import annotations

import streamlit as st

from cache.analytics.breakdowns.pivot import Pivot
from dashboard import frame
from dashboard.components.marks import draw_marks
from dashboard.components.no_orders import nothing_found
from dashboard.pages.explore.pictures import picture
from dashboard.pages.explore.pivot_table import pivot_table, time_table
from dashboard.pages.explore.question import Question, chart_choice, controls, question_in_address
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import TAX_RATE_NOTE


def explore(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Explore")
    if selection is None:
        return
    question = question_in_address(selection)
    controls(question)
    now = selection.figures(question.metric.units)
    if note := question.metric.note(now):
        st.caption(formatting.plain(f"{question.metric.label}: {note}."))
    if now.found:
        _answer(session, question)
    else:
        nothing_found(session, selection)
    frame.foot(selection)


def _answer(session: Session, question: Question) -> None:
    pivot = question.table()
    if question.chart != "none":
        with st.container(border=True, key=f"explored_chart {question.chart}"):
            with st.container(horizontal=True, vertical_alignment="center", key="picture_head"):
                st.header(formatting.literal(question.title), anchor=False, width="stretch")
                chart_choice(question)
            draw_marks(session, question.selection, question.metric.id)
            picture(session, question, pivot)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="table_head"):
            title = question.title if question.chart == "none" else "As a table"
            st.header(formatting.literal(title), anchor=False, width="stretch")
            if question.chart == "none":
                chart_choice(question)
        draw_marks(session, question.selection, *(metric.id for metric in question.metrics))
        if note := _note(question, pivot):
            st.caption(formatting.plain(note))
        (time_table if question.step else pivot_table)(session, question, pivot)


def _note(question: Question, pivot: Pivot) -> str:
    """What has to be known about rows and totals."""
    orders = question.selection.orders
    levels = {orders.dimension(name).level for name in (question.rows, question.columns) if name}
    sentences = []
    if "line" in levels:
        sentences.append(
            "An order counts in each row of which it has a line item, with the money of these items. Shipping, taxes, "
            "discounts of whole orders and refunds that list no items belong to none of them."
        )
    if "tax" in levels:
        sentences.append(TAX_RATE_NOTE)
    if "list" in levels:
        sentences.append("An order with several tags counts in each of them, and once in the total.")
    return " ".join(sentences)
