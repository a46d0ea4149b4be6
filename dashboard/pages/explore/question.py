"""What Explore is asked: figures, rows, columns and picture. All of it is in the address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, cast

import streamlit as st

from cache.analytics.breakdowns.pivot import BY_COLUMN, BY_NAME, BY_TOTAL, Pivot, PivotQuery
from cache.analytics.dimensions.catalogue import DIMENSIONS, DimensionId
from cache.analytics.grouped_figures import KeyPart
from cache.analytics.metrics import METRICS, Metric
from cache.calendar.periods import Unit
from cache.calendar.steps import STEPS, default_step, step_choices
from dashboard import data
from dashboard.address import change_parameters, parameter, parameter_values
from dashboard.components.widget_values import set_value
from dashboard.selection import Selection
from dashboard.text.dimensions import write_code
from dashboard.text.periods import date_range

METRIC, BY, COLUMNS, STEP, CHART, TOP, SORT, OPEN = (
    *("metric", "by", "columns", "step", "chart", "top", "sort", "open"),
)
"""Parameters of the address."""
WHOLE = "whole"  # the value of STEP for no step
MAX_METRICS = 4
TOPS = (10, 20, 50, 100)
USUAL_TOP = 20
MAX_SERIES = 6  # told apart over time, and in columns

Chart = Literal["bars", "stacked", "lines", "heat", "map", "none"]
CHARTS: Mapping[Chart, tuple[str, str]] = {
    "bars": ("Bars", ":material/bar_chart:"),
    "stacked": ("Stacked", ":material/stacked_bar_chart:"),
    "lines": ("Lines", ":material/show_chart:"),
    "heat": ("Heat map", ":material/grid_on:"),
    "map": ("Map", ":material/public:"),
    "none": ("Table only", ":material/table_rows:"),
}
"""What a chart is called, and its icon."""
_TIMES = ("hour_of_day", "weekday")


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        selection: The orders.
        metrics: The figures.
        rows: The dimension of the rows; "" for none.
        inner: The dimension that a row opens into; "" for none.
        columns: The dimension of the columns; "" for none.
        step: The step of time of the columns; None for the period as a whole.
        chart: The picture.
        top: How many rows are told apart.
        sort: As in the address: a figure, `name`, or `@` and a column; with a minus where the largest is first.
        opened: The rows that are open.
    """

    selection: Selection
    metrics: tuple[Metric, ...]
    rows: DimensionId
    inner: DimensionId
    columns: DimensionId
    step: Unit | None
    chart: Chart
    top: int
    sort: str
    opened: tuple[str, ...]

    @property
    def metric(self) -> Metric:
        """The first figure, which pictures show."""
        return self.metrics[0]

    @property
    def ranked_by(self) -> Metric:
        """The figure that rows are sorted by."""
        return next((each for each in self.metrics if each.id == self.sort.removeprefix("-")), self.metric)

    def pivot_query(self) -> PivotQuery:
        """The table that answers it."""
        key = self.sort.removeprefix("-")
        sort = key if key == BY_NAME or key.startswith(BY_COLUMN) else BY_TOTAL if key else ""
        others = tuple(each for each in self.metrics if each is not self.ranked_by)
        return PivotQuery(
            (self.ranked_by, *others),
            self.rows,
            self.columns,
            self.step,
            MAX_SERIES if self.step else self.top,
            MAX_SERIES,
            sort,
            not self.sort or self.sort.startswith("-"),
        )

    def table(self) -> Pivot:
        """The answer."""
        selection = self.selection
        compared = None if self.step or self.columns else selection.compared_span
        return data.pivot_table(
            selection.orders, self.pivot_query(), selection.span, selection.conditions, selection.returns, compared
        )

    def inner_table(self, value: str) -> Pivot:
        """What an open row consists of."""
        query = replace(self.pivot_query(), rows=self.inner, within=(self.rows, value), top=USUAL_TOP)
        selection = self.selection
        compared = None if self.columns else selection.compared_span
        about = selection.span, selection.conditions, selection.returns, compared
        return data.pivot_table(selection.orders, query, *about)

    def name(self, dimension: DimensionId, value: str) -> str:
        """A value of a dimension as text."""
        if dimension == "customer" and value in self._customers:
            return self._customers[value]
        return write_code(self.selection.orders, dimension, value)

    @cached_property
    def _customers(self) -> Mapping[str, str]:
        """The names of the customers in the table: a look-up for each would take as long as one for all."""
        table = self.table()
        shown: list[KeyPart] = []
        if self.rows == "customer":
            shown += [line.value for line in table.lines]
        if self.columns == "customer":
            shown += table.columns
        if self.inner == "customer":
            shown += [line.value for opened in self.opened for line in self.inner_table(opened).lines]
        customers = tuple(value for value in shown if isinstance(value, str) and value.isdecimal())
        return data.customer_names(self.selection.orders, customers)

    @property
    def title(self) -> str:
        """Such as "Orders by payment status and channel, 1 Jul – 14 Jul 2026"."""
        orders = self.selection.orders
        nouns = [orders.dimension(name).noun for name in (self.rows, self.columns) if name]
        by = f" by {' and '.join(nouns)}" if nouns else ""
        days = f", {date_range(self.selection.span)}" if self.selection.span else ""
        return f"{self.metric.label}{by}{days}"


