"""What the reading of the table leaves open: each answer with the figures that it gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from cache.analytics.metrics import METRICS
from cache.analytics.orders import Orders
from cache.errors import CacheError
from cache.reading import QUESTIONS, Question
from dashboard.components.table import Cell, Column, Line, table
from dashboard.messages import message
from dashboard.question_options import Option, Outcome, options, outcome
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import write

_COLUMNS = (
    Column("Answer"),
    Column("Orders", number=True),
    Column("Total sales", number=True),
    Column("First order", wide=True),
    Column("Last order", wide=True),
)


def open_question(
    session: Session,
    orders: Orders,
    question: Question,
    chosen: Any = None,
    on_pick: Callable[[Any], None] | None = None,
) -> None:
    """Draws a question and, in a table, what each answer gives.

    Args:
        session: The session.
        orders: The generation.
        question: The question.
        chosen: The value of the answer that is chosen in Settings.
        on_pick: Called with the value of the answer that the visitor picks; None where the table takes no picks.
    """
    message("warning", QUESTIONS[question])
    listed = options(orders, question)
    try:
        outcomes = [outcome(session, orders, option) for option in listed]
    except CacheError as error:
        message("error", str(error))
        return
    lines = [
        Line(_cells(option, each), option.text, option.value == chosen) if on_pick else Line(_cells(option, each))
        for option, each in zip(listed, outcomes, strict=True)
    ]

    def pick(text: str) -> None:
        if on_pick:
            on_pick(next(option.value for option in listed if option.text == text))

    table(QUESTIONS[question], _COLUMNS, lines, key=f"answers_{question}", on_pick=pick)
    notes = [f"Figures of the newest {outcomes[0].rows:,} rows."] if _rows(orders, outcomes[0]) else []
    notes += ["Select an answer to try it. It counts once you save."] if on_pick else []
    if notes:
        st.caption(" ".join(notes))


def _cells(option: Option, outcome: Outcome) -> list[str | Cell]:
    first, last = (formatting.moment(at) if at else "–" for at in (outcome.first, outcome.last))
    return [Cell(option.text, more=f"{first} – {last}"), f"{outcome.orders:,}", _sales(outcome), first, last]


def summary(session: Session, orders: Orders) -> str:
    """The open questions in one line of Markdown, each with its answers and what they give."""
    parts = ["**Figures are not confirmed.**"]
    for question in orders.reading.questions:
        listed = options(orders, question)
        outcomes = [outcome(session, orders, option) for option in listed]
        texts = "; ".join(f"{option.text}: {_short(each)}" for option, each in zip(listed, outcomes, strict=True))
        parts.append(formatting.literal(f"{QUESTIONS[question]} {_rows(orders, outcomes[0])}{texts}."))
    return " ".join(parts)


def _short(outcome: Outcome) -> str:
    """Such as "120 orders, $4,950.00, 3 Jan 2025 – 12 Dec 2025"."""
    text = f"{formatting.counted(outcome.orders, 'order')}, {_sales(outcome)}"
    if outcome.first and outcome.last:
        text += f", {formatting.day(outcome.first)} – {formatting.day(outcome.last)}"
    return text


def _rows(orders: Orders, outcome: Outcome) -> str:
    """Which rows figures are of; "" where they are of all rows."""
    return "" if outcome.rows == orders.rows else f"In the newest {formatting.counted(outcome.rows, 'row')}: "


def _sales(outcome: Outcome) -> str:
    return write(METRICS["total_sales"], outcome.total_sales, outcome.currency, whole=False)
