"""The pictures of Explore: lines, bars, stacked bars, a heat map and maps, as Vega-Lite."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import streamlit as st

from cache.analytics.breakdowns.pivot import Pivot, PivotLine
from cache.analytics.figures import Figures
from cache.analytics.grouped_figures import KeyPart, Part
from cache.analytics.values import Absent
from dashboard.components import charts
from dashboard.pages.explore.pivot_table import go_to_orders, series_names
from dashboard.pages.explore.question import Question
from dashboard.session import Session
from dashboard.text.metrics import write
from dashboard.text.periods import bucket_text

MAX_BARS = 20
MAX_PLACES = 500  # on a map
PICKED = "picked"
_LAND = "#8b9a9533"  # of countries without orders, in both themes


def picture(session: Session, question: Question, pivot: Pivot) -> None:
    """Draws the chosen picture."""
    key = f"explored_{question.chart}"
    match question.chart:
        case "lines":
            rows, spec = _lines(question, pivot)
        case "stacked" if question.step:
            rows, spec = _stacked_over_time(question, pivot)
        case "stacked":
            rows, spec = _stacked(question, pivot)
        case "heat":
            rows, spec = _heat(question, pivot)
        case "map":
            rows, spec = _map(session, question)
        case _:
            rows, spec = _bars(question, pivot)
    alt = f"{question.title}, as a picture. The table below has the numbers."
    if question.chart not in ("heat", "map"):
        st.vega_lite_chart(rows, spec, width="stretch", alt=alt, key=key)
        return
    data = rows if question.chart == "heat" else None
    clicked = st.vega_lite_chart(
        data, spec, width="stretch", alt=alt, key=key, on_select="rerun", selection_mode=PICKED
    )
    if (picked := clicked.selection.get(PICKED)) and picked[0].get("place"):
        go_to_orders(session, question, json.loads(picked[0]["place"]))


def _shown(pivot: Pivot) -> list[PivotLine]:
    return [line for line in pivot.lines if isinstance(line.value, str)]


def _number(question: Question, figures: Figures | None) -> float | None:
    value = question.metric.value(figures) if figures else question.metric.empty
    return None if isinstance(value, Absent) else float(value)


def _text(question: Question, figures: Figures | None) -> str:
    value = question.metric.value(figures) if figures else question.metric.empty
    return write(question.metric, value, question.selection.currency)


def _axis(question: Question) -> charts.TimeAxis:
    assert question.step and question.selection.span
    return charts.TimeAxis.of(question.step, question.selection.span, question.selection.calendar)


def _series(question: Question, pivot: Pivot) -> dict[str, PivotLine]:
    lines = pivot.lines if question.rows else [pivot.total]
    return dict(zip(series_names(question, pivot), lines, strict=True))


def _lines(question: Question, pivot: Pivot) -> tuple[charts.Rows, charts.Spec]:
    values = {
        name: {at: question.metric.value(figures) for at, figures in line.cells.items()}
        for name, line in _series(question, pivot).items()
        if line.value is not Part.OTHERS or question.metric.is_sum
    }
    return charts.lines(_axis(question), values, question.metric, question.selection.currency)


def _stacked_over_time(question: Question, pivot: Pivot) -> tuple[charts.Rows, charts.Spec]:
    axis, step = _axis(question), question.step
    assert step
    series = _series(question, pivot)
    rows = [
        {
            "at": f"{bucket.start.isoformat()}Z",
            "time": bucket_text(step, bucket),
            "name": name,
            "value": _number(question, line.cells.get(bucket.start)),
            "text": _text(question, line.cells.get(bucket.start)),
        }
        for bucket in axis.buckets
        for name, line in series.items()
    ]
    x = {**axis.spec(), "bandPosition": 0.5}
    width = max(2, min(28, 700 // max(1, len(axis.buckets))))
    spec = {
        "mark": {"type": "bar", "width": width},
        "encoding": {
            "x": x,
            "y": {"field": "value", "stack": True, **charts.value_axis(question.metric, question.selection.currency)},
            "color": _colour(list(series)),
            "tooltip": _tips(("name", " "), ("time", "Time"), ("text", question.metric.label)),
        },
        "height": 320,
    }
    return rows, spec


def _bars(question: Question, pivot: Pivot) -> tuple[charts.Rows, charts.Spec]:
    values = [
        (question.name(question.rows, line.value), question.metric.value(line.total))
        for line in _shown(pivot)[:MAX_BARS]
    ]
    return charts.bars(values, question.metric, question.selection.currency)


def _stacked(question: Question, pivot: Pivot) -> tuple[charts.Rows, charts.Spec]:
    columns = {_column_name(question, column): column for column in pivot.columns}
    rows = [
        {
            "name": question.name(question.rows, line.value),
            "column": name,
            "place": i,
            "value": _number(question, line.cells.get(column)),
            "text": _text(question, line.cells.get(column)),
        }
        for line in _shown(pivot)[:MAX_BARS]
        for i, (name, column) in enumerate(columns.items())
    ]
    _, bars = charts.bars([], question.metric, question.selection.currency)
    encoding = bars["encoding"] | {
        "color": _colour(list(columns), "column"),
        "order": {"field": "place"},
        "tooltip": _tips(("name", " "), ("column", " "), ("text", question.metric.label)),
    }
    return rows, {"mark": {"type": "bar"}, "encoding": encoding, "height": {"step": 26}}


def _heat(question: Question, pivot: Pivot) -> tuple[charts.Rows, charts.Spec]:
    columns = [column for column in pivot.columns if isinstance(column, str)]
    rows = [
        {
            "row": question.name(question.rows, line.value),
            "column": question.name(question.columns, column),
            "value": _number(question, line.cells.get(column)) or 0.0,
            "text": _text(question, line.cells.get(column)),
            "place": json.dumps({question.rows: line.value, question.columns: column}),
        }
        for line in _shown(pivot)
        for column in columns
    ]
    axis = {"title": None, "ticks": False, "domain": False, "labelLimit": 180}
    spec = {
        "params": [{"name": PICKED, "select": {"type": "point", "on": "click", "fields": ["place"]}}],
        "mark": {"type": "rect", "cornerRadius": 2, "cursor": "pointer", "stroke": None},
        "encoding": {
            "y": {"field": "row", "type": "nominal", "sort": None, "axis": axis, "scale": {"paddingInner": 0.06}},
            "x": {
                "field": "column",
                "type": "nominal",
                "sort": None,
                "axis": {**axis, "orient": "top", "labelAngle": 0},
                "scale": {"paddingInner": 0.04},
            },
            "color": _heat_colour(question),
            "tooltip": _tips(("row", " "), ("column", " "), ("text", question.metric.label)),
        },
        "height": {"step": 20},
    }
    return rows, spec


def _heat_colour(question: Question) -> dict[str, Any]:
    label = charts.value_axis(question.metric, question.selection.currency)["axis"]["labelExpr"]
    label = label.replace("'~s'", "'.2~s'")  # a legend also writes its ends, which are not round
    legend = {"title": None, "orient": "bottom", "gradientLength": 180, "labelExpr": label, "tickCount": 3}
    return {
        "field": "value",
        "type": "quantitative",
        "scale": {"range": ["#8b9a9522", "#0e7a5f"], "type": "sqrt"},
        "legend": legend,
    }


def _map(session: Session, question: Question) -> tuple[charts.Rows, charts.Spec]:
    is_world = question.rows == "country"
    names = question.selection.orders.countries if is_world else {}
    whole = replace(question, top=MAX_PLACES, columns="", inner="").table()
    rows = [
        {
            "code": line.value,
            "name": question.name(question.rows, line.value),
            "value": _number(question, line.total),
            "text": _text(question, line.total),
            "place": json.dumps({question.rows: line.value}),
            "key": (names.get(line.value) or str(line.value)).casefold(),
        }
        for line in whole.lines
        if isinstance(line.value, str) and line.value
    ]
    shape = {
        "url": f"{session.settings.public_path}/maps/{'countries' if is_world else 'states'}.json",
        "format": {"type": "topojson", "feature": "countries" if is_world else "states"},
    }
    fields = ["value", "text", "place"]
    by_code = {"lookup": "id", "from": {"data": {"values": rows}, "key": "code", "fields": fields}}
    by_name = {"lookup": "key", "from": {"data": {"values": rows}, "key": "key", "fields": fields}}
    renamed = [{**by_code, "as": [f"a_{name}" for name in fields]}, {**by_name, "as": [f"b_{name}" for name in fields]}]
    merged = [
        {"calculate": f"isValid(datum.a_{name}) ? datum.a_{name} : datum.b_{name}", "as": name} for name in fields
    ]
    spec = {
        "data": shape,
        "transform": [
            {"calculate": "lower(datum.properties.name)", "as": "key"},
            {"calculate": "datum.properties.name", "as": "name"},
            *renamed,
            *merged,
        ],
        "params": [{"name": PICKED, "select": {"type": "point", "on": "click", "fields": ["place"]}}],
        "projection": {"type": "equalEarth" if is_world else "albersUsa"},
        "mark": {"type": "geoshape", "stroke": "#8b9a95", "strokeWidth": 0.4, "invalid": None, "cursor": "pointer"},
        "encoding": {
            "color": {"condition": {"test": "isValid(datum.value)", **_heat_colour(question)}, "value": _LAND},
            "tooltip": _tips(("name", " "), ("text", question.metric.label)),
        },
        "height": 400,
    }
    return [], spec


def _column_name(question: Question, column: KeyPart) -> str:
    return "Others" if column is Part.OTHERS else question.name(question.columns, column)


def _colour(names: list[str], field: str = "name") -> dict[str, Any]:
    legend = {"title": None, "orient": "top", "labelLimit": 220} if len(names) > 1 else None
    return {"field": field, "type": "nominal", "sort": names, "scale": {"domain": names}, "legend": legend}


def _tips(*fields: tuple[str, str]) -> list[dict[str, str]]:
    return [{"field": field, "title": title} for field, title in fields]
