"""Lifetime value by cohort: what a customer has spent on average, month by month after the first order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import streamlit as st

from cache.analytics.customers.lifetime_value import CohortValue, average_value
from cache.analytics.metrics import METRICS, Metric
from cache.calendar.periods import unit_start, units_later
from dashboard import data
from dashboard.address import parameter, set_parameter
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import message
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting

METRIC = "metric"  # parameter of the address
_METRICS = ("net_sales", "total_sales", "gross_sales")


def lifetime_value(session: Session, selection: Selection) -> None:
    """Draws it."""
    metrics = {name: METRICS[name] for name in _METRICS if METRICS[name].available(selection.orders.missing)}
    if not metrics:
        message("note", "The table has no amounts that customers could have spent.")
        return
    metric = metrics.get(parameter(METRIC), next(iter(metrics.values())))
    known_until = selection.calendar.known_until
    current = unit_start("month", known_until, selection.calendar.week_start)
    # By the month, so that a refresh within it asks the same.
    cohorts = data.lifetime_values(selection.orders, metric, current, selection.conditions, selection.returns)
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="value_head"):
            st.header(
                "Lifetime value by month of the first order",
                anchor=False,
                width="stretch",
                help="The customers whose first order under these filters was in one month, and what each of them has "
                "spent on average by the end of that month (+0), of the next one (+1), and so on: "
                f"{metric.label.lower()} so far ÷ customers of the month, also those who did not order again. The last "
                "row is the average of all customers in months that are over. The period above does not apply.",
            )
            _choice(list(metrics), metric)
        draw_marks(session, replace(selection, span=None, compared_span=None), metric.id, "customers")
        if not cohorts:
            st.caption("No customer placed a first order in the last twelve months.")
            return
        months = max(len(cohort.amounts) for cohort in cohorts)
        highest = max((value for cohort in cohorts if (value := cohort.value(len(cohort.amounts) - 1))), default=None)
        columns = [Column("First order"), Column("Customers", True), *(Column(f"+{i}", True) for i in range(months))]
        lines = [_line(selection, cohort, months, highest or Decimal(1), current) for cohort in cohorts]
        lines.append(_average(selection, cohorts, months, current))
        table("Lifetime value", columns, lines, key="lifetime_value", exported=True)
        if any(units_later("month", cohort.first, len(cohort.amounts) - 1) == current for cohort in cohorts):
            st.caption(f"\\* So far: {formatting.month(current)} is not over.")


def _choice(names: Sequence[str], metric: Metric) -> None:
    set_value("value_metric", metric.id)
    with st.container(key="value_of", width="content"):
        st.segmented_control(
            "Figure",
            names,
            key="value_metric",
            required=True,
            label_visibility="collapsed",
            format_func=lambda name: METRICS[name].label,
            on_change=lambda: set_parameter(METRIC, st.session_state["value_metric"]),
        )


def _line(selection: Selection, cohort: CohortValue, months: int, highest: Decimal, current: datetime) -> Line:
    cells: list[str | Cell] = []
    for later in range(months):
        value = cohort.value(later)
        if value is None:
            cells.append("")
            continue
        mark = "*" if units_later("month", cohort.first, later) == current else ""
        text = f"{formatting.money(value, selection.currency)}{mark}"
        cells.append(Cell(text, heat=float(max(value / highest, Decimal(0))), value=_cents(value)))
    mark = "*" if cohort.first == current else ""
    return Line([f"{formatting.month(cohort.first)}{mark}", f"{cohort.customers:,}", *cells])


def _average(selection: Selection, cohorts: Sequence[CohortValue], months: int, current: datetime) -> Line:
    cells: list[str | Cell] = []
    for later in range(months):
        value = average_value(cohorts, later, current)
        text = "" if value is None else formatting.money(value, selection.currency)
        cells.append(Cell(text, value=None if value is None else _cents(value)))
    customers = sum(cohort.customers for cohort in cohorts)
    return Line(["Average", f"{customers:,}", *cells], look="strong")


def _cents(value: Decimal) -> Decimal:
    """An average as it is copied: to a hundredth of a cent."""
    return round(value, 4)
