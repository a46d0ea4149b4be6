"""Explore: one figure by one or two dimensions, over time or as a whole, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cache.analytics.dimensions import DIMENSIONS, DimensionId
from cache.analytics.figures import Figures, Group
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.values import Absent, or_zero
from cache.calendar.periods import Span, Unit
from cache.calendar.steps import STEPS, default_step, step_choices
from dashboard import data, frame
from dashboard.address import parameter, parameter_values, set_parameter
from dashboard.components import charts
from dashboard.components.marks import draw_marks
from dashboard.components.table import Column, Line, table
from dashboard.components.widget_values import set_value
from dashboard.selection import Selection
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.dimensions import group_dimensions, write_code
from dashboard.text.metrics import change, write
from dashboard.text.periods import bucket_text, date_range

METRIC, BY, STEP = "metric", "by", "step"  # parameters of the address
WHOLE = "whole"  # the value of STEP for no step
MAX_DIMENSIONS = 2
MAX_LINES, MAX_BARS, MAX_ROWS = 7, 20, 100


@dataclass(frozen=True)
class _Query:
    """What is explored: a figure of a selection, by dimensions, by a step of time (None: the period as a whole)."""

    selection: Selection
    metric: Metric
    by: tuple[DimensionId, ...]
    step: Unit | None

    def groups(self, span: Span | None) -> list[Group]:
        """The figure by dimensions, the largest first."""
        selection, metric = self.selection, self.metric
        groups = data.groups(
            selection.orders,
            self.by,
            span,
            selection.conditions,
            selection.returns,
            metric.customers,
            metric.units,
        )
        return sorted(groups, key=lambda group: or_zero(metric.value(group.figures)), reverse=True)

    def series(self, step: Unit, span: Span) -> list[Group]:
        """The figure by dimensions and time."""
        selection, metric = self.selection, self.metric
        return data.series(
            selection.orders,
            step,
            span,
            selection.conditions,
            selection.returns,
            self.by,
            metric.customers,
            metric.units,
        )

    def name(self, values: tuple[str, ...]) -> str:
        """The values of the dimensions as text; the figure's name without dimensions."""
        texts = [write_code(self.selection.orders, by, value) for by, value in zip(self.by, values, strict=True)]
        return " · ".join(texts) or self.metric.label

    @property
    def title(self) -> str:
        """Such as "Orders by payment status and channel, 1 Jul – 14 Jul 2026"."""
        by = " and ".join(DIMENSIONS[name].noun for name in self.by)
        days = f", {date_range(self.selection.span)}" if self.selection.span else ""
        return f"{self.metric.label}{f' by {by}' if by else ''}{days}"


def explore(session: Session) -> None:
    """Draws the page."""
    selection = frame.page(session, "Explore")
    if selection is None:
        return
    query = _query(selection)
    _controls(query)
    now = selection.figures()
    if note := query.metric.note(now):
        st.caption(formatting.plain(f"{query.metric.label}: {note}."))
    if not now.found:
        frame.nothing_found(selection)
    elif query.step and selection.span:
        _over_time(session, query, query.step, selection.span)
    else:
        _whole(session, query)
    frame.foot(selection)


def _query(selection: Selection) -> _Query:
    """What the address asks for, as far as this table has it."""
    metrics = _metrics(selection)
    metric = metrics.get(parameter(METRIC), next(iter(metrics.values())))
    grouped = parameter_values(BY)
    by = tuple(name for name in group_dimensions(selection.orders) if name in grouped)[:MAX_DIMENSIONS]
    if not selection.span:
        return _Query(selection, metric, by, None)
    requested = parameter(STEP)
    choices = step_choices(selection.span, selection.calendar)
    step = next((each for each in choices if each == requested), default_step(selection.span))
    return _Query(selection, metric, by, None if requested == WHOLE else step)


def _metrics(selection: Selection) -> dict[str, Metric]:
    return {name: metric for name, metric in METRICS.items() if metric.available(selection.orders.missing)}