def offered_dimensions(selection: Selection) -> dict[DimensionId, str]:
    """The dimensions that the table has -> what they are called. The currency is not one: its amounts are not added."""
    orders = selection.orders
    offered = {name: each.label for name, each in DIMENSIONS.items() if name != "currency" and orders.offers(name)}
    return offered | {each.id: each.label for each in data.row_dimensions(orders)}


def offered_metrics(selection: Selection) -> dict[str, Metric]:
    """The figures that the table can tell."""
    return {name: metric for name, metric in METRICS.items() if metric.available(selection.orders.missing)}


def question_in_address(selection: Selection) -> Question:
    """What the address asks, as far as the table has it."""
    metrics = offered_metrics(selection)
    offers = selection.orders.offers
    chosen = tuple(metrics[name] for name in parameter_values(METRIC) if name in metrics)[:MAX_METRICS]
    rows, inner = [*(name for name in parameter_values(BY) if offers(name)), "", ""][:2]
    columns = parameter(COLUMNS) if offers(parameter(COLUMNS)) else ""
    columns = columns if columns not in (rows, inner) else ""
    step = _step(selection, bool(rows)) if not columns else None
    question = Question(
        selection,
        chosen or tuple(metrics.values())[:1],
        rows,
        inner if inner != rows else "",
        columns,
        step,
        "none",
        next((top for top in TOPS if str(top) == parameter(TOP)), USUAL_TOP),
        parameter(SORT),
        tuple(parameter_values(OPEN)),
    )
    charts = offered_charts(question)
    return replace(question, chart=next((each for each in charts if each == parameter(CHART)), charts[0]))


def _step(selection: Selection, by_rows: bool) -> Unit | None:
    requested = parameter(STEP, WHOLE if by_rows else "")
    if not selection.span or requested == WHOLE:
        return None
    choices = step_choices(selection.span, selection.calendar)
    return next((each for each in choices if each == requested), default_step(selection.span))


def offered_charts(question: Question) -> list[Chart]:
    """The pictures that fit, the best first."""
    is_sum = question.metric.is_sum
    if question.step:
        return ["lines", *(["stacked"] if is_sum and question.rows else []), "none"]  # type: ignore[list-item]
    if not question.rows:
        return ["none"]
    charts: list[Chart] = ["bars"]
    if question.rows in ("country", "region"):
        charts.insert(0, "map")
    if question.columns:
        charts.append("heat")
        if is_sum:
            charts.append("stacked")
        if question.rows in _TIMES and question.columns in _TIMES:
            charts.insert(0, charts.pop(charts.index("heat")))
    return [*charts, "none"]


