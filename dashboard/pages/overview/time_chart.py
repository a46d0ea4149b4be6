"""The picture of the overview: a figure over time, with the compared period, goals, notes and a forecast."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from cache.analytics.figures import Group
from cache.analytics.metrics import Metric
from dashboard.components.charts import (
    DASHES,
    PARTIAL,
    Rows,
    Series,
    Spec,
    TimeAxis,
    legend,
    partial_layers,
    split,
    value_axis,
)
from dashboard.text.metrics import write
from dashboard.text.periods import bucket_text

PICKED = "picked"
"""The selection that a click on a line makes: the `from` of its bucket."""
_NOW, _COMPARED, _GOAL = "now", "compared", "goal"  # fields of the values of lines
_FORECAST = "forecast"
_DOTS = [2, 3]
_NOTE = "#b1540b"  # of notes, on both grounds


@dataclass(frozen=True)
class Extras:
    """What is drawn beside a figure over time.

    Attributes:
        goals: The goal of each bucket, None for none; empty where there are no goals.
        notes: The notes of each bucket, "" for none; empty where there are no notes.
        forecast: What the last bucket comes to at its end; None where nobody knows.
    """

    goals: Sequence[Decimal | None] = ()
    notes: Sequence[str] = ()
    forecast: Decimal | None = None

    @property
    def has_goals(self) -> bool:
        """Whether any bucket has a goal."""
        return any(goal is not None for goal in self.goals)

    @property
    def has_notes(self) -> bool:
        """Whether any bucket has a note."""
        return any(self.notes)


NO_EXTRAS = Extras()


def rounded(metric: Metric, amount: Decimal) -> Decimal | int:
    """An amount of a figure that was computed of others: a whole number, where the figure counts something."""
    return int(amount.to_integral_value(ROUND_HALF_UP)) if metric.unit == "count" else amount


def over_time(
    axis: TimeAxis,
    groups: Sequence[Group],
    compared: Series | None,
    metric: Metric,
    currency: str,
    days: Sequence[str],
    extras: Extras = NO_EXTRAS,
) -> tuple[Rows, Spec]:
    """A line over time in front of that of the compared period, bucket by bucket. Partial buckets are dashed.

    Args:
        axis: The time axis.
        groups: The figures by bucket.
        compared: The compared period; None where nothing is compared.
        metric: The figure.
        currency: The currency of amounts.
        days: The days of the period and of the compared one, for the legend.
        extras: What is drawn beside the figure.

    Returns:
        Data and specification.
    """
    numbers = Series(axis.buckets, groups).numbers(metric)
    complete, partial = split(axis.buckets, numbers)
    rows: Rows = [
        {
            "at": f"{bucket.start.isoformat()}Z",
            "from": bucket.start.isoformat(),
            "day": bucket_text(axis.step, bucket),
            "text": write(metric, number, currency, whole=False),
            "open": bucket.partial,
            _NOW: complete[i],
            PARTIAL: partial[i],
        }
        for i, (bucket, number) in enumerate(zip(axis.buckets, numbers, strict=True))
    ]
    if compared:
        for row, bucket, then in zip(rows, compared.buckets, compared.numbers(metric), strict=False):
            row |= {
                _COMPARED: float(then),
                "then": write(metric, then, currency, whole=False),
                "then_day": bucket_text(axis.step, bucket),
            }
    for row, goal in zip(rows, extras.goals, strict=False):
        if goal is not None:
            row |= {_GOAL: float(goal), "goal_text": write(metric, rounded(metric, goal), currency, whole=False)}
    for row, note in zip(rows, extras.notes, strict=False):
        if note:
            row["note"] = note
    if extras.forecast is not None and rows:
        text = write(metric, rounded(metric, extras.forecast), currency, whole=False)
        rows[-1] |= {_FORECAST: float(extras.forecast), "forecast_text": text}
    return rows, _over_time_spec(axis, metric, currency, days if compared else days[:1], extras)


def _over_time_spec(axis: TimeAxis, metric: Metric, currency: str, days: Sequence[str], extras: Extras) -> Spec:
    """The lines, and a layer that shows the tooltip and takes clicks. `days` are the names in the legend."""
    compared = len(days) > 1
    series = dict(zip((_NOW, _COMPARED), days, strict=False)) | ({_GOAL: "Goal"} if extras.has_goals else {})
    names = {"labelExpr": f"({json.dumps(series)})[datum.label]"}
    explained = {**legend(list(series.values())), **names} if len(series) > 1 else None

    def styled(values: Mapping[str, object]) -> dict[str, Any]:
        scale = {"domain": list(series)} | ({"range": [values[each] for each in series]} if values else {})
        return {"field": "series", "type": "nominal", "sort": list(series), "scale": scale, "legend": explained}

    lines = {
        "transform": [{"fold": list(series), "as": ["series", "value"]}],
        "mark": {"type": "line", "point": len(axis.buckets) == 1},
        "encoding": {
            "y": {"field": "value", **value_axis(metric, currency)},
            "color": styled({}),
            "strokeWidth": styled({_NOW: 2.2, _COMPARED: 1.3, _GOAL: 2}),
            "strokeDash": styled({_NOW: [1, 0], _COMPARED: DASHES, _GOAL: _DOTS}),
        },
    }
    partial = [
        {**layer, "encoding": {**layer["encoding"], "color": {"datum": _NOW}}}
        for layer in partial_layers({"field": PARTIAL, **value_axis(metric, currency)})
    ]
    hover = _hover_layer(metric, compared, extras.has_goals)
    marks = [*_forecast_layer(metric, currency, extras), *_note_layers(extras)]
    return {"encoding": {"x": axis.spec()}, "layer": [lines, *partial, hover, *marks], "height": 260}


def _forecast_layer(metric: Metric, currency: str, extras: Extras) -> list[dict[str, Any]]:
    """A diamond where the last bucket will end."""
    if extras.forecast is None:
        return []
    return [
        {
            "transform": [{"filter": f"isValid(datum.{_FORECAST})"}],
            "mark": {"type": "point", "shape": "diamond", "size": 90, "strokeWidth": 2},
            "encoding": {
                "y": {"field": _FORECAST, **value_axis(metric, currency)},
                "color": {"datum": _NOW},
                "tooltip": [{"field": "day", "title": "Date"}, {"field": "forecast_text", "title": "At this rate"}],
            },
        }
    ]


def _note_layers(extras: Extras) -> list[dict[str, Any]]:
    """A line and a triangle at the top for each bucket with notes."""
    if not extras.has_notes:
        return []
    noted = [{"filter": "isValid(datum.note)"}]
    tips = [{"field": "day", "title": "Date"}, {"field": "note", "title": "Note"}]
    return [
        {"transform": noted, "mark": {"type": "rule", "color": _NOTE, "strokeWidth": 1, "strokeDash": DASHES}},
        {
            "transform": noted,
            "mark": {"type": "point", "shape": "triangle-down", "filled": True, "size": 110, "color": _NOTE},
            "encoding": {"y": {"value": 6}, "opacity": {"value": 1}, "tooltip": tips},
        },
    ]


def _hover_layer(metric: Metric, compared: bool, goals: bool) -> dict[str, Any]:
    tips = [("day", "Date"), ("text", metric.label)]
    if compared:
        tips += [("then_day", "Compared with"), ("then", f"{metric.label} then")]
    if goals:
        tips.append(("goal_text", "Goal"))
    near = {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "encodings": ["x"]}
    click = {"type": "point", "on": "click", "nearest": True, "fields": ["from"]}
    return {
        "params": [{"name": "near", "select": near}, {"name": PICKED, "select": click}],
        "mark": {"type": "rule", "strokeWidth": 1, "color": "#8b9a95"},
        "encoding": {
            "opacity": {"condition": {"param": "near", "empty": False, "value": 0.8}, "value": 0},
            "tooltip": [{"field": field, "title": title} for field, title in tips],
        },
    }