def _controls(query: _Query) -> None:
    selection = query.selection
    metrics = _metrics(selection)
    with st.container(horizontal=True, vertical_alignment="bottom", key="explored"):
        set_value(METRIC, query.metric.id)
        st.selectbox(
            "Figure",
            list(metrics),
            key=METRIC,
            format_func=lambda name: metrics[name].label,
            width=240,
            on_change=lambda: set_parameter(METRIC, st.session_state[METRIC]),
            help=query.metric.description(selection.returns),
        )
        set_value(BY, list(query.by))
        st.multiselect(
            "Group by (two at most)",
            group_dimensions(selection.orders),
            key=BY,
            format_func=lambda name: DIMENSIONS[name].label,
            max_selections=MAX_DIMENSIONS,
            placeholder="No grouping",
            width=320,
            on_change=lambda: set_parameter(BY, st.session_state[BY]),
        )
        if selection.span:
            steps = [*step_choices(selection.span, selection.calendar), WHOLE]
            set_value(STEP, query.step or WHOLE)
            st.segmented_control(
                "Over time",
                steps,
                key=STEP,
                required=True,
                format_func=lambda name: "Whole period" if name == WHOLE else STEPS[name].label,
                on_change=lambda: set_parameter(STEP, st.session_state[STEP]),
            )


def _over_time(session: Session, query: _Query, step: Unit, span: Span) -> None:
    metric, currency = query.metric, query.selection.currency
    series = query.series(step, span)
    largest = query.groups(span) if query.by else [Group((), None, Figures())]
    values = {
        query.name(group.values): {
            each.at: metric.value(each.figures) for each in series if each.values == group.values
        }
        for group in largest[:MAX_LINES]
    }
    axis = charts.TimeAxis.of(step, span, query.selection.calendar)
    with st.container(border=True, key="explored_chart"):
        st.header(formatting.literal(query.title), anchor=False)
        draw_marks(session, query.selection, metric.id)
        if len(largest) > MAX_LINES:
            st.caption(f"The {MAX_LINES} largest of {len(largest)}. *Whole period* lists all of them.")
        rows, spec = charts.lines(axis, values, metric, currency)
        alt = f"{query.title}: {', '.join(values)}."
        st.vega_lite_chart(rows, spec, width="stretch", alt=alt, key="explored_lines")
    columns = [Column(STEPS[step].label), *(Column(name, number=True) for name in values)]
    lines = [
        Line(
            [
                bucket_text(step, bucket),
                *(
                    write(metric, line.get(bucket.start, metric.empty), currency, whole=False)
                    for line in values.values()
                ),
            ]
        )
        for bucket in reversed(axis.buckets)
    ]
    _table(session, query, columns, lines, "newest first")


def _whole(session: Session, query: _Query) -> None:
    groups = query.groups(query.selection.span)
    if query.by:
        _bars(session, query, groups)
    span = query.selection.compared_span
    compared = {group.values: group.figures for group in query.groups(span)} if span else {}
    columns = [
        Column(" · ".join(DIMENSIONS[by].label for by in query.by)),
        Column("Orders", number=True, wide=True),
        Column(query.metric.label, number=True),
        Column("Compared", number=True, wide=True),
        Column("Change", number=True),
    ]
    lines = [_line(query, group, compared.get(group.values)) for group in groups]
    _table(session, query, columns, lines, "the largest first")


def _bars(session: Session, query: _Query, groups: Sequence[Group]) -> None:
    with st.container(border=True):
        st.header(formatting.literal(query.title), anchor=False)
        draw_marks(session, query.selection, query.metric.id)
        if len(groups) > MAX_BARS:
            st.caption(f"The {MAX_BARS} largest of {len(groups)}. The table lists more of them.")
        values = [(query.name(group.values), query.metric.value(group.figures)) for group in groups[:MAX_BARS]]
        rows, spec = charts.bars(values, query.metric, query.selection.currency)
        st.vega_lite_chart(rows, spec, width="stretch", alt=f"{query.title} as bars.", key="explored_bars")


def _line(query: _Query, group: Group, compared: Figures | None) -> Line:
    """A row of the table for the period as a whole."""
    metric, currency = query.metric, query.selection.currency
    value = metric.value(group.figures)
    before = metric.value(compared) if compared else Absent.NOT_REQUESTED
    text, _ = change(value, before, metric.unit == "rate")
    return Line(
        [
            query.name(group.values),
            f"{group.figures.orders:,}",
            write(metric, value, currency, whole=False),
            write(metric, before, currency, whole=False),
            text or "–",
        ]
    )


def _table(session: Session, query: _Query, columns: Sequence[Column], lines: Sequence[Line], order: str) -> None:
    with st.container(border=True):
        st.header("As a table", anchor=False)
        draw_marks(session, query.selection, query.metric.id)
        if len(lines) > MAX_ROWS:
            st.caption(f"{MAX_ROWS} of {len(lines):,} rows, {order}.")
        table("As a table", columns, lines[:MAX_ROWS], key="explored_table")
