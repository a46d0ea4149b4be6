"""The chart of the overview: a figure over time, with its goal, notes, and what the month comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NoReturn, cast

import streamlit as st

from cache.analytics.metrics import METRICS, Metric
from cache.analytics.values import Absent, Value
from cache.calendar.periods import Span, Unit
from cache.calendar.steps import STEPS, Bucket, buckets, default_step, step_choices
from dashboard import data
from dashboard.address import parameter, set_parameter
from dashboard.components import charts
from dashboard.components.marks import draw_marks
from dashboard.components.table import Cell, Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.messages import says_why_it_fails
from dashboard.pages.overview import time_chart
from dashboard.pages.overview.plan import ChartPlan, editor, month_progress
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import change, write
from dashboard.text.periods import bucket_text, date_range

_CHARTED = ("total_sales", "net_sales", "orders", "average_order_value")
MAX_POINTS = 40  # of the chart, which its table shows at first
METRIC, STEP = "metric", "step"  # parameters of the address, as on Explore


@st.fragment
@says_why_it_fails
def over_time(session: Session, selection: Selection, span: Span) -> None:
    """Draws the chart and its table.

    Args:
        session: The session.
        selection: The orders of the page.
        span: Their period.
    """
    metrics = {name: METRICS[name] for name in _CHARTED if METRICS[name].available(selection.orders.missing)}
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", key="chart_head"):
            st.header("Over time", anchor=False, width="stretch")
            name = _choice("Figure", METRIC, list(metrics), next(iter(metrics)), lambda name: metrics[name].label)
            steps = step_choices(span, selection.calendar)
            chosen = _choice("By", STEP, steps, default_step(span), lambda name: STEPS[cast(Unit, name)].label)
        metric, step = metrics[name], cast(Unit, chosen)
        draw_marks(session, selection, metric.id)
        plan = ChartPlan.of(session, selection, metric)
        month_progress(selection, span, plan)
        axis = charts.TimeAxis.of(step, span, selection.calendar)
        series = series_of(selection, step, span)
        then = series_of(selection, step, selection.compared_span) if selection.compared_span else None
        days = [date_range(each) for each in (span, selection.compared_span) if each]
        extras = plan.extras(axis)
        rows, spec = time_chart.over_time(axis, series.groups, then, metric, selection.currency, days, extras)
        clicked = st.vega_lite_chart(
            rows,
            spec,
            width="stretch",
            alt=f"{metric.label} over time, {', compared with '.join(days)}.",
            key=f"over_time {metric.id} {step}",
            on_select="rerun",
            selection_mode=time_chart.PICKED,
        )
        if picked := clicked.selection.get(time_chart.PICKED):
            _open_orders(session, step, _bucket(axis, picked[0]["from"]))
        if notes := plan.notes_text(span):
            st.caption(notes)
        shown = st.expander("As a table", key="chart_data", on_change="rerun")
        if shown.open:
            with shown:
                picked_row = _chart_table(selection, axis, metric, series, then, extras)
            if picked_row:
                _open_orders(session, step, _bucket(axis, picked_row))
        editor(session, selection, span, plan)


def series_of(
    selection: Selection, step: Unit, span: Span, customers: bool = False, units: bool = False
) -> charts.Series:
    """Figures of the selected orders by time. `customers` and `units` say whether to count these."""
    arguments = selection.conditions, selection.returns
    groups = data.series(selection.orders, step, span, *arguments, (), customers, units)
    return charts.Series(buckets(step, span, selection.calendar), groups)


def _chart_table(
    selection: Selection,
    axis: charts.TimeAxis,
    metric: Metric,
    series: charts.Series,
    then: charts.Series | None,
    extras: time_chart.Extras,
) -> str | None:
    """Draws the points of the chart as a table, which the keyboard reaches.

    Returns:
        The begin of the bucket that the visitor picked in the run before, else None.
    """
    currency, compared = selection.currency, selection.compared_figures()
    numbers, before = series.numbers(metric), then.numbers(metric) if then else []
    columns = [Column(STEPS[axis.step].label), Column(metric.label, number=True)]
    if compared:
        columns += [Column("Compared with", wide=True), Column("Then", number=True), Column("Change", number=True)]
    if extras.has_goals:
        columns += [Column("Goal", number=True), Column("Reached", number=True)]
    if extras.has_notes:
        columns.append(Column("Notes"))
    lines = []
    for i, (bucket, number) in enumerate(zip(axis.buckets, numbers, strict=True)):
        cells: list[str | Cell] = [bucket_text(axis.step, bucket), _number(metric, number, currency)]
        if compared and then:
            old = before[i] if i < len(before) else Absent.NOT_REQUESTED
            day = bucket_text(axis.step, then.buckets[i]) if i < len(before) else "–"
            text = change(number, old, metric.unit == "rate")[0] or "–"
            cells += [day, _number(metric, old, currency), text]
        if extras.has_goals:
            cells += _reached(metric, number, extras.goals[i], currency)
        if extras.has_notes:
            cells.append(extras.notes[i])
        lines.append(Line(cells, id=bucket.start.isoformat()))
    now = metric.value(selection.figures())
    total: list[str | Cell] = ["Whole period", _number(metric, now, currency)]
    if compared:
        old = metric.value(compared)
        total += ["", _number(metric, old, currency), change(now, old, metric.unit == "rate")[0] or "–"]
    if extras.has_goals:
        goals = [goal for goal in extras.goals if goal is not None]
        whole = sum(goals, Decimal(0)) if len(goals) == len(extras.goals) else None
        total += _reached(metric, now, whole, currency)
    if extras.has_notes:
        total.append("")
    lines.append(Line(total, look="strong"))
    return table(
        "Over time", columns, lines, key="chart_points", on_pick=lambda _: None, shown=MAX_POINTS, exported=True
    )


def _reached(metric: Metric, value: Value, goal: Decimal | None, currency: str) -> list[str | Cell]:
    """The cells of a goal, and of the part of it that a value is."""
    if goal is None or isinstance(value, Absent):
        return ["–", "–"]
    part = Decimal(value) / goal
    return [_number(metric, time_chart.rounded(metric, goal), currency), Cell(formatting.percent(part, 0), value=part)]


def _number(metric: Metric, value: Value, currency: str) -> Cell:
    exact = None if isinstance(value, Absent) else Decimal(value)
    return Cell(write(metric, value, currency, whole=False), value=exact)


def _bucket(axis: charts.TimeAxis, start: str) -> Bucket:
    """The bucket that begins at an instant in ISO 8601."""
    at = datetime.fromisoformat(start)
    return next(bucket for bucket in axis.buckets if bucket.start == at)


def _choice(label: str, name: str, options: Sequence[str], usual: str, write: Callable[[str], str]) -> str:
    """Draws a choice of one option. It is in the address, unless it is the usual one."""

    def put() -> None:
        set_parameter(name, "" if st.session_state[name] == usual else st.session_state[name])

    requested = parameter(name, usual)
    set_value(name, requested if requested in options else usual)
    st.segmented_control(
        label,
        options,
        required=True,
        key=name,
        label_visibility="collapsed",
        format_func=write,
        wrap=True,
        on_change=put,
    )
    return str(st.session_state[name])


def _open_orders(session: Session, step: Unit, bucket: Bucket) -> NoReturn:
    """Opens the orders behind a point of the chart: those of its hour or of its days, as far as the period has them."""
    first, last = bucket.counted.start, bucket.counted.end - datetime.resolution
    hour = {"hour": str(first.hour)} if step == "hour" else {}
    days = {"from": first.date().isoformat(), "to": last.date().isoformat()}
    session.navigator.go("orders", **{"period": "custom", **days, **hour})
