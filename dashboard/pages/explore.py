"""Explore: one figure by one or two dimensions, over time or as a whole, as a chart and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from cache.analytics.dimensions import DimensionId
from cache.analytics.figures import Figures, Group
from cache.analytics.metrics import METRICS, Metric
from cache.analytics.periods import BUCKETS, Bucket, bucket_choices, bucket_starts, default_bucket
from cache.analytics.values import Absent, or_zero
from dashboard import data, formatting, frame
from dashboard.components import charts, filter_chips
from dashboard.components.table import Cell, Column, Line, table
from dashboard.frame import Shown
from dashboard.metric_text import change, write
from dashboard.view import date_range

METRIC, BY, STEP = "metric", "by", "step"  # parameters of the address
WHOLE = "whole"
LINES, BARS, ROWS = 7, 20, 100


@dataclass(frozen=True)
class _Asked:
    """What is explored. `step` is None for the period as a whole."""

    metric: Metric
    by: tuple[DimensionId, ...]
    step: Bucket | None


def explore() -> None:
    shown = frame.page("Explore")
    if shown is None:
        return
    asked = _asked(shown)
    _controls(shown, asked)
    if not shown.figures().orders:
        frame.nothing_found(shown)
    elif asked.step and shown.span:
        _over_time(shown, asked, asked.step)
    else:
        _whole(shown, asked)
    frame.foot(shown)


def _asked(shown: Shown) -> _Asked:
    """What the address asks for, as far as this table tells it."""
    told = [metric for metric in METRICS.values() if metric.available(shown.orders.missing)]
    metric = next((each for each in told if each.id == st.query_params.get(METRIC)), told[0])
    offered = filter_chips.dimensions(shown.orders)
    by = [name for name in offered if name in st.query_params.get_all(BY)][:2]
    if not shown.span:
        return _Asked(metric, tuple(by), None)
    step = st.query_params.get(STEP)
    fitting = bucket_choices(shown.span)
    chosen = next((each for each in fitting if each == step), default_bucket(shown.span))
    return _Asked(metric, tuple(by), None if step == WHOLE else chosen)


def _controls(shown: Shown, asked: _Asked) -> None:
    told = {metric.id: metric.label for metric in METRICS.values() if metric.available(shown.orders.missing)}
    offered = filter_chips.dimensions(shown.orders)
    with st.container(horizontal=True, vertical_alignment="bottom", key="explored"):
        st.session_state[METRIC] = asked.metric.id
        st.selectbox(
            "Figure", list(told), key=METRIC, format_func=lambda name: told[name], width=240,
            on_change=lambda: _put(METRIC, [st.session_state[METRIC]]), help=asked.metric.description(shown.returns),
        )  # fmt: skip
        st.session_state[BY] = list(asked.by)
        st.multiselect(
            "By, at most two", list(offered), key=BY, format_func=lambda name: offered[name].label, max_selections=2,
            placeholder="Everything together", width=320, on_change=lambda: _put(BY, st.session_state[BY]),
        )  # fmt: skip
        if shown.span:
            steps = [*bucket_choices(shown.span), WHOLE]
            st.session_state[STEP] = asked.step or WHOLE
            st.segmented_control(
                "Over time", steps, key=STEP, required=True,
                format_func=lambda name: "Whole period" if name == WHOLE else BUCKETS[name][0],
                on_change=lambda: _put(STEP, [st.session_state[STEP]]),
            )  # fmt: skip


def _put(name: str, values: Sequence[str]) -> None:
    if values:
        st.query_params[name] = list(values)
    else:
        st.query_params.pop(name, None)


def _name(shown: Shown, asked: _Asked, values: tuple[str, ...]) -> str:
    """The values of the dimensions in words."""
    texts = [filter_chips.PARTS[by].write(shown.orders, value) for by, value in zip(asked.by, values, strict=True)]
    return " · ".join(texts) or asked.metric.label


def _groups(shown: Shown, asked: _Asked) -> list[Group]:
    metric = asked.metric
    found = data.groups(
        shown.orders, asked.by, shown.span, shown.conditions, shown.returns, metric.customers, metric.units
    )
    return sorted(found, key=lambda group: or_zero(metric.value(group.figures)), reverse=True)


def _over_time(shown: Shown, asked: _Asked, step: Bucket) -> None:
    assert shown.span is not None
    metric = asked.metric
    found = data.series(
        shown.orders, step, shown.span, shown.conditions, shown.returns, asked.by, metric.customers, metric.units
    )
    largest = _groups(shown, asked) if asked.by else [Group((), None, Figures())]
    lines = {
        _name(shown, asked, group.values): [each for each in found if each.values == group.values]
        for group in largest[:LINES]
    }
    starts = bucket_starts(step, shown.span)
    values = {name: {each.at: metric.value(each.figures) for each in groups} for name, groups in lines.items()}
    with st.container(border=True):
        st.header(_title(shown, asked), anchor=False)
        if len(largest) > LINES:
            st.caption(f"The {LINES} largest of {len(largest)}. *Whole period* lists all of them.")
        rows, spec = charts.lines(step, starts, values, metric, shown.currency)
        alt = f"{_title(shown, asked)}: {', '.join(values)}."
        st.vega_lite_chart(rows, spec, width="stretch", alt=alt, key="explored_lines")
    columns = [Column("From"), *(Column(name, number=True, wide=i > 1) for i, name in enumerate(values))]
    cells = [
        Line(
            [
                charts.named(step, start),
                *(write(metric, line.get(start, metric.empty), shown.currency, False) for line in values.values()),
            ]
        )
        for start in reversed(starts)
    ]
    _table(columns, cells, "newest first")


def _whole(shown: Shown, asked: _Asked) -> None:
    metric = asked.metric
    groups = _groups(shown, asked)
    before = (
        {
            group.values: group.figures
            for group in data.groups(
                shown.orders, asked.by, shown.past, shown.conditions, shown.returns, metric.customers, metric.units
            )
        }
        if shown.past
        else {}
    )
    if asked.by:
        with st.container(border=True):
            st.header(_title(shown, asked), anchor=False)
            if len(groups) > BARS:
                st.caption(f"The {BARS} largest of {len(groups)}. The table lists more of them.")
            bars = [(_name(shown, asked, group.values), metric.value(group.figures)) for group in groups[:BARS]]
            rows, spec = charts.bars(bars, metric, shown.currency)
            alt = f"{_title(shown, asked)} as bars."
            st.vega_lite_chart(rows, spec, width="stretch", alt=alt, key="explored_bars")
    lines = []
    for group in groups:
        value, past = metric.value(group.figures), before.get(group.values)
        then = metric.value(past) if past else Absent.NOT_REQUESTED
        delta, _ = change(value, then, metric.unit == "rate")
        lines.append(
            Line(
                [
                    Cell(_name(shown, asked, group.values)),
                    f"{group.figures.orders:,}",
                    write(metric, value, shown.currency, whole=False),
                    write(metric, then, shown.currency, whole=False),
                    delta or "–",
                ]
            )
        )
    columns = [Column(" · ".join(filter_chips.PARTS[by].label for by in asked.by)), Column("Orders", True, True),
               Column(metric.label, True), Column("Compared", True, True), Column("Change", True)]  # fmt: skip
    _table(columns, lines, "the largest first")


def _title(shown: Shown, asked: _Asked) -> str:
    by = " and ".join(filter_chips.PARTS[name].title for name in asked.by)
    when = f", {date_range(shown.span)}" if shown.span else ""
    return formatting.plain(f"{asked.metric.label}{f' by {by}' if by else ''}{when}")


def _table(columns: Sequence[Column], lines: Sequence[Line], order: str) -> None:
    with st.container(border=True):
        st.header("As a table", anchor=False)
        if len(lines) > ROWS:
            st.caption(f"{ROWS} of {len(lines):,} rows, {order}.")
        table("As a table", columns, lines[:ROWS], key="explored_table")