def controls(question: Question) -> None:
    """Draws the choices of figures, rows and columns."""
    selection = question.selection
    metrics, dimensions = offered_metrics(selection), offered_dimensions(selection)

    def put(name: str, value: Any, **more: str) -> None:
        change_parameters({name: value, OPEN: "", SORT: "", **more})

    def put_by(rows: str, inner: str) -> None:
        change_parameters({BY: [name for name in (rows, inner) if name], OPEN: "", SORT: "", CHART: ""})

    def put_columns() -> None:
        chosen = st.session_state[COLUMNS]
        step = chosen.removeprefix(f"{STEP}:") if chosen.startswith(f"{STEP}:") else WHOLE
        put(COLUMNS, "" if chosen.startswith(f"{STEP}:") else chosen, step=step, chart="")

    with st.container(horizontal=True, vertical_alignment="bottom", key="explored"):
        set_value(METRIC, [metric.id for metric in question.metrics])
        st.multiselect(
            "Figures",
            list(metrics),
            key=METRIC,
            format_func=lambda name: metrics[name].label,
            max_selections=MAX_METRICS,
            filter_mode="contains",
            select_all=False,
            width=300,
            on_change=lambda: put(METRIC, st.session_state[METRIC]),
            help="\n\n".join(f"{each.label}: {each.description(selection.returns)}" for each in question.metrics),
        )
        _choice("Rows", "rows", ["", *dimensions], question.rows, dimensions, "Total only", put_by, question.inner)
        # The same choices in each state, since the browser may take one for another where some come and go.
        is_whole = bool(question.rows) and not question.step
        set_value("inner", question.inner)
        st.selectbox(
            "Rows open into",
            ["", *dimensions],
            key="inner",
            format_func=lambda name: dimensions.get(name, "Nothing"),
            width=180,
            disabled=not is_whole,
            on_change=lambda: put_by(question.rows, st.session_state["inner"]),
        )
        steps = step_choices(selection.span, selection.calendar) if selection.span else []
        labels = {f"{STEP}:{step}": f"Over time: {STEPS[step].label.lower()}" for step in steps} | dimensions
        set_value(COLUMNS, f"{STEP}:{question.step}" if question.step else question.columns)
        st.selectbox(
            "Columns",
            ["", *labels],
            key=COLUMNS,
            format_func=lambda name: labels.get(name, "None"),
            width=200,
            on_change=put_columns,
        )
        set_value(TOP, question.top)
        st.selectbox(
            "Rows shown",
            TOPS,
            key=TOP,
            width=110,
            disabled=not is_whole,
            on_change=lambda: put(TOP, str(st.session_state[TOP])),
        )


def _choice(
    label: str,
    key: str,
    options: Sequence[str],
    chosen: str,
    labels: Mapping[str, str],
    nothing: str,
    put: Any,
    inner: str,
) -> None:
    set_value(key, chosen)
    st.selectbox(
        label,
        options,
        key=key,
        format_func=lambda name: labels.get(name, nothing),
        width=180,
        on_change=lambda: put(st.session_state[key], inner),
    )


def chart_choice(question: Question) -> None:
    """Draws the choice of the picture."""
    charts = offered_charts(question)
    if len(charts) < 2:
        return
    key = f"{CHART} of {' '.join(charts)}"
    set_value(key, question.chart)
    with st.container(key=f"pictures {' '.join(charts)}", width="content"):
        st.segmented_control(
            "Picture",
            charts,
            key=key,
            required=True,
            label_visibility="collapsed",
            format_func=lambda name: CHARTS[cast(Chart, name)][1],
            on_change=lambda: change_parameters({CHART: st.session_state[key]}),
            help=" · ".join(CHARTS[each][0] for each in charts),
        )
