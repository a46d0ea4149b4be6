"""Retention by cohort: the share of the customers of each month who ordered again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import streamlit as st

from cache.analytics.rankings import Cohort
from cache.calendar.periods import unit_start, units_later
from dashboard import data
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting

MAX_MONTHS = 11  # after the first order


def retention(session: Session, selection: Selection) -> None:
    """Draws it."""
    current = unit_start("month", selection.calendar.known_until, selection.calendar.week_start)
    cohorts = data.cohorts(selection.orders, current, selection.conditions)
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
        if any(_mark(cohort, len(cohort.ordered) - 1, current) for cohort in cohorts):
            st.caption(f"\\* So far: {formatting.month(current)} is not over.")


def _mark(cohort: Cohort, later: int, current: datetime) -> str:
    """A mark for the month in progress, so many months after the first of a cohort."""
    return "*" if units_later("month", cohort.first, later) == current else ""


def _shares(cohort: Cohort) -> list[Decimal]:
    """The share of customers who ordered again, month by month after the first."""
    return [formatting.ratio(count, cohort.customers) for count in cohort.ordered[1 : MAX_MONTHS + 1]]
